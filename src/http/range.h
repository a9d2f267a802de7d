/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range.h: byte ranges (RFC 9110, 14): what a client asks for, what that is of a body of a known length, and how a
 * reply says which part it carries. Offsets are 64-bit and never overflow: what is too large to be said is clamped,
 * since no body reaches that far. Pure; any thread.
 */
#ifndef HEADPOND_HTTP_RANGE_H
#define HEADPOND_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

enum range_kind {
    RANGE_NONE,      /* no range was asked for */
    RANGE_BYTES,     /* bytes=a-b or bytes=a- */
    RANGE_SUFFIX,    /* bytes=-n: Azure does not know it */
    RANGE_MULTI,     /* several: Azure answers with the whole blob */
    RANGE_MALFORMED, /* another unit, or no range at all: Azure answers with the whole blob */
};

#define RANGE_TO_END UINT64_MAX

struct range {
    enum range_kind kind;
    uint64_t first; /* BYTES */
    uint64_t last;  /* BYTES: inclusive, RANGE_TO_END when left open; SUFFIX: how many bytes */
};

/* A NULL str is RANGE_NONE. */
struct range range_parse(struct str value);

enum range_fit {
    RANGE_WHOLE,         /* answer 200 with everything (NONE, MULTI, MALFORMED) */
    RANGE_PARTIAL,       /* answer 206, also when the part is the whole */
    RANGE_UNSATISFIABLE, /* answer 416: it begins at or past the end, as every range of an empty body does */
};

struct range_span {
    uint64_t first;
    uint64_t last; /* inclusive; 0 when there are no bytes */
    uint64_t bytes;
};

/* What the range is of `length` bytes; the end is clipped. SUFFIX is answered as RFC 9110 has it, for whoever wants
 * that. *span is set unless UNSATISFIABLE. */
enum range_fit range_resolve(struct range range, uint64_t length, struct range_span *span);

/* Content-Range. */
struct content_range {
    bool unsatisfied; /* the form of a 416, "bytes *" and a length */
    uint64_t first;
    uint64_t last; /* inclusive */
    bool length_known;
    uint64_t length; /* of the whole representation */
};

/* INVALID: malformed, contradictory, past INT64_MAX, or another unit. */
enum status content_range_parse(struct str value, struct content_range *range) STATUS_CHECKED;

#define CONTENT_RANGE_MAX 80
/* "bytes first-last/length", or the 416 form, and a NUL; returns its length. */
unsigned content_range_format(const struct content_range *range, char out[CONTENT_RANGE_MAX]);

#endif
