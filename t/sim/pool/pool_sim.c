/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_sim.c: a pool of thousands on paper, with the ring, the spreading, the hedging and the reachability that the real
 * one has. contrib/pool-sim makes a report of what it prints; t/73-pool-sim.t runs a small one.
 *
 *     pool_sim SCENE... [NAME=VALUE...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static const struct {
    const char *name;
    void (*run)(const struct terms *terms);
} scenes[] = {{"balance", scene_balance},   {"moves", scene_moves}, {"rounds", scene_rounds}, {"zipf", scene_zipf},
              {"zipf_one", scene_zipf_one}, {"storm", scene_storm}, {"zone", scene_zone},     {"costs", scene_costs}};
enum { SCENES = sizeof scenes / sizeof *scenes };

static bool set(struct terms *terms, const char *word)
{
#define SET(field, value, what)                                                                                        \
    if (strncmp(word, #field "=", sizeof #field) == 0) {                                                               \
        terms->field = strtoll(word + sizeof #field, NULL, 10);                                                        \
        return true;                                                                                                   \
    }
    TERMS_TABLE(SET)
#undef SET
    return false;
}

static bool run(const char *name, const struct terms *terms)
{
    for (unsigned i = 0; i < SCENES; i++) {
        if (strcmp(name, scenes[i].name) == 0) {
            scenes[i].run(terms);
            return true;
        }
    }
    return false;
}

static bool sensible(const struct terms *terms)
{
    return terms->regions >= 1 && terms->regions <= REGIONS_MAX && terms->nodes / terms->regions >= 2 &&
           terms->nodes / terms->regions <= RING_NODES_MAX && terms->per_node >= 1 &&
           terms->sidecars >= terms->regions && terms->zones >= 2 && terms->clusters >= 1 && terms->trials >= 1 &&
           terms->joins >= 1 && terms->reads >= 10 && terms->rate >= 1 && terms->keeps >= 1 && terms->job >= 1 &&
           terms->checkpoint >= 1 && terms->ahead >= 1 && terms->origin_mb >= 1 && terms->fill_mb >= 1 &&
           terms->node_mb >= 1 && terms->sidecar_mb >= 1;
}

int main(int argc, char **argv)
{
    struct terms terms = {
#define VALUE(name, value, what) .name = value,
        TERMS_TABLE(VALUE)
#undef VALUE
    };
    for (int i = 1; i < argc; i++)
        if (strchr(argv[i], '=') != NULL && !set(&terms, argv[i])) {
            fprintf(stderr, "pool_sim: %s: no such term\n", argv[i]);
            return 2;
        }
    if (!sensible(&terms)) {
        fprintf(stderr, "pool_sim: no such pool\n");
        return 2;
    }
#define SHOW(name, value, what) printf("terms name=%s value=%lld what=%s\n", #name, (long long) terms.name, what);
    TERMS_TABLE(SHOW)
#undef SHOW
    for (int i = 1; i < argc; i++)
        if (strchr(argv[i], '=') == NULL && !run(argv[i], &terms)) {
            fprintf(stderr, "pool_sim: %s: no such scene\n", argv[i]);
            return 2;
        }
    return 0;
}
