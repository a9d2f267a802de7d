/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome.h: how a request met the cache, declared once: the label of the metrics and the access log, and the words of
 * Cache-Status (RFC 9211). A bypass adds its detail. Whether a miss is stored is said before it is: by what is likely.
 */
#ifndef HEADPOND_PROXY_OUTCOME_H
#define HEADPOND_PROXY_OUTCOME_H

/* X(ID, "label", "Cache-Status"): an empty text sends no Cache-Status. */
#define OUTCOME_TABLE(X)                                                                                               \
    X(NONE, "none", "")                                                                                                \
    X(HIT, "hit", "headpond; hit")                                                                                     \
    X(COLLAPSED, "collapsed", "headpond; hit; detail=collapsed")                                                       \
    X(MISS, "miss", "headpond; fwd=miss")                                                                              \
    X(MISS_STORED, "miss", "headpond; fwd=miss; stored")                                                               \
    X(PARTIAL, "partial", "headpond; fwd=partial")                                                                     \
    X(STALE, "stale", "headpond; fwd=stale")                                                                           \
    X(BYPASS, "bypass", "headpond; fwd=bypass")

enum outcome {
#define X(id, label, text) OUTCOME_##id,
    OUTCOME_TABLE(X)
#undef X
        OUTCOME_COUNT
};

/* The label, e.g. "hit". Never NULL. Any thread. */
const char *outcome_label(enum outcome outcome);
/* The field's value without a detail. Never NULL. Any thread. */
const char *outcome_cache_status(enum outcome outcome);

#endif
