/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h: our own errors in Azure's words: XML for the Blob endpoint, JSON for Data Lake. x-ms-error-code matters
 * most: a HEAD has no body, and SDKs decide by it. Pure but for the ids; any thread.
 */
#ifndef HEADPOND_BLOB_ERROR_H
#define HEADPOND_BLOB_ERROR_H

#include <stdint.h>

#include "base/status.h"
#include "base/str.h"
#include "blob/url.h"

struct blob_error {
    int status;          /* HTTP */
    const char *code;    /* x-ms-error-code */
    const char *message; /* one sentence */
};

/* What else helps; what is empty is left out. */
struct blob_error_detail {
    struct str refusal; /* AuthenticationErrorDetail */
    struct str header;  /* the one at fault, */
    struct str value;   /* and what it says */
};

/* Errors that are answers to a well-formed request. */
extern const struct blob_error BLOB_ERROR_CONDITION_NOT_MET;     /* 412; a 304 has no body and no code */
extern const struct blob_error BLOB_ERROR_INVALID_RANGE;         /* 416 */
extern const struct blob_error BLOB_ERROR_NO_ACCOUNT;            /* 403: no such account is configured */
extern const struct blob_error BLOB_ERROR_NO_ENDPOINT;           /* 403: its Data Lake endpoint is not */
extern const struct blob_error BLOB_ERROR_AUTHENTICATION_FAILED; /* 403 */
extern const struct blob_error BLOB_ERROR_INVALID_HEADER;        /* 400 */
extern const struct blob_error BLOB_ERROR_LOOP;                  /* 508 */

/* What a status is to a client. Transient failures of the origin are 503 or 500, since that is what all SDKs try again
 * (JavaScript and Java do not on 502 and 504); Proxy-Status carries the cause. Never NULL. */
const struct blob_error *blob_error_of(enum status status);

#define BLOB_REQUEST_ID_LENGTH 36
/* A new x-ms-request-id, NUL-terminated: unique, not secret. */
void blob_request_id(char out[BLOB_REQUEST_ID_LENGTH + 1]);

/* The body, appended to *out. `request_id` as sent in the header; `now_s`: wall clock. */
void blob_error_render(const struct blob_error *error, const struct blob_error_detail *detail,
                       enum blob_endpoint endpoint, struct str request_id, int64_t now_s, struct strbuf *out);
/* The body's Content-Type. */
struct str blob_error_content_type(enum blob_endpoint endpoint);

#endif
