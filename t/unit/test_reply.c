/* SPDX-License-Identifier: Apache-2.0 */
/* test_reply.c: heads from a record, and errors in Azure's words. */
#include "proxy/proxy_status.h"
#include "proxy/reply.h"

#include "base/arena.h"
#include "tap.h"

static struct arena *arena;

static struct object *make_object(void)
{
    struct http_response reply = {.status = 200, .content_length = 1000};
    reply.headers.arena = arena;
    http_headers_add(&reply.headers, STR("ETag"), STR("\"0x8D\""));
    http_headers_add(&reply.headers, STR("Last-Modified"), STR("Wed, 01 Jan 2025 00:00:00 GMT"));
    http_headers_add(&reply.headers, STR("Content-Type"), STR("text/plain"));
    http_headers_add(&reply.headers, STR("Content-MD5"), STR("bWQ1"));
    http_headers_add(&reply.headers, STR("x-ms-access-tier"), STR("Hot"));
    http_headers_add(&reply.headers, STR("x-ms-request-id"), STR("old"));
    http_headers_add(&reply.headers, STR("x-ms-client-request-id"), STR("old"));
    struct object *object = NULL;
    ok(object_from_reply(&reply, true, 100, NULL, &object) == STATUS_OK, "a record");
    return object;
}

static struct reply_facts make_facts(const char *client_id, bool head)
{
    struct http_request request = {.method = head ? HTTP_HEAD : HTTP_GET};
    struct reply_facts facts = {.arena = arena, .outcome = OUTCOME_HIT, .steady_s = 130, .validated_s = 100};
    request.headers.arena = arena;
    if (client_id != NULL)
        http_headers_add(&request.headers, STR("x-ms-client-request-id"), str_from(client_id));
    http_headers_add(&request.headers, STR("x-ms-version"), STR("2021-08-06"));
    reply_facts_from_request(&facts, &request);
    return facts;
}

static struct str get(const struct http_response *head, const char *name)
{
    return http_headers_get(&head->headers, str_from(name));
}

static unsigned count(const struct http_response *head, const char *name)
{
    unsigned n = 0;
    for (unsigned i = 0; i < head->headers.count; i++)
        n += str_ieq(head->headers.items[i].name, str_from(name));
    return n;
}

static void test_whole(const struct object *object)
{
    struct reply_facts facts = make_facts("my-id", false);
    struct http_response head;
    reply_whole(&head, &facts, object);
    is_int(head.status, 200, "200");
    is_int(head.content_length, 1000, "the length");
    is_text(get(&head, "ETag"), "\"0x8D\"", "the ETag");
    is_text(get(&head, "Content-MD5"), "bWQ1", "a whole blob carries its MD5");
    is_text(get(&head, "x-ms-blob-content-md5"), NULL, "once");
    is_text(get(&head, "x-ms-access-tier"), NULL, "what HEAD alone carries");
    is_text(get(&head, "x-ms-client-request-id"), "my-id", "the client's own id");
    is_int(count(&head, "x-ms-request-id"), 1, "one request id");
    ok(!str_eq(get(&head, "x-ms-request-id"), STR("old")), "a fresh one");
    is_text(get(&head, "x-ms-version"), "2021-08-06", "the version asked for");
    is_text(get(&head, "Age"), "30", "the age");
    is_text(get(&head, "Cache-Status"), "headpond; hit", "Cache-Status");
    is_text(get(&head, "Via"), "1.1 headpond", "Via");
    is_text(get(&head, "Accept-Ranges"), "bytes", "Accept-Ranges");
    facts = make_facts("two words", true);
    reply_whole(&head, &facts, object);
    is_text(get(&head, "x-ms-access-tier"), "Hot", "HEAD has it");
    is_text(get(&head, "x-ms-client-request-id"), NULL, "an id that is not visible ASCII is not echoed");
}

static void test_range(const struct object *object)
{
    struct reply_facts facts = make_facts(NULL, false);
    struct http_response head;
    reply_range(&head, &facts, object, 10, 19);
    is_int(head.status, 206, "206");
    is_int(head.content_length, 10, "its length");
    is_text(get(&head, "Content-Range"), "bytes 10-19/1000", "Content-Range");
    is_text(get(&head, "Content-MD5"), NULL, "a range has no MD5 of its own");
    is_text(get(&head, "x-ms-blob-content-md5"), "bWQ1", "the blob's moves");
    is_text(get(&head, "x-ms-client-request-id"), NULL, "no id where none was given");
    facts.range_md5 = STR("cmFuZ2U=");
    reply_range(&head, &facts, object, 10, 19);
    is_text(get(&head, "Content-MD5"), "cmFuZ2U=", "unless it was asked for");
    is_text(get(&head, "x-ms-blob-content-md5"), "bWQ1", "beside the blob's");
    is_text(get(&head, "x-ms-content-crc64"), NULL, "and alone");
    facts.range_md5 = STR_NULL;
    facts.range_crc64 = STR("Y3JjNjQ=");
    reply_range(&head, &facts, object, 10, 19);
    is_text(get(&head, "x-ms-content-crc64"), "Y3JjNjQ=", "so has its CRC64 a name");
    is_text(get(&head, "Content-MD5"), NULL, "of its own");
    struct str text = reply_range_error(&head, &facts, 0);
    is_int(head.status, 416, "416");
    is_text(get(&head, "Content-Range"), "bytes */0", "an empty blob has no range");
    is_text(get(&head, "x-ms-error-code"), "InvalidRange", "its code");
    ok(str_starts(text, STR("<?xml")), "its body");
    is_int(head.content_length, (long long) text.len, "its length");
}

static void test_errors(const struct object *object)
{
    struct reply_facts facts = make_facts(NULL, false);
    struct http_response head;
    facts.outcome = OUTCOME_BYPASS;
    facts.detail = "shared-key";
    struct str text = reply_error(&head, &facts, blob_error_of(STATUS_RESOLVE), "dns_error");
    is_int(head.status, 503, "what SDKs try again");
    is_text(get(&head, "Proxy-Status"), "headpond; error=dns_error", "Proxy-Status");
    is_text(get(&head, "Cache-Status"), "headpond; fwd=bypass; detail=\"shared-key\"", "the detail");
    ok(text.len > 0 && (long long) text.len == head.content_length, "a body");
    facts = make_facts(NULL, true);
    text = reply_error(&head, &facts, &BLOB_ERROR_CONDITION_NOT_MET, NULL);
    ok(text.ptr == NULL, "HEAD has none");
    is_text(get(&head, "x-ms-error-code"), "ConditionNotMet", "but the code");
    reply_not_modified(&head, &facts, object);
    is_int(head.status, 304, "304");
    is_text(get(&head, "ETag"), "\"0x8D\"", "with the ETag");
    facts.endpoint = BLOB_ENDPOINT_DFS;
    facts.head = false;
    text = reply_error(&head, &facts, blob_error_of(STATUS_BAD_TARGET), NULL);
    ok(text.len > 0 && text.ptr[0] == '{', "Data Lake speaks JSON");
}

static void causes(void)
{
    is_str(proxy_status_of(STATUS_RESOLVE), "dns_error", "an origin's name");
    is_str(proxy_status_of(STATUS_SHUTDOWN), "proxy_internal_error", "an end of ours is nobody's configuration");
}

int main(void)
{
    causes();
    arena = arena_new();
    struct object *object = make_object();
    if (object != NULL) {
        test_whole(object);
        test_range(object);
        test_errors(object);
    }
    object_free(object);
    arena_free(arena);
    return done_testing();
}
