/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: what nodes say to each other besides HTTP: one field of a request and one of its reply, each the version of
 * this that the node speaks, and parameters. Whoever does not know a parameter passes it over, so that version N and
 * N - 1 understand each other.
 *
 *   headpond-peer: 1; view=HEX; granted; record; validate; cached        of a GET or HEAD. `view`: the ring's digest.
 *                  `granted`: a member has found that whoever asks may read that. `record`: no bytes are wanted, the
 *                  head is. `validate`: the origin is to be asked, whatever is known. `cached`: nobody is to be asked;
 *                  504 (RFC 9111, 5.2.1.7) says that it is not there, nor on its way.
 *   headpond-peer: 1; view=HEX; changed=WHAT                     of a POST, without a body, to the URL that a write has
 *                  changed or may have: `object`, `container` or `account` what is known below it, `grants` who may
 *                  read. 204 says that none of that is believed any more; members alone are answered so (tells.h).
 *   headpond-peer: 1; view=HEX; grant-age=MS; length=BYTES       of a reply. `grant-age`: how long ago the origin let
 *                  this credential in; how long ago it vouched for the rest is Age (RFC 9111, 5.1). `length`: of the
 *                  blob, in the 204 that answers a GET for its record.
 *
 * CDN-Loop (RFC 8586) names each node that has sent it on.
 */
#ifndef HEADPOND_POOL_WIRE_H
#define HEADPOND_POOL_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "http/message.h"
#include "pool/identity.h"

#define WIRE_VERSION 1
#define WIRE_FIELD "headpond-peer"
/* A request's :authority: no account's host. */
#define WIRE_AUTHORITY "headpond"

enum wire_change {
    WIRE_CHANGED_NOTHING,
    WIRE_CHANGED_OBJECT,
    WIRE_CHANGED_CONTAINER,
    WIRE_CHANGED_ACCOUNT,
    WIRE_CHANGED_GRANTS,
};

struct wire_request {
    bool granted;
    bool record;
    bool validate;
    bool cached;
    enum wire_change changed;
    uint64_t view; /* 0: not said */
};

struct wire_answer {
    int64_t age_s;        /* 0: not said */
    int64_t grant_age_ms; /* likewise */
    int64_t length;       /* -1: not said */
    uint64_t view;        /* 0: not said */
};

/* As it is said; "" of nothing. */
const char *wire_change_name(enum wire_change change);

/* Adds the fields of a request by `own`; their texts are the list's arena's. Pure, as all of these. */
void wire_write_request(const struct identity *own, const struct wire_request *said, struct http_headers *headers);
/* NOT_FOUND: it does not have the field; INVALID: it does not begin with a version. */
enum status wire_read_request(const struct http_headers *headers, struct wire_request *said) STATUS_CHECKED;
/* Whether it has passed this node before. */
bool wire_is_loop(const struct identity *own, const struct http_headers *headers);

void wire_write_answer(const struct wire_answer *answer, struct http_headers *headers); /* without its age_s */
/* What is odd counts as not said. */
void wire_read_answer(const struct http_headers *headers, struct wire_answer *answer);

#endif
