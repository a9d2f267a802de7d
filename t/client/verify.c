/* SPDX-License-Identifier: Apache-2.0 */
/* transfer_verify(): what a reply must look like to be right, beyond its bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transfer.h"

static _Thread_local char problem[512];

#define FAIL(...) (snprintf(problem, sizeof problem, __VA_ARGS__), problem)

static const char *or_none(const char *s)
{
    return s ? s : "(none)";
}

/* How the transfer ended, apart from what the reply says. */
static const char *verify_end(const struct transfer *t)
{
    if (t->aborted)
        return NULL;
    if (t->result != 0)
        return FAIL("%s", t->error);
    if (t->http_major != (t->options->http2 ? 2 : 1))
        return FAIL("the wrong protocol was spoken (%d)", t->http_major);
    return NULL;
}

static const char *verify_length(const struct transfer *t)
{
    const char *length = transfer_field(t, "Content-Length");
    if (!length || strtoll(length, NULL, 10) != t->want_length)
        return FAIL("Content-Length is %s, not %" PRId64, or_none(length), t->want_length);
    if (transfer_field(t, "Transfer-Encoding"))
        return "Transfer-Encoding on a blob read";
    if (!t->head && !t->aborted && t->body_bytes != t->want_length)
        return FAIL("%" PRId64 " body bytes instead of %" PRId64, t->body_bytes, t->want_length);
    return NULL;
}

static const char *verify_content_range(const struct transfer *t)
{
    char want[128];
    const char *range = transfer_field(t, "Content-Range");
    if (t->status == 200)
        return range ? "Content-Range on a 200" : NULL;
    snprintf(want, sizeof want, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, t->want_from,
             t->want_from + t->want_length - 1, t->target->size);
    if (!range || strcmp(range, want) != 0)
        return FAIL("Content-Range is %s, not %s", or_none(range), want);
    return NULL;
}

static const char *verify_content(struct transfer *t)
{
    const char *etag = transfer_field(t, "ETag"), *bad;
    if (!etag)
        return "no ETag";
    if (!transfer_field(t, "Last-Modified"))
        return "no Last-Modified";
    if (t->mismatch_at >= 0)
        return FAIL("wrong byte at %" PRId64 " (ETag %s)", t->mismatch_at, etag);
    bad = verify_length(t);
    if (!bad)
        bad = verify_content_range(t);
    if (bad)
        return bad;
    bad = target_note_etag(t->target, etag, t->seeds, t->options->new_etags);
    return bad ? FAIL("%s (%s)", bad, etag) : NULL;
}

static const char *verify_refusal(const struct transfer *t)
{
    char want[64];
    const char *code = transfer_field(t, "x-ms-error-code");
    const char *range = transfer_field(t, "Content-Range");
    const char *want_code = t->status == 416                       ? "InvalidRange"
                            : t->status == 412 || t->status == 304 ? "ConditionNotMet"
                                                                   : NULL;
    if (t->status == 304 && t->body_bytes > 0)
        return "a 304 with a body";
    /* Caches commonly drop it from a 304, where nothing depends on it. */
    if (want_code && (code || t->status != 304) && (!code || strcmp(code, want_code) != 0))
        return FAIL("x-ms-error-code is %s, not %s", or_none(code), want_code);
    snprintf(want, sizeof want, "bytes */%" PRId64, t->target->size);
    if (t->status == 416 && range && strcmp(range, want) != 0)
        return FAIL("Content-Range is %s, not %s", range, want);
    return NULL;
}

const char *transfer_verify(struct transfer *t)
{
    const char *bad = t->mismatch_at >= 0 ? NULL : verify_end(t);
    if (bad)
        return bad;
    if (t->aborted && t->status == 0)
        return NULL;
    if (t->want_status && t->status != t->want_status && t->status != t->or_status) {
        const char *code = transfer_field(t, "x-ms-error-code");
        return FAIL("status %d (%s), not %d", t->status, or_none(code), t->want_status);
    }
    return t->status == 200 || t->status == 206 ? verify_content(t) : verify_refusal(t);
}
