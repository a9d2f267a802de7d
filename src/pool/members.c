/* SPDX-License-Identifier: Apache-2.0 */
/* members.c: the table behind the views; it is written under a lock, seldom. */
#include "pool/members.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "base/container.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/rcu.h"

/* Of an order, how many are looked at for one that is up. */
#define ORDER_LOOKS 8

struct members {
    pthread_mutex_t lock;  /* over the table */
    struct member **table; /* by region and name */
    unsigned count;
    char region[CONF_LABEL_MAX + 1]; /* this node's */
    bool told;                       /* a source has told of it */
    _Atomic(struct members_view *) view;
};

/* ---- A member. ---- */

static struct member *member_new(struct str region, struct str name, bool own)
{
    struct member *member = mem_calloc(1, sizeof *member);
    memcpy(member->region, region.ptr, region.len);
    memcpy(member->name, name.ptr, name.len);
    member->own = own;
    atomic_init(&member->refs, 1);
    pthread_mutex_init(&member->lock, NULL);
    reach_init(&member->reach);
    return member;
}

struct member *member_ref(struct member *member)
{
    unsigned before = atomic_fetch_add_explicit(&member->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void) before;
    return member;
}

void member_unref(struct member **pointer)
{
    struct member *member = *pointer;
    *pointer = NULL;
    if (member == NULL || atomic_fetch_sub_explicit(&member->refs, 1, memory_order_acq_rel) > 1)
        return;
    reach_fini(&member->reach);
    pthread_mutex_destroy(&member->lock);
    mem_free(member);
}

unsigned member_addresses(struct member *member, struct member_address addresses[MEMBER_ADDRESSES])
{
    pthread_mutex_lock(&member->lock);
    unsigned count = member->address_count;
    memcpy(addresses, member->addresses, count * sizeof addresses[0]);
    pthread_mutex_unlock(&member->lock);
    return count;
}

struct member_address member_address_of(int family, const void *bytes, uint16_t port)
{
    struct member_address made = {.length = 0};
    struct sockaddr_in *four = (struct sockaddr_in *) &made.address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *) &made.address;
    if (family == AF_INET) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        memcpy(&four->sin_addr, bytes, sizeof four->sin_addr);
        made.length = sizeof *four;
    } else if (family == AF_INET6) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        memcpy(&six->sin6_addr, bytes, sizeof six->sin6_addr);
        made.length = sizeof *six;
    }
    return made;
}

static bool has_address(const struct member *member, const struct member_address *address)
{
    for (unsigned i = 0; i < member->address_count; i++)
        if (member_address_eq(&member->addresses[i], address))
            return true;
    return false;
}

/* Whether these are others. In another order, which DNS likes to change, they are not, and stay as they were. */
static bool set_addresses(struct member *member, const struct member_told *told)
{
    unsigned count = told->address_count < MEMBER_ADDRESSES ? told->address_count : MEMBER_ADDRESSES;
    pthread_mutex_lock(&member->lock);
    bool changed = member->address_count != count;
    for (unsigned i = 0; i < count && !changed; i++)
        changed = !has_address(member, &told->addresses[i]);
    if (changed)
        memcpy(member->addresses, told->addresses, count * sizeof told->addresses[0]);
    member->address_count = count;
    pthread_mutex_unlock(&member->lock);
    return changed;
}

static bool is_of(const struct member *member, struct str region)
{
    return str_eq(str_from(member->region), region);
}

/* ---- Views. ---- */

static void view_free(struct members_view *view)
{
    for (unsigned i = 0; i < view->count; i++)
        member_unref(&view->members[i]);
    mem_free(view->members);
    members_text_free(atomic_load(&view->text));
    ring_free(&view->ring);
    mem_free(view);
}

static void view_reclaim(struct rcu_head *head)
{
    RCU_SEEN(head);
    RCU_RECLAIM(view_free(CONTAINER_OF(head, struct members_view, rcu)));
}

