/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.h: the parameters of a request target's query, decoded once. Names are compared with case folded, as Azure
 * does, so that "Comp=list" and "%63omp=list" do not slip past. '+' is a plus sign. Pure; any thread.
 */
#ifndef HEADPOND_BLOB_QUERY_H
#define HEADPOND_BLOB_QUERY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

#define BLOB_QUERY_MAX 128 /* parameters; Azure's own longest has fewer than 40 */

struct blob_param {
    struct str name;  /* decoded */
    struct str value; /* decoded; "" when there is no '=' */
    struct str raw;   /* "name=value" as sent */
};

struct blob_query {
    struct blob_param *items;
    unsigned count;
};

/* `text` is what follows '?', and must live as long as the query. BAD_TARGET: a malformed %XX, a NUL, too many. */
enum status blob_query_parse(struct arena *arena, struct str text, struct blob_query *query) STATUS_CHECKED;
/* The decoded value of the first of that name, or a NULL str. */
struct str blob_query_get(const struct blob_query *query, struct str name);
unsigned blob_query_count(const struct blob_query *query, struct str name);

/* Decodes %XX strictly into the arena; BAD_TARGET on a malformed one or a NUL. */
enum status blob_percent_decode(struct arena *arena, struct str text, struct str *decoded) STATUS_CHECKED;

#endif
