/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c: see upload.h. Small pieces are gathered into one send. */
#include "origin/upload.h"

#include "http/message.h"

static void on_ready(void *arg)
{
    struct origin_upload *upload = arg;
    upload->waiting = false;
    upload->more(upload);
}

void origin_upload_init(struct origin_upload *upload, struct source **body, int64_t length,
                        void (*more)(struct origin_upload *upload))
{
    struct source *source = NULL;
    if (body != NULL) {
        source = *body;
        *body = NULL;
    }
    *upload = (struct origin_upload){.source = source, .more = more, .length = length};
    if (length == 0)
        source_close(&upload->source);
    if (upload->source == NULL)
        upload->finished = length <= 0;
    else
        source_listen(upload->source, on_ready, upload);
}

void origin_upload_fini(struct origin_upload *upload)
{
    source_close(&upload->source);
}

static enum origin_upload_step fail(struct origin_upload *upload, enum status why)
{
    upload->error = why;
    return ORIGIN_UPLOAD_FAILED;
}

/* What to do with a source that shows nothing, when nothing of this call is in hand. */
static enum origin_upload_step at_rest(struct origin_upload *upload, enum source_state state)
{
    if (state == SOURCE_WAIT) {
        upload->waiting = true;
        return ORIGIN_UPLOAD_WAIT;
    }
    if (state == SOURCE_FAILED)
        return fail(upload, upload->source->error == STATUS_OK ? STATUS_CLIENT_GONE : upload->source->error);
    if (upload->length >= 0)
        return fail(upload, STATUS_BAD_LENGTH); /* announced more; an origin must not take this for whole */
    upload->finished = true;
    return ORIGIN_UPLOAD_END;
}

enum origin_upload_step origin_upload_read(struct origin_upload *upload, char *out, size_t room, size_t *bytes)
{
    *bytes = 0;
    if (upload->finished)
        return ORIGIN_UPLOAD_END;
    if (upload->source == NULL)
        return fail(upload, STATUS_CANCELLED);
    if (upload->length >= 0 && (int64_t) room > upload->length - upload->taken)
        room = (size_t) (upload->length - upload->taken);
    while (*bytes < room) {
        struct source_view view;
        const enum source_state state = source_peek(upload->source, &view, room - *bytes);
        if (state == SOURCE_WAIT)
            upload->waiting = true;
        if (state != SOURCE_DATA && *bytes > 0)
            break; /* send what there is; the state is seen again by the next call */
        if (state != SOURCE_DATA)
            return at_rest(upload, state);
        for (unsigned i = 0; i < view.count; i++) {
            memcpy(out + *bytes, view.pieces[i].iov_base, view.pieces[i].iov_len);
            *bytes += view.pieces[i].iov_len;
        }
        source_consume(upload->source, view.bytes);
        upload->taken += (int64_t) view.bytes;
    }
    if (upload->taken == upload->length)
        upload->finished = true;
    return ORIGIN_UPLOAD_BYTES;
}
