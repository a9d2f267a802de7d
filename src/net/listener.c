/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.c: binding and accepting.
 *
 * When descriptors run out, a connection that waits in the queue would keep the listener readable for ever: a
 * descriptor held in reserve is given up for the moment to accept and close it, so that the client learns at once.
 * Then, as when memory or the connection budget is used up, accepting pauses: the queue is the kernel's and bounded.
 */
#include "net/listener.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
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

/* ---- Addresses ---- */

static enum status malformed(const char *address, const char *what, struct strbuf *error)
{
    strbuf_addf(error, "address \"%s\": %s; write HOST:PORT, for IPv6 [HOST]:PORT", address, what);
    return STATUS_INVALID;
}

enum status listener_parse(const char *address, struct sockaddr_storage *parsed, socklen_t *length,
                           struct strbuf *error)
{
    struct str text = str_from(address);
    char host[256];
    const char *colon = strrchr(address, ':');
    if (colon == NULL)
        return malformed(address, "the port is missing", error);
    struct str name = {address, (size_t) (colon - address)};
    struct str port = {colon + 1, text.len - name.len - 1};
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = (struct str){name.ptr + 1, name.len - 2};
    else if (str_find(name, ':') >= 0)
        return malformed(address, "an IPv6 address needs brackets", error);
    int64_t number;
    if (!str_to_int(port, &number) || number > 65535)
        return malformed(address, "the port must be 0 to 65535", error);
    if (name.len == 0 || name.len >= sizeof host)
        return malformed(address, "the host is missing or too long", error);
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';

    char service[8];
    snprintf(service, sizeof service, "%d", (int) number);
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed != 0) {
        strbuf_addf(error, "address \"%s\": host %s cannot be resolved: %s", address, host, gai_strerror(failed));
        return STATUS_RESOLVE;
    }
    memset(parsed, 0, sizeof *parsed);
    memcpy(parsed, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    return STATUS_OK;
}

static unsigned port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *) (const void *) address)->sin6_port);
    return ntohs(((const struct sockaddr_in *) (const void *) address)->sin_port);
}

static void set_port(struct sockaddr_storage *address, unsigned port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *) (void *) address)->sin6_port = htons((uint16_t) port);
    else
        ((struct sockaddr_in *) (void *) address)->sin_port = htons((uint16_t) port);
}

void listener_format(const struct sockaddr *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *) address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *) address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        snprintf(text, size, "unix");
    }
}

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
    enum status status = listener_parse(address, &at, &length, error);
    if (status != STATUS_OK)
        return status;
    /* SO_REUSEPORT would let a second headpond in silently. A socket without it finds out. */
    if (port_of(&at) != 0) {
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
        *port = port_of(&bound);
        set_port(&at, *port);
    }
    return STATUS_OK;
}

/* ---- Accepting ---- */

void listener_gone(struct listener_budget *budget)
{
    atomic_fetch_sub_explicit(&budget->open, 1, memory_order_relaxed);
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void pause_accepting(struct listener *listener)
{
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

/* Sheds one waiting connection, so that its client need not wait for a time-out. */
static void out_of_descriptors(struct listener *listener)
{
    log_event(ACCEPT_FAILED, "no descriptor is left for a connection; raise LimitNOFILE or lower max_connections");
    if (listener->reserve >= 0) {
        close(listener->reserve);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        listener->reserve = open_reserve();
    }
    pause_accepting(listener);
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
        pause_accepting(listener);
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
        if (full || (!budget->exempt && mem_pressure() >= MEM_STOP_ACCEPT)) {
            pause_accepting(listener);
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
