/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.c: blob records. The input is a record, whose encoding is what was decoded; and a reply's header fields, a
 * line each behind a status and a length, whose object survives the way to the disk and back, with nothing in it that
 * is not the blob's.
 */
#include "base/bytes.h"
#include "blob/property.h"
#include "cache/object.h"
#include "store/store.h"
#include "fuzz.h"

static void from_record(struct str record)
{
    uint64_t length = record.len < 9 ? 0 : bytes_get64((const uint8_t *) record.ptr + 1);
    struct strbuf again = {0};
    struct object *object = object_decode(record, length);
    if (object == NULL)
        return;
    fuzz_check(object->length == length && length <= OBJECT_LENGTH_MAX && object->etag.len > 0);
    enum status status = object_encode(object, &again);
    fuzz_check(status == (record.len > STORE_RECORD_MAX ? STATUS_TOO_LARGE : STATUS_OK));
    fuzz_check(str_eq(strbuf_str(&again), record));
    fuzz_check(object_decode(record, length + 1) == NULL);
    object_free(object);
    strbuf_free(&again);
}

static void check_headers(const struct http_headers *headers, enum property what)
{
    for (unsigned i = 0; i < headers->count; i++) {
        struct http_header header = headers->items[i];
        fuzz_check(property_of(header.name) == what);
        fuzz_check(str_eq(header.value, property_value(header.name, header.value)));
    }
}

static void there_and_back(const struct object *object)
{
    struct strbuf record = {0}, again = {0};
    if (object_encode(object, &record) == STATUS_OK) {
        struct object *back = object_decode(strbuf_str(&record), object->length);
        fuzz_check(back != NULL && fuzz_same(back->etag, object->etag));
        fuzz_check(fuzz_same(back->last_modified, object->last_modified));
        fuzz_check(fuzz_same(back->content_md5, object->content_md5));
        fuzz_check(back->last_modified_s == object->last_modified_s);
        fuzz_check(back->head_validated_s == object->head_validated_s);
        fuzz_check(object_encode(back, &again) == STATUS_OK && str_eq(strbuf_str(&again), strbuf_str(&record)));
        object_free(back);
    }
    strbuf_free(&record);
    strbuf_free(&again);
}

static void from_reply(struct arena *arena, struct str rest)
{
    struct http_response reply = {.headers.arena = arena};
    struct object *head, *get;
    int64_t status;
    if (!str_to_int(fuzz_line(arena, &rest), &status) || status < 100 || status > 599)
        return;
    reply.status = (int) status;
    if (!str_to_int(fuzz_line(arena, &rest), &reply.content_length))
        reply.content_length = HTTP_LENGTH_UNKNOWN;
    fuzz_fields(rest, 200, &reply.headers);
    if (object_from_reply(&reply, true, 1700000000, NULL, &head) != STATUS_OK)
        return;
    fuzz_check(head->length <= OBJECT_LENGTH_MAX && head->head_validated_s == 1700000000);
    check_headers(&head->headers, PROPERTY_KEEP);
    check_headers(&head->head_only, PROPERTY_HEAD_ONLY);
    there_and_back(head);
    /* A GET of the same keeps what only the HEAD could know. */
    fuzz_check(object_from_reply(&reply, false, 1700000009, head, &get) == STATUS_OK);
    fuzz_check(get->head_only.count == head->head_only.count && get->head_validated_s == 1700000000);
    there_and_back(get);
    object_free(get);
    object_free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    from_record(fuzz_exact(arena, fuzz_input(data, size)));
    from_reply(arena, fuzz_input(data, size));
    arena_free(arena);
    return 0;
}
