/* SPDX-License-Identifier: Apache-2.0 */
/* slices.c: see slices.h. */
#include "pool/slices.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

/* Of the names of slices and of versions. */
#define TEXT_MAX 254
/* Endpoints of a slice; Kubernetes has a most of 1000. Of all of them, and how many those are: far more than a pool has
 * members. */
#define ENDPOINTS_MAX 1000
#define ALL_ENDPOINTS_MAX 5000
#define SLICES_MAX 1000

struct slice {
    struct list node;
    char name[TEXT_MAX];
    bool listed;
    struct dns_hosts hosts;
};

struct slices {
    struct list slices;
    unsigned count;
    unsigned endpoints; /* of all */
    char *port;         /* NULL: the only one */
    char version[TEXT_MAX];
};

struct slices *slices_new(struct str port)
{
    struct slices *slices = mem_calloc(1, sizeof *slices);
    list_init(&slices->slices);
    if (port.ptr != NULL) {
        slices->port = mem_alloc(port.len + 1);
        *str_put(slices->port, port) = '\0';
    }
    return slices;
}

static void drop(struct slices *slices, struct slice *slice)
{
    list_remove(&slice->node);
    slices->count--;
    slices->endpoints -= slice->hosts.count;
    dns_hosts_free(&slice->hosts);
    mem_free(slice);
}

void slices_free(struct slices **freed)
{
    struct slices *slices = *freed;
    *freed = NULL;
    if (slices == NULL)
        return;
    while (!list_empty(&slices->slices))
        drop(slices, LIST_ENTRY(slices->slices.next, struct slice, node));
    mem_free(slices->port);
    mem_free(slices);
}

static struct slice *find(struct slices *slices, const char *name)
{
    LIST_FOR_EACH(node, &slices->slices)
    {
        struct slice *slice = LIST_ENTRY(node, struct slice, node);
        if (strcmp(slice->name, name) == 0)
            return slice;
    }
    return NULL;
}

/* ---- One slice. ---- */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* 0: it has none that is ours. */
static uint16_t port_of(const struct slices *slices, const json_t *object)
{
    const json_t *ports = json_object_get(object, "ports"), *port;
    size_t i;
    int64_t wanted = 0;
    bool numbered = slices->port != NULL && str_to_int(str_from(slices->port), &wanted);
    if (slices->port == NULL && json_array_size(ports) != 1)
        return 0;
    json_array_foreach(ports, i, port)
    {
        json_int_t number = json_integer_value(json_object_get(port, "port"));
        const char *name = text_of(port, "name");
        bool ours =
            slices->port == NULL || (numbered ? number == wanted : name != NULL && strcmp(name, slices->port) == 0);
        if (ours && number > 0 && number <= 65535)
            return (uint16_t) number;
    }
    return 0;
}

static bool set_address(const char *text, uint16_t port, struct member_address *address)
{
    uint8_t bytes[16];
    int family = inet_pton(AF_INET, text, bytes) == 1    ? AF_INET
                 : inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6
                                                         : AF_UNSPEC;
    *address = member_address_of(family, bytes, port);
    return address->length > 0;
}

static bool read_endpoint(const json_t *endpoint, uint16_t port, struct dns_host *host)
{
    const char *name = text_of(endpoint, "hostname");
    const json_t *text;
    size_t i;
    *host = (struct dns_host){.port = port, .weight = 1};
    if (name != NULL && strlen(name) <= DNS_NAME_MAX)
        strcpy(host->name, name);
    json_array_foreach(json_object_get(endpoint, "addresses"), i, text)
    {
        const char *address = json_string_value(text);
        if (host->address_count < MEMBER_ADDRESSES && address != NULL &&
            set_address(address, port, &host->addresses[host->address_count]))
            host->address_count++;
    }
    return host->address_count > 0;
}

static void read_endpoints(struct slices *slices, const json_t *object, struct dns_hosts *hosts)
{
    const json_t *endpoints = json_object_get(object, "endpoints"), *endpoint;
    uint16_t port = port_of(slices, object);
    slices->endpoints -= hosts->count;
    dns_hosts_free(hosts);
    size_t i, count = json_array_size(endpoints), room = ALL_ENDPOINTS_MAX - slices->endpoints;
    room = room < ENDPOINTS_MAX ? room : ENDPOINTS_MAX;
    count = count < room ? count : room;
    if (port == 0 || count == 0)
        return;
    hosts->items = mem_calloc(count, sizeof hosts->items[0]);
    json_array_foreach(endpoints, i, endpoint)
    {
        if (hosts->count < count && read_endpoint(endpoint, port, &hosts->items[hosts->count]))
            hosts->count++;
    }
    slices->endpoints += hosts->count;
}

static bool note_version(struct slices *slices, const json_t *object)
{
    const char *version = text_of(json_object_get(object, "metadata"), "resourceVersion");
    if (version == NULL || strlen(version) >= TEXT_MAX)
        return false;
    strcpy(slices->version, version);
    return true;
}

