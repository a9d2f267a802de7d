/* SPDX-License-Identifier: Apache-2.0 */
/* load.c: steps on all disks. */
#include "store/load.h"

#include "base/rcu.h"
#include "store/disk.h"
#include "store/inside.h"
#include "store/recover.h"
#include "store/round.h"
#include "store/scribe.h"

struct load {
    struct store *store;
    bool stuck;
    struct part {
        struct recover *recover; /* NULL: the disk has been read */
        struct names groups;     /* struct round_group: forgotten since the last step began */
        struct names given;      /* the same, for the step; the scribe's while it makes one */
        bool more;               /* likewise */
        atomic_bool objects;     /* all of this disk are known */
    } parts[STORE_DISKS_MAX];
};

struct load *load_new(struct store *store)
{
    struct load *load = mem_calloc(1, sizeof *load);
    load->store = store;
    for (unsigned i = 0; i < store->disk_count; i++)
        load->parts[i].recover = recover_new(store->disks[i]);
    return load;
}

static void part_end(struct part *part)
{
    if (part->recover != NULL)
        recover_free(part->recover);
    part->recover = NULL;
    names_free(&part->groups);
    names_free(&part->given);
}

void load_free(struct load *load)
{
    for (unsigned i = 0; i < load->store->disk_count; i++)
        part_end(&load->parts[i]);
    mem_free(load);
}

void load_group(struct load *load, struct hash128 group, uint64_t sequence)
{
    const struct round_group added = {group, sequence};
    for (unsigned i = 0; i < load->store->disk_count; i++)
        if (load->parts[i].recover != NULL)
            *(struct round_group *) names_add(&load->parts[i].groups, sizeof added) = added;
}

static void step_errand(struct disk *disk, void *arg)
{
    struct part *part = arg;
    const struct round_group *groups = part->given.items;
    (void) disk;
    for (size_t i = 0; i < part->given.count; i++)
        recover_group(part->recover, groups[i].group, groups[i].sequence);
    names_free(&part->given);
    part->more = recover_step(part->recover);
    atomic_store(&part->objects, recover_has_objects(part->recover));
}

/* Gives the disk's scribe a step, if one can be made now. `objects`: those of all disks are known, and extents may be
 * read. */
static bool give_step(struct part *part, struct disk *disk, bool objects)
{
    if (part->recover == NULL || health_out(disk) || !scribe_idle(disk->scribe) ||
        (!objects && atomic_load(&part->objects)))
        return false;
    part->given = part->groups;
    part->groups = (struct names){0};
    scribe_give(disk->scribe, step_errand, part);
    return true;
}

bool load_step(struct load *load)
{
    struct store *store = load->store;
    bool objects = true, stepped[STORE_DISKS_MAX] = {false}, done = true;
    for (unsigned i = 0; i < store->disk_count; i++)
        objects = objects && (load->parts[i].recover == NULL || atomic_load(&load->parts[i].objects));
    for (unsigned i = 0; i < store->disk_count; i++)
        stepped[i] = give_step(&load->parts[i], store->disks[i], objects);
    load->stuck = true;
    for (unsigned i = 0; i < store->disk_count; i++) {
        rcu_thread_offline();
        bool ended = stepped[i] && scribe_wait(store->disks[i]->scribe);
        rcu_thread_online();
        if (ended && !load->parts[i].more)
            part_end(&load->parts[i]);
        load->stuck = load->stuck && !ended;
        done = done && load->parts[i].recover == NULL;
    }
    return done;
}

bool load_stuck(const struct load *load)
{
    return load->stuck;
}

void load_give_up(struct load *load)
{
    for (unsigned i = 0; i < load->store->disk_count; i++) {
        struct part *part = &load->parts[i];
        if (part->recover == NULL || !scribe_idle(load->store->disks[i]->scribe))
            continue;
        recover_give_up(part->recover);
        part_end(part);
    }
}
