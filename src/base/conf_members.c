/* SPDX-License-Identifier: Apache-2.0 */
/* conf_members.c: see conf_members.h. */
#include "base/conf_members.h"

#include "base/hostport.h"

#define WEIGHT_MAX 65535

/* A port to connect to. */
static bool split(struct str text, struct str *host, int64_t *port, const char **problem)
{
    if (!hostport_split(text, host, port, problem))
        return false;
    *problem = "the port must be 1 to 65535";
    return *port > 0;
}

/* "HOST:PORT:WEIGHT" without the last, if it has one. */
static bool take_weight(struct str *text, int64_t *weight, const char **problem)
{
    size_t end = text->len;
    *weight = 1;
    while (end > 0 && text->ptr[end - 1] != ':' && text->ptr[end - 1] != ']')
        end--;
    struct str before = {text->ptr, end > 0 ? end - 1 : 0}, last = {text->ptr + end, text->len - end}, host;
    int64_t port;
    const char *ignored;
    /* Of two numbers behind a host the second is the weight. */
    if (before.len == 0 || !hostport_split(before, &host, &port, &ignored))
        return true;
    *problem = "the weight must be 1 to 65535";
    if (last.len > 5 || !str_to_int(last, weight) || *weight < 1 || *weight > WEIGHT_MAX)
        return false;
    *text = before;
    return true;
}

static bool parse_one(struct str text, struct conf_members_text *parsed, const char **problem)
{
    struct str rest;
    parsed->kind = CONF_MEMBERS_LIST;
    parsed->name = str_split(text, '=', &rest);
    *problem = "has no name";
    if (rest.ptr == NULL)
        return false;
    *problem = "has a name that is not 1 to 63 of a-z, 0-9, -, . and _";
    return conf_is_label(parsed->name) && take_weight(&rest, &parsed->weight, problem) &&
           split(rest, &parsed->host, &parsed->port, problem);
}

static bool parse_kubernetes(struct str text, struct conf_members_text *parsed, const char **problem)
{
    struct str rest;
    parsed->kind = CONF_MEMBERS_KUBERNETES;
    parsed->name = str_split(text, '/', &rest);
    *problem = "is no namespace and service";
    if (rest.ptr == NULL)
        return false;
    parsed->service = str_split(rest, ':', &parsed->port_name);
    if (parsed->port_name.ptr != NULL && !conf_is_label(parsed->port_name))
        return false;
    return conf_is_label(parsed->name) && conf_is_label(parsed->service);
}

bool conf_members_parse(struct str text, struct conf_members_text *parsed, const char **problem)
{
    *parsed = (struct conf_members_text){.weight = 1};
    if (str_take(&text, STR("kubernetes:")))
        return parse_kubernetes(text, parsed, problem);
    if (!str_take(&text, STR("dns:")))
        return parse_one(text, parsed, problem);
    parsed->kind = CONF_MEMBERS_DNS;
    return split(text, &parsed->name, &parsed->port, problem);
}

int conf_members_check(const struct conf_strings *members, const char **problem)
{
    struct conf_members_text parsed, other;
    for (unsigned i = 0; i < members->count; i++) {
        if (!conf_members_parse(str_from(members->items[i]), &parsed, problem))
            return (int) i;
        *problem = "cannot stand beside others";
        if (parsed.kind != CONF_MEMBERS_LIST && members->count > 1)
            return (int) i;
        for (unsigned before = 0; before < i; before++) {
            const char *ignored;
            *problem = "has the name of another one";
            if (conf_members_parse(str_from(members->items[before]), &other, &ignored) &&
                str_eq(other.name, parsed.name))
                return (int) i;
        }
    }
    return -1;
}
