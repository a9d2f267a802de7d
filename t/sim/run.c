/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: a policy through a trace. */
#include "sim.h"

struct tally sim_run(const struct policy *policy, const struct trace *trace, uint32_t capacity, size_t from)
{
    struct tally tally = {{0}, {0}};
    void *state = policy->start(trace, capacity);
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t object = trace->reads[i];
        bool hit = policy->read(state, i, object);
        if (i >= from) {
            tally.reads[trace->group[object]]++;
            tally.hits[trace->group[object]] += hit;
        }
    }
    policy->stop(state);
    return tally;
}

double tally_ratio(const struct tally *tally, unsigned group)
{
    return tally->reads[group] == 0 ? 0 : (double) tally->hits[group] / (double) tally->reads[group];
}

double tally_total(const struct tally *tally)
{
    uint64_t reads = 0, hits = 0;
    for (unsigned i = 0; i < SIM_GROUPS; i++) {
        reads += tally->reads[i];
        hits += tally->hits[i];
    }
    return reads == 0 ? 0 : (double) hits / (double) reads;
}
