/* SPDX-License-Identifier: Apache-2.0 */
/* See serve.h. */
#include "serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "util.h"

#define EVENT_BATCH 64
#define MAX_LISTENERS 4

struct worker {
    int epoll_fd;
    struct watch **heap; /* earliest deadline first */
    size_t heap_count, heap_cap;
};

static struct worker *workers;
static int worker_count, next_worker;
static struct listener listening[MAX_LISTENERS];
static int listening_count;

static void heap_place(struct worker *k, struct watch *w, size_t i)
{
    k->heap[i] = w;
    w->heap_index = i;
}

static void heap_settle(struct worker *k, size_t i)
{
    struct watch *w = k->heap[i];
    for (; i > 0 && k->heap[(i - 1) / 2]->deadline > w->deadline; i = (i - 1) / 2)
        heap_place(k, k->heap[(i - 1) / 2], i);
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < k->heap_count && k->heap[child + 1]->deadline < k->heap[child]->deadline)
            child++;
        if (child >= k->heap_count || k->heap[child]->deadline >= w->deadline)
            break;
        heap_place(k, k->heap[child], i);
        i = child;
    }
    heap_place(k, w, i);
}

static void heap_remove(struct worker *k, struct watch *w)
{
    size_t i = w->heap_index;
    struct watch *last = k->heap[--k->heap_count];
    if (last == w)
        return;
    heap_place(k, last, i);
    heap_settle(k, i);
}

void watch_deadline(struct watch *w, int64_t deadline)
{
    struct worker *k = w->worker;
    if (w->deadline)
        heap_remove(k, w);
    w->deadline = deadline;
    if (!deadline)
        return;
    if (k->heap_count == k->heap_cap) {
        k->heap_cap = k->heap_cap ? 2 * k->heap_cap : 64;
        k->heap = xrealloc(k->heap, k->heap_cap * sizeof *k->heap);
    }
    k->heap[k->heap_count] = w;
    heap_settle(k, k->heap_count++);
}

void watch_events(struct watch *w, uint32_t events)
{
    events |= EPOLLRDHUP;
    if (events == w->events)
        return;
    struct epoll_event e = {.events = events, .data.ptr = w};
    int op = w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    w->events = events;
    if (epoll_ctl(w->worker->epoll_fd, op, w->fd, &e) != 0)
        abort();
}

/* To close is not enough: while the thread that dealt the connection out is still inside its epoll_ctl(), the file
   lives on and so do its events, for memory that is freed. */
void watch_end(struct watch *w)
{
    watch_deadline(w, 0);
    if (w->events && epoll_ctl(w->worker->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL) != 0)
        abort();
}

static void deal_out(int fd, const struct listener *l)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct worker *k = &workers[next_worker++ % worker_count];
    struct watch *w = conn_new(k, fd, l->tls);
    if (w)
        watch_events(w, EPOLLIN); /* from here on it is the worker's */
}

static void accept_some(const struct listener *l)
{
    for (int i = 0; i < EVENT_BATCH; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                usleep(1000); /* the listener stays readable: do not spin */
            return;
        }
        deal_out(fd, l);
    }
}

static int wait_ms(const struct worker *k)
{
    if (k->heap_count == 0)
        return -1;
    int64_t left = k->heap[0]->deadline - now_ns();
    return left <= 0 ? 0 : (int) ((left + 999999) / 1000000);
}

static void run_timers(struct worker *k)
{
    if (k->heap_count == 0)
        return;
    int64_t now = now_ns();
    while (k->heap_count > 0 && k->heap[0]->deadline <= now) {
        struct watch *w = k->heap[0];
        watch_deadline(w, 0);
        conn_timeout(w);
    }
}

static const struct listener *as_listener(const void *p)
{
    for (int i = 0; i < listening_count; i++)
        if (p == &listening[i])
            return &listening[i];
    return NULL;
}

static void *work(void *arg)
{
    struct worker *k = arg;
    struct epoll_event events[EVENT_BATCH];
    for (;;) {
        int n = epoll_wait(k->epoll_fd, events, EVENT_BATCH, wait_ms(k));
        for (int i = 0; i < n; i++) {
            const struct listener *l = as_listener(events[i].data.ptr);
            if (l)
                accept_some(l);
            else
                conn_event(events[i].data.ptr, events[i].events);
        }
        run_timers(k);
    }
    return NULL;
}

void serve_start(const struct listener *listeners, int listener_count, int threads)
{
    workers = xcalloc((size_t) threads, sizeof *workers);
    worker_count = threads;
    for (int i = 0; i < threads; i++)
        workers[i].epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < listener_count && i < MAX_LISTENERS; i++) {
        listening[i] = listeners[i];
        listening_count++;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listening[i]};
        if (epoll_ctl(workers[0].epoll_fd, EPOLL_CTL_ADD, listening[i].fd, &e) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, &workers[i]) != 0)
            abort();
        pthread_detach(thread);
    }
}
