/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_entry.c: headers survive the way to bytes and back, no flipped bit does; locations keep their parts apart.
 */
#include <stdlib.h>

#include "store/entry.h"
#include "store/location.h"
#include "store/segment.h"
#include "tap.h"

static struct entry sample(void)
{
    return (struct entry){.kind = ENTRY_BLOCK,
                          .store = {1, UINT64_MAX},
                          .incarnation = 77,
                          .length = 1048576,
                          .object = {0x0123456789abcdef, 42},
                          .generation = UINT64_C(1) << 60,
                          .block = 123456789,
                          .total = UINT64_C(190) << 40,
                          .group = {5, 6},
                          .sequence = 9,
                          .checksum = 0xfeedfacecafebeef,
                          .segment = 77};
}

static bool same(const struct entry *a, const struct entry *b)
{
    return a->kind == b->kind && hash128_eq(a->store, b->store) && a->incarnation == b->incarnation &&
           a->length == b->length && hash128_eq(a->object, b->object) && a->generation == b->generation &&
           a->block == b->block && a->total == b->total && hash128_eq(a->group, b->group) &&
           a->sequence == b->sequence && a->checksum == b->checksum && a->segment == b->segment;
}

static void test_round_trip(void)
{
    struct entry before = sample(), after;
    uint8_t bytes[ENTRY_HEADER_SIZE];
    entry_encode(&before, bytes);
    is_int(entry_decode(bytes, &after), STATUS_OK, "a header decodes");
    ok(same(&before, &after), "to what it was");
    unsigned believed = 0;
    for (unsigned bit = 0; bit < ENTRY_HEADER_SIZE * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1U << bit % 8);
        believed += entry_decode(bytes, &after) == STATUS_OK;
        bytes[bit / 8] ^= (uint8_t) (1U << bit % 8);
    }
    is_int(believed, 0, "no header with one flipped bit is believed");
    memset(bytes, 0, sizeof bytes);
    is_int(entry_decode(bytes, &after), STATUS_CORRUPT, "zeros are no header");
    memset(bytes, 0xff, sizeof bytes);
    is_int(entry_decode(bytes, &after), STATUS_CORRUPT, "ones are no header");
}

static void test_checksum(void)
{
    uint8_t body[1000];
    memset(body, 3, sizeof body);
    uint64_t sum = entry_checksum(body, sizeof body);
    unsigned same_sums = 0;
    for (unsigned bit = 0; bit < sizeof body * 8; bit += 7) {
        body[bit / 8] ^= (uint8_t) (1U << bit % 8);
        same_sums += entry_checksum(body, sizeof body) == sum;
        body[bit / 8] ^= (uint8_t) (1U << bit % 8);
    }
    is_int(same_sums, 0, "a flipped bit in the body changes its sum");
    ok(entry_checksum(body, sizeof body - 1) != sum, "so does its length");
}

static void test_locations(void)
{
    uint64_t full = location_make(15, 0x1ff, 0xffffffff);
    is_int(location_disk(full), 15, "disk");
    is_int(location_incarnation(full), 0xff, "incarnation's low bits");
    is_int(location_slot(full), 0xffffffff, "slot");
    is_int(location_body(full), ENTRY_PAGE, "a full block's body follows its page");
    uint64_t packed = location_packed(3, 9, LOCATION_SLOT_MAX - 1, 32 * 1024 * 1024 - 64);
    is_int(location_slot(packed), LOCATION_SLOT_MAX - 1, "a segment's slot");
    is_int(location_offset(packed), 32 * 1024 * 1024 - 64, "an offset at the far end");
    is_int(location_disk(packed), 3, "its disk");
    is_int(location_body(packed), 32 * 1024 * 1024 - 64 + ENTRY_HEADER_SIZE, "its body");
    ok(location_same(packed, packed | LOCATION_VERIFIED | LOCATION_USED), "flags do not move a block");
    ok(!location_same(packed, full), "another place is another place");
    ok(!location_same(full, 0), "nowhere is no place");
}

struct seen {
    unsigned count;
    uint32_t offsets[8];
    bool right;
};

static void see(void *arg, const struct entry *entry, uint32_t offset, const uint8_t *body)
{
    struct seen *seen = arg;
    if (seen->count < 8)
        seen->offsets[seen->count] = offset;
    seen->count++;
    seen->right = seen->right && entry_checksum(body, entry->length) == entry->checksum;
}

static void test_walk(void)
{
    enum { SIZE = 64 * 1024 };
    uint8_t *data = calloc(1, SIZE);
    uint32_t lengths[] = {0, 1, 63, 64, 65, 1000}, at = ENTRY_PAGE, offsets[6];
    for (unsigned i = 0; i < 6; i++) {
        struct entry entry = sample();
        entry.length = lengths[i];
        memset(data + at + ENTRY_HEADER_SIZE, (int) i + 1, lengths[i]);
        entry.checksum = entry_checksum(data + at + ENTRY_HEADER_SIZE, lengths[i]);
        entry_encode(&entry, data + at);
        offsets[i] = at;
        at += entry_packed_size(lengths[i]);
    }
    struct seen seen = {.right = true};
    segment_walk(data, SIZE, see, &seen);
    is_int(seen.count, 6, "a walk finds every entry");
    ok(seen.right && memcmp(seen.offsets, offsets, sizeof offsets) == 0, "where it lies");
    data[offsets[3]] ^= 1;
    seen = (struct seen){.right = true};
    segment_walk(data, SIZE, see, &seen);
    is_int(seen.count, 5, "it steps over a damaged one");
    /* An entry that claims to reach past the end must not be followed there. */
    struct entry last = sample();
    last.length = 4096;
    entry_encode(&last, data + SIZE - ENTRY_HEADER_SIZE);
    seen = (struct seen){.right = true};
    segment_walk(data, SIZE, see, &seen);
    is_int(seen.count, 5, "and never past the end");
    /* Of the segment's own life are those that say its sequence, and those from before entries said it. */
    struct entry first = sample();
    first.kind = ENTRY_SEGMENT;
    first.sequence = 78;
    entry_encode(&first, data);
    seen = (struct seen){.right = true};
    segment_walk(data, SIZE, see, &seen);
    is_int(seen.count, 0, "entries of the slot's earlier life are none of the segment's");
    struct entry own = sample();
    own.length = 0;
    own.checksum = entry_checksum("", 0);
    own.segment = 78;
    entry_encode(&own, data + offsets[5]);
    own.segment = 0;
    entry_encode(&own, data + offsets[5] + ENTRY_HEADER_SIZE);
    seen = (struct seen){.right = true};
    segment_walk(data, SIZE, see, &seen);
    ok(seen.count == 2 && seen.right && seen.offsets[0] == offsets[5], "its own are");
    free(data);
}

int main(void)
{
    test_round_trip();
    test_checksum();
    test_locations();
    test_walk();
    return done_testing();
}
