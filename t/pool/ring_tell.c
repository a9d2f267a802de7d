/* SPDX-License-Identifier: Apache-2.0 */
/* ring_tell.c: what t/pool/ring.py tells, from src/pool/ring.c; the lines are described there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pool/ring.h"

#define TOLD 3

static struct str kept(const char *word)
{
    char *copy = mem_alloc(strlen(word) + 1);
    return str_from(strcpy(copy, word));
}

static void tell(const struct ring *ring, uint64_t key)
{
    const struct ring_region *regions;
    unsigned count = ring_regions(ring, &regions);
    printf("%s", ring_origin_region(ring, key)->name.ptr);
    for (unsigned i = 0; i < count; i++) {
        unsigned nodes[TOLD];
        unsigned found = ring_order(&regions[i], key, nodes, TOLD);
        printf(" | %s", regions[i].name.ptr);
        for (unsigned n = 0; n < found; n++)
            printf(" %s", regions[i].nodes[nodes[n]].name.ptr);
    }
    printf("\n");
}

int main(void)
{
    struct ring_row *rows = NULL;
    struct ring *ring = NULL;
    unsigned count = 0;
    char line[512], region[200], name[200];
    uint64_t lo, hi, extent;
    uint32_t weight;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "node %199s %199s %" SCNu32, region, name, &weight) == 3) {
            rows = mem_realloc(rows, (count + 1) * sizeof *rows);
            rows[count++] = (struct ring_row){kept(region), kept(name), weight};
        } else if (sscanf(line, "key %" SCNx64 " %" SCNx64 " %" SCNu64, &lo, &hi, &extent) == 3) {
            if (ring == NULL) {
                ring = ring_new(rows, count, NULL);
                printf("digest %016" PRIx64 "\n", ring_digest(ring));
            }
            tell(ring, ring_key((struct hash128){lo, hi}, extent));
        } else {
            fprintf(stderr, "ring_tell: not understood: %s", line);
            return 2;
        }
    }
    ring_free(&ring);
    for (unsigned i = 0; i < count; i++) {
        mem_free((char *) (uintptr_t) rows[i].region.ptr);
        mem_free((char *) (uintptr_t) rows[i].name.ptr);
    }
    mem_free(rows);
    return 0;
}
