/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.h: the index thread: it says when what is written to the indexes, and has each disk's scribe write it.
 *
 * Changes are not queued, their names are: a commit writes what is true when it comes to a name, so a change that comes
 * again before the commit costs nothing, and a commit can never write something older than an earlier one did.
 *
 * A full round, each second, after 256 MiB of puts or for a flush: the rows of changed extents are taken as they are
 * now, the data files are synced, then the rows are written, at most INDEX_TXN_KEYS a transaction. So a row never
 * speaks of a block that a power failure could still take away; where a sync fails, that disk's rows wait for one that
 * does not. A tombstone needs no data file: a short round, as soon as there is one, writes changed objects only and
 * syncs the index; those that come meanwhile share the next one.
 *
 * A disk that does not answer misses rounds and is brought up to date later (round.h). An index that cannot be written
 * is condemned (marker.h) until it could be made anew: a marker keeps the next start from believing it, which is how a
 * tombstone stays honest even then.
 */
#ifndef HEADPOND_STORE_COMMIT_H
#define HEADPOND_STORE_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "net/mailbox.h"

struct commit;
struct loop;
struct store;

/* The thread waits for commit_start. */
struct commit *commit_new(struct store *store);
void commit_start(struct commit *commit);
/* A last full round; then the scribes end, and on the index thread the directory and the objects are freed. All disks
 * have been stopped; `all_ended`: none hangs. Frees the commit. false: a thread hangs in a disk, and nothing was freed
 * that it may use. */
bool commit_stop(struct commit *commit, bool all_ended);

/* ---- Any thread. ---- */

void commit_dirty_object(struct commit *commit, struct hash128 object);
void commit_dirty_extent(struct commit *commit, uint64_t generation, uint64_t extent);
/* Bytes were put on a disk. */
void commit_wrote(struct commit *commit, uint32_t bytes);
/* Posts `done` when what is dirty now is durable: objects only. */
void commit_tombstone(struct commit *commit, struct loop *loop, struct letter *done);
/* Forgets the group's validations up to `sequence`, durably, and ends an intent. `done` may be NULL. */
void commit_group(struct commit *commit, struct hash128 group, uint64_t sequence, struct loop *loop,
                  struct letter *done);
/* True: it is durable already, and `done` is the caller's to post. Else it is posted when it is. */
bool commit_intent_begin(struct commit *commit, struct loop *loop, struct letter *done) STATUS_CHECKED;
void commit_intent_end(struct commit *commit);
/* Posts `done` when everything put and set before is durable. */
void commit_flush(struct commit *commit, struct loop *loop, struct letter *done);
/* Something to drop or to trim: do not wait for the next second. */
void commit_kick(struct commit *commit);
/* Slots wait for a full round to be free. */
void commit_hurry(struct commit *commit);
/* Whether everything that was on the disks at the start is in memory. */
bool commit_loaded(struct commit *commit);
/* Waits for that, but not longer. Not on a registered thread that is online. */
void commit_wait_loaded(struct commit *commit, int64_t ms);

/* ---- Scribes, while loading. ---- */

/* The group's row may go when all that is dirty by the end of loading has been written. */
void commit_group_settles(struct commit *commit, struct hash128 group);

#endif
