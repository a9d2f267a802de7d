/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.c: one way for each kind of credential. (Azure: authorize with Shared Key; authorize with Microsoft Entra ID;
 * create a service SAS.)
 */
#include "origin/sign.h"

#include "base/date.h"
#include "blob/url.h"
#include "origin/base.h"

/* Both need a version that knows them; a request of ours always names one. */
#define OLDEST_VERSION "2017-11-09"

static bool is_credential(struct str name)
{
    return str_ieq(name, STR("Authorization")) || str_ieq(name, STR("x-ms-date")) || str_ieq(name, STR("Date"));
}

/* All but what the old credential was made of. */
static void copy_fields(const struct http_headers *from, struct http_headers *to)
{
    for (unsigned i = 0; from != NULL && i < from->count; i++)
        if (!is_credential(from->items[i].name))
            http_headers_add(to, from->items[i].name, from->items[i].value);
    if (http_headers_find(to, STR("x-ms-version")) == NULL)
        http_headers_add(to, STR("x-ms-version"), STR(OLDEST_VERSION));
}

static enum status sign_by_key(const struct account_keys *keys, const struct origin_request *request, int64_t now_s,
                               struct http_headers *headers)
{
    struct arena *arena = headers->arena;
    struct blob_query query;
    bool secondary; /* has the same keys */
    struct str query_text, path = str_split(request->target, '?', &query_text);
    enum status status = blob_query_parse(arena, query_text, &query);
    if (status != STATUS_OK)
        return status;
    char *date = arena_alloc(arena, DATE_HTTP_LENGTH + 1);
    date_http_format(now_s, date);
    http_headers_add(headers, STR("x-ms-date"), str_from(date));
    struct blob_headers fields = {http_headers_lookup, headers, http_headers_at};
    struct sharedkey_request what = {
        .method = request->method,
        .account = blob_account_plain(str_from(request->account), &secondary),
        .path = arena_printf(arena, "%s%.*s", origin_base_path(request->base), STR_ARG(path)),
        .query = &query,
        .headers = &fields,
        .content_length = request->content_length,
    };
    http_headers_add(headers, STR("Authorization"), sharedkey_authorization(arena, &what, &keys->key[0]));
    return STATUS_OK;
}

enum status origin_sign(const struct credential *credential, const struct origin_request *request, int64_t now_s,
                        struct http_headers *headers, struct str *target)
{
    const struct credential_value *value = credential_now(credential, now_s);
    if (value == NULL)
        return STATUS_AGAIN;
    *target = request->target;
    copy_fields(request->headers, headers);
    switch (credential_kind(credential)) {
    case CREDENTIAL_KEYS:
        return sign_by_key(&value->keys, request, now_s, headers);
    case CREDENTIAL_SAS:
        *target = arena_printf(headers->arena, "%.*s%c%.*s", STR_ARG(request->target),
                               str_find(request->target, '?') < 0 ? '?' : '&', STR_ARG(value->text));
        break;
    case CREDENTIAL_MANAGED:
    case CREDENTIAL_WORKLOAD:
        http_headers_add(headers, STR("Authorization"),
                         arena_printf(headers->arena, "Bearer %.*s", STR_ARG(value->text)));
        break;
    }
    return STATUS_OK;
}
