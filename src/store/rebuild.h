/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild.h: an index made anew from what lies on the disk.
 *
 * When the index is lost, damaged, of another version or not to be believed any more (marker.h), the data files still
 * say what they hold. They, the label, the id and the incarnation stay; the index directory is emptied, and this finds
 * objects and blocks by reading the header of every slot and the whole of every segment. In the background, on the
 * disk's scribe, a few milliseconds at a time, so that tombstones go on in between; what was found is served at once.
 *
 * What is asked of it is not that everything comes back, but that whatever comes back is right: the right bytes for
 * that object and generation, or a validation first. It rests on five things.
 *
 * 1. *A generation's number names its bytes.* No number is given twice: the label says which opening (generation.h) was
 *    the last, durably, before a number of it is given, so that numbers go on above all that can lie on the disk though
 *    the index forgot them. So an entry with our store's id and incarnation and a right checksum holds the right bytes
 *    of (object, generation, block), however old it is, and wherever it lies. An entry with a number that was not given
 *    before this start is not ours, and is ignored.
 * 2. *Nothing is validated.* Every object found counts as never validated, whatever its freshness, so the origin is
 *    asked before a byte of it is served. That is why no tombstone is looked for: those that were lost with the index
 *    could have said no more. What has been validated by this process meanwhile stays.
 * 3. *Of an object's records the one with the highest generation is the current one,* of those of one generation the
 *    one that was set last: each entry has the sequence of its setting, and keeps it where eviction moves it, so a copy
 *    written later does not win over a record set later. If the last record was lost (not committed, damaged, its
 *    segment gone) an older one wins, and the object's ETag, length and headers are old ones together. The validation
 *    tells: same ETag, its blocks are right and the headers are renewed; else they are dropped. What only a HEAD tells,
 *    which a GET does not renew, is not taken over from a record that was not validated (cache/inquiry.c).
 *    An object whose record's entry a power failure undid, and that only its row in the index knew until it is written
 *    anew, does not come back.
 * 4. *Blocks count if their generation is the current one.* They are put into the directory as they are found, where
 *    nobody looks for them before their record has been found; when all records of all disks are known, those of other
 *    generations, abandoned fills and superseded ones, are taken out again, as are those whose length is not the
 *    record's. The slot with the newer record's blocks, when the older record won, goes the same way.
 * 5. *A place is claimed once.* The first copy of a block that is found is the one; the slot of another is free. Slots
 *    that nobody claims are free, as after reading an index, and nothing is written before all claims have been made.
 *
 * What a slot can show, then. *A full block's header* is on the slot's first page, written with its body in one go; a
 * crash may leave the one without the other. The body is not read here: the first read of each block checks it, as
 * ever, and drops what is damaged. *A segment* is read whole. Entries are written behind each other without wiping what
 * lay there, so behind the last one, and in holes left by failed writes, there is the slot's earlier life: packed
 * entries of an earlier segment, or bytes of a blob. Entries carry the sequence of the segment they were written to,
 * and those of another life are stepped over. (Those written before there was that number say 0 and are believed:
 * rightly, by 1.) Within one life there are dead entries too: superseded records lose by 3, blocks of old generations
 * by 4, and copies that eviction made of an entry are the same bytes. Checksums of packed bodies are verified here,
 * since they have been read. *A blob whose bytes look like entries*, say a copy of a data file, is looked into only
 * where it lies behind a segment's last entry or a damaged header: its entries either have another store's id, or are
 * what 1 speaks of. *Headers of an earlier incarnation or id*, left where emptying the directory was cut short, are
 * ignored.
 *
 * A crash. The marker `rebuild` is there, durably, before the index is taken away, and goes when the new one holds
 * every row and is durable: whoever dies in between begins again. Rows of objects are written as they are found, those
 * of extents at the end; the data files are synced first, so that no row speaks of what a power failure could still
 * undo.
 *
 * Cost: a header a slot, which the system is asked to fetch well ahead; 16 bytes of memory for each extent until its
 * row is written, and one segment.
 */
#ifndef HEADPOND_STORE_REBUILD_H
#define HEADPOND_STORE_REBUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct disk;
struct rebuild;

struct rebuild *rebuild_new(struct disk *disk);
void rebuild_free(struct rebuild *rebuild);
/* Whether all records on this disk are known. The next step needs those of all disks. */
bool rebuild_has_objects(const struct rebuild *rebuild);
/* One piece. *more: there is more to do. Else the index is whole and durable. Fails where the index cannot be written.
 * Scribe, online, outside a transaction. */
enum status rebuild_step(struct rebuild *rebuild, bool *more) STATUS_CHECKED;
/* What was found: objects; blocks that are current; entries that were not taken. */
void rebuild_count(const struct rebuild *rebuild, size_t *objects, size_t *blocks, size_t *dropped);

#endif
