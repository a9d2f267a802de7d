/* SPDX-License-Identifier: Apache-2.0 */
/* test_slices.c: what an API server's lists and events make of a service's endpoints. */
#include "pool/slices.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "tap.h"

#define META(name, version) "\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}"
#define PORTS "\"ports\":[{\"name\":\"metrics\",\"port\":9},{\"name\":\"peer\",\"port\":8444}]"
#define POD(name, address) "{\"hostname\":\"" name "\",\"addresses\":[\"" address "\"],\"conditions\":{\"ready\":true}}"
#define SLICE(name, version, endpoints) "{" META(name, version) "," PORTS ",\"endpoints\":[" endpoints "]}"
#define LIST(more, items) "{\"metadata\":{\"resourceVersion\":\"100\"" more "},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}"

static struct slices *slices;

/* "name=address:port", separated by spaces. */
static struct str shown(void)
{
    static char text[1024];
    struct dns_hosts hosts;
    size_t used = 0;
    text[0] = '\0';
    slices_hosts(slices, &hosts);
    for (unsigned i = 0; i < hosts.count; i++) {
        char address[INET6_ADDRSTRLEN];
        const struct sockaddr_storage *at = &hosts.items[i].addresses[0].address;
        const struct sockaddr_in *four = (const struct sockaddr_in *) at;
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *) at;
        bool is_four = at->ss_family == AF_INET;
        inet_ntop(at->ss_family, is_four ? (const void *) &four->sin_addr : &six->sin6_addr, address, sizeof address);
        used += (size_t) snprintf(text + used, sizeof text - used, "%s%s=%s:%u", i > 0 ? " " : "", hosts.items[i].name,
                                  address, ntohs(is_four ? four->sin_port : six->sin6_port));
    }
    dns_hosts_free(&hosts);
    return str_from(text);
}

static enum status page(const char *json, const char *next)
{
    struct strbuf token = {0};
    enum status status = slices_page(slices, str_from(json), &token);
    if (status == STATUS_OK && !str_eq(strbuf_str(&token), str_from(next)))
        status = STATUS_CORRUPT;
    strbuf_free(&token);
    return status;
}

static enum status event(const char *json)
{
    return slices_event(slices, str_from(json));
}

static void lists(void)
{
    slices = slices_new(STR("peer"));
    is_text(str_from(slices_version(slices)), "", "nothing is known");
    slices_begin(slices);
    is_int(page(LIST(",\"continue\":\"abc\"", SLICE("a", "5", POD("pond-0", "10.0.0.1") "," POD("pond-1", "fd00::1"))),
                "abc"),
           STATUS_OK, "a page of a list");
    is_int(page(LIST("", SLICE("b", "6", POD("pond-2", "10.0.0.3"))), ""), STATUS_OK, "and the last one");
    slices_listed(slices);
    is_text(shown(), "pond-0=10.0.0.1:8444 pond-1=fd00::1:8444 pond-2=10.0.0.3:8444",
            "endpoints, at the port of that name");
    is_text(str_from(slices_version(slices)), "100", "and its version");

    slices_begin(slices);
    is_int(page(LIST("", SLICE("b", "7", POD("pond-2", "10.0.0.4"))), ""), STATUS_OK, "a later list");
    slices_listed(slices);
    is_text(shown(), "pond-2=10.0.0.4:8444", "is all there is");
    slices_free(&slices);
}

