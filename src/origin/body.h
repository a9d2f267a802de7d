/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.h: a reply's body as an http/source, between libcurl's write callback and the consumer.
 *
 * While the consumer waits, what arrives is shown to it where libcurl read it, without a copy; what it leaves, or what
 * comes while it does not ask, is queued up to a window. A full window refuses, which pauses the connection. Owning
 * loop's thread only.
 */
#ifndef HEADPOND_ORIGIN_BODY_H
#define HEADPOND_ORIGIN_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "http/source.h"

#define ORIGIN_BODY_WINDOW (256u * 1024)

struct origin_body {
    struct source source; /* first: cast from */
    /* Both from inside the consumer's calls: note what is to be done, call nobody back. */
    void (*drained)(struct origin_body *body); /* something was refused, and now there is room */
    void (*closed)(struct origin_body *body);  /* source_close */
    uint8_t *queue;                            /* a ring of `window` bytes, made when first needed */
    size_t window;
    size_t first; /* where the oldest byte is */
    size_t queued;
    const uint8_t *shown; /* during an offer: what of it is not yet taken */
    size_t shown_bytes;
    int64_t left; /* body bytes still to be offered; HTTP_LENGTH_UNKNOWN */
    bool refused; /* the last offer was */
    bool waiting; /* the consumer has been told SOURCE_WAIT and not called since */
    bool ended;
    enum status end;
};

/* `window`: also the largest offer. */
void origin_body_init(struct origin_body *body, size_t window, void (*drained)(struct origin_body *body),
                      void (*closed)(struct origin_body *body));
void origin_body_fini(struct origin_body *body);

/* The length to come, once the head has told it. */
void origin_body_expect(struct origin_body *body, int64_t length);

/* The next bytes, at most what is left. False: the window is full, none was taken; offer the same again after
 * `drained`. The consumer may be called back, and may end everything but the memory of *body. */
bool origin_body_offer(struct origin_body *body, const void *data, size_t bytes);

/* No more will come: OK, or why. After OK, TRUNCATED when something was left. No effect once all was there. May call
 * the consumer back. */
void origin_body_end(struct origin_body *body, enum status end);

/* All bytes are here (taken or queued). */
bool origin_body_whole(const struct origin_body *body);

#endif
