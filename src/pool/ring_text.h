/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_text.h: who is in a pool, as its members tell it to whoever asks for RING_TEXT_PATH: a JSON document.
 *
 *   {"version": 1, "pool": "main", "digest": "0123456789abcdef", "regions": [
 *     {"name": "west", "members": [
 *       {"name": "pond-0", "weight": 1, "addresses": ["10.1.0.4:8444", "[fd00::4]:8444"]}]}]}
 *
 * Regions and members stand in the order of their names, and addresses in one order, so that members that know the same
 * tell it in the same bytes. The digest is the ring's (ring_digest): what it says and what stands there must agree. A
 * key that somebody does not know is passed over, so that version N and N - 1 understand each other.
 *
 * What is read is a stranger's: whatever is not as above is refused as a whole. Pure; any thread.
 */
#ifndef HEADPOND_POOL_RING_TEXT_H
#define HEADPOND_POOL_RING_TEXT_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "pool/members.h"

#define RING_TEXT_PATH "/.headpond/ring"
#define RING_TEXT_VERSION 1
/* Bytes of a document, and members in all regions, at the most: a member is about 70 bytes here, and half a KiB to whom
 * it is told. */
#define RING_TEXT_MAX (4 << 20)
#define RING_TEXT_MEMBERS_MAX (2 * RING_NODES_MAX)

struct ring_text {
    struct str pool;
    uint64_t digest;
    struct members_told *regions;
    unsigned count;
    struct arena *arena; /* of what was read: all of it is there */
};

/* TOO_LARGE: it would be refused by whoever reads it. */
enum status ring_text_write(const struct ring_text *said, struct strbuf *text) STATUS_CHECKED;
/* INVALID: it is no such document; TOO_LARGE. The caller frees it in any case. */
enum status ring_text_read(struct str text, struct ring_text *said) STATUS_CHECKED;
void ring_text_free(struct ring_text *said);

#endif
