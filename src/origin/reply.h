/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h: a reply's head, line by line as libcurl hands it over (RFC 9112, 4 and 5). Interim replies (1xx) are
 * skipped, hop-by-hop fields and Content-Length taken out. Bounded: 64 KiB and 200 fields, interim heads and trailers
 * included. Not thread-safe.
 */
#ifndef HEADPOND_ORIGIN_REPLY_H
#define HEADPOND_ORIGIN_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "http/message.h"

#define ORIGIN_REPLY_MAX_BYTES (64u * 1024)
#define ORIGIN_REPLY_MAX_FIELDS 200u

struct origin_reply {
    struct arena *arena;       /* made on the first line */
    struct http_response head; /* whole once `complete` */
    size_t bytes;
    unsigned fields;
    bool in_head;  /* a status line was read, its empty line not yet */
    bool complete; /* the final head has been read */
    bool chunked;
    bool has_length;
};

enum origin_reply_step {
    ORIGIN_REPLY_MORE,
    ORIGIN_REPLY_HEAD, /* this line ended the final head */
    ORIGIN_REPLY_BAD,  /* *why says it; give the connection up */
};

void origin_reply_init(struct origin_reply *reply);
void origin_reply_fini(struct origin_reply *reply);
/* For another attempt. */
void origin_reply_reset(struct origin_reply *reply);

/* One line with its end. After the final head (trailers) lines are counted against the bound and otherwise ignored. */
enum origin_reply_step origin_reply_line(struct origin_reply *reply, struct str line, enum status *why);

/* How many bytes the body has (RFC 9112, 6.3), given the request's method: HTTP_LENGTH_UNKNOWN when its framing or the
 * connection's end says it. Only once complete. */
int64_t origin_reply_body_length(const struct origin_reply *reply, bool head_request);

#endif
