/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: the cache's memory: a RAM directory that answers without locks, and the disks behind it. Knows no HTTP.
 *
 * Names. An *object* is one blob (or one snapshot or version of it), named by a 128-bit hash. A *generation* is one
 * state of its bytes (one ETag) and has a number that never comes again, given by store_generation_new. A *block* is
 * block_size bytes of a generation (the last one shorter); 16 blocks are an *extent*. A *record* is what the floor
 * above wants to know of a generation: bytes without meaning here, at most STORE_RECORD_MAX.
 *
 * Threads. Directory look-ups may be made on any RCU-registered thread (every loop) and never wait. Changes to one
 * object are made on its owner's loop only; blocks are put by their extent's owner. I/O happens on the disks' threads
 * (inside.h lists them); completions come back as letters to the loop that asked.
 *
 * Without disks everything still works, but store_put_block answers BUSY and records live in memory only.
 */
#ifndef HEADPOND_STORE_STORE_H
#define HEADPOND_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "net/mailbox.h"

struct loop;
struct store;
struct store_object;

#define STORE_EXTENT_BLOCKS 16
#define STORE_RECORD_MAX 65536

/* Blocks are numbered throughout their blob, and within their extent. */
static inline uint64_t store_block_number(uint64_t extent, unsigned within)
{
    return extent * STORE_EXTENT_BLOCKS + within;
}

static inline unsigned store_block_within(uint64_t block)
{
    return (unsigned) (block % STORE_EXTENT_BLOCKS);
}

/* Bytes that block has of a blob of `total`: block_size, or what is left for the last one; 0 past the end. */
static inline uint32_t store_block_length(uint64_t total, uint32_t block_size, uint64_t block)
{
    if (block > total / block_size)
        return 0;
    uint64_t left = total - block * block_size;
    return left < block_size ? (uint32_t) left : block_size;
}

/* Bytes of memory for each block that the disks can hold: tables that are there from the start, and a place in the
 * directory of leaves, in whole extents (measured by t/bench/store_scale). They may have MEM_STORE_TABLES of `memory`
 * (base/mem_parts.h), or the store is not opened. */
#define STORE_BLOCK_MEMORY 57

struct store_disk {
    const char *path;
    int64_t size;            /* bytes on the file system, everything included; what it cannot hold does not count */
    int64_t scrub_rate;      /* bytes per second read in the background to check them; 0: none */
    int64_t scrub_period_ms; /* from one beginning to the next, at least */
};

/* How much of the store a group of objects is left, and may take at most (quota.h); several disks share both by their
 * sizes. What is counted are the slots its blocks lie in, as block_size each; blocks of up to half of that are packed
 * with others and not counted. */
struct store_quota {
    struct hash128 group; /* or a whole family, below */
    int64_t reserve;      /* bytes; 0: nothing */
    int64_t limit;        /* bytes, or −1: none; with 0 nothing of it is stored */
    const char *labels;   /* of its metrics: "ACCOUNT\tCONTAINER" */
};

#define STORE_QUOTAS_MAX 511

/* How a generation's `decoded` is made when its record comes from the disk, and freed. decode returns NULL for a record
 * it cannot read: the object is then forgotten. Any thread; also after the store was closed, while generations live. */
struct store_record_codec {
    void *(*decode)(struct str record, uint64_t length);
    void (*free)(void *decoded);
    /* Bytes of memory it takes; NULL: not known, taken for twice its record. */
    size_t (*size)(const void *decoded);
};

struct store_options {
    const struct store_disk *disks; /* may be none */
    unsigned disk_count;
    uint32_t block_size;
    const struct store_record_codec
        *codec;                       /* NULL: every record is readable, and `decoded` of those from the disk NULL */
    const struct store_quota *quotas; /* at most STORE_QUOTAS_MAX, no group twice */
    unsigned quota_count;
};

/* Opens or creates the disks; an index that was lost is made anew from what lies on the disk, in the background
 * (rebuild.h). What the operator did wrong is refused with one line in *error that says what to do; a disk that fails
 * is logged and left out (volume.h). The options are needed for the call only. */
