/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_text.c: who is in a pool, as somebody else says it. What is understood is as it has to be, agrees with its digest,
 * and is written and read again as the same.
 */
#include "pool/ring_text.h"

#include "fuzz.h"

static void check_region(const struct members_told *region)
{
    fuzz_check(conf_is_label(region->region) && region->count > 0 && region->count <= RING_NODES_MAX);
    for (unsigned i = 0; i < region->count; i++) {
        const struct member_told *member = &region->members[i];
        fuzz_check(conf_is_label(member->name) && member->weight > 0 && member->weight <= RING_WEIGHT_MAX);
        fuzz_check(i == 0 || str_cmp(region->members[i - 1].name, member->name) < 0);
        fuzz_check(member->address_count <= MEMBER_ADDRESSES);
        for (unsigned k = 0; k < member->address_count; k++)
            fuzz_check(member->addresses[k].length > 0);
    }
}

static void check_text(const struct ring_text *said)
{
    struct strbuf text = {0}, second = {0};
    struct ring_text again;
    fuzz_check(conf_is_label(said->pool) && said->count > 0 && said->count <= RING_REGIONS_MAX);
    for (unsigned i = 0; i < said->count; i++) {
        fuzz_check(i == 0 || str_cmp(said->regions[i - 1].region, said->regions[i].region) < 0);
        check_region(&said->regions[i]);
    }
    fuzz_check(ring_text_write(said, &text) == STATUS_OK);
    fuzz_check(ring_text_read(strbuf_str(&text), &again) == STATUS_OK);
    fuzz_check(again.digest == said->digest && again.count == said->count);
    fuzz_check(ring_text_write(&again, &second) == STATUS_OK && str_eq(strbuf_str(&text), strbuf_str(&second)));
    ring_text_free(&again);
    strbuf_free(&text);
    strbuf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ring_text said;
    if (ring_text_read(fuzz_input(data, size), &said) == STATUS_OK)
        check_text(&said);
    ring_text_free(&said);
    return 0;
}
