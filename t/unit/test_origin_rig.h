/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The origin client's tests stand on this: a loop on its thread, an origin that is a few lines of script on a raw
 * socket, and a consumer of fetches that notes what it is told. Every wait is bounded; nothing sleeps to synchronise.
 */
#ifndef HEADPOND_T_UNIT_TEST_ORIGIN_RIG_H
#define HEADPOND_T_UNIT_TEST_ORIGIN_RIG_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "origin/client.h"

#define RIG_WAIT_S 20

/* ---- the loop ---- */
void rig_start(void);
void rig_stop(void);
struct loop *rig_loop(void);
/* Runs it on the loop's thread and returns when it has. */
void rig_call(void (*run)(void *arg), void *arg);
/* Runs it on the loop's thread once, after what is there now; returns at once. The letter is freed. */
void rig_post(void (*run)(void *arg), void *arg);
/* False when it took too long. */
bool rig_wait(sem_t *sem);
/* Open descriptors of this process. */
unsigned rig_descriptors(void);

/* ---- the origin: each connection runs the script on a thread of its own ---- */
struct server;
struct conn {
    struct server *server;
    unsigned number; /* from 0 */
    int fd;
    struct strbuf in; /* received and not yet looked at */
};
struct server *server_new(void (*script)(struct conn *conn));
void server_free(struct server *server);
const char *server_base(const struct server *server); /* "http://127.0.0.1:PORT" */
unsigned server_connections(struct server *server);
/* All request heads so far, one after another; the caller frees it. */
char *server_heads(struct server *server);
unsigned server_requests(struct server *server);
/* A free place for the script and the test: posted and waited for by either. */
sem_t *server_gate(struct server *server);
void *server_user(struct server *server);
void server_set_user(struct server *server, void *user);

/* The next request's head, NUL-terminated, or NULL at the connection's end; the caller frees it. */
char *conn_head(struct conn *conn);
/* Reads that many body bytes; fewer at the connection's end. Returns how many; *out may be NULL. */
size_t conn_read(struct conn *conn, size_t bytes, struct strbuf *out);
/* A chunked body's content; false when it does not end properly. */
bool conn_read_chunked(struct conn *conn, struct strbuf *out);
bool conn_send(struct conn *conn, const void *data, size_t bytes);
bool conn_say(struct conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Waits until the peer closes; false when it does not. */
bool conn_until_closed(struct conn *conn);
/* The close that follows sends a reset. */
void conn_reset(struct conn *conn);

/* ---- the consumer ---- */
enum close_at { CLOSE_NEVER, CLOSE_IN_HEAD, CLOSE_IN_READY, CLOSE_AT_END };
struct probe {
    /* set before probe_start */
    const char *base;
    const char *ca_file;
    const char *method;        /* NULL: GET */
    const char *target;        /* NULL: "/c/b" */
    const char *const *fields; /* name, value, …, NULL */
    const char *send;          /* the body, or NULL */
    struct source *source;     /* or this */
    int64_t send_length;       /* -2: send's own */
    bool retry;
    struct origin_limits limits; /* all 0: generous ones and no retries */
    enum close_at close_at;
    bool idle;   /* does not pull until probe_pull */
    size_t step; /* at most so much at a time; 0: all */
    bool keep;   /* the body's bytes go to `body`, else they are only counted */
    bool into_source;
    void (*on_head)(struct probe *probe); /* on the loop, inside the head callback */

    /* told */
    sem_t told_head;
    sem_t told_end;
    unsigned heads;
    int status;
    enum status why;
    int64_t content_length;
    struct strbuf head; /* "Name: value\n" lines */
    struct strbuf body;
    uint64_t bytes;
    unsigned readies;
    enum source_state state;
    enum status error;
    bool pulling;
    struct origin_fetch *fetch;
    struct source *pulled;
};
void probe_init(struct probe *probe, const char *base);
/* Any thread but the loop's. */
void probe_start(struct probe *probe);
/* The same on the loop's thread. */
void probe_start_here(struct probe *probe);
void probe_pull(struct probe *probe);
bool probe_wait_head(struct probe *probe);
bool probe_wait_end(struct probe *probe);
void probe_close(struct probe *probe);
/* Starts, pulls and closes. */
void probe_run(struct probe *probe);
/* Closes if open, and frees. */
void probe_fini(struct probe *probe);

/* ---- a request's body that the test feeds ---- */
struct feed {
    struct source source;
    struct strbuf bytes;
    size_t taken;
    size_t step; /* shows at most so much at a time; 0: all */
    bool ended;
    bool failed;
    bool waiting;
    bool closed;
};
void feed_init(struct feed *feed);
/* From any thread but the loop's; wakes who waits. `end`: nothing follows. */
void feed_give(struct feed *feed, const char *text, bool end);
void feed_fail(struct feed *feed);
void feed_fini(struct feed *feed);

#endif
