/* SPDX-License-Identifier: Apache-2.0 */
/* h1_parse.c: a line at a time. Lines are cut by memchr; only names and values are looked at byte by byte. */
#include "http/h1_parse.h"

#include <string.h>

#include "http/field.h"
#include "http/target.h"

/* A method longer than any that is registered is noise. */
#define MAX_METHOD 32
#define MAX_BLANKS 2
/* Names a Connection field may list; each costs a walk over the fields. */
#define MAX_NOMINATED 16
#define MAX_CONNECTION_FIELDS 4

/* ---- Finding the end ---- */

static enum status too_large(const struct h1_scan *scan, const struct h1_limits *limits, size_t line_size)
{
    /* Method, blanks and version come on top of the target. */
    if (scan->lines == 0 && line_size > limits->max_target + MAX_METHOD + 12)
        return STATUS_URI_TOO_LONG;
    if (scan->line - scan->start + line_size > limits->max_head)
        return scan->lines == 0 ? STATUS_URI_TOO_LONG : STATUS_HEADERS_TOO_LARGE;
    return STATUS_OK;
}

enum status h1_scan(struct h1_scan *scan, const struct h1_limits *limits, const char *data, size_t size, size_t *end)
{
    for (;;) {
        const char *line = data + scan->line;
        size_t left = size - scan->line;
        /* What is no HTTP at all, e.g. a TLS handshake, is refused by its first byte. */
        if (scan->lines == 0 && left > 0 && !field_is_tchar(line[0]) && line[0] != '\r')
            return STATUS_BAD_REQUEST;
        const char *newline = left == scan->seen ? NULL : memchr(line + scan->seen, '\n', left - scan->seen);
        size_t line_size = newline == NULL ? left : (size_t) (newline - line) + 1;
        enum status status = too_large(scan, limits, line_size);
        if (status != STATUS_OK)
            return status;
        if (newline == NULL) {
            scan->seen = left;
            return STATUS_AGAIN;
        }
        if (line_size < 2 || newline[-1] != '\r')
            return STATUS_BAD_REQUEST;
        scan->line += line_size;
        scan->seen = 0;
        if (line_size == 2 && scan->lines > 0) {
            *end = scan->line;
            return STATUS_OK;
        }
        if (line_size == 2) {
            if (++scan->blanks > MAX_BLANKS)
                return STATUS_BAD_REQUEST;
            scan->start = scan->line;
        } else if (scan->lines++ > limits->max_headers) {
            return STATUS_HEADERS_TOO_LARGE;
        }
    }
}

/* ---- Reading it ---- */

/* Fields that decide, gathered while reading and judged at the end. */
struct head {
    struct http_request *request;
    struct h1_framing *framing;
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    bool coding_known;
    bool close;
    bool keep_alive;
    struct str connection[MAX_CONNECTION_FIELDS];
    unsigned connections;
};

static enum status request_line(struct head *head, struct str line, const struct h1_limits *limits, struct str *target)
{
    struct http_request *request = head->request;
    size_t n = 0;
    while (n < line.len && field_is_tchar(line.ptr[n]))
        n++;
    if (n == 0 || n > MAX_METHOD || n == line.len || line.ptr[n] != ' ')
        return STATUS_BAD_REQUEST;
    request->method_text = (struct str){line.ptr, n};
    request->method = http_method_parse(request->method_text);
    line = (struct str){line.ptr + n + 1, line.len - n - 1};

    const char *blank = line.len == 0 ? NULL : memchr(line.ptr, ' ', line.len);
    if (blank == NULL || blank == line.ptr)
        return STATUS_BAD_REQUEST;
    *target = (struct str){line.ptr, (size_t) (blank - line.ptr)};
    if (target->len > limits->max_target)
        return STATUS_URI_TOO_LONG;

    struct str version = {blank + 1, line.len - target->len - 1};
    if (version.len != 8 || memcmp(version.ptr, "HTTP/", 5) != 0 || version.ptr[5] < '0' || version.ptr[5] > '9' ||
        version.ptr[6] != '.' || version.ptr[7] < '0' || version.ptr[7] > '9')
        return STATUS_BAD_REQUEST;
    if (version.ptr[5] != '1' || version.ptr[7] > '1')
        return STATUS_BAD_VERSION;
    request->version = version.ptr[7] == '1' ? HTTP_1_1 : HTTP_1_0;
    return STATUS_OK;
}

static enum status connection_field(struct head *head, struct str value)
{
    if (head->connections == MAX_CONNECTION_FIELDS)
        return STATUS_HEADERS_TOO_LARGE;
    head->connection[head->connections++] = value;
    struct str rest = value;
    while (rest.ptr != NULL) {
        struct str token = str_trim(str_split(rest, ',', &rest));
        if (str_ieq(token, STR("close")))
            head->close = true;
        else if (str_ieq(token, STR("keep-alive")))
            head->keep_alive = true;
    }
    return STATUS_OK;
}

