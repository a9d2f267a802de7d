/* SPDX-License-Identifier: Apache-2.0 */
/* See blob.h. Entries outlive a deletion, so that a blob made anew still gets a later
 * Last-Modified. */
#include "blob.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 65536
#define MAX_BLOBS 2000000
#define MAX_CONTAINERS 4096
#define MAX_STAGED 50000
#define MAX_DATA_TOTAL ((int64_t) 2 << 30)

struct staged {
    char *id;
    struct blob_data *data;
};

struct snapshot {
    char name[SNAPSHOT_SIZE];
    struct generation *generation;
};

struct entry {
    struct entry *next;
    char *path;
    struct generation *current;
    time_t last_modified;
    struct staged *staged;
    size_t staged_count;
    struct snapshot *snapshots;
    size_t snapshot_count;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct entry *buckets[BUCKETS];
static size_t blob_count;
static struct container containers[MAX_CONTAINERS];
static size_t container_count;
static _Atomic int64_t data_total;
static uint64_t etag_counter;

void state_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void state_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

struct blob_data *blob_data_new(const void *bytes, size_t len)
{
    if (data_total + (int64_t) len > MAX_DATA_TOTAL)
        return NULL;
    data_total += (int64_t) len;
    struct blob_data *d = xmalloc(sizeof *d + len);
    d->refs = 1;
    d->len = len;
    if (bytes && len)
        memcpy(d->bytes, bytes, len);
    return d;
}

void blob_data_unref(struct blob_data *d)
{
    if (!d || --d->refs > 0)
        return;
    data_total -= (int64_t) d->len;
    free(d);
}

struct generation *generation_new(void)
{
    struct generation *g = xcalloc(1, sizeof *g);
    g->refs = 1;
    strcpy(g->tier, "Hot");
    g->tier_inferred = true;
    return g;
}

struct generation *generation_copy(const struct generation *from)
{
    struct generation *g = generation_new();
    g->seed = from->seed;
    g->size = from->size;
    g->data = from->data;
    if (g->data)
        g->data->refs++;
    g->unservable = from->unservable;
    g->tier_inferred = from->tier_inferred;
    g->modified = from->modified;
    g->created = from->created;
    memcpy(g->etag, from->etag, sizeof g->etag);
    memcpy(g->md5, from->md5, sizeof g->md5);
    memcpy(g->tier, from->tier, sizeof g->tier);
    pairs_copy(&g->headers, &from->headers);
    g->block_count = from->block_count;
    g->blocks = xcalloc(from->block_count, sizeof g->blocks[0]);
    for (size_t i = 0; i < from->block_count; i++) {
        g->blocks[i] = from->blocks[i];
        g->blocks[i].id = xstrdup(from->blocks[i].id);
    }
    return g;
}

struct generation *generation_ref(struct generation *g)
{
    g->refs++;
    return g;
}

void generation_unref(struct generation *g)
{
    if (!g || --g->refs > 0)
        return;
    blob_data_unref(g->data);
    pairs_free(&g->headers);
    for (size_t i = 0; i < g->block_count; i++)
        free(g->blocks[i].id);
    free(g->blocks);
    free(g);
}

int path_split(const char *path, char *out, size_t size)
{
    int depth = 0;
    size_t i = 0, end = strlen(path);
    for (; path[i] == '/' && path[i + 1] != '\0' && depth < 3; depth++) {
        if (depth == 2) {
            end = i;
            break;
        }
        i += 1 + strcspn(path + i + 1, "/");
        end = i;
    }
    snprintf(out, size, "%.*s", (int) end, path);
    return depth == 2 && path[end] == '/' && path[end + 1] != '\0' ? 3 : depth;
}

struct container *container_find(const char *path)
{
    for (size_t i = 0; i < container_count; i++)
        if (strcmp(containers[i].path, path) == 0)
            return &containers[i];
    return NULL;
}

bool container_put(const char *path, enum container_access access)
{
    struct container *c = container_find(path);
    if (!c) {
        if (container_count == MAX_CONTAINERS)
            return false;
        c = &containers[container_count++];
        memset(c, 0, sizeof *c);
        c->path = xstrdup(path);
    }
    c->access = access;
    return true;
}

const struct policy *container_policy(const struct container *c, const char *id)
{
    for (int i = 0; i < c->policy_count; i++)
        if (strcmp(c->policies[i].id, id) == 0)
            return &c->policies[i];
    return NULL;
}

static void entry_clear(struct entry *e)
{
    generation_unref(e->current);
    e->current = NULL;
    for (size_t i = 0; i < e->staged_count; i++) {
        free(e->staged[i].id);
        blob_data_unref(e->staged[i].data);
    }
    free(e->staged);
    e->staged = NULL;
    e->staged_count = 0;
}

static void snapshots_clear(struct entry *e, const char *only, int *removed)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->snapshot_count; i++) {
        if (only && strcmp(e->snapshots[i].name, only) != 0) {
            e->snapshots[kept++] = e->snapshots[i];
            continue;
        }
        generation_unref(e->snapshots[i].generation);
        ++*removed;
    }
    e->snapshot_count = kept;
}

bool container_remove(const char *path)
{
    struct container *c = container_find(path);
    if (!c)
        return false;
    free(c->path);
    *c = containers[--container_count];
    size_t n = strlen(path);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *e = buckets[i]; e; e = e->next)
            if (strncmp(e->path, path, n) == 0 && e->path[n] == '/') {
                entry_clear(e);
                snapshots_clear(e, NULL, &(int){0});
            }
    return true;
}

