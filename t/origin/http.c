/* SPDX-License-Identifier: Apache-2.0 */
/* See http.h. */
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_token(const char *s, size_t n)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i], lower = (char) (c | 0x20);
        bool alnum = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
        if (!alnum && (c == '\0' || !strchr(extra, c)))
            return false;
    }
    return true;
}

/* Cuts the line at its CRLF and returns the start of the next, or NULL for a bare CR or LF. */
static char *cut_line(char *line)
{
    char *end = line + strcspn(line, "\r\n");
    if (end[0] != '\r' || end[1] != '\n')
        return NULL;
    *end = '\0';
    return end + 2;
}

static bool parse_request_line(struct request *req, char *line)
{
    char *target = strchr(line, ' ');
    if (!target || !is_token(line, (size_t) (target - line)))
        return false;
    *target++ = '\0';
    char *version = strchr(target, ' ');
    if (!version)
        return false;
    *version++ = '\0';
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return false;
    req->method = line;
    req->target = target;
    req->keep_alive = version[7] == '1';

    const char *path = request_raw_path(req);
    if (*path != '/')
        return false;
    size_t path_len = strcspn(path, "?");
    req->path = percent_decode(path, path_len);
    if (path[path_len] == '?')
        query_parse(&req->query, path + path_len + 1);
    return true;
}

const char *request_raw_path(const struct request *req)
{
    const char *path = req->target;
    if (starts_with(path, "http://") || starts_with(path, "https://")) {
        path = strchr(strstr(path, "://") + 3, '/');
        if (!path)
            path = "/";
    }
    return path;
}

/* "/acct/name" is a blob of the root container, unless the query says that it is a container. */
static void add_root(struct request *req)
{
    char *slash = req->path ? strchr(req->path + 1, '/') : NULL;
    if (!slash || !slash[1] || strchr(slash + 1, '/') || request_query(req, "restype") ||
        request_query(req, "resource") || starts_with(req->path, "/.control/"))
        return;
    struct buf whole = {0};
    buf_printf(&whole, "%.*s/$root%s", (int) (slash - req->path), req->path, slash);
    free(req->path);
    req->path = whole.data;
}

/* "Host: acct.blob.localhost:80" puts "/acct" before the path. */
static void add_account(struct request *req)
{
    const char *host = request_header(req, "Host");
    size_t n = host ? strcspn(host, ".") : 0;
    if (!req->path || n == 0 || !starts_with(host + n, ".blob."))
        return;
    struct buf whole = {0};
    buf_printf(&whole, "/%.*s%s", (int) n, host, req->path);
    free(req->path);
    req->path = whole.data;
}

/* Two framings that disagree are how requests are smuggled: refuse them. */
static bool note_header(struct request *req, const struct http_header *h)
{
    if (strcasecmp(h->name, "Content-Length") == 0) {
        int64_t n;
        if (!parse_int64(h->value, strlen(h->value), &n))
            return false;
        if (req->content_length >= 0 && req->content_length != n)
            return false;
        req->content_length = n;
    } else if (strcasecmp(h->name, "Transfer-Encoding") == 0) {
        if (strcasecmp(h->value, "chunked") != 0 || req->chunked)
            return false;
        req->chunked = true;
    } else if (strcasecmp(h->name, "Connection") == 0) {
        if (strcasestr(h->value, "close"))
            req->keep_alive = false;
        else if (strcasestr(h->value, "keep-alive"))
            req->keep_alive = true;
    } else if (strcasecmp(h->name, "Expect") == 0) {
        req->expect_continue = strcasecmp(h->value, "100-continue") == 0;
    }
    return true;
}

static bool parse_header(struct request *req, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon || !is_token(line, (size_t) (colon - line)) || req->header_count == HTTP_MAX_HEADERS)
        return false;
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t n = strlen(value);
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        value[--n] = '\0';
    struct http_header *h = &req->headers[req->header_count++];
    h->name = line;
    h->value = value;
    return note_header(req, h);
}

static bool parse_lines(struct request *req)
{
    char *line = req->head, *next = cut_line(line);
    if (!next || !parse_request_line(req, line))
        return false;
    for (line = next; line[0] != '\r'; line = next) {
        next = cut_line(line);
        if (!next || !parse_header(req, line))
            return false;
    }
    add_account(req);
    add_root(req);
    return !(req->chunked && req->content_length >= 0);
}

