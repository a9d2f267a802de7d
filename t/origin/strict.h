/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Azure does beyond the plain case, for accounts that have been given their keys: versions of
 * the service, the headers that came with them, and reads that it refuses for what they carry.
 * Looks at the request alone.
 */
#ifndef T_ORIGIN_STRICT_H
#define T_ORIGIN_STRICT_H

#include "http.h"

/* The version that a request is answered in: its x-ms-version, else its SAS' sv, else the first. */
const char *strict_version(const struct request *req);

/* Whether that version knows the header of a reply. */
bool strict_knows(const struct request *req, const char *header);

/* The error code that any request is refused with before its credential is looked at, or NULL. */
const char *strict_refusal(const struct request *req);

/* The same for a read of a blob that is there: it has no lease, no tags, no customer's key. */
const char *strict_read_refusal(const struct request *req);

bool strict_is_snapshot_time(const char *text); /* "2024-01-31T12:00:00.0000000Z" */

#endif
