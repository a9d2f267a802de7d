/* SPDX-License-Identifier: Apache-2.0 */
/* See fault.h. */
#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_FAULTS 1024

struct rule {
    char *path; /* NULL: any; a trailing '*' matches by prefix */
    char *method;
    int64_t skip, times, taken; /* times -1: for ever */
    int64_t second, come;       /* how many requests have come in which second */
    struct fault fault;
};

static struct rule rules[MAX_FAULTS];
static size_t rule_count;
static int64_t default_first_byte_ms = -1, default_rate = -1;

void fault_init(struct fault *f)
{
    memset(f, 0, sizeof *f);
#define X(name) f->name = -1;
    FAULT_NUMBERS(X)
#undef X
}

static bool number(const char *s, int64_t *out)
{
    if (strcmp(s, "-1") == 0) {
        *out = -1;
        return true;
    }
    return parse_int64(s, strlen(s), out);
}

static bool set_param(struct rule *r, const char *name, const char *value)
{
    bool on = strcmp(value, "0") != 0;
    if (strcmp(name, "path") == 0)
        r->path = xstrdup(value);
    else if (strcmp(name, "method") == 0)
        r->method = xstrdup(value);
    else if (strcmp(name, "times") == 0)
        return number(value, &r->times);
    else if (strcmp(name, "skip") == 0)
        return number(value, &r->skip);
#define X(field) else if (strcmp(name, #field) == 0) return number(value, &r->fault.field);
    FAULT_NUMBERS(X)
#undef X
#define X(field) else if (strcmp(name, #field) == 0) r->fault.field = on;
    FAULT_FLAGS(X)
#undef X
    else return strcmp(name, "all") == 0;
    return true;
}

static void rule_free(struct rule *r)
{
    free(r->path);
    free(r->method);
}

const char *fault_add(const struct pairs *params)
{
    if (rule_count == MAX_FAULTS)
        return "too many faults";
    struct rule r = {.times = 1};
    fault_init(&r.fault);
    for (size_t i = 0; i < params->count; i++) {
        if (set_param(&r, params->list[i].name, params->list[i].value))
            continue;
        rule_free(&r);
        return "unknown parameter or bad value";
    }
    rules[rule_count++] = r;
    return NULL;
}

void fault_clear(void)
{
    while (rule_count > 0)
        rule_free(&rules[--rule_count]);
}

void fault_set_latency(int64_t first_byte_ms, int64_t rate)
{
    default_first_byte_ms = first_byte_ms;
    default_rate = rate;
}

static bool matches(const struct rule *r, const char *method, const char *path)
{
    if (r->times == 0 || (r->method && strcasecmp(r->method, method) != 0))
        return false;
    if (!r->path)
        return true;
    size_t n = strlen(r->path);
    if (n > 0 && r->path[n - 1] == '*')
        return strncmp(r->path, path, n - 1) == 0;
    return strcmp(r->path, path) == 0;
}

/* Whether this one is within what is let through in a second. */
static bool within(struct rule *r)
{
    if (r->fault.over < 0)
        return false;
    int64_t second = now_ns() / 1000000000;
    if (second != r->second)
        r->come = 0;
    r->second = second;
    return ++r->come <= r->fault.over;
}

void fault_take(struct fault *f, const char *method, const char *path, bool blob_read)
{
    fault_init(f);
    for (size_t i = 0; i < rule_count; i++) {
        struct rule *r = &rules[i];
        if (!matches(r, method, path))
            continue;
        if (r->skip > 0) {
            r->skip--;
            continue;
        }
        if (within(r))
            continue;
        *f = r->fault;
        r->taken++;
        if (r->times > 0)
            r->times--;
        break;
    }
    if (blob_read && f->first_byte_ms < 0)
        f->first_byte_ms = default_first_byte_ms;
    if (blob_read && f->rate < 0)
        f->rate = default_rate;
}

void fault_list(struct buf *out)
{
    buf_puts(out, "[");
    for (size_t i = 0; i < rule_count; i++) {
        const struct rule *r = &rules[i];
        buf_puts(out, i ? ",{\"path\":" : "{\"path\":");
        buf_json(out, r->path ? r->path : "*");
        buf_printf(out, ",\"times\":%lld,\"taken\":%lld", (long long) r->times, (long long) r->taken);
#define X(name)                                                                                                        \
    if (r->fault.name >= 0)                                                                                            \
        buf_printf(out, ",\"" #name "\":%lld", (long long) r->fault.name);
        FAULT_NUMBERS(X)
#undef X
#define X(name)                                                                                                        \
    if (r->fault.name)                                                                                                 \
        buf_puts(out, ",\"" #name "\":true");
        FAULT_FLAGS(X)
#undef X
        buf_puts(out, "}");
    }
    buf_puts(out, "]");
}
