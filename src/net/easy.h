/* SPDX-License-Identifier: Apache-2.0 */
/* easy.h: what every request by libcurl has, whoever is asked, and its results as ours. Pure but for the handle. */
#ifndef HEADPOND_NET_EASY_H
#define HEADPOND_NET_EASY_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/status.h"

/* HTTP and TLS of today, no proxy, no redirect, no wait for a resolver. */
void easy_guard(CURL *easy);
/* What a failed transfer is called. `resolved`: the name had been found. */
enum status easy_status(CURLcode code, bool resolved);

#endif
