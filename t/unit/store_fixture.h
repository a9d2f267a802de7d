/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fixture.h: what the store's tests share: a directory that goes away, a loop that letters come to, blocks whose
 * bytes follow from their name, and waiting for all of it without sleeping.
 *
 * The test's own thread is registered with RCU and calls the store as a loop would; letters are delivered on one loop.
 */
#ifndef HEADPOND_T_UNIT_STORE_FIXTURE_H
#define HEADPOND_T_UNIT_STORE_FIXTURE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/mem.h"
#include "base/metric.h"
#include "net/loop.h"
#include "store/store.h"

#define KIB 1024
#define MIB (1024 * 1024)

extern struct loop *fixture_loop;

/* ---- Waiting. ---- */

struct arrival {
    struct letter letter;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned count;
};

void arrival_init(struct arrival *arrival);
void arrival_wait(struct arrival *arrival, unsigned count);

/* ---- Before and after. ---- */

void fixture_start(void);
void fixture_stop(void);
char *fixture_directory(void);
/* Calls `each` for every file below the directory, deepest first. */
void fixture_walk(const char *path, void (*each)(void *arg, const char *path, const struct stat *info), void *arg);
void fixture_remove_one(void *arg, const char *path, const struct stat *info);
/* rm -rf. */
void fixture_take_away(const char *path);
void fixture_remove(char *path);
/* In a directory of its own. */
void fixture_with_directory(void (*test)(const char *path));
/* Makes a file in the directory, or another of it. */
void fixture_write(const char *path, const char *name, const char *text);
/* Bytes on the file system. */
int64_t fixture_usage(const char *path);

/* What the next stores are opened with. */
extern const struct store_quota *fixture_quotas;
extern unsigned fixture_quota_count;

/* NULL when it is refused: then *error (if not NULL) holds the line. */
struct store *fixture_open(const char *path, int64_t size, uint32_t block_size, char **error);
void fixture_flush(struct store *store);
/* With all that the disks hold known: a flush waits for that. */
struct store *fixture_open_disks(const struct store_disk *disks, unsigned count, uint32_t block_size);
struct store *fixture_open_loaded(const char *path, int64_t size, uint32_t block_size);
void fixture_close(struct store *store);

/* ---- The log. ---- */

/* From here on it is kept. */
void fixture_log(void);
/* Whether a line was kept that has the one text, and the other behind it. */
bool fixture_logged(const char *first, const char *then);

/* ---- Blocks whose bytes follow from object and number. ---- */

struct hash128 fixture_hash(uint64_t number);
void fixture_fill(uint8_t *data, uint32_t length, uint64_t object, uint64_t block);
bool fixture_right(const uint8_t *data, uint32_t length, uint64_t object, uint64_t block, uint32_t offset);
uint32_t fixture_length(const struct store *store, const struct store_generation *generation, uint64_t block);
/* Puts one block and waits until it was written; BUSY is tried again. */
void fixture_put(struct store *store, struct store_generation *generation, uint64_t object, uint64_t block);
/* A generation of `length` bytes, current and validated. */
struct store_generation *fixture_object(struct store *store, uint64_t object, uint64_t length, int64_t validated_s);
/* Puts an object of that length with all its blocks; the id of its generation. */
uint64_t fixture_put_object(struct store *store, uint64_t object, uint64_t length, int64_t validated_s);
/* Offers a block of one value; what the store does not take is left out. */
void fixture_offer(struct store *store, struct store_generation *generation, uint64_t block);
/* Has it forgotten, durably. */
void fixture_tombstone(struct store *store, struct hash128 name);
/* When the object was validated; -1: it is not known. */
int64_t fixture_validated(struct store *store, uint64_t object);

struct fixture_load {
    struct store_load load;
    struct arrival arrival;
};

void fixture_loaded(struct letter *letter);
/* Loads a block; *right says whether it held what it must. */
enum status fixture_load(struct store *store, const struct store_generation *generation, uint64_t object,
                         uint64_t block, bool *right);

struct found {
    unsigned objects, blocks, missing, wrong, validated;
};

/* Loads every block of objects first..last, as the store knows them. */
struct found fixture_inspect(struct store *store, uint64_t first, uint64_t last);
/* Turns over a bit of the byte at `at` of the first data file. */
void fixture_damage(const char *path, off_t at);
/* The sum of a metric's cells with that text (`label="value"`) among their labels, as /metrics shows them. */
int64_t fixture_metric_of(enum metric metric, const char *label);
/* Of all cells. */
int64_t fixture_metric(enum metric metric);

#endif
