/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an account's key vouches for: Shared Key requests and account-key SAS, checked as Azure
 * documents them ("Authorize with Shared Key", "Create a service SAS", "Create an account SAS").
 * Written from those pages alone and sharing nothing with src/blob: two programs that read the
 * pages differently are to be noticed. All functions are [locked], see blob.h.
 */
#ifndef T_ORIGIN_AUTH_KEY_H
#define T_ORIGIN_AUTH_KEY_H

#include "auth.h"

#define AUTH_KEY_SIZE 128

/* The primary key and the secondary. */
struct account_keys {
    unsigned char bytes[2][AUTH_KEY_SIZE];
    size_t len[2];
    int count;
};

/* One more key, in base64; false: it is none, or there are two already. */
bool auth_key_add(struct account_keys *keys, const char *base64);

/* Whether base64 text `signature` is that of `text` under one of the keys. */
bool auth_key_signed(const struct account_keys *keys, const char *text, const char *signature);

/* The Azure error code for a request with "Authorization: SharedKey CREDENTIAL", or NULL. */
const char *auth_key_shared(const struct request *req, const struct account_keys *keys, const char *account,
                            const char *credential);

/* The same for one with an account-key SAS; `path` is the resource asked for. */
const char *auth_key_sas(const struct request *req, const struct account_keys *keys, const char *account,
                         enum operation op, const char *path);

#endif
