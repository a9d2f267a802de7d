/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.c: binding and accepting.
 *
 * When descriptors run out, a connection that waits in the queue would keep the listener readable for ever: a
 * descriptor held in reserve is given up for the moment to accept and close it, so that the client learns at once.
 * Then, as when memory or the connection budget is used up, accepting pauses: the queue is the kernel's and bounded.
 */
#include "net/listener.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/address.h"
#include "net/loop.h"

#define ACCEPTS_PER_EVENT 64
#define PAUSE_MS 100
#define BACKLOG 4096

struct listener {
    struct loop *loop;
    struct event *event;
    struct timer resume;
    struct listener_budget *budget;
    listener_accept_f *accept;
    void *arg;
    int fd;
    int reserve;
};

/* ---- Binding ---- */

static int bind_one(const struct sockaddr_storage *address, socklen_t length, bool share)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (share)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (address->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *) address, length) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static enum status bind_failed(const char *address, struct strbuf *error)
{
    const char *hint = "check the address";
    if (errno == EADDRINUSE)
        hint = "another process listens there: stop it or choose another port";
    else if (errno == EACCES)
        hint = "ports below 1024 need CAP_NET_BIND_SERVICE";
    else if (errno == EADDRNOTAVAIL)
        hint = "this machine does not have that address";
    strbuf_addf(error, "cannot listen on %s: %s; %s", address, strerror(errno), hint);
    return STATUS_INVALID;
}

enum status listener_bind(const char *address, unsigned count, int *fds, unsigned *port, struct strbuf *error)
{
    struct sockaddr_storage at;
    socklen_t length;
    enum status status = address_parse(address, &at, &length, error);
    if (status != STATUS_OK)
        return status;
    /* SO_REUSEPORT would let a second headpond in silently. A socket without it finds out. */
    if (address_port(&at) != 0) {
        int probe = bind_one(&at, length, false);
        if (probe < 0)
            return bind_failed(address, error);
        close(probe);
    }
    for (unsigned i = 0; i < count; i++) {
        fds[i] = bind_one(&at, length, true);
        struct sockaddr_storage bound;
        socklen_t bound_length = sizeof bound;
        if (fds[i] < 0 || getsockname(fds[i], (struct sockaddr *) &bound, &bound_length) != 0) {
            status = bind_failed(address, error);
            for (unsigned k = 0; k <= i; k++)
                if (fds[k] >= 0)
                    close(fds[k]);
            return status;
        }
        *port = address_port(&bound);
        address_set_port(&at, *port);
    }
    return STATUS_OK;
}

/* ---- Accepting ---- */

void listener_gone(struct listener_budget *budget)
{
    atomic_fetch_sub_explicit(&budget->open, 1, memory_order_relaxed);
}

int64_t listener_starved(const struct listener_budget *budget)
{
    int64_t since = atomic_load(&((struct listener_budget *) (uintptr_t) budget)->starved_ms);
    return since == 0 || mem_pressure() < MEM_STOP_ACCEPT ? 0 : clock_mono_ms() - since + 1;
}

/* Whether there is no memory for more connections. Each time that lasts has its first and its last line. */
static bool is_starved(struct listener_budget *budget)
{
    int_fast64_t none = 0, since = atomic_load_explicit(&budget->starved_ms, memory_order_relaxed);
    bool starved = !budget->exempt && buf_memory_used_up();
    if (starved && since == 0 && atomic_compare_exchange_strong(&budget->starved_ms, &none, clock_mono_ms()))
        log_event(MEMORY, "`memory` is used up: %zu of %zu MiB; connections wait until some is given back",
                  mem_used() >> 20, mem_limit() >> 20);
    if (!starved && since != 0 && atomic_compare_exchange_strong(&budget->starved_ms, &since, 0))
        log_event(MEMORY, "connections are accepted again, after %lld ms", (long long) (clock_mono_ms() - since));
    return starved;
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* `reason`: as the metric says it. */
static void pause_accepting(struct listener *listener, const char *reason)
{
    metric_cell_add(metric_cell(METRIC_ACCEPT_PAUSES, reason), 1);
    event_del(listener->event);
    timer_set(&listener->resume, PAUSE_MS);
}

static void on_resume(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, resume);
    if (listener->reserve < 0)
        listener->reserve = open_reserve();
    event_add(listener->event, NULL);
}

/* Sheds one waiting connection, so that its client need not wait for a time-out. accept(2) asks for the descriptor
 * before it looks at the queue: while nobody waits there the reserve is kept, or another thread could take it for
 * nothing. */
static void out_of_descriptors(struct listener *listener)
{
    struct pollfd queue = {.fd = listener->fd, .events = POLLIN};
    if (poll(&queue, 1, 0) == 0)
        return;
    log_event(ACCEPT_FAILED, "no descriptor is left for a connection; raise LimitNOFILE or lower max_connections");
    if (listener->reserve >= 0) {
        close(listener->reserve);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        listener->reserve = open_reserve();
    }
    pause_accepting(listener, "descriptors");
}

/* Returns false when there is nothing more to accept now. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int fd = accept4(listener->fd, (struct sockaddr *) &peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        atomic_fetch_add_explicit(&listener->budget->open, 1, memory_order_relaxed);
        metric_add(METRIC_ACCEPTED, 1);
        listener->accept(listener->arg, fd, (const struct sockaddr *) &peer, length);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        out_of_descriptors(listener);
        return false;
    case ENOBUFS:
    case ENOMEM:
        log_event(ACCEPT_FAILED, "the kernel has no memory for a connection");
        pause_accepting(listener, "kernel");
        return false;
    default:
        return true; /* ECONNABORTED and the network errors accept(2) passes on: that connection's own trouble */
    }
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    (void) fd;
    (void) what;
    for (unsigned i = 0; i < ACCEPTS_PER_EVENT; i++) {
        struct listener_budget *budget = listener->budget;
        bool full = budget->max > 0 && atomic_load_explicit(&budget->open, memory_order_relaxed) >= budget->max;
        if (full)
            log_event(ACCEPT_FAILED, "max_connections (%d) is reached; accepting pauses", budget->max);
        if (full || is_starved(budget)) {
            pause_accepting(listener, full ? "connections" : "memory");
            return;
        }
        if (!accept_one(listener))
            return;
    }
}

struct listener *listener_open(struct loop *loop, int fd, struct listener_budget *budget, listener_accept_f *accept,
                               void *arg)
{
    struct listener *listener = mem_calloc(1, sizeof *listener);
    listener->loop = loop;
    listener->fd = fd;
    listener->budget = budget;
    listener->accept = accept;
    listener->arg = arg;
    listener->reserve = open_reserve();
    listener->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_connection, listener);
    assert(listener->event != NULL);
    timer_init(&listener->resume, loop, on_resume);
    event_add(listener->event, NULL);
    return listener;
}

void listener_close(struct listener **pointer)
{
    struct listener *listener = *pointer;
    *pointer = NULL;
    if (listener == NULL)
        return;
    /* The kernel would reset what is queued here; bounded in case clients keep coming. */
    for (unsigned i = 0; i < BACKLOG && accept_one(listener); i++)
        ;
    event_free(listener->event);
    timer_fini(&listener->resume);
    close(listener->fd);
    if (listener->reserve >= 0)
        close(listener->reserve);
    mem_free(listener);
}
