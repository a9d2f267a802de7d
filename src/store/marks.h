/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks.h: groups whose validations are to be forgotten, each once, so that whoever goes through all objects does so
 * once for all of them: clients may write to containers as often as they like. Zero-initialised is empty. One thread.
 */
#ifndef HEADPOND_STORE_MARKS_H
#define HEADPOND_STORE_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/names.h"

struct mark {
    struct hash128 group; /* or a whole family (store.h) */
    uint64_t sequence;    /* the latest up to which that is so */
    uint64_t hits;        /* objects that it was found true of */
};

struct marks {
    struct names sorted; /* struct mark */
};

void marks_add(struct marks *marks, struct hash128 group, uint64_t sequence);
/* Whether one of them is of that group, or its family, and not earlier than `sequence`; counted as a hit of each. */
bool marks_hit(struct marks *marks, struct hash128 group, uint64_t sequence);
void marks_free(struct marks *marks);

#endif
