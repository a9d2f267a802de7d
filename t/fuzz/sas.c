/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sas.c: shared access signatures. Lines: a path, a query. A token's text does not depend on its spelling or order, a
 * wrong signature is never good, and a right one is, until something that it signs changes.
 */
#include "blob/sas_verify.h"
#include "http/target.h"
#include "fuzz.h"

static const struct blob_accounts accounts = {.any = true};
static const struct account_keys keys = {.count = 1, .key = {{.bytes = "not a secret, a fuzzer's key", .size = 28}}};

#define AUTHORITY STR("account1.blob.example")

static bool parse(struct arena *arena, struct str target, struct blob_url *url, struct sas *sas)
{
    return blob_url_parse(arena, fuzz_exact(arena, target), AUTHORITY, &accounts, url) == STATUS_OK &&
           sas_parse(arena, &url->query, sas);
}

static void check_shape(const struct sas *sas, const struct blob_url *url)
{
    struct str directory = sas_directory(url->blob, sas->depth);
    fuzz_check(str_starts(sas->text, STR("sas\n")));
    fuzz_check(sas_trusted_scope(sas, false) <= sas_trusted_scope(sas, true));
    fuzz_check(sas_trusted_scope(sas, true) <= sas->scope);
    fuzz_check(sas->kind != SAS_USER_DELEGATION || sas_trusted_scope(sas, false) <= SAS_SCOPE_BLOB);
    fuzz_check(sas->scope != SAS_SCOPE_DIRECTORY || sas->depth > 0 || sas->bypass != NULL);
    fuzz_check(directory.ptr == NULL || (directory.len < url->blob.len && url->blob.ptr[directory.len] == '/'));
    fuzz_check(sas_use(sas, sas->expires_s, true, 1) == SAS_USE_TIME);
    fuzz_check(!sas->https_only || sas_use(sas, 0, false, 1) != SAS_USE_GOOD);
}

/* The same parameters, percent-encoded and from last to first; a repeated one is known by its first. */
static void otherwise_spelled(struct arena *arena, const struct blob_url *url, const struct sas *sas)
{
    struct strbuf text = {0};
    struct blob_query query;
    struct sas again;
    for (unsigned i = url->query.count; i-- > 0;) {
        const struct blob_param *param = &url->query.items[i];
        for (size_t k = 0; k < param->name.len; k++)
            strbuf_addf(&text, "%%%02x", (unsigned char) param->name.ptr[k]);
        strbuf_adds(&text, STR("="));
        for (size_t k = 0; k < param->value.len; k++)
            strbuf_addf(&text, "%%%02X", (unsigned char) param->value.ptr[k]);
        strbuf_adds(&text, i == 0 ? STR("") : STR("&"));
    }
    fuzz_check(blob_query_parse(arena, strbuf_str(&text), &query) == STATUS_OK);
    fuzz_check(sas_parse(arena, &query, &again));
    if (!url->query.repeated) {
        fuzz_check(str_eq(sas->text, again.text) && sas->kind == again.kind && sas->scope == again.scope);
        fuzz_check(sas->bypass == again.bypass && sas->expires_s == again.expires_s && sas->read == again.read);
    }
    strbuf_free(&text);
}

static void add_lines(struct strbuf *text, const struct blob_query *query, const char *names)
{
    struct str rest = str_from(names);
    while (rest.ptr != NULL) {
        strbuf_adds(text, blob_query_value(query, blob_param_id(str_split(rest, ' ', &rest))));
        strbuf_adds(text, STR("\n"));
    }
}

/* What a token of the newest versions signs, as the service's pages write it. */
static struct strbuf string_to_sign(const struct blob_url *url, const struct sas *sas)
{
    const struct blob_query *query = &url->query;
    struct strbuf text = {0};
    if (sas->kind == SAS_ACCOUNT) {
        strbuf_addf(&text, "%.*s\n", STR_ARG(url->account));
        add_lines(&text, query, "sp ss srt st se sip spr sv ses");
        return text;
    }
    add_lines(&text, query, "sp st se");
    strbuf_addf(&text, "/blob/%.*s/%.*s", STR_ARG(url->account), STR_ARG(url->container));
    if (sas->scope == SAS_SCOPE_BLOB)
        strbuf_addf(&text, "/%.*s", STR_ARG(url->blob));
    strbuf_adds(&text, STR("\n"));
    add_lines(&text, query, "si sip spr sv sr");
    strbuf_adds(&text, STR("\n")); /* no snapshot */
    add_lines(&text, query, "ses rscc rscd rsce rscl rsct");
    text.len--;
    return text;
}

