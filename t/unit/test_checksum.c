/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_checksum.c: a range is gathered in bits, summed by a worker, and shown; sources that fail or end early; a queue
 * that is full; a reader that leaves while a worker has its bytes; the end of the workers.
 */
#include "proxy/checksum.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "base/mem.h"
#include "base/worker.h"
#include "net/loop.h"
#include "tap.h"

static struct loop *loop;

/* ---- A source that shows what it is told to ---- */

struct feed {
    struct source source;
    const char *text;
    size_t length;
    size_t there; /* may be shown */
    size_t taken;
    enum source_state end; /* behind that: WAIT, END or FAILED */
    bool closed;
};

static enum source_state feed_peek(struct source *source, struct source_view *view, size_t max)
{
    struct feed *feed = (struct feed *) source;
    size_t left = feed->there - feed->taken;
    if (left == 0)
        return feed->end;
    static _Thread_local char pieces[2][4096];
    size_t n = left < max ? left : max;
    n = n < sizeof pieces[0] ? n : sizeof pieces[0];
    for (size_t i = 0; i < n; i++)
        pieces[i >= n / 3][i >= n / 3 ? i - n / 3 : i] = feed->text[(feed->taken + i) % feed->length];
    view->pieces[0] = (struct iovec){pieces[0], n / 3};
    view->pieces[1] = (struct iovec){pieces[1], n - n / 3};
    view->count = 2;
    view->bytes = n;
    return SOURCE_DATA;
}

static void feed_consume(struct source *source, size_t bytes)
{
    ((struct feed *) source)->taken += bytes;
}

static void feed_close(struct source *source)
{
    ((struct feed *) source)->closed = true;
}

static const struct source_class feed_class = {"feed", feed_peek, feed_consume, feed_close};

/* ---- A reader on the loop ---- */

struct reader {
    struct letter letter;
    void (*run)(struct reader *reader);
    sem_t ran;
    struct feed feed;
    enum blob_checksum kind;
    size_t size;
    struct checksum *checksum;
    unsigned readies;
    sem_t over; /* END or FAILED was seen */
    enum source_state state;
    enum status why;
    char text[32];
    struct strbuf body;
};

static void on_letter(struct letter *letter)
{
    struct reader *reader = (struct reader *) (void *) letter; /* its first member */
    reader->run(reader);
    sem_post(&reader->ran);
}

static void on_loop(struct reader *reader, void (*run)(struct reader *reader))
{
    reader->letter.deliver = on_letter;
    reader->run = run;
    loop_post(loop, &reader->letter);
    while (sem_wait(&reader->ran) != 0)
        ;
}

static void step(struct reader *reader)
{
    if (reader->checksum == NULL)
        return;
    reader->state = checksum_step(reader->checksum, &reader->why);
    if (reader->state == SOURCE_WAIT)
        return;
    if (reader->state == SOURCE_END) {
        struct str text = checksum_text(reader->checksum);
        snprintf(reader->text, sizeof reader->text, "%.*s", STR_ARG(text));
        struct source *body = checksum_into_source(&reader->checksum);
        struct source_view view;
        while (source_peek(body, &view, 1000) == SOURCE_DATA) {
            strbuf_add(&reader->body, view.pieces[0].iov_base, view.bytes);
            source_consume(body, view.bytes);
        }
        source_close(&body);
    }
    checksum_close(&reader->checksum);
    sem_post(&reader->over);
}

static void on_ready(void *arg)
{
    struct reader *reader = arg;
    reader->readies++;
    step(reader);
}

static void begin(struct reader *reader)
{
    struct source *from = &reader->feed.source;
    struct line_ticket turn = {0};
    reader->checksum = checksum_new(loop, reader->kind, &from, reader->size, &turn, on_ready, reader);
    step(reader);
}

static void leave(struct reader *reader)
{
    checksum_close(&reader->checksum);
}

static void more(struct reader *reader)
{
    reader->feed.there = reader->size;
    reader->feed.source.ready(reader->feed.source.arg);
}

static void init(struct reader *reader, enum blob_checksum kind, const char *text, size_t size)
{
    *reader = (struct reader){.kind = kind, .size = size};
    reader->feed = (struct feed){
        .source.class = &feed_class, .text = text, .length = strlen(text), .there = size, .end = SOURCE_END};
    sem_init(&reader->ran, 0, 0);
    sem_init(&reader->over, 0, 0);
}

static bool wait_over(struct reader *reader)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    return sem_timedwait(&reader->over, &until) == 0;
}

static void fini(struct reader *reader)
{
    strbuf_free(&reader->body);
    sem_destroy(&reader->ran);
    sem_destroy(&reader->over);
}

/* ---- Work that keeps a worker ---- */

static sem_t gate, at_gate;

