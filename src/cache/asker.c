/* SPDX-License-Identifier: Apache-2.0 */
/* asker.c: one allocation: the request, then its texts. */
#include "cache/asker.h"

#include <openssl/crypto.h>

#include "base/mem.h"

/* Moves the text behind the asker. */
static void take_text(char **at, struct str *text)
{
    if (text->len > 0)
        memcpy(*at, text->ptr, text->len);
    if (text->ptr != NULL)
        text->ptr = *at;
    *at += text->len;
}

struct asker *asker_new(const struct cache_request *request)
{
    size_t size = sizeof(struct asker) + request->target.len + request->authorization.len + request->own_target.len +
                  request->id.len + request->pin.len;
    struct asker *asker = mem_alloc(size);
    char *at = (char *) (asker + 1);

    atomic_init(&asker->refs, 1);
    asker->size = size;
    asker->request = *request;
    take_text(&at, &asker->request.target);
    take_text(&at, &asker->request.authorization);
    take_text(&at, &asker->request.own_target);
    take_text(&at, &asker->request.id);
    take_text(&at, &asker->request.pin);
    return asker;
}

struct asker *asker_ref(struct asker *asker)
{
    atomic_fetch_add_explicit(&asker->refs, 1, memory_order_relaxed);
    return asker;
}

void asker_unref(struct asker **asker)
{
    struct asker *gone = *asker;
    *asker = NULL;
    if (gone == NULL || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    OPENSSL_cleanse(gone, gone->size);
    mem_free(gone);
}

bool asker_same_credential(const struct cache_request *a, const struct cache_request *b)
{
    return digest_eq(&a->credential, &b->credential) && hash128_eq(a->scope, b->scope);
}
