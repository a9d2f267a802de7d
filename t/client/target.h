/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob that is read: its name, its size, and the seeds its content may have. A blob with several
 * seeds changes while it is read; each reply must then be of one of them throughout, and an ETag,
 * once seen with one content, may never come with another.
 */
#ifndef T_CLIENT_TARGET_H
#define T_CLIENT_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_MAX_SEEDS 32
#define TARGET_MAX_ETAGS 256

struct target {
    char *name;
    char **urls; /* one a base */
    size_t url_count;
    int64_t size; /* -1: not given */
    uint64_t seeds[TARGET_MAX_SEEDS];
    int seed_count;
    struct {
        char etag[128];
        uint32_t seeds; /* bit i: has agreed with seeds[i] whenever it came */
    } etags[TARGET_MAX_ETAGS];
    int etag_count, latest;
};

/* Appends the blobs of a list to *targets. */
bool targets_parse(const char *list, struct target **targets, size_t *count);
bool target_set_seeds(struct target *t, const char *list); /* "1,2" or "1/2" */
void target_set_urls(struct target *t, const char *const *bases, size_t count, const char *query);
void target_fini(struct target *t);

static inline uint32_t target_all_seeds(const struct target *t)
{
    return t->seed_count == 32 ? ~0u : (1u << t->seed_count) - 1;
}

/* A reply came with this ETag, its body agreeing with `seeds`. Returns NULL or what is wrong. The
   caller sees to it that there is one call at a time. */
const char *target_note_etag(struct target *t, const char *etag, uint32_t seeds, bool may_change);

/* The ETag seen last, or NULL. */
const char *target_etag(const struct target *t);

#endif
