/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: the texts of status.h's table. */
#include "base/status.h"

static const struct {
    const char *name;
    const char *text;
} status_rows[STATUS_COUNT] = {
#define X(id, name, text) [STATUS_##id] = {name, text},
    STATUS_TABLE(X)
#undef X
};

const char *status_name(enum status status)
{
    return (unsigned) status < STATUS_COUNT ? status_rows[status].name : "unknown";
}

const char *status_text(enum status status)
{
    return (unsigned) status < STATUS_COUNT ? status_rows[status].text : "unknown status";
}
