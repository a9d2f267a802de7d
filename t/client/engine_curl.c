/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 by libcurl: a multi on an epoll set (curl's own loop looks at every connection each time,
 * which a thousand readers would notice). Not for HTTP/2, where libcurl 7.88 may keep a stream's last
 * frame to itself for ever when others share the connection.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

#define RECEIVE_BUFFER (512 << 10)
#define SLOW_SOCKET_BUFFER (64 << 10)
#define SLOW_RECEIVE_BUFFER (16 << 10)

_Static_assert(TRANSFER_ERROR_SIZE >= CURL_ERROR_SIZE, "curl writes its error texts there");

struct slot {
    struct transfer *transfer;
    CURL *easy;
    struct curl_slist *lines;
    bool paused; /* for its rate's sake, until resume_at (ns) */
    bool waits;  /* until it is due */
    int64_t resume_at;
};

struct multi {
    struct engine *engine;
    CURLM *handle;
    struct slot *slots;
    int64_t waiting; /* slots that wait until they are due */
    int epoll_fd;
    int64_t deadline; /* curl's timer, ns; 0: none */
};

/* ---- What curl calls. ---- */

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct multi *m = arg;
    struct epoll_event event = {.data.fd = fd};
    (void) easy;
    (void) socket_arg;
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    if (what == CURL_POLL_REMOVE)
        epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(m->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0)
        epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int on_timer(CURLM *handle, long timeout_ms, void *arg)
{
    struct multi *m = arg;
    (void) handle;
    m->deadline = timeout_ms < 0 ? 0 : clock_ns() + (int64_t) timeout_ms * 1000000 + 1;
    return 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct slot *s = arg;
    size_t n = size * count, len = n;
    while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n'))
        len--;
    if (len > 5 && strncmp(data, "HTTP/", 5) == 0) {
        const char *space = memchr(data, ' ', len);
        transfer_got_status(s->transfer, space ? atoi(space) : 0);
    } else if (len > 0) {
        transfer_got_field(s->transfer, data, len);
    }
    return n;
}

/* curl's own limit lets a hundred buffers pass before it looks at the clock. */
static bool too_early(struct slot *s, size_t n)
{
    const struct transfer *t = s->transfer;
    if (t->rate <= 0)
        return false;
    int64_t ahead = t->body_bytes + (int64_t) n - SLOW_RECEIVE_BUFFER;
    s->resume_at = t->started + (int64_t) ((double) ahead / (double) t->rate * 1e9);
    return s->paused = clock_ns() < s->resume_at;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct slot *s = arg;
    if (too_early(s, size * count))
        return CURL_WRITEFUNC_PAUSE;
    return transfer_got_body(s->transfer, data, size * count) ? size * count : CURL_WRITEFUNC_ERROR;
}

/* A slow reader with a large socket buffer is a fast one for the first megabytes. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    const struct slot *s = arg;
    int size = SLOW_SOCKET_BUFFER;
    (void) purpose;
    if (s->transfer->rate > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return CURL_SOCKOPT_OK;
}

/* ---- Requests. ---- */

static void add_line(void *ctx, const char *line)
{
    struct slot *s = ctx;
    s->lines = curl_slist_append(s->lines, line);
}

static void prepare(struct slot *s)
{
    struct transfer *t = s->transfer;
    CURL *e = s->easy;
    curl_slist_free_all(s->lines);
    s->lines = NULL;
    transfer_request_lines(t, add_line, s);
    curl_easy_reset(e);
    curl_easy_setopt(e, CURLOPT_URL, transfer_url(t));
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, s->lines);
    curl_easy_setopt(e, CURLOPT_NOBODY, t->head ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long) (t->rate > 0 ? SLOW_RECEIVE_BUFFER : RECEIVE_BUFFER));
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(e, CURLOPT_PRIVATE, s);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket);
    curl_easy_setopt(e, CURLOPT_SOCKOPTDATA, s);
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* thousands of files on some systems */
    if (t->options->ca)
        curl_easy_setopt(e, CURLOPT_CAINFO, t->options->ca);
    else
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
    if (t->own_connection) {
        curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    }
}

static void send_it(struct multi *m, struct slot *s)
{
    transfer_begin(s->transfer);
    if (curl_multi_add_handle(m->handle, s->easy) != CURLM_OK)
        abort();
}

static void start(struct multi *m, struct slot *s)
{
    if (!engine_next(m->engine, s->transfer))
        return;
    s->paused = false;
    prepare(s);
    s->waits = s->transfer->due > clock_ns();
    m->waiting += s->waits;
    if (!s->waits)
        send_it(m, s);
}

static void start_due(struct multi *m)
{
    int64_t now = clock_ns();
    for (int64_t i = 0; i < m->engine->slot_count && m->waiting > 0; i++) {
        struct slot *s = &m->slots[i];
        if (!s->waits || s->transfer->due > now)
            continue;
        s->waits = false;
        m->waiting--;
        send_it(m, s);
    }
}

