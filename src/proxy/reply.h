/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h: the heads of the replies that headpond writes itself: from an object's record, and its own errors. Heads are
 * rendered into the exchange's arena; nothing is allocated and nothing formatted by printf for a hit. The loop's
 * thread.
 */
#ifndef HEADPOND_PROXY_REPLY_H
#define HEADPOND_PROXY_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "blob/error.h"
#include "blob/sas.h"
#include "cache/object.h"
#include "http/message.h"
#include "proxy/outcome.h"

/* What every reply of ours carries besides its subject. */
struct reply_facts {
    struct arena *arena;
    bool head;                    /* the request is a HEAD */
    struct str request_id;        /* x-ms-request-id of the reply */
    struct str client_request_id; /* the request's x-ms-client-request-id if sane, else a NULL str */
    struct str version;           /* x-ms-version to answer with */
    enum blob_endpoint endpoint;  /* whose way of telling errors */
    enum outcome outcome;
    const char *detail;                    /* of a bypass, a constant; or NULL */
    bool user_properties;                  /* Data Lake: metadata is asked for, too */
    struct blob_error_detail error_detail; /* for an error's body */
    struct str range_md5;                  /* of the range that is sent, in base64; or a NULL str */
    struct str range_crc64;                /* the same */
    const struct blob_query *overrides;    /* a good token's rscc and the like are in it; or NULL */
    unsigned retry_after_s;                /* with an error; 0: none */
    int64_t now_s;
    int64_t steady_s;    /* what ages are reckoned by */
    int64_t validated_s; /* when the origin last vouched for what is served; 0: just now */
};

/* Fills in a new request_id and what the request says of the facts: client_request_id, version, head. */
void reply_facts_from_request(struct reply_facts *facts, const struct http_request *request);

/* 200 with the whole blob, or HEAD's answer. */
void reply_whole(struct http_response *head, const struct reply_facts *facts, const struct object *object);
/* 206 with bytes first..last inclusive. */
void reply_range(struct http_response *head, const struct reply_facts *facts, const struct object *object,
                 uint64_t first, uint64_t last);
/* 304 (RFC 9110, 15.4.5), with the error code that Azure adds. */
void reply_not_modified(struct http_response *head, const struct reply_facts *facts, const struct object *object);

/* An error as Azure words it: x-ms-error-code and a body, which is returned (a NULL str for HEAD). `proxy_status` is
 * the error type of RFC 9209 for what is our own doing, or NULL for what Azure would have said as well. */
struct str reply_error(struct http_response *head, const struct reply_facts *facts, const struct blob_error *error,
                       const char *proxy_status);
/* 416 for a blob of that length: InvalidRange with its Content-Range. */
struct str reply_range_error(struct http_response *head, const struct reply_facts *facts, uint64_t length);

/* The fields of a reply that is taken over from the origin, and our Via and Cache-Status behind them. The texts are not
 * copied. The origin's x-ms-request-id becomes the facts'. */
void reply_copy_relayed(struct http_response *head, struct reply_facts *facts, const struct http_headers *origin);

#endif
