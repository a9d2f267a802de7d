/* SPDX-License-Identifier: Apache-2.0 */
/* hostport.c: no name is resolved here: a configuration means the same wherever it is checked. */
#include "base/hostport.h"

#include <arpa/inet.h>

#define HOST_MAX 255

static bool good_host(struct str host, bool brackets, const char **problem)
{
    *problem = "the host is missing or too long";
    if (host.len == 0 || host.len > HOST_MAX)
        return false;
    *problem = brackets ? "brackets are for IPv6 addresses" : "an IPv6 address needs brackets";
    if ((str_find(host, ':') >= 0) != brackets)
        return false;
    *problem = "the host has a character that is none of a host's";
    for (size_t i = 0; i < host.len; i++)
        if ((unsigned char) host.ptr[i] <= ' ' || (unsigned char) host.ptr[i] >= 0x7f ||
            strchr("/@?#[]{}\"\\<>", host.ptr[i]) != NULL)
            return false;
    return true;
}

bool hostport_split(struct str text, struct str *host, int64_t *port, const char **problem)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    *problem = "the port is missing";
    if (colon == 0 || text.ptr[text.len - 1] == ']')
        return false;
    struct str digits = {text.ptr + colon, text.len - colon};
    *host = (struct str){text.ptr, colon - 1};
    bool brackets = host->len >= 2 && host->ptr[0] == '[' && host->ptr[host->len - 1] == ']';
    if (brackets)
        *host = (struct str){host->ptr + 1, host->len - 2};
    if (!good_host(*host, brackets, problem))
        return false;
    *problem = "the port must be 0 to 65535";
    return digits.len <= 5 && str_to_int(digits, port) && *port <= 65535;
}

/* ---- Hosts ---- */

/* AF_INET or AF_INET6 with *bytes, or AF_UNSPEC for a name. */
static int family_of(struct str host, unsigned char bytes[16])
{
    char text[HOST_MAX + 1];
    if (host.len > HOST_MAX)
        return AF_UNSPEC;
    *str_put(text, host) = '\0';
    if (inet_pton(AF_INET, text, bytes) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6 : AF_UNSPEC;
}

static bool all_zero(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

bool host_overlaps(struct str a, struct str b)
{
    unsigned char left[16], right[16];
    if (str_ieq(a, b))
        return true;
    if (str_ieq(b, STR("localhost")))
        return host_overlaps(b, a);
    if (str_ieq(a, STR("localhost")))
        return host_overlaps(STR("127.0.0.1"), b) || host_overlaps(STR("::1"), b);
    int family = family_of(a, left);
    if (family == AF_UNSPEC || family_of(b, right) != family)
        return false;
    size_t len = family == AF_INET ? 4 : 16;
    return memcmp(left, right, len) == 0 || all_zero(left, len) || all_zero(right, len);
}

bool host_is_loopback(struct str host)
{
    unsigned char bytes[16];
    if (str_ieq(host, STR("localhost")))
        return true;
    switch (family_of(host, bytes)) {
    case AF_INET:
        return bytes[0] == 127;
    case AF_INET6:
        return all_zero(bytes, 15) && bytes[15] == 1;
    default:
        return false; /* 127.evil.example is a name */
    }
}
