/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.h: which generation of each object is current and when it was validated, in memory, read without locks.
 *
 * A node's state (generation, time, stamp) is one immutable piece that is replaced as a whole, so a reader never sees
 * the time of one generation with the bytes of another; it holds a reference to the generation until a grace period
 * after its replacement. Records are kept in memory, so the number of objects is bounded by their bytes: past the
 * budget the longest unused are forgotten, in memory and in the index.
 *
 * An object that is forgotten for space keeps its node, without a state, until its row has left the index; otherwise a
 * tombstone that came in between would find nothing to do, and the row would be believed after a crash. A tombstone
 * that comes before its object was loaded leaves such a node too.
 *
 * What changes in what the next commit has to write is told to `dirty`, once until objects_take. Look-ups need a
 * registered, online RCU thread.
 */
#ifndef HEADPOND_STORE_OBJECTS_H
#define HEADPOND_STORE_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/store.h"

struct marks;
struct objects;

/* Under the object's lock, on the thread that made the change. */
typedef void (*objects_dirty_f)(void *arg, struct hash128 object);

/* `budget`: bytes that records, decoded forms and nodes may take, as estimated. */
struct objects *objects_new(size_t budget, objects_dirty_f dirty, void *arg);
/* Nobody may look any more. Registered thread, taken offline for a moment. */
void objects_free(struct objects *objects);

bool objects_find(struct objects *objects, struct hash128 object, struct store_view *view);
/* `sequence` orders this against group tombstones. Takes a reference of its own. */
void objects_set(struct objects *objects, struct store_generation *generation, int64_t validated_s, uint64_t stamp,
                 uint64_t sequence);
/* Forgets the validation. false: the object is not known, and nothing is to be written. With `expect` it leaves a node
 * then, for the loader to find. */
bool objects_forget(struct objects *objects, struct hash128 object, bool expect);
/* Forgets the validation of every object that a mark is true of, which counts them. Index thread. */
void objects_forget_groups(struct objects *objects, struct marks *marks);
/* Forgets the longest unused until the budget is kept, at least `least` of them. Index thread. */
void objects_trim(struct objects *objects, size_t least);
bool objects_over_budget(const struct objects *objects);
size_t objects_count(const struct objects *objects);

/* What the scribe of its home must write for an object. */
enum objects_change { OBJECTS_NOTHING, OBJECTS_WRITE, OBJECTS_DELETE, OBJECTS_INVALIDATE };
/* Where a record lies on a disk; location 0: nowhere. */
struct objects_place {
    uint64_t location;
    uint32_t length;
    uint64_t sum; /* objects_record_sum of what should lie there */
};
/* Tells records, and generations with the same record, apart. */
uint64_t objects_record_sum(uint64_t generation, const void *record, uint32_t length);
struct objects_row {
    struct store_generation *generation; /* counted, the caller's; else NULL */
    int64_t validated_s;
    uint64_t sequence;
    /* Of this record: nowhere, if only an earlier one lies on the disk. For DELETE: nothing points at it any more. */
    struct objects_place place;
};
/* Takes the object off the dirty list and says how it is now. Its disk's scribe, or the index thread for it. */
enum objects_change objects_take(struct objects *objects, struct hash128 object, struct objects_row *row);
/* How it is now, without taking it off the list; no generation: there is nothing to write. Any RCU thread. */
void objects_row(struct objects *objects, struct hash128 object, struct objects_row *row);
/* The index now agrees with what objects_take said: a node that holds nothing may go, unless copies of it are still to
 * be deleted. As objects_take. */
void objects_settled(struct objects *objects, struct hash128 object);

/* What a row says besides its generation. */
struct objects_loaded {
    int64_t validated_s; /* 0 for a copy */
    uint64_t sequence;
    uint64_t place; /* where its record lies, or 0 */
    unsigned disk;  /* whose index it was read from */
    bool home;      /* the object's home; else it is a copy */
    bool rewrite;   /* it is not as it should be */
};
/* From an index: ignored when what is known was set later, as the sequence says. Consumes *generation. Any scribe. */
void objects_load(struct objects *objects, struct store_generation **generation, const struct objects_loaded *row);
/* From a record's entry, by a rebuild: of the records of an object the highest generation counts, of a generation's the
 * one set last. Never validated. Consumes *generation. Returns the place that is not pointed at any more, as
 * objects_record_set does; location 0: none. Any scribe. */
struct objects_place objects_found(struct objects *objects, struct store_generation **generation, uint64_t sequence,
                                   uint64_t place);
/* The object's row is to be deleted, unless the object is known. Any scribe. */
void objects_expunge(struct objects *objects, struct hash128 object);
/* Every object that is known. Online RCU thread. */
void objects_each(struct objects *objects, void (*each)(void *arg, struct hash128 object), void *arg);
/* The id of the object's current generation, or 0. */
uint64_t objects_current(struct objects *objects, struct hash128 object);
/* Whether that is its current one, and so long; then *group is what it belongs to. */
bool objects_is_current(struct objects *objects, struct hash128 object, uint64_t generation, uint64_t length,
                        struct hash128 *group);

/* ---- Copies: rows of an object in the indexes of other disks than its home (rows.h). ---- */

/* A copy was read. true: it is no news, and need not be loaded. Any scribe. */
bool objects_copy_seen(struct objects *objects, struct hash128 object, uint64_t generation, uint64_t sequence,
                       unsigned disk);
/* Whether that generation is the current one, and that index has no copy of it. Lock-free. */
bool objects_copy_wanted(struct objects *objects, struct hash128 object, uint64_t generation, unsigned disk);
/* The same, and it counts as written from here on: *row is what to write, never validated. The disk's scribe. */
bool objects_copy_take(struct objects *objects, struct hash128 object, uint64_t generation, unsigned disk,
                       struct objects_row *row);
/* Whether that index holds a copy of an object that has gone; it counts as deleted from here on. The disk's scribe, or
 * the index thread for it. */
bool objects_copy_drop(struct objects *objects, struct hash128 object, unsigned disk);
/* That index is empty now. Its scribe. */
void objects_copy_none(struct objects *objects, unsigned disk);
/* Whether it has got another generation since the last call; blocks of that one may have been stored before. Index
 * thread. */
bool objects_renewed(struct objects *objects, struct hash128 object, uint64_t *generation, uint64_t *length);

/* ---- Where records lie on the disks: record.h. ---- */

/* Whether the object waits for its record to be written later. true: that is news; false: it was so already, or the
 * object is not known. The disk's scribe. */
bool objects_record_wait(struct objects *objects, struct hash128 object, bool wait);
/* The current generation, counted, if its record as it is now lies nowhere yet (an earlier one may); else NULL. The
 * disk's scribe. */
struct store_generation *objects_record_wanted(struct objects *objects, struct hash128 object, uint64_t *sequence);
/* The generation's record lies there now. Returns the place that is not pointed at any more: where a record lay before,
 * or the new place when the object has gone. */
struct objects_place objects_record_set(struct objects *objects, const struct store_generation *generation,
                                        uint64_t location);
/* It lies at `to` instead of `from`; 0: nowhere. false: it did not lie at `from`. Any RCU thread. */
bool objects_record_move(struct objects *objects, struct hash128 object, uint64_t from, uint64_t to);
struct objects_place objects_record_place(struct objects *objects, struct hash128 object);
/* Every record that lies somewhere. */
void objects_record_each(struct objects *objects,
                         void (*each)(void *arg, struct hash128 object, struct objects_place place), void *arg);

#endif
