/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h: how every thread of the process but the first is made. */
#ifndef HEADPOND_BASE_THREAD_H
#define HEADPOND_BASE_THREAD_H

#include <pthread.h>

/* Starts a thread with all signals blocked (they are for the main thread). `name`: at most 15 bytes, or NULL. 0, or an
 * errno. Any thread. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg);

#endif
