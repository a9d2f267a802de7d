/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h: an origin's base URL taken apart: "https://host[:port]", or with a path of its own ("http://host/account",
 * Azurite), without a slash at its end. Pure; any thread.
 */
#ifndef HEADPOND_ORIGIN_BASE_H
#define HEADPOND_ORIGIN_BASE_H

#include "base/str.h"

/* The authority, without user information: who put a password there shall not find it in the log. */
struct str origin_base_host(const char *base);
/* Its own path, "" when there is none. */
const char *origin_base_path(const char *base);

#endif
