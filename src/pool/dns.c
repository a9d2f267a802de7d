/* SPDX-License-Identifier: Apache-2.0 */
/* dns.c: see dns.h. */
#include "pool/dns.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Seconds a server is waited for, and how often it is asked. */
#define PATIENCE_S 2
#define TRIES 2
#define MESSAGE_MAX 65535
#define TTL_MOST (24 * 3600)

void dns_hosts_free(struct dns_hosts *hosts)
{
    mem_free(hosts->items);
    *hosts = (struct dns_hosts){.items = NULL};
}

static struct dns_host *add_host(struct dns_hosts *hosts)
{
    hosts->items = mem_realloc(hosts->items, (hosts->count + 1) * sizeof hosts->items[0]);
    struct dns_host *host = &hosts->items[hosts->count++];
    *host = (struct dns_host){.weight = 1};
    return host;
}

static void note_ttl(struct dns_hosts *hosts, uint32_t ttl_s)
{
    if (hosts->ttl_s == 0 || ttl_s < hosts->ttl_s)
        hosts->ttl_s = ttl_s == 0 ? 1 : ttl_s < TTL_MOST ? ttl_s : TTL_MOST;
}

/* ---- Messages. ---- */

static uint16_t number16(const uint8_t *at)
{
    return (uint16_t) (at[0] << 8 | at[1]);
}

/* Of an A or AAAA record; the port is the host's. */
static void add_address(struct dns_host *host, const ns_rr *record)
{
    bool four = ns_rr_type(*record) == ns_t_a && ns_rr_rdlen(*record) == 4;
    bool six = ns_rr_type(*record) == ns_t_aaaa && ns_rr_rdlen(*record) == 16;
    if (host->address_count < MEMBER_ADDRESSES && (four || six))
        host->addresses[host->address_count++] =
            member_address_of(four ? AF_INET : AF_INET6, ns_rr_rdata(*record), host->port);
}

/* Priority, weight, port, target (RFC 2782). */
static void add_service(ns_msg *message, const ns_rr *record, struct dns_hosts *hosts)
{
    char name[NS_MAXDNAME];
    const uint8_t *data = ns_rr_rdata(*record);
    if (ns_rr_rdlen(*record) < 7 ||
        ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), data + 6, name, sizeof name) < 0)
        return;
    size_t length = strlen(name);
    if (length == 0 || length > DNS_NAME_MAX || number16(data + 4) == 0) /* "." says: none here */
        return;
    struct dns_host *host = add_host(hosts);
    memcpy(host->name, name, length + 1);
    host->weight = number16(data + 2);
    host->port = number16(data + 4);
    note_ttl(hosts, ns_rr_ttl(*record));
}

/* Addresses that came along. Both are as many as fit into a message. */
static void add_along(struct dns_hosts *hosts, unsigned from, const ns_rr *record)
{
    for (unsigned i = from; i < hosts->count; i++)
        if (strcasecmp(hosts->items[i].name, ns_rr_name(*record)) == 0) {
            add_address(&hosts->items[i], record);
            note_ttl(hosts, ns_rr_ttl(*record));
        }
}

bool dns_parse_services(const uint8_t *bytes, size_t size, struct dns_hosts *hosts)
{
    ns_msg message;
    ns_rr record;
    unsigned from = hosts->count;
    if (ns_initparse(bytes, (int) size, &message) != 0)
        return false;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        if (ns_parserr(&message, ns_s_an, i, &record) != 0)
            return false;
        if (ns_rr_type(record) == ns_t_srv && ns_rr_class(record) == ns_c_in)
            add_service(&message, &record, hosts);
    }
    for (int i = 0; i < ns_msg_count(message, ns_s_ar); i++) {
        if (ns_parserr(&message, ns_s_ar, i, &record) != 0)
            return false;
        if (ns_rr_type(record) == ns_t_a || ns_rr_type(record) == ns_t_aaaa)
            add_along(hosts, from, &record);
    }
    return true;
}

