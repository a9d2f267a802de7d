/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h: the read-only listener for machines: /metrics, /healthz, /readyz. It names no blob and no credential, and
 * answers GET and HEAD only. A page is a row of the table in admin.c; the status page will be another.
 */
#ifndef HEADPOND_ADMIN_ADMIN_H
#define HEADPOND_ADMIN_ADMIN_H

#include "http/exchange.h"

struct admin_hooks {
    /* Why this process should get no requests now, as a short text, or NULL when it is ready. Any loop. */
    const char *(*not_ready)(void *arg);
    void *arg;
};

struct admin;

/* The hooks are copied. */
struct admin *admin_new(const struct admin_hooks *hooks);
void admin_free(struct admin **admin);
/* What the admin listener's server is given; lives with the admin. */
const struct http_handler *admin_handler(struct admin *admin);

#endif
