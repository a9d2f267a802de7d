/* SPDX-License-Identifier: Apache-2.0 */
/* signing.c: the kept request, its latest signed form, and the wait for a credential. */
#include "origin/signing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "origin/credential.h"
#include "origin/sign.h"

struct origin_signing {
    struct arena *kept;
    struct origin_request request; /* in `kept` */
    struct http_headers given;
    struct arena *arena; /* of the latest form */
    struct http_headers headers;
    struct credential_wait *wait;
};

struct origin_signing *origin_signing_new(const struct origin_request *request)
{
    struct arena *kept = arena_new();
    struct origin_signing *signing = arena_calloc(kept, sizeof *signing);
    signing->kept = kept;
    signing->request = *request;
    signing->request.method = arena_str(kept, request->method);
    signing->request.target = arena_str(kept, request->target);
    signing->request.account = arena_str(kept, str_from(request->account)).ptr;
    signing->request.base = arena_str(kept, str_from(request->base)).ptr;
    signing->request.ca_file = NULL; /* the connection's, not the signature's */
    if (request->headers != NULL)
        http_headers_copy(&signing->given, request->headers, kept);
    signing->request.headers = &signing->given;
    return signing;
}

void origin_signing_free(struct origin_signing **signing)
{
    struct origin_signing *gone = *signing;
    *signing = NULL;
    if (gone == NULL)
        return;
    credential_wait_cancel(&gone->wait);
    arena_free(gone->arena);
    arena_free(gone->kept);
}

void origin_signing_stop(struct origin_signing *signing)
{
    if (signing != NULL)
        credential_wait_cancel(&signing->wait);
}

enum status origin_signing_next(struct origin_signing *signing, struct loop *loop, void (*ready)(void *arg), void *arg,
                                struct origin_request *request)
{
    arena_free(signing->arena);
    signing->arena = arena_new();
    signing->headers = (struct http_headers){.arena = signing->arena};
    signing->wait = NULL; /* this is what it waited for */
    *request = signing->request;
    enum status status =
        origin_sign(signing->request.signer, &signing->request, clock_wall_s(), &signing->headers, &request->target);
    request->headers = &signing->headers;
    if (status != STATUS_AGAIN)
        return status;
    signing->wait = credential_wait(signing->request.signer, loop, ready, arg);
    return signing->wait != NULL ? STATUS_AGAIN : STATUS_NO_CREDENTIAL;
}
