/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_checksum.c: a range is summed in bits, slice by slice; sources that fail or end early; a line of several, in
 * which who waits for its source holds nobody up; a reader that leaves, in line or not.
 */
#include "proxy/checksum.h"

#include <semaphore.h>
#include <time.h>

#include "base/mem.h"
#include "net/loop.h"
#include "on_loop.h"
#include "tap.h"

static struct loop *loop;
static struct checksum_line line;
static unsigned rounds;

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
    struct feed feed;
    enum blob_checksum kind;
    size_t size;
    struct checksum *checksum;
    sem_t over;
    enum status why;
    unsigned place; /* as which it was done */
    char text[32];
};

static void on_done(void *arg, enum status why)
{
    static unsigned places;
    struct reader *reader = arg;
    reader->why = why;
    reader->place = ++places;
    struct str text = checksum_text(reader->checksum);
    snprintf(reader->text, sizeof reader->text, "%.*s", STR_ARG(text));
    checksum_close(&reader->checksum);
    sem_post(&reader->over);
}

static void begin(void *arg)
{
    struct reader *reader = arg;
    struct source *from = &reader->feed.source;
    reader->checksum = checksum_new(&line, reader->kind, &from, reader->size, on_done, reader);
}

static void leave(void *arg)
{
    struct reader *reader = arg;
    checksum_close(&reader->checksum);
}

static void more(void *arg)
{
    struct reader *reader = arg;
    reader->feed.there = reader->size;
    reader->feed.source.ready(reader->feed.source.arg);
}

static void init(struct reader *reader, enum blob_checksum kind, const char *text, size_t size)
{
    *reader = (struct reader){.kind = kind, .size = size};
    reader->feed = (struct feed){
        .source.class = &feed_class, .text = text, .length = strlen(text), .there = size, .end = SOURCE_END};
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
    sem_destroy(&reader->over);
}

/* ---- On the loop: its line, and its rounds while that is busy ---- */

static struct timer round_timer;

static void on_round(struct timer *timer)
{
    rounds++;
    timer_set(timer, 0);
}

static void set_up(struct loop *own, void *arg)
{
    (void) arg;
    checksum_line_init(&line, own);
    timer_init(&round_timer, own, on_round);
}

static void tear_down(struct loop *own, void *arg)
{
    (void) own;
    (void) arg;
    timer_fini(&round_timer);
    checksum_line_fini(&line);
}

static void count_rounds(void *arg)
{
    (void) arg;
    rounds = 0;
    timer_set(&round_timer, 0);
}

static void stop_rounds(void *arg)
{
    (void) arg;
    timer_clear(&round_timer);
}

/* When it is through, who was in line before it has had its turn. */
static void sum_another(void)
{
    struct reader reader;
    init(&reader, BLOB_CHECKSUM_CRC64, "abc", 3);
    on_loop(loop, begin, &reader);
    wait_over(&reader);
    fini(&reader);
}

/* ---- Tests ---- */

static void test_sums(void)
{
    struct reader reader;
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3);
    on_loop(loop, begin, &reader);
    ok(wait_over(&reader) && reader.why == STATUS_OK, "three bytes");
    is_str(reader.text, "kAFQmDzST7DWlj99KOF/cg==", "their MD5");
    ok(reader.feed.closed, "the source is closed");
    fini(&reader);

    init(&reader, BLOB_CHECKSUM_CRC64, "123456789", 9);
    reader.feed.there = 4;
    reader.feed.end = SOURCE_WAIT;
    on_loop(loop, begin, &reader);
    sum_another();
    ok(reader.feed.taken == 4 && sem_trywait(&reader.over) != 0, "nine bytes of which five are late");
    on_loop(loop, more, &reader);
    ok(wait_over(&reader) && reader.why == STATUS_OK, "come in two goes");
    is_str(reader.text, "iJh5CoYUi64=", "their CRC64, low byte first");
    fini(&reader);

    init(&reader, BLOB_CHECKSUM_MD5, "0123456789abcdef", CHECKSUM_RANGE_MAX);
    size_t held = mem_used();
    on_loop(loop, count_rounds, NULL);
    on_loop(loop, begin, &reader);
    ok(wait_over(&reader) && reader.why == STATUS_OK, "the longest range");
    on_loop(loop, stop_rounds, NULL);
    is_str(reader.text, "4jCnMJNXPRbMTZpPc3P0yw==", "its MD5");
    ok(rounds >= 16, "others get their turn meanwhile (%u)", rounds);
    fini(&reader);
    ok(mem_used() < held + 65536, "it leaves nothing behind");
}

static void test_failures(void)
{
    struct reader reader;
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3000);
    reader.feed.there = 1000;
    reader.feed.end = SOURCE_FAILED;
    reader.feed.source.error = STATUS_GENERATION_CHANGED;
    on_loop(loop, begin, &reader);
    ok(wait_over(&reader) && reader.why == STATUS_GENERATION_CHANGED, "a source that fails");
    ok(reader.feed.closed, "is closed");
    fini(&reader);
    init(&reader, BLOB_CHECKSUM_MD5, "abc", 3000);
    reader.feed.there = 2999;
    on_loop(loop, begin, &reader);
    ok(wait_over(&reader) && reader.why == STATUS_TRUNCATED, "one that ends early");
    fini(&reader);
}

/* The first is slow, the others are there; the third leaves, in line. */
static struct reader crowd[4];

static void begin_crowd(void *arg)
{
    struct reader *reader = arg;
    for (unsigned i = 0; i < 4; i++)
        begin(&reader[i]);
    leave(&reader[2]);
}

static void test_line(void)
{
    for (unsigned i = 0; i < 4; i++)
        init(&crowd[i], BLOB_CHECKSUM_CRC64, "123456789", i == 1 ? CHECKSUM_RANGE_MAX : 9);
    crowd[0].feed.there = 4;
    crowd[0].feed.end = SOURCE_WAIT;
    on_loop(loop, begin_crowd, crowd);
    ok(wait_over(&crowd[1]) && wait_over(&crowd[3]), "who waits for its source holds nobody up");
    ok(crowd[1].place < crowd[3].place, "one after the other, a long one in one go");
    ok(crowd[2].feed.closed && crowd[2].feed.taken == 0 && crowd[2].checksum == NULL, "one that has left");
    ok(sem_trywait(&crowd[0].over) != 0 && crowd[0].feed.taken == 4, "the first still waits");
    on_loop(loop, more, crowd);
    ok(wait_over(crowd), "until it can go on");
    is_str(crowd[0].text, crowd[3].text, "to the same sum");
    for (unsigned i = 0; i < 4; i++)
        fini(&crowd[i]);
    init(crowd, BLOB_CHECKSUM_MD5, "abc", 3000);
    crowd[0].feed.there = 100;
    crowd[0].feed.end = SOURCE_WAIT;
    on_loop(loop, begin, crowd);
    on_loop(loop, leave, crowd);
    ok(crowd[0].feed.closed, "one that leaves while it waits");
    fini(crowd);
}

int main(void)
{
    mem_init();
    loop = loop_new(0);
    loop_start(loop, set_up, tear_down, NULL);
    test_sums();
    test_failures();
    test_line();
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    return done_testing();
}