/* The target with that signature in place of its own, and `extra` behind. */
static enum sas_verdict judge(struct arena *arena, const struct blob_url *url, struct str signature, const char *extra)
{
    struct strbuf text = {0};
    struct blob_url again;
    struct sas sas;
    strbuf_adds(&text, url->path);
    strbuf_adds(&text, STR("?sig="));
    for (size_t i = 0; i < signature.len; i++)
        strbuf_addf(&text, "%%%02x", (unsigned char) signature.ptr[i]);
    for (unsigned i = 0; i < url->query.count; i++) {
        if (url->query.items[i].id == BLOB_PARAM_SIG)
            continue;
        strbuf_adds(&text, STR("&"));
        strbuf_adds(&text, url->query.items[i].raw);
    }
    strbuf_adds(&text, str_from(extra));
    fuzz_check(parse(arena, strbuf_str(&text), &again, &sas));
    strbuf_free(&text);
    return sas_verify(&sas, &again, &keys);
}

static void signed_by_us(struct arena *arena, const struct blob_url *url, const struct sas *sas)
{
    struct str version = blob_query_value(&url->query, BLOB_PARAM_SV);
    bool snapshot = url->query.first[BLOB_PARAM_SNAPSHOT] != 0 || url->query.first[BLOB_PARAM_VERSIONID] != 0;
    bool plain = sas->kind == SAS_ACCOUNT || sas->scope == SAS_SCOPE_CONTAINER ||
                 (sas->scope == SAS_SCOPE_BLOB && url->level == BLOB_LEVEL_BLOB);
    if (str_cmp(version, STR("2020-12-06")) < 0 || snapshot || !plain || sas->depth > 0 ||
        url->query.count > BLOB_QUERY_MAX - 4)
        return;
    struct strbuf text = string_to_sign(url, sas);
    char bytes[ACCOUNT_KEY_SIGNATURE];
    account_key_sign(&keys.key[0], strbuf_str(&text), bytes);
    struct str signature = {bytes, sizeof bytes};
    enum sas_verdict verdict = judge(arena, url, signature, "");
    fuzz_check(verdict == SAS_GOOD || verdict == SAS_UNJUDGED);
    fuzz_check(verdict == SAS_GOOD || sas_verify(sas, url, &keys) == SAS_UNJUDGED);
    /* Nothing may be added to it. */
    fuzz_check(url->query.first[BLOB_PARAM_SP] != 0 || judge(arena, url, signature, "&sp=rw") != SAS_GOOD);
    fuzz_check(url->query.first[BLOB_PARAM_SE] != 0 || judge(arena, url, signature, "&se=2999-01-01") != SAS_GOOD);
    fuzz_check(url->query.first[BLOB_PARAM_RSCT] != 0 || judge(arena, url, signature, "&rsct=a/b") != SAS_GOOD);
    fuzz_check(url->query.first[BLOB_PARAM_SP] == 0 || judge(arena, url, signature, "&sp=rwd") != SAS_GOOD);
    bytes[0] = bytes[0] == 'A' ? 'B' : 'A';
    fuzz_check(judge(arena, url, signature, "") != SAS_GOOD);
    strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), path = fuzz_line(arena, &rest), query = fuzz_line(arena, &rest);
    struct str target = arena_printf(arena, "%.*s?%.*s", STR_ARG(path), STR_ARG(query));
    struct http_request request = {.method_text = STR("GET"), .headers.arena = arena};
    struct blob_url url;
    struct sas sas;
    if (target_parse(&request, target) == STATUS_OK && parse(arena, request.target, &url, &sas)) {
        check_shape(&sas, &url);
        otherwise_spelled(arena, &url, &sas);
        fuzz_check(sas_verify(&sas, &url, &keys) != SAS_GOOD);
        signed_by_us(arena, &url, &sas);
    }
    arena_free(arena);
    return 0;
}
