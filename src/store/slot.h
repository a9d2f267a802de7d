/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h: a disk's data files, cut into slots of one header page and one block, and who may use each slot.
 *
 * Files hold SLOT_PER_FILE slots and are preallocated as they are needed, never beyond the disk's share and no further
 * than there is room (slot_files.c). A slot holds one full block, or a segment of packed entries (segment.h), so both
 * draw on the same space and age in the same queue.
 *
 *   FREE → WRITING → BLOCK | OPEN → SEGMENT; BLOCK and SEGMENT → VICTIM (chosen by eviction) or LIMBO (dropped) → FREE
 *
 * A victim whose entries were moved is held: what the index says of them is true until the row that speaks of the new
 * place is durable, so it is not written again before (else a crash in between would lose what was kept).
 *
 * Nothing returns to FREE before every reader that could have seen a location in it has passed a quiescent state:
 * reclaim.c takes the slots in limbo, waits for a grace period and frees them. Only what was never visible is freed at
 * once.
 *
 * One lock per disk guards all of it. Loops never take it. It may be taken under a directory lock, never the reverse.
 * Memory: 36 bytes a slot, of them 27 for eviction.
 */
#ifndef HEADPOND_STORE_SLOT_H
#define HEADPOND_STORE_SLOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "store/directory.h"
#include "store/evict.h"
#include "store/quota.h"

struct metric_cell;

#define SLOT_NONE UINT32_MAX
#define SLOT_PER_FILE 1024
#define SLOT_FILE_PREFIX "data-"
/* Bytes of a name with that, its end included. */
#define SLOT_FILE_NAME 16
#define SLOT_INDEX_FILE "index/data.mdb"
/* Kept back from puts, so that eviction can always copy what it wants to keep. */
#define SLOT_SPARE 2
/* Long-lived mappings of data files; blocks in further files are read instead, by I/O threads where only a mapping
 * tells what is in memory (resident.h). */
#define SLOT_MAPPINGS_MAX 4096

enum slot_state { SLOT_FREE, SLOT_WRITING, SLOT_BLOCK, SLOT_OPEN, SLOT_SEGMENT, SLOT_VICTIM, SLOT_LIMBO };

struct slot_file {
    atomic_int fd;          /* −1: not there yet */
    atomic_bool unsynced;   /* written since the last fdatasync */
    _Atomic(uint8_t *) map; /* read-only, or NULL */
};

struct slots {
    pthread_mutex_t lock;
    pthread_cond_t freed; /* slots became free, or none will */
    const char *path;     /* for the log; the caller's */
    int dir;              /* of the data files; the caller's */
    int64_t index_max;    /* bytes the index beside them may take */
    struct metric_cell *errors;
    uint32_t stride;                /* bytes of a slot */
    uint32_t capacity;              /* slots the disk's share allows */
    uint32_t high;                  /* slots that exist in files */
    bool loaded;                    /* what lies in them is known */
    bool growing;                   /* a thread makes more: `high` and the files are its */
    atomic_int_fast64_t grow_at_ms; /* when to try again to make more, after there was no room; 0: at once */
    uint32_t reserve;               /* free slots that eviction keeps ahead */
    uint32_t free_head, free_count;
    uint32_t limbo_head, limbo_count;
    uint32_t held_head, leaving_head; /* leaving: the next full round writes what was moved out of them */
    uint32_t held_count;              /* both */
    uint64_t *owner; /* BLOCK: leaf and number within it; OPEN, SEGMENT: live bytes and writers; FREE, LIMBO: next */
    uint8_t *state;
    struct evict *evict;
    uint32_t segment;          /* the OPEN slot or SLOT_NONE */
    uint32_t segment_used;     /* bytes of it given away */
    uint64_t segment_sequence; /* its own */
    atomic_uint emptying;      /* the segment that reclaim.c reads whole, unchecked, or SLOT_NONE */
    struct slot_file *files;
    uint32_t file_count;
};

struct slots_config {
    const char *path;
    int dir; /* lent until slots_fini, as is the path */
    uint32_t block_size;
    uint32_t capacity; /* slots */
    int64_t index_max; /* bytes that SLOT_INDEX_FILE may take: left free beside the data */
    struct metric_cell *errors;
};

/* Finds what files there are; slots in them are not free before slots_loaded. IO with errno set. */
enum status slots_init(struct slots *slots, const struct slots_config *config) STATUS_CHECKED;
void slots_fini(struct slots *slots);
/* What of the disk each group is left, and may have at most; before anything is settled. How many slots are reserved.
 */
uint32_t slots_set_quotas(struct slots *slots, const struct quota_row *rows, unsigned count);
/* After the index was read: every slot that nobody claimed is free. */
void slots_loaded(struct slots *slots);

static inline int slots_fd(struct slots *slots, uint32_t slot)
{
    return atomic_load_explicit(&slots->files[slot / SLOT_PER_FILE].fd, memory_order_relaxed);
}

static inline off_t slots_offset(const struct slots *slots, uint32_t slot)
{
    return (off_t) (slot % SLOT_PER_FILE) * slots->stride;
}

