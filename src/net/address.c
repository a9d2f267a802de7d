/* SPDX-License-Identifier: Apache-2.0 */
/* address.c: getaddrinfo for what is read, numbers only for what is written: a log must not wait for a name server. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/hostport.h"

enum status address_parse(const char *address, struct sockaddr_storage *parsed, socklen_t *length, struct strbuf *error)
{
    struct str name;
    int64_t number;
    const char *problem;
    if (!hostport_split(str_from(address), &name, &number, &problem)) {
        strbuf_addf(error, "address \"%s\": %s; write HOST:PORT, for IPv6 [HOST]:PORT", address, problem);
        return STATUS_INVALID;
    }
    char host[256];
    *str_put(host, name) = '\0';
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