static void finish(struct multi *m, struct slot *s, CURLcode result)
{
    long version = 0;
    curl_easy_getinfo(s->easy, CURLINFO_HTTP_VERSION, &version);
    s->transfer->http_major = version == CURL_HTTP_VERSION_1_1 ? 1 : 0;
    curl_multi_remove_handle(m->handle, s->easy);
    engine_done(m->engine, s->transfer, (int) result, curl_easy_strerror(result));
}

/* ---- The loop. ---- */

/* curl's own test for a stall averages over seconds; a test wants to know soon. */
static void look_up(struct multi *m)
{
    int64_t now = clock_ns();
    if (!engine_look_up_due(m->engine, now))
        return;
    for (int64_t i = 0; i < m->engine->slot_count; i++) {
        struct slot *s = &m->slots[i];
        if (!transfer_running(s->transfer))
            continue;
        if (s->paused && now >= s->resume_at) {
            s->paused = false;
            s->transfer->last_progress = now;
            curl_easy_pause(s->easy, CURLPAUSE_CONT);
        } else if (!s->paused && engine_stalled(m->engine, s->transfer, now)) {
            finish(m, s, CURLE_OPERATION_TIMEDOUT);
            start(m, s);
        }
    }
}

static void reap(struct multi *m)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(m->handle, &left)) != NULL;) {
        struct slot *s;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &s);
        if (engine_fails_over(m->engine, s->transfer, (int) result)) {
            curl_multi_remove_handle(m->handle, s->easy);
            prepare(s);
            send_it(m, s);
            continue;
        }
        finish(m, s, result);
        start(m, s);
    }
}

static void abort_all(struct multi *m)
{
    for (int64_t i = 0; i < m->engine->slot_count; i++) {
        if (!transfer_running(m->slots[i].transfer))
            continue;
        m->slots[i].transfer->aborted = true;
        finish(m, &m->slots[i], CURLE_OPERATION_TIMEDOUT);
    }
}

static struct timespec wait_time(const struct multi *m)
{
    int64_t now = clock_ns(), end = now + (m->engine->slow ? ENGINE_PACE_MS : ENGINE_LOOK_UP_MS) * 1000000LL;
    if (m->deadline && m->deadline < end)
        end = m->deadline;
    for (int64_t i = 0; i < m->engine->slot_count && m->waiting > 0; i++)
        if (m->slots[i].waits && m->slots[i].transfer->due < end)
            end = m->slots[i].transfer->due;
    int64_t left = end > now ? end - now : 0;
    return (struct timespec){left / 1000000000, left % 1000000000};
}

static void turn(struct multi *m)
{
    struct epoll_event events[ENGINE_EVENTS];
    struct timespec wait = wait_time(m);
    int alive, n = epoll_pwait2(m->epoll_fd, events, ENGINE_EVENTS, &wait, NULL);
    for (int i = 0; i < n; i++) {
        int what = 0;
        if (events[i].events & EPOLLIN)
            what |= CURL_CSELECT_IN;
        if (events[i].events & EPOLLOUT)
            what |= CURL_CSELECT_OUT;
        if (events[i].events & (EPOLLERR | EPOLLHUP))
            what |= CURL_CSELECT_ERR;
        curl_multi_socket_action(m->handle, events[i].data.fd, what, &alive);
    }
    if (m->deadline && clock_ns() >= m->deadline) {
        m->deadline = 0;
        curl_multi_socket_action(m->handle, CURL_SOCKET_TIMEOUT, 0, &alive);
    }
    reap(m);
    start_due(m);
    look_up(m);
}

static void set_up(struct multi *m)
{
    m->handle = curl_multi_init();
    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    m->slots = calloc((size_t) m->engine->slot_count, sizeof *m->slots);
    if (!m->handle || m->epoll_fd < 0 || !m->slots)
        abort();
    curl_multi_setopt(m->handle, CURLMOPT_SOCKETFUNCTION, on_watch);
    curl_multi_setopt(m->handle, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->handle, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(m->handle, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->handle, CURLMOPT_MAXCONNECTS, (long) m->engine->slot_count);
}

void engine_curl(struct engine *e)
{
    struct multi m = {.engine = e};
    set_up(&m);
    for (int64_t i = 0; i < e->slot_count; i++) {
        m.slots[i].transfer = &e->transfers[i];
        m.slots[i].easy = curl_easy_init();
        if (!m.slots[i].easy)
            abort();
        start(&m, &m.slots[i]);
    }
    while (e->running > 0) {
        turn(&m);
        if (engine_asked_to_stop(e))
            abort_all(&m);
    }
    for (int64_t i = 0; i < e->slot_count; i++) {
        curl_easy_cleanup(m.slots[i].easy);
        curl_slist_free_all(m.slots[i].lines);
    }
    curl_multi_cleanup(m.handle);
    free(m.slots);
    close(m.epoll_fd);
}
