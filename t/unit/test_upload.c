/* SPDX-License-Identifier: Apache-2.0 */
/* test_upload.c: a body that may outlive its exchange, and knows whether all of it was taken. */
#include "proxy/upload.h"

#include "tap.h"

static size_t take(struct source *source, size_t max)
{
    struct source_view view;
    if (source_peek(source, &view, max) != SOURCE_DATA)
        return 0;
    source_consume(source, view.bytes);
    return view.bytes;
}

int main(void)
{
    struct source_view view;
    struct source *body = source_from_str(STR("0123456789"));
    struct upload *upload = upload_new(&body, 10);
    struct source *source = upload_source(upload);
    ok(body == NULL, "the body is taken");
    is_int(take(source, 4), 4, "some");
    ok(!upload_complete(upload), "not all yet");
    is_int(take(source, 100), 6, "the rest");
    ok(upload_complete(upload), "a known length needs no look for the end");
    upload_cut(upload);
    ok(source_peek(source, &view, 1) == SOURCE_END, "the client's going changes nothing then");
    source_close(&source);
    upload_unref(&upload);

    body = source_from_str(STR("0123456789"));
    upload = upload_new(&body, -1);
    source = upload_source(upload);
    is_int(take(source, 100), 10, "all of an unknown length");
    ok(!upload_complete(upload), "is not known to be all");
    ok(source_peek(source, &view, 1) == SOURCE_END && upload_complete(upload), "until its end was seen");
    upload_unref(&upload);
    source_close(&source);

    body = source_from_str(STR("0123456789"));
    upload = upload_new(&body, 10);
    source = upload_source(upload);
    is_int(take(source, 4), 4, "some");
    upload_cut(upload);
    ok(source_peek(source, &view, 1) == SOURCE_FAILED && source->error == STATUS_CLIENT_GONE, "a body cut short fails");
    ok(!upload_complete(upload), "and was not all");
    source_close(&source);
    upload_unref(&upload);
    return done_testing();
}
