/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_status.c: RFC 9209, section 2.3, for the failures we know. */
#include "proxy/proxy_status.h"

const char *proxy_status_of(enum status status)
{
    switch (status) {
    case STATUS_RESOLVE:
        return "dns_error";
    case STATUS_CONNECT:
        return "connection_refused";
    case STATUS_TLS:
        return "tls_protocol_error";
    case STATUS_FIRST_BYTE_TIMEOUT:
        return "http_response_timeout";
    case STATUS_STALLED:
        return "connection_read_timeout";
    case STATUS_TRUNCATED:
    case STATUS_GENERATION_CHANGED:
        return "http_response_incomplete";
    case STATUS_RESET:
        return "connection_terminated";
    case STATUS_BAD_REPLY:
    case STATUS_PROTOCOL:
        return "http_protocol_error";
    case STATUS_HEADERS_TOO_LARGE:
        return "http_response_header_section_size";
    case STATUS_NOT_CACHED:
        return "destination_unavailable";
    case STATUS_BUSY:
    case STATUS_OVER_BUDGET:
    case STATUS_NO_MEMORY:
        return "connection_limit_reached";
    default:
        return "proxy_internal_error";
    }
}
