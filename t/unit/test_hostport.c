/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as people write them. */
#include "tap.h"

#include "base/hostport.h"

static void split(void)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        int port;
        const char *problem;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080, NULL},
        {"name.example:0", "name.example", 0, NULL},
        {"[::1]:65535", "::1", 65535, NULL},
        {"127.0.0.1", NULL, 0, "port is missing"},
        {"[::1]", NULL, 0, "port is missing"},
        {"", NULL, 0, "port is missing"},
        {":80", NULL, 0, "host is missing"},
        {"[]:80", NULL, 0, "host is missing"},
        {"::1:80", NULL, 0, "needs brackets"},
        {"[::1:80", NULL, 0, "needs brackets"},
        {"[name]:80", NULL, 0, "brackets are for IPv6"},
        {"a b:80", NULL, 0, "character"},
        {"a/b:80", NULL, 0, "character"},
        {"me@host:80", NULL, 0, "character"},
        {"host:", NULL, 0, "0 to 65535"},
        {"host:65536", NULL, 0, "0 to 65535"},
        {"host:000080", NULL, 0, "0 to 65535"},
        {"host:-1", NULL, 0, "0 to 65535"},
        {"host:80x", NULL, 0, "0 to 65535"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str host;
        int64_t port;
        const char *problem;
        bool good = hostport_split(str_from(rows[i].text), &host, &port, &problem);
        if (rows[i].host != NULL)
            ok(good && str_eq(host, str_from(rows[i].host)) && port == rows[i].port, "%s", rows[i].text);
        else
            ok(!good && strstr(problem, rows[i].problem) != NULL, "\"%s\" is none: %s", rows[i].text, problem);
    }
}

static void overlap(void)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", true}, {"127.0.0.1", "127.0.0.2", false}, {"0.0.0.0", "127.0.0.1", true},
        {"10.1.2.3", "0.0.0.0", true},    {"::1", "0:0:0:0:0:0:0:1", true},  {"::", "fe80::1", true},
        {"::", "0.0.0.0", false},         {"::1", "127.0.0.1", false},       {"localhost", "127.0.0.1", true},
        {"::1", "localhost", true},       {"LOCALHOST", "0.0.0.0", true},    {"localhost", "10.0.0.1", false},
        {"a.example", "A.example", true}, {"a.example", "b.example", false}, {"a.example", "0.0.0.0", false},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str a = str_from(rows[i].a), b = str_from(rows[i].b);
        ok(host_overlaps(a, b) == rows[i].overlap && host_overlaps(b, a) == rows[i].overlap, "%s and %s", rows[i].a,
           rows[i].b);
    }
}

static void loopback(void)
{
    for (const char *const *at = (const char *const[]){"localhost", "127.0.0.1", "127.9.9.9", "::1", NULL}; *at; at++)
        ok(host_is_loopback(str_from(*at)), "%s is loopback", *at);
    for (const char *const *at = (const char *const[]){"127.evil.example", "0.0.0.0", "::", "::2", "127.1", "", NULL};
         *at; at++)
        ok(!host_is_loopback(str_from(*at)), "'%s' is not", *at);
}

int main(void)
{
    split();
    overlap();
    loopback();
    return done_testing();
}