/* Takes a field that is this connection's own business. *taken says whether it was one. */
static enum status own_field(struct head *head, struct str name, struct str value, bool *taken)
{
    *taken = true;
    switch (name.len) {
    case 4:
        if (str_ieq(name, STR("Host"))) {
            head->hosts++;
            head->request->authority = value;
            return target_authority_valid(value) ? STATUS_OK : STATUS_BAD_REQUEST;
        }
        break;
    case 6:
        if (str_ieq(name, STR("Expect"))) {
            if (!str_ieq(value, STR("100-continue")))
                return STATUS_EXPECTATION_FAILED;
            head->framing->expect_continue = true;
            return STATUS_OK;
        }
        break;
    case 10:
        if (str_ieq(name, STR("Connection")))
            return connection_field(head, value);
        break;
    case 14:
        if (str_ieq(name, STR("Content-Length"))) {
            head->lengths++;
            return str_to_int(value, &head->request->content_length) ? STATUS_OK : STATUS_BAD_LENGTH;
        }
        break;
    case 17:
        if (str_ieq(name, STR("Transfer-Encoding"))) {
            head->codings++;
            head->coding_known = str_ieq(value, STR("chunked"));
            return STATUS_OK;
        }
        break;
    default:
        break;
    }
    /* Most fields are not hop-by-hop by their first letter alone. */
    *taken = memchr("ckthupCKTHUP", name.ptr[0], 12) != NULL && http_header_hop_by_hop(name);
    return STATUS_OK;
}

static enum status field_line(struct head *head, struct str line)
{
    size_t n = 0;
    while (n < line.len && field_is_tchar(line.ptr[n]))
        n++;
    if (n == 0 || n == line.len || line.ptr[n] != ':')
        return STATUS_BAD_REQUEST;
    struct str name = {line.ptr, n};
    struct str value = {line.ptr + n + 1, line.len - n - 1};
    if (!field_value_valid(value))
        return STATUS_BAD_REQUEST;
    value = str_trim(value);
    bool taken;
    enum status status = own_field(head, name, value, &taken);
    if (status == STATUS_OK && !taken)
        http_headers_add(&head->request->headers, name, value);
    return status;
}

/* A Connection field's names are for us alone (RFC 9110, 7.6.1). */
static enum status remove_nominated(struct head *head)
{
    unsigned nominated = 0;
    for (unsigned i = 0; i < head->connections; i++) {
        struct str rest = head->connection[i];
        while (rest.ptr != NULL) {
            struct str token = str_trim(str_split(rest, ',', &rest));
            if (token.len == 0 || str_ieq(token, STR("close")) || str_ieq(token, STR("keep-alive")))
                continue;
            if (++nominated > MAX_NOMINATED)
                return STATUS_HEADERS_TOO_LARGE;
            http_headers_remove(&head->request->headers, token);
        }
    }
    return STATUS_OK;
}

/* RFC 9112, 6.3 and 3.2: what the fields say together. */
static enum status judge(struct head *head, struct str target)
{
    struct http_request *request = head->request;
    struct h1_framing *framing = head->framing;
    bool new = request->version == HTTP_1_1;
    framing->persistent = !head->close && (new || head->keep_alive);
    if (head->hosts > 1 || (head->hosts == 0 && new))
        return STATUS_BAD_REQUEST;
    if (head->lengths > 1 || (head->codings > 0 && (head->lengths > 0 || !new)))
        return STATUS_BAD_LENGTH;
    if (head->codings > 0) {
        if (head->codings > 1 || !head->coding_known)
            return STATUS_NOT_IMPLEMENTED;
        framing->chunked = true;
        request->content_length = HTTP_LENGTH_UNKNOWN;
    }
    /* A body's length may not be left to guessing (RFC 9110, 15.5.12); Azure refuses it as well. */
    bool has_body = request->method == HTTP_PUT || request->method == HTTP_POST || request->method == HTTP_PATCH;
    if (has_body && head->lengths == 0 && head->codings == 0)
        return STATUS_LENGTH_REQUIRED;
    /* An HTTP/1.0 client does not mean it; without a body there is nothing to wait for (RFC 9110, 10.1.1). */
    if (!new || request->content_length == 0)
        framing->expect_continue = false;
    enum status status = target_parse(request, target);
    return status != STATUS_OK ? status : remove_nominated(head);
}

enum status h1_parse(struct str text, const struct h1_limits *limits, struct http_request *request,
                     struct h1_framing *framing)
{
    struct arena *arena = request->headers.arena;
    memset(request, 0, sizeof *request);
    memset(framing, 0, sizeof *framing);
    request->headers.arena = arena;
    request->version = HTTP_1_1;
    request->method = HTTP_OTHER;
    struct head head = {.request = request, .framing = framing};
    struct str target = STR_NULL;
    bool first = true;
    while (text.len > 0) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        if (newline == NULL || newline == text.ptr || newline[-1] != '\r')
            return STATUS_BAD_REQUEST; /* not what h1_scan found */
        struct str line = {text.ptr, (size_t) (newline - text.ptr) - 1};
        text = (struct str){newline + 1, text.len - line.len - 2};
        if (line.len == 0)
            break;
        enum status status = first ? request_line(&head, line, limits, &target) : field_line(&head, line);
        if (status != STATUS_OK)
            return status;
        first = false;
    }
    return first ? STATUS_BAD_REQUEST : judge(&head, target);
}