static enum status take(struct slices *slices, const json_t *object)
{
    const char *name = text_of(json_object_get(object, "metadata"), "name");
    if (name == NULL || strlen(name) >= TEXT_MAX)
        return STATUS_PROTOCOL;
    struct slice *slice = find(slices, name);
    if (slice == NULL) {
        if (slices->count == SLICES_MAX)
            return STATUS_TOO_LARGE;
        slices->count++;
        slice = mem_calloc(1, sizeof *slice);
        strcpy(slice->name, name);
        list_add_tail(&slices->slices, &slice->node);
    }
    slice->listed = true;
    read_endpoints(slices, object, &slice->hosts);
    return STATUS_OK;
}

/* ---- Lists and watches. ---- */

void slices_begin(struct slices *slices)
{
    LIST_FOR_EACH(node, &slices->slices)
    {
        LIST_ENTRY(node, struct slice, node)->listed = false;
    }
}

static enum status read_page(struct slices *slices, const json_t *list, struct strbuf *next)
{
    const json_t *items = json_object_get(list, "items"), *item;
    const char *token = text_of(json_object_get(list, "metadata"), "continue");
    size_t i;
    if (!json_is_array(items) || !note_version(slices, list))
        return STATUS_PROTOCOL;
    json_array_foreach(items, i, item)
    {
        enum status status = take(slices, item);
        if (status != STATUS_OK)
            return status;
    }
    next->len = 0;
    strbuf_adds(next, token == NULL ? STR("") : str_from(token));
    return STATUS_OK;
}

enum status slices_page(struct slices *slices, struct str json, struct strbuf *next)
{
    json_t *list = json_loadb(json.ptr, json.len, 0, NULL);
    enum status status = list == NULL ? STATUS_PROTOCOL : read_page(slices, list, next);
    json_decref(list);
    return status;
}

void slices_listed(struct slices *slices)
{
    LIST_FOR_EACH_SAFE(node, &slices->slices)
    {
        struct slice *slice = LIST_ENTRY(node, struct slice, node);
        if (!slice->listed)
            drop(slices, slice);
    }
}

static enum status read_event(struct slices *slices, const json_t *event)
{
    const char *type = text_of(event, "type");
    const json_t *object = json_object_get(event, "object");
    if (type == NULL || object == NULL)
        return STATUS_PROTOCOL;
    if (strcmp(type, "ERROR") == 0) /* mostly 410: it was too long ago */
        return STATUS_NOT_FOUND;
    if (!note_version(slices, object))
        return STATUS_PROTOCOL;
    if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
        return take(slices, object);
    const char *name = text_of(json_object_get(object, "metadata"), "name");
    struct slice *slice = name == NULL ? NULL : find(slices, name);
    if (strcmp(type, "DELETED") == 0 && slice != NULL)
        drop(slices, slice);
    return STATUS_OK; /* a BOOKMARK, or what there may be one day */
}

enum status slices_event(struct slices *slices, struct str json)
{
    json_t *event = json_loadb(json.ptr, json.len, 0, NULL);
    enum status status = event == NULL ? STATUS_PROTOCOL : read_event(slices, event);
    json_decref(event);
    return status;
}

const char *slices_version(const struct slices *slices)
{
    return slices->version;
}

/* ---- What there is. ---- */

static bool has_address(const struct dns_host *host, const struct member_address *address)
{
    for (unsigned i = 0; i < host->address_count; i++)
        if (member_address_eq(&host->addresses[i], address))
            return true;
    return false;
}

/* The one of that name; without one, of that address. */
static struct dns_host *find_host(const struct dns_hosts *hosts, const struct dns_host *wanted)
{
    bool named = wanted->name[0] != '\0';
    for (unsigned i = 0; i < hosts->count; i++)
        if (strcmp(hosts->items[i].name, wanted->name) == 0 &&
            (named || has_address(&hosts->items[i], &wanted->addresses[0])))
            return &hosts->items[i];
    return NULL;
}

/* An endpoint that moves from slice to slice is in two of them for a while; and where a service has IPv4 and IPv6, each
 * of its pods is in slices of either (kubernetes.io/docs/concepts/services-networking/endpoint-slices). */
static void add_host(struct dns_hosts *hosts, const struct dns_host *more)
{
    struct dns_host *host = find_host(hosts, more);
    if (host == NULL) {
        hosts->items[hosts->count++] = *more;
        return;
    }
    for (unsigned i = 0; i < more->address_count && host->address_count < MEMBER_ADDRESSES; i++)
        if (!has_address(host, &more->addresses[i]))
            host->addresses[host->address_count++] = more->addresses[i];
}

void slices_hosts(const struct slices *slices, struct dns_hosts *hosts)
{
    *hosts = (struct dns_hosts){.items = mem_calloc(slices->endpoints + 1, sizeof hosts->items[0])};
    LIST_FOR_EACH(node, &slices->slices)
    {
        const struct slice *slice = LIST_ENTRY(node, struct slice, node);
        for (unsigned i = 0; i < slice->hosts.count; i++)
            add_host(hosts, &slice->hosts.items[i]);
    }
}
