/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify.h: what a request is to a cache: a blob read that it may answer, something to pass through, or a write that
 * makes it forget. Anything not known to be harmless is passed through, and a write that is not known is taken to touch
 * all that it could. Pure; any thread.
 */
#ifndef HEADPOND_BLOB_CLASSIFY_H
#define HEADPOND_BLOB_CLASSIFY_H

#include <stdbool.h>

#include "base/str.h"
#include "blob/headers.h"
#include "blob/url.h"

enum blob_action {
    BLOB_ACTION_READ,
    BLOB_ACTION_BYPASS,
    BLOB_ACTION_WRITE,
    BLOB_ACTION_REFUSE, /* a read that says it is something else: X-HTTP-Method-Override */
};

/* What Azure is to send ahead of a range, besides the range. */
enum blob_checksum {
    BLOB_CHECKSUM_NONE,
    BLOB_CHECKSUM_MD5,   /* x-ms-range-get-content-md5 */
    BLOB_CHECKSUM_CRC64, /* x-ms-range-get-content-crc64 */
    BLOB_CHECKSUM_BOTH,  /* which Azure refuses */
};

enum blob_touch {
    BLOB_TOUCH_NOTHING,
    BLOB_TOUCH_OBJECT,    /* the blob that the URL names */
    BLOB_TOUCH_CONTAINER, /* any blob of the container */
    BLOB_TOUCH_ACCOUNT,   /* any blob of the account */
};

struct blob_class {
    enum blob_action action;
    bool head;                   /* READ: only the head is wanted */
    enum blob_checksum checksum; /* READ */
    const char *reason;          /* BYPASS: a short constant word for Cache-Status detail and the metric; else NULL */
    enum blob_touch touch;       /* WRITE */
    bool touch_base;             /* WRITE: the URL names a snapshot or version, and the base blob may change with it */
    bool whole;        /* WRITE: the body is what the blob will be, byte for byte (Put Blob of a block blob) */
    bool touch_grants; /* WRITE: who may read may change for the whole container, or, on account level, the account */
};

/* `method` as sent. */
struct blob_class blob_classify(struct str method, const struct blob_url *url, const struct blob_headers *headers);

/* The value of x-ms-range, which wins, or of Range; a NULL str when neither is there. */
struct str blob_range_header(const struct blob_headers *headers);

#endif
