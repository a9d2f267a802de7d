/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_object.c: from a reply's head to an object, to a record and back; and that no bytes whatever make the decoder
 * read or show what is not there.
 */
#include "tap.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "cache/object.h"
#include "store/store.h"

#define ETAG "\"0x8DC0FFEE\""
#define MODIFIED "Tue, 14 Nov 2023 22:13:20 GMT"
#define MODIFIED_S 1700000000

/* A reply; names and values in pairs, NULL at the end. */
static struct http_response reply_of(struct arena *arena, int status, int64_t length, const char *const *fields)
{
    struct http_response reply = {.status = status, .content_length = length, .headers.arena = arena};
    for (; fields[0] != NULL; fields += 2)
        http_headers_add(&reply.headers, str_from(fields[0]), str_from(fields[1]));
    return reply;
}

static enum status make(int status, int64_t length, const char *const *fields, bool head, const struct object *before,
                        struct object **object)
{
    struct arena *arena = arena_new();
    struct http_response reply = reply_of(arena, status, length, fields);
    *object = NULL;
    enum status result = object_from_reply(&reply, head, 1234567, before, object);
    arena_free(arena); /* the object must not need it */
    return result;
}

/* All that a Get Blob of the reference shows. */
#define GET_FIELDS                                                                                                     \
    "ETag", ETAG, "Last-Modified", MODIFIED, "Content-Type", "application/octet-stream", "Content-Encoding", "gzip",   \
        "Content-Language", "en", "Content-Disposition", "inline", "Cache-Control", "no-cache", "Accept-Ranges",       \
        "bytes", "x-ms-creation-time", MODIFIED, "x-ms-meta-Author", "someone", "x-ms-meta-empty", "",                 \
        "x-ms-blob-type", "BlockBlob", "x-ms-version-id", "2023-11-14T22:13:20.0000000Z", "x-ms-is-current-version",   \
        "true", "x-ms-tag-count", "3", "x-ms-server-encrypted", "true", "x-ms-lease-status", "unlocked",               \
        "x-ms-lease-state", "available", "x-ms-copy-id", "11111111", "x-ms-copy-status", "success",                    \
        "x-ms-copy-source", "https://a.blob.core.windows.net/c/b?sv=1&sig=SECRET", "x-ms-legal-hold", "false",         \
        "x-ms-owner", "$superuser"
/* Of the one reply. */
#define REPLY_FIELDS                                                                                                   \
    "x-ms-request-id", "rid", "x-ms-client-request-id", "mine", "Date", MODIFIED, "x-ms-version", "2023-11-03",        \
        "Server", "Azure", "Content-Crc", "x"

static const char *const get_206[] = {GET_FIELDS,
                                      REPLY_FIELDS,
                                      "Content-Range",
                                      "bytes 0-0/5000000000",
                                      "x-ms-blob-content-md5",
                                      "d2hvbGU=",
                                      "Content-MD5",
                                      "cmFuZ2U=",
                                      NULL};
static const char *const get_200[] = {GET_FIELDS, REPLY_FIELDS, "Content-MD5", "d2hvbGU=", NULL};
static const char *const head_200[] = {GET_FIELDS,
                                       REPLY_FIELDS,
                                       "Content-MD5",
                                       "d2hvbGU=",
                                       "x-ms-access-tier",
                                       "Hot",
                                       "x-ms-access-tier-inferred",
                                       "true",
                                       "x-ms-archive-status",
                                       "rehydrate-pending-to-hot",
                                       NULL};

static bool headers_equal(const struct http_headers *a, const struct http_headers *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (!str_eq(a->items[i].name, b->items[i].name) || !str_eq(a->items[i].value, b->items[i].value))
            return false;
    return true;
}

static bool objects_equal(const struct object *a, const struct object *b)
{
    return a->length == b->length && str_eq(a->etag, b->etag) && str_eq(a->last_modified, b->last_modified) &&
           a->last_modified_s == b->last_modified_s && str_eq(a->content_md5, b->content_md5) &&
           a->head_validated_s == b->head_validated_s && headers_equal(&a->headers, &b->headers) &&
           headers_equal(&a->head_only, &b->head_only);
}

