/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_rebuild.h: what the tests of a rebuild share: an index is taken away, a disk takes its time, and what the store
 * says it holds is looked at.
 */
#ifndef HEADPOND_T_UNIT_STORE_REBUILD_H
#define HEADPOND_T_UNIT_STORE_REBUILD_H

#include <limits.h>
#include <stdatomic.h>

#include "store/io.h"
#include "store/label.h"
#include "store_fixture.h"

#define BLOCK (64 * KIB)
#define SIZE (24 * MIB)
#define GROUP(object) fixture_hash((object) % 10 + 1000000)

char *file_of(const char *path, const char *name);
void index_delete(const char *path);
bool is_there(const char *path, const char *name);
struct label label_of(const char *path);

/* ---- A disk that takes its time. ---- */

extern atomic_uint gate;      /* reads that may still be made; the rest wait */
extern atomic_uint read_usec; /* what each takes */

void gate_set(unsigned reads);
void gate_open(void);

#endif
