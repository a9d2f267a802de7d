/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range.c: Range and Content-Range. Lines: a Range, a Content-Range. What is understood can be written and understood
 * again, and no span leaves its body.
 */
#include <inttypes.h>

#include "base/hash.h"
#include "http/range.h"
#include "fuzz.h"

static void resolve(struct range range, uint64_t length)
{
    struct range_span span;
    enum range_fit fit = range_resolve(range, length, &span);
    bool asked = range.kind == RANGE_BYTES || range.kind == RANGE_SUFFIX;
    fuzz_check((fit == RANGE_WHOLE) == !asked);
    if (fit == RANGE_WHOLE)
        fuzz_check(span.first == 0 && span.bytes == length && (length == 0 || span.last == length - 1));
    if (fit == RANGE_PARTIAL)
        fuzz_check(span.first <= span.last && span.last < length && span.bytes == span.last - span.first + 1);
    if (fit == RANGE_PARTIAL && range.kind == RANGE_BYTES)
        fuzz_check(span.first == range.first && span.last <= range.last);
    if (length == 0 && asked)
        fuzz_check(fit == RANGE_UNSATISFIABLE);
}

static void check_range(struct str text)
{
    struct range range = range_parse(text), again;
    char out[96];
    fuzz_check(range.kind != RANGE_NONE);
    if (range.kind == RANGE_BYTES && range.last == RANGE_TO_END)
        snprintf(out, sizeof out, "bytes=%" PRIu64 "-", range.first);
    else if (range.kind == RANGE_BYTES)
        snprintf(out, sizeof out, "bytes=%" PRIu64 "-%" PRIu64, range.first, range.last);
    else
        snprintf(out, sizeof out, "bytes=-%" PRIu64, range.last);
    if (range.kind == RANGE_BYTES || range.kind == RANGE_SUFFIX) {
        again = range_parse(str_from(out));
        fuzz_check(again.kind == range.kind && again.first == range.first && again.last == range.last);
    }
    const uint64_t lengths[] = {
        0, 1, 2, range.first, range.first + 1, range.last, hash64(text.ptr, text.len, 0), INT64_MAX, UINT64_MAX};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        resolve(range, lengths[i]);
}

static void check_content_range(struct str text)
{
    struct content_range range, again;
    char out[CONTENT_RANGE_MAX];
    if (content_range_parse(text, &range) != STATUS_OK)
        return;
    if (range.unsatisfied)
        fuzz_check(range.length_known);
    else
        fuzz_check(range.first <= range.last && (!range.length_known || range.last < range.length));
    fuzz_check(range.last < INT64_MAX && range.length < INT64_MAX);
    unsigned len = content_range_format(&range, out);
    fuzz_check(len < CONTENT_RANGE_MAX && strlen(out) == len);
    fuzz_check(content_range_parse(str_from(out), &again) == STATUS_OK);
    fuzz_check(again.unsatisfied == range.unsatisfied && again.length_known == range.length_known);
    fuzz_check(again.first == range.first && again.last == range.last && again.length == range.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size);
    check_range(fuzz_line(arena, &rest));
    check_content_range(fuzz_line(arena, &rest));
    arena_free(arena);
    return 0;
}
