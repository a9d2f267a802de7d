/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Blob service: from a request to a reply. Reads are in read.c, writes in write.c; service.c
 * routes, authorises and takes the faults.
 */
#ifndef T_ORIGIN_SERVICE_H
#define T_ORIGIN_SERVICE_H

#include <sys/uio.h>

#include "reply.h"

/* A request body as it has been received. */
struct body {
    struct buf kept; /* nothing once `total` exceeds BLOB_MAX_KEPT */
    int64_t total;
    unsigned char md5[16];
};

/* The error code that a request is refused with whatever its body says, or NULL. Lets the
   connection answer before it asks for the body. */
const char *service_admit(const struct request *req);

/* Fills in a reply that has been through reply_init(). */
void service_handle(const struct body *body, struct reply *r);

/* Any thread, no lock. Describes what is sent of a generation, as content_iov() does. */
int generation_iov(const struct generation *g, int64_t offset, int64_t length, struct iovec *iov, int max_iov);
void generation_md5(const struct generation *g, int64_t offset, int64_t length, char out[32]);

enum precondition { PRECONDITION_HOLDS, PRECONDITION_NOT_MODIFIED, PRECONDITION_FAILED };
enum precondition precondition_check(const struct request *req, const struct generation *g);

/* GET and HEAD of a blob; consumes the reference. */
void read_blob(struct reply *r, struct generation *g);

/* [locked] The rest. */
void write_blob(struct reply *r, const struct body *body);
void write_delete(struct reply *r);
void write_container(struct reply *r, const struct body *body, const char *container);
void read_container_list(struct reply *r, const char *container);
void read_path_list(struct reply *r, const char *container);

#endif
