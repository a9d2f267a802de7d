/* SPDX-License-Identifier: Apache-2.0 */
/* ring_text.c: see ring_text.h. Names are labels, which need no escaping. */
#include "pool/ring_text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/hostport.h"
#include "base/mem.h"
#include "net/address.h"

#define DIGEST_DIGITS 16

/* ---- Writing. ---- */

static int compare_addresses(const void *left, const void *right)
{
    const struct member_address *a = left, *b = right;
    return a->length != b->length ? (a->length > b->length) - (a->length < b->length)
                                  : memcmp(&a->address, &b->address, a->length);
}

static void write_addresses(const struct member_told *member, struct strbuf *text)
{
    struct member_address sorted[MEMBER_ADDRESSES];
    char address[ADDRESS_TEXT];
    unsigned count = member->address_count < MEMBER_ADDRESSES ? member->address_count : MEMBER_ADDRESSES;
    memcpy(sorted, member->addresses, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare_addresses);
    for (unsigned i = 0; i < count; i++) {
        address_format((const struct sockaddr *) &sorted[i].address, address, sizeof address);
        strbuf_addf(text, "%s\"%s\"", i > 0 ? "," : "", address);
    }
}

static void write_region(const struct members_told *region, struct strbuf *text)
{
    strbuf_addf(text, "{\"name\":\"%.*s\",\"members\":[", STR_ARG(region->region));
    for (unsigned i = 0; i < region->count; i++) {
        const struct member_told *member = &region->members[i];
        strbuf_addf(text, "%s{\"name\":\"%.*s\",\"weight\":%u,\"addresses\":[", i > 0 ? "," : "", STR_ARG(member->name),
                    (unsigned) member->weight);
        write_addresses(member, text);
        strbuf_adds(text, STR("]}"));
    }
    strbuf_adds(text, STR("]}"));
}

enum status ring_text_write(const struct ring_text *said, struct strbuf *text)
{
    size_t before = text->len, members = 0;
    for (unsigned i = 0; i < said->count; i++)
        members += said->regions[i].count;
    if (members > RING_TEXT_MEMBERS_MAX)
        return STATUS_TOO_LARGE;
    strbuf_addf(text, "{\"version\":%d,\"pool\":\"%.*s\",\"digest\":\"%016" PRIx64 "\",\"regions\":[",
                RING_TEXT_VERSION, STR_ARG(said->pool), said->digest);
    for (unsigned i = 0; i < said->count; i++) {
        if (i > 0)
            strbuf_adds(text, STR(","));
        write_region(&said->regions[i], text);
    }
    strbuf_adds(text, STR("]}\n"));
    return text->len - before <= RING_TEXT_MAX ? STATUS_OK : STATUS_TOO_LARGE;
}

/* ---- Reading. ---- */

/* A label that comes after the one before it. */
static bool read_name(const json_t *object, struct str before, struct arena *arena, struct str *name)
{
    const char *text = json_string_value(json_object_get(object, "name"));
    if (text == NULL || !conf_is_label(str_from(text)) || (before.ptr != NULL && str_cmp(before, str_from(text)) >= 0))
        return false;
    *name = arena_str(arena, str_from(text));
    return true;
}

static bool read_address(const char *text, struct member_address *address)
{
    struct str host;
    int64_t port;
    const char *problem;
    char name[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    if (text == NULL || !hostport_split(str_from(text), &host, &port, &problem) || port == 0 || host.len >= sizeof name)
        return false;
    *str_put(name, host) = '\0';
    int family = inet_pton(AF_INET, name, bytes) == 1    ? AF_INET
                 : inet_pton(AF_INET6, name, bytes) == 1 ? AF_INET6
                                                         : AF_UNSPEC;
    *address = member_address_of(family, bytes, (uint16_t) port);
    return address->length > 0;
}

static bool read_member(const json_t *object, struct str before, struct arena *arena, struct member_told *member)
{
    const json_t *weight = json_object_get(object, "weight"), *addresses = json_object_get(object, "addresses");
    json_int_t number = json_integer_value(weight);
    if (!read_name(object, before, arena, &member->name) || !json_is_array(addresses) || number < 1 ||
        number > RING_WEIGHT_MAX)
        return false;
    member->weight = (uint32_t) number;
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        struct member_address address;
        if (!read_address(json_string_value(json_array_get(addresses, i)), &address))
            return false;
        if (member->address_count < MEMBER_ADDRESSES)
            member->addresses[member->address_count++] = address;
    }
    return true;
}

