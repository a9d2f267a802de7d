/* SPDX-License-Identifier: Apache-2.0 */
/*
 * easy.c: libcurl made to send what it is given and nothing else.
 *
 * The target goes out by CURLOPT_REQUEST_TARGET, so libcurl's URL parser never sees it: no dot segments are removed, no
 * escape is changed, no '#' cut off.
 */
#include "origin/easy.h"

#include "base/str.h"
#include "http/field.h"
#include "net/easy.h"
#include "origin/base.h"

#define KEEPALIVE_IDLE_S 30L
#define KEEPALIVE_INTERVAL_S 10L
#define IDLE_CONNECTION_S 90L /* the load balancers before Azure forget a connection after four minutes */
#define METHOD_MAX 32

/* `prefix`: the base's own path, to which a query alone may be added. */
static bool target_ok(const char *prefix, struct str target)
{
    /* Behind a path of the base nothing, or a query, is a path's end too. */
    bool begins =
        target.len == 0 ? prefix[0] == '/' : target.ptr[0] == '/' || (target.ptr[0] == '?' && prefix[0] == '/');
    if (!begins)
        return false;
    for (size_t i = 0; i < target.len; i++) {
        const unsigned char c = (unsigned char) target.ptr[i];
        if (c <= 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

static void append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer != NULL)
        *list = longer;
}

/* Ours or libcurl's to say, not the request's. */
static bool own_field(struct str name)
{
    return str_ieq(name, STR("Host")) || str_ieq(name, STR("Content-Length")) || http_header_hop_by_hop(name);
}

static enum status set_headers(const struct http_headers *headers, bool upload, struct curl_slist **list)
{
    struct strbuf line = {0};
    enum status status = STATUS_OK;
    const unsigned count = headers == NULL ? 0 : headers->count;
    for (unsigned i = 0; i < count && status == STATUS_OK; i++) {
        const struct http_header *field = &headers->items[i];
        if (own_field(field->name))
            continue;
        if (!field_token_valid(field->name) || !field_value_valid(field->value)) {
            status = STATUS_BAD_REQUEST;
            break;
        }
        const struct str value = str_trim(field->value);
        line.len = 0;
        strbuf_adds(&line, field->name);
        /* "Name;" is libcurl's way to send an empty field; "Name:" would take one away. */
        strbuf_adds(&line, value.len == 0 ? STR(";") : STR(": "));
        strbuf_adds(&line, value);
        append(list, line.ptr);
    }
    strbuf_free(&line);
    /* What libcurl would add by itself. */
    if (count == 0 || http_headers_find(headers, STR("Accept")) == NULL)
        append(list, "Accept:");
    if (upload && (count == 0 || http_headers_find(headers, STR("Expect")) == NULL))
        append(list, "Expect:");
    return status;
}

static enum status set_method(CURL *easy, const struct origin_request *request, bool upload)
{
    char method[METHOD_MAX + 1];
    if (request->method.len > METHOD_MAX || !field_token_valid(request->method))
        return STATUS_BAD_REQUEST;
    memcpy(method, request->method.ptr, request->method.len);
    method[request->method.len] = '\0';

    const enum http_method known = http_method_parse(request->method);
    if (upload) {
        if (known == HTTP_HEAD)
            return STATUS_BAD_REQUEST; /* libcurl cannot, and it has no meaning (RFC 9110, 9.3.2) */
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) request->content_length);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, request->modest ? ORIGIN_MODEST_BYTES : ORIGIN_SEND_BYTES);
    } else if (known == HTTP_HEAD) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (known == HTTP_PUT || known == HTTP_POST || known == HTTP_PATCH) {
        /* An empty body is announced as such. */
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) 0);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    if (known != HTTP_HEAD)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    return STATUS_OK;
}

/* "scheme://authority/" for libcurl to connect to, and prefix + target for the request line. */
static enum status set_target(CURL *easy, const char *base, struct str target)
{
    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
        return STATUS_INVALID;
    if (origin_base_host(base).len == 0)
        return STATUS_INVALID;
    const char *prefix = origin_base_path(base);
    if (!target_ok(prefix, target))
        return STATUS_BAD_TARGET;
    struct strbuf text = {0};
    strbuf_add(&text, base, (size_t) (prefix - base));
    strbuf_adds(&text, STR("/"));
    curl_easy_setopt(easy, CURLOPT_URL, text.ptr);
    text.len = 0;
    strbuf_adds(&text, str_from(prefix));
    strbuf_adds(&text, target);
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, text.ptr);
    strbuf_free(&text);
    return STATUS_OK;
}

static void set_network(CURL *easy, const struct origin_limits *limits, const char *ca_file)
{
    easy_guard(easy);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    if (limits->connect_timeout > 0)
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) limits->connect_timeout);
    /* A directory of CAs would keep libcurl from caching the parsed bundle: 18 ms a connection. */
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
}

enum status origin_easy_prepare(CURL *easy, const struct origin_request *request, const struct origin_limits *limits,
                                const char *ca_file, bool upload)
{
    set_network(easy, limits, ca_file);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, request->modest ? ORIGIN_MODEST_BYTES : ORIGIN_READ_BYTES);
    return set_method(easy, request, upload);
}

enum status origin_easy_address(CURL *easy, const struct origin_request *request, bool upload,
                                struct curl_slist **headers)
{
    struct curl_slist *lines = NULL;
    enum status status = set_target(easy, request->base, request->target);
    if (status == STATUS_OK)
        status = set_headers(request->headers, upload, &lines);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines);
    curl_slist_free_all(*headers);
    *headers = lines;
    return status;
}
