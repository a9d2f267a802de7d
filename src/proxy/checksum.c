/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.c: gather, sum, show. The memory belongs to the loop but for the time between worker_submit and the letter
 * that says that the worker is done; a checksum that is closed meanwhile waits for the letter, with its turn.
 */
#include "proxy/checksum.h"

#include <assert.h>
#include <string.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/container.h"
#include "base/crc64.h"
#include "base/mem.h"
#include "base/worker.h"
#include "net/loop.h"

/* Copied in one event before others get their turn, and asked of the source at once. */
#define GATHER_BUDGET (1024 * 1024)
#define GATHER_PULL (256 * 1024)
/* A full queue of work is looked at again after so long. */
#define BUSY_MS 5
/* Up to this a range is soon sent, also to a slow client: the kernel takes it. */
#define BRIEF_MAX (64 * 1024)
/* What is counted for besides the bytes. */
#define COST_BASE 4096

enum phase { GATHER, SUBMIT, WORK, DONE };

struct checksum {
    struct source source; /* first: what it becomes */
    struct loop *loop;
    struct source *from;
    struct line_ticket turn;
    struct timer timer;
    struct work work;
    struct letter letter;
    enum blob_checksum kind;
    enum phase phase;
    enum status sum_error; /* the worker's */
    bool closed;           /* while the worker has it */
    uint8_t *data;
    size_t size;
    size_t filled;
    size_t taken;
    char text[BASE64_LENGTH(16)];
    unsigned text_length;
    void (*ready)(void *arg);
    void *arg;
};

bool checksum_ask(struct line_ticket *turn, struct proxy_loop *home, size_t size, void (*come)(void *arg, enum status why),
                  void *arg)
{
    return turn_ask_bytes(turn, home, COST_BASE + size, size <= BRIEF_MAX, come, arg);
}

static void checksum_free(struct checksum *checksum)
{
    source_close(&checksum->from);
    timer_fini(&checksum->timer);
    mem_free(checksum->data);
    line_leave(&checksum->turn);
    mem_free(checksum);
}

/* ---- The worker ---- */

static void run(struct work *work)
{
    struct checksum *checksum = CONTAINER_OF(work, struct checksum, work);
    uint8_t sum[16];
    size_t size = sizeof sum;
    if (checksum->kind == BLOB_CHECKSUM_CRC64) {
        size = sizeof(uint64_t);
        bytes_put64(sum, crc64(0, checksum->data, checksum->size));
    } else if (!hash_md5(checksum->data, checksum->size, sum)) {
        checksum->sum_error = STATUS_NOT_IMPLEMENTED;
        return;
    }
    checksum->text_length = (unsigned) (base64_encode(checksum->text, sum, size) - checksum->text);
}

static void run_done(struct work *work)
{
    struct checksum *checksum = CONTAINER_OF(work, struct checksum, work);
    loop_post(checksum->loop, &checksum->letter);
}

static void on_summed(struct letter *letter)
{
    struct checksum *checksum = CONTAINER_OF(letter, struct checksum, letter);
    checksum->phase = DONE;
    if (checksum->closed)
        checksum_free(checksum);
    else
        checksum->ready(checksum->arg);
}

/* ---- Gathering ---- */

static void on_timer(struct timer *timer)
{
    struct checksum *checksum = CONTAINER_OF(timer, struct checksum, timer);
    checksum->ready(checksum->arg);
}

struct checksum *checksum_new(struct loop *loop, enum blob_checksum kind, struct source **from, size_t size,
                              struct line_ticket *turn, void (*ready)(void *arg), void *arg)
{
    assert((kind == BLOB_CHECKSUM_MD5 || kind == BLOB_CHECKSUM_CRC64) && size > 0 && size <= CHECKSUM_RANGE_MAX);
    struct checksum *checksum = mem_calloc(1, sizeof *checksum);
    checksum->loop = loop;
    checksum->kind = kind;
    checksum->from = *from;
    *from = NULL;
    line_move(&checksum->turn, turn);
    checksum->work = (struct work){.run = run, .done = run_done};
    checksum->letter.deliver = on_summed;
    checksum->data = mem_alloc(size);
    checksum->size = size;
    checksum->ready = ready;
    checksum->arg = arg;
    timer_init(&checksum->timer, loop, on_timer);
    source_listen(checksum->from, ready, arg);
    return checksum;
}

