/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.c: addresses as people write them. The configuration's check and the parser agree on their shape, and what
 * was parsed is written so that it is parsed again. The linker sends getaddrinfo here (local.mk), so that no name
 * server is asked.
 */
#include <netdb.h>
#include <netinet/in.h>

#include "base/hostport.h"
#include "net/address.h"
#include "fuzz.h"

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    struct addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    return __real_getaddrinfo(node, service, &numeric, found);
}

static void check_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    fuzz_check(a->ss_family == b->ss_family && address_port(a) == address_port(b));
    if (a->ss_family == AF_INET6) /* a scope is not written */
        fuzz_check(memcmp(&((const struct sockaddr_in6 *) (const void *) a)->sin6_addr,
                          &((const struct sockaddr_in6 *) (const void *) b)->sin6_addr, 16) == 0);
    else
        fuzz_check(((const struct sockaddr_in *) (const void *) a)->sin_addr.s_addr ==
                   ((const struct sockaddr_in *) (const void *) b)->sin_addr.s_addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf error = {0};
    struct sockaddr_storage address, again;
    socklen_t length;
    struct arena *arena = arena_new();
    struct str text = arena_str(arena, fuzz_input(data, size)), host;
    char written[64];
    int64_t port;
    const char *problem;
    text.len = strlen(text.ptr);
    enum status status = address_parse(text.ptr, &address, &length, &error);
    fuzz_check((status == STATUS_OK) == (error.len == 0));
    bool shaped = hostport_split(text, &host, &port, &problem) && host.len > 0;
    if (shaped && host.len < 256)
        fuzz_check(status != STATUS_INVALID);
    if (shaped && status == STATUS_OK)
        fuzz_check(address_port(&address) == (unsigned) port);
    if (status == STATUS_OK) {
        fuzz_check(length <= sizeof address && (address.ss_family == AF_INET || address.ss_family == AF_INET6));
        address_format((const struct sockaddr *) &address, written, sizeof written);
        fuzz_check(address_parse(written, &again, &length, &error) == STATUS_OK);
        check_same(&address, &again);
        fuzz_check(hostport_split(str_from(written), &host, &port, &problem));
        address_set_port(&again, 0);
        fuzz_check(address_port(&again) == 0);
    }
    strbuf_free(&error);
    arena_free(arena);
    return 0;
}
