/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_rig.h: a cache on three loops in this process, before a blob-origin in another, and readers to drive it.
 *
 * The main thread scripts; it waits for conditions with a deadline, never for time to pass. A task is one reader: it
 * resolves on its loop, reads its range and checks every byte; what became of it is read here once it is over.
 */
#ifndef HEADPOND_T_UNIT_TEST_CACHE_RIG_H
#define HEADPOND_T_UNIT_TEST_CACHE_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"
#include "net/loop.h"

#define RIG_LOOPS 3
/* ThreadSanitizer is slow: longer waits and fewer readers. */
#if defined(__SANITIZE_THREAD__)
#define RIG_DEADLINE_S 120
#define RIG_SLOW 4
#else
#define RIG_DEADLINE_S 20
#define RIG_SLOW 1
#endif
#define RIG_TEXT 256

/* ---- the origin ---- */

void rig_origin_start(void);
void rig_origin_stop(void);
/* A control command, "PUT fault?path=…"; aborts unless it is answered 200. The reply's text, good until the next. */
const char *rig_control(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What has been counted, and how the origin was to behave, is forgotten. */
void rig_begin(void);
/* A number of GET stats' totals. */
long long rig_stat(const char *name);
/* Waits until it is at least this. */
bool rig_stat_reaches(const char *name, long long value);
/* Prints what was asked for a blob: a failed check's explanation. */
void rig_say_requests(const char *name);
/* The blob /acct/c/NAME, readable by every credential that is granted for /acct/c. */
void rig_blob(const char *name, uint64_t seed, uint64_t size, const char *more);
void rig_grant(const char *credential);
void rig_revoke(const char *credential);

/* ---- the cache ---- */

/* An origin that sends nothing for so long has failed; 400 unless a test says otherwise before rig_start. */
extern int64_t rig_stall_ms;
/* Up to RIG_DISKS disks; the directories of the store's end in /0, /1. */
#define RIG_DISKS 2
void rig_start(unsigned disks, uint32_t block_size);
void rig_stop(void);
/* How often the store's disks failed or did not answer in time, so far. */
int64_t rig_disk_troubles(void);
struct cache *rig_cache(void);
struct loop *rig_loop(unsigned loop);
const char *rig_origin_base(void);
/* Says so as TAP wants it, and aborts. */
void rig_die(const char *what) __attribute__((noreturn));
/* Runs on that loop and waits for it. */
void rig_on_loop(unsigned loop, void (*run)(void *arg), void *arg);
/* Until all fills, origin requests and detached things of earlier readers are gone. */
bool rig_quiet(void);
/* Until the origin has sent nothing for a while: what holds it back has taken hold. */
void rig_still(void);
/* Until memory is back to no more than that. */
bool rig_memory_below(size_t bytes);

/* ---- readers ---- */

enum task_phase { TASK_NEW, TASK_RESOLVING, TASK_READING, TASK_HELD, TASK_OVER };

struct task {
    /* what it does */
    unsigned loop;
    const char *blob;
    const char *credential;
    const char *account; /* that it counts for; NULL: the blobs' own */
    uint64_t seed;
    uint64_t first;
    uint64_t last; /* inclusive; UINT64_MAX: to the end */
    bool head;
    bool validate;
    bool conditional;
    bool only_resolve;
    bool only_now;        /* cache_resolve_now and no more */
    bool cancel;          /* the resolve, right after it was started */
    bool close_at_open;   /* before the first peek */
    bool close_in_ready;  /* at the first `ready` */
    size_t step;          /* bytes a peek; 0: 256 KiB */
    uint64_t close_after; /* bytes; 0: never */
    uint64_t hold_after;  /* bytes; stops pulling there until task_release; 0: never */
    int64_t freshness;    /* ms; 0: as told by `fresh_zero` */
    bool fresh_zero;
    int64_t ttl; /* ms; 0: 60 s */

    /* what became of it */
    enum task_phase phase;
    bool now; /* answered by cache_resolve_now */
    enum cache_verdict verdict;
    enum cache_how how;
    enum status status;         /* of the resolve (FAILED), or of the reading */
    int answer;                 /* the relayed answer's status */
    char answer_text[RIG_TEXT]; /* of its body */
    char detail[RIG_TEXT];
    char etag[RIG_TEXT];
    char tier[RIG_TEXT]; /* x-ms-access-tier */
    int64_t head_validated_s;
    uint64_t generation;
    uint64_t length;                 /* of the blob */
    uint64_t bytes;                  /* read and right */
    uint64_t came[CACHE_FROM_COUNT]; /* of them, by where they came from */
    int64_t wrong_at;                /* offset of the first wrong byte, or -1 */
    bool whole;                      /* all of the range came */

    /* its own */
    struct letter letter;
    struct letter release;
    struct letter leave;
    struct cache_request request;
    char target[RIG_TEXT];
    struct cache_resolve *resolve;
    struct cache_result result;
    struct source *source;
    bool released;
};

/* Zeroed, and the caller's to free (mem_free). */
struct task *tasks_new(unsigned count);
void tasks_start(struct task *tasks, unsigned count);
/* Until all are over. */
bool tasks_wait(struct task *tasks, unsigned count);
bool tasks_run(struct task *tasks, unsigned count);
/* Until it holds (or is over). */
bool task_wait_held(struct task *task);
void task_release(struct task *task);
/* It leaves, wherever it is, and is over then. */
void task_leave(struct task *task);
/* Now. */
bool task_over(struct task *task);
/* READY, whole and right. */
bool task_good(const struct task *task);
/* How many of them are. */
unsigned tasks_good(const struct task *tasks, unsigned count);
void task_say(const struct task *task);
/* The request of a credential for a blob; texts in `target`. */
void rig_request(struct cache_request *request, const char *blob, const char *credential, char target[RIG_TEXT]);

#endif
