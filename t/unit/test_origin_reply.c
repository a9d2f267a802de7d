/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_reply.c: a reply's head from its lines. */
#include "origin/reply.h"

#include <stdio.h>

#include "tap.h"

/* Feeds lines separated by '\n'; the step of the last one fed. */
static enum origin_reply_step feed(struct origin_reply *reply, const char *text, enum status *why)
{
    enum origin_reply_step step = ORIGIN_REPLY_MORE;
    const char *at = text;
    while (*at != '\0' && step != ORIGIN_REPLY_BAD) {
        const char *end = strchr(at, '\n');
        step = origin_reply_line(reply, (struct str){at, (size_t) (end + 1 - at)}, why);
        at = end + 1;
    }
    return step;
}

static void is_bad(const char *text, const char *what)
{
    struct origin_reply reply;
    enum status why = STATUS_OK;
    origin_reply_init(&reply);
    ok(feed(&reply, text, &why) == ORIGIN_REPLY_BAD && why == STATUS_BAD_REPLY, "refused: %s", what);
    origin_reply_fini(&reply);
}

static void usual(void)
{
    struct origin_reply reply;
    enum status why;
    origin_reply_init(&reply);
    is_int(feed(&reply,
                "HTTP/1.1 206 Partial Content\r\nContent-Length: 42\r\nETag:  \"0x8D\" \r\nConnection: keep-alive, "
                "X-Hop\r\n"
                "x-hop: gone\r\nKeep-Alive: timeout=5\r\nEmpty:\r\nX-MS-A: 1\r\nX-MS-A: 2\r\n\r\n",
                &why),
           ORIGIN_REPLY_HEAD, "a head");
    is_int(reply.head.status, 206, "its status");
    is_int(reply.head.content_length, 42, "its length");
    is_int(reply.head.headers.count, 4, "hop-by-hop fields are gone");
    is_text(reply.head.headers.items[0].value, "\"0x8D\"", "values are trimmed");
    is_text(reply.head.headers.items[1].name, "Empty", "an empty field stays, spelling kept");
    is_int(reply.head.headers.items[1].value.len, 0, "and is empty");
    is_text(reply.head.headers.items[3].value, "2", "repeated fields stay in order");
    is_int(origin_reply_body_length(&reply, false), 42, "body length");
    is_int(origin_reply_body_length(&reply, true), 0, "none after HEAD");
    is_int(feed(&reply, "X-Trailer: 1\r\n\r\n", &why), ORIGIN_REPLY_MORE, "trailers are ignored");
    is_int(reply.head.headers.count, 4, "indeed");
    is_int(feed(&reply, "HTTP/1.1 200 OK\r\n", &why), ORIGIN_REPLY_BAD, "a second head is not");

    origin_reply_reset(&reply);
    is_int(feed(&reply, "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.0 204\r\n\r\n",
                &why),
           ORIGIN_REPLY_HEAD, "interim heads are skipped");
    is_int(reply.head.status, 204, "the final one counts");
    is_int(reply.head.headers.count, 0, "with its own fields");
    is_int(origin_reply_body_length(&reply, false), 0, "204 has no body");
    is_int(reply.head.content_length, HTTP_LENGTH_UNKNOWN, "and no length");

    origin_reply_reset(&reply);
    feed(&reply, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", &why);
    is_int(reply.head.content_length, 7, "304 may tell a length");
    is_int(origin_reply_body_length(&reply, false), 0, "but has no body");

    origin_reply_reset(&reply);
    feed(&reply, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", &why);
    is_int(reply.head.content_length, HTTP_LENGTH_UNKNOWN, "chunked overrides a length");
    is_int(reply.head.headers.count, 0, "and does not show");

    origin_reply_reset(&reply);
    is_int(feed(&reply, "HTTP/1.1 200 OK\r\nContent-Length: 7, 7\r\nContent-Length: 7\r\n\r\n", &why),
           ORIGIN_REPLY_HEAD, "equal lengths are one");
    is_int(reply.head.content_length, 7, "that one");
    origin_reply_fini(&reply);
}

static void refused(void)
{
    is_bad("HTTP/2 200\r\n", "another version");
    is_bad("HTTP/1.1 20 OK\r\n", "two digits");
    is_bad("HTTP/1.1 2000 OK\r\n", "four digits");
    is_bad("HTTP/1.1 999 Odd\r\n", "a status beyond 599");
    is_bad("ICY 200 OK\r\n", "another protocol");
    is_bad("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "101");
    is_bad("HTTP/1.1 200 OK\r\nno colon\r\n", "a line that is no field");
    is_bad("HTTP/1.1 200 OK\r\nBad Name: 1\r\n", "a blank in a name");
    is_bad("HTTP/1.1 200 OK\r\nName : 1\r\n", "a blank after a name");
    is_bad("HTTP/1.1 200 OK\r\n: 1\r\n", "no name");
    is_bad("HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n", "a folded line");
    is_bad("HTTP/1.1 200 OK\r\nA: a\rb\r\n", "a bare CR");
    is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", "a coding nobody asked for");
    is_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "chunked twice");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n", "two lengths");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 7, 8\r\n", "two lengths in one");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: -7\r\n", "a negative length");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length:\r\n", "an empty length");
    is_bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n", "an overflowing length");
}

static void bounds(void)
{
    struct origin_reply reply;
    enum status why = STATUS_OK;
    enum origin_reply_step step = ORIGIN_REPLY_MORE;
    char line[1100];
    origin_reply_init(&reply);
    feed(&reply, "HTTP/1.1 200 OK\r\n", &why);
    unsigned fields = 0;
    while (step == ORIGIN_REPLY_MORE && fields < 1000) {
        fields++;
        step = origin_reply_line(&reply, STR("A: b\r\n"), &why);
    }
    is_int(fields, ORIGIN_REPLY_MAX_FIELDS + 1, "so many fields and no more");
    is_int(why, STATUS_HEADERS_TOO_LARGE, "said");

    origin_reply_reset(&reply);
    feed(&reply, "HTTP/1.1 200 OK\r\n", &why);
    snprintf(line, sizeof line, "A: %01020d\r\n", 0);
    step = ORIGIN_REPLY_MORE;
    for (fields = 0; step == ORIGIN_REPLY_MORE && fields < 1000; fields++)
        step = origin_reply_line(&reply, str_from(line), &why);
    ok(step == ORIGIN_REPLY_BAD && fields >= 63 && fields <= 64, "64 KiB and no more (%u KiB)", fields);

    origin_reply_reset(&reply);
    step = ORIGIN_REPLY_MORE;
    for (fields = 0; step == ORIGIN_REPLY_MORE && fields < 100000; fields++)
        step = feed(&reply, "HTTP/1.1 102 Processing\r\n\r\n", &why);
    is_int(step, ORIGIN_REPLY_BAD, "interim heads without end are bounded too (%u)", fields);
    origin_reply_fini(&reply);
}

int main(void)
{
    usual();
    refused();
    bounds();
    return done_testing();
}
