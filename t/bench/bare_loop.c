/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_loop.c: the limit of the machine, measured beside the servers by contrib/bench.
 *
 *   bare_loop [--sendfile | --tls CERTIFICATE KEY] FILE
 *
 * One thread, epoll, one file in memory. Of a request it looks for its end and for `Range: bytes=A-B`, nothing else:
 * no path, no method, no conditions. Of a reply it writes a head and the file's bytes in one writev, or the bytes by
 * sendfile, which leaves the copying to whoever receives them, or both encrypted (bare_tls.h). A server that does all
 * of HTTP cannot be cheaper by much; how near it comes is what it is compared by. Prints "listening HOST:PORT", ends
 * on SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <signal.h>
#include <unistd.h>

#include "bare_tls.h"

#define EVENTS 256
#define REQUEST_MAX 4096
/* Written to one connection before others have their turn, as a server of many must do, too. */
#define TURN ((size_t) 1 << 20)

struct connection {
    int fd;
    struct bare_tls *tls; /* or NULL */
    char in[REQUEST_MAX + 1];
    size_t in_used;
    char head[512];
    size_t head_left, head_size;
    const char *body;
    size_t body_left;
    bool waits_for_room;
};

static int file_to_send = -1; /* -1: the bytes are written from memory */
static bool by_tls;
static const char *content;
static size_t content_size;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int map_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        die(path);
    content_size = (size_t) status.st_size;
    void *at = mmap(NULL, content_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED)
        die("mmap");
    content = at;
    return fd;
}

static int listen_on_loopback(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *) &address, sizeof address) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *) &address, &length) != 0)
        die("listen");
    printf("listening 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* The reply to the request whose head ends at `end`, from there on in the connection. */
static void answer(struct connection *c, char *end)
{
    static const char name[] = "\r\nRange: bytes=";
    unsigned long long from = 0, to = content_size - 1;
    char saved = *end;
    *end = '\0';
    const char *range = strcasestr(c->in, name);
    bool partial = range && sscanf(range + sizeof name - 1, "%llu-%llu", &from, &to) == 2 && from <= to;
    *end = saved;
    if (!partial || from >= content_size) {
        partial = false;
        from = 0;
        to = content_size - 1;
    }
    if (to >= content_size)
        to = content_size - 1;
    c->body = content + from;
    c->body_left = to - from + 1;
    char told[96] = "";
    if (partial)
        snprintf(told, sizeof told, "Content-Range: bytes %llu-%llu/%zu\r\n", from, to, content_size);
    c->head_size = (size_t) snprintf(c->head, sizeof c->head,
                                     "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\nETag: \"bare\"\r\n"
                                     "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %zu\r\n%s\r\n",
                                     partial ? "206 Partial Content" : "200 OK", c->body_left, told);
    c->head_left = c->head_size;
}

/* Something of the reply has not gone out yet. */
static bool replies(const struct connection *c)
{
    return c->head_left + c->body_left > 0 || (c->tls && bare_tls_waits(c->tls));
}

/* One system call's worth of the rest, or two: as writev. */
static ssize_t send_some(const struct connection *c, size_t head, size_t body)
{
    char *at = (char *) (uintptr_t) c->head + c->head_size - c->head_left;
    if (c->tls && !bare_tls_in_kernel(c->tls))
        return bare_tls_write(c->tls, at, head, c->body, body);
    if (file_to_send < 0) {
        struct iovec parts[2] = {{at, head}, {(void *) (uintptr_t) c->body, body}};
        return writev(c->fd, parts, 2);
    }
    ssize_t sent = 0;
    if (head > 0) {
        sent = send(c->fd, at, head, MSG_MORE);
        if (sent < (ssize_t) head)
            return sent;
    }
    off_t from = c->body - content;
    ssize_t more = sendfile(c->fd, file_to_send, &from, body);
    return more >= 0 ? sent + more : sent > 0 ? sent : -1;
}

/* Sends what is left of the reply. false: the connection is over. */
static bool send_reply(struct connection *c, size_t *turn)
{
    while (replies(c) && *turn > 0) {
        size_t body = c->body_left < *turn ? c->body_left : *turn;
        ssize_t sent = send_some(c, c->head_left, body);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        size_t bytes = (size_t) sent, of_head = bytes < c->head_left ? bytes : c->head_left;
        bool full = bytes < c->head_left + body;
        c->head_left -= of_head;
        c->body += bytes - of_head;
        c->body_left -= bytes - of_head;
        *turn -= bytes < *turn ? bytes : *turn;
        if (full)
            return true;
    }
    return true;
}

/* Reads and answers until nothing is left to do, or another's turn has come. false: the connection is over. */
static bool serve(struct connection *c)
{
    size_t turn = TURN;
    while (true) {
        if (!send_reply(c, &turn))
            return false;
        if (replies(c))
            return true;
        c->in[c->in_used] = '\0';
        char *end = strstr(c->in, "\r\n\r\n");
        if (end) {
            size_t used = (size_t) (end + 4 - c->in);
            answer(c, end);
            c->in_used -= used;
            memmove(c->in, c->in + used, c->in_used);
            continue;
        }
        if (c->in_used == REQUEST_MAX)
            return false;
        char *to = c->in + c->in_used;
        size_t room = REQUEST_MAX - c->in_used;
        ssize_t got = c->tls ? bare_tls_read(c->tls, to, room) : read(c->fd, to, room);
        if (got <= 0)
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        c->in_used += (size_t) got;
    }
}

/* Room in the socket is asked about only while a reply is under way. */
static void watch(int poll, struct connection *c)
{
    bool waits = replies(c);
    if (waits == c->waits_for_room)
        return;
    c->waits_for_room = waits;
    struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poll, EPOLL_CTL_MOD, c->fd, &event);
}

static void take_connections(int poll, int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        c->fd = fd;
        c->tls = by_tls ? bare_tls_new(fd) : NULL;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0)
            die("epoll_ctl");
    }
}

static void close_connection(struct connection *c)
{
    bare_tls_free(c->tls);
    close(c->fd);
    free(c);
}

int main(int argc, char **argv)
{
    bool by_sendfile = argc == 3 && strcmp(argv[1], "--sendfile") == 0;
    by_tls = argc == 5 && strcmp(argv[1], "--tls") == 0;
    if (argc != 2 && !by_sendfile && !by_tls) {
        fputs("usage: bare_loop [--sendfile | --tls CERTIFICATE KEY] FILE\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int file = map_file(argv[argc - 1]);
    if (by_sendfile)
        file_to_send = file;
    if (by_tls)
        bare_tls_start(argv[2], argv[3]);
    int poll = epoll_create1(EPOLL_CLOEXEC), listener = listen_on_loopback();
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = NULL};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) != 0)
        die("epoll");
    while (true) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                take_connections(poll, listener);
            } else if (serve(c)) {
                watch(poll, c);
            } else {
                close_connection(c);
            }
        }
    }
}
