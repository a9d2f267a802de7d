/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authorize.h: who says yes to a request: the origin, the account's key, or nobody (`authorize`), and by what it is
 * signed on its way to the origin. A no of ours is Azure's, in its words. Never waits; any loop.
 */
#ifndef HEADPOND_PROXY_AUTHORIZE_H
#define HEADPOND_PROXY_AUTHORIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "blob/classify.h"
#include "blob/credential.h"
#include "blob/error.h"
#include "blob/url.h"
#include "http/message.h"
#include "proxy/accounts.h"

struct authorize_facts {
    const struct account *account;
    const struct http_request *request;
    const struct blob_url *url;
    const struct blob_class *class;
    const struct blob_headers *headers;
    const struct blob_credential *credential;
    uint32_t ipv4; /* the client's, in host order; 0: it has none */
    bool node;     /* another node of the pool asks */
    bool granted;  /* a member of the pool says so, whose request this is */
    int64_t now_s; /* wall clock */
};

struct permission {
    const struct blob_error *error; /* refused here; NULL: not */
    struct str detail;              /* what helps with the error: for its body; or a NULL str */
    bool vouched;                   /* allowed here: the origin need not be asked */
    bool overrides;                 /* a good token replaces reply headers (rscc …) */
    bool strip_token;               /* what is forwarded goes without the client's token */
    struct credential *signer;      /* signs what is forwarded; NULL: it goes as the client signed it */
    struct credential *own_signer;  /* signs requests of our own for the same blob; or NULL */
};

/* The detail lives in `arena` or as long as the program. */
void authorize(struct arena *arena, const struct authorize_facts *facts, struct permission *permission);

#endif
