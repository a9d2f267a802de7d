/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 requests: the head, and the framing of a body (RFC 9112). Everything is bounded: a head
 * of 64 KiB, 128 headers. The parser is strict about line ends and framing, because a proxy that
 * sends something odd to its origin should be noticed.
 */
#ifndef T_ORIGIN_HTTP_H
#define T_ORIGIN_HTTP_H

#include "util.h"

#define HTTP_MAX_HEAD 65536
#define HTTP_MAX_HEADERS 128

struct http_header {
    const char *name, *value;
};

struct request {
    char *head; /* owned; method, target and headers point into it */
    const char *method, *target;
    char *path;         /* percent-decoded, without the query; NULL when an escape is broken. Begins with the
                           account, in host-style (ACCOUNT.blob.NAME) that of the host */
    struct pairs query; /* decoded */
    struct http_header headers[HTTP_MAX_HEADERS];
    int header_count;
    int64_t content_length; /* -1: not given */
    bool chunked, keep_alive, expect_continue;
    bool tls;      /* the connection's */
    uint32_t ipv4; /* the peer's, in host order; 0: it has none */
};

enum http_result { HTTP_DONE, HTTP_MORE, HTTP_BAD, HTTP_TOO_LARGE };

/* On HTTP_DONE `*used` bytes of buf were the head and the request is to be freed by request_free().
 */
enum http_result request_parse(struct request *req, const char *buf, size_t len, size_t *used);
void request_free(struct request *req);
const char *request_header(const struct request *req, const char *name); /* NULL: absent */
const char *request_query(const struct request *req, const char *name);
/* How many headers of that name there are. */
int request_header_count(const struct request *req, const char *name);
/* The target's path as it was sent, up to the end of the target. */
const char *request_raw_path(const struct request *req);

/* Parses a=b&c=d; broken escapes are dropped with their parameter. */
void query_parse(struct pairs *out, const char *query);

/* The framing of one request body, fed with what arrives. */
struct body_reader {
    enum { BODY_SIZE_LINE, BODY_DATA, BODY_DATA_END, BODY_TRAILER, BODY_END } state;
    bool chunked;
    int64_t left;
    char line[128];
    size_t line_len;
};

void body_start(struct body_reader *r, const struct request *req);

/* Consumes from in[0..n) up to the end of the first run of data: sets *used, *data and *data_len
   (maybe 0). HTTP_DONE: the body has ended. HTTP_MORE: call again with the rest. */
enum http_result body_feed(struct body_reader *r, const char *in, size_t n, size_t *used, const char **data,
                           size_t *data_len);

#endif
