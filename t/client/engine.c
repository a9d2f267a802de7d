/* SPDX-License-Identifier: Apache-2.0 */
/* See engine.h. */
#include "engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENT_BATCH 256
#define LOOK_UP_MS 100 /* how often `stop` is asked at least, and stalls are looked for */
#define PACE_MS 5      /* how often paused transfers are looked at */

struct engine {
    const struct options *options;
    const struct work *work;
    struct transfer *transfers;
    int64_t slot_count, running;
    CURLM *multi;
    int epoll_fd;
    int64_t deadline;     /* curl's timer, ns; 0: none */
    int64_t next_look_up; /* at all transfers, ns */
    bool slow;            /* some have a rate: look at them often */
    bool h2c, connected;  /* sharing; the first request has been sent out */
    int64_t openers;      /* running transfers that make a connection */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct engine *e = arg;
    struct epoll_event event = {.data.fd = fd};
    (void) easy;
    (void) socket_arg;
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    if (what == CURL_POLL_REMOVE)
        epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(e->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0)
        epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct engine *e = arg;
    (void) multi;
    e->deadline = timeout_ms < 0 ? 0 : clock_ns() + (int64_t) timeout_ms * 1000000 + 1;
    return 0;
}

static void launch(struct engine *e, struct transfer *t)
{
    e->openers += !t->reuse_only;
    transfer_prepare(t);
    if (curl_multi_add_handle(e->multi, t->easy) != CURLM_OK)
        abort();
}

static void land(struct engine *e, struct transfer *t)
{
    curl_multi_remove_handle(e->multi, t->easy);
    e->openers -= !t->reuse_only;
}

/* libcurl 7.88 starts HTTP/2 anew on an h2c connection that it reuses with "prior knowledge" (curl
   issue 10634). Asked for plain HTTP/2 it reuses well, but makes new connections by an upgrade from
   HTTP/1.1. So one transfer makes the connection, the others may not open any, and when there is
   none they come back here. */
static bool relaunch(struct engine *e, struct transfer *t)
{
    if (!t->open_refused)
        return false;
    land(e, t);
    t->reuse_only = e->openers > 0 && t->tries++ < 3;
    launch(e, t);
    return true;
}

static void start(struct engine *e, struct transfer *t)
{
    pthread_mutex_lock(&mutex);
    bool more = e->work->next(e->work->ctx, t);
    pthread_mutex_unlock(&mutex);
    if (!more)
        return;
    e->slow = e->slow || t->rate > 0;
    t->reuse_only = e->h2c && e->connected;
    e->connected = true;
    e->running++;
    launch(e, t);
}

static void finish(struct engine *e, struct transfer *t, CURLcode result)
{
    t->ended = clock_ns();
    t->result = result;
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &t->http_version);
    land(e, t);
    e->running--;
    pthread_mutex_lock(&mutex);
    e->work->done(e->work->ctx, t);
    pthread_mutex_unlock(&mutex);
}

/* curl's own test for a stall averages over seconds; a test wants to know soon. */
static void look_up(struct engine *e)
{
    int64_t now = clock_ns();
    if (now < e->next_look_up)
        return;
    e->next_look_up = now + (e->slow ? PACE_MS : LOOK_UP_MS) * 1000000LL;
    for (int64_t i = 0; i < e->slot_count; i++) {
        struct transfer *t = &e->transfers[i];
        if (!t->started || t->ended)
            continue;
        if (t->paused && now >= t->resume_at) {
            t->paused = false;
            t->last_progress = now;
            curl_easy_pause(t->easy, CURLPAUSE_CONT);
        } else if (!t->paused && now - t->last_progress > e->options->timeout * 1000000000) {
            snprintf(t->error, sizeof t->error, "no progress for %d s", (int) e->options->timeout);
            finish(e, t, CURLE_OPERATION_TIMEDOUT);
            start(e, t);
        }
    }
}

static void reap(struct engine *e)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(e->multi, &left)) != NULL;) {
        struct transfer *t;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode result = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        if (relaunch(e, t))
            continue;
        finish(e, t, result);
        start(e, t);
    }
}

