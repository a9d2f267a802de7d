/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its reply: set up by a mode, run by the engine, checked as it arrives. The body
 * is compared piece by piece and never kept. An engine tells it what comes; it knows none of them.
 */
#ifndef T_CLIENT_TRANSFER_H
#define T_CLIENT_TRANSFER_H

#include "options.h"

#define TRANSFER_MAX_FIELDS 100
#define TRANSFER_ERROR_SIZE 256

struct transfer {
    /* The request. transfer_init() sets the defaults: a GET of the whole blob. */
    struct target *target;
    size_t base;  /* which of the options' it is sent to; the engine's choice */
    size_t moves; /* how often that was another, for want of a connection */
    bool head, ms_range, own_connection;
    char range[64];      /* "bytes=0-9"; empty: none */
    char condition[256]; /* a whole header line; empty: none */
    int64_t rate;        /* bytes/s, 0: as fast as it goes */
    int64_t abort_after; /* body bytes, -1: never */
    bool slow;           /* not waited for */
    int64_t due;         /* ns: not sent before; h1 only */

    /* What a right reply is. */
    int want_status, or_status; /* 0: any, none */
    int64_t want_from, want_length;

    /* The reply. */
    int status;
    char *fields[TRANSFER_MAX_FIELDS]; /* "Name: value", of the final reply only */
    size_t field_count;
    int64_t offset;        /* of the next body byte within the blob */
    int64_t body_bytes;    /* all of them */
    int64_t checked_bytes; /* those that were blob content */
    uint32_t seeds;        /* those that still agree */
    int64_t mismatch_at;   /* -1: none */
    char error_body[512];
    size_t error_len;
    bool aborted;   /* by us */
    int result;     /* 0: it went well; else an error as libcurl numbers them, and `error` says more */
    int http_major; /* 1 or 2; 0: nothing was spoken */
    char error[TRANSFER_ERROR_SIZE];
    int64_t started, first_byte, last_progress, ended; /* ns */

    const struct options *options;
};

/* Prepares a slot for a request; what it did before is forgotten. */
void transfer_init(struct transfer *t, const struct options *o, struct target *target);
/* A range and what it must give. `to` is inclusive, INT64_MAX: "bytes=from-". */
void transfer_set_range(struct transfer *t, int64_t from, int64_t to);
void transfer_fini(struct transfer *t);

static inline const char *transfer_url(const struct transfer *t)
{
    return t->target->urls[t->base];
}

/* For the engines. The lines are "Name: value" without an end, valid during the call. */
void transfer_request_lines(const struct transfer *t, void (*add)(void *ctx, const char *line), void *ctx);
void transfer_begin(struct transfer *t); /* the clock starts */
static inline bool transfer_running(const struct transfer *t)
{
    return t->started && !t->ended;
}
/* Each status starts anew: what an interim reply says is not the reply's. */
void transfer_got_status(struct transfer *t, int status);
void transfer_got_field(struct transfer *t, const char *line, size_t n);
/* Checks the next bytes of the body. false: that is enough, the mode wants the reply aborted here. */
bool transfer_got_body(struct transfer *t, const char *data, size_t n);

const char *transfer_field(const struct transfer *t, const char *name); /* the last one, or NULL */

/* Compares the reply with what was wanted; notes the ETag. NULL, or what is wrong, in a static or
   per-transfer buffer. One call at a time. */
const char *transfer_verify(struct transfer *t);

int64_t clock_ns(void);

#endif
