/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.h: the whole proxy, from a configuration to running loops and back. Main's thread.
 */
#ifndef HEADPOND_PROXY_INSTANCE_H
#define HEADPOND_PROXY_INSTANCE_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/status.h"
#include "http/exchange.h"

struct instance;

/* What the floor above gives: the admin listener's handler (this floor does not know that one). */
struct instance_options {
    const struct conf *conf; /* outlives the instance */
    unsigned workers;        /* loops, at least 1 */
    const struct http_handler *admin;
};

/* Binds, opens the store, starts the loops; on success connections are being accepted. On failure nothing is left
 * running and *error holds one line that says what to do. */
enum status instance_start(const struct instance_options *options, struct instance **instance,
                           struct strbuf *error) STATUS_CHECKED;
/* Stops accepting; what runs may end. instance_idle says when that is so. */
void instance_drain(struct instance *instance);
bool instance_idle(const struct instance *instance);
/* Whether so much of `memory` has been used up for a while that nobody new is accepted. Any thread, while it runs. */
bool instance_starved(const struct instance *instance);
/* Cuts what is left, writes what must be written, frees all. Empties the pointer. */
void instance_stop(struct instance **instance);

/* Loads what has changed of the listeners' certificates; `again`: also what was refused before and is as it was. May
 * wait for the disk they lie on. */
void instance_look_at_certificates(struct instance *instance, bool again);
/* Opens the log files anew. */
void instance_reopen_logs(struct instance *instance);

#endif
