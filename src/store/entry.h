/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h: the header that makes what lies on a disk describe itself.
 *
 * Every block, object record and segment is preceded by 128 bytes that say what it is, whose it is and how to check it.
 * The index only hints where to look; what the header says decides. All integers are little-endian. Pure; any thread.
 *
 *   0 magic "HPe1"   4 version   6 kind   7 zero   8 store id (16)   24 incarnation   28 length of the body
 *   32 object hash (16)   48 generation   56 block   64 total length of the blob   72 group hash (16)
 *   88 sequence   96 XXH3-64 of the body   104 segment   112 zero (8)   120 XXH3-64 of bytes 0–119
 *
 * A slot is used again without being wiped. What lies in a segment behind its last entry, or in a hole where one was
 * not written, is of the slot's earlier life: `segment` tells it from the segment's own.
 */
#ifndef HEADPOND_STORE_ENTRY_H
#define HEADPOND_STORE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

#define ENTRY_HEADER_SIZE 128
#define ENTRY_VERSION 1
/* A full block's header has a page of its own so that the body is page aligned. */
#define ENTRY_PAGE 4096
/* Packed entries begin at multiples of this. */
#define ENTRY_ALIGN 64
/* Packed entries up to this size (entry_packed_size) share pages; larger ones have theirs to themselves (peek.c). */
#define ENTRY_SHARED_MAX (16 * 1024)

enum entry_kind {
    ENTRY_BLOCK = 1,
    ENTRY_RECORD = 2,    /* an object's record: how a rebuild learns of objects */
    ENTRY_TOMBSTONE = 3, /* reserved: an index row says it now */
    ENTRY_SEGMENT = 4,   /* the first page of a slot that holds packed entries */
};

struct entry {
    enum entry_kind kind;
    struct hash128 store; /* the disk's id, made when it was first filled */
    uint32_t incarnation; /* counts how often the disk was emptied */
    uint32_t length;      /* bytes of body */
    struct hash128 object;
    uint64_t generation;
    uint64_t block;
    uint64_t total; /* bytes of the whole blob */
    struct hash128 group;
    /* In the order of generations' ids. Of a segment: when it was begun; of a whole block: when it was written; of a
     * record: when it was set. */
    uint64_t sequence;
    uint64_t checksum; /* of the body */
    /* Of a packed entry: the sequence of the segment that it was written to; 0: before there was this. */
    uint64_t segment;
};

uint64_t entry_checksum(const void *body, uint32_t length);
void entry_encode(const struct entry *entry, uint8_t out[ENTRY_HEADER_SIZE]);
/* CORRUPT for anything entry_encode did not write, a newer version included. Checks the header, not the body. */
enum status entry_decode(const uint8_t in[ENTRY_HEADER_SIZE], struct entry *entry) STATUS_CHECKED;

/* Bytes a packed entry takes in its segment. */
static inline uint32_t entry_packed_size(uint32_t length)
{
    return (ENTRY_HEADER_SIZE + length + ENTRY_ALIGN - 1) & ~(uint32_t) (ENTRY_ALIGN - 1);
}

#endif
