/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_fixture.h: what the tests of routing share: routes by a configuration, and one request after the other through
 * them. NOW is the test's.
 */
#ifndef HEADPOND_T_UNIT_ROUTE_FIXTURE_H
#define HEADPOND_T_UNIT_ROUTE_FIXTURE_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/route.h"
#include "tap.h"

static struct arena *arena;
static struct routes *routes;
static struct conf *conf;
static struct credentials *credentials;

/* The path ends in XXXXXX and becomes the file's. */
static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
        abort();
    close(fd);
}

static void open_routes(const char *text, const char *what)
{
    char path[] = "/tmp/headpond-routes-XXXXXX";
    struct strbuf error = {0};
    write_file(path, text);
    credentials = credentials_new();
    if (!ok(conf_load(path, &conf, &error) == STATUS_OK && routes_new(conf, credentials, &routes, &error) == STATUS_OK,
            "routes: %s", what)) {
        diag("%s", error.ptr);
        exit(1);
    }
    strbuf_free(&error);
    unlink(path);
}

static void close_routes(void)
{
    routes_free(&routes);
    credentials_free(credentials);
    conf_free(conf);
}

struct ask {
    const char *method; /* NULL: GET */
    const char *target;
    const char *host; /* NULL: an address */
    const char *authorization;
    bool tls;
    bool sign;     /* by the key, where the test has one */
    int64_t now_s; /* 0: NOW */
    uint32_t peer; /* 0: 10.0.0.1 */
};

/* What became of the last one. */
static struct route routed;
static const struct blob_error *refused;

static struct http_request *request_of(struct ask ask)
{
    struct http_request *request = arena_calloc(arena, sizeof *request);
    request->method_text = str_from(ask.method == NULL ? "GET" : ask.method);
    request->method = http_method_parse(request->method_text);
    request->version = HTTP_1_1;
    request->tls = ask.tls;
    request->target = str_from(ask.target);
    request->authority = str_from(ask.host == NULL ? "127.0.0.1:8080" : ask.host);
    request->headers.arena = arena;
    if (ask.authorization != NULL)
        http_headers_add(&request->headers, STR("Authorization"), str_from(ask.authorization));
    return request;
}

static void pass(struct ask ask, const struct http_request *request)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ask.peer == 0 ? 0x0a000001 : ask.peer)};
    refused = route_request(routes, arena, request, (const struct sockaddr *) &peer, NULL,
                            ask.now_s == 0 ? NOW : ask.now_s, &routed);
}

#endif
