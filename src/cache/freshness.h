/* SPDX-License-Identifier: Apache-2.0 */
/* freshness.h: whether a validation still holds. Pure. */
#ifndef HEADPOND_CACHE_FRESHNESS_H
#define HEADPOND_CACHE_FRESHNESS_H

#include <stdbool.h>
#include <stdint.h>

/* `freshness`: ms, CONF_IMMUTABLE for ever, 0 never. `validated_s`: wall clock, when the validating request was sent;
 * 0: never. Whole seconds are compared, rounded so that the answer errs towards asking (less than 1s is as 0s); a clock
 * set back to before the validation also asks. */
bool freshness_holds(int64_t freshness, int64_t validated_s, int64_t now_s);

#endif
