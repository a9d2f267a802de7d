/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_rig.c: see test_origin_rig.h. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "test_origin_rig.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop.h"
#include "on_loop.h"

#define SERVER_THREADS 8192

/* libcurl closes a socket that is still connecting before it tells the loop to forget it. The origins of these tests
 * live in the same process and may be given the same descriptor in between, which ThreadSanitizer takes for a race; the
 * kernel only answers that it knows no such descriptor. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:epoll_ctl\n";
}

/* ---- the loop ---- */

static struct loop *loop;

struct call {
    struct letter letter;
    void (*run)(void *arg);
    void *arg;
};

static void end_origin(struct loop *of, void *arg)
{
    (void) arg;
    origin_loop_fini(of);
}

void rig_start(void)
{
    loop = loop_new(0);
    loop_start(loop, NULL, end_origin, NULL);
}

void rig_stop(void)
{
    loop_stop(loop);
    loop_join(loop);
    loop_free(loop);
    loop = NULL;
}

struct loop *rig_loop(void)
{
    return loop;
}

static void deliver(struct letter *letter)
{
    struct call *call = CONTAINER_OF(letter, struct call, letter);
    call->run(call->arg);
    mem_free(call);
}

void rig_post(void (*run)(void *arg), void *arg)
{
    struct call *call = mem_alloc(sizeof *call);
    *call = (struct call){.letter.deliver = deliver, .run = run, .arg = arg};
    loop_post(loop, &call->letter);
}

void rig_call(void (*run)(void *arg), void *arg)
{
    on_loop(loop, run, arg);
}

bool rig_wait(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RIG_WAIT_S;
    return sem_timedwait(sem, &until) == 0;
}

unsigned rig_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count - 3; /* ".", ".." and the directory itself */
}

/* ---- the origin ---- */

struct server {
    void (*script)(struct conn *conn);
    int fd;
    int stop[2]; /* closed for writing: everything ends */
    char base[64];
    pthread_t thread;
    pthread_t threads[SERVER_THREADS];
    unsigned connections;
    unsigned requests;
    pthread_mutex_t lock;
    struct strbuf heads;
    sem_t gate;
    void *user;
};

static void *conn_main(void *arg)
{
    struct conn *conn = arg;
    conn->server->script(conn);
    close(conn->fd);
    strbuf_free(&conn->in);
    mem_free(conn);
    return NULL;
}

/* Waits for `fd` or the server's end. */
static bool readable(struct server *server, int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = server->stop[0], .events = POLLIN}};
    return poll(fds, 2, RIG_WAIT_S * 1000) > 0 && fds[0].revents != 0;
}

static void *server_main(void *arg)
{
    struct server *server = arg;
    while (readable(server, server->fd)) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0)
            break;
        struct conn *conn = mem_calloc(1, sizeof *conn);
        conn->server = server;
        conn->fd = fd;
        pthread_mutex_lock(&server->lock);
        conn->number = server->connections++;
        pthread_mutex_unlock(&server->lock);
        assert(conn->number < SERVER_THREADS);
        if (pthread_create(&server->threads[conn->number], NULL, conn_main, conn) != 0)
            abort();
    }
    return NULL;
}

struct server *server_new(void (*script)(struct conn *conn))
{
    struct server *server = mem_calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server->script = script;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->fd, (struct sockaddr *) &address, length) != 0 || listen(server->fd, 128) != 0 ||
        getsockname(server->fd, (struct sockaddr *) &address, &length) != 0 || pipe(server->stop) != 0)
        abort();
    snprintf(server->base, sizeof server->base, "http://127.0.0.1:%u", ntohs(address.sin_port));
    pthread_mutex_init(&server->lock, NULL);
    sem_init(&server->gate, 0, 0);
    if (pthread_create(&server->thread, NULL, server_main, server) != 0)
        abort();
    return server;
}

void server_free(struct server *server)
{
    close(server->stop[1]);
    pthread_join(server->thread, NULL);
    for (unsigned i = 0; i < server->connections; i++)
        pthread_join(server->threads[i], NULL);
    close(server->stop[0]);
    close(server->fd);
    strbuf_free(&server->heads);
    pthread_mutex_destroy(&server->lock);
    sem_destroy(&server->gate);
    mem_free(server);
}

