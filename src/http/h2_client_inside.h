/* SPDX-License-Identifier: Apache-2.0 */
/* h2_client_inside.h: for h2_client.c (the connection) and h2_call.c (a request and its reply) alone. */
#ifndef HEADPOND_HTTP_H2_CLIENT_INSIDE_H
#define HEADPOND_HTTP_H2_CLIENT_INSIDE_H

#include <nghttp2/nghttp2.h>

#include "base/list.h"
#include "http/chunks.h"
#include "http/h2_client.h"
#include "net/loop.h"

struct h2_client {
    struct loop *loop;
    struct conn *conn;
    nghttp2_session *ng;
    struct h2_client_options options;
    struct h2_client_events events;
    struct list calls; /* that have not been closed */
    struct list news;  /* of these, who is to be told something */
    unsigned count;    /* of streams */
    struct timer task; /* runs it soon */
    int64_t heard_ms;  /* when something last came; loop_now_ms */
    bool opened;
    bool leaving;
    bool pinged;  /* since then */
    bool unread;  /* the connection may have more */
    bool running; /* nghttp2 must not be entered again */
    bool again;
    bool over;       /* of no more use; `why` */
    enum status why; /* what its calls learn */
};

struct h2_call {
    struct source source;     /* first */
    struct h2_client *client; /* NULL: it has been closed */
    struct list link;
    struct list news;
    struct h2_call_events events;
    int32_t id; /* of its stream; -1: it has none any more */
    struct arena *arena;
    struct http_response head;
    size_t head_bytes;
    struct chunks chunks;
    bool processing; /* 102 has come, which its owner does not know yet */
    bool whole;      /* the head */
    bool told;       /* `head` was called */
    bool last;       /* END_STREAM has come */
    bool ended;      /* and the stream is over */
    bool waits;      /* the consumer does, for `ready` */
    enum status why; /* OK, or why it failed */
};

/* ---- h2_client.c ---- */
/* Has it run soon. */
void h2_client_kick(struct h2_client *client);

/* ---- h2_call.c ---- */
/* nghttp2 has a field of the reply's head. False: it is too much. */
bool h2_call_field(struct h2_call *call, struct str name, struct str value);
/* A head is whole: 1xx are forgotten. */
void h2_call_head(struct h2_call *call);
void h2_call_data(struct h2_call *call, const uint8_t *data, size_t size);
/* Its stream is over: well, if why is OK. */
void h2_call_over(struct h2_call *call, enum status why);
/* Tells its owner what there is to tell, who may close it. */
void h2_call_tell(struct h2_call *call);

#endif
