/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c: a source around a source; what it adds is its life and the knowledge of the end. */
#include "proxy/upload.h"

#include "base/list.h"
#include "base/mem.h"

struct upload {
    struct source source;
    struct source *body; /* NULL: cut, or ended */
    unsigned refs;
    int64_t left; /* bytes not yet taken; negative: the length is not known */
    bool complete;
};

static struct upload *upload_of(struct source *source)
{
    return LIST_ENTRY(source, struct upload, source);
}

static void upload_drop(struct upload *upload)
{
    if (--upload->refs > 0)
        return;
    source_close(&upload->body);
    mem_free(upload);
}

static void on_ready(void *arg)
{
    struct upload *upload = arg;
    upload->source.ready(upload->source.arg);
}

static enum source_state upload_peek(struct source *source, struct source_view *view, size_t max)
{
    struct upload *upload = upload_of(source);
    if (upload->complete)
        return SOURCE_END;
    if (upload->body == NULL) {
        if (source->error == STATUS_OK)
            source->error = STATUS_CLIENT_GONE;
        return SOURCE_FAILED;
    }
    enum source_state state = source_peek(upload->body, view, max);
    if (state == SOURCE_END)
        upload->complete = true;
    else if (state == SOURCE_FAILED)
        source->error = upload->body->error;
    return state;
}

static void upload_consume(struct source *source, size_t bytes)
{
    struct upload *upload = upload_of(source);
    if (upload->body == NULL)
        return;
    source_consume(upload->body, bytes);
    if (upload->left >= 0) {
        upload->left -= (int64_t) bytes;
        if (upload->left <= 0)
            upload->complete = true; /* a consumer that knows the length need not look for the end */
    }
}

static void upload_close(struct source *source)
{
    struct upload *upload = upload_of(source);
    source_close(&upload->body);
    upload_drop(upload);
}

static const struct source_class upload_class = {"upload", upload_peek, upload_consume, upload_close};

struct upload *upload_new(struct source **body, int64_t length)
{
    struct upload *upload = mem_calloc(1, sizeof *upload);
    upload->source.class = &upload_class;
    upload->body = *body;
    upload->refs = 2;
    upload->left = length;
    upload->complete = length == 0;
    *body = NULL;
    source_listen(upload->body, on_ready, upload);
    return upload;
}

struct source *upload_source(struct upload *upload)
{
    return &upload->source;
}

bool upload_complete(const struct upload *upload)
{
    return upload->complete;
}

enum status upload_error(const struct upload *upload)
{
    return upload->source.error;
}

void upload_cut(struct upload *upload)
{
    source_close(&upload->body);
}

void upload_unref(struct upload **upload)
{
    struct upload *gone = *upload;
    *upload = NULL;
    if (gone != NULL)
        upload_drop(gone);
}
