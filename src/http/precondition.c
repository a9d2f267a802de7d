/* SPDX-License-Identifier: Apache-2.0 */
/* precondition.c: conditional reads. */
#include "http/precondition.h"

#include "base/date.h"

/* ---- Entity tags ---- */

/* The opaque part without quotes; *weak: it had a W/. */
static struct str etag_opaque(struct str tag, bool *weak)
{
    tag = str_trim(tag);
    *weak = str_starts(tag, STR("W/")) || str_starts(tag, STR("w/"));
    if (*weak) {
        tag.ptr += 2;
        tag.len -= 2;
    }
    if (tag.len >= 2 && tag.ptr[0] == '"' && tag.ptr[tag.len - 1] == '"') {
        tag.ptr++;
        tag.len -= 2;
    }
    return tag;
}

static bool etag_eq(struct str a, struct str b, bool strong)
{
    bool weak_a, weak_b;
    a = etag_opaque(a, &weak_a);
    b = etag_opaque(b, &weak_b);
    return a.len > 0 && str_eq(a, b) && !(strong && (weak_a || weak_b));
}

bool etag_eq_strong(struct str a, struct str b)
{
    return etag_eq(a, b, true);
}

/* Takes one tag off a list: up to a comma that is not between quotes. */
static struct str take_tag(struct str *list)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < list->len && (quoted || list->ptr[i] != ','); i++)
        if (list->ptr[i] == '"')
            quoted = !quoted;
    struct str tag = str_trim((struct str){list->ptr, i});
    *list = i < list->len ? (struct str){list->ptr + i + 1, list->len - i - 1} : STR_NULL;
    return tag;
}

/* ---- The fields ---- */

enum field { FIELD_ABSENT, FIELD_TRUE, FIELD_FALSE, FIELD_UNKNOWN };

/* Whether a list of tags, over all fields of that name, names the tag. `*` does. */
static enum field match_field(const struct http_headers *headers, struct str name, struct str etag, bool strong)
{
    enum field found = FIELD_ABSENT;
    for (unsigned i = 0; i < headers->count; i++) {
        if (!str_ieq(headers->items[i].name, name))
            continue;
        if (found == FIELD_ABSENT)
            found = FIELD_UNKNOWN; /* until a tag is seen */
        struct str list = headers->items[i].value;
        while (list.ptr != NULL) {
            struct str tag = take_tag(&list);
            if (tag.len == 0)
                continue;
            if (found == FIELD_UNKNOWN)
                found = FIELD_FALSE;
            if (str_eq(tag, STR("*")) && !strong)
                return FIELD_UNKNOWN; /* "only if there is none" is no condition for a read: Azure refuses it */
            if (str_eq(tag, STR("*")) || etag_eq(tag, etag, strong))
                found = FIELD_TRUE;
        }
    }
    return found;
}

/* Azure knows the first of HTTP's three forms of a date only, and the other two are nobody's. */
static bool date_parse(struct str text, int64_t *seconds)
{
    char again[DATE_HTTP_LENGTH + 1];
    if (!date_http_parse(text, seconds))
        return false;
    date_http_format(*seconds, again);
    return str_eq(text, str_from(again));
}

/* Whether the blob was modified after the date in that field. */
static enum field modified_field(const struct http_headers *headers, struct str name, int64_t last_modified_s)
{
    if (http_headers_find(headers, name) == NULL)
        return FIELD_ABSENT;
    int64_t date;
    if (http_headers_lookup(headers, name, 1).ptr != NULL || last_modified_s == PRECONDITION_NO_DATE ||
        !date_parse(str_trim(http_headers_get(headers, name)), &date))
        return FIELD_UNKNOWN;
    return last_modified_s > date ? FIELD_TRUE : FIELD_FALSE;
}

enum precondition precondition_evaluate(const struct http_headers *headers, struct str etag, int64_t last_modified_s)
{
    enum field match = match_field(headers, STR("If-Match"), etag, true);
    enum field none_match = match_field(headers, STR("If-None-Match"), etag, false);
    enum field unmodified = modified_field(headers, STR("If-Unmodified-Since"), last_modified_s);
    enum field modified = modified_field(headers, STR("If-Modified-Since"), last_modified_s);
    if (match == FIELD_UNKNOWN || none_match == FIELD_UNKNOWN || unmodified == FIELD_UNKNOWN ||
        modified == FIELD_UNKNOWN)
        return PRECONDITION_NEEDS_ORIGIN;
    if (match == FIELD_FALSE || unmodified == FIELD_TRUE)
        return PRECONDITION_FAILED;
    if (none_match == FIELD_ABSENT && modified == FIELD_ABSENT)
        return PRECONDITION_PASS;
    /* One of the two that holds is enough. */
    return none_match == FIELD_FALSE || modified == FIELD_TRUE ? PRECONDITION_PASS : PRECONDITION_NOT_MODIFIED;
}

struct str precondition_single_match(const struct http_headers *headers)
{
    if (http_headers_lookup(headers, STR("If-Match"), 1).ptr != NULL)
        return STR_NULL;
    struct str list = http_headers_get(headers, STR("If-Match")), only = STR_NULL;
    while (list.ptr != NULL) {
        struct str tag = take_tag(&list);
        if (tag.len == 0)
            continue;
        if (only.ptr != NULL)
            return STR_NULL;
        only = tag;
    }
    return only.ptr != NULL && str_eq(only, STR("*")) ? STR_NULL : only;
}
