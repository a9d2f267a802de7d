/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its reply: set up by a mode, run by the engine, checked as it arrives. The body
 * is compared piece by piece and never kept.
 */
#ifndef T_CLIENT_TRANSFER_H
#define T_CLIENT_TRANSFER_H

#include <curl/curl.h>

#include "options.h"

#define TRANSFER_MAX_FIELDS 100

struct transfer {
    /* The request. transfer_init() sets the defaults: a GET of the whole blob. */
    struct target *target;
    bool head, ms_range, own_connection;
    bool reuse_only;     /* h2c: on a connection that is there, see engine.c */
    char range[64];      /* "bytes=0-9"; empty: none */
    char condition[256]; /* a whole header line; empty: none */
    int64_t rate;        /* bytes/s, 0: as fast as it goes */
    int64_t abort_after; /* body bytes, -1: never */
    bool slow;           /* not waited for */

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
    bool aborted;      /* by us */
    bool open_refused; /* reuse_only, and there was no connection */
    int tries;
    CURLcode result;
    char error[CURL_ERROR_SIZE];
    long http_version;
    int64_t started, first_byte, last_progress, ended; /* ns */
    bool paused;                                       /* for its rate's sake, until resume_at */
    int64_t resume_at;

    CURL *easy;
    struct curl_slist *lines;
    const struct options *options;
};

/* Prepares a slot for a request; what it did before is forgotten. */
void transfer_init(struct transfer *t, const struct options *o, struct target *target);
/* A range and what it must give. `to` is inclusive, INT64_MAX: "bytes=from-". */
void transfer_set_range(struct transfer *t, int64_t from, int64_t to);
/* Hands the request over to t->easy. */
void transfer_prepare(struct transfer *t);
void transfer_fini(struct transfer *t);

const char *transfer_field(const struct transfer *t, const char *name); /* the last one, or NULL */

/* Compares the reply with what was wanted; notes the ETag. NULL, or what is wrong, in a static or
   per-transfer buffer. One call at a time. */
const char *transfer_verify(struct transfer *t);

int64_t clock_ns(void);

#endif