static void wait_gate(struct work *work)
{
    (void) work;
    sem_post(&at_gate);
    while (sem_wait(&gate) != 0)
        ;
}

static void nothing(struct work *work)
{
    (void) work;
}

/* ---- Tests ---- */

static void test_sums(void)
{
    struct reader reader;
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3);
    on_loop(&reader, begin);
    ok(wait_over(&reader) && reader.state == SOURCE_END, "three bytes");
    is_str(reader.text, "kAFQmDzST7DWlj99KOF/cg==", "their MD5");
    is_text(strbuf_str(&reader.body), "abc", "the bytes");
    ok(reader.feed.closed, "the source is closed");
    fini(&reader);

    init(&reader, BLOB_CHECKSUM_CRC64, "123456789", 9);
    reader.feed.there = 4;
    reader.feed.end = SOURCE_WAIT;
    on_loop(&reader, begin);
    is_int(reader.state, SOURCE_WAIT, "nine bytes of which five are late");
    on_loop(&reader, more);
    ok(wait_over(&reader) && reader.state == SOURCE_END, "come in two goes");
    is_str(reader.text, "iJh5CoYUi64=", "their CRC64, low byte first");
    is_text(strbuf_str(&reader.body), "123456789", "the bytes");
    fini(&reader);

    init(&reader, BLOB_CHECKSUM_MD5, "0123456789abcdef", CHECKSUM_RANGE_MAX);
    size_t held = mem_used();
    on_loop(&reader, begin);
    ok(wait_over(&reader) && reader.body.len == CHECKSUM_RANGE_MAX, "the longest range");
    ok(reader.readies >= 4, "is gathered in several events (%u)", reader.readies);
    fini(&reader);
    ok(mem_used() < held + 65536, "and leaves nothing behind");
}

static void test_failures(void)
{
    struct reader reader;
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3000);
    reader.feed.there = 1000;
    reader.feed.end = SOURCE_FAILED;
    reader.feed.source.error = STATUS_GENERATION_CHANGED;
    on_loop(&reader, begin);
    ok(wait_over(&reader) && reader.state == SOURCE_FAILED && reader.why == STATUS_GENERATION_CHANGED,
       "a source that fails");
    ok(reader.feed.closed, "is closed");
    fini(&reader);
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3000);
    reader.feed.there = 2999;
    on_loop(&reader, begin);
    ok(wait_over(&reader) && reader.state == SOURCE_FAILED && reader.why == STATUS_TRUNCATED, "one that ends early");
    fini(&reader);
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3000);
    reader.feed.there = 100;
    reader.feed.end = SOURCE_WAIT;
    on_loop(&reader, begin);
    on_loop(&reader, leave);
    ok(reader.feed.closed, "one that is left");
    fini(&reader);
}

static void test_full_queue(void)
{
    struct work held = {.run = wait_gate, .done = nothing}, queued = {.run = nothing, .done = nothing};
    struct reader reader, gone;
    worker_start(1, 1);
    bool full = worker_submit(&held) == STATUS_OK;
    while (sem_wait(&at_gate) != 0)
        ;
    full = full && worker_submit(&queued) == STATUS_OK && worker_submit(&(struct work){0}) == STATUS_BUSY;
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3);
    on_loop(&reader, begin);
    ok(full && reader.state == SOURCE_WAIT, "a queue that is full: it waits");
    sem_post(&gate);
    ok(wait_over(&reader) && reader.state == SOURCE_END, "until there is room");
    is_str(reader.text, "kAFQmDzST7DWlj99KOF/cg==", "and is summed");
    fini(&reader);

    held = (struct work){.run = wait_gate, .done = nothing};
    full = worker_submit(&held) == STATUS_OK;
    while (sem_wait(&at_gate) != 0)
        ;
    size_t before = mem_used();
    init(&gone, BLOB_CHECKSUM_CRC64, "abc", 1000000);
    on_loop(&gone, begin);
    on_loop(&gone, leave);
    unsigned readies = gone.readies;
    ok(full && mem_used() >= before + 1000000, "who leaves while its bytes are in the queue leaves them there");
    sem_post(&gate);
    worker_stop();
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3);
    on_loop(&reader, begin); /* behind the worker's letter */
    ok(mem_used() < before + 65536 && gone.readies == readies, "they are freed then, and nobody is called");
    ok(wait_over(&reader) && reader.state == SOURCE_FAILED && reader.why == STATUS_SHUTDOWN,
       "without workers: SHUTDOWN");
    fini(&gone);
    fini(&reader);
}

int main(void)
{
    mem_init();
    sem_init(&gate, 0, 0);
    sem_init(&at_gate, 0, 0);
    loop = loop_new(0);
    loop_start(loop, NULL, NULL, NULL);
    worker_start(2, 16);
    test_sums();
    test_failures();
    worker_stop();
    test_full_queue();
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    return done_testing();
}
