/* SPDX-License-Identifier: Apache-2.0 */
/* freshness.c: one comparison, for all who must agree on it. */
#include "cache/freshness.h"

#include "base/conf.h"

bool freshness_holds(int64_t freshness, int64_t validated_s, int64_t now_s)
{
    if (validated_s <= 0)
        return false;
    if (freshness == CONF_IMMUTABLE)
        return true;
    return validated_s <= now_s && now_s - validated_s < freshness / 1000;
}
