/* SPDX-License-Identifier: Apache-2.0 */
/* test_ring_text.c: who is in a pool, written and read again; and whatever else may come in its place. */
#include "pool/ring_text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tap.h"

#define FLIPS_EACH 8

static struct member_address address_of(const char *text, unsigned port)
{
    uint8_t bytes[16];
    int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    inet_pton(family, text, bytes);
    return member_address_of(family, bytes, (uint16_t) port);
}

static uint64_t digest_made_of(const struct ring_text *said)
{
    unsigned count = 0;
    for (unsigned i = 0; i < said->count; i++)
        count += said->regions[i].count;
    struct ring_row *rows = mem_calloc(count + 1, sizeof *rows), *at = rows;
    for (unsigned i = 0; i < said->count; i++)
        for (unsigned k = 0; k < said->regions[i].count; k++)
            *at++ = (struct ring_row){said->regions[i].region, said->regions[i].members[k].name,
                                      said->regions[i].members[k].weight};
    struct ring *ring = ring_new(rows, count, NULL);
    uint64_t digest = ring_digest(ring);
    ring_free(&ring);
    mem_free(rows);
    return digest;
}

static struct strbuf written(const struct ring_text *said)
{
    struct strbuf text = {0};
    if (ring_text_write(said, &text) != STATUS_OK)
        printf("Bail out! it cannot be written\n");
    return text;
}

/* Two regions, three members, one of which nobody knows where it is. */
static struct strbuf small(void)
{
    static struct member_told east[1], west[2];
    static struct members_told regions[] = {{STR_INIT("east"), east, 1}, {STR_INIT("west"), west, 2}};
    struct ring_text said = {.pool = STR("main"), .regions = regions, .count = 2};
    east[0] = (struct member_told){.name = STR("pond-0"), .weight = 1};
    west[0] = (struct member_told){.name = STR("pond-0"), .weight = 7, .address_count = 3};
    west[0].addresses[0] = address_of("fd00::4", 8444);
    west[0].addresses[1] = address_of("10.1.0.5", 8444);
    west[0].addresses[2] = address_of("10.1.0.4", 443);
    west[1] = (struct member_told){.name = STR("pond-1"), .weight = RING_WEIGHT_MAX, .address_count = 1};
    west[1].addresses[0] = address_of("10.1.0.6", 8444);
    said.digest = digest_made_of(&said);
    return written(&said);
}

static void round_trip(void)
{
    struct strbuf text = small();
    struct ring_text said;
    ok(strstr(text.ptr, "{\"name\":\"pond-0\",\"weight\":7,\"addresses\":[\"10.1.0.4:443\",\"10.1.0.5:8444\","
                        "\"[fd00::4]:8444\"]}") != NULL,
       "a member's addresses stand in one order: %s", text.ptr);
    is_int(ring_text_read(strbuf_str(&text), &said), STATUS_OK, "it is read");
    is_text(said.pool, "main", "the pool");
    is_int(said.count, 2, "the regions");
    is_text(said.regions[1].region, "west", "their names");
    is_int(said.regions[1].count, 2, "their members");
    is_int(said.regions[0].members[0].address_count, 0, "of whom one is nowhere");
    is_int(said.regions[1].members[1].weight, RING_WEIGHT_MAX, "their weights");
    const struct member_address six = address_of("fd00::4", 8444);
    ok(said.regions[1].members[0].address_count == 3 &&
           member_address_eq(&said.regions[1].members[0].addresses[2], &six),
       "and where they are");
    ok(said.digest == digest_made_of(&said), "and the digest");
    struct strbuf again = written(&said);
    ok(str_eq(strbuf_str(&again), strbuf_str(&text)), "it is written again in the same bytes");
    strbuf_free(&again);
    ring_text_free(&said);
    strbuf_free(&text);
}

static enum status read_status(struct str text)
{
    struct ring_text said;
    enum status status = ring_text_read(text, &said);
    ring_text_free(&said);
    return status;
}

/* Its text with one part in another's place. */
static enum status with(const char *part, const char *instead)
{
    struct strbuf text = small(), changed = {0};
    const char *at = strstr(text.ptr, part);
    if (at == NULL)
        printf("Bail out! there is no %s\n", part);
    strbuf_addf(&changed, "%.*s%s%s", (int) (at - text.ptr), text.ptr, instead, at + strlen(part));
    enum status status = read_status(strbuf_str(&changed));
    strbuf_free(&changed);
    strbuf_free(&text);
    return status;
}

