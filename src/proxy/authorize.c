/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authorize.c: the three ways. (Azure: authorize with Shared Key; create a service SAS; Blob service error codes.)
 *
 * A signature that is good by the account's key vouches for reads only where the token says so; everything else that a
 * token may permit is the origin's to judge, who gets the request as it came.
 */
#include "proxy/authorize.h"

#include "base/date.h"
#include "blob/sas_verify.h"
#include "blob/sharedkey.h"

static const struct blob_error error_protocol = {
    403, "AuthorizationProtocolMismatch",
    "This request is not authorized to perform this operation using this protocol."};
static const struct blob_error error_address = {
    403, "AuthorizationSourceIPMismatch",
    "This request is not authorized to perform this operation using this source IP."};
static const struct blob_error error_permission = {
    403, "AuthorizationPermissionMismatch",
    "This request is not authorized to perform this operation using this permission."};
static const struct blob_error error_service = {
    403, "AuthorizationServiceMismatch",
    "This request is not authorized to perform this operation using this service."};
static const struct blob_error error_resource_type = {
    403, "AuthorizationResourceTypeMismatch",
    "This request is not authorized to perform this operation using this resource type."};
static const struct blob_error error_format = {
    400, "InvalidAuthenticationInfo",
    "Authentication information is not given in the correct format. Check the value of Authorization header."};

static void refuse(struct permission *permission, const struct blob_error *error, struct str detail)
{
    permission->error = error;
    permission->detail = detail;
}

/* ---- Shared Key ---- */

static void by_shared_key(struct arena *arena, const struct authorize_facts *facts, const struct account_keys *keys,
                          struct permission *permission)
{
    const struct http_request *head = facts->request;
    struct str path = str_split(head->target, '?', &(struct str){NULL, 0});
    struct sharedkey_request request = {
        .method = head->method_text,
        .account = facts->account->plain,
        .path = path,
        .query = &facts->url->query,
        .headers = facts->headers,
        .content_length = head->content_length,
    };
    switch (sharedkey_verify(arena, &request, keys, facts->credential->authorization, facts->now_s)) {
    case SHAREDKEY_GOOD:
        permission->vouched = true;
        permission->signer = facts->account->keys;
        break;
    case SHAREDKEY_MALFORMED:
        refuse(permission, &error_format, STR_NULL);
        break;
    case SHAREDKEY_OTHER_ACCOUNT:
        refuse(permission, &BLOB_ERROR_AUTHENTICATION_FAILED,
               arena_printf(arena, "The request is signed for another account than %.*s, which its URL names.",
                            STR_ARG(facts->account->plain)));
        break;
    case SHAREDKEY_NO_DATE:
        refuse(permission, &BLOB_ERROR_AUTHENTICATION_FAILED,
               STR("The request has no x-ms-date or Date header, or one that is no date."));
        break;
    case SHAREDKEY_SKEWED:
        refuse(permission, &BLOB_ERROR_AUTHENTICATION_FAILED,
               STR("The request's date is more than 15 minutes from the time here: check the clocks of both."));
        break;
    case SHAREDKEY_MISMATCH:
        refuse(permission, &BLOB_ERROR_AUTHENTICATION_FAILED,
               STR("The MAC signature found in the HTTP request is not the same as any computed signature."));
        break;
    }
}

/* ---- SAS ---- */

static struct str moment(struct arena *arena, int64_t seconds)
{
    char *text = arena_alloc(arena, DATE_ISO_LENGTH + 1);
    date_iso_format(seconds, text);
    return (struct str){text, DATE_ISO_LENGTH};
}

static struct str time_frame(struct arena *arena, const struct sas *sas, int64_t now_s)
{
    struct str starts = sas->starts_s == INT64_MIN ? STR("") : moment(arena, sas->starts_s);
    return arena_printf(
        arena, "Signature not valid in the specified time frame: Start [%.*s] - Expiry [%.*s] - Current [%.*s]",
        STR_ARG(starts), STR_ARG(moment(arena, sas->expires_s)), STR_ARG(moment(arena, now_s)));
}

/* What an account's token is for; NULL: for reading blobs, too. */
static const struct blob_error *wrong_kind(const struct sas *sas, const struct blob_query *query)
{
    if (sas->kind != SAS_ACCOUNT)
        return NULL;
    if (str_find(blob_query_value(query, BLOB_PARAM_SS), 'b') < 0)
        return &error_service;
    return str_find(blob_query_value(query, BLOB_PARAM_SRT), 'o') < 0 ? &error_resource_type : NULL;
}