enum http_result request_parse(struct request *req, const char *buf, size_t len, size_t *used)
{
    size_t window = len < HTTP_MAX_HEAD ? len : HTTP_MAX_HEAD;
    const char *end = memmem(buf, window, "\r\n\r\n", 4);
    if (!end)
        return window == HTTP_MAX_HEAD ? HTTP_TOO_LARGE : HTTP_MORE;
    size_t n = (size_t) (end - buf) + 4;
    if (memchr(buf, '\0', n))
        return HTTP_BAD;
    memset(req, 0, sizeof *req);
    req->content_length = -1;
    req->head = xstrndup(buf, n);
    *used = n;
    if (parse_lines(req))
        return HTTP_DONE;
    request_free(req);
    return HTTP_BAD;
}

void request_free(struct request *req)
{
    free(req->head);
    free(req->path);
    pairs_free(&req->query);
    memset(req, 0, sizeof *req);
}

const char *request_header(const struct request *req, const char *name)
{
    for (int i = 0; i < req->header_count; i++)
        if (strcasecmp(req->headers[i].name, name) == 0)
            return req->headers[i].value;
    return NULL;
}

int request_header_count(const struct request *req, const char *name)
{
    int n = 0;
    for (int i = 0; i < req->header_count; i++)
        n += strcasecmp(req->headers[i].name, name) == 0;
    return n;
}

const char *request_query(const struct request *req, const char *name)
{
    return pairs_get(&req->query, name);
}

void query_parse(struct pairs *out, const char *query)
{
    while (*query) {
        size_t n = strcspn(query, "&"), name_len = strcspn(query, "=&");
        size_t value_at = name_len < n ? name_len + 1 : n;
        char *name = percent_decode(query, name_len);
        char *value = percent_decode(query + value_at, n - value_at);
        if (name && value && *name && out->count < 256)
            pairs_add(out, name, value);
        free(name);
        free(value);
        query += n + (query[n] == '&');
    }
}

void body_start(struct body_reader *r, const struct request *req)
{
    memset(r, 0, sizeof *r);
    r->chunked = req->chunked;
    r->left = req->content_length > 0 ? req->content_length : 0;
    if (r->chunked)
        r->state = BODY_SIZE_LINE;
    else
        r->state = r->left > 0 ? BODY_DATA : BODY_END;
}

static bool parse_chunk_size(const char *line, int64_t *size)
{
    int64_t v = 0;
    int digits = 0;
    for (; strchr("0123456789abcdefABCDEF", *line) && *line; line++, digits++) {
        char c = *line;
        v = v * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        if (digits >= 14)
            return false;
    }
    *size = v;
    return digits > 0 && (*line == '\0' || *line == ';' || *line == ' ');
}

/* A whole line of the chunked framing has been collected. */
static enum http_result chunk_line(struct body_reader *r)
{
    r->line[r->line_len] = '\0';
    if (r->line_len > 0 && r->line[r->line_len - 1] == '\r')
        r->line[--r->line_len] = '\0';
    bool empty = r->line_len == 0;
    r->line_len = 0;
    switch (r->state) {
    case BODY_SIZE_LINE:
        if (!parse_chunk_size(r->line, &r->left))
            return HTTP_BAD;
        r->state = r->left ? BODY_DATA : BODY_TRAILER;
        return HTTP_MORE;
    case BODY_DATA_END:
        r->state = BODY_SIZE_LINE;
        return empty ? HTTP_MORE : HTTP_BAD;
    default:
        if (empty)
            r->state = BODY_END;
        return empty ? HTTP_DONE : HTTP_MORE;
    }
}

enum http_result body_feed(struct body_reader *r, const char *in, size_t n, size_t *used, const char **data,
                           size_t *data_len)
{
    *used = *data_len = 0;
    *data = in;
    while (r->state != BODY_END && *used < n) {
        if (r->state == BODY_DATA) {
            size_t take = n - *used;
            if ((int64_t) take > r->left)
                take = (size_t) r->left;
            *data = in + *used;
            *data_len = take;
            *used += take;
            r->left -= (int64_t) take;
            if (r->left == 0)
                r->state = r->chunked ? BODY_DATA_END : BODY_END;
            break;
        }
        char c = in[(*used)++];
        if (c != '\n') {
            if (r->line_len == sizeof r->line - 1)
                return HTTP_BAD;
            r->line[r->line_len++] = c;
        } else if (chunk_line(r) == HTTP_BAD) {
            return HTTP_BAD;
        }
    }
    return r->state == BODY_END ? HTTP_DONE : HTTP_MORE;
}
