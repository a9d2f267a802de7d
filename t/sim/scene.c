/* SPDX-License-Identifier: Apache-2.0 */
/* scene.c: the traces. */
#include "scene.h"

#include <stdio.h>
#include <string.h>

#define BLOB 64

void scene_fini(struct scene *scene)
{
    trace_fini(&scene->trace);
}

struct scene scene_epochs(uint32_t capacity, double part, bool shuffled, unsigned epochs, unsigned warm)
{
    struct scene scene = {.capacity = capacity, .pinned = part};
    uint32_t data = (uint32_t) (capacity / part);
    snprintf(scene.name, sizeof scene.name, "epochs, %s order, %.2f", shuffled ? "fresh" : "fixed", part);
    trace_init(&scene.trace, data, BLOB, 1);
    for (unsigned i = 0; i < epochs; i++) {
        if (i == warm)
            scene.from = scene.trace.count;
        trace_epoch(&scene.trace, 0, data, shuffled);
    }
    return scene;
}

static void zipf_reads(struct trace *trace, uint32_t first, uint32_t count, double skew, size_t reads)
{
    struct zipf zipf;
    zipf_init(&zipf, trace, first, count, skew);
    for (size_t i = 0; i < reads; i++)
        trace_read(trace, zipf_next(&zipf, trace));
    zipf_fini(&zipf);
}

struct scene scene_zipf(uint32_t objects, double skew, double part, size_t reads)
{
    struct scene scene = {.capacity = (uint32_t) (objects * part), .from = reads / 2};
    snprintf(scene.name, sizeof scene.name, "zipf %.1f, cache %.0f %%", skew, part * 100);
    trace_init(&scene.trace, objects, 1, 2);
    zipf_reads(&scene.trace, 0, objects, skew, reads);
    return scene;
}

struct scene scene_scan(uint32_t objects, double skew, double part, size_t reads, bool scan, bool apart)
{
    struct scene scene = {.capacity = (uint32_t) (objects * part), .from = reads / 2};
    struct zipf zipf;
    snprintf(scene.name, sizeof scene.name, "zipf %.1f, cache %.0f %%%s", skew, part * 100,
             !scan   ? " (no scan)"
             : apart ? " + scan"
                     : " + scan in the same container");
    trace_init(&scene.trace, objects + (uint32_t) (reads / 2), 1, 3);
    trace_group(&scene.trace, objects, (uint32_t) (reads / 2), 1, apart);
    zipf_init(&zipf, &scene.trace, 0, objects, skew);
    for (size_t i = 0; i < reads; i++) {
        trace_read(&scene.trace, zipf_next(&zipf, &scene.trace));
        if (scan && i >= reads / 2)
            trace_read(&scene.trace, objects + (uint32_t) (i - reads / 2));
    }
    zipf_fini(&zipf);
    return scene;
}

struct scene scene_pair(uint32_t objects, double skew, uint32_t capacity, uint32_t data, size_t reads)
{
    struct scene scene = {.capacity = capacity, .from = reads};
    struct zipf zipf;
    struct trace rounds;
    snprintf(scene.name, sizeof scene.name, "zipf %.1f beside epochs, %.2f", skew, (double) capacity / data);
    trace_init(&scene.trace, objects + data, 1, 4);
    trace_group(&scene.trace, objects, data, 1, 1);
    trace_init(&rounds, data, 1, 5);
    while (rounds.count < reads)
        trace_epoch(&rounds, 0, data, true);
    zipf_init(&zipf, &scene.trace, 0, objects, skew);
    for (size_t i = 0; i < reads; i++) {
        trace_read(&scene.trace, zipf_next(&zipf, &scene.trace));
        trace_read(&scene.trace, objects + rounds.reads[i]);
    }
    zipf_fini(&zipf);
    trace_fini(&rounds);
    return scene;
}

struct scene scene_shift(uint32_t objects, double skew, double part, size_t reads, unsigned shifts)
{
    struct scene scene = {.capacity = (uint32_t) (objects * part)};
    struct zipf zipf;
    snprintf(scene.name, sizeof scene.name, "zipf %.1f, cache %.0f %%, %u shifts", skew, part * 100, shifts);
    trace_init(&scene.trace, objects, 1, 6);
    zipf_init(&zipf, &scene.trace, 0, objects, skew);
    for (size_t i = 0; i < reads; i++) {
        if (i > 0 && i % (reads / (shifts + 1)) == 0)
            zipf_shuffle(&zipf, &scene.trace);
        trace_read(&scene.trace, zipf_next(&zipf, &scene.trace));
    }
    zipf_fini(&zipf);
    return scene;
}

static void job(struct trace *trace, uint32_t first, uint32_t count, bool rounds, size_t reads)
{
    size_t end = trace->count + reads;
    if (!rounds)
        zipf_reads(trace, first, count, 0.9, reads);
    while (trace->count < end)
        trace_epoch(trace, first, count, true);
}

struct scene scene_succession(const struct succession *it)
{
    struct scene scene = {.capacity = it->capacity};
    snprintf(scene.name, sizeof scene.name, "%s %.2f, then %s %.2f%s", it->old_rounds ? "epochs" : "zipf",
             (double) it->capacity / it->old, it->young_rounds ? "epochs" : "zipf", (double) it->capacity / it->young,
             it->apart ? "" : ", one container");
    trace_init(&scene.trace, it->old + it->young, BLOB, 7);
    trace_group(&scene.trace, it->old, it->young, 1, it->apart);
    job(&scene.trace, 0, it->old, it->old_rounds, it->reads);
    scene.from = scene.trace.count;
    job(&scene.trace, it->old, it->young, it->young_rounds, it->reads);
    return scene;
}

double scene_gone(const struct policy *policy, const struct scene *scene, uint32_t old)
{
    const struct trace *trace = &scene->trace;
    void *state = policy->start(trace, scene->capacity);
    uint64_t missed = 0;
    double gone = -1;
    for (size_t i = 0; i < trace->count && gone < 0; i++) {
        bool hit = policy->read(state, i, trace->reads[i]);
        if (i < scene->from)
            continue;
        missed += !hit;
        if (missed % (scene->capacity / 20) != 0 || hit)
            continue;
        uint32_t held = 0;
        for (uint32_t k = 0; k < old; k++)
            held += policy->holds(state, k);
        if (held < scene->capacity / 100)
            gone = (double) missed / scene->capacity;
    }
    policy->stop(state);
    return gone;
}

void scene_rounds(const struct policy *policy, const struct scene *scene, uint32_t length, double *ratios)
{
    const struct trace *trace = &scene->trace;
    void *state = policy->start(trace, scene->capacity);
    for (size_t i = 0; i < trace->count; i += length) {
        uint32_t hits = 0;
        for (size_t k = i; k < i + length && k < trace->count; k++)
            hits += policy->read(state, k, trace->reads[k]);
        ratios[i / length] = (double) hits / length;
    }
    policy->stop(state);
}