enum status store_open(const struct store_options *options, struct store **store, struct strbuf *error) STATUS_CHECKED;
/* After all loops have stopped: writes what is queued, commits, closes. */
void store_close(struct store *store);
uint32_t store_block_size(const struct store *store);
/* What the buffers of loaded blocks count in, and those of blocks that are to be put. No bound until its user sets one,
 * before the first load. The store's, since a disk that hangs keeps such buffers, and all of the store, beyond
 * store_close. */
struct buf_room *store_room(struct store *store);
/* Whether what the disks held at the start is known by now: store_open waits half a second for it, the rest is read in
 * the background, and until then what was stored before counts as not found and nothing is put. Any thread. */
bool store_loaded(struct store *store);

/* ---- Generations: immutable, counted. ---- */

struct store_generation {
    uint64_t id; /* never 0 */
    struct hash128 object;
    struct hash128 group; /* what the object belongs to: its container */
    uint64_t length;      /* of the whole blob, bytes */
    struct str record;    /* the floor above's, owned by the generation */
    void *decoded;        /* the floor above's parsed form of `record`; freed by the store's codec */
    size_t cost;          /* bytes of memory of all of it */
    atomic_uint refs;
};

/* A generation with one reference, not in the directory yet. `id` 0: a fresh one, never used before, also not before a
 * crash; else the id of a generation of the same object and bytes whose record changed. Blocks are kept or not by what
 * is read of their `group`. Copies `record`; takes `decoded`. Any loop. */
struct store_generation *store_generation_new(struct store *store, struct hash128 object, struct hash128 group,
                                              uint64_t id, uint64_t length, struct str record, void *decoded);
struct store_generation *store_generation_ref(struct store_generation *generation);
void store_generation_unref(struct store_generation **generation);

/* Drops a reference to one that will never be its object's current generation: what was put under its id is dropped
 * when the last reference has gone. Empties the pointer. Any thread. */
void store_generation_discard(struct store_generation **generation);

/* ---- Objects. ---- */

/* Looks an object up: a counted reference to its current generation, or NULL, and when it was last validated. Any loop.
 */
struct store_view {
    struct store_generation *generation; /* counted; the caller's */
    int64_t validated_s;                 /* wall clock seconds, of an earlier start too; 0: forgotten */
    uint64_t stamp;                      /* the epoch it was validated under, as given to store_object_set */
};
bool store_object_find(struct store *store, struct hash128 object, struct store_view *view);
/* The id of the object's current generation, or 0: it is not known. Any loop. */
uint64_t store_object_current(struct store *store, struct hash128 object);

/* Makes `generation` the object's current one, validated at that time under that stamp, or only renews time and stamp
 * when it is current already; the same id with another record replaces the record and keeps the blocks. Visible at
 * once; durable with the next commit. Owner's loop. */
void store_object_set(struct store *store, struct store_generation *generation, int64_t validated_s, uint64_t stamp);

/* Forgets that the object was validated, durably: no start of the process will believe an older validation again.
 * `done` is posted to `loop` when that is on disk (at once when nothing of the object is stored). Owner's loop. */
void store_tombstone(struct store *store, struct hash128 object, struct loop *loop, struct letter *done);

/* A group is {what it is called, what it lies in}: its `hi` is shared by all groups of one family (the containers of an
 * account). The name with lo 0 means the whole family. */
static inline struct hash128 store_group_family(uint64_t hi)
{
    return (struct hash128){.lo = 0, .hi = hi};
}

static inline bool store_group_covers(struct hash128 name, struct hash128 group)
{
    return name.hi == group.hi && (name.lo == 0 || name.lo == group.lo);
}

/* Before something that may change any number of objects, which is known only afterwards. `done` is posted to `loop`
 * when a start after a crash would notice: then every object counts as never validated, once. That is one mark for all
 * intents under way, so most begin without waiting for a disk. Each ends by one of the next two. Any loop. */
