/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: what h1.c and h2.c share below server.h: one client connection as the server keeps it, the work it puts
 * off to the next round, and the buffers of the loop. Not for other floors.
 */
#ifndef HEADPOND_HTTP_SESSION_H
#define HEADPOND_HTTP_SESSION_H

#include <netinet/in.h>

#include "base/arena.h"
#include "base/list.h"
#include "http/server.h"
#include "net/conn.h"
#include "net/loop.h"

/* A read buffer: room for the largest head and the empty lines before it. */
#define SESSION_INPUT (65536 + 256)
#define SESSION_SPARE_INPUTS 8
#define SESSION_SPARE_ARENAS 32

struct http_server {
    struct loop *loop;
    struct http_limits limits;
    struct http_handler handler;
    struct listener_budget *budget;
    struct list sessions;
    bool draining;
    struct list tasks; /* sessions to be run in the next round */
    struct timer task_timer;
    uint8_t *inputs[SESSION_SPARE_INPUTS];
    unsigned input_count;
    struct arena *arenas[SESSION_SPARE_ARENAS];
    unsigned arena_count;
    int64_t date_s; /* of `date`, wall clock */
    char date[32];
};

struct session;

struct session_class {
    void (*run)(struct session *session);   /* what session_task put off */
    void (*drain)(struct session *session); /* the server has begun to drain */
    /* Ends everything now, frees the session; how many exchanges that cut. */
    unsigned (*kill)(struct session *session);
};

struct session {
    const struct session_class *class;
    struct http_server *server;
    struct conn *conn;
    struct list link;
    struct list task;
    const char *listener;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer;
    socklen_t peer_length;
    void *caller; /* handler.admit's */
};

/* Moves connection, listener and peer of `from` into a session of another class; `from` holds nothing afterwards and is
 * freed by its owner. */
void session_take_over(struct session *session, const struct session_class *class, struct session *from);
/* Leaves the server's lists; `gone` when no other session took over. The connection must be closed or moved. */
void session_fini(struct session *session, bool gone);
/* Has class->run called in the next round. */
void session_task(struct session *session);

/* Whether memory is so short that what comes now is to be turned away, not held (I8); then it is counted and logged as
 * such. */
bool session_turns_away(struct http_server *server);

/* SESSION_INPUT bytes. */
uint8_t *session_input_take(struct http_server *server);
void session_input_give(struct http_server *server, uint8_t *input);
struct arena *session_arena_take(struct http_server *server);
void session_arena_give(struct http_server *server, struct arena *arena);
/* The current Date field's value (RFC 9110, 6.6.1); good until the next call. */
struct str session_date(struct http_server *server);

/* Begin to speak; both take over conn and peer from `from`. `data`: bytes already read from the connection. */
void h1_start(struct session *from);
void h2_start(struct session *from, const uint8_t *data, size_t size);

#endif
