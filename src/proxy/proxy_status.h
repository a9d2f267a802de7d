/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_status.h: what went wrong, in the words of RFC 9209 (Proxy-Status). Pure; any thread. */
#ifndef HEADPOND_PROXY_PROXY_STATUS_H
#define HEADPOND_PROXY_PROXY_STATUS_H

#include "base/status.h"

/* The error type for a failure between us and an origin, or of our own. Never NULL. */
const char *proxy_status_of(enum status status);
/* The client's request was malformed or out of bounds; or was refused by a rule of ours. */
#define PROXY_STATUS_BAD_REQUEST "http_request_error"
#define PROXY_STATUS_DENIED "http_request_denied"
#define PROXY_STATUS_LOOP "proxy_loop_detected"

#endif