static void round_trip(const struct object *object, const char *what)
{
    struct strbuf record = {0};
    is_int(object_encode(object, &record), STATUS_OK, "%s: is written", what);
    struct object *again = object_decode(strbuf_str(&record), object->length);
    ok(again != NULL && objects_equal(object, again), "%s: reads back the same", what);
    object_free(again);
    again = object_decode(strbuf_str(&record), object->length + 1);
    ok(again == NULL, "%s: not as a blob of another length", what);
    object_free(again);
    strbuf_free(&record);
}

static void check_common(const struct object *object, uint64_t length, const char *what)
{
    is_int(object->length, length, "%s: the whole blob's length", what);
    is_text(object->etag, ETAG, "%s: ETag", what);
    is_text(object->last_modified, MODIFIED, "%s: Last-Modified", what);
    is_int(object->last_modified_s, MODIFIED_S, "%s: parsed", what);
    is_text(object->content_md5, "d2hvbGU=", "%s: the whole blob's MD5", what);
    is_text(http_headers_get(&object->headers, STR("x-ms-meta-author")), "someone", "%s: metadata", what);
    ok(http_headers_find(&object->headers, STR("x-ms-meta-empty")) != NULL, "%s: empty metadata", what);
    is_text(http_headers_get(&object->headers, STR("x-ms-lease-state")), "available", "%s: lease", what);
    is_text(http_headers_get(&object->headers, STR("x-ms-copy-source")), "https://a.blob.core.windows.net/c/b",
            "%s: the copy's source without its SAS", what);
    static const char *const not_kept[] = {"x-ms-request-id", "x-ms-client-request-id", "Date",
                                           "Content-MD5",     "x-ms-blob-content-md5",  "Content-Range",
                                           "x-ms-access-tier"};
    for (unsigned i = 0; i < sizeof(not_kept) / sizeof(not_kept[0]); i++)
        ok(http_headers_find(&object->headers, str_from(not_kept[i])) == NULL, "%s: without %s", what, not_kept[i]);
}

static void test_replies(void)
{
    struct object *ranged;
    struct object *whole;
    struct object *head;

    is_int(make(206, 1, get_206, false, NULL, &ranged), STATUS_OK, "206");
    check_common(ranged, 5000000000, "206");
    is_int(ranged->head_validated_s, 0, "206: HEAD's own are unknown");
    round_trip(ranged, "206");

    is_int(make(200, 77, get_200, false, NULL, &whole), STATUS_OK, "200");
    check_common(whole, 77, "200");
    round_trip(whole, "200");

    is_int(make(200, 77, head_200, true, whole, &head), STATUS_OK, "HEAD");
    check_common(head, 77, "HEAD");
    is_int(head->head_validated_s, 1234567, "HEAD: when its own were learnt");
    is_text(http_headers_get(&head->head_only, STR("x-ms-access-tier")), "Hot", "HEAD: tier");
    is_int(head->head_only.count, 3, "HEAD: three of its own");
    round_trip(head, "HEAD");

    struct object *after;
    is_int(make(200, 77, get_200, false, head, &after), STATUS_OK, "a GET after the HEAD");
    is_text(http_headers_get(&after->head_only, STR("x-ms-access-tier")), "Hot", "keeps the tier");
    is_int(after->head_validated_s, 1234567, "and when it was learnt");
    round_trip(after, "a GET after the HEAD");
    object_free(after);

    static const char *const changed[] = {"ETag", "\"other\"", "Last-Modified", MODIFIED, NULL};
    is_int(make(200, 77, changed, false, head, &after), STATUS_OK, "a GET of another generation after the HEAD");
    is_int(after->head_only.count, 0, "does not");
    is_int(after->head_validated_s, 0, "nor when");
    round_trip(after, "another generation");
    object_free(after);
    object_free(ranged);
    object_free(whole);
    object_free(head);
}

static void expect(enum status expected, int status, int64_t length, const char *const *fields, const char *what)
{
    struct object *object;
    is_int(make(status, length, fields, false, NULL, &object), expected, "%s", what);
    object_free(object);
}

