/* SPDX-License-Identifier: Apache-2.0 */
/* test_wire.c: what nodes say to each other is understood, by those of another version too, and nothing else is. */
#include "pool/wire.h"

#include "tap.h"

static struct arena *arena;

static struct http_headers fields(const char *name, const char *value)
{
    struct http_headers headers = {.arena = arena};
    http_headers_add(&headers, str_from(name), str_from(value));
    return headers;
}

static void requests(void)
{
    const struct identity own = {"main", "west", "n1", CONF_ROLE_MEMBER};
    for (unsigned bits = 0; bits < 16 * (WIRE_CHANGED_GRANTS + 1); bits++) {
        struct wire_request said = {bits & 1, bits & 2,  bits & 4,
                                    bits & 8, bits / 16, UINT64_C(0x00c0ffee00000001) * (bits + 1)};
        struct wire_request heard;
        struct http_headers headers = {.arena = arena};
        wire_write_request(&own, &said, &headers);
        is_int(wire_read_request(&headers, &heard), STATUS_OK, "a request of ours is read (%u)", bits);
        ok(heard.granted == said.granted && heard.record == said.record && heard.validate == said.validate &&
               heard.cached == said.cached && heard.changed == said.changed && heard.view == said.view,
           "as it was meant");
        ok(wire_is_loop(&own, &headers), "it names who has sent it on");
    }
}

static void other_versions(void)
{
    static const struct {
        const char *text;
        enum status status;
        bool granted;
        bool record;
    } rows[] = {
        {"1", STATUS_OK, false, false},
        {"2; granted=yes; record", STATUS_OK, true, true},
        {"1;granted", STATUS_OK, true, false},
        {"1 ; granted ;; x; y=; =z", STATUS_OK, true, false},
        {"1; Granted; grantedx; ungranted; x=granted", STATUS_OK, false, false},
        {"1; view=zz; record", STATUS_OK, false, true},
        {"1; granted; changed=everything", STATUS_OK, true, false},
        {"0; granted", STATUS_INVALID, false, false},
        {"-1; granted", STATUS_INVALID, false, false},
        {"granted", STATUS_INVALID, false, false},
        {"", STATUS_INVALID, false, false},
        {"1, 2; granted", STATUS_INVALID, false, false},
        {"99999999999999999999; granted", STATUS_INVALID, false, false},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_request heard;
        struct http_headers headers = fields("Headpond-Peer", rows[i].text);
        is_int(wire_read_request(&headers, &heard), rows[i].status, "\"%s\": status", rows[i].text);
        ok(heard.granted == rows[i].granted && heard.record == rows[i].record && !heard.changed, "\"%s\": what it says",
           rows[i].text);
    }
    struct wire_request heard;
    struct http_headers headers = fields("x-headpond-peer", "1; granted");
    is_int(wire_read_request(&headers, &heard), STATUS_NOT_FOUND, "who does not say it says nothing");
    ok(!heard.granted, "nor that somebody is let in");
}

static void loops(void)
{
    const struct identity own = {"main", "west", "n1", CONF_ROLE_MEMBER};
    static const struct {
        const char *text;
        bool loop;
    } rows[] = {
        {"n1.west.main", true},
        {"n2.west.main, N1.west.main", true},
        {"a;b=c,n1.west.main ; v=1", true},
        {"n1.west.main2", false},
        {"n1.west", false},
        {"x=n1.west.main", false},
        {"\"n1.west.main\"", false},
        {"", false},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_headers headers = fields("CDN-Loop", rows[i].text);
        is_int(wire_is_loop(&own, &headers), rows[i].loop, "\"%s\"", rows[i].text);
        http_headers_add(&headers, STR("cdn-loop"), STR("n1.west.main"));
        ok(wire_is_loop(&own, &headers), "or in a second field");
    }
}

static void answers(void)
{
    static const int64_t lengths[] = {-1, 0, 1, INT64_MAX};
    struct wire_answer heard;
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const struct wire_answer told = {.grant_age_ms = 1234 + i, .length = lengths[i], .view = ~UINT64_C(0) - i};
        struct http_headers headers = fields("Age", "17");
        wire_write_answer(&told, &headers);
        wire_read_answer(&headers, &heard);
        ok(heard.age_s == 17 && heard.grant_age_ms == told.grant_age_ms && heard.length == told.length &&
               heard.view == told.view,
           "an answer is read as it was meant");
    }
    struct http_headers headers = fields("Headpond-Peer", "1; length=-3; grant-age=soon");
    http_headers_add(&headers, STR("Age"), STR("-5"));
    wire_read_answer(&headers, &heard);
    ok(heard.age_s == 0 && heard.grant_age_ms == 0 && heard.length == -1, "what is odd counts as not said");
}

int main(void)
{
    arena = arena_new();
    requests();
    other_versions();
    loops();
    answers();
    arena_free(arena);
    return done_testing();
}
