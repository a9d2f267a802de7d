/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential.h: who asks, as far as a request shows it. The text is what base/hash's digest_of makes the name of a
 * grant from; it is never stored or shown. Pure; any thread.
 */
#ifndef HEADPOND_BLOB_CREDENTIAL_H
#define HEADPOND_BLOB_CREDENTIAL_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "blob/headers.h"
#include "blob/query.h"
#include "blob/sas.h"

enum blob_credential_kind {
    BLOB_CREDENTIAL_ANONYMOUS,
    BLOB_CREDENTIAL_SAS,
    BLOB_CREDENTIAL_BEARER,
    BLOB_CREDENTIAL_SHAREDKEY, /* each request is signed anew: no yes can be used twice without the key */
    BLOB_CREDENTIAL_UNKNOWN,   /* pass the request through */
};

struct blob_credential {
    enum blob_credential_kind kind;
    struct str text;          /* what to digest, begins with the kind; "" for anonymous; secret */
    struct str authorization; /* the header's value, or a NULL str; secret */
    int64_t expires_s;  /* wall clock: not good after it. SAS: of the token; bearer: its unverified exp. INT64_MAX: not
                           said. Only ever shortens trust */
    struct sas sas;     /* SAS only */
    const char *reason; /* SHAREDKEY, UNKNOWN, or a SAS that must be passed through: a short constant word; else NULL */
};

/* Its texts live in `arena`, or as long as the headers and the query. */
void blob_credential_of(struct arena *arena, const struct blob_headers *headers, const struct blob_query *query,
                        struct blob_credential *credential);

#endif