const char *server_base(const struct server *server)
{
    return server->base;
}

unsigned server_connections(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    unsigned count = server->connections;
    pthread_mutex_unlock(&server->lock);
    return count;
}

unsigned server_requests(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    unsigned count = server->requests;
    pthread_mutex_unlock(&server->lock);
    return count;
}

char *server_heads(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    char *copy = mem_strdup(server->heads.ptr == NULL ? "" : server->heads.ptr);
    pthread_mutex_unlock(&server->lock);
    return copy;
}

sem_t *server_gate(struct server *server)
{
    return &server->gate;
}

void *server_user(struct server *server)
{
    return server->user;
}

void server_set_user(struct server *server, void *user)
{
    server->user = user;
}

/* More bytes from the peer; false at its end. */
static bool conn_fill(struct conn *conn)
{
    if (!readable(conn->server, conn->fd))
        return false;
    char *room = strbuf_reserve(&conn->in, 65536);
    ssize_t got = recv(conn->fd, room, 65536, 0);
    if (got <= 0)
        return false;
    conn->in.len += (size_t) got;
    conn->in.ptr[conn->in.len] = '\0';
    return true;
}

static void conn_drop(struct conn *conn, size_t bytes)
{
    memmove(conn->in.ptr, conn->in.ptr + bytes, conn->in.len - bytes);
    conn->in.len -= bytes;
    conn->in.ptr[conn->in.len] = '\0';
}

char *conn_head(struct conn *conn)
{
    char *end;
    while (conn->in.len == 0 || (end = strstr(conn->in.ptr, "\r\n\r\n")) == NULL)
        if (!conn_fill(conn))
            return NULL;
    const size_t bytes = (size_t) (end + 4 - conn->in.ptr);
    char *head = mem_strndup(conn->in.ptr, bytes);
    conn_drop(conn, bytes);
    struct server *server = conn->server;
    pthread_mutex_lock(&server->lock);
    server->requests++;
    strbuf_add(&server->heads, head, bytes);
    pthread_mutex_unlock(&server->lock);
    return head;
}

size_t conn_read(struct conn *conn, size_t bytes, struct strbuf *out)
{
    size_t done = 0;
    while (done < bytes) {
        if (conn->in.len == 0 && !conn_fill(conn))
            break;
        size_t n = conn->in.len < bytes - done ? conn->in.len : bytes - done;
        if (out != NULL)
            strbuf_add(out, conn->in.ptr, n);
        conn_drop(conn, n);
        done += n;
    }
    return done;
}

bool conn_read_chunked(struct conn *conn, struct strbuf *out)
{
    for (;;) {
        char *end;
        while (conn->in.len == 0 || (end = strstr(conn->in.ptr, "\r\n")) == NULL)
            if (!conn_fill(conn))
                return false;
        size_t size = strtoul(conn->in.ptr, NULL, 16);
        conn_drop(conn, (size_t) (end + 2 - conn->in.ptr));
        if (conn_read(conn, size, out) != size || conn_read(conn, 2, NULL) != 2)
            return false;
        if (size == 0)
            return true;
    }
}

bool conn_send(struct conn *conn, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        struct pollfd fds[2] = {{.fd = conn->fd, .events = POLLOUT}, {.fd = conn->server->stop[0], .events = POLLIN}};
        if (poll(fds, 2, RIG_WAIT_S * 1000) <= 0 || fds[0].revents == 0)
            return false;
        ssize_t sent = send(conn->fd, at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return false;
        at += sent;
        bytes -= (size_t) sent;
    }
    return true;
}

bool conn_say(struct conn *conn, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(len >= 0 && (size_t) len < sizeof text);
    return conn_send(conn, text, (size_t) len);
}

bool conn_until_closed(struct conn *conn)
{
    char byte[4096];
    while (readable(conn->server, conn->fd))
        if (recv(conn->fd, byte, sizeof byte, 0) <= 0)
            return true;
    return false;
}

void conn_reset(struct conn *conn)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}
