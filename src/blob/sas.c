/* SPDX-License-Identifier: Apache-2.0 */
/* sas.c: reads a shared access signature; never checks one. */
#include "blob/sas.h"

#include "base/civil.h"

/* ---- Times ---- */

bool sas_time_parse(struct str text, int64_t *seconds)
{
    struct civil c = {0};
    if (!str_take_digits(&text, 4, &c.year) || !str_take(&text, STR("-")) || !str_take_digits(&text, 2, &c.month) ||
        !str_take(&text, STR("-")) || !str_take_digits(&text, 2, &c.day))
        return false;
    if (text.len == 0)
        return civil_seconds(&c, seconds);
    if (!str_take(&text, STR("T")) || !str_take_digits(&text, 2, &c.hour) || !str_take(&text, STR(":")) ||
        !str_take_digits(&text, 2, &c.minute))
        return false;
    if (str_take(&text, STR(":"))) {
        if (!str_take_digits(&text, 2, &c.second))
            return false;
        int digit;
        unsigned digits = 0;
        if (str_take(&text, STR(".")))
            while (str_take_digits(&text, 1, &digit))
                digits++;
        if (digits > 9)
            return false;
    }
    int hours = 0, minutes = 0, sign = 0;
    if (str_take(&text, STR("+")) || str_take(&text, STR(" "))) /* a '+' that somebody took for a blank */
        sign = 1;
    else if (str_take(&text, STR("-")))
        sign = -1;
    if (sign == 0 ? !str_take(&text, STR("Z"))
                  : !str_take_digits(&text, 2, &hours) || !str_take(&text, STR(":")) ||
                        !str_take_digits(&text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    if (text.len > 0 || !civil_seconds(&c, seconds))
        return false;
    *seconds -= sign * (hours * 3600 + minutes * 60);
    return true;
}

/* ---- Overrides ---- */

static const struct {
    struct str header;
    enum blob_param_id parameter;
} overrides[] = {
#define X(parameter, header) {STR_INIT(header), BLOB_PARAM_##parameter},
    SAS_OVERRIDE_TABLE(X)
#undef X
};

bool sas_overridden(const struct blob_query *query)
{
    for (unsigned i = 0; i < sizeof overrides / sizeof overrides[0]; i++)
        if (query->first[overrides[i].parameter] != 0)
            return true;
    return false;
}

struct str sas_override(const struct blob_query *query, struct str header)
{
    for (unsigned i = 0; i < sizeof overrides / sizeof overrides[0]; i++)
        if (str_ieq(header, overrides[i].header))
            return blob_query_value(query, overrides[i].parameter);
    return STR_NULL;
}

/* ---- The token ---- */

static bool has_char(struct str text, char c)
{
    return str_find(text, c) >= 0;
}

/* Only the first reason counts. */
static void must_bypass(struct sas *sas, const char *why)
{
    if (sas->bypass == NULL)
        sas->bypass = why;
}

static void parse_scope(const struct blob_query *query, struct sas *sas)
{
    static const struct {
        struct str resource;
        enum sas_scope scope;
    } rows[] = {
        {STR_INIT("b"), SAS_SCOPE_BLOB},      {STR_INIT("c"), SAS_SCOPE_CONTAINER},
        {STR_INIT("d"), SAS_SCOPE_DIRECTORY}, {STR_INIT("bs"), SAS_SCOPE_SNAPSHOT},
        {STR_INIT("bv"), SAS_SCOPE_SNAPSHOT},
    };
    struct str resource = blob_query_value(query, BLOB_PARAM_SR);
    sas->scope = SAS_SCOPE_BLOB;
    if (sas->kind == SAS_ACCOUNT) {
        sas->scope = SAS_SCOPE_ACCOUNT;
        /* ss and srt are not signed in other kinds: whoever holds a token for one blob could write them behind it, and
         * an origin that goes by the rest would say yes to that blob. */
        static const enum blob_param_id others[] = {BLOB_PARAM_SR, BLOB_PARAM_SI, BLOB_PARAM_SDD, BLOB_PARAM_SKOID};
        for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
            if (blob_query_value(query, others[i]).ptr != NULL)
                must_bypass(sas, "sas-kind");
        return;
    }
    bool known = false;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (str_eq(resource, rows[i].resource)) {
            sas->scope = rows[i].scope;
            known = true;
        }
    }
    if (!known)
        must_bypass(sas, "sas-scope");
    if (sas->scope == SAS_SCOPE_DIRECTORY) {
        int64_t depth;
        /* Older versions know no directories and may not sign sr: whoever holds a token for one blob could write it. */
        if (!blob_version_since(blob_query_value(query, BLOB_PARAM_SV), "2020-02-10"))
            must_bypass(sas, "sas-scope");
        if (!str_to_int(blob_query_value(query, BLOB_PARAM_SDD), &depth) || depth > 1024)
            must_bypass(sas, "sas-scope");
        else if (depth == 0)
            sas->scope = SAS_SCOPE_CONTAINER; /* the root directory */
        else
            sas->depth = (unsigned) depth;
    }
}

static void parse_times(const struct blob_query *query, struct sas *sas)
{
    struct str start = blob_query_value(query, BLOB_PARAM_ST), expiry = blob_query_value(query, BLOB_PARAM_SE),
               key_expiry = blob_query_value(query, BLOB_PARAM_SKE);
    int64_t seconds;
    sas->starts_s = INT64_MIN;
    sas->expires_s = INT64_MAX;
    if (start.ptr != NULL && !sas_time_parse(start, &sas->starts_s))
        must_bypass(sas, "sas-time");
    if (expiry.ptr != NULL) {
        if (sas_time_parse(expiry, &seconds))
            sas->expires_s = seconds;
        else
            must_bypass(sas, "sas-time");
    } else if (blob_query_value(query, BLOB_PARAM_SI).ptr == NULL) {
        must_bypass(sas, "sas-time"); /* neither the token nor a policy ends it */
    }
    if (sas->kind == SAS_USER_DELEGATION) {
        if (!sas_time_parse(key_expiry, &seconds))
            must_bypass(sas, "sas-time");
        else if (seconds < sas->expires_s)
            sas->expires_s = seconds;
    }
}

static void parse_permission(const struct blob_query *query, struct sas *sas)
{
    struct str permission = blob_query_value(query, BLOB_PARAM_SP);
    if (permission.ptr == NULL)
        sas->read = sas->kind != SAS_ACCOUNT && blob_query_value(query, BLOB_PARAM_SI).ptr != NULL;
    else
        sas->read = has_char(permission, 'r');
    if (sas->kind == SAS_ACCOUNT && (!has_char(blob_query_value(query, BLOB_PARAM_SS), 'b') ||
                                     !has_char(blob_query_value(query, BLOB_PARAM_SRT), 'o')))
        sas->read = false;
    /* Permission to see the properties but not the bytes: a yes to one operation is none to the other. */
    if (!sas->read && has_char(permission, 'e'))
        must_bypass(sas, "sas-execute");
    struct str protocol = blob_query_value(query, BLOB_PARAM_SPR);
    sas->https_only = str_ieq(protocol, STR("https"));
    sas->ip = blob_query_value(query, BLOB_PARAM_SIP);
    /* They bind headers and query of the request, which ours need not have. */
    if (blob_query_value(query, BLOB_PARAM_SRH).ptr != NULL || blob_query_value(query, BLOB_PARAM_SRQ).ptr != NULL)
        must_bypass(sas, "sas-bound");
    sas->overrides = sas_overridden(query);
}

/* name=LENGTH:value& in the table's order: decoded, and with each length ahead of its text, so that no two tokens have
 * one text. */
static struct str canonical_text(struct arena *arena, const struct blob_query *query, struct sas *sas)
{
    size_t size = 4;
    for (unsigned i = 0; i < query->count; i++)
        size += query->items[i].name.len + query->items[i].value.len + 3 + STR_NUMBER_MAX;
    char *text = arena_alloc(arena, size), *at = str_put(text, STR("sas\n"));
    unsigned parameters = 0, written = 0;
    for (unsigned i = 0; i < query->count; i++)
        parameters += query->items[i].id <= BLOB_PARAM_LAST_SAS;
    for (unsigned id = 0; id <= BLOB_PARAM_LAST_SAS; id++) {
        if (query->first[id] == 0)
            continue;
        struct str value = blob_query_value(query, (enum blob_param_id) id);
        at = str_put(at, blob_param_name((enum blob_param_id) id));
        *at++ = '=';
        at = str_put_number(at, value.len);
        *at++ = ':';
        at = str_put(at, value);
        *at++ = '&';
        written++;
    }
    if (written < parameters)
        must_bypass(sas, "sas-repeated"); /* and the text is only that of the first ones */
    return (struct str){text, (size_t) (at - text)};
}

bool sas_parse(struct arena *arena, const struct blob_query *query, struct sas *sas)
{
    *sas = (struct sas){0};
    if (blob_query_value(query, BLOB_PARAM_SIG).ptr == NULL)
        return false;
    if (blob_query_value(query, BLOB_PARAM_SS).ptr != NULL || blob_query_value(query, BLOB_PARAM_SRT).ptr != NULL)
        sas->kind = SAS_ACCOUNT;
    else
        sas->kind = blob_query_value(query, BLOB_PARAM_SKOID).ptr != NULL ? SAS_USER_DELEGATION : SAS_SERVICE;
    sas->text = canonical_text(arena, query, sas);
    parse_scope(query, sas);
    parse_times(query, sas);
    parse_permission(query, sas);
    return true;
}

enum sas_scope sas_trusted_scope(const struct sas *sas, bool vouched)
{
    bool divided = sas->kind == SAS_USER_DELEGATION && !vouched;
    enum sas_scope widest = divided ? SAS_SCOPE_BLOB : SAS_SCOPE_CONTAINER;
    return sas->scope < widest ? sas->scope : widest;
}

struct str sas_directory(struct str blob, unsigned depth)
{
    for (size_t i = 0, begin = 0; i < blob.len && depth > 0; i++) {
        if (blob.ptr[i] != '/')
            continue;
        if (i == begin)
            return STR_NULL; /* an origin that knows no empty components counts others than we */
        if (--depth == 0)
            return (struct str){blob.ptr, i};
        begin = i + 1;
    }
    return STR_NULL;
}

/* ---- Use ---- */

static bool parse_ipv4(struct str text, uint32_t *address)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < 4; i++) {
        int64_t part;
        struct str digits = i < 3 ? str_split(text, '.', &text) : text;
        if (digits.len > 3 || !str_to_int(digits, &part) || part > 255)
            return false;
        sum = sum << 8 | (uint32_t) part;
    }
    *address = sum;
    return true;
}

static bool ip_allowed(struct str range, uint32_t ipv4)
{
    struct str high;
    struct str low = str_split(range, '-', &high);
    uint32_t from, to;
    if (!parse_ipv4(low, &from))
        return false;
    to = from;
    if (high.ptr != NULL && !parse_ipv4(high, &to))
        return false;
    return ipv4 >= from && ipv4 <= to;
}

enum sas_use sas_use(const struct sas *sas, int64_t now_s, bool tls, uint32_t ipv4)
{
    if (now_s < sas->starts_s || now_s >= sas->expires_s)
        return SAS_USE_TIME;
    if (sas->https_only && !tls)
        return SAS_USE_PROTOCOL;
    return sas->ip.ptr == NULL || (ipv4 != 0 && ip_allowed(sas->ip, ipv4)) ? SAS_USE_GOOD : SAS_USE_ADDRESS;
}
