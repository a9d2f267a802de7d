/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jitter.h: pauses with chance in them: nodes that were started together, or failed together, shall not come back
 * together. Any thread; nothing secret.
 */
#ifndef HEADPOND_BASE_JITTER_H
#define HEADPOND_BASE_JITTER_H

#include <stdint.h>

/* 0 to `most`. */
int64_t jitter_below(int64_t most);
/* How long to wait after a failure that so many came before: doubled with each, from `first` to `last`; between half of
 * that and all of it. */
int64_t jitter_backoff(unsigned failures, int64_t first, int64_t last);

#endif
