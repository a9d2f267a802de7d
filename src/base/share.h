/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.h: a part of `memory` that is taken by clients of accounts, and for two kinds of work: the favoured and the
 * others. Either kind may be kept from taking all of it. One account may have up to `alpha` times what is free (dynamic
 * thresholds, Choudhury and Hahne 1998): with 7 it has seven eighths alone, two that want all have seven fifteenths
 * each, and who comes next has seven eighths of what is left, however slowly the others give theirs back. So it is with
 * one client of an account and `client_alpha`: with less for one client than for one account, its account has some for
 * another. What it has of other accounts does not count there: a single client's slow account keeps none of its others
 * waiting. What it has of all accounts together may have a bound of its own: names of accounts cost nothing.
 * Both are counted by hashes that nobody outside can foresee; two that meet in one count are bounded together.
 *
 * Any thread; the lock is held for a few instructions.
 */
#ifndef HEADPOND_BASE_SHARE_H
#define HEADPOND_BASE_SHARE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARE_SLOTS 256

struct share_terms {
    unsigned part;         /* of MEM_WHOLE (base/mem_parts.h), */
    size_t least;          /* but not less than this, in bytes; without a bound of `memory` there is none here */
    unsigned alpha;        /* of one account to what is free, */
    unsigned client_alpha; /* and of one client of it, */
    unsigned whole_alpha;  /* and of one client with all its accounts; 0: any number */
    unsigned most[2];      /* what the others [0] and the favoured [1] may take of it, in eighths */
};

struct share {
    struct share_terms terms;
    pthread_mutex_t lock; /* over the next four */
    size_t taken[2];
    size_t of_account[2][SHARE_SLOTS];
    size_t of_client[2][SHARE_SLOTS];
    size_t of_whole[2][SHARE_SLOTS];
};

enum share_answer {
    SHARE_TAKEN,
    SHARE_FULL,        /* so much is not free */
    SHARE_KIND_FULL,   /* it is, but not for this kind */
    SHARE_RESERVED,    /* it is, but not for who has to leave so much */
    SHARE_NOT_YOURS,   /* it is, but the account has its part */
    SHARE_NOT_CLIENTS, /* the client has: another of the account may have it */
};

/* Where an account is counted, and a client of it. Any share's. */
unsigned share_slot(uint64_t account);
unsigned share_client_slot(uint64_t account, uint64_t client);

void share_init(struct share *share, const struct share_terms *terms);
/* What was taken need not have been given back. */
void share_fini(struct share *share);
/* The first of a kind finds room in any case, whatever it takes. `leaves`: so many eighths of what the kind may
 * take are not there for it, nor for its account or client: they are for those who leave less. `account` and `client`: hashes. */
enum share_answer share_take(struct share *share, bool favoured, unsigned leaves, uint64_t account, uint64_t client,
                             size_t bytes);
void share_give(struct share *share, bool favoured, uint64_t account, uint64_t client, size_t bytes);
/* The kind has nothing of it. */
bool share_is_idle(struct share *share, bool favoured);
/* It has less than an eighth. */
bool share_is_low(struct share *share, bool favoured);

#endif
