/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reply: header lines gathered by the handlers, then sealed into a head, and a body that is
 * either text or a range of a generation. What a fault changes about headers and framing is done
 * here, what it does to the connection is done by conn.c.
 */
#ifndef T_ORIGIN_REPLY_H
#define T_ORIGIN_REPLY_H

#include "blob.h"
#include "fault.h"
#include "http.h"

struct reply {
    const struct request *req;
    struct fault fault;
    int status;
    const char *reason; /* NULL: the standard one */
    char id[40];        /* x-ms-request-id; an error's text repeats it */
    struct buf lines;   /* header lines, each with its CRLF */
    struct buf text;    /* the body, unless `gen` is set */
    struct generation *gen;
    int64_t offset;    /* of the body within the generation */
    int64_t length;    /* of the body as Content-Length tells it, HEAD included */
    int64_t body_left; /* after sealing: what is to be sent */
    bool no_length;    /* neither length nor body: 304, 204 */
    bool chunked, close;
    bool strict; /* the account has keys: as Azure does it, see strict.h */
};

void reply_init(struct reply *r, const struct request *req);
void reply_free(struct reply *r);

void reply_header(struct reply *r, const char *name, const char *value);
void reply_headerf(struct reply *r, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void reply_etag(struct reply *r, const char *etag);

/* What every Blob reply carries: Server, ids, version, Date. */
void reply_azure_headers(struct reply *r);

/* What a write is answered with, the ETag and date of `g` unless it is NULL among it. */
void reply_written(struct reply *r, int status, const struct generation *g);

/* An Azure error: status, x-ms-error-code and the XML body, from the table in reply.c. Replaces
   whatever was there. */
void reply_error(struct reply *r, const char *code);
/* The same, of a header whose value "true" is at fault. */
void reply_error_header(struct reply *r, const char *code, const char *header);
void reply_fault_status(struct reply *r); /* the error a `status` fault asks for */

/* Appends the complete head (interim reply and padding included) to `out`. */
void reply_seal(struct reply *r, struct buf *out);

#endif
