/* SPDX-License-Identifier: Apache-2.0 */
/* date.h: HTTP and ISO 8601 dates as seconds since 1970. Pure; any thread. */
#ifndef HEADPOND_BASE_DATE_H
#define HEADPOND_BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* IMF-fixdate and the two obsolete forms (RFC 9110, 5.6.7), of which one has a year of two digits: read by the wall
 * clock. False when malformed. */
bool date_http_parse(struct str text, int64_t *seconds);
#define DATE_HTTP_LENGTH 29
/* IMF-fixdate, NUL-terminated. */
void date_http_format(int64_t seconds, char out[DATE_HTTP_LENGTH + 1]);

#define DATE_ISO_LENGTH 20
/* "1994-11-06T08:49:37Z", NUL-terminated. */
void date_iso_format(int64_t seconds, char out[DATE_ISO_LENGTH + 1]);

#endif
