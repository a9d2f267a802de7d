/* SPDX-License-Identifier: Apache-2.0 */
/* How tokens are asked for, and what replies are believed. */
#include "tap.h"

#include <stdlib.h>

#include "origin/token.h"

static void places(void)
{
    struct strbuf text = {0};
    setenv("AZURE_CLIENT_ID", "", 1);
    unsetenv("AZURE_TENANT_ID");
    unsetenv("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    setenv("AZURE_AUTHORITY_HOST", "https://login.example/", 1);
    struct token_place place = token_place_of_environment();
    ok(place.client_id == NULL && place.tenant_id == NULL, "empty is not given");
    token_managed_url(&place, &text);
    is_text(strbuf_str(&text),
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
            "&resource=https%3A%2F%2Fstorage.azure.com%2F",
            "the machine's own identity");
    place.client_id = "a b&c";
    text.len = 0;
    token_managed_url(&place, &text);
    ok(str_ends(strbuf_str(&text), STR("&client_id=a%20b%26c")), "one of several");
    place.tenant_id = "common/../x";
    text.len = 0;
    token_workload_url(&place, &text);
    is_text(strbuf_str(&text), "https://login.example/common%2F..%2Fx/oauth2/v2.0/token",
            "a tenant stays one component");
    text.len = 0;
    token_workload_form(&place, STR("e.y+/="), &text);
    is_text(strbuf_str(&text),
            "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default&client_id=a%20b%26c"
            "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
            "&client_assertion=e.y%2B%2F%3D",
            "the form");
    strbuf_free(&text);
}

static void checks(void)
{
    struct strbuf error = {0};
    struct token_place place = {"http://169.254.169.254", "https://login.example", "c", "t", "/f"};
    is_int(token_place_check_workload(&place, &error), STATUS_OK, "all is there");
    is_int(token_place_check_managed(&place, &error), STATUS_OK, "the metadata service has no TLS");
    place.tenant_id = NULL;
    is_int(token_place_check_workload(&place, &error), STATUS_INVALID, "no tenant");
    ok(strstr(error.ptr, "AZURE_TENANT_ID") != NULL, "%s", error.ptr);
    place.tenant_id = "t";
    static const char *const unsafe[] = {
        "http://login.example",        "http://127.0.0.1.evil",    "http://127.0.0.1@evil",   "ftp://x",
        "http://169.254.169.254.evil", "http://127.0.0.1:80@evil", "http://localhost:@evil/", ""};
    static const char *const safe[] = {"https://x", "http://127.0.0.1", "http://localhost:80/", "http://[::1]:1"};
    for (unsigned i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
        place.authority_host = place.metadata_host = unsafe[i];
        is_int(token_place_check_workload(&place, &error), STATUS_INVALID, "authority '%s'", unsafe[i]);
        is_int(token_place_check_managed(&place, &error), STATUS_INVALID, "metadata '%s'", unsafe[i]);
    }
    for (unsigned i = 0; i < sizeof safe / sizeof safe[0]; i++) {
        place.authority_host = safe[i];
        is_int(token_place_check_workload(&place, &error), STATUS_OK, "authority '%s'", safe[i]);
    }
    strbuf_free(&error);
}

#define NOW 1000000

static void replies(void)
{
    static const struct {
        const char *what, *body;
        int64_t expires_s;
    } good[] = {
        {"the metadata service's", "{\"access_token\":\"tok\",\"expires_in\":\"3600\",\"expires_on\":\"1\"}",
         NOW + 3600},
        {"Entra ID's", "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"tok\"}", NOW + 3599},
        {"with its end only", "{\"access_token\":\"tok\",\"expires_on\":\"1000060\"}", NOW + 60},
        {"one for a week is asked for again after a day", "{\"access_token\":\"tok\",\"expires_in\":604800}",
         NOW + 86400},
    };
    static const struct {
        const char *what, *body;
    } bad[] = {
        {"nothing", ""},
        {"no JSON", "<html>"},
        {"another type", "[]"},
        {"no token", "{\"expires_in\":3600}"},
        {"an empty token", "{\"access_token\":\"\",\"expires_in\":3600}"},
        {"a token that is none", "{\"access_token\":7,\"expires_in\":3600}"},
        {"a token that would end its line", "{\"access_token\":\"a\\r\\nX: y\",\"expires_in\":3600}"},
        {"no end", "{\"access_token\":\"tok\"}"},
        {"an end that is past", "{\"access_token\":\"tok\",\"expires_on\":\"999999\"}"},
        {"a life of nothing", "{\"access_token\":\"tok\",\"expires_in\":0}"},
        {"half of one", "{\"access_token\":\"tok\",\"expires_in\":36"},
    };
    struct strbuf token = {0}, problem = {0};
    int64_t expires_s;
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        token.len = 0;
        is_int(token_reply(200, str_from(good[i].body), NOW, &token, &expires_s, &problem), STATUS_OK, "%s",
               good[i].what);
        is_text(strbuf_str(&token), "tok", "the token");
        is_int(expires_s, good[i].expires_s, "its end");
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        token.len = problem.len = 0;
        is_int(token_reply(200, str_from(bad[i].body), NOW, &token, &expires_s, &problem), STATUS_BAD_REPLY, "%s",
               bad[i].what);
        ok(token.len == 0 && problem.len > 0, "no token, and why");
    }
    problem.len = 0;
    is_int(token_reply(400, STR("{\"error\":\"invalid_client\",\"error_description\":\"secret\"}"), NOW, &token,
                       &expires_s, &problem),
           STATUS_DENIED, "a refusal");
    is_text(strbuf_str(&problem), "HTTP 400 invalid_client", "in its code only");
    problem.len = 0;
    is_int(token_reply(401, STR("{\"error\":\"invalid_client\",\"error_codes\":[700213,1],\"trace_id\":\"secret\"}"),
                       NOW, &token, &expires_s, &problem),
           STATUS_DENIED, "a refusal of Entra's");
    is_text(strbuf_str(&problem), "HTTP 401 invalid_client AADSTS700213", "with its number");
    problem.len = 0;
    is_int(token_reply(400, STR("{\"error\":\"invalid_client\",\"error_codes\":[\"secret\"]}"), NOW, &token, &expires_s,
                       &problem),
           STATUS_DENIED, "a number that is none");
    is_text(strbuf_str(&problem), "HTTP 400 invalid_client", "is not repeated");
    problem.len = 0;
    is_int(token_reply(503, STR("{\"error\":\"Bearer eyJ0\"}"), NOW, &token, &expires_s, &problem), STATUS_ORIGIN_ERROR,
           "a failure");
    is_text(strbuf_str(&problem), "HTTP 503", "whose code is none is not repeated");
    strbuf_free(&token);
    strbuf_free(&problem);
}

int main(void)
{
    places();
    checks();
    replies();
    return done_testing();
}
