/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what. A SAS is its `sig`, a bearer token its text, and both are what the control
 * interface has registered for a scope ("/a", "/a/c" or "/a/c/blob", matched by whole components; a
 * blob's scope is exact). An account that has been given its keys is strict: its Shared Key requests
 * and its SAS are verified (auth_key.h), and more of what Azure refuses is refused (strict.h). All
 * functions are [locked], see blob.h.
 */
#ifndef T_ORIGIN_AUTH_H
#define T_ORIGIN_AUTH_H

#include "http.h"

enum operation { OP_READ, OP_WRITE, OP_DELETE, OP_LIST };
enum grant_kind { GRANT_SAS, GRANT_TOKEN };

/* NULL: allowed. Otherwise the Azure error code to answer with. */
const char *auth_check(const struct request *req, enum operation op, const char *path);

bool auth_grant(enum grant_kind kind, const char *secret, const char *scope);
/* Removes the grants of that secret, only those of `scope` unless it is NULL; returns how many. */
int auth_revoke(enum grant_kind kind, const char *secret, const char *scope);

/* sharedkey: accept any Shared Key of that account (default). challenge: answer anonymous requests
   for private containers with 401 and a bearer challenge, as Azure does from x-ms-version
   2019-12-12 on, instead of 404 (default). */
bool auth_account(const char *name, bool sharedkey, bool challenge);

/* One more key (base64) of an account that is known. */
bool auth_account_key(const char *name, const char *key);

bool auth_strict(const char *path); /* whether the account that the path begins with has keys */

#endif