/* A token whose signature is good, on a read of a blob. */
static void by_good_sas(struct arena *arena, const struct authorize_facts *facts, struct permission *permission)
{
    const struct sas *sas = &facts->credential->sas;
    const struct blob_error *error = wrong_kind(sas, &facts->url->query);
    enum sas_use use = sas_use(sas, facts->now_s, facts->request->tls, facts->ipv4);
    if (use == SAS_USE_TIME)
        refuse(permission, &BLOB_ERROR_AUTHENTICATION_FAILED, time_frame(arena, sas, facts->now_s));
    else if (use == SAS_USE_PROTOCOL)
        refuse(permission, &error_protocol, STR_NULL);
    else if (use == SAS_USE_ADDRESS)
        refuse(permission, &error_address, STR_NULL);
    else if (error != NULL)
        refuse(permission, error, STR_NULL);
    else if (!sas->read)
        refuse(permission, &error_permission, STR_NULL);
    permission->vouched = permission->error == NULL;
    permission->overrides = permission->vouched && sas->overrides && facts->url->endpoint == BLOB_ENDPOINT_BLOB;
}

static void by_sas(struct arena *arena, const struct authorize_facts *facts, const struct account_keys *keys,
                   struct permission *permission)
{
    switch (sas_verify(&facts->credential->sas, facts->url, keys)) {
    case SAS_GOOD:
        if (facts->class->action == BLOB_ACTION_READ)
            by_good_sas(arena, facts, permission);
        break;
    case SAS_MISMATCH:
        refuse(permission, &BLOB_ERROR_AUTHENTICATION_FAILED, STR("Signature did not match."));
        break;
    case SAS_UNJUDGED:
        break;
    }
}

/* ---- Which way ---- */

static void by_key(struct arena *arena, const struct authorize_facts *facts, struct permission *permission)
{
    const struct credential_value *value = credential_now(facts->account->keys, facts->now_s);
    if (value == NULL)
        return;
    if (facts->credential->kind == BLOB_CREDENTIAL_SHAREDKEY)
        by_shared_key(arena, facts, &value->keys, permission);
    else if (facts->credential->kind == BLOB_CREDENTIAL_SAS)
        by_sas(arena, facts, &value->keys, permission);
    if (permission->vouched && permission->own_signer == NULL)
        permission->own_signer = facts->account->keys;
}

/* It has come without what the client showed, which was good by the key that the member has, too. */
static void by_member(const struct authorize_facts *facts, struct permission *permission)
{
    permission->vouched = credential_now(facts->account->keys, facts->now_s) != NULL;
    if (permission->vouched)
        permission->own_signer = facts->account->keys;
}

static void by_nobody(const struct authorize_facts *facts, struct permission *permission)
{
    /* Whoever reaches the listeners may read, and those are on loopback; a node's address is not. */
    permission->vouched = http_method_reads(facts->request->method) && (!facts->node || facts->granted);
    permission->signer = permission->vouched ? facts->account->identity : NULL;
    permission->strip_token = permission->signer != NULL;
}

void authorize(struct arena *arena, const struct authorize_facts *facts, struct permission *permission)
{
    *permission = (struct permission){.own_signer = facts->account->identity};
    if (str_eq(facts->request->method_text, STR("OPTIONS")))
        return; /* a preflight is nobody's (Azure: CORS support) */
    switch (facts->account->row->authorize) {
    case CONF_AUTHORIZE_ORIGIN:
        break;
    case CONF_AUTHORIZE_KEY:
        if (facts->granted && facts->credential->kind == BLOB_CREDENTIAL_ANONYMOUS)
            by_member(facts, permission);
        else
            by_key(arena, facts, permission);
        break;
    case CONF_AUTHORIZE_NONE:
        by_nobody(facts, permission);
        break;
    }
    /* Forwarded over https it would be a promise broken for the token's giver. */
    if (permission->error == NULL && !permission->vouched && facts->credential->kind == BLOB_CREDENTIAL_SAS &&
        facts->credential->sas.https_only && !facts->request->tls)
        refuse(permission, &error_protocol, STR_NULL);
}
