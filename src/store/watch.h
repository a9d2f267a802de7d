/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h: the thread that never waits for a disk, and so can say when one does not answer: it has loads answered whose
 * time is over, takes a disk out that hangs, and has those probed that are out.
 */
#ifndef HEADPOND_STORE_WATCH_H
#define HEADPOND_STORE_WATCH_H

struct store;
struct watch;

/* The disks have been started. */
struct watch *watch_start(struct store *store);
/* Before they are stopped. Frees it. */
void watch_stop(struct watch *watch);

#endif