static void events(void)
{
    slices = slices_new(STR("8444"));
    is_int(event(EVENT("ADDED", SLICE("a", "201", POD("pond-0", "10.0.0.1")))), STATUS_OK, "a slice comes");
    is_int(event(EVENT("ADDED", SLICE("b", "202", POD("pond-0", "10.0.0.1") "," POD("pond-1", "10.0.0.2")))), STATUS_OK,
           "and another, which has one of its endpoints, too");
    is_text(shown(), "pond-0=10.0.0.1:8444 pond-1=10.0.0.2:8444", "each is told once, at the port of that number");
    is_int(event(EVENT("MODIFIED", SLICE("a", "203", ""))), STATUS_OK, "it moves");
    is_text(shown(), "pond-0=10.0.0.1:8444 pond-1=10.0.0.2:8444", "and is still there");
    is_int(event(EVENT("BOOKMARK", "{" META("", "250") "}")), STATUS_OK, "time passes");
    is_text(str_from(slices_version(slices)), "250", "and is noted");
    is_int(event(EVENT("ADDED", SLICE("six", "250", POD("pond-1", "fd00::2")))), STATUS_OK,
           "a slice of the other family");
    struct dns_hosts hosts;
    slices_hosts(slices, &hosts);
    ok(hosts.count == 2 && hosts.items[1].address_count == 2, "a pod that is in both is one, of two addresses");
    dns_hosts_free(&hosts);
    is_int(event(EVENT("DELETED", SLICE("six", "250", ""))), STATUS_OK, "it goes");
    is_int(event(EVENT("DELETED", SLICE("b", "251", ""))), STATUS_OK, "a slice goes");
    is_text(shown(), "", "with its endpoints");
    is_int(event(EVENT("ERROR", "{\"code\":410}")), STATUS_NOT_FOUND, "what was too long ago");
    is_int(event(EVENT("NEWS", "{" META("x", "252") "}")), STATUS_OK, "what is not known does no harm");
    slices_free(&slices);
}

static void odd(void)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"type\":\"ADDED\"}",
                                      EVENT("ADDED", "{}"),
                                      EVENT("ADDED", "[1]"),
                                      EVENT("ADDED", "{\"metadata\":{\"resourceVersion\":\"1\"}}")};
    slices = slices_new(STR_NULL);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        is_int(event(bad[i]), STATUS_PROTOCOL, "no event: %s", bad[i]);
    is_int(page("{\"items\":[]}", ""), STATUS_PROTOCOL, "no list");
    is_int(page(LIST("", "{\"metadata\":{}}"), ""), STATUS_PROTOCOL, "no slice");
    is_int(event(EVENT("ADDED", SLICE("a", "1", POD("pond-0", "10.0.0.1")))), STATUS_OK, "two ports");
    is_text(shown(), "", "and nobody said which");
    is_int(event(EVENT("ADDED",
                       "{" META("a", "1") ",\"ports\":[{\"port\":7}],\"endpoints\":[{\"addresses\":[\"here\"]},"
                                          "{\"addresses\":[\"10.0.0.1\",\"10.0.0.2\"]},{\"hostname\":\"x\"},5]}")),
           STATUS_OK, "endpoints of which some are none");
    is_text(shown(), "=10.0.0.1:7", "the others are told, without a name");
    is_int(event(EVENT("ADDED", "{" META("a", "1") ",\"ports\":[{\"port\":70000}],\"endpoints\":[]}")), STATUS_OK,
           "no port at all");
    is_text(shown(), "", "is nobody");
    slices_free(&slices);
}

/* More than any pool has. */
static void crowds(void)
{
    struct strbuf text = {0}, token = {0};
    struct dns_hosts hosts;
    slices = slices_new(STR_NULL);
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < 1001 && status == STATUS_OK; i++) {
        text.len = 0;
        strbuf_addf(&text, "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"s%u\"},", i);
        strbuf_adds(&text, STR("\"ports\":[{\"port\":7}],\"endpoints\":["));
        for (unsigned pod = 0; pod < 20; pod++)
            strbuf_addf(&text, "%s{\"addresses\":[\"10.%u.%u.%u\"]}", pod > 0 ? "," : "", i / 256, i % 256, pod);
        strbuf_adds(&text, STR("]}]}"));
        status = slices_page(slices, strbuf_str(&text), &token);
        if (i == 999)
            is_int(status, STATUS_OK, "a thousand slices");
    }
    is_int(status, STATUS_TOO_LARGE, "one more is refused");
    slices_hosts(slices, &hosts);
    is_int(hosts.count, 5000, "of endpoints there are so many at most");
    dns_hosts_free(&hosts);
    slices_begin(slices);
    slices_listed(slices);
    slices_hosts(slices, &hosts);
    is_int(hosts.count, 0, "an empty list");
    dns_hosts_free(&hosts);
    is_int(event(EVENT("ADDED", "{" META("a", "1") ",\"ports\":[{\"port\":7}],\"endpoints\":[{\"addresses\":"
                                                   "[\"10.0.0.1\"]}]}")),
           STATUS_OK, "makes room again");
    is_text(shown(), "=10.0.0.1:7", "for all");
    strbuf_free(&text);
    strbuf_free(&token);
    slices_free(&slices);
}

int main(void)
{
    lists();
    events();
    odd();
    crowds();
    return done_testing();
}
