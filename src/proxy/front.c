/* SPDX-License-Identifier: Apache-2.0 */
/* front.c: sockets bound before the loops start, a server and its listeners on each loop. */
#include "proxy/front.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"
#include "proxy/certificate.h"

#define ADDRESSES_MAX 64

struct front_address {
    struct tls *tls; /* NULL: cleartext */
    bool lent;       /* by whoever frees it */
    struct certificate certificate;
    const char *scheme;
    char text[ADDRESS_TEXT];
    int *fds; /* one a loop; -1 once a loop has taken it */
};

/* A listener as one loop accepts from it. */
struct front_door {
    struct http_server *server;
    struct tls *tls;
    const char *address;
    struct listener *listener;
};

struct front_loop {
    struct http_server *server;
    struct front_door doors[ADDRESSES_MAX];
};

struct front {
    struct front_options options;
    struct listener_budget budget;
    struct front_address addresses[ADDRESSES_MAX];
    unsigned count;
    struct front_loop *loops;
};

struct front *front_new(const struct front_options *options)
{
    struct front *front = mem_calloc(1, sizeof *front);
    front->options = *options;
    atomic_init(&front->budget.open, 0);
    front->budget.max = options->max_connections;
    /* Whoever looks after us must be able to see that memory is short, and not take us for dead. */
    front->budget.exempt = options->limits.exempt;
    front->loops = mem_calloc(options->loop_count, sizeof *front->loops);
    return front;
}

/* What the socket is bound to, port 0 resolved. */
static void address_text(int fd, char text[ADDRESS_TEXT])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *) &address, &length) == 0)
        address_format((const struct sockaddr *) &address, text, ADDRESS_TEXT);
}

static enum status bind_one(struct front *front, const char *address, struct tls *tls, bool lent, const char *file,
                            const char *scheme, struct strbuf *error)
{
    if (front->count == ADDRESSES_MAX) {
        strbuf_addf(error, "listen: more than %d addresses", ADDRESSES_MAX);
        return STATUS_INVALID;
    }
    struct front_address *made = &front->addresses[front->count];
    made->tls = tls;
    made->lent = lent;
    made->scheme = scheme;
    made->fds = mem_calloc(front->options.loop_count, sizeof *made->fds);
    unsigned port;
    enum status status = listener_bind(address, front->options.loop_count, made->fds, &port, error);
    if (status != STATUS_OK) {
        mem_free(made->fds);
        memset(made, 0, sizeof *made);
        return status;
    }
    address_text(made->fds[0], made->text);
    if (tls != NULL)
        certificate_init(&made->certificate, tls, made->text, file);
    front->count++;
    return STATUS_OK;
}

enum status front_bind_tls(struct front *front, const char *address, struct tls *tls, const char *file,
                           const char *scheme, struct strbuf *error)
{
    return bind_one(front, address, tls, true, file, scheme, error);
}

enum status front_bind(struct front *front, const char *address, const char *certificate, const char *key,
                       const char *scheme, struct strbuf *error)
{
    struct tls *tls = NULL;
    const struct tls_options options = {.server = true, .certificate = certificate, .key = key};
    enum status status = certificate == NULL ? STATUS_OK : tls_new(&options, &tls, error);
    if (scheme == NULL)
        scheme = certificate != NULL ? "https" : "http";
    if (status == STATUS_OK)
        status = bind_one(front, address, tls, false, certificate, scheme, error);
    if (status != STATUS_OK)
        tls_free(tls);
    return status;
}

void front_free(struct front **front)
{
    struct front *gone = *front;
    *front = NULL;
    if (gone == NULL)
        return;
    for (unsigned i = 0; i < gone->count; i++) {
        struct front_address *address = &gone->addresses[i];
        for (unsigned n = 0; n < gone->options.loop_count; n++) {
            if (address->fds[n] >= 0)
                close(address->fds[n]);
        }
        mem_free(address->fds);
        if (!address->lent)
            tls_free(address->tls);
    }
    mem_free(gone->loops);
    mem_free(gone);
}

void front_look_at_certificates(struct front *front, bool again)
{
    for (unsigned i = 0; i < front->count; i++) {
        if (front->addresses[i].tls != NULL)
            certificate_look(&front->addresses[i].certificate, again);
    }
}

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t length)
{
    struct front_door *door = arg;
    http_server_accept(door->server, fd, peer, length, door->address, door->tls);
}

void front_loop_open(struct front *front, struct loop *loop)
{
    unsigned id = loop_id(loop);
    struct front_loop *own = &front->loops[id];
    own->server = http_server_new(loop, &front->options.limits, &front->options.handler, &front->budget);
    for (unsigned i = 0; i < front->count; i++) {
        struct front_door *door = &own->doors[i];
        door->server = own->server;
        door->tls = front->addresses[i].tls;
        door->address = front->addresses[i].text;
        int fd = front->addresses[i].fds[id];
        front->addresses[i].fds[id] = -1;
        door->listener = listener_open(loop, fd, &front->budget, on_accept, door);
    }
}

void front_loop_drain(struct front *front, struct loop *loop)
{
    struct front_loop *own = &front->loops[loop_id(loop)];
    for (unsigned i = 0; i < front->count; i++) {
        if (own->doors[i].listener != NULL)
            listener_close(&own->doors[i].listener);
    }
    if (own->server != NULL)
        http_server_drain(own->server);
}

unsigned front_loop_close(struct front *front, struct loop *loop)
{
    unsigned cut = 0;
    struct front_loop *own = &front->loops[loop_id(loop)];
    front_loop_drain(front, loop);
    if (own->server != NULL)
        cut = http_server_free(own->server);
    own->server = NULL;
    return cut;
}

int front_connections(const struct front *front)
{
    return atomic_load(&front->budget.open);
}

int64_t front_starved(const struct front *front)
{
    return listener_starved(&front->budget);
}

void front_tell(const struct front *front)
{
    for (unsigned i = 0; i < front->count; i++)
        log_event(LISTEN, "address=%s scheme=%s: listening %s %s", front->addresses[i].text, front->addresses[i].scheme,
                  front->addresses[i].scheme, front->addresses[i].text);
}
