/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resync.h: an index that has missed something, made anew from what is in memory.
 *
 * The new one begins with the mark of an intent (store.h), so that a crash before it is whole, or before what was put
 * off meanwhile has been written, makes the next start believe no validation in it.
 */
#ifndef HEADPOND_STORE_RESYNC_H
#define HEADPOND_STORE_RESYNC_H

#include <stdbool.h>

struct disk;

/* false: it could not be written. Scribe. */
bool resync_run(struct disk *disk);

#endif
