/* SPDX-License-Identifier: Apache-2.0 */
/* token.c: texts of requests for tokens, and their replies. */
#include "origin/token.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>

#define METADATA_HOST "http://169.254.169.254"
#define AUTHORITY_HOST "https://login.microsoftonline.com"
#define STORAGE "https://storage.azure.com/"
/* Longer lives, or none, are somebody's mistake: ask again after a day. */
#define LIFE_MAX_S 86400
#define AADSTS_MAX 99999999

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? otherwise : value;
}

struct token_place token_place_of_environment(void)
{
    return (struct token_place){
        .metadata_host = from_environment("AZURE_POD_IDENTITY_AUTHORITY_HOST", METADATA_HOST),
        .authority_host = from_environment("AZURE_AUTHORITY_HOST", AUTHORITY_HOST),
        .client_id = from_environment("AZURE_CLIENT_ID", NULL),
        .tenant_id = from_environment("AZURE_TENANT_ID", NULL),
        .assertion_file = from_environment("AZURE_FEDERATED_TOKEN_FILE", NULL),
    };
}

/* Whether nobody on the way could listen: a token is as good as what it opens. */
static bool is_safe(const char *url)
{
    static const struct str near[] = {STR_INIT("http://127.0.0.1"), STR_INIT("http://localhost"),
                                      STR_INIT("http://[::1]"), STR_INIT(METADATA_HOST)};
    struct str text = str_from(url);
    if (str_istarts(text, STR("https://")))
        return true;
    if (str_find(text, '@') >= 0)
        return false; /* what is before it is a name and a password */
    for (unsigned i = 0; i < sizeof near / sizeof near[0]; i++) {
        if (!str_istarts(text, near[i]))
            continue;
        char next = text.ptr[near[i].len]; /* at most its NUL */
        if (next == '\0' || next == ':' || next == '/')
            return true;
    }
    return false;
}

enum status token_place_check_managed(const struct token_place *place, struct strbuf *error)
{
    if (is_safe(place->metadata_host))
        return STATUS_OK;
    strbuf_adds(error,
                STR("AZURE_POD_IDENTITY_AUTHORITY_HOST in the environment is neither https nor on this machine"));
    return STATUS_INVALID;
}

enum status token_place_check_workload(const struct token_place *place, struct strbuf *error)
{
    const char *missing = place->client_id == NULL        ? "AZURE_CLIENT_ID"
                          : place->tenant_id == NULL      ? "AZURE_TENANT_ID"
                          : place->assertion_file == NULL ? "AZURE_FEDERATED_TOKEN_FILE"
                                                          : NULL;
    if (missing != NULL) {
        strbuf_addf(error, "%s is not in the environment; the workload identity webhook sets it for labelled pods",
                    missing);
        return STATUS_INVALID;
    }
    if (is_safe(place->authority_host))
        return STATUS_OK;
    strbuf_adds(error, STR("AZURE_AUTHORITY_HOST in the environment is neither https nor on this machine"));
    return STATUS_INVALID;
}

/* ---- Requests ---- */

/* All but the unreserved characters of RFC 3986, 2.3. */
static void add_encoded(struct strbuf *out, struct str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char) text.ptr[i];
        bool plain =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || memchr("-._~", c, 4) != NULL;
        char coded[3] = {'%', hex[c >> 4], hex[c & 15]};
        strbuf_add(out, plain ? (const char *) &c : coded, plain ? 1 : 3);
    }
}

static struct str without_slash(const char *url)
{
    struct str text = str_from(url);
    while (text.len > 0 && text.ptr[text.len - 1] == '/')
        text.len--;
    return text;
}

void token_managed_url(const struct token_place *place, struct strbuf *url)
{
    strbuf_adds(url, without_slash(place->metadata_host));
    strbuf_adds(url, STR("/metadata/identity/oauth2/token?api-version=2018-02-01&resource="));
    add_encoded(url, STR(STORAGE));
    if (place->client_id != NULL) {
        strbuf_adds(url, STR("&client_id="));
        add_encoded(url, str_from(place->client_id));
    }
}

