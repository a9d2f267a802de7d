/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log.c: the feeds' buffers and the writer thread behind them.
 *
 * A chunk belongs to its feed until it is queued and to the writer afterwards. The queue is bounded in bytes; its lock
 * is taken once a chunk, not once a line.
 */
#include "proxy/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/thread.h"
#include "net/loop.h"
#include "proxy/access_line.h"

#define CHUNK_BYTES 65536 /* handed over when the next line might not fit */
#define QUEUE_BYTES (8 * 1024 * 1024)
#define FLUSH_MS 1000
#define CLOSE_WAIT_S 2

struct chunk {
    struct chunk *next;
    unsigned lines;
    size_t len;
    char data[CHUNK_BYTES];
};

struct access_log {
    char *path; /* NULL: standard output */
    int fd;     /* the writer's */
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct chunk *first; /* under lock */
    struct chunk **last; /* under lock */
    size_t queued;       /* bytes, under lock */
    bool closing;        /* under lock */
    bool reopen;         /* under lock */
};

struct access_feed {
    struct access_log *log;
    struct chunk *chunk; /* NULL: nothing held */
    struct timer flush;
    struct access_clock clock;
};

/* ---- The writer ---- */

static int log_file_open(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

static void writer_reopen(struct access_log *log)
{
    if (log->path == NULL)
        return;
    int fd = log_file_open(log->path);
    metric_cell_add(metric_cell(METRIC_ACCESS_LOG_REOPENS, fd < 0 ? "failed" : "opened"), 1);
    if (fd < 0) {
        log_event(ACCESS_LOG_FAILED, "file=%s: cannot be opened anew: %s; lines still go to the file opened before",
                  log->path, strerror(errno));
        return;
    }
    log_event(ACCESS_LOG, "file=%s: opened anew", log->path);
    close(log->fd);
    log->fd = fd;
}

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n > 0) {
            data += n;
            len -= (size_t) n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            poll(&room, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Waits for something to do; false when the log is closing and empty. *oldest is NULL when only
 * the file is to be opened anew. */
static bool writer_take(struct access_log *log, struct chunk **oldest, bool *reopen)
{
    pthread_mutex_lock(&log->lock);
    while (log->first == NULL && !log->closing && !log->reopen)
        pthread_cond_wait(&log->wake, &log->lock);
    struct chunk *chunk = log->first;
    *oldest = chunk;
    *reopen = log->reopen;
    log->reopen = false;
    if (chunk != NULL) {
        log->first = chunk->next;
        if (log->first == NULL)
            log->last = &log->first;
        log->queued -= chunk->len;
    }
    pthread_mutex_unlock(&log->lock);
    return chunk != NULL || *reopen;
}

static void *writer_main(void *arg)
{
    struct access_log *log = arg;
    pthread_setname_np(pthread_self(), "access-log");
    struct chunk *chunk;
    for (bool reopen; writer_take(log, &chunk, &reopen); mem_free(chunk)) {
        if (reopen)
            writer_reopen(log);
        if (chunk != NULL && !write_all(log->fd, chunk->data, chunk->len))
            metric_cell_add(metric_cell(METRIC_ACCESS_LOG_DROPPED, "unwritable"), chunk->lines);
    }
    return NULL;
}

enum status access_log_open(const char *where, struct access_log **log, struct strbuf *error)
{
    *log = NULL;
    if (strcmp(where, "off") == 0)
        return STATUS_OK;
    int fd = STDOUT_FILENO;
    if (strcmp(where, "-") != 0) {
        fd = log_file_open(where);
        if (fd < 0) {
            strbuf_addf(error, "access_log: cannot open %s: %s; name a file in a directory that this user may write",
                        where, strerror(errno));
            return STATUS_IO;
        }
    }
    struct access_log *made = mem_calloc(1, sizeof *made);
    made->fd = fd;
    made->path = fd == STDOUT_FILENO ? NULL : mem_strdup(where);
    made->last = &made->first;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->wake, NULL);

    int failed = thread_start(&made->writer, NULL, writer_main, made);
    if (failed != 0) {
        strbuf_addf(error, "access_log: no thread: %s", strerror(failed));
        if (made->path != NULL)
            close(made->fd);
        mem_free(made->path);
        mem_free(made);
        return STATUS_NO_MEMORY;
    }
    *log = made;
    return STATUS_OK;
}

void access_log_reopen(struct access_log *log)
{
    if (log == NULL)
        return;
    pthread_mutex_lock(&log->lock);
    log->reopen = true;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
}

void access_log_close(struct access_log **log)
{
    struct access_log *gone = *log;
    *log = NULL;
    if (gone == NULL)
        return;
    pthread_mutex_lock(&gone->lock);
    gone->closing = true;
    pthread_cond_signal(&gone->wake);
    pthread_mutex_unlock(&gone->lock);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_WAIT_S;
    if (pthread_timedjoin_np(gone->writer, NULL, &until) != 0)
        return; /* stuck in a pipe that nobody reads: the process is about to end anyway */
    pthread_cond_destroy(&gone->wake);
    pthread_mutex_destroy(&gone->lock);
    if (gone->path != NULL)
        close(gone->fd);
    mem_free(gone->path);
    mem_free(gone);
}

/* ---- The feeds ---- */

static void feed_hand_over(struct access_feed *feed)
{
    struct access_log *log = feed->log;
    struct chunk *chunk = feed->chunk;
    feed->chunk = NULL;
    if (chunk == NULL)
        return;
    chunk->next = NULL;
    pthread_mutex_lock(&log->lock);
    bool room = log->queued + chunk->len <= QUEUE_BYTES;
    if (room) {
        *log->last = chunk;
        log->last = &chunk->next;
        log->queued += chunk->len;
        pthread_cond_signal(&log->wake);
    }
    pthread_mutex_unlock(&log->lock);
    if (!room) {
        metric_cell_add(metric_cell(METRIC_ACCESS_LOG_DROPPED, "queue-full"), chunk->lines);
        mem_free(chunk);
    }
}

static void on_flush(struct timer *timer)
{
    feed_hand_over(LIST_ENTRY(timer, struct access_feed, flush));
}

struct access_feed *access_feed_new(struct access_log *log, struct loop *loop)
{
    if (log == NULL)
        return NULL;
    struct access_feed *feed = mem_calloc(1, sizeof *feed);
    feed->log = log;
    timer_init(&feed->flush, loop, on_flush);
    return feed;
}

void access_feed_free(struct access_feed **feed)
{
    struct access_feed *gone = *feed;
    *feed = NULL;
    if (gone == NULL)
        return;
    feed_hand_over(gone);
    timer_fini(&gone->flush);
    mem_free(gone);
}

void access_feed_add(struct access_feed *feed, const struct access_entry *entry)
{
    if (feed == NULL)
        return;
    if (feed->chunk != NULL && CHUNK_BYTES - feed->chunk->len < ACCESS_LINE_MAX)
        feed_hand_over(feed);
    if (feed->chunk == NULL) {
        feed->chunk = mem_alloc(sizeof *feed->chunk);
        feed->chunk->len = 0;
        feed->chunk->lines = 0;
        timer_set(&feed->flush, FLUSH_MS);
    }
    feed->chunk->len += access_line(&feed->clock, entry, feed->chunk->data + feed->chunk->len);
    feed->chunk->lines++;
}
