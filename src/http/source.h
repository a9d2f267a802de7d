/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h: the one face of everything a body is pulled from: an origin's reply, a peer's, a flight, the store, a
 * request's body, a piece of memory.
 *
 * The consumer pulls: source_peek() shows bytes that are there, source_consume() takes some of them. Nothing is
 * buffered for a consumer that does not pull, which is how a slow reader pushes back on whoever produces.
 *
 *   - A source lives on one loop: made, pulled and closed there.
 *   - source_peek answers SOURCE_DATA with one or more pieces; they are good until source_consume, which must follow in
 *     the same event (n may be 0: what was shown may then be shown again, at another address). A pin never outlives an
 *     event.
 *   - SOURCE_WAIT: nothing now; `ready` will be called once there is something to learn (data, end or failure). It is
 *     called at most once for each WAIT, from the loop, never from inside a call on this source; a spurious call is
 *     allowed.
 *   - SOURCE_END: all bytes have been taken and they were all there were. SOURCE_FAILED: source->error says why; the
 *     consumer must make its own end look broken (I5). Both stay.
 *   - source_close() may be called at any time outside the source's own methods, also from its `ready`; it aborts what
 *     is under way, frees the source, and no callback follows.
 */
#ifndef HEADPOND_HTTP_SOURCE_H
#define HEADPOND_HTTP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/status.h"
#include "base/str.h"

enum source_state { SOURCE_DATA, SOURCE_WAIT, SOURCE_END, SOURCE_FAILED };

#define SOURCE_MAX_PIECES 16

/* What peek shows. */
struct source_view {
    struct iovec pieces[SOURCE_MAX_PIECES];
    unsigned count;
    size_t bytes; /* their sum, at most what was asked for */
};

struct source;

struct source_class {
    const char *name;
    enum source_state (*peek)(struct source *source, struct source_view *view, size_t max);
    void (*consume)(struct source *source, size_t bytes);
    void (*close)(struct source *source);
};

struct source {
    const struct source_class *class;
    void (*ready)(void *arg); /* set by the consumer before the first peek */
    void *arg;
    enum status error; /* why SOURCE_FAILED */
};

/* Up to `max` bytes (> 0). */
static inline enum source_state source_peek(struct source *source, struct source_view *view, size_t max)
{
    view->count = 0;
    view->bytes = 0;
    return source->class->peek(source, view, max);
}

static inline void source_consume(struct source *source, size_t bytes)
{
    source->class->consume(source, bytes);
}

/* Empties the caller's pointer; *source may be NULL. */
static inline void source_close(struct source **source)
{
    struct source *gone = *source;
    *source = NULL;
    if (gone != NULL)
        gone->class->close(gone);
}

static inline void source_listen(struct source *source, void (*ready)(void *arg), void *arg)
{
    source->ready = ready;
    source->arg = arg;
}

/* A source over a copy of `text`. */
struct source *source_from_str(struct str text);

#endif
