/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_parse.h: a strict parser for HTTP/1.1 request heads (RFC 9112).
 *
 * In two steps, so that bytes may come in any portions: h1_scan finds the end of the head and goes on where it stopped;
 * h1_parse reads the whole head. What could be understood in two ways is refused: bare LF or CR, obs-fold, blanks
 * around a field name, two Hosts or lengths, a length next to a transfer coding. The verdict does not depend on how the
 * bytes were cut. Pure; any thread.
 */
#ifndef HEADPOND_HTTP_H1_PARSE_H
#define HEADPOND_HTTP_H1_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "http/message.h"

struct h1_limits {
    size_t max_head;      /* bytes of the whole head */
    size_t max_target;    /* bytes */
    unsigned max_headers; /* fields */
};

/* Zero-initialised before each head. */
struct h1_scan {
    size_t start;    /* where the head begins: behind empty lines before it (RFC 9112, 2.2) */
    size_t line;     /* where the line in progress begins */
    size_t seen;     /* how much of that line was looked at */
    unsigned lines;  /* complete ones */
    unsigned blanks; /* before the head */
};

/* `data` begins where it did in the calls before; more may have been added behind. OK: the head is data[scan->start] up
 * to *end. AGAIN, BAD_REQUEST, URI_TOO_LONG or HEADERS_TOO_LARGE. */
enum status h1_scan(struct h1_scan *scan, const struct h1_limits *limits, const char *data, size_t size,
                    size_t *end) STATUS_CHECKED;

/* What a head says about this connection and the body's framing. */
struct h1_framing {
    bool persistent; /* the connection may serve another request (RFC 9112, 9.3) */
    bool chunked;
    bool expect_continue;
};

/* Reads the head that h1_scan found. request->headers.arena is set by the caller, all else is filled in; texts point
 * into `head` or that arena. Connection's fields, Host, Content-Length and Expect do not appear in the list. On failure
 * the fields parsed so far stay. BAD_REQUEST, BAD_TARGET, BAD_VERSION, BAD_LENGTH, URI_TOO_LONG, HEADERS_TOO_LARGE,
 * METHOD_NOT_ALLOWED, NOT_IMPLEMENTED or EXPECTATION_FAILED. */
enum status h1_parse(struct str head, const struct h1_limits *limits, struct http_request *request,
                     struct h1_framing *framing) STATUS_CHECKED;

#endif
