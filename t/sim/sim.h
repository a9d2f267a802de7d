/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h: eviction policies driven by traces, without a disk: who would have hit how often.
 *
 * A trace is a sequence of reads of objects, which are numbers from 0; an object is one block here. Every object lies
 * in a group (a container). A policy is asked for one read after another and answers whether it was a hit; what it does
 * about a miss is its own affair, within `capacity` objects. All are exact: no sampling of objects, no hashing where an
 * array does.
 */
#ifndef HEADPOND_T_SIM_SIM_H
#define HEADPOND_T_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NONE UINT32_MAX
#define SIM_GROUPS 4

struct quota_row;

/* ---- Traces: trace.c. ---- */

struct trace {
    uint32_t *reads; /* objects, in order */
    size_t count;
    size_t room;
    uint32_t objects;   /* every object is below */
    uint8_t *group;     /* of each object: whose hits are told apart */
    uint8_t *container; /* of each object: what policies may know */
    uint32_t blob;      /* blocks of each blob, for those who look at names: objects n·blob … lie in one */
    uint64_t random;    /* state of the generator: the same seed, the same trace */
};

void trace_init(struct trace *trace, uint32_t objects, uint32_t blob, uint64_t seed);
void trace_fini(struct trace *trace);
/* Objects first … first + count − 1 belong to that group and container; all belong to 0 and 0 at first. */
void trace_group(struct trace *trace, uint32_t first, uint32_t count, unsigned group, unsigned container);
void trace_read(struct trace *trace, uint32_t object);
/* Uniform in [0, below). */
uint32_t trace_random(struct trace *trace, uint32_t below);
/* Reads objects first … first + count − 1 once each; shuffled anew, or in order. */
void trace_epoch(struct trace *trace, uint32_t first, uint32_t count, bool shuffled);

/* Objects by rank: the chance of rank k falls with (k + 1)^−skew. Which object has which rank is drawn once. */
struct zipf {
    uint32_t first;
    uint32_t count;
    double *below; /* chance of this rank or an earlier one */
    uint32_t *of_rank;
};

void zipf_init(struct zipf *zipf, struct trace *trace, uint32_t first, uint32_t count, double skew);
void zipf_fini(struct zipf *zipf);
/* Draws anew who has which rank. */
void zipf_shuffle(struct zipf *zipf, struct trace *trace);
uint32_t zipf_next(const struct zipf *zipf, struct trace *trace);

/* ---- Policies, a file each. ---- */

struct policy {
    const char *name;
    void *(*start)(const struct trace *trace, uint32_t capacity);
    /* Read number `at` of the trace. */
    bool (*read)(void *state, size_t at, uint32_t object);
    bool (*holds)(void *state, uint32_t object);
    void (*stop)(void *state);
};

/* What policy_ours is started with from now on: quotas of containers, which are called {their number + 1, 1}. */
extern const struct quota_row *sim_quotas;
extern unsigned sim_quota_count;

extern const struct policy policy_ours, policy_fifo, policy_lru, policy_s3fifo, policy_tinylfu, policy_belady;

/* ---- Lists threaded through arrays, that the policies are made of: list.c. ---- */

struct links {
    uint32_t *next, *prev;
};

struct chain {
    uint32_t oldest, newest;
    uint32_t count;
};

void links_init(struct links *links, uint32_t objects);
void links_fini(struct links *links);
void chain_init(struct chain *chain);
void chain_push(struct links *links, struct chain *chain, uint32_t object);
void chain_unlink(struct links *links, struct chain *chain, uint32_t object);
uint32_t chain_pop(struct links *links, struct chain *chain);

/* ---- Runs: run.c. ---- */

struct tally {
    uint64_t reads[SIM_GROUPS], hits[SIM_GROUPS]; /* counted from read `from` of the trace */
};

struct tally sim_run(const struct policy *policy, const struct trace *trace, uint32_t capacity, size_t from);
/* Of one group. */
double tally_ratio(const struct tally *tally, unsigned group);
/* Of all. */
double tally_total(const struct tally *tally);

#endif