static void tell_count(const struct members_view *view, const struct members_view *before)
{
    const struct ring_region *regions;
    unsigned count = before == NULL ? 0 : ring_regions(before->ring, &regions);
    for (unsigned i = 0; i < count; i++)
        metric_cell_set(metric_cell(METRIC_POOL_MEMBERS, regions[i].name.ptr), 0);
    count = ring_regions(view->ring, &regions);
    for (unsigned i = 0; i < count; i++)
        metric_cell_set(metric_cell(METRIC_POOL_MEMBERS, regions[i].name.ptr), regions[i].count);
}

/* Of those in the table but who leaves. Under the lock. */
static void publish(struct members *members)
{
    struct members_view *view = mem_calloc(1, sizeof *view);
    struct ring_row *rows = mem_calloc(members->count + 1, sizeof *rows);
    view->members = mem_calloc(members->count + 1, sizeof(struct member *));
    for (unsigned i = 0; i < members->count; i++) {
        struct member *member = members->table[i];
        if (member->leaves)
            continue;
        rows[view->count] = (struct ring_row){str_from(member->region), str_from(member->name), member->weight};
        view->members[view->count++] = member_ref(member);
    }
    view->ring = ring_new(rows, view->count, NULL);
    view->told = members->told;
    mem_free(rows);
    struct members_view *old = atomic_exchange(&members->view, view);
    tell_count(view, old);
    if (old != NULL)
        rcu_later(&old->rcu, view_reclaim);
}

const struct members_view *members_view(const struct members *members)
{
    return atomic_load_explicit(&members->view, memory_order_acquire);
}

struct member *members_find(const struct members_view *view, struct str region, struct str name)
{
    const struct ring_region *found = ring_region(view->ring, region);
    for (unsigned i = 0; found != NULL && i < found->count; i++)
        if (str_eq(found->nodes[i].name, name))
            return members_at(view, &found->nodes[i]);
    return NULL;
}

/* ---- Whom to ask. ---- */

static bool answers(struct member *member, bool asks, int64_t now_ms)
{
    return reach_up(&member->reach) || (asks ? reach_probe_due(&member->reach, now_ms, (uint32_t) now_ms)
                                             : reach_probe_waits(&member->reach, now_ms));
}

struct member *members_first(const struct members_look *look)
{
    unsigned nodes[ORDER_LOOKS];
    unsigned count = look->region == NULL ? 0 : ring_order(look->region, look->key, nodes, ORDER_LOOKS);
    for (unsigned i = 0; i < count; i++) {
        struct member *member = members_at(look->view, &look->region->nodes[nodes[i]]);
        if (member == look->passed || (member->own && look->past_own))
            continue;
        if (member->own || answers(member, look->asks, look->now_ms))
            return member;
    }
    return NULL;
}

/* ---- The table; under the lock. ---- */