/* `room`: how many members there may still be. */
static enum status read_region(const json_t *object, struct str before, struct arena *arena, size_t room,
                               struct members_told *region)
{
    const json_t *members = json_object_get(object, "members");
    size_t count = json_array_size(members);
    if (!read_name(object, before, arena, &region->region) || count == 0)
        return STATUS_INVALID;
    if (count > room || count > RING_NODES_MAX)
        return STATUS_TOO_LARGE;
    region->members = arena_calloc(arena, count * sizeof region->members[0]);
    for (; region->count < count; region->count++) {
        unsigned i = region->count;
        struct str last = i > 0 ? region->members[i - 1].name : STR_NULL;
        if (!read_member(json_array_get(members, i), last, arena, &region->members[i]))
            return STATUS_INVALID;
    }
    return STATUS_OK;
}

static bool read_digest(const char *text, uint64_t *digest)
{
    *digest = 0;
    if (text == NULL || strlen(text) != DIGEST_DIGITS)
        return false;
    for (; *text != '\0'; text++) {
        int digit = str_hex_digit(*text);
        if (digit < 0)
            return false;
        *digest = *digest << 4 | (unsigned) digit;
    }
    return true;
}

static enum status read_document(const json_t *object, struct ring_text *said)
{
    const json_t *regions = json_object_get(object, "regions");
    const char *pool = json_string_value(json_object_get(object, "pool"));
    size_t count = json_array_size(regions), room = RING_TEXT_MEMBERS_MAX;
    enum status status = STATUS_OK;
    if (json_integer_value(json_object_get(object, "version")) < RING_TEXT_VERSION || pool == NULL ||
        !conf_is_label(str_from(pool)) ||
        !read_digest(json_string_value(json_object_get(object, "digest")), &said->digest) || count == 0)
        return STATUS_INVALID;
    if (count > RING_REGIONS_MAX)
        return STATUS_TOO_LARGE;
    said->pool = arena_str(said->arena, str_from(pool));
    said->regions = arena_calloc(said->arena, count * sizeof said->regions[0]);
    for (; said->count < count && status == STATUS_OK; said->count++) {
        unsigned i = said->count;
        struct str last = i > 0 ? said->regions[i - 1].region : STR_NULL;
        status = read_region(json_array_get(regions, i), last, said->arena, room, &said->regions[i]);
        room -= status == STATUS_OK ? said->regions[i].count : 0;
    }
    return status;
}

/* Whether the digest is that of what stands there. */
static bool agrees(const struct ring_text *said)
{
    unsigned count = 0, at = 0, left_out;
    for (unsigned i = 0; i < said->count; i++)
        count += said->regions[i].count;
    struct ring_row *rows = mem_calloc(count, sizeof *rows);
    for (unsigned i = 0; i < said->count; i++) {
        const struct members_told *region = &said->regions[i];
        for (unsigned k = 0; k < region->count; k++)
            rows[at++] = (struct ring_row){region->region, region->members[k].name, region->members[k].weight};
    }
    struct ring *ring = ring_new(rows, count, &left_out);
    bool agreed = left_out == 0 && ring_digest(ring) == said->digest;
    ring_free(&ring);
    mem_free(rows);
    return agreed;
}

enum status ring_text_read(struct str text, struct ring_text *said)
{
    *said = (struct ring_text){.arena = arena_new()};
    if (text.len > RING_TEXT_MAX)
        return STATUS_TOO_LARGE;
    json_t *object = json_loadb(text.ptr == NULL ? "" : text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    enum status status = object == NULL ? STATUS_INVALID : read_document(object, said);
    json_decref(object);
    return status == STATUS_OK && !agrees(said) ? STATUS_INVALID : status;
}

void ring_text_free(struct ring_text *said)
{
    arena_free(said->arena);
    *said = (struct ring_text){.arena = NULL};
}
