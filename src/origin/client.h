/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h: requests to an origin, one curl multi per loop (libcurl, HTTP/1.1).
 *
 * An origin_fetch is made, pulled and closed on one loop. Its reply's head comes by callback, its body is an
 * http/source. The body is not buffered beyond a window (256 KiB): a consumer that does not pull stops the connection's
 * reading.
 *
 * What is safe is tried again here (retry.h: connect failures; a reused connection that broke before any reply byte;
 * GET and HEAD without a body whose connection broke, or which were answered 500, 502, 503, 504 or 408, honouring
 * Retry-After up to a bound) with exponential back-off and full jitter, until the attempts are used up; then the last
 * reply, or the failure, is handed over as it is. Once a head was handed over nothing is retried here. Redirects are
 * never followed: the reply is handed over.
 */
#ifndef HEADPOND_ORIGIN_CLIENT_H
#define HEADPOND_ORIGIN_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "http/message.h"
#include "http/source.h"

struct budget_ticket;
struct credential;
struct loop;

/* What libcurl reads or sends at most at once for a modest request, and how much of its reply is queued. Its transfer
 * holds up to three times as much: libcurl's own buffer, what was refused, the queue. */
#define ORIGIN_MODEST_BYTES (64 * 1024L)

struct origin_limits {
    int64_t connect_timeout;    /* ms; resolution, TCP and TLS */
    int64_t first_byte_timeout; /* ms from the request's last byte to the reply's head */
    int64_t stall_timeout;      /* ms without a byte while we want some */
    unsigned retries;           /* further attempts after the first */
};

/* All of it is copied by origin_fetch_start. */
struct origin_request {
    const char *account; /* for metrics and the log */
    struct str id;       /* what the log calls the request that this one is made for, or a NULL str */
    const char *base;    /* "https://x.blob.core.windows.net", or with a path prefix; no trailing slash */
    const char *ca_file; /* instead of the system's CAs, or NULL */
    struct str method;
    struct str target; /* "/container/blob?query" as the client wrote it: appended to base untouched; where the base has
                          a path, also "?query" alone */
    /* As they go out; nothing is added (no Accept, User-Agent or Expect of libcurl's own). Host, Content-Length and
     * hop-by-hop fields are left out. May be NULL. */
    const struct http_headers *headers;
    /* Of the account and the client that it is for (budget.h); its right to ask, if it has it, is taken over. NULL: asked
     * unbounded. */
    struct budget_ticket *budget;
    struct credential *signer; /* signs each attempt in place of what credential the headers hold; or NULL */
    int64_t content_length;    /* of the body; HTTP_LENGTH_UNKNOWN: sent chunked; 0: none */
    bool retry;                /* this request may be tried again as described above */
    bool modest;               /* small buffers, for one of many: see ORIGIN_MODEST_BYTES */
};

struct origin_fetch;

struct origin_events {
    /* The final reply's head (1xx are skipped), or NULL when there is none: then `why` says it. Called exactly once
     * unless closed before, from the loop, never from inside origin_fetch_start. *head and its texts are good during
     * the call; copy what is kept. */
    void (*head)(void *arg, const struct http_response *head, enum status why);
    void *arg;
};

/* Takes *body (NULL or holding NULL: none). Never fails at once: every failure comes through events->head; a request
 * that HTTP/1.1 cannot carry is BAD_REQUEST or BAD_TARGET there. */
struct origin_fetch *origin_fetch_start(struct loop *loop, const struct origin_limits *limits,
                                        const struct origin_request *request, struct source **body,
                                        const struct origin_events *events);

/* The reply's body; valid after a head. It lives as long as the fetch; do not source_close it, close the fetch. Its
 * error is STALLED, TRUNCATED, RESET… when the body did not arrive whole. */
struct source *origin_fetch_body(struct origin_fetch *fetch);

/* Whether all of the request's body was taken from its source: the origin may have got it, and may act on it. True when
 * there is none. */
bool origin_fetch_sent_all(const struct origin_fetch *fetch);
/* What was wrong with the request's body as far as it was read; OK if nothing. */
enum status origin_fetch_upload_error(const struct origin_fetch *fetch);
/* How many further attempts were made. */
unsigned origin_fetch_retries(const struct origin_fetch *fetch);

/* Turns a fetch whose head has come into a source of its own, whose close ends the fetch too. */
struct source *origin_fetch_into_source(struct origin_fetch **fetch);

/* Aborts whatever is under way; no callback follows. Empties the pointer; *fetch may be NULL. Allowed inside `head`. */
void origin_fetch_close(struct origin_fetch **fetch);

/* Own thread: ends the loop's multi; all fetches must be closed. */
void origin_loop_fini(struct loop *loop);

#endif