static struct entry *entry_find(const char *path, bool create)
{
    struct entry **bucket = &buckets[hash_string(path) % BUCKETS];
    for (struct entry *e = *bucket; e; e = e->next)
        if (strcmp(e->path, path) == 0)
            return e;
    if (!create || blob_count == MAX_BLOBS)
        return NULL;
    struct entry *e = xcalloc(1, sizeof *e);
    e->path = xstrdup(path);
    e->next = *bucket;
    *bucket = e;
    blob_count++;
    return e;
}

struct generation *blob_find(const char *path)
{
    struct entry *e = entry_find(path, false);
    return e && e->current ? generation_ref(e->current) : NULL;
}

bool blob_snapshot(const char *path, char out[SNAPSHOT_SIZE])
{
    static unsigned counter;
    struct entry *e = entry_find(path, false);
    if (!e || !e->current)
        return false;
    time_t now = time(NULL);
    struct tm tm;
    char date[24];
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, SNAPSHOT_SIZE, "%s.%07uZ", date, ++counter % 10000000);
    e->snapshots = xrealloc(e->snapshots, (e->snapshot_count + 1) * sizeof e->snapshots[0]);
    struct snapshot *s = &e->snapshots[e->snapshot_count++];
    memcpy(s->name, out, sizeof s->name);
    s->generation = generation_ref(e->current);
    return true;
}

struct generation *blob_find_snapshot(const char *path, const char *snapshot)
{
    struct entry *e = entry_find(path, false);
    for (size_t i = 0; e && i < e->snapshot_count; i++)
        if (strcmp(e->snapshots[i].name, snapshot) == 0)
            return generation_ref(e->snapshots[i].generation);
    return NULL;
}

int blob_remove_snapshots(const char *path, const char *snapshot)
{
    int removed = 0;
    struct entry *e = entry_find(path, false);
    if (e)
        snapshots_clear(e, snapshot, &removed);
    return removed;
}

bool blob_has_snapshots(const char *path)
{
    struct entry *e = entry_find(path, false);
    return e && e->snapshot_count > 0;
}

/* Azure's are the time in hexadecimal; ours start there and count, which keeps them unique. */
static void fresh_etag(char *out, size_t size)
{
    if (etag_counter == 0)
        etag_counter = (uint64_t) time(NULL) << 16;
    etag_counter += 0x11;
    snprintf(out, size, "\"0x8D%013llX\"", (unsigned long long) etag_counter & 0xfffffffffffffull);
}

bool blob_publish(const char *path, struct generation *g)
{
    struct entry *e = entry_find(path, true);
    if (!e) {
        generation_unref(g);
        return false;
    }
    time_t now = time(NULL);
    g->modified = now > e->last_modified ? now : e->last_modified + 1;
    if (!g->created)
        g->created = g->modified;
    if (!g->etag[0])
        fresh_etag(g->etag, sizeof g->etag);
    e->last_modified = g->modified;
    generation_unref(e->current);
    e->current = g;
    return true;
}

void blob_amend(const char *path, struct generation *g)
{
    struct entry *e = entry_find(path, false);
    if (!e) {
        generation_unref(g);
        return;
    }
    generation_unref(e->current);
    e->current = g;
}

bool blob_remove(const char *path)
{
    struct entry *e = entry_find(path, false);
    if (!e || !e->current)
        return false;
    entry_clear(e);
    return true;
}

bool blob_touch(const char *path, const uint64_t *seed, const int64_t *size)
{
    struct entry *e = entry_find(path, false);
    if (!e || !e->current)
        return false;
    struct generation *g = generation_copy(e->current);
    g->etag[0] = '\0';
    if (seed || size) {
        blob_data_unref(g->data);
        g->data = NULL;
        g->unservable = false;
        g->md5[0] = '\0';
    }
    if (seed)
        g->seed = *seed;
    if (size)
        g->size = *size;
    return blob_publish(path, g);
}

static struct staged *staged_find(struct entry *e, const char *id)
{
    for (size_t i = 0; e && i < e->staged_count; i++)
        if (strcmp(e->staged[i].id, id) == 0)
            return &e->staged[i];
    return NULL;
}

bool blob_stage(const char *path, const char *id, struct blob_data *data)
{
    struct entry *e = entry_find(path, true);
    struct staged *s = staged_find(e, id);
    if (!e || (!s && e->staged_count == MAX_STAGED)) {
        blob_data_unref(data);
        return false;
    }
    if (!s) {
        e->staged = xrealloc(e->staged, (e->staged_count + 1) * sizeof e->staged[0]);
        s = &e->staged[e->staged_count++];
        s->id = xstrdup(id);
    } else {
        blob_data_unref(s->data);
    }
    s->data = data;
    return true;
}

struct blob_data *blob_staged(const char *path, const char *id)
{
    struct staged *s = staged_find(entry_find(path, false), id);
    return s ? s->data : NULL;
}

void blob_unstage(const char *path)
{
    struct entry *e = entry_find(path, false);
    if (!e)
        return;
    struct generation *keep = e->current;
    e->current = NULL;
    entry_clear(e);
    e->current = keep;
}

void blob_each(const char *prefix, void (*f)(void *ctx, const char *path, struct generation *g), void *ctx)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *e = buckets[i]; e; e = e->next)
            if (e->current && strncmp(e->path, prefix, n) == 0)
                f(ctx, e->path, e->current);
}
