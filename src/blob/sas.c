/* SPDX-License-Identifier: Apache-2.0 */
/* sas.c: reads a shared access signature; never checks one. */
#include "blob/sas.h"

#include <stdlib.h>

#include "base/civil.h"

/* Every parameter that a SAS of any kind may have. */
static const struct str parameters[] = {
    {"sv", 2},  {"ss", 2},  {"srt", 3},  {"sr", 2},    {"st", 2},    {"se", 2},    {"sp", 2},     {"sip", 3},
    {"spr", 3}, {"si", 2},  {"sig", 3},  {"sdd", 3},   {"ses", 3},   {"skoid", 5}, {"sktid", 5},  {"skt", 3},
    {"ske", 3}, {"sks", 3}, {"skv", 3},  {"saoid", 5}, {"suoid", 5}, {"scid", 4},  {"sduoid", 6}, {"skdutid", 7},
    {"srh", 3}, {"srq", 3}, {"rscc", 4}, {"rscd", 4},  {"rsce", 4},  {"rscl", 4},  {"rsct", 4},
};

bool sas_parameter(struct str name)
{
    for (unsigned i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        if (str_ieq(name, parameters[i]))
            return true;
    return false;
}

/* ---- Times ---- */

bool sas_time_parse(struct str text, int64_t *seconds)
{
    struct civil c = {0};
    if (!civil_take_digits(&text, 4, &c.year) || !civil_take(&text, STR("-")) ||
        !civil_take_digits(&text, 2, &c.month) || !civil_take(&text, STR("-")) || !civil_take_digits(&text, 2, &c.day))
        return false;
    if (text.len == 0)
        return civil_seconds(&c, seconds);
    if (!civil_take(&text, STR("T")) || !civil_take_digits(&text, 2, &c.hour) || !civil_take(&text, STR(":")) ||
        !civil_take_digits(&text, 2, &c.minute))
        return false;
    if (civil_take(&text, STR(":"))) {
        if (!civil_take_digits(&text, 2, &c.second))
            return false;
        int digit;
        unsigned digits = 0;
        if (civil_take(&text, STR(".")))
            while (civil_take_digits(&text, 1, &digit))
                digits++;
        if (digits > 9)
            return false;
    }
    int hours = 0, minutes = 0, sign = 0;
    if (civil_take(&text, STR("+")) || civil_take(&text, STR(" "))) /* a '+' that somebody took for a blank */
        sign = 1;
    else if (civil_take(&text, STR("-")))
        sign = -1;
    if (sign == 0 ? !civil_take(&text, STR("Z"))
                  : !civil_take_digits(&text, 2, &hours) || !civil_take(&text, STR(":")) ||
                        !civil_take_digits(&text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    if (text.len > 0 || !civil_seconds(&c, seconds))
        return false;
    *seconds -= sign * (hours * 3600 + minutes * 60);
    return true;
}

/* ---- The token ---- */

static struct str get(const struct blob_query *query, const char *name)
{
    return blob_query_get(query, str_from(name));
}

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
        {{"b", 1}, SAS_SCOPE_BLOB},      {{"c", 1}, SAS_SCOPE_CONTAINER}, {{"d", 1}, SAS_SCOPE_DIRECTORY},
        {{"bs", 2}, SAS_SCOPE_SNAPSHOT}, {{"bv", 2}, SAS_SCOPE_SNAPSHOT},
    };
    struct str resource = get(query, "sr");
    sas->scope = SAS_SCOPE_BLOB;
    if (sas->kind == SAS_ACCOUNT) {
        sas->scope = SAS_SCOPE_ACCOUNT;
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
        if (!str_to_int(get(query, "sdd"), &depth) || depth > 1024)
            must_bypass(sas, "sas-scope");
        else if (depth == 0)
            sas->scope = SAS_SCOPE_CONTAINER; /* the root directory */
        else
            sas->depth = (unsigned) depth;
    }
}

static void parse_times(const struct blob_query *query, struct sas *sas)
{
    struct str start = get(query, "st"), expiry = get(query, "se"), key_expiry = get(query, "ske");
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
    } else if (get(query, "si").ptr == NULL) {
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
    struct str permission = get(query, "sp");
    if (permission.ptr == NULL)
        sas->read = sas->kind != SAS_ACCOUNT && get(query, "si").ptr != NULL;
    else
        sas->read = has_char(permission, 'r');
    if (sas->kind == SAS_ACCOUNT && (!has_char(get(query, "ss"), 'b') || !has_char(get(query, "srt"), 'o')))
        sas->read = false;
    /* Permission to see the properties but not the bytes: a yes to one operation is none to the other. */
    if (!sas->read && has_char(permission, 'e'))
        must_bypass(sas, "sas-execute");
    struct str protocol = get(query, "spr");
    sas->https_only = str_ieq(protocol, STR("https"));
    sas->ip = get(query, "sip");
    /* They bind headers and query of the request, which ours need not have. */
    if (get(query, "srh").ptr != NULL || get(query, "srq").ptr != NULL)
        must_bypass(sas, "sas-bound");
    sas->overrides = get(query, "rscc").ptr != NULL || get(query, "rscd").ptr != NULL ||
                     get(query, "rsce").ptr != NULL || get(query, "rscl").ptr != NULL || get(query, "rsct").ptr != NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct blob_param *const *left = a, *const *right = b;
    int order = str_cmp((*left)->name, (*right)->name);
    return order != 0 ? order : str_cmp((*left)->value, (*right)->value);
}

static void append(char **at, struct str text)
{
    memcpy(*at, text.ptr, text.len);
    *at += text.len;
}

/* Decoded, with each length ahead of its text, so that no two tokens have one text. */
static struct str canonical_text(struct arena *arena, const struct blob_query *query, struct sas *sas)
{
    const struct blob_param *sorted[BLOB_QUERY_MAX];
    unsigned count = 0;
    size_t size = 0;
    for (unsigned i = 0; i < query->count; i++) {
        if (!sas_parameter(query->items[i].name))
            continue;
        if (blob_query_count(query, query->items[i].name) > 1)
            must_bypass(sas, "sas-repeated");
        sorted[count++] = &query->items[i];
        size += query->items[i].name.len + query->items[i].value.len + 2 * 24;
    }
    qsort(sorted, count, sizeof sorted[0], by_name);
    char *text = arena_alloc(arena, size), *at = text;
    for (unsigned i = 0; i < count; i++) {
        append(&at, sorted[i]->name);
        append(&at, arena_printf(arena, "=%zu:", sorted[i]->value.len));
        append(&at, sorted[i]->value);
        append(&at, STR("&"));
    }
    return (struct str){text, (size_t) (at - text)};
}

bool sas_parse(struct arena *arena, const struct blob_query *query, struct sas *sas)
{
    *sas = (struct sas){0};
    if (get(query, "sig").ptr == NULL)
        return false;
    if (get(query, "ss").ptr != NULL || get(query, "srt").ptr != NULL)
        sas->kind = SAS_ACCOUNT;
    else
        sas->kind = get(query, "skoid").ptr != NULL ? SAS_USER_DELEGATION : SAS_SERVICE;
    sas->text = canonical_text(arena, query, sas);
    parse_scope(query, sas);
    parse_times(query, sas);
    parse_permission(query, sas);
    return true;
}

enum sas_scope sas_trusted_scope(const struct sas *sas, bool vouched)
{
    if (sas->kind != SAS_USER_DELEGATION)
        return sas->scope;
    if (!vouched)
        return sas->scope < SAS_SCOPE_BLOB ? sas->scope : SAS_SCOPE_BLOB;
    return sas->scope < SAS_SCOPE_CONTAINER ? sas->scope : SAS_SCOPE_CONTAINER;
}

struct str sas_directory(struct str blob, unsigned depth)
{
    for (size_t i = 0; i < blob.len && depth > 0; i++)
        if (blob.ptr[i] == '/' && --depth == 0)
            return (struct str){blob.ptr, i};
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

bool sas_usable(const struct sas *sas, int64_t now_s, bool tls, uint32_t ipv4)
{
    if (now_s < sas->starts_s || now_s >= sas->expires_s)
        return false;
    if (sas->https_only && !tls)
        return false;
    return sas->ip.ptr == NULL || (ipv4 != 0 && ip_allowed(sas->ip, ipv4));
}

struct str sas_override(const struct blob_query *query, struct str header)
{
    static const struct {
        struct str header;
        struct str parameter;
    } rows[] = {
        {{"Cache-Control", 13}, {"rscc", 4}},    {{"Content-Disposition", 19}, {"rscd", 4}},
        {{"Content-Encoding", 16}, {"rsce", 4}}, {{"Content-Language", 16}, {"rscl", 4}},
        {{"Content-Type", 12}, {"rsct", 4}},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (str_ieq(header, rows[i].header))
            return blob_query_get(query, rows[i].parameter);
    return STR_NULL;
}