#define BOTH "ETag", ETAG, "Last-Modified", MODIFIED

static void test_odd_replies(void)
{
    struct object *object;
    static const char *const azurite[] = {BOTH, "Content-Range", "bytes 0--1/0", NULL};
    is_int(make(206, 0, azurite, false, NULL, &object), STATUS_OK, "Azurite's range of an empty blob");
    is_int(object == NULL ? -1 : (long long) object->length, 0, "is an empty blob");
    object_free(object);

    static const char *const lone[] = {BOTH, NULL};
    is_int(make(200, 0, lone, false, NULL, &object), STATUS_OK, "an empty blob");
    round_trip(object, "an empty blob");
    object_free(object);

    static const char *const no_etag[] = {"Last-Modified", MODIFIED, NULL};
    static const char *const no_date[] = {"ETag", ETAG, NULL};
    static const char *const weak[] = {"ETag", "W/\"x\"", "Last-Modified", MODIFIED, NULL};
    static const char *const void_etag[] = {"ETag", "\"\"", "Last-Modified", MODIFIED, NULL};
    static const char *const not_quite[] = {BOTH, "Content-Range", "bytes 0-1/0", NULL};
    static const char *const unknown[] = {BOTH, "Content-Range", "bytes 0-0/*", NULL};
    static const char *const unsatisfied[] = {BOTH, "Content-Range", "bytes */10", NULL};
    static const char *const pending[] = {BOTH, "x-ms-copy-status", "Pending", NULL};
    expect(STATUS_BAD_REPLY, 200, 5, no_etag, "no ETag");
    expect(STATUS_BAD_REPLY, 200, 5, no_date, "no Last-Modified");
    expect(STATUS_BAD_REPLY, 200, 5, weak, "a weak ETag, by which nothing can be pinned");
    expect(STATUS_BAD_REPLY, 200, 5, void_etag, "an empty ETag");
    expect(STATUS_BAD_REPLY, 206, 5, lone, "206 without Content-Range");
    expect(STATUS_BAD_REPLY, 206, 5, unknown, "206 of a blob of unknown length");
    expect(STATUS_BAD_REPLY, 206, 5, unsatisfied, "206 with a 416's Content-Range");
    expect(STATUS_BAD_REPLY, 206, 2, not_quite, "206 that contradicts itself");
    expect(STATUS_BAD_REPLY, 200, HTTP_LENGTH_UNKNOWN, lone, "200 without a length");
    expect(STATUS_NOT_IMPLEMENTED, 200, 5, pending, "a copy is pending");
    expect(STATUS_TOO_LARGE, 200, (INT64_C(1) << 48) + 1, lone, "a length that no blob has");

    static const char *const odd_date[] = {"ETag", "0x1", "Last-Modified", "yesterday", NULL};
    is_int(make(200, 5, odd_date, false, NULL, &object), STATUS_OK, "a Last-Modified that is no date");
    ok(object != NULL && object->last_modified_s == INT64_MIN, "is kept as text");
    object_free(object);
}

static void test_too_large(void)
{
    struct arena *arena = arena_new();
    static const char *const lone[] = {BOTH, NULL};
    struct http_response reply = reply_of(arena, 200, 5, lone);
    char *big = arena_alloc(arena, 1000);
    struct object *object = NULL;
    struct strbuf record = {0};

    memset(big, 'v', 1000);
    for (int i = 0; i < 70; i++)
        http_headers_add(&reply.headers, arena_printf(arena, "x-ms-meta-k%d", i), (struct str){big, 1000});
    is_int(object_from_reply(&reply, false, 1, NULL, &object), STATUS_OK, "70 kB of metadata");
    is_int(object_encode(object, &record), STATUS_TOO_LARGE, "make no record");
    object_free(object);
    record.len = 0;

    reply = reply_of(arena, 200, 5, lone);
    for (int i = 0; i < 300; i++)
        http_headers_add(&reply.headers, arena_printf(arena, "x-ms-meta-k%d", i), STR("v"));
    is_int(object_from_reply(&reply, false, 1, NULL, &object), STATUS_OK, "300 headers");
    is_int(object_encode(object, &record), STATUS_TOO_LARGE, "make no record");
    object_free(object);
    strbuf_free(&record);
    arena_free(arena);
}

