/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_work.h: what a store is made to do while its changes are recorded, and what follows from it for a store that is
 * opened on what a power failure leaves.
 */
#ifndef HEADPOND_T_UNIT_POWER_WORK_H
#define HEADPOND_T_UNIT_POWER_WORK_H

#include "power_log.h"
#include "store_fixture.h"

#define WORK_BLOCK (16 * KIB)
#define WORK_SIZE (3 * MIB / 2)
#define WORK_OBJECTS 24
#define WORK_GROUPS 3
#define WORK_SETS 1024

/* Notes. `value` is as said; times are what store_object_set is given, one more for each. */
enum work_note {
    WORK_OPENED,    /* value 0, 1: the store's id */
    WORK_SET,       /* about to be set: object, version, generation, time */
    WORK_LOOK,      /* a scan begins */
    WORK_SCAN,      /* data: struct work_seen of each object; value 0: where in the log its LOOK is */
    WORK_GONE,      /* object, generation, block: it was evicted */
    WORK_UNKNOWN,   /* object: nothing is known of it any more */
    WORK_FLUSH_ASK, /* as SCAN */
    WORK_FLUSHED,
    WORK_FORGET,    /* about to be asked to: object */
    WORK_TOMBSTONE, /* durable: object, time */
    WORK_WIDE,      /* about to ask for an intent */
    WORK_INTENT,    /* durable */
    WORK_ENDING,    /* about to be ended: nothing was changed */
    WORK_GROUP,     /* about to be asked for, for an intent: group, time */
    WORK_DONE       /* blocks evicted, blocks and records moved */
};

struct work_seen {
    uint64_t generation; /* current; 0: none */
    uint64_t blocks;     /* a bit for each that is stored */
};

/* Names and content by object and version. Versions run on through stages. */
static inline struct hash128 work_group(uint64_t object)
{
    return (struct hash128){.lo = object % WORK_GROUPS + 1, .hi = 77};
}

static inline uint64_t work_content(uint64_t object, uint64_t version)
{
    return object + version * 1000;
}

uint64_t work_length(uint64_t object, uint64_t version);
/* What a record says; false: it is none of ours. */
bool work_record(struct str record, uint64_t *object, uint64_t *version);

/* Keeps the loop from being idle, so that nobody waits long for its quiescent state. Until the process ends. */
void work_keep_awake(struct loop *loop);

/* Works on the store at `path`, `steps` of it, and exits. Recording has begun. */
void work_run(const char *path, unsigned stage, unsigned seed, unsigned steps) __attribute__((noreturn));

/* What is known for sure at some point of the log. */
struct work_truth {
    struct {
        uint64_t generation, version;
    } sets[WORK_OBJECTS][WORK_SETS];
    unsigned set_count[WORK_OBJECTS];
    uint64_t dead_until[WORK_OBJECTS]; /* validations up to this time are not to be believed */
    uint64_t time, highest_id;
    unsigned intents; /* in force: nothing is to be believed */
    struct hash128 store;
    bool opened;                            /* in this stage */
    struct work_seen flushed[WORK_OBJECTS]; /* must be there: that generation or a later one, and those blocks */
    uint64_t flushed_time[WORK_OBJECTS];    /* and is as fresh as that, where nothing has begun since that forbids it */
    uint64_t last_time[WORK_OBJECTS];       /* as set last */
    struct work_seen asked[WORK_OBJECTS];   /* of the flush under way */
    uint64_t asked_time[WORK_OBJECTS];
};

/* `truth` is that of the base. */
void work_learn(struct work_truth *truth, const struct power_log *log, unsigned at);
/* A further stage begins on what that crash left. */
void work_next_stage(struct work_truth *truth);

#endif
