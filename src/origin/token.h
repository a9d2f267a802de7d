/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h: how a token for Azure Storage is asked for, and what comes back. Two ways: the instance metadata service of
 * the machine (Azure: managed identities, how to use on a VM), and Microsoft Entra ID with the token that Kubernetes
 * projects for a service account (Azure: workload identity federation; RFC 7523, 2.2). Pure; any thread.
 *
 * The environment says who we are, by the names that Azure's SDKs and the workload identity webhook use.
 */
#ifndef HEADPOND_ORIGIN_TOKEN_H
#define HEADPOND_ORIGIN_TOKEN_H

#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

#define TOKEN_BYTES_MAX 16384

/* From the environment; texts are the environment's own. */
struct token_place {
    const char *metadata_host;  /* AZURE_POD_IDENTITY_AUTHORITY_HOST, else http://169.254.169.254 */
    const char *authority_host; /* AZURE_AUTHORITY_HOST, else https://login.microsoftonline.com */
    const char *client_id;      /* AZURE_CLIENT_ID: of a user-assigned identity or an application; or NULL */
    const char *tenant_id;      /* AZURE_TENANT_ID or NULL */
    const char *assertion_file; /* AZURE_FEDERATED_TOKEN_FILE or NULL */
};

struct token_place token_place_of_environment(void);
/* What is missing or unsafe for a workload identity, a line in *error: INVALID. */
enum status token_place_check_workload(const struct token_place *place, struct strbuf *error) STATUS_CHECKED;
/* The same for a managed one. */
enum status token_place_check_managed(const struct token_place *place, struct strbuf *error) STATUS_CHECKED;

/* The URL of a GET with the field "Metadata: true". */
void token_managed_url(const struct token_place *place, struct strbuf *url);
/* The URL of a POST, and its form; `assertion` is the file's text. The form is secret. */
void token_workload_url(const struct token_place *place, struct strbuf *url);
void token_workload_form(const struct token_place *place, struct str assertion, struct strbuf *form);

/* Reads the reply. OK: *token is appended to, *expires_s is wall clock. BAD_REPLY: a 200 that is none; DENIED: 400, 401
 * or 403: asking again soon will not help; ORIGIN_ERROR: all else. For these *problem gets the error's code and
 * number as the reply gives them, or what is wrong, never a token. */
enum status token_reply(int status, struct str body, int64_t now_s, struct strbuf *token, int64_t *expires_s,
                        struct strbuf *problem) STATUS_CHECKED;

#endif
