/* SPDX-License-Identifier: Apache-2.0 */
/* marks.c: a sorted array. */
#include "store/marks.h"

#include <string.h>

#include "store/store.h"

static bool before(struct hash128 a, struct hash128 b)
{
    return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
}

/* Where the group is, or would be. */
static size_t place_of(const struct marks *marks, struct hash128 group)
{
    const struct mark *sorted = marks->sorted.items;
    size_t low = 0, high = marks->sorted.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (before(sorted[middle].group, group))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct mark *find(const struct marks *marks, struct hash128 group)
{
    struct mark *sorted = marks->sorted.items;
    size_t at = place_of(marks, group);
    return at < marks->sorted.count && hash128_eq(sorted[at].group, group) ? &sorted[at] : NULL;
}

void marks_add(struct marks *marks, struct hash128 group, uint64_t sequence)
{
    struct mark *known = find(marks, group);
    if (known != NULL) {
        known->sequence = sequence > known->sequence ? sequence : known->sequence;
        return;
    }
    size_t at = place_of(marks, group), behind = marks->sorted.count - at;
    (void) names_add(&marks->sorted, sizeof(struct mark));
    struct mark *place = (struct mark *) marks->sorted.items + at;
    memmove(place + 1, place, behind * sizeof *place);
    *place = (struct mark){.group = group, .sequence = sequence};
}

bool marks_hit(struct marks *marks, struct hash128 group, uint64_t sequence)
{
    struct mark *found[] = {find(marks, store_group_family(group.hi)), find(marks, group)};
    bool hit = false;
    for (unsigned i = 0; i < 2; i++) {
        if (found[i] == NULL || found[i]->sequence < sequence)
            continue;
        found[i]->hits++;
        hit = true;
    }
    return hit;
}

void marks_free(struct marks *marks)
{
    names_free(&marks->sorted);
}