/* Where the slot begins in its file's mapping, or NULL. */
const uint8_t *slots_mapped(struct slots *slots, uint32_t slot);
/* Bytes of it were written: the file is to be synced. After the write, before anything speaks of it. */
void slots_written(struct slots *slots, uint32_t slot);
/* Whether the slot's file is as long as to the slot's byte `end`, exclusive. Any thread, without waiting. */
bool slots_reach(struct slots *slots, uint32_t slot, uint32_t end);
/* Whether the slot's file is shorter than it was made: somebody has cut it. May wait for the disk. */
bool slots_cut(struct slots *slots, uint32_t slot);
/* Makes it as long again, with nothing in what is new. May wait for the disk. */
void slots_mend(struct slots *slots, uint32_t slot);
/* fdatasync of every file written since the last time. IO with errno set; those files are tried again the next time. */
enum status slots_sync(struct slots *slots) STATUS_CHECKED;

/* Takes the lock, and before that makes more slots if there should be more: then it waits for the disk, without it. */
void slots_lock_grown(struct slots *slots);
/* The slot behind which a file is to grow now, or SLOT_NONE. */
uint32_t slots_grow_behind(struct slots *slots);

/* ---- All below: with the lock held. ---- */

/* WRITING, or SLOT_NONE. `spare`: may use the last SLOT_SPARE. */
uint32_t slots_alloc(struct slots *slots, bool spare);
/* A slot whose content was never visible. */
void slots_free_unseen(struct slots *slots, uint32_t slot);
/* It was filled with block `number` of the leaf, whose object belongs to the group. */
void slots_settle(struct slots *slots, uint32_t slot, struct leaf *leaf, unsigned number, struct hash128 group);
/* The same of one that was found at a start (evict_found). */
void slots_found(struct slots *slots, uint32_t slot, struct leaf *leaf, unsigned number, struct evict_whose whose);
/* Its block was taken out of the directory: to limbo, unless eviction has it already. */
void slots_drop(struct slots *slots, uint32_t slot);
/* The next to be evicted, VICTIM now; SLOT_NONE: nothing can be. Online RCU thread. */
uint32_t slots_victim(struct slots *slots, bool *segment);
/* Before a slot is taken for a block of that group: whether its quota lets it (evict_claim). If not, *victim is a slot
 * of its own that has to go first, VICTIM now, or SLOT_NONE. Online RCU thread. */
bool slots_claim(struct slots *slots, struct hash128 group, uint32_t *victim);
/* It was claimed, and no block was settled. */
void slots_disclaim(struct slots *slots, struct hash128 group);
/* The next to go of a quota that holds too much since a start, VICTIM now, or SLOT_NONE. Online RCU thread. */
uint32_t slots_surplus(struct slots *slots);
/* A victim whose block was taken out of the directory: to limbo. */
void slots_evicted(struct slots *slots, uint32_t slot);
/* What a victim that held a block held; the leaf is good until the next quiescent state. */
struct leaf *slots_owner(const struct slots *slots, uint32_t slot, unsigned *number);
/* Takes everything in limbo: a chain for slots_free_chain. */
uint32_t slots_take_limbo(struct slots *slots);
uint32_t slots_chain(struct slots *slots, uint32_t chain, uint32_t slot);
/* After a grace period. Wakes who waits for space. */
void slots_free_chain(struct slots *slots, uint32_t chain);
/* A victim, after its grace period, that entries were moved from. */
void slots_hold(struct slots *slots, uint32_t slot);
/* What is held by now leaves with the next full round that begins. */
void slots_held_leave(struct slots *slots);
/* What left with it has its rows, durably. */
void slots_held_free(struct slots *slots);
/* Whether eviction should run. */
bool slots_short(const struct slots *slots);
/* Sets how much of what there is eviction keeps free, and tells it what it may use. */
void slots_reserve(struct slots *slots);

/* ---- The files, slot_files.c. ---- */

/* What the file is called in the disk's directory. Any thread. */
void slot_file_name(char name[SLOT_FILE_NAME], uint32_t file);
/* Opens what is there, in order; the first that is missing or short ends it. IO with errno set. */
enum status slot_files_open(struct slots *slots) STATUS_CHECKED;
/* How long the files of that directory are together. */
int64_t slot_files_length(int dir);
/* Removes files beyond the share, left from a larger one. */
void slot_files_trim(struct slots *slots);
void slot_files_close(struct slots *slots);
/* A descriptor of the file that reads past the page cache, the caller's; −1: there is none. May wait. */
int slot_files_direct(const struct slots *slots, uint32_t file);
/* How many slots more the file system has room for, within the share. Asks it: may wait. Without the lock. */
uint32_t slot_files_fit(struct slots *slots);
/* Whether more slots may be made now. With the lock held. */
bool slots_may_grow(const struct slots *slots);
/* Makes the files longer: by how many slots, from `high` on. When there is no room, 0, and not again for a while. One
 * thread at a time, without the lock; may wait. */
uint32_t slot_files_grow(struct slots *slots);

#endif
