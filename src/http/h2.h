/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.h: an HTTP/2 connection's parts, for h2.c (the connection and nghttp2's session), h2_stream.c (requests and
 * replies), h2_turn.c (which reply is sent next), h2_body.c (a request's body as a source) and h2_abuse.c (what a
 * client may make us do). Outside these only session.h's h2_start is called.
 */
#ifndef HEADPOND_HTTP_H2_H
#define HEADPOND_HTTP_H2_H

#include <nghttp2/nghttp2.h>

#include "http/exchange.h"
#include "http/session.h"

/* A stream's receive window until somebody takes its body, and after. The connection's bounds what all unread bodies of
 * it hold together. */
#define H2_WINDOW_START 65535
#define H2_WINDOW_FLOWING 262144
#define H2_WINDOW_CONNECTION 1048576
/* A DATA frame no larger than this even when the client takes more, so that streams interleave. */
#define H2_FRAME_MAX 65536
/* Header bytes after which the connection, not just the request, is refused: somebody plays with HPACK. */
#define H2_HEADERS_FATAL 262144
/* What the heads of all its streams may hold together; the next one is refused. A head with a long token is 4 KiB. */
#define H2_HEADERS_CONNECTION (2 * 1024 * 1024)
/* Per second, from one client or because of it; more is abuse: see h2_abuse.c. */
#define H2_MAX_RESETS 400
#define H2_MAX_CHEAP_FRAMES 2000
/* Control frames that wait for a client to take them. Each stream owes a few at a time. */
#define H2_MAX_BACKLOG 4096
/* Bytes a second of bodies nobody wants that are received all the same; */
#define H2_WASTE_MAX (8 * 1024 * 1024)
/* and of trailers, as they unfold: a byte may stand for a field of 4 KiB. */
#define H2_MAX_TRAILERS (4 * 1024 * 1024)

struct h2_body;

struct h2 {
    struct session session;
    nghttp2_session *ng;
    struct list streams;
    unsigned stream_count;
    size_t header_bytes;    /* of the streams' heads */
    int32_t refused;        /* the newest stream that was refused, */
    size_t refused_head;    /* and what came of its head */
    bool running;           /* h2_run is on the stack: nghttp2 must not be entered again */
    bool again;             /* something happened meanwhile: run once more */
    bool dead;              /* freed when h2_run ends */
    bool unread;            /* the connection may have more for us */
    bool paused;            /* nghttp2 returned because the connection is full or the turn is over */
    bool leaving;           /* GOAWAY was submitted */
    bool expelled;          /* for abuse: nothing it sends is looked at any more */
    enum status end;        /* what exchanges learn that are cut by the connection's end */
    struct h2_stream *turn; /* whose body is sent, or NULL: nobody's */
    struct list turns;      /* those that wait for that */
    size_t sent;            /* body bytes in this event */
    int64_t rate_ms;        /* when the second in which these were counted began */
    unsigned resets;
    unsigned cheap;
    size_t waste;
    size_t trailers;
};

struct h2_stream {
    struct http_exchange x; /* first */
    struct h2 *h2;
    struct list link;
    int32_t id;
    /* The request. */
    struct str path;
    size_t header_bytes; /* that came */
    size_t kept_bytes;   /* and that are held */
    enum status refuse;  /* OK, or why the head cannot be accepted */
    bool heard;          /* the handler knows of it */
    bool remote_closed;  /* END_STREAM was received */
    bool lengthy;        /* content-length was given */
    bool continue_owed;
    struct h2_body *body;
    /* The reply. */
    bool answered;
    bool local_closed; /* END_STREAM was sent */
    bool deferred;     /* the source said WAIT */
    bool known;        /* `left` counts */
    uint64_t left;
    struct source *source;
    struct list turn;        /* while it waits for its turn */
    struct source_view view; /* what its source shows; no bytes: nothing */
    size_t view_used;        /* of that, sent */
    enum status how;         /* OK, or what ended it */
    int64_t moved_ms;        /* when it last made progress */
};

/* ---- h2.c ---- */
/* Has h2_run called soon; from anywhere. */
void h2_kick(struct h2 *h2);

/* ---- h2_abuse.c ---- */
enum h2_offence {
    H2_OFFENCE_RESETS,
    H2_OFFENCE_CONTROL,
    H2_OFFENCE_HEADERS,
    H2_OFFENCE_SLOW_HEAD,
    H2_OFFENCE_BACKLOG,
};
/* Ends the connection with ENHANCE_YOUR_CALM; logged and counted, once. */
void h2_expel(struct h2 *h2, enum h2_offence why);
/* One frame that costs its sender nothing. */
void h2_count_cheap(struct h2 *h2);
/* The client has reset a stream; or we did, perhaps because of it. `stream` may be NULL. */
void h2_count_reset(struct h2 *h2);
void h2_count_reset_sent(struct h2 *h2, const struct h2_stream *stream, uint32_t code);
/* So many bytes came that nobody wants: whether this second's bound allows it. */
bool h2_may_waste(struct h2 *h2, size_t bytes);
/* So many bytes of trailers were dropped. */
void h2_count_trailer(struct h2 *h2, size_t bytes);
/* Looks whether the client makes more to be sent than it takes. */
void h2_check_backlog(struct h2 *h2);

/* ---- h2_stream.c ---- */
extern const struct http_transport h2_transport;
struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id);
/* The exchange is over: tells the handler (if it knows of it) and frees the stream. */
void h2_stream_finish(struct h2_stream *stream);
/* One field of the head. False: the connection is to end. */
bool h2_stream_header(struct h2_stream *stream, struct str name, struct str value);
/* The head is whole: hands the request to the handler. */
void h2_stream_request(struct h2_stream *stream, bool ended);
/* A reply's head that is not its last one: 1xx. */
void h2_stream_interim(struct h2_stream *stream, int status);
/* nghttp2's callbacks for the reply's body. */
ssize_t h2_stream_read(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t length, uint32_t *flags,
                       nghttp2_data_source *source, void *arg);
int h2_stream_send(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t length,
                   nghttp2_data_source *source, void *arg);

/* ---- h2_turn.c ---- */
/* Whether the stream has bytes to send, and it is its turn: up to *length of them. WAIT: it will be asked again, by
 * `ready` of its source where `deferred` says so. END and FAILED: its source's. */
enum source_state h2_turn_take(struct h2_stream *stream, size_t *length);
/* The next bytes of its view, as pieces; how many these are. */
unsigned h2_turn_view(const struct h2_stream *stream, struct iovec *pieces, size_t length);
/* They have been sent. */
void h2_turn_sent(struct h2_stream *stream, size_t length);
/* Nothing can be sent of whose turn it is: false, if nobody else waits for it. */
bool h2_turn_skip(struct h2 *h2);
/* Others may look at their sources now. */
void h2_turn_pause(struct h2 *h2);
/* The stream ends. */
void h2_turn_leave(struct h2_stream *stream);

/* ---- h2_body.c ---- */
struct source *h2_body_open(struct h2_stream *stream);
/* Nobody has begun to take it. */
bool h2_body_idle(const struct h2_body *body);
/* Takes a copy. False: nobody wants it. */
bool h2_body_add(struct h2_body *body, const uint8_t *data, size_t size);
void h2_body_end(struct h2_body *body);
void h2_body_fail(struct h2_body *body, enum status why);
/* The stream is gone: what has come may still be read if it was all. */
void h2_body_detach(struct h2_body *body, enum status why);
/* Since when a consumer has been waiting for bytes, or 0. loop_now_ms. */
int64_t h2_body_waiting_since(const struct h2_body *body);

#endif
