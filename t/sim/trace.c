/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: traces made in memory. */
#include <math.h>

#include "base/mem.h"
#include "sim.h"

void trace_init(struct trace *trace, uint32_t objects, uint32_t blob, uint64_t seed)
{
    *trace = (struct trace){.objects = objects, .blob = blob, .random = seed};
    trace->group = mem_calloc(objects, sizeof *trace->group);
    trace->container = mem_calloc(objects, sizeof *trace->container);
}

void trace_fini(struct trace *trace)
{
    mem_free(trace->reads);
    mem_free(trace->group);
    mem_free(trace->container);
}

void trace_group(struct trace *trace, uint32_t first, uint32_t count, unsigned group, unsigned container)
{
    for (uint32_t i = first; i < first + count; i++) {
        trace->group[i] = (uint8_t) group;
        trace->container[i] = (uint8_t) container;
    }
}

void trace_read(struct trace *trace, uint32_t object)
{
    if (trace->count == trace->room) {
        trace->room = trace->room == 0 ? 65536 : trace->room * 2;
        trace->reads = mem_realloc(trace->reads, trace->room * sizeof *trace->reads);
    }
    trace->reads[trace->count++] = object;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(struct trace *trace)
{
    uint64_t z = (trace->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t trace_random(struct trace *trace, uint32_t below)
{
    return (uint32_t) ((draw(trace) >> 32) * below >> 32);
}

static void shuffle(struct trace *trace, uint32_t *items, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t k = trace_random(trace, i), item = items[i - 1];
        items[i - 1] = items[k];
        items[k] = item;
    }
}

void trace_epoch(struct trace *trace, uint32_t first, uint32_t count, bool shuffled)
{
    size_t from = trace->count;
    for (uint32_t i = 0; i < count; i++)
        trace_read(trace, first + i);
    if (shuffled)
        shuffle(trace, trace->reads + from, count);
}

void zipf_init(struct zipf *zipf, struct trace *trace, uint32_t first, uint32_t count, double skew)
{
    *zipf = (struct zipf){.first = first, .count = count};
    zipf->below = mem_alloc(count * sizeof *zipf->below);
    zipf->of_rank = mem_alloc(count * sizeof *zipf->of_rank);
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += pow(i + 1, -skew);
        zipf->below[i] = sum;
        zipf->of_rank[i] = first + i;
    }
    for (uint32_t i = 0; i < count; i++)
        zipf->below[i] /= sum;
    zipf_shuffle(zipf, trace);
}

void zipf_fini(struct zipf *zipf)
{
    mem_free(zipf->below);
    mem_free(zipf->of_rank);
}

void zipf_shuffle(struct zipf *zipf, struct trace *trace)
{
    shuffle(trace, zipf->of_rank, zipf->count);
}

uint32_t zipf_next(const struct zipf *zipf, struct trace *trace)
{
    double at = (double) (draw(trace) >> 11) / 9007199254740992.0; /* 2^53 */
    uint32_t low = 0, high = zipf->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zipf->below[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return zipf->of_rank[low];
}
