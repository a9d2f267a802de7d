/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multi.h: a loop's curl multi, driven by libevent.
 *
 * libcurl forbids most of its calls from inside its callbacks, and what our callbacks reach (the cache, the proxy)
 * starts, resumes and ends transfers as it pleases. So no request made here touches libcurl at once: it is noted, and
 * done when nothing of libcurl is on the stack any more, in the same event or at the loop's next turn. Owning loop's
 * thread only.
 */
#ifndef HEADPOND_ORIGIN_MULTI_H
#define HEADPOND_ORIGIN_MULTI_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;
struct origin_multi;
struct origin_transfer;

struct origin_transfer_class {
    /* The transfer ended, or was cancelled with `result`; it is no longer in the multi and may be started again. */
    void (*done)(struct origin_transfer *transfer, CURLcode result);
    /* Frees what the transfer is embedded in. The last call; nothing of it is on the stack. */
    void (*destroy)(struct origin_transfer *transfer);
};

/* Embedded in whoever owns a libcurl easy handle. */
struct origin_transfer {
    const struct origin_transfer_class *class;
    struct origin_multi *multi;
    CURL *easy;
    struct list node; /* all of this loop's */
    struct list work; /* those with something in todo */
    unsigned todo;
    unsigned paused; /* CURLPAUSE_RECV, CURLPAUSE_SEND: what a callback has asked libcurl for */
    CURLcode result; /* what a cancelled transfer's done is told */
    bool running;    /* in the multi */
};

/* The loop's multi, made on first use. */
struct origin_multi *origin_multi_of(struct loop *loop);
/* Ends and destroys all transfers, then the multi. `may_end` says whether a transfer may still be there. */
void origin_multi_fini(struct loop *loop, bool (*may_end)(const struct origin_transfer *transfer));

/* A transfer with a fresh easy handle, not started. */
void origin_transfer_init(struct origin_transfer *transfer, struct origin_multi *multi,
                          const struct origin_transfer_class *class);

/* Each of these takes effect soon, never before it returns. */
void origin_transfer_start(struct origin_transfer *transfer);
/* Lifts pauses: a mask of CURLPAUSE_RECV and CURLPAUSE_SEND. Nothing when it is not paused. */
void origin_transfer_resume(struct origin_transfer *transfer, unsigned directions);
/* Takes it out of the multi; class->done follows with `result`, also when it was not running. */
void origin_transfer_cancel(struct origin_transfer *transfer, CURLcode result);
/* Takes it out of the multi without a done; class->destroy follows. */
void origin_transfer_stop(struct origin_transfer *transfer);

/* A CA bundle for those who name none: the distribution's, else what libcurl was built for; NULL: none. */
const char *origin_multi_ca_file(const struct origin_multi *multi);
/* 64 random bits, for back-off; not for secrets. */
uint64_t origin_multi_random(struct origin_multi *multi);
/* The loop it runs on. */
struct loop *origin_multi_loop(const struct origin_multi *multi);
/* How many closed transfers are still being finished for their connection's sake; the caller counts in and out. */
unsigned *origin_multi_lingering(struct origin_multi *multi);

#endif
