/* SPDX-License-Identifier: Apache-2.0 */
/* range.c: Range and Content-Range. */
#include "http/range.h"

/* Takes digits off the front; a number past INT64_MAX becomes INT64_MAX, which no length exceeds. False: no digit. */
static bool take_number(struct str *text, uint64_t *value)
{
    size_t i = 0;
    uint64_t sum = 0;
    for (; i < text->len && text->ptr[i] >= '0' && text->ptr[i] <= '9'; i++) {
        unsigned digit = (unsigned) (text->ptr[i] - '0');
        sum = sum > ((uint64_t) INT64_MAX - digit) / 10 ? INT64_MAX : sum * 10 + digit;
    }
    text->ptr += i;
    text->len -= i;
    *value = sum;
    return i > 0;
}

/* One of "a-b", "a-" and "-n", the whole text. */
static struct range parse_one(struct str text)
{
    struct range range = {RANGE_BYTES, 0, RANGE_TO_END};
    if (str_take(&text, STR("-"))) {
        uint64_t count;
        bool suffix = take_number(&text, &count) && text.len == 0;
        return (struct range){suffix ? RANGE_SUFFIX : RANGE_MALFORMED, 0, suffix ? count : 0};
    }
    if (!take_number(&text, &range.first) || !str_take(&text, STR("-")))
        return (struct range){RANGE_MALFORMED, 0, 0};
    if (text.len > 0 && (!take_number(&text, &range.last) || text.len > 0 || range.last < range.first))
        return (struct range){RANGE_MALFORMED, 0, 0};
    return range;
}

struct range range_parse(struct str value)
{
    if (value.ptr == NULL)
        return (struct range){RANGE_NONE, 0, 0};
    value = str_trim(value);
    if (!str_istarts(value, STR("bytes=")))
        return (struct range){RANGE_MALFORMED, 0, 0};
    value.ptr += 6;
    value.len -= 6;
    if (str_find(value, ',') < 0)
        return parse_one(value);
    /* Several: every one of them must be well formed for the whole to be. */
    while (value.ptr != NULL) {
        struct str one = str_trim(str_split(value, ',', &value));
        if (parse_one(one).kind == RANGE_MALFORMED)
            return (struct range){RANGE_MALFORMED, 0, 0};
    }
    return (struct range){RANGE_MULTI, 0, 0};
}

enum range_fit range_resolve(struct range range, uint64_t length, struct range_span *span)
{
    switch (range.kind) {
    case RANGE_NONE:
    case RANGE_MULTI:
    case RANGE_MALFORMED:
        *span = (struct range_span){0, length == 0 ? 0 : length - 1, length};
        return RANGE_WHOLE;
    case RANGE_SUFFIX:
        if (length == 0 || range.last == 0)
            return RANGE_UNSATISFIABLE;
        range.first = range.last < length ? length - range.last : 0;
        range.last = RANGE_TO_END;
        break;
    case RANGE_BYTES:
        break;
    }
    if (range.first >= length)
        return RANGE_UNSATISFIABLE;
    if (range.last > length - 1)
        range.last = length - 1;
    *span = (struct range_span){range.first, range.last, range.last - range.first + 1};
    return RANGE_PARTIAL;
}

enum status content_range_parse(struct str value, struct content_range *range)
{
    *range = (struct content_range){0};
    value = str_trim(value);
    if (!str_istarts(value, STR("bytes ")))
        return STATUS_INVALID;
    value.ptr += 6;
    value.len -= 6;
    if (str_take(&value, STR("*"))) {
        range->unsatisfied = true;
    } else if (!take_number(&value, &range->first) || !str_take(&value, STR("-")) ||
               !take_number(&value, &range->last) || range->last < range->first || range->last >= INT64_MAX) {
        return STATUS_INVALID;
    }
    if (!str_take(&value, STR("/")))
        return STATUS_INVALID;
    if (str_take(&value, STR("*"))) {
        /* a star on both sides would say nothing at all */
        return range->unsatisfied || value.len > 0 ? STATUS_INVALID : STATUS_OK;
    }
    range->length_known = true;
    if (!take_number(&value, &range->length) || value.len > 0 || range->length >= INT64_MAX)
        return STATUS_INVALID;
    if (!range->unsatisfied && range->last >= range->length)
        return STATUS_INVALID;
    return STATUS_OK;
}

unsigned content_range_format(const struct content_range *range, char out[CONTENT_RANGE_MAX])
{
    char *at = str_put(out, STR("bytes "));
    if (range->unsatisfied) {
        *at++ = '*';
    } else {
        at = str_put_number(at, range->first);
        *at++ = '-';
        at = str_put_number(at, range->last);
    }
    *at++ = '/';
    if (range->unsatisfied || range->length_known)
        at = str_put_number(at, range->length);
    else
        *at++ = '*';
    *at = '\0';
    return (unsigned) (at - out);
}
