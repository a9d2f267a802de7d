/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h: what is tried again, and when. Pure functions; any thread.
 *
 * Only what cannot have been done twice is tried again (RFC 9110, 9.2.2): what never left, what a dying reused
 * connection cannot have answered, and reads. A body that was pulled from its source, if only in part, is gone: such a
 * request is never repeated.
 */
#ifndef HEADPOND_ORIGIN_RETRY_H
#define HEADPOND_ORIGIN_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

#define ORIGIN_RETRY_BASE_MS 100        /* the first wait is between 0 and this */
#define ORIGIN_RETRY_CAP_MS 5000        /* no wait of our own choice is longer */
#define ORIGIN_RETRY_AFTER_MAX_MS 10000 /* nor one the origin asked for */
#define ORIGIN_BUSY_WAIT_MS 500

/* How an attempt ended. */
struct origin_retry_facts {
    bool allowed;        /* the caller's word */
    bool body_taken;     /* a byte of the request's body has been pulled */
    bool read;           /* GET or HEAD without a body */
    bool sent;           /* the request may have reached the origin */
    bool reused;         /* on a connection that had served before */
    bool reply_began;    /* a byte of the reply has come */
    int status;          /* the reply's, or 0 when there is none */
    enum status failure; /* when there is none */
};

/* Why it is tried again, as the metric's label; NULL: it is not. */
const char *origin_retry_reason(const struct origin_retry_facts *facts);

/* Milliseconds to wait before further attempt number `attempt` (from 1): exponential with full jitter out of `random`;
 * at least retry_after when that is >= 0. */
int64_t origin_retry_delay(unsigned attempt, uint64_t random, int64_t retry_after);

/* The least wait after `attempt` further attempts, in ms, where the account has just been found busy: all attempts in the
 * second in which it refuses whatever it is asked would be in vain. Doubled each time, up to ORIGIN_RETRY_CAP_MS. */
int64_t origin_busy_wait(unsigned attempt);

/* A Retry-After field in ms from now (RFC 9110, 10.2.3: seconds or a date), at most ORIGIN_RETRY_AFTER_MAX_MS; -1 when
 * absent or malformed. */
int64_t origin_retry_after(struct str value, int64_t now_s);

#endif
