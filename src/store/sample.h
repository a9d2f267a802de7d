/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample.h: sampled reads on their way from the loops to whoever holds the policy's lock: a ring without a lock that
 * rather loses a read than lets anybody wait. Writers never look at readers; who comes a lap later overwrites.
 */
#ifndef HEADPOND_STORE_SAMPLE_H
#define HEADPOND_STORE_SAMPLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SAMPLES 4096

/* Two words that are written one after the other. Should two writers meet in a cell, a lap apart, one's name may be
 * found with the other's note: one wrong sample. */
struct sample_cell {
    atomic_uint_fast64_t name; /* 0: taken, or not there yet */
    atomic_uint_fast64_t note;
};

struct samples {
    struct sample_cell cells[SAMPLES];
    atomic_uint_fast64_t head;
    uint64_t tail; /* the reader's */
};

/* Any thread. `name` is not 0. */
static inline void sample_add(struct samples *samples, uint64_t name, uint64_t note)
{
    uint64_t at = atomic_fetch_add_explicit(&samples->head, 1, memory_order_relaxed);
    struct sample_cell *cell = &samples->cells[at % SAMPLES];
    atomic_store_explicit(&cell->note, note, memory_order_relaxed);
    atomic_store_explicit(&cell->name, name, memory_order_release);
}

/* One reader at a time. false: there are no more. */
static inline bool sample_take(struct samples *samples, uint64_t *name, uint64_t *note)
{
    uint64_t head = atomic_load_explicit(&samples->head, memory_order_relaxed);
    if (head - samples->tail > SAMPLES)
        samples->tail = head - SAMPLES;
    while (samples->tail != head) {
        struct sample_cell *cell = &samples->cells[samples->tail++ % SAMPLES];
        *name = atomic_exchange_explicit(&cell->name, 0, memory_order_acquire);
        *note = atomic_load_explicit(&cell->note, memory_order_relaxed);
        if (*name != 0)
            return true;
    }
    return false;
}

#endif
