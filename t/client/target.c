/* SPDX-License-Identifier: Apache-2.0 */
/* See target.h. */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool target_set_seeds(struct target *t, const char *list)
{
    t->seed_count = 0;
    while (*list) {
        char *end;
        if (t->seed_count == TARGET_MAX_SEEDS)
            return false;
        t->seeds[t->seed_count++] = strtoull(list, &end, 0);
        if (end == list || (*end && *end != ',' && *end != '/'))
            return false;
        list = end + (*end != '\0');
    }
    return t->seed_count > 0;
}

/* A name may hold colons, so NAME:SIZE:SEED is read from its end. A lone NAME will do for `one`. */
static bool target_parse(char *spec, struct target *t)
{
    memset(t, 0, sizeof *t);
    t->size = -1;
    t->name = strdup(spec);
    char *seed = strrchr(spec, ':');
    if (!seed || !t->name)
        return t->name != NULL;
    *seed++ = '\0';
    char *size = strrchr(spec, ':'), *end;
    if (!size)
        return false;
    *size++ = '\0';
    t->size = strtoll(size, &end, 10);
    free(t->name);
    t->name = strdup(spec);
    return t->name && *size && !*end && t->size >= 0 && target_set_seeds(t, seed);
}

bool targets_parse(const char *list, struct target **targets, size_t *count)
{
    char *copy = strdup(list), *at = copy;
    bool ok = copy != NULL;
    while (ok && at) {
        char *spec = strsep(&at, ",");
        struct target *grown = realloc(*targets, (*count + 1) * sizeof *grown);
        if (!grown)
            abort();
        *targets = grown;
        ok = target_parse(spec, &grown[(*count)++]);
    }
    free(copy);
    return ok;
}

static size_t encode(char *out, const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    size_t n = 0;
    for (; *name; name++) {
        if (strchr(plain, *name))
            out[n++] = *name;
        else
            n += (size_t) sprintf(out + n, "%%%02X", (unsigned char) *name);
    }
    out[n] = '\0';
    return n;
}

static char *make_url(const char *name, const char *base, const char *query)
{
    size_t base_len = strlen(base);
    while (base_len > 0 && base[base_len - 1] == '/')
        base_len--;
    char *url = malloc(base_len + 3 * strlen(name) + (query ? strlen(query) : 0) + 3);
    if (!url)
        abort();
    memcpy(url, base, base_len);
    size_t n = base_len;
    url[n++] = '/';
    n += encode(url + n, name);
    if (query && *query) {
        url[n++] = '?';
        strcpy(url + n, query);
    }
    return url;
}

void target_set_urls(struct target *t, const char *const *bases, size_t count, const char *query)
{
    t->urls = calloc(count, sizeof *t->urls);
    if (!t->urls)
        abort();
    for (; t->url_count < count; t->url_count++)
        t->urls[t->url_count] = make_url(t->name, bases[t->url_count], query);
}

void target_fini(struct target *t)
{
    for (size_t i = 0; i < t->url_count; i++)
        free(t->urls[i]);
    free(t->urls);
    free(t->name);
}

const char *target_note_etag(struct target *t, const char *etag, uint32_t seeds, bool may_change)
{
    for (int i = 0; i < t->etag_count; i++) {
        if (strcmp(t->etags[i].etag, etag) != 0)
            continue;
        t->latest = i;
        t->etags[i].seeds &= seeds;
        return t->etags[i].seeds || !t->seed_count ? NULL : "one ETag came with two contents";
    }
    if (t->etag_count > 0 && t->seed_count == 1 && !may_change)
        return "the ETag changed";
    if (t->etag_count == TARGET_MAX_ETAGS || strlen(etag) >= sizeof t->etags[0].etag)
        return NULL;
    t->latest = t->etag_count++;
    strcpy(t->etags[t->latest].etag, etag);
    t->etags[t->latest].seeds = seeds;
    return NULL;
}

const char *target_etag(const struct target *t)
{
    return t->etag_count ? t->etags[t->latest].etag : NULL;
}