void token_workload_url(const struct token_place *place, struct strbuf *url)
{
    strbuf_adds(url, without_slash(place->authority_host));
    strbuf_adds(url, STR("/"));
    add_encoded(url, str_from(place->tenant_id));
    strbuf_adds(url, STR("/oauth2/v2.0/token"));
}

void token_workload_form(const struct token_place *place, struct str assertion, struct strbuf *form)
{
    strbuf_adds(form, STR("grant_type=client_credentials&scope="));
    add_encoded(form, STR(STORAGE ".default"));
    strbuf_adds(form, STR("&client_id="));
    add_encoded(form, str_from(place->client_id));
    strbuf_adds(form, STR("&client_assertion_type="));
    add_encoded(form, STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    strbuf_adds(form, STR("&client_assertion="));
    add_encoded(form, assertion);
}

/* ---- Replies ---- */

/* The metadata service gives numbers as strings. */
static bool number_of(const json_t *value, int64_t *number)
{
    if (json_is_integer(value)) {
        *number = json_integer_value(value);
        return true;
    }
    return json_is_string(value) &&
           str_to_int((struct str){json_string_value(value), json_string_length(value)}, number);
}

/* A code such as invalid_client, and Entra's number of what is wrong; anything else, which might be anything, is left
 * out. */
static void add_code(struct strbuf *problem, const json_t *reply)
{
    const char *code = json_string_value(json_object_get(reply, "error"));
    struct str text = str_from(code);
    bool plain = text.len > 0 && text.len <= 64;
    for (size_t i = 0; i < text.len && plain; i++)
        plain = (text.ptr[i] >= 'a' && text.ptr[i] <= 'z') || text.ptr[i] == '_';
    if (!plain)
        return;
    strbuf_addf(problem, " %s", code);
    const json_int_t number = json_integer_value(json_array_get(json_object_get(reply, "error_codes"), 0));
    if (number > 0 && number <= AADSTS_MAX)
        strbuf_addf(problem, " AADSTS%" JSON_INTEGER_FORMAT, number);
}

static enum status good_reply(const json_t *reply, int64_t now_s, struct strbuf *token, int64_t *expires_s)
{
    const json_t *text = json_object_get(reply, "access_token");
    int64_t life;
    if (!json_is_string(text) || json_string_length(text) == 0 || json_string_length(text) > TOKEN_BYTES_MAX)
        return STATUS_BAD_REPLY;
    const char *bytes = json_string_value(text);
    for (size_t i = 0; i < json_string_length(text); i++)
        if (bytes[i] <= ' ' || bytes[i] == 0x7f) /* it becomes a header field */
            return STATUS_BAD_REPLY;
    if (!number_of(json_object_get(reply, "expires_in"), &life)) {
        if (!number_of(json_object_get(reply, "expires_on"), &life))
            return STATUS_BAD_REPLY;
        life = life > now_s ? life - now_s : 0;
    }
    if (life <= 0)
        return STATUS_BAD_REPLY;
    *expires_s = now_s + (life < LIFE_MAX_S ? life : LIFE_MAX_S);
    strbuf_add(token, bytes, json_string_length(text));
    return STATUS_OK;
}

enum status token_reply(int status, struct str body, int64_t now_s, struct strbuf *token, int64_t *expires_s,
                        struct strbuf *problem)
{
    json_t *reply = json_loadb(body.ptr == NULL ? "" : body.ptr, body.len, 0, NULL);
    enum status result = STATUS_OK;
    if (status == 200) {
        result = good_reply(reply, now_s, token, expires_s);
        if (result != STATUS_OK)
            strbuf_adds(problem, STR("a reply without a token or its end"));
    } else {
        result = status == 400 || status == 401 || status == 403 ? STATUS_DENIED : STATUS_ORIGIN_ERROR;
        strbuf_addf(problem, "HTTP %d", status);
        add_code(problem, reply);
    }
    json_decref(reply);
    return result;
}
