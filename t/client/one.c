/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `one`: a single request, told in full. No answer counts as wrong here but bytes that belong to
 * none of the seeds, and a body that broke off; the test decides about the rest.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "modes.h"
#include "report.h"

struct one {
    const struct options *options;
    bool issued, failed;
    json_t *json;
};

static bool next(void *ctx, struct transfer *t)
{
    struct one *one = ctx;
    const struct options *o = one->options;
    if (one->issued)
        return false;
    one->issued = true;
    transfer_init(t, o, &o->targets[0]);
    t->head = o->method && strcmp(o->method, "HEAD") == 0;
    t->ms_range = o->ms_range;
    t->abort_after = o->abort_after;
    t->rate = o->slow_rate;
    if (o->range)
        snprintf(t->range, sizeof t->range, strchr(o->range, '=') ? "%s" : "bytes=%s", o->range);
    return true;
}

/* Names in lower case; fields of the same name joined, as RFC 9110 section 5.3 allows. */
static json_t *fields_json(const struct transfer *t)
{
    json_t *json = json_object();
    for (size_t i = 0; i < t->field_count; i++) {
        char name[256];
        const char *colon = strchr(t->fields[i], ':');
        if (!colon || (size_t) (colon - t->fields[i]) >= sizeof name)
            continue;
        size_t n = 0;
        for (const char *p = t->fields[i]; p < colon; p++)
            name[n++] = (char) tolower((unsigned char) *p);
        name[n] = '\0';
        const char *value = colon + 1 + strspn(colon + 1, " \t");
        const char *before = json_string_value(json_object_get(json, name));
        json_t *text = before ? json_sprintf("%s, %s", before, value) : json_string(value);
        json_object_set_new(json, name, text ? text : json_string("(not UTF-8)"));
    }
    return json;
}

/* The seed that all checked bytes agree with, if there is one and only one. */
static json_t *pure_seed(const struct transfer *t)
{
    if (t->checked_bytes == 0 || t->seeds == 0 || (t->seeds & (t->seeds - 1)))
        return json_null();
    for (int i = 0; i < t->target->seed_count; i++)
        if (t->seeds == 1u << i)
            return json_integer((json_int_t) t->target->seeds[i]);
    return json_null();
}

static json_t *text_or_null(const char *text, size_t n)
{
    json_t *json = n > 0 ? json_stringn(text, n) : NULL;
    return json ? json : json_null();
}

static void done(void *ctx, struct transfer *t)
{
    struct one *one = ctx;
    bool broke_off = t->result != 0 && !t->aborted;
    one->failed = broke_off || t->mismatch_at >= 0;
    one->json =
        json_pack("{s:i, s:o, s:I, s:I, s:o, s:I, s:b, s:b, s:o, s:i, s:s, s:f, s:f, s:o}", "status", t->status,
                  "headers", fields_json(t), "bytes", (json_int_t) t->body_bytes, "checked_bytes",
                  (json_int_t) (t->target->seed_count ? t->checked_bytes : 0), "pure_seed", pure_seed(t), "mismatch_at",
                  (json_int_t) t->mismatch_at, "broke_off", broke_off, "aborted", t->aborted, "curl_error",
                  broke_off ? text_or_null(t->error, strlen(t->error)) : json_null(), "curl_code", t->result,
                  "http_version", t->http_major == 2 ? "2" : "1.1", "time_ms", (double) (t->ended - t->started) / 1e6,
                  "first_byte_ms", t->first_byte ? (double) (t->first_byte - t->started) / 1e6 : -1.0, "error_body",
                  text_or_null(t->error_body, t->error_len));
}

int mode_one(const struct options *o)
{
    struct one one = {.options = o};
    struct work work = {.ctx = &one, .next = next, .done = done};
    engine_run(o, 1, &work);
    if (!one.json)
        return 1;
    json_dumpf(one.json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(one.json);
    return one.failed ? 1 : 0;
}