/* The first that does not come before it. */
static unsigned place_of(const struct members *members, struct str region, struct str name)
{
    unsigned from = 0, to = members->count;
    while (from < to) {
        unsigned middle = from + (to - from) / 2;
        const struct member *member = members->table[middle];
        int order = str_cmp(str_from(member->region), region);
        if (order == 0)
            order = str_cmp(str_from(member->name), name);
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct member *find(const struct members *members, struct str region, struct str name)
{
    unsigned at = place_of(members, region, name);
    struct member *member = at < members->count ? members->table[at] : NULL;
    return member != NULL && is_of(member, region) && str_eq(str_from(member->name), name) ? member : NULL;
}

static struct member *add(struct members *members, struct str region, struct str name, bool own)
{
    unsigned at = place_of(members, region, name);
    members->table = mem_realloc(members->table, (members->count + 1) * sizeof(struct member *));
    memmove(members->table + at + 1, members->table + at, (members->count - at) * sizeof(struct member *));
    members->count++;
    return members->table[at] = member_new(region, name, own);
}

/* Takes out those of which that is true: whether there were any that were in the ring. */
static bool remove_if(struct members *members, bool (*gone)(const struct member *member, int64_t now_ms),
                      int64_t now_ms)
{
    unsigned kept = 0;
    bool changed = false;
    for (unsigned i = 0; i < members->count; i++) {
        struct member *member = members->table[i];
        if (!gone(member, now_ms)) {
            members->table[kept++] = member;
            continue;
        }
        changed = changed || !member->leaves;
        member_unref(&member);
    }
    members->count = kept;
    return changed;
}

static bool long_away(const struct member *member, int64_t now_ms)
{
    return !member->own && !member->told && (member->leaves || now_ms - member->away_ms >= MEMBERS_AWAY_MS);
}

/* Whether the view is another with it. */
static bool tell_one(struct members *members, struct str region, const struct member_told *told)
{
    struct member *member = find(members, region, told->name);
    bool changed = member == NULL;
    if (changed)
        member = add(members, region, told->name, false);
    if (member->told)
        return false;
    member->told = true;
    bool moved = set_addresses(member, told);
    changed = (changed || moved || member->weight != told->weight) && !member->leaves;
    member->weight = told->weight;
    return changed;
}

/* Nobody is told of any more: in that region, or, without one, at all. */
static void untell(struct members *members, const struct str *region, int64_t now_ms)
{
    for (unsigned i = 0; i < members->count; i++) {
        struct member *member = members->table[i];
        if (!member->told || (region != NULL && !is_of(member, *region)))
            continue;
        member->told = false;
        member->away_ms = now_ms;
    }
}

static bool tell_region(struct members *members, struct str region, const struct member_told *told, unsigned count)
{
    bool own = str_eq(str_from(members->region), region), changed = own && !members->told;
    for (unsigned i = 0; i < count; i++)
        if (conf_is_label(told[i].name) && tell_one(members, region, &told[i]))
            changed = true;
    members->told = members->told || own;
    return changed;
}

void members_tell(struct members *members, struct str region, const struct member_told *told, unsigned count,
                  int64_t now_ms)
{
    if (!conf_is_label(region))
        return;
    pthread_mutex_lock(&members->lock);
    untell(members, &region, now_ms);
    bool changed = tell_region(members, region, told, count);
    if (remove_if(members, long_away, now_ms) || changed)
        publish(members);
    pthread_mutex_unlock(&members->lock);
}

void members_tell_all(struct members *members, const struct members_told *regions, unsigned count, int64_t now_ms)
{
    bool changed = false;
    pthread_mutex_lock(&members->lock);
    untell(members, NULL, now_ms);
    for (unsigned i = 0; i < count; i++)
        if (conf_is_label(regions[i].region) &&
            tell_region(members, regions[i].region, regions[i].members, regions[i].count))
            changed = true;
    if (remove_if(members, long_away, now_ms) || changed)
        publish(members);
    pthread_mutex_unlock(&members->lock);
}

void members_leaves(struct members *members, struct str region, struct str name)
{
    pthread_mutex_lock(&members->lock);
    struct member *member = find(members, region, name);
    if (member != NULL && !member->own && !member->leaves) {
        member->leaves = true;
        publish(members);
    }
    pthread_mutex_unlock(&members->lock);
}

void members_tick(struct members *members, int64_t now_ms)
{
    pthread_mutex_lock(&members->lock);
    if (remove_if(members, long_away, now_ms))
        publish(members);
    pthread_mutex_unlock(&members->lock);
}

/* ---- All of it. ---- */

struct members *members_new(const struct identity *own, uint32_t weight)
{
    struct members *members = mem_calloc(1, sizeof *members);
    pthread_mutex_init(&members->lock, NULL);
    *str_put(members->region, str_from(own->region)) = '\0';
    if (own->role == CONF_ROLE_MEMBER)
        add(members, str_from(own->region), str_from(own->node), true)->weight = weight;
    publish(members);
    return members;
}

void members_free(struct members **pointer)
{
    struct members *members = *pointer;
    *pointer = NULL;
    if (members == NULL)
        return;
    view_free(atomic_load(&members->view));
    for (unsigned i = 0; i < members->count; i++)
        member_unref(&members->table[i]);
    mem_free(members->table);
    pthread_mutex_destroy(&members->lock);
    mem_free(members);
}
