/* SPDX-License-Identifier: Apache-2.0 */
/* share.c: see share.h. */
#include "base/share.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/mem_parts.h"

#define EIGHTHS 8

void share_init(struct share *share, const struct share_terms *terms)
{
    *share = (struct share){.terms = *terms};
    pthread_mutex_init(&share->lock, NULL);
}

void share_fini(struct share *share)
{
    pthread_mutex_destroy(&share->lock);
}

unsigned share_slot(uint64_t account)
{
    return (unsigned) (hash_hidden(account) % SHARE_SLOTS);
}

unsigned share_client_slot(uint64_t account, uint64_t client)
{
    return share_slot(hash_mix(account, client));
}

static size_t all_of(const struct share_terms *terms)
{
    size_t bytes = mem_part(terms->part, SIZE_MAX);
    return bytes < terms->least ? terms->least : bytes;
}

static size_t left_of(size_t most, size_t taken)
{
    return taken < most ? most - taken : 0;
}

/* With so many bytes more, `own` would be beyond its part of what is free. */
static bool beyond(size_t own, size_t bytes, size_t free, unsigned alpha)
{
    return own > 0 && (own + bytes) / alpha > free - bytes;
}

/* Where somebody is counted. */
struct slots {
    unsigned account, client, whole;
};

static struct slots slots_of(uint64_t account, uint64_t client)
{
    return (struct slots){share_slot(account), share_client_slot(account, client), share_slot(client)};
}

/* Under the lock. */
static enum share_answer look(const struct share *share, bool kind, unsigned leaves, struct slots slots, size_t bytes)
{
    if (share->taken[kind] == 0)
        return SHARE_TAKEN;
    if (mem_pressure() >= MEM_STOP_ACCEPT)
        return SHARE_FULL;
    size_t all = all_of(&share->terms);
    size_t free = left_of(all, share->taken[0] + share->taken[1]);
    if (bytes > free)
        return SHARE_FULL;
    size_t most = all / EIGHTHS * share->terms.most[kind];
    size_t of_kind = left_of(most, share->taken[kind]);
    if (bytes > of_kind)
        return SHARE_KIND_FULL;
    if (of_kind < free)
        free = of_kind;
    free = left_of(free, most / EIGHTHS * leaves);
    if (bytes > free)
        return SHARE_RESERVED;
    const struct share_terms *terms = &share->terms;
    if (beyond(share->of_account[kind][slots.account], bytes, free, terms->alpha))
        return SHARE_NOT_YOURS;
    if (beyond(share->of_client[kind][slots.client], bytes, free, terms->client_alpha))
        return SHARE_NOT_CLIENTS;
    if (terms->whole_alpha > 0 && beyond(share->of_whole[kind][slots.whole], bytes, free, terms->whole_alpha))
        return SHARE_NOT_CLIENTS;
    return SHARE_TAKEN;
}

enum share_answer share_take(struct share *share, bool favoured, unsigned leaves, uint64_t account, uint64_t client,
                             size_t bytes)
{
    struct slots slots = slots_of(account, client);
    pthread_mutex_lock(&share->lock);
    enum share_answer answer = look(share, favoured, leaves, slots, bytes);
    if (answer == SHARE_TAKEN) {
        share->taken[favoured] += bytes;
        share->of_account[favoured][slots.account] += bytes;
        share->of_client[favoured][slots.client] += bytes;
        share->of_whole[favoured][slots.whole] += bytes;
    }
    pthread_mutex_unlock(&share->lock);
    return answer;
}

void share_give(struct share *share, bool favoured, uint64_t account, uint64_t client, size_t bytes)
{
    struct slots slots = slots_of(account, client);
    pthread_mutex_lock(&share->lock);
    share->taken[favoured] -= bytes;
    share->of_account[favoured][slots.account] -= bytes;
    share->of_client[favoured][slots.client] -= bytes;
    share->of_whole[favoured][slots.whole] -= bytes;
    pthread_mutex_unlock(&share->lock);
}

static size_t taken_of(struct share *share, bool kind)
{
    pthread_mutex_lock(&share->lock);
    size_t taken = share->taken[kind];
    pthread_mutex_unlock(&share->lock);
    return taken;
}

bool share_is_idle(struct share *share, bool favoured)
{
    return taken_of(share, favoured) == 0;
}

bool share_is_low(struct share *share, bool favoured)
{
    return taken_of(share, favoured) < all_of(&share->terms) / EIGHTHS;
}
