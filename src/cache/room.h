/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.h: how many blocks there may be in memory (I8): those that fills bring, and those that readers have in hand, be
 * it a fill's block or one that was loaded from a disk. Three eighths of `memory` are theirs; what is on its way into
 * the store counts in them, too, and so do the blocks of writes that are kept (keep.h). Such a write does not wait for
 * room; the others do, in the order of coming (base/buf.h). Readers may be as slow as they like, so all of that may be
 * taken by blocks that nobody is going to want for a while. Therefore, while a fill or a load finds no room, whoever
 * sits on blocks gives them up, and gets them anew when their time has come: readers that do not get on with the block
 * in hand, fills and kept writes that do not with the block under way (all looked at here), and fills that stand still
 * for their readers or have ended (fill_yield.c).
 */
#ifndef HEADPOND_CACHE_ROOM_H
#define HEADPOND_CACHE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct cache;
struct cache_loop;
struct line_ticket;

/* Who has not moved for so long does not get on, */
#define ROOM_IDLE_MS 200
/* nor does who has the same block in hand, or stands at the same place, for so long, though it moves. */
#define ROOM_SLOW_MS 2000
/* Between two looks. */
#define ROOM_LOOK_MS 50
/* Whoever found no room tries again. */
#define ROOM_RETRY_MS 5

/* What is looked at of somebody who sits on blocks. */
struct room_watch {
    uint64_t position;
    int64_t since_ms; /* loop_now_ms when it began to sit there */
    int64_t moved_ms; /* when a look last found it somewhere else */
};

/* A block in hand, or under way. */
struct room_hold {
    struct list node;
    struct room_watch watch;
    const uint64_t *position; /* how far its holder is */
    /* The place that it has, too, and gives up for who waits for the same. NULL: none; it gets the block anew without
     * asking an origin, and gives it up for what others read ahead, too. */
    const struct line_ticket *place;
    /* It does not get on, and room is wanted: calls room_release, or is called again at the next look. */
    void (*give_up)(struct room_hold *hold);
};

/* Before the loops start. */
void room_init(struct cache *cache);
void room_loop_init(struct cache_loop *home);
void room_loop_fini(struct cache_loop *home);

/* What is left for blocks now, in bytes, whoever may wait for it. Any thread, as what follows. */
size_t room_left(const struct cache *cache);
/* Somebody has just found no room for a block. */
bool room_is_short(const struct cache *cache);
/* That, or somebody finds no place for a fill, or memory is short: who sits on blocks is to give them up. */
bool room_wanted(const struct cache *cache);
/* There is room for what no reader has come to yet: that may take half, and the rest is for those who wait. So that
 * slow readers who have taken that half do not keep all others from reading ahead, they give up what they have in hand
 * before room is short. */
bool room_is_there_ahead(const struct cache *cache);

/* It begins to sit at `position`. */
void room_watch_begin(struct room_watch *watch, uint64_t position, int64_t now_ms);
/* Whether it does not get on. */
bool room_watch_look(struct room_watch *watch, uint64_t position, int64_t now_ms);

/* The holder's loop; release also when it is not held. */
void room_hold(struct cache_loop *home, struct room_hold *hold);
void room_release(struct room_hold *hold);

#endif