/* ---- Damaged records. ---- */

static volatile unsigned char sink;

static void touch(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        sink = (unsigned char) (sink ^ text.ptr[i]);
}

/* Reads every text of the object: the sanitizer sees one that is out of bounds. */
static void touch_all(const struct object *object)
{
    const struct http_headers *lists[] = {&object->headers, &object->head_only};
    touch(object->etag);
    touch(object->last_modified);
    touch(object->content_md5);
    for (unsigned l = 0; l < 2; l++)
        for (unsigned i = 0; i < lists[l]->count; i++) {
            touch(lists[l]->items[i].name);
            touch(lists[l]->items[i].value);
        }
}

/* The bytes in an allocation of just their size, freed before the object is looked at. */
static struct object *decode_alone(const char *bytes, size_t len, uint64_t length)
{
    char *copy = mem_alloc(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    struct object *object = object_decode((struct str){copy, len}, length);
    memset(copy, 0xee, len);
    mem_free(copy);
    if (object != NULL)
        touch_all(object);
    return object;
}

static void test_damage(void)
{
    struct object *object;
    struct strbuf record = {0};
    unsigned decoded = 0;
    unsigned impossible = 0;

    if (make(200, 77, head_200, true, NULL, &object) != STATUS_OK || object_encode(object, &record) != STATUS_OK) {
        ok(false, "a record to damage");
        return;
    }
    for (size_t len = 0; len < record.len; len++) {
        struct object *damaged = decode_alone(record.ptr, len, 77);
        decoded += damaged != NULL;
        object_free(damaged);
    }
    is_int(decoded, 0, "no truncation of %zu is a record", record.len);
    strbuf_add(&record, "", 1);
    struct object *longer = decode_alone(record.ptr, record.len, 77);
    ok(longer == NULL, "nor is one with a byte more");
    object_free(longer);
    record.len--;

    srand(1);
    for (int round = 0; round < 20000; round++) {
        char *bytes = mem_alloc(record.len);
        memcpy(bytes, record.ptr, record.len);
        for (int flips = 1 + rand() % 4; flips > 0; flips--) {
            size_t at = (size_t) rand() % (rand() % 2 ? record.len : 64); /* the numbers at the front more often */
            bytes[at] = (char) (bytes[at] ^ (1 << rand() % 8));
        }
        struct object *damaged = decode_alone(bytes, record.len, 77);
        if (damaged != NULL && (damaged->length != 77 || damaged->etag.len == 0 || damaged->headers.count > 256))
            impossible++;
        object_free(damaged);
        mem_free(bytes);
    }
    is_int(impossible, 0, "20,000 damaged records: refused or within bounds");
    object_free(object);
    strbuf_free(&record);
}

/* There is one in memory for each blob that is known: what they take is bounded by what they say. */
static void test_size(void)
{
    enum { COUNT = 1000 };
    static struct object *made[COUNT], *read[COUNT];
    struct strbuf record = {0};
    size_t before = mem_used(), said = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        record.len = 0;
        if (make(206, 1, get_206, false, NULL, &made[i]) != STATUS_OK || object_encode(made[i], &record) != STATUS_OK)
            abort();
        read[i] = object_decode(strbuf_str(&record), 5000000000);
        said += object_size(made[i]) + object_size(read[i]);
    }
    size_t taken = mem_used() - before;
    ok(taken > said * 9 / 10 && taken < said * 11 / 10, "objects take what they say: %zu of %zu KiB", taken / 1024,
       said / 1024);
    /* Under the sanitizers each text is an allocation of its own. */
    ok(said / (2 * COUNT) < 8 * record.len, "and not many times their records: %zu bytes of %zu", said / (2 * COUNT),
       record.len);
    for (unsigned i = 0; i < COUNT; i++) {
        object_free(made[i]);
        object_free(read[i]);
    }
    strbuf_free(&record);
}

int main(void)
{
    test_replies();
    test_odd_replies();
    test_too_large();
    test_damage();
    test_size();
    return done_testing();
}
