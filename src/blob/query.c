/* SPDX-License-Identifier: Apache-2.0 */
/* query.c: percent-decoding and the query's parameters. */
#include "blob/query.h"

static const struct str param_names[] = {
#define X(id, name) STR_INIT(name),
    BLOB_PARAM_TABLE(X)
#undef X
};

_Static_assert(BLOB_QUERY_MAX < 256, "places are bytes");

enum blob_param_id blob_param_id(struct str name)
{
    unsigned id = 0;
    while (id < BLOB_PARAM_OTHER && !str_ieq(name, param_names[id]))
        id++;
    return (enum blob_param_id) id;
}

struct str blob_param_name(enum blob_param_id id)
{
    return id < BLOB_PARAM_OTHER ? param_names[id] : STR("");
}

enum status blob_percent_decode(struct arena *arena, struct str text, struct str *decoded)
{
    if (memchr(text.len == 0 ? "" : text.ptr, '\0', text.len) != NULL)
        return STATUS_BAD_TARGET;
    if (str_find(text, '%') < 0) {
        *decoded = text.ptr == NULL ? STR("") : text;
        return STATUS_OK;
    }
    char *out = arena_alloc(arena, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3)
                return STATUS_BAD_TARGET;
            int high = str_hex_digit(text.ptr[i + 1]), low = str_hex_digit(text.ptr[i + 2]);
            if (high < 0 || low < 0 || (high | low) == 0)
                return STATUS_BAD_TARGET;
            c = (char) (high << 4 | low);
            i += 2;
        }
        out[len++] = c;
    }
    *decoded = (struct str){out, len};
    return STATUS_OK;
}

enum status blob_query_parse(struct arena *arena, struct str text, struct blob_query *query)
{
    *query = (struct blob_query){0};
    if (text.len == 0)
        return STATUS_OK;
    unsigned room = 1;
    for (size_t i = 0; i < text.len; i++)
        room += text.ptr[i] == '&';
    if (room > BLOB_QUERY_MAX)
        return STATUS_BAD_TARGET;
    query->items = arena_alloc(arena, room * sizeof query->items[0]);
    while (text.ptr != NULL) {
        struct blob_param *param = &query->items[query->count];
        struct str value;
        param->raw = str_split(text, '&', &text);
        if (param->raw.len == 0)
            continue;
        enum status status = blob_percent_decode(arena, str_split(param->raw, '=', &value), &param->name);
        if (status == STATUS_OK)
            status = blob_percent_decode(arena, value, &param->value);
        if (status != STATUS_OK)
            return status;
        query->count++;
        param->id = blob_param_id(param->name);
        if (param->id == BLOB_PARAM_OTHER) {
            query->others++;
            continue;
        }
        if (!str_eq(param->name, param_names[param->id]))
            query->odd_case = true;
        if (query->first[param->id] != 0)
            query->repeated = true;
        else
            query->first[param->id] = (unsigned char) query->count;
    }
    return STATUS_OK;
}

bool blob_version_valid(struct str version)
{
    static const char shape[] = "0000-00-00";
    if (version.len != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < version.len; i++)
        if (shape[i] == '-' ? version.ptr[i] != '-' : version.ptr[i] < '0' || version.ptr[i] > '9')
            return false;
    return true;
}

bool blob_version_since(struct str version, const char *first)
{
    return blob_version_valid(version) && str_cmp(version, str_from(first)) >= 0; /* YYYY-MM-DD */
}
