/* SPDX-License-Identifier: Apache-2.0 */
/* credential.c: anonymous, SAS, bearer or Shared Key, from what a request shows. */
#include "blob/credential.h"

#include <jansson.h>
#include <stdbool.h>

#include "base/base64.h"
#include "base/hash.h"

#define TOKEN_MAX (16u * 1024) /* an Entra ID token is 1 to 3 KiB */

/* The exp claim of what may be a JWT (RFC 7519, 4.1.4); INT64_MAX when there is none to be had. */
static int64_t token_expiry(struct arena *arena, struct str token)
{
    struct str payload, signature;
    str_split(token, '.', &payload);
    if (token.len > TOKEN_MAX || payload.ptr == NULL)
        return INT64_MAX;
    payload = str_split(payload, '.', &signature);
    if (signature.ptr == NULL)
        return INT64_MAX;
    size_t room = payload.len / 4 * 3 + 3;
    char *text = arena_alloc(arena, room);
    ptrdiff_t len = base64_decode_url(payload, (uint8_t *) text, room);
    if (len <= 0)
        return INT64_MAX;
    json_t *claims = json_loadb(text, (size_t) len, 0, NULL);
    json_t *exp = json_object_get(claims, "exp");
    int64_t seconds = INT64_MAX;
    if (json_is_integer(exp))
        seconds = json_integer_value(exp);
    else if (json_is_real(exp) && json_real_value(exp) < 1e15)
        seconds = json_real_value(exp) > 0 ? (int64_t) json_real_value(exp) : 0;
    json_decref(claims);
    return seconds;
}

/* The same tokens come again and again, and to decode one costs more than all else here: each thread remembers a few by
 * their hash. A collision could only lend a wrong end to a token's trust. */
static int64_t remembered_expiry(struct arena *arena, struct str token)
{
    static _Thread_local struct {
        struct hash128 token;
        int64_t expires_s;
        bool used;
    } memory[64];
    struct hash128 hash = hash128(token.ptr, token.len);
    unsigned at = (unsigned) (hash.lo % 64);
    if (!memory[at].used || !hash128_eq(memory[at].token, hash)) {
        memory[at].expires_s = token_expiry(arena, token);
        memory[at].token = hash;
        memory[at].used = true;
    }
    return memory[at].expires_s;
}

static struct str bearer_text(struct arena *arena, struct str token)
{
    static const char mark[] = "bearer\n";
    char *text = arena_alloc(arena, sizeof mark - 1 + token.len);
    memcpy(mempcpy(text, mark, sizeof mark - 1), token.ptr, token.len);
    return (struct str){text, sizeof mark - 1 + token.len};
}

static void unknown(struct blob_credential *credential, const char *reason)
{
    credential->kind = BLOB_CREDENTIAL_UNKNOWN;
    credential->reason = reason;
    credential->text = STR("");
}

static void of_authorization(struct arena *arena, struct blob_credential *credential)
{
    struct str rest, scheme = str_split(str_trim(credential->authorization), ' ', &rest);
    rest = str_trim(rest);
    if (str_ieq(scheme, STR("SharedKeyLite"))) {
        unknown(credential, "shared-key-lite");
    } else if (str_ieq(scheme, STR("SharedKey"))) {
        credential->kind = BLOB_CREDENTIAL_SHAREDKEY;
        credential->reason = "shared-key";
    } else if (str_ieq(scheme, STR("Bearer")) && rest.len > 0) {
        credential->kind = BLOB_CREDENTIAL_BEARER;
        credential->expires_s = remembered_expiry(arena, rest);
        credential->text = bearer_text(arena, rest);
    } else {
        unknown(credential, "authorization");
    }
}

/* A token's parameters. Without its signature the origin may make anything of them, which is then not for all those who
 * have the same credential, or none. */
static bool has_sas_parameter(const struct blob_query *query)
{
    for (unsigned id = 0; id <= BLOB_PARAM_LAST_SAS; id++)
        if (query->first[id] != 0)
            return true;
    return false;
}

void blob_credential_of(struct arena *arena, const struct blob_headers *headers, const struct blob_query *query,
                        struct blob_credential *credential)
{
    *credential = (struct blob_credential){
        .kind = BLOB_CREDENTIAL_ANONYMOUS,
        .text = STR(""),
        .authorization = blob_header(headers, STR("Authorization")),
        .expires_s = INT64_MAX,
    };
    bool sas = sas_parse(arena, query, &credential->sas), broken = !sas && has_sas_parameter(query);
    if (credential->authorization.ptr != NULL) {
        if (sas)
            unknown(credential, "two-credentials"); /* which one counts is the origin's to say */
        else if (headers->get(headers->from, STR("Authorization"), 1).ptr != NULL)
            unknown(credential, "two-credentials");
        else
            of_authorization(arena, credential);
        if (broken && credential->kind == BLOB_CREDENTIAL_BEARER)
            unknown(credential, "sas-unsigned");
        return;
    }
    if (broken)
        unknown(credential, "sas-unsigned");
    if (!sas)
        return;
    credential->kind = BLOB_CREDENTIAL_SAS;
    credential->expires_s = credential->sas.expires_s;
    credential->reason = credential->sas.bypass;
    credential->text = credential->sas.text;
}
