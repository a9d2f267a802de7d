/* SPDX-License-Identifier: Apache-2.0 */
/* quota.c: a sorted table, and what each row of it holds. */
#include "store/quota.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/metric.h"

struct quota {
    struct hash128 group;
    uint32_t reserve;
    uint32_t limit;
    atomic_uint_least32_t held; /* changed under the lock */
    unsigned parent;
    struct metric_cell *bytes;
};

struct quotas {
    unsigned count;
    unsigned over; /* hold more than their limit */
    uint32_t unit;
    struct quota quota[]; /* by number; that of 0 is not used */
};

/* A family is called 0 within itself, and so comes before its groups. */
static int compare(const void *left, const void *right)
{
    const struct hash128 *a = &((const struct quota *) left)->group, *b = &((const struct quota *) right)->group;
    if (a->hi != b->hi)
        return a->hi < b->hi ? -1 : 1;
    return a->lo == b->lo ? 0 : a->lo < b->lo ? -1 : 1;
}

static unsigned find(const struct quotas *quotas, struct hash128 group)
{
    const struct quota wanted = {.group = group};
    const struct quota *found =
        quotas->count == 0 ? NULL : bsearch(&wanted, quotas->quota + 1, quotas->count, sizeof wanted, compare);
    return found == NULL ? 0 : (unsigned) (found - quotas->quota);
}

struct quotas *quotas_new(const struct quota_row *rows, unsigned count, uint32_t unit)
{
    assert(count <= QUOTAS_MAX);
    struct quotas *quotas = mem_calloc(1, sizeof *quotas + (count + 1) * sizeof *quotas->quota);
    quotas->count = count;
    quotas->unit = unit;
    quotas->quota[0].limit = QUOTA_UNLIMITED;
    for (unsigned i = 0; i < count; i++) {
        struct quota *quota = &quotas->quota[i + 1];
        quota->group = rows[i].group;
        quota->reserve = rows[i].reserve;
        quota->limit = rows[i].limit;
        quota->bytes = metric_cell(METRIC_STORE_QUOTA, rows[i].labels);
    }
    qsort(quotas->quota + 1, count, sizeof *quotas->quota, compare);
    for (unsigned i = 1; i <= count; i++) {
        struct quota *quota = &quotas->quota[i];
        quota->parent = quota->group.lo == 0 ? 0 : find(quotas, store_group_family(quota->group.hi));
    }
    return quotas;
}

void quotas_free(struct quotas *quotas)
{
    for (unsigned i = 1; i <= quotas->count; i++)
        metric_cell_add(quotas->quota[i].bytes, -(int64_t) quotas_held(quotas, i) * quotas->unit);
    mem_free(quotas);
}

unsigned quotas_count(const struct quotas *quotas)
{
    return quotas->count;
}

/* ---- Any thread. ---- */

unsigned quotas_find(const struct quotas *quotas, struct hash128 group)
{
    unsigned number = find(quotas, group);
    return number != 0 ? number : find(quotas, store_group_family(group.hi));
}

unsigned quotas_parent(const struct quotas *quotas, unsigned number)
{
    return quotas->quota[number].parent;
}

unsigned quotas_limited(const struct quotas *quotas, unsigned number)
{
    while (number != 0 && quotas->quota[number].limit == QUOTA_UNLIMITED)
        number = quotas->quota[number].parent;
    return number;
}

uint32_t quotas_limit(const struct quotas *quotas, unsigned number)
{
    return quotas->quota[number].limit;
}

uint32_t quotas_held(struct quotas *quotas, unsigned number)
{
    return atomic_load_explicit(&quotas->quota[number].held, memory_order_relaxed);
}

bool quotas_entitled(struct quotas *quotas, unsigned number)
{
    for (; number != 0; number = quotas->quota[number].parent)
        if (quotas_held(quotas, number) < quotas->quota[number].reserve)
            return true;
    return false;
}

bool quotas_barred(const struct quotas *quotas, unsigned number)
{
    for (; number != 0; number = quotas->quota[number].parent)
        if (quotas->quota[number].limit == 0)
            return true;
    return false;
}

/* ---- Under the lock. ---- */

void quotas_hold(struct quotas *quotas, unsigned number, int slots)
{
    for (; number != 0; number = quotas->quota[number].parent) {
        struct quota *quota = &quotas->quota[number];
        uint32_t before = quotas_held(quotas, number), now = before + (uint32_t) slots;
        assert(slots >= 0 || before >= (uint32_t) -slots);
        atomic_store_explicit(&quota->held, now, memory_order_relaxed);
        quotas->over -= before > quota->limit;
        quotas->over += now > quota->limit;
        metric_cell_add(quota->bytes, (int64_t) slots * quotas->unit);
    }
}

unsigned quotas_at_limit(struct quotas *quotas, unsigned number)
{
    while (number != 0 && quotas_held(quotas, number) < quotas->quota[number].limit)
        number = quotas->quota[number].parent;
    return number;
}

unsigned quotas_over(struct quotas *quotas)
{
    if (quotas->over == 0)
        return 0;
    unsigned number = 1;
    while (quotas_held(quotas, number) <= quotas->quota[number].limit)
        number++;
    return number;
}

bool quotas_within(const struct quotas *quotas, unsigned number, unsigned outer)
{
    while (number != 0 && number != outer)
        number = quotas->quota[number].parent;
    return number == outer;
}

static bool kept(struct quotas *quotas, unsigned number)
{
    return quotas->quota[number].reserve > 0 && quotas_held(quotas, number) <= quotas->quota[number].reserve;
}

bool quotas_kept(struct quotas *quotas, unsigned number, unsigned outer)
{
    for (; number != outer && number != 0; number = quotas->quota[number].parent)
        if (kept(quotas, number))
            return true;
    return false;
}

/* What it holds of what is reserved for itself. */
static uint32_t reserved(struct quotas *quotas, unsigned number)
{
    uint32_t held = quotas_held(quotas, number), most = quotas->quota[number].reserve;
    return held < most ? held : most;
}

uint32_t quotas_own(struct quotas *quotas, unsigned number)
{
    uint32_t own = 0;
    for (; number != 0; number = quotas->quota[number].parent)
        own = reserved(quotas, number) > own ? reserved(quotas, number) : own;
    return own;
}

/* The parts of all; of a family its own, or those of its groups if they are more. */
static uint32_t sum(struct quotas *quotas, uint32_t (*part)(struct quotas *quotas, unsigned number))
{
    uint64_t all = 0, family = 0, inner = 0;
    for (unsigned i = 1; i <= quotas->count; i++) {
        if (quotas->quota[i].parent != 0) {
            inner += part(quotas, i);
            continue;
        }
        all += inner > family ? inner : family;
        family = part(quotas, i);
        inner = 0;
    }
    all += inner > family ? inner : family;
    return all < UINT32_MAX ? (uint32_t) all : UINT32_MAX;
}

static uint32_t apart(struct quotas *quotas, unsigned number)
{
    bool limited = quotas->quota[number].limit != QUOTA_UNLIMITED;
    return limited ? quotas_held(quotas, number) : reserved(quotas, number);
}

uint32_t quotas_apart(struct quotas *quotas)
{
    return sum(quotas, apart);
}

static uint32_t reserve(struct quotas *quotas, unsigned number)
{
    return quotas->quota[number].reserve;
}

uint32_t quotas_reserved(struct quotas *quotas)
{
    return sum(quotas, reserve);
}