static enum source_state gather(struct checksum *checksum, enum status *why)
{
    size_t until =
        checksum->size - checksum->filled < GATHER_BUDGET ? checksum->size : checksum->filled + GATHER_BUDGET;
    while (checksum->filled < until) {
        struct source_view view;
        size_t left = until - checksum->filled;
        enum source_state state = source_peek(checksum->from, &view, left < GATHER_PULL ? left : GATHER_PULL);
        if (state == SOURCE_WAIT)
            return state;
        if (state != SOURCE_DATA) {
            *why = state == SOURCE_END ? STATUS_TRUNCATED : checksum->from->error;
            return SOURCE_FAILED;
        }
        for (unsigned i = 0; i < view.count; i++) {
            memcpy(checksum->data + checksum->filled, view.pieces[i].iov_base, view.pieces[i].iov_len);
            checksum->filled += view.pieces[i].iov_len;
        }
        source_consume(checksum->from, view.bytes);
    }
    if (checksum->filled < checksum->size) {
        timer_set(&checksum->timer, 0);
        return SOURCE_WAIT;
    }
    source_close(&checksum->from);
    checksum->phase = SUBMIT;
    return SOURCE_END;
}

static enum source_state submit(struct checksum *checksum, enum status *why)
{
    *why = worker_submit(&checksum->work);
    switch (*why) {
    case STATUS_OK:
        checksum->phase = WORK;
        return SOURCE_WAIT;
    case STATUS_BUSY:
        timer_set(&checksum->timer, BUSY_MS);
        return SOURCE_WAIT;
    default:
        return SOURCE_FAILED;
    }
}

enum source_state checksum_step(struct checksum *checksum, enum status *why)
{
    enum source_state state = SOURCE_WAIT;
    switch (checksum->phase) {
    case GATHER:
        state = gather(checksum, why);
        if (state != SOURCE_END)
            return state;
        return submit(checksum, why);
    case SUBMIT:
        return submit(checksum, why);
    case WORK:
        return SOURCE_WAIT;
    case DONE:
        break;
    }
    *why = checksum->sum_error;
    return *why == STATUS_OK ? SOURCE_END : SOURCE_FAILED;
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
    if (checksum->phase == WORK)
        checksum->closed = true;
    else
        checksum_free(checksum);
}

/* ---- The body ---- */

static enum source_state checksum_peek(struct source *source, struct source_view *view, size_t max)
{
    struct checksum *checksum = (struct checksum *) source;
    size_t left = checksum->size - checksum->taken;
    if (left == 0)
        return SOURCE_END;
    view->pieces[0] = (struct iovec){checksum->data + checksum->taken, left < max ? left : max};
    view->count = 1;
    view->bytes = view->pieces[0].iov_len;
    return SOURCE_DATA;
}

static void checksum_consume(struct source *source, size_t bytes)
{
    struct checksum *checksum = (struct checksum *) source;
    checksum->taken += bytes;
}

static void checksum_close_source(struct source *source)
{
    checksum_free((struct checksum *) source);
}

static const struct source_class checksum_class = {"checksum", checksum_peek, checksum_consume, checksum_close_source};

struct source *checksum_into_source(struct checksum **pointer)
{
    struct checksum *checksum = *pointer;
    *pointer = NULL;
    assert(checksum->phase == DONE && checksum->sum_error == STATUS_OK);
    checksum->source.class = &checksum_class;
    return &checksum->source;
}
