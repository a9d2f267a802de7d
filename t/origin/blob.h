/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of containers and blobs. A blob points to its current generation; a generation is never
 * changed once published, and counted references keep it while replies are made of it. So "touch
 * while a reply goes on" needs nothing special.
 *
 * Functions marked [locked] are called between state_lock() and state_unlock(), which guard this
 * table, the grants and the faults together. Paths are decoded: "/account/container/blob/name".
 */
#ifndef T_ORIGIN_BLOB_H
#define T_ORIGIN_BLOB_H

#include <stdatomic.h>

#include "util.h"

#define BLOB_MAX_KEPT (64 << 20) /* a larger body is hashed and counted, not kept */

struct blob_data {
    atomic_int refs;
    size_t len;
    char bytes[];
};

struct block_ref {
    char *id;
    int64_t offset, len;
};

struct generation {
    atomic_int refs;
    uint64_t seed;
    int64_t size;
    struct blob_data *data; /* NULL: content_iov(seed) */
    bool unservable;        /* only its size is known */
    bool tier_inferred;
    time_t modified, created;
    char etag[128], md5[32], tier[16];
    struct pairs headers; /* Content-Type and its like, x-ms-meta-*, x-ms-copy-*, whatever was set */
    struct block_ref *blocks;
    size_t block_count;
};

enum container_access { ACCESS_PRIVATE, ACCESS_BLOB, ACCESS_CONTAINER };

/* A stored access policy; what it leaves open is "". */
struct policy {
    char id[68], start[40], expiry[40], permission[16];
};
#define MAX_POLICIES 5

struct container {
    char *path;
    enum container_access access;
    struct policy policies[MAX_POLICIES];
    int policy_count;
};

void state_lock(void);
void state_unlock(void);

/* With `bytes` NULL the caller fills it in. Returns NULL when the memory for bodies is used up. */
struct blob_data *blob_data_new(const void *bytes, size_t len);
void blob_data_unref(struct blob_data *d);

struct generation *generation_new(void);
struct generation *generation_copy(const struct generation *g);
struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation *g); /* NULL is fine */

/* "/a/c/name" -> "/a/c" in `out`. The depth counts components: 1 account, 2 container, 3 blob. */
int path_split(const char *path, char *out, size_t size);

struct container *container_find(const char *path); /* [locked] */
/* [locked] false: table full. Policies stay. */
bool container_put(const char *path, enum container_access access);
bool container_remove(const char *path);                                          /* [locked] with its blobs */
const struct policy *container_policy(const struct container *c, const char *id); /* [locked] */

struct generation *blob_find(const char *path); /* [locked] a new reference, or NULL */

/* [locked] Keeps what the blob is now as a snapshot and writes its name, the time, unique. false:
   there is no such blob. */
#define SNAPSHOT_SIZE 48
bool blob_snapshot(const char *path, char out[SNAPSHOT_SIZE]);
struct generation *blob_find_snapshot(const char *path, const char *snapshot); /* as blob_find() */
/* [locked] Removes one snapshot, or with NULL all; returns how many. */
int blob_remove_snapshots(const char *path, const char *snapshot);
bool blob_has_snapshots(const char *path); /* [locked] */

/* [locked] Consumes `g`; gives it an ETag unless it has one, and a Last-Modified at least a second
   after the blob's former one, so that second-granular validators tell them apart. */
bool blob_publish(const char *path, struct generation *g);
/* [locked] Consumes `g`; ETag and Last-Modified stay: for what Azure does not count as a change. */
void blob_amend(const char *path, struct generation *g);
bool blob_remove(const char *path); /* [locked] */

/* [locked] A new generation now; NULL keeps the seed or the size. */
bool blob_touch(const char *path, const uint64_t *seed, const int64_t *size);

/* [locked] Uncommitted blocks. Consumes `data`. */
bool blob_stage(const char *path, const char *id, struct blob_data *data);
struct blob_data *blob_staged(const char *path, const char *id);
void blob_unstage(const char *path);

/* [locked] Calls f for each blob whose path starts with prefix, in no order. */
void blob_each(const char *prefix, void (*f)(void *ctx, const char *path, struct generation *g), void *ctx);

#endif