/* One host for all addresses, or one for each. */
static bool parse_addresses(const uint8_t *bytes, size_t size, struct dns_host *all, uint16_t port,
                            struct dns_hosts *hosts)
{
    ns_msg message;
    ns_rr record;
    if (ns_initparse(bytes, (int) size, &message) != 0)
        return false;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        if (ns_parserr(&message, ns_s_an, i, &record) != 0)
            return false;
        if (ns_rr_type(record) != ns_t_a && ns_rr_type(record) != ns_t_aaaa)
            continue; /* a CNAME, which the resolver has followed */
        struct dns_host *host = all != NULL ? all : add_host(hosts);
        host->port = port;
        add_address(host, &record);
        note_ttl(hosts, ns_rr_ttl(record));
    }
    return true;
}

/* ---- Asking. ---- */

struct asker {
    struct __res_state state;
    uint8_t *message;
};

static enum status asker_open(struct asker *asker, const struct sockaddr_in *server)
{
    memset(&asker->state, 0, sizeof asker->state);
    if (res_ninit(&asker->state) != 0)
        return STATUS_RESOLVE;
    asker->state.retrans = PATIENCE_S;
    asker->state.retry = TRIES;
    if (server != NULL) {
        asker->state.nscount = 1;
        asker->state.nsaddr_list[0] = *server;
    }
    asker->message = mem_alloc(MESSAGE_MAX);
    return STATUS_OK;
}

static void asker_close(struct asker *asker)
{
    res_nclose(&asker->state);
    mem_free(asker->message);
}

/* OK with *size bytes in asker->message. */
static enum status ask(struct asker *asker, const char *name, int type, size_t *size)
{
    int length = res_nquery(&asker->state, name, ns_c_in, type, asker->message, MESSAGE_MAX);
    if (length > 0 && length <= MESSAGE_MAX) {
        *size = (size_t) length;
        return STATUS_OK;
    }
    return asker->state.res_h_errno == HOST_NOT_FOUND || asker->state.res_h_errno == NO_DATA ? STATUS_NOT_FOUND
                                                                                             : STATUS_RESOLVE;
}

/* Of both kinds; whoever has one need not have the other. */
static enum status ask_addresses(struct asker *asker, const char *name, struct dns_host *all, uint16_t port,
                                 struct dns_hosts *hosts)
{
    static const int types[] = {ns_t_a, ns_t_aaaa};
    enum status worst = STATUS_NOT_FOUND;
    bool found = false;
    for (unsigned i = 0; i < 2; i++) {
        size_t size;
        enum status status = ask(asker, name, types[i], &size);
        if (status == STATUS_OK && !parse_addresses(asker->message, size, all, port, hosts))
            status = STATUS_RESOLVE;
        found = found || status == STATUS_OK;
        if (status == STATUS_RESOLVE)
            worst = status;
    }
    return found && worst != STATUS_RESOLVE ? STATUS_OK : worst;
}

/* Those that DNS gives none for are not there. */
static enum status complete(struct asker *asker, struct dns_hosts *hosts)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < hosts->count; i++) {
        struct dns_host host = hosts->items[i];
        if (host.address_count == 0 && ask_addresses(asker, host.name, &host, host.port, hosts) == STATUS_RESOLVE)
            return STATUS_RESOLVE;
        if (host.address_count > 0)
            hosts->items[kept++] = host;
    }
    hosts->count = kept;
    return STATUS_OK;
}

static enum status look_up(struct asker *asker, const char *name, uint16_t port, struct dns_hosts *hosts)
{
    size_t size;
    enum status status = ask(asker, name, ns_t_srv, &size);
    if (status == STATUS_OK && !dns_parse_services(asker->message, size, hosts))
        status = STATUS_RESOLVE;
    if (status == STATUS_OK && hosts->count > 0)
        status = complete(asker, hosts);
    else if (status != STATUS_RESOLVE)
        status = ask_addresses(asker, name, NULL, port, hosts);
    return status == STATUS_OK && hosts->count == 0 ? STATUS_NOT_FOUND : status;
}

enum status dns_look_up(const struct sockaddr_in *server, const char *name, uint16_t port, struct dns_hosts *hosts)
{
    struct asker asker;
    *hosts = (struct dns_hosts){.items = NULL};
    enum status status = asker_open(&asker, server);
    if (status != STATUS_OK)
        return status;
    status = look_up(&asker, name, port, hosts);
    asker_close(&asker);
    return status;
}