static bool asked_to_stop(struct engine *e)
{
    if (!e->work->stop)
        return false;
    pthread_mutex_lock(&mutex);
    bool stop = e->work->stop(e->work->ctx);
    pthread_mutex_unlock(&mutex);
    return stop;
}

static void abort_all(struct engine *e)
{
    for (int64_t i = 0; i < e->slot_count; i++) {
        struct transfer *t = &e->transfers[i];
        if (!t->started || t->ended)
            continue;
        t->aborted = true;
        finish(e, t, CURLE_OPERATION_TIMEDOUT);
    }
}

static int wait_ms(const struct engine *e)
{
    int most = e->slow ? PACE_MS : LOOK_UP_MS;
    if (!e->deadline)
        return most;
    int64_t left = (e->deadline - clock_ns() + 999999) / 1000000;
    return left <= 0 ? 0 : left > most ? most : (int) left;
}

static void turn(struct engine *e)
{
    struct epoll_event events[EVENT_BATCH];
    int alive, n = epoll_wait(e->epoll_fd, events, EVENT_BATCH, wait_ms(e));
    for (int i = 0; i < n; i++) {
        int what = 0;
        if (events[i].events & EPOLLIN)
            what |= CURL_CSELECT_IN;
        if (events[i].events & EPOLLOUT)
            what |= CURL_CSELECT_OUT;
        if (events[i].events & (EPOLLERR | EPOLLHUP))
            what |= CURL_CSELECT_ERR;
        curl_multi_socket_action(e->multi, events[i].data.fd, what, &alive);
    }
    if (e->deadline && clock_ns() >= e->deadline) {
        e->deadline = 0;
        curl_multi_socket_action(e->multi, CURL_SOCKET_TIMEOUT, 0, &alive);
    }
    /* libcurl 7.88 may keep what it has read for a stream to itself until the socket speaks again, which with
       clear HTTP/2 it need never do (seen against nginx too): all streams are looked at each turn. */
    if (e->options->http2)
        curl_multi_perform(e->multi, &alive);
    reap(e);
    look_up(e);
}

static void set_up(struct engine *e)
{
    e->multi = curl_multi_init();
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!e->multi || e->epoll_fd < 0)
        abort();
    curl_multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e);
    curl_multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(e->multi, CURLMOPT_TIMERDATA, e);
    curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long) e->slot_count);
    if (e->options->http2) {
        curl_multi_setopt(e->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
        curl_multi_setopt(e->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, 1000L);
    }
    if (e->options->http2 && e->work->share && e->options->tls)
        curl_multi_setopt(e->multi, CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
}

static void *engine_thread(void *arg)
{
    struct engine *e = arg;
    set_up(e);
    for (int64_t i = 0; i < e->slot_count; i++) {
        struct transfer *t = &e->transfers[i];
        t->easy = curl_easy_init();
        if (!t->easy)
            abort();
        start(e, t);
    }
    while (e->running > 0) {
        turn(e);
        if (asked_to_stop(e))
            abort_all(e);
    }
    for (int64_t i = 0; i < e->slot_count; i++) {
        transfer_fini(&e->transfers[i]);
        curl_easy_cleanup(e->transfers[i].easy);
    }
    curl_multi_cleanup(e->multi);
    close(e->epoll_fd);
    return NULL;
}

void engine_run(const struct options *o, int64_t slots, const struct work *work)
{
    bool shared = o->http2 && work->share;
    int64_t threads = shared ? o->connections : o->threads;
    if (threads > slots)
        threads = slots;
    struct engine *engines = calloc((size_t) threads, sizeof *engines);
    pthread_t *ids = calloc((size_t) threads, sizeof *ids);
    if (!engines || !ids)
        abort();
    for (int64_t i = 0; i < threads; i++) {
        struct engine *e = &engines[i];
        e->options = o;
        e->work = work;
        e->h2c = shared && !o->tls;
        e->slot_count = slots / threads + (i < slots % threads);
        e->transfers = calloc((size_t) e->slot_count, sizeof *e->transfers);
        if (!e->transfers || pthread_create(&ids[i], NULL, engine_thread, e) != 0)
            abort();
    }
    for (int64_t i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        free(engines[i].transfers);
    }
    free(engines);
    free(ids);
}
