/* SPDX-License-Identifier: Apache-2.0 */
/* test_dns.c: what is made of a server's answers: short and long, empty, wrong, and none. */
#include "pool/dns.h"

#include "base/mem.h"
#include "dns_rig.h"
#include "tap.h"

#define MANY 600

static void many(struct message *message)
{
    for (unsigned i = 0; i < MANY; i++) {
        char name[64];
        snprintf(name, sizeof name, "pond-%u.pool.test", i);
        put_service(message, name, 8444, 1, 30);
    }
    set_count(message, 1, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char name[64], address[32];
        snprintf(name, sizeof name, "POND-%u.pool.test", i); /* names fold case */
        snprintf(address, sizeof address, "10.0.%u.%u", i / 256, i % 256);
        put_address(message, name, address, 30);
    }
    set_count(message, 3, MANY);
}

/* The code of the answer; records are added. */
static int answer(struct message *message, const char *name, unsigned type)
{
    unsigned count = 0;
    if (strcmp(name, "pool.test") == 0 && type == ns_t_srv) {
        put_service(message, "pond-0.pool.test", 8444, 7, 300);
        put_service(message, "pond-1.pool.test", 8445, 0, 20);
        put_service(message, "gone.pool.test", 8444, 1, 300);
        put_service(message, ".", 8444, 1, 300);
        set_count(message, 1, 4);
        put_address(message, "pond-0.pool.test", "10.1.0.1", 300);
        put_address(message, "pond-0.pool.test", "fd00::1", 300);
        set_count(message, 3, 2);
        return ns_r_noerror;
    }
    if (strcmp(name, "many.test") == 0 && type == ns_t_srv) {
        many(message);
        return ns_r_noerror;
    }
    if (strcmp(name, "pond-1.pool.test") == 0 && type == ns_t_a)
        put_address(message, name, "10.1.0.2", 5), count++;
    if (strcmp(name, "plain.test") == 0 && type == ns_t_a) {
        for (unsigned i = 1; i <= 6; i++) {
            char address[32];
            snprintf(address, sizeof address, "10.2.0.%u", i);
            put_address(message, name, address, 60);
        }
        count = 6;
    }
    if (strcmp(name, "plain.test") == 0 && type == ns_t_aaaa)
        put_address(message, name, "fd00::2", 61), count++;
    set_count(message, 1, count);
    if (strcmp(name, "sick.test") == 0)
        return ns_r_servfail;
    return strstr(name, "nowhere") != NULL ? ns_r_nxdomain : ns_r_noerror;
}

/* ---- The tests. ---- */

static bool is_at(const struct dns_host *host, unsigned index, const char *address, unsigned port)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_storage *at = &host->addresses[index].address;
    if (index >= host->address_count)
        return false;
    const struct sockaddr_in *four = (const struct sockaddr_in *) at;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *) at;
    if (at->ss_family == AF_INET)
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
    else
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
    unsigned is = ntohs(at->ss_family == AF_INET ? four->sin_port : six->sin6_port);
    return strcmp(text, address) == 0 && is == port;
}

static void services(void)
{
    struct dns_hosts hosts;
    is_int(dns_look_up(&server, "pool.test", 1, &hosts), STATUS_OK, "a name with services");
    is_int(hosts.count, 2, "those with an address, and not the one that says: none");
    ok(hosts.count == 2 && strcmp(hosts.items[0].name, "pond-0.pool.test") == 0 && hosts.items[0].weight == 7 &&
           hosts.items[0].address_count == 2 && is_at(&hosts.items[0], 0, "10.1.0.1", 8444) &&
           is_at(&hosts.items[0], 1, "fd00::1", 8444),
       "addresses that came along");
    ok(hosts.count == 2 && hosts.items[1].weight == 0 && hosts.items[1].address_count == 1 &&
           is_at(&hosts.items[1], 0, "10.1.0.2", 8445),
       "and one that was asked for");
    is_int(hosts.ttl_s, 5, "the shortest time that any of it is good for");
    dns_hosts_free(&hosts);

    is_int(dns_look_up(&server, "many.test", 1, &hosts), STATUS_OK, "a long answer");
    ok(over_tcp > 0, "comes over TCP");
    is_int(hosts.count, MANY, "whole");
    ok(hosts.count == MANY && is_at(&hosts.items[599], 0, "10.0.2.87", 8444), "each with its address");
    dns_hosts_free(&hosts);
}

static void addresses(void)
{
    struct dns_hosts hosts;
    is_int(dns_look_up(&server, "plain.test", 8444, &hosts), STATUS_OK, "a name without services");
    is_int(hosts.count, 7, "is a host for each address");
    ok(hosts.count == 7 && hosts.items[0].name[0] == '\0' && is_at(&hosts.items[5], 0, "10.2.0.6", 8444) &&
           is_at(&hosts.items[6], 0, "fd00::2", 8444),
       "of either kind, without a name");
    is_int(hosts.ttl_s, 60, "and its time");
    dns_hosts_free(&hosts);
}

static void failures(void)
{
    struct dns_hosts hosts;
    is_int(dns_look_up(&server, "nowhere.test", 1, &hosts), STATUS_NOT_FOUND, "a name that is not there");
    dns_hosts_free(&hosts);
    is_int(dns_look_up(&server, "empty.test", 1, &hosts), STATUS_NOT_FOUND, "a name that has nothing of this");
    dns_hosts_free(&hosts);
    is_int(dns_look_up(&server, "sick.test", 1, &hosts), STATUS_RESOLVE, "a server that fails");
    dns_hosts_free(&hosts);
    struct sockaddr_in nobody = server;
    nobody.sin_port = htons(1);
    is_int(dns_look_up(&nobody, "pool.test", 1, &hosts), STATUS_RESOLVE, "a server that is not there");
    dns_hosts_free(&hosts);
}

/* Every message that is cut somewhere, and every one with a byte changed: nothing of it may do harm. */
static void hostile(void)
{
    static struct message message;
    struct dns_hosts hosts = {.items = NULL};
    unsigned good = 0, odd = 0;
    memset(message.bytes, 0, 12);
    message.size = 12;
    message.bytes[2] = 0x85;
    put_service(&message, "pond-0.pool.test", 8444, 7, 300);
    put_service(&message, "pond-1.pool.test", 8444, 7, 300);
    set_count(&message, 1, 2);
    put_address(&message, "pond-0.pool.test", "10.1.0.1", 300);
    set_count(&message, 3, 1);
    for (size_t size = 0; size <= message.size; size++) {
        uint8_t *cut = mem_alloc(size + 1); /* its own, for the sanitizer to see the end */
        memcpy(cut, message.bytes, size);
        good += dns_parse_services(cut, size, &hosts);
        mem_free(cut);
    }
    is_int(good, 1, "of a message that is cut only the whole one is good");
    dns_hosts_free(&hosts);
    for (size_t at = 0; at < message.size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            message.bytes[at] ^= (uint8_t) (1u << bit);
            dns_parse_services(message.bytes, message.size, &hosts);
            for (unsigned i = 0; i < hosts.count; i++)
                odd += hosts.items[i].name[0] == '\0' || hosts.items[i].port == 0 ||
                       hosts.items[i].address_count > MEMBER_ADDRESSES;
            dns_hosts_free(&hosts);
            message.bytes[at] ^= (uint8_t) (1u << bit);
        }
    is_int(odd, 0, "and of one that was changed nothing odd comes");
}

int main(void)
{
    dns_rig_start();
    services();
    addresses();
    failures();
    hostile();
    dns_rig_stop();
    return done_testing();
}