static void odd(void)
{
    static const struct {
        const char *part, *instead;
        enum status status;
        const char *what;
    } cases[] = {
        {"\"version\":1", "\"version\":2, \"more\": [{}]", STATUS_OK, "a later version, with more in it"},
        {"\"version\":1", "\"version\":0", STATUS_INVALID, "none"},
        {"\"version\":1", "\"version\":\"1\"", STATUS_INVALID, "a version that is text"},
        {"\"version\":1,", "", STATUS_INVALID, "no version"},
        {"main", "other", STATUS_OK, "another pool, which its reader has to notice"},
        {"\"main\"", "7", STATUS_INVALID, "a pool that is no text"},
        {"main", "Ma in", STATUS_INVALID, "a pool's name that is none"},
        {"\"digest\":\"", "\"digest\":\"0", STATUS_INVALID, "a digest that is too long"},
        {"\"weight\":7", "\"weight\":8", STATUS_INVALID, "a digest of something else"},
        {"\"weight\":7", "\"weight\":0", STATUS_INVALID, "no weight"},
        {"\"weight\":7", "\"weight\":-1", STATUS_INVALID, "less than none"},
        {"\"weight\":7", "\"weight\":65536", STATUS_INVALID, "too much of it"},
        {"\"weight\":7", "\"weight\":7.0", STATUS_INVALID, "a weight with a point"},
        {"\"weight\":7,", "", STATUS_INVALID, "a weight that is not told"},
        {"pond-1", "pond-0", STATUS_INVALID, "a member twice"},
        {"pond-1", "pond", STATUS_INVALID, "members in another order"},
        {"pond-1", "", STATUS_INVALID, "no name"},
        {"pond-1", "pond/1", STATUS_INVALID, "a name that is none"},
        {"west", "east", STATUS_INVALID, "a region twice"},
        {"10.1.0.6:8444", "10.1.0.6:0", STATUS_INVALID, "no port"},
        {"10.1.0.6:8444", "10.1.0.6:65536", STATUS_INVALID, "none there is"},
        {"10.1.0.6:8444", "10.1.0.6", STATUS_INVALID, "an address without one"},
        {"10.1.0.6:8444", "pond-1:8444", STATUS_INVALID, "a name, which would have to be looked up"},
        {"10.1.0.6:8444", "10.1.0.7:8444", STATUS_OK, "another address"},
        {"\"10.1.0.6:8444\"", "8444", STATUS_INVALID, "an address that is no text"},
        {"[\"10.1.0.6:8444\"]", "\"10.1.0.6:8444\"", STATUS_INVALID, "addresses that are no list"},
        {"[\"10.1.0.6:8444\"]",
         "[\"10.1.0.6:1\",\"10.1.0.6:2\",\"10.1.0.6:3\",\"10.1.0.6:4\",\"10.1.0.6:5\",\"10.1.0.6:6\"]", STATUS_OK,
         "more of them than there is room for"},
        {"\"members\":[", "\"members\":[],\"others\":[", STATUS_INVALID, "a region of nobody"},
        {"\"members\":[", "\"members\":[5,", STATUS_INVALID, "a member that is none"},
        {"\"regions\":[", "\"regions\":[],\"others\":[", STATUS_INVALID, "no region"},
        {"\"regions\":[", "\"regions\":[{},", STATUS_INVALID, "a region that is none"},
        {"\"pool\":", "\"pool\":\"main\",\"pool\":", STATUS_INVALID, "a key twice"},
        {"]}]}\n", "]}]}{}", STATUS_INVALID, "something behind it"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        is_int(with(cases[i].part, cases[i].instead), cases[i].status, "%s", cases[i].what);
    is_int(read_status(STR_NULL), STATUS_INVALID, "nothing");
    is_int(read_status(STR("[]")), STATUS_INVALID, "a list");
    is_int(read_status(STR("null")), STATUS_INVALID, "null");
}

/* Bytes of that very size, so that a sanitizer sees each step too far. */
static enum status read_copy(const char *text, size_t size, struct ring_text *said)
{
    char *copy = mem_alloc(size + (size == 0));
    memcpy(copy, text, size);
    enum status status = ring_text_read((struct str){copy, size}, said);
    mem_free(copy);
    return status;
}

static void broken(void)
{
    struct strbuf text = small();
    struct ring_text said;
    unsigned whole = 0, wrong = 0, taken = 0;
    for (size_t size = 0; size + 1 < text.len; size++) { /* but for the end of its line */
        whole += read_copy(text.ptr, size, &said) == STATUS_OK;
        ring_text_free(&said);
    }
    is_int(whole, 0, "cut short anywhere it is refused");
    for (size_t at = 0; at < text.len; at++) {
        for (unsigned bit = 0; bit < FLIPS_EACH; bit++) {
            text.ptr[at] ^= (char) (1 << bit);
            if (read_copy(text.ptr, text.len, &said) == STATUS_OK) {
                struct strbuf again = written(&said);
                taken++;
                wrong += said.count == 0 || said.digest != digest_made_of(&said) ||
                         read_status(strbuf_str(&again)) != STATUS_OK;
                strbuf_free(&again);
            }
            ring_text_free(&said);
            text.ptr[at] ^= (char) (1 << bit);
        }
    }
    is_int(wrong, 0, "with any bit the other way round it is refused, or can be what somebody has said");
    ok(taken > 0 && taken < text.len * FLIPS_EACH / 8, "which it seldom is (%u of %zu)", taken, text.len * FLIPS_EACH);
    strbuf_free(&text);
}

/* ---- Bounds. ---- */

/* That many in each of so many regions. */
static enum status crowd(unsigned regions, unsigned each, struct strbuf *text)
{
    struct ring_text said = {.pool = STR("main"), .count = regions};
    char(*names)[2][16] = mem_calloc(regions > each ? regions : each, sizeof *names);
    said.regions = mem_calloc(regions, sizeof said.regions[0]);
    for (unsigned i = 0; i < (regions > each ? regions : each); i++) {
        snprintf(names[i][0], 16, "r%05u", i);
        snprintf(names[i][1], 16, "pond-%05u", i);
    }
    for (unsigned i = 0; i < regions; i++) {
        said.regions[i] =
            (struct members_told){str_from(names[i][0]), mem_calloc(each, sizeof(struct member_told)), each};
        for (unsigned k = 0; k < each; k++) {
            struct member_told *member = &said.regions[i].members[k];
            *member = (struct member_told){.name = str_from(names[k][1]), .weight = 1, .address_count = 1};
            member->addresses[0] = address_of("10.200.100.100", 8444);
        }
    }
    said.digest = digest_made_of(&said);
    enum status status = ring_text_write(&said, text);
    for (unsigned i = 0; i < regions; i++)
        mem_free(said.regions[i].members);
    mem_free(said.regions);
    mem_free(names);
    return status;
}

static void crowds(void)
{
    static const struct {
        unsigned regions, each;
        enum status written, read;
        const char *what;
    } cases[] = {
        {1, RING_NODES_MAX, STATUS_OK, STATUS_OK, "as many as a region may have"},
        {1, RING_NODES_MAX + 1, STATUS_OK, STATUS_TOO_LARGE, "one more"},
        {RING_REGIONS_MAX, RING_TEXT_MEMBERS_MAX / RING_REGIONS_MAX, STATUS_OK, STATUS_OK, "as many as may be in all"},
        {RING_REGIONS_MAX, RING_TEXT_MEMBERS_MAX / RING_REGIONS_MAX + 1, STATUS_TOO_LARGE, STATUS_OK, "some more"},
        {RING_REGIONS_MAX + 1, 1, STATUS_OK, STATUS_TOO_LARGE, "a region too many"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct strbuf text = {0};
        is_int(crowd(cases[i].regions, cases[i].each, &text), cases[i].written, "%s: written", cases[i].what);
        if (cases[i].written == STATUS_OK)
            is_int(read_status(strbuf_str(&text)), cases[i].read, "%s: read (%zu bytes)", cases[i].what, text.len);
        strbuf_free(&text);
    }
    struct strbuf text = small();
    size_t more = RING_TEXT_MAX - text.len;
    memset(strbuf_reserve(&text, more + 1), ' ', more + 1);
    text.len += more;
    is_int(read_status(strbuf_str(&text)), STATUS_OK, "as long as it may be");
    text.len++;
    is_int(read_status(strbuf_str(&text)), STATUS_TOO_LARGE, "a byte longer");
    strbuf_free(&text);
}

int main(void)
{
    round_trip();
    odd();
    broken();
    crowds();
    return done_testing();
}
