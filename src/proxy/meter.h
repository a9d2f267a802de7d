/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter.h: a loop's own pointers to the cells of the request metrics, so that counting a request looks no label up.
 * Own loop.
 */
#ifndef HEADPOND_PROXY_METER_H
#define HEADPOND_PROXY_METER_H

#include <stdint.h>

#include "base/hash.h"
#include "cache/cache.h"
#include "http/message.h"
#include "proxy/outcome.h"

struct meter;

/* One a loop. */
struct meter *meter_new(void);
void meter_free(struct meter **meter);

/* One request that ended. `status` 0: the client got no head (counted as code 000). `first_us` < 0: likewise. */
void meter_count(struct meter *meter, enum http_method method, enum outcome outcome, int status, int64_t first_us,
                 int64_t total_us);
/* The same request, if it was a read for the cache that went well: so that each container's hit ratio is seen. `bytes`
 * of its body by where they came from. `container` is named by `name`, a hash of it and the account; the first some
 * hundred of them are told apart. */
void meter_read(struct meter *meter, const char *account, struct str container, struct hash128 name,
                enum outcome outcome, const uint64_t bytes[CACHE_FROM_COUNT]);

#endif
