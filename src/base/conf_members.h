/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_members.h: where the members of a region are, as pool.members says it:
 *
 *     NAME=HOST:PORT                a member, of a list; :WEIGHT may follow, 1 to 65535
 *     dns:NAME:PORT                 all that DNS has under that name
 *     kubernetes:NAMESPACE/SERVICE  all endpoints of that service; :PORT may follow, a number or a port's name
 *
 * A list may have any number of the first, or one of the others alone. Pure; any thread.
 */
#ifndef HEADPOND_BASE_CONF_MEMBERS_H
#define HEADPOND_BASE_CONF_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/str.h"

enum conf_members_kind { CONF_MEMBERS_LIST, CONF_MEMBERS_DNS, CONF_MEMBERS_KUBERNETES };

/* One text. It points into that. */
struct conf_members_text {
    enum conf_members_kind kind;
    struct str name; /* LIST: the member's; DNS: what is asked for; KUBERNETES: the namespace */
    struct str host; /* LIST */
    int64_t port;    /* LIST, DNS */
    int64_t weight;  /* LIST */
    struct str service;
    struct str port_name; /* KUBERNETES, or empty: the only port there is */
};

/* False with a few words in *problem. */
bool conf_members_parse(struct str text, struct conf_members_text *parsed, const char **problem);
/* Of all texts: which one is wrong, from 0, with a few words in *problem; -1: none. */
int conf_members_check(const struct conf_strings *members, const char **problem);

#endif