void store_intent_begin(struct store *store, struct loop *loop, struct letter *done);
/* Nothing was changed. Any thread. */
void store_intent_end(struct store *store);
/* Forgets that any object of the group was validated up to now, in memory soon and durably; the intent stands until
 * then. `done` as above, or NULL. Any loop. */
void store_tombstone_group(struct store *store, struct hash128 group, struct loop *loop, struct letter *done);

/* ---- Blocks. ---- */

/* Whether that block of that generation is stored and visible. Lock-free. Any loop. */
bool store_has_block(struct store *store, uint64_t generation, uint64_t block);

/* Bytes of a stored block that can be had without waiting, from `offset` within it.
 *   OK: *piece shows up to `max` bytes, good until the end of the event, in a buffer of the loop (the next call on this
 * loop overwrites it) or in a mapping that must only be handed to the kernel (`plain`: it may go to writev on a
 * cleartext socket as it is, nobody may look at it; only ever shown when `plain` was asked for). AGAIN: it is stored
 * but not in memory, or not yet checked: use store_load_block. NOT_FOUND: not stored (any more). Any loop. */
enum status store_peek_block(struct store *store, uint64_t generation, uint64_t block, uint32_t offset, uint32_t max,
                             bool plain, struct iovec *piece) STATUS_CHECKED;

/* Reads and checks a whole block on an I/O thread. The request is embedded by the caller and lives until `done` is
 * delivered on the loop that asked: status OK with a counted buffer (the caller's), NOT_FOUND, IO or CORRUPT (the block
 * has been dropped: fetch it again), BUSY (queue full, or no room for the buffer; also delivered). Any loop. */
struct store_load {
    struct letter done; /* set done.deliver */
    struct loop *loop;
    struct hash128 object;
    uint64_t generation;
    uint64_t block;
    uint32_t length;  /* bytes the block must have */
    int64_t since_ms; /* when its reader came for it (buf_new_in) */
    enum status status;
    struct buf *buf;
};
void store_load_block(struct store *store, struct store_load *load);
/* How many disks there are, and on which of them, counted from 0, a load of this block would wait. What is not stored
 * waits on none, and counts for the first. Any thread and any loop. */
unsigned store_disks(const struct store *store);
unsigned store_load_disk(struct store *store, uint64_t generation, uint64_t block);
/* Bytes of the buffers that loads from that disk are going to want which no I/O thread has come to yet. Any thread. */
size_t store_load_queued(const struct store *store, unsigned disk);

/* Queues a block to be written: takes a reference of its own to `buf`, whose first `length` bytes are whole. BUSY when
 * the disk queue is full or admission says no: the caller serves on from memory and forgets it. Otherwise it becomes
 * visible to store_has_block some time later, and then `done`, if not NULL, is posted to `loop` (also when the write
 * failed). Putting what is already stored or queued is harmless. Extent's owner. */
enum status store_put_block(struct store *store, const struct store_generation *generation, uint64_t block,
                            struct buf *buf, uint32_t length, struct loop *loop, struct letter *done) STATUS_CHECKED;

/* Whether the blocks first..last of the generation are stored, or are likely to be once they are put: nothing is known
 * of the future, but a disk that takes nothing, a limit they do not fit in and an admission that lets them through are.
 * Asking changes nothing. Any loop. */
bool store_would_keep(struct store *store, const struct store_generation *generation, uint64_t first, uint64_t last);

/* Bytes of a group's blocks that may be put before somebody asks for them: more, and the first of them would have to go
 * again before that (evict.h: what nobody has used yet has a twentieth of the room). 0: nothing of it is stored now.
 * Any thread. */
int64_t store_put_ahead(const struct store *store, struct hash128 group);
/* Which limit (store_quota) bounds that group: 1 to STORE_QUOTAS_MAX, or 0: none but the disks. What store_put_ahead
 * says is for all groups with the same answer together. Any thread. */
unsigned store_limit_over(const struct store *store, struct hash128 group);

/* Asks the index thread to commit now and posts `done` when everything put before is durable (tests, draining). */
void store_flush(struct store *store, struct loop *loop, struct letter *done);

#endif
