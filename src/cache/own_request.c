/* SPDX-License-Identifier: Apache-2.0 */
/* own_request.c: the head of such a request. */
#include "cache/own_request.h"

#include <inttypes.h>

#include "cache/context.h"

struct origin_fetch *own_request_start(struct cache *cache, struct loop *loop, const struct cache_request *asker,
                                       const struct own_request *what, const struct origin_events *events)
{
    struct arena *arena = arena_new();
    struct http_headers headers = {.arena = arena};

    http_headers_add(&headers, STR("x-ms-version"), STR(CACHE_MS_VERSION));
    http_headers_add(&headers, STR("User-Agent"), STR("headpond"));
    if (what->ranged)
        http_headers_add(&headers, STR("Range"),
                         arena_printf(arena, "bytes=%" PRIu64 "-%" PRIu64, what->first, what->last));
    if (what->if_match.len > 0)
        http_headers_add(&headers, STR("If-Match"), what->if_match);
    bool ours = own_request_signed(asker, what);
    if (!ours && asker->authorization.len > 0)
        http_headers_add(&headers, STR("Authorization"), asker->authorization);

    const struct origin_request request = {
        .account = asker->account,
        .id = asker->id,
        .base = asker->origin,
        .ca_file = asker->ca_file,
        .method = what->head ? STR("HEAD") : STR("GET"),
        .target = ours ? asker->own_target : asker->target,
        .budget = what->budget,
        .signer = ours ? asker->signer : NULL,
        .headers = &headers,
        .content_length = 0,
        .retry = true,
        .modest = what->modest,
    };
    struct origin_fetch *fetch = origin_fetch_start(loop, &cache->config.limits, &request, NULL, events);
    arena_free(arena);
    return fetch;
}
