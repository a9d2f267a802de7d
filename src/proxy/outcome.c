/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c: the texts of outcome.h's table. */
#include "proxy/outcome.h"

static const struct {
    const char *label;
    const char *cache_status;
} outcome_rows[OUTCOME_COUNT] = {
#define X(id, label, text) [OUTCOME_##id] = {label, text},
    OUTCOME_TABLE(X)
#undef X
};

const char *outcome_label(enum outcome outcome)
{
    return outcome_rows[outcome].label;
}

const char *outcome_cache_status(enum outcome outcome)
{
    return outcome_rows[outcome].cache_status;
}
