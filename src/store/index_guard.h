/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_guard.h: calls that survive what a damaged file does to them.
 *
 * LMDB 0.9 maps its file and believes it: pages have no checksums. Of a page in which a bit has turned over it may
 * follow a number to where nothing is mapped (SIGSEGV), of a file that was cut short it reads what is not there
 * (SIGBUS), a page size of 0 it divides by (SIGFPE), and what it holds to be impossible it asserts. None of that is a
 * bug of ours, and a cache must not die of it. So each call into LMDB, and each look at what it points at, is made in
 * here: a signal of these, raised by the calling thread in the middle of such a call, ends the call.
 *
 * What was interrupted is then in no known state: its locks may be held, its memory is lost. The caller must never
 * touch that environment again, nor close it (index.c: `poisoned`). A call must hold nothing of ours: no lock, no
 * memory that it alone knows. On any other thread, and outside such calls, the signals do what they did before:
 * a real bug still ends the process, with a core or a sanitizer's report. A signal that was sent is not a fault either.
 *
 * What this cannot see is LMDB writing past the end of a page it has copied to the heap, because the page lies about
 * how full it is. index_check.h looks for such pages before LMDB sees them.
 */
#ifndef HEADPOND_STORE_INDEX_GUARD_H
#define HEADPOND_STORE_INDEX_GUARD_H

#include <stdbool.h>

/* Calls `call` and stores what it returns; false: it was interrupted, and *result is not set. Not within another. Any
 * thread, whose mask lets the signals through from then on. */
bool index_guard(int (*call)(void *arg), void *arg, int *result);
/* Ends the call of the thread as a fault would; outside of one it aborts. For what LMDB asserts. */
void index_guard_fail(void) __attribute__((noreturn));

#endif
