/* SPDX-License-Identifier: Apache-2.0 */
/* address.c: getaddrinfo for what is read, numbers only for what is written: a log must not wait for a name server. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static enum status malformed(const char *address, const char *what, struct strbuf *error)
{
    strbuf_addf(error, "address \"%s\": %s; write HOST:PORT, for IPv6 [HOST]:PORT", address, what);
    return STATUS_INVALID;
}

enum status address_parse(const char *address, struct sockaddr_storage *parsed, socklen_t *length,
                           struct strbuf *error)
{
    struct str text = str_from(address);
    char host[256];
    const char *colon = strrchr(address, ':');
    if (colon == NULL)
        return malformed(address, "the port is missing", error);
    struct str name = {address, (size_t) (colon - address)};
    struct str port = {colon + 1, text.len - name.len - 1};
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = (struct str){name.ptr + 1, name.len - 2};
    else if (str_find(name, ':') >= 0)
        return malformed(address, "an IPv6 address needs brackets", error);
    int64_t number;
    if (!str_to_int(port, &number) || number > 65535)
        return malformed(address, "the port must be 0 to 65535", error);
    if (name.len == 0 || name.len >= sizeof host)
        return malformed(address, "the host is missing or too long", error);
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';

    char service[8];
    snprintf(service, sizeof service, "%d", (int) number);
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed != 0) {
        strbuf_addf(error, "address \"%s\": host %s cannot be resolved: %s", address, host, gai_strerror(failed));
        return STATUS_RESOLVE;
    }
    memset(parsed, 0, sizeof *parsed);
    memcpy(parsed, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    return STATUS_OK;
}

unsigned address_port(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *) (const void *) address)->sin6_port);
    return ntohs(((const struct sockaddr_in *) (const void *) address)->sin_port);
}

void address_set_port(struct sockaddr_storage *address, unsigned port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *) (void *) address)->sin6_port = htons((uint16_t) port);
    else
        ((struct sockaddr_in *) (void *) address)->sin_port = htons((uint16_t) port);
}

void address_format(const struct sockaddr *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *) address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *) address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        snprintf(text, size, "unix");
    }
}
