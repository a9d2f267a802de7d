/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field.h: which bytes may stand in a field's name and value (RFC 9110, 5.5 and 5.6.2), and what of a reply its method,
 * status and length decide (RFC 9112, 6.3). Clients, origins and what goes out are judged by this one place. Pure; any
 * thread.
 */
#ifndef HEADPOND_HTTP_FIELD_H
#define HEADPOND_HTTP_FIELD_H

#include <stdbool.h>

#include "base/str.h"
#include "http/message.h"

enum { FIELD_TCHAR = 1, FIELD_VALUE = 2 };
extern const unsigned char field_class[256];

/* Of a token: a method, a field's name (5.6.2). */
static inline bool field_is_tchar(char c)
{
    return field_class[(unsigned char) c] & FIELD_TCHAR;
}

/* At least one byte, all of them tchar. */
bool field_token_valid(struct str text);
/* Visible bytes, obs-text, SP and HTAB; blanks around it are the caller's to trim (5.5). May be empty. */
bool field_value_valid(struct str text);

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_OPEN /* its end is told by other means */ };

struct http_framing {
    enum http_body body;
    bool announce; /* Content-Length is sent */
};

/* Of a final reply to a request of that method. */
struct http_framing http_reply_framing(enum http_method method, int status, int64_t content_length);

#endif
