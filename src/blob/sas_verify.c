/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sas_verify.c: the strings that account-key tokens sign, by version.
 *
 *   account:  account sp ss srt st se sip spr sv [ses], each with a line's end
 *   service:  sp st se resource si sip spr sv [sr snapshot] [ses] rscc rscd rsce rscl rsct, line's ends in between
 *
 * sr and snapshot since 2018-11-09, ses since 2020-12-06. Before 2015-04-05 there were other strings. The resource is
 * "/blob/account/container[/blob]", decoded, whatever the URL's style.
 */
#include "blob/sas_verify.h"

/* The newest version that was looked at when this was written: a later one may sign more. */
#define NEWEST_KNOWN "2026-04-06"

static void add_line(struct strbuf *text, const struct blob_query *query, enum blob_param_id id)
{
    strbuf_adds(text, blob_query_value(query, id));
    strbuf_adds(text, STR("\n"));
}

static void account_string(struct strbuf *text, const struct blob_url *url, struct str version)
{
    static const enum blob_param_id rows[] = {BLOB_PARAM_SP, BLOB_PARAM_SS,  BLOB_PARAM_SRT, BLOB_PARAM_ST,
                                              BLOB_PARAM_SE, BLOB_PARAM_SIP, BLOB_PARAM_SPR, BLOB_PARAM_SV};
    strbuf_adds(text, url->account);
    strbuf_adds(text, STR("\n"));
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        add_line(text, &url->query, rows[i]);
    if (blob_version_since(version, "2020-12-06"))
        add_line(text, &url->query, BLOB_PARAM_SES);
}

/* False: the request's URL is not one that the token could be for. */
static bool add_resource(struct strbuf *text, const struct sas *sas, const struct blob_url *url)
{
    struct str directory = STR_NULL;
    strbuf_adds(text, STR("/blob/"));
    strbuf_adds(text, url->account);
    strbuf_adds(text, STR("/"));
    strbuf_adds(text, url->container);
    switch (sas->scope) {
    case SAS_SCOPE_SNAPSHOT:
    case SAS_SCOPE_BLOB:
        directory = url->blob;
        break;
    case SAS_SCOPE_DIRECTORY:
        directory = sas_directory(url->blob, sas->depth);
        break;
    case SAS_SCOPE_CONTAINER:
    case SAS_SCOPE_ACCOUNT:
        return true;
    }
    strbuf_adds(text, STR("/"));
    strbuf_adds(text, directory);
    return directory.len > 0;
}

static bool service_string(struct strbuf *text, const struct sas *sas, const struct blob_url *url, struct str version)
{
    static const enum blob_param_id first[] = {BLOB_PARAM_SP, BLOB_PARAM_ST, BLOB_PARAM_SE};
    static const enum blob_param_id middle[] = {BLOB_PARAM_SI, BLOB_PARAM_SIP, BLOB_PARAM_SPR, BLOB_PARAM_SV};
    static const enum blob_param_id last[] = {BLOB_PARAM_RSCC, BLOB_PARAM_RSCD, BLOB_PARAM_RSCE, BLOB_PARAM_RSCL};
    const struct blob_query *query = &url->query;
    for (unsigned i = 0; i < sizeof first / sizeof first[0]; i++)
        add_line(text, query, first[i]);
    bool fits = add_resource(text, sas, url);
    strbuf_adds(text, STR("\n"));
    for (unsigned i = 0; i < sizeof middle / sizeof middle[0]; i++)
        add_line(text, query, middle[i]);
    if (blob_version_since(version, "2018-11-09")) {
        add_line(text, query, BLOB_PARAM_SR);
        if (sas->scope == SAS_SCOPE_SNAPSHOT)
            strbuf_adds(text, blob_query_value(query, query->first[BLOB_PARAM_SNAPSHOT] != 0 ? BLOB_PARAM_SNAPSHOT
                                                                                             : BLOB_PARAM_VERSIONID));
        strbuf_adds(text, STR("\n"));
    }
    if (blob_version_since(version, "2020-12-06"))
        add_line(text, query, BLOB_PARAM_SES);
    for (unsigned i = 0; i < sizeof last / sizeof last[0]; i++)
        add_line(text, query, last[i]);
    strbuf_adds(text, blob_query_value(query, BLOB_PARAM_RSCT));
    return fits;
}

/* Before its version the kind of a resource was neither known nor signed: whoever has an older token could change it.
 * (Azure: create a service SAS.) */
static bool resource_is_signed(struct str resource, struct str version)
{
    static const struct {
        struct str resource;
        const char *first;
    } rows[] = {{STR_INIT("bs"), "2018-11-09"}, {STR_INIT("bv"), "2019-12-12"}, {STR_INIT("d"), "2020-02-10"}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (str_eq(resource, rows[i].resource))
            return blob_version_since(version, rows[i].first);
    return true;
}

/* Whether a key alone can tell. */
static bool judged(const struct sas *sas, const struct blob_query *query, struct str version)
{
    if (sas->kind == SAS_USER_DELEGATION || sas->bypass != NULL || query->repeated)
        return false;
    if (blob_query_value(query, BLOB_PARAM_SI).ptr != NULL || !blob_version_since(version, "2015-04-05"))
        return false;
    struct str resource = blob_query_value(query, BLOB_PARAM_SR);
    if (sas->kind == SAS_SERVICE && !resource_is_signed(resource, version))
        return false;
    if (str_eq(resource, STR("d")) && sas->scope == SAS_SCOPE_CONTAINER)
        return false; /* the root directory: how that is written is not documented */
    if (sas->kind == SAS_ACCOUNT && sas->overrides)
        return false; /* which it does not sign */
    bool snapshot = query->first[BLOB_PARAM_SNAPSHOT] != 0, versionid = query->first[BLOB_PARAM_VERSIONID] != 0;
    if (sas->scope == SAS_SCOPE_SNAPSHOT) /* what is signed is a moment, not whether a snapshot or a version is of it */
        return str_eq(resource, STR("bs")) ? snapshot && !versionid : versionid && !snapshot;
    /* Whether a token for a blob is one for its snapshots is the service's to say. */
    return !blob_query_names_version(query) || sas->scope == SAS_SCOPE_CONTAINER || sas->scope == SAS_SCOPE_ACCOUNT;
}

enum sas_verdict sas_verify(const struct sas *sas, const struct blob_url *url, const struct account_keys *keys)
{
    struct str version = blob_query_value(&url->query, BLOB_PARAM_SV);
    struct strbuf text = {0};
    bool fits = true; /* else it is for what lies elsewhere, or for more than a read of this URL */
    if (!judged(sas, &url->query, version))
        return SAS_UNJUDGED;
    if (sas->kind == SAS_ACCOUNT)
        account_string(&text, url, version);
    else
        fits = service_string(&text, sas, url, version);
    bool match = account_keys_match(keys, strbuf_str(&text), blob_query_value(&url->query, BLOB_PARAM_SIG));
    strbuf_free(&text);
    if (!fits)
        return SAS_UNJUDGED;
    if (match)
        return SAS_GOOD;
    return blob_version_since(version, NEWEST_KNOWN "~") ? SAS_UNJUDGED : SAS_MISMATCH;
}
