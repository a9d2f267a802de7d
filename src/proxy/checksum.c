/* SPDX-License-Identifier: Apache-2.0 */
/* checksum.c: the line, and the sum. */
#include "proxy/checksum.h"

#include <assert.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/container.h"
#include "base/crc64.h"
#include "base/hash.h"
#include "base/mem.h"

/* Summed in one round of the loop; MD5 takes a fifth of a millisecond. */
#define SLICE (128 * 1024)

struct checksum {
    struct checksum_line *line;
    struct list link; /* while it has something to sum */
    struct source *from;
    size_t left;
    struct md5 *md5; /* NULL: CRC64 */
    uint64_t crc64;
    char text[BASE64_LENGTH(16)];
    unsigned text_length;
    void (*done)(void *arg, enum status why);
    void *arg;
};

/* ---- The sum ---- */

static void add(struct checksum *checksum, const struct source_view *view)
{
    for (unsigned i = 0; i < view->count; i++) {
        const struct iovec *piece = &view->pieces[i];
        if (checksum->md5 != NULL)
            md5_add(checksum->md5, piece->iov_base, piece->iov_len);
        else
            checksum->crc64 = crc64(checksum->crc64, piece->iov_base, piece->iov_len);
    }
    checksum->left -= view->bytes;
}

static void conclude(struct checksum *checksum)
{
    uint8_t sum[16];
    size_t size = sizeof sum;
    if (checksum->md5 != NULL) {
        md5_end(&checksum->md5, sum);
    } else {
        size = sizeof checksum->crc64;
        bytes_put64(sum, checksum->crc64);
    }
    checksum->text_length = (unsigned) (base64_encode(checksum->text, sum, size) - checksum->text);
}

/* DATA: more is there, or may be. */
static enum source_state add_slice(struct checksum *checksum, enum status *why)
{
    size_t most = checksum->left < SLICE ? checksum->left : SLICE;
    for (size_t stop = checksum->left - most; checksum->left > stop;) {
        struct source_view view;
        enum source_state state = source_peek(checksum->from, &view, checksum->left - stop);
        if (state == SOURCE_WAIT)
            return state;
        if (state != SOURCE_DATA) {
            *why = state == SOURCE_END ? STATUS_TRUNCATED : checksum->from->error;
            return SOURCE_FAILED;
        }
        add(checksum, &view);
        source_consume(checksum->from, view.bytes);
    }
    if (checksum->left > 0)
        return SOURCE_DATA;
    conclude(checksum);
    return SOURCE_END;
}

/* ---- The line ---- */

static void enter(void *arg)
{
    struct checksum *checksum = arg;
    if (!list_empty(&checksum->link))
        return;
    list_add_tail(&checksum->line->waiting, &checksum->link);
    timer_hasten(&checksum->line->timer, 0);
}

/* The first stays the first until it is through or has to wait: what it holds is given back the sooner. */
static void go_on(struct timer *timer)
{
    struct checksum_line *line = CONTAINER_OF(timer, struct checksum_line, timer);
    if (list_empty(&line->waiting))
        return;
    struct checksum *checksum = LIST_ENTRY(line->waiting.next, struct checksum, link);
    enum status why = STATUS_OK;
    enum source_state state = add_slice(checksum, &why);
    if (state != SOURCE_DATA)
        list_remove(&checksum->link);
    if (!list_empty(&line->waiting))
        timer_set(timer, 0);
    if (state == SOURCE_END || state == SOURCE_FAILED) {
        source_close(&checksum->from);
        checksum->done(checksum->arg, why);
    }
}

void checksum_line_init(struct checksum_line *line, struct loop *loop)
{
    list_init(&line->waiting);
    timer_init(&line->timer, loop, go_on);
}

void checksum_line_fini(struct checksum_line *line)
{
    timer_fini(&line->timer);
}

/* ---- One of them ---- */

struct checksum *checksum_new(struct checksum_line *line, enum blob_checksum kind, struct source **from, size_t size,
                              void (*done)(void *arg, enum status why), void *arg)
{
    assert((kind == BLOB_CHECKSUM_MD5 || kind == BLOB_CHECKSUM_CRC64) && size > 0 && size <= CHECKSUM_RANGE_MAX);
    struct md5 *md5 = kind == BLOB_CHECKSUM_MD5 ? md5_begin() : NULL;
    if (kind == BLOB_CHECKSUM_MD5 && md5 == NULL)
        return NULL;
    struct checksum *checksum = mem_calloc(1, sizeof *checksum);
    checksum->line = line;
    list_init(&checksum->link);
    checksum->from = *from;
    *from = NULL;
    checksum->left = size;
    checksum->md5 = md5;
    checksum->done = done;
    checksum->arg = arg;
    source_listen(checksum->from, enter, checksum);
    enter(checksum);
    return checksum;
}

struct str checksum_text(const struct checksum *checksum)
{
    return (struct str){checksum->text, checksum->text_length};
}

void checksum_close(struct checksum **pointer)
{
    struct checksum *checksum = *pointer;
    *pointer = NULL;
    if (checksum == NULL)
        return;
    list_remove(&checksum->link);
    source_close(&checksum->from);
    md5_free(&checksum->md5);
    mem_free(checksum);
}
