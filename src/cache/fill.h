/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill.h: one request for a run of blocks within one extent, and the buffers its bytes arrive in. It goes to the origin,
 * or to the node of the pool where the extent is at home (upstream.h).
 *
 * A fill is run by the extent's owner loop. Readers on any loop hold a reference, take the buffers of its blocks and
 * read them as they grow (buf.h); they learn of progress through their join (flight.h). A whole block is put into the
 * store and leaves the fill once it can be had from there, so a fill holds few buffers whatever the run's length; a
 * reader that comes for a block which has left looks in the store, and if it is not there either (a laggard of a
 * storeless fill) asks for a fill of its own.
 *
 * Bytes are pinned to one generation (If-Match, and the reply's ETag, range and length are checked). The one exception
 * is an *opening* fill: the first request for an unknown blob, whose reply tells the generation; it waits with its
 * first bytes until the object's owner has adopted it.
 *
 * The fill keeps pace with its fastest reader: at most FILL_WINDOW blocks ahead of it. When the last reader has left,
 * the block under way is finished, unless room is wanted, and the rest is not fetched.
 *
 * While room is wanted a fill begins its block anew whose readers wait and whose origin sends nothing: what has come of
 * that is lost, but the place and the block are others' until it is its turn again. Each time it waits for twice as
 * long, and in the end for as long as the origin is given: an origin that sends, however slowly or in whatever fits,
 * gets its block through. Its readers are in the middle of a reply, so it does not take a refusal: it asks again until
 * its wait has been as long as that for a silent origin and then for a place may be.
 */
#ifndef HEADPOND_CACHE_FILL_H
#define HEADPOND_CACHE_FILL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/list.h"
#include "cache/answer.h"
#include "cache/asker.h"
#include "cache/context.h"
#include "cache/upstream.h"

#define FILL_WINDOW 8
/* Blocks that may be put into the store ahead of their readers, or it is too small, or too busy, to count on. */
#define FILL_AHEAD_LEAST 64
/* Where the store keeps little, rather so many pieces than large ones. */
#define FILL_PIECES 24

/* How an opening went; made on the fill's loop, read on the object's owner. */
struct fill_opening {
    struct letter letter; /* delivered on `home` once, with the fields below filled in */
    struct loop *home;
    bool patient;                /* waits for a place; else AGAIN tells that there was none to be had at once */
    enum pool_way way;           /* it goes by none that is farther, and came by; but home's: for the asker's pin */
    struct budget_ticket *asked; /* its right to ask the account is the fill's */
    struct fill *fill; /* a reference while there may be a blob to adopt: settle it with fill_adopt; else NULL */
    struct answer
        *answer;        /* the reply's head (the body, too, unless it is the blob's), or NULL when there was no reply */
    enum status status; /* why there was none */
    int64_t age_s;      /* as upstream.h has them */
    int64_t grant_age_ms;
};

/* Why a fill stands between two blocks. */
enum fill_pause {
    FILL_GOES_ON,
    FILL_PAUSED_FOR_READERS, /* they are not there, or too far behind */
    FILL_PAUSED_FOR_ROOM,
};

enum fill_block_state {
    FILL_BLOCK_COMING, /* not begun */
    FILL_BLOCK_FILLING,
    FILL_BLOCK_PUTTING, /* whole, on its way into the store */
    FILL_BLOCK_WHOLE,   /* whole, and not stored, or not for long: in memory while somebody may want it */
    FILL_BLOCK_GONE,    /* left: in the store, or given up */
};

struct fill {
    atomic_uint refs;
    struct cache *cache;
    struct loop *loop; /* the owner */
    uint64_t extent;
    unsigned first; /* blocks within the extent, inclusive */
    unsigned last;

    /* any thread */
    pthread_mutex_t lock; /* over buffers and states; held for a few instructions */
    struct buf *buffers[STORE_EXTENT_BLOCKS];
    uint8_t states[STORE_EXTENT_BLOCKS];
    atomic_int ended; /* STATUS_AGAIN while it runs; OK: nothing more will come; else why it failed */
    atomic_int pause; /* enum fill_pause, of the owner's; FOR_READERS: poke it when one moves on */
    atomic_bool poked;
    struct letter poke;
    struct letter adopt;
    struct store_generation *adopted; /* travels with `adopt` */

    /* the owner's */
    struct list on_loop;   /* cache_loop.fills */
    struct list on_flight; /* flight.c's table */
    struct list joins;     /* flight.c */
    struct list parked;    /* flight.c: joins that an opening must let know whether it is what they want */
    struct store_generation *generation; /* NULL until adopted */
    struct asker *asker;                 /* whose credential is in use */
    bool joined;                         /* a reader was tied to it */
    bool disowned;                       /* our own credential did not help: only the asker's is used */
    bool holds;                          /* what is stored stays here, too, until its readers have passed */
    uint64_t position;                   /* next byte of the blob to arrive */
    uint64_t end;                        /* exclusive */
    uint64_t stamp;                      /* epoch it was begun under: blocks are stored only while that stands */
    enum pool_way
        way; /* it goes by none that is farther, or its bytes come by it: who may not go so far does not wait */
    struct timer stall;  /* another node's bytes are looked at now and then: */
    uint64_t stalled_at; /* position at the last look; UINT64_MAX: none were wanted */
    struct upstream *upstream;
    struct source *body;
    struct answer_collector *collector;
    struct fill_opening *opening;
    struct timer retry;
    struct timer linger;     /* the wait for a reader to come, or to move on, or for room */
    struct room_watch watch; /* its readers', while it is paused, and after its end */
    int64_t wanted_ms;       /* since when it has wanted its next block (buf_new_in) */
    struct room_hold hold;   /* while a block is FILLING */
    int64_t patience_ms;     /* it waits for the next byte of one while room is wanted */
    int64_t anew_ms;         /* loop_now_ms when it last began one anew; 0: it has not */
    unsigned attempts;       /* since the last byte of progress */
    int64_t sent_us;         /* the request under way */
    int64_t head_us;         /* its reply's head came; 0: not yet, or readers have held it up since */
    uint64_t began;          /* position it began at */
    unsigned putting;        /* blocks on their way into the store */
    struct admission place;  /* place.c */
};

/* Whether the store keeps what of a group is put until its reader gets there, by what store_put_ahead says of it. Else
 * a fill holds its blocks for its readers, so these are best tied to one that is long. Any thread. */
bool fill_ahead_is_kept(const struct cache *cache, int64_t kept);
/* The last block that a request should ask for which begins with `block`, if there are so many: pieces end where those
 * of other readers do, wherever they begin. `kept`: as above. */
uint64_t fill_piece_end(const struct cache_loop *home, uint64_t account, uint64_t block, int64_t kept);

/* Begins a fill of blocks first..last of the extent; one reference is the caller's. Owner's loop. */
struct fill *fill_start(struct cache_loop *home, struct asker *asker, struct store_generation *generation,
                        uint64_t extent, unsigned first, unsigned last);
/* The same for a blob that nobody knows yet, of the blocks from `first` on as many as one request should ask for;
 * `opening` must live until it is delivered. */
void fill_open(struct cache_loop *home, struct asker *asker, uint64_t extent, unsigned first, unsigned last,
               struct fill_opening *opening);
/* Settles an opening fill: it goes on as a fill of `generation`, or ends (NULL). Consumes the reference. Any loop. */
void fill_adopt(struct fill **fill, struct store_generation *generation);

/* It has not ended. Any thread. */
static inline bool fill_runs(const struct fill *fill)
{
    return atomic_load(&fill->ended) == STATUS_AGAIN;
}

/* Any thread; unref empties the pointer. */
struct fill *fill_ref(struct fill *fill);
void fill_unref(struct fill **fill);

/* The buffer of a block (number within the extent), counted: OK. AGAIN: not begun yet. NOT_FOUND: it has left or will
 * not come. Else why the fill failed. Any thread. */
enum status fill_take(struct fill *fill, unsigned block, struct buf **buf) STATUS_CHECKED;

/* A reader has moved on: goes on with a paused fill. Any thread. */
void fill_poke(struct fill *fill);

/* Owner's loop: whether the fill has this block in memory or will bring it. */
bool fill_covers(struct fill *fill, unsigned block);
/* Owner's loop: readers came or went. */
void fill_readers_changed(struct fill *fill);

/* How long a fill whose readers have left waits for others: a client that lost its connection often comes again at
 * once. And how long an opening waits for its first one, who is on its way from the opening's answer. */
#define FILL_LINGER_MS 50
#define FILL_JOIN_MS 250
/* As patient as that it is not begun anew for want of room: that was four times. */
#define FILL_PATIENCE_MS (16 * ROOM_SLOW_MS)

/* ---- Between fill.c, fill_blocks.c, fill_fetch.c and fill_yield.c; owner's loop. ---- */

/* Within the extent. */
static inline unsigned fill_block_at(const struct fill *fill, uint64_t position)
{
    return store_block_within(position / fill->cache->block_size);
}

/* Leaves the tables once nobody can need it there. */
void fill_settle(struct fill *fill);
void fill_set_pause(struct fill *fill, enum fill_pause pause);
/* The buffer of the block under way, or NULL: paused until a reader comes or moves on, a put is done, or there is
 * room. */
struct buf *fill_buffer(struct fill *fill, unsigned block);
/* All of the block's bytes have come: it goes into the store. */
void fill_block_whole(struct fill *fill, unsigned block);
/* Frees whole blocks (once it has ended, all) that end at or before `passed`; UINT64_MAX: wherever. A slower reader
 * that still wants one, and does not find it in the store, asks for a fill of its own. */
void fill_give_up_blocks(struct fill *fill, uint64_t passed);
/* How many blocks it has in memory. */
unsigned fill_buffers_held(const struct fill *fill);
/* What has come of the block under way is given up, and is to come again. */
void fill_block_anew(struct fill *fill);
/* The block under way does not get on while room is wanted. */
void fill_hold_give_up(struct room_hold *hold);
/* It still stands between two blocks, or has ended and has some. */
void fill_linger_over(struct timer *timer);
/* What another node brings has not moved since the last look, though it is wanted. */
void fill_look_at_peer(struct timer *timer);
/* It was refused a place. */
void fill_no_place(struct fill *fill, enum status why);
/* It has ended, and has blocks for its readers that are to go when room is wanted and they do not come. */
void fill_watch_blocks(struct fill *fill);
void fill_fetch_start(struct fill *fill);
/* Aborts the request; an opening that is not settled learns `why`. */
void fill_fetch_stop(struct fill *fill, enum status why);
/* The reply has come and is what was asked for: pull it. */
void fill_pump(void *fill);
/* The transfer broke off with this. */
void fill_broken(struct fill *fill, enum status why);
/* Nothing more will come. */
void fill_end(struct fill *fill, enum status status);

#endif
