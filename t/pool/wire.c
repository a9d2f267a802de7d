/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See wire.h. A connection is a flow: two descriptors, and two ways between them. A way is a queue of pieces, each with
 * the time at which it arrives; the last one says how the sender has ended, so that an end travels as bytes do.
 */
#include "wire.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE_MOST (64 << 10)
/* How far a wire with a rate is used up ahead of time: beyond it nobody is read from, so that all have their turn. */
#define AHEAD_NS 10000000

enum piece_kind { PIECE_BYTES, PIECE_END, PIECE_RESET };

struct piece {
    STAILQ_ENTRY(piece) next;
    enum piece_kind kind;
    int64_t due_ns;
    size_t size, sent;
    char bytes[];
};

struct way {
    struct flow *flow;
    int from, to; /* indexes of the flow's descriptors; `from` is also the way's own index */
    struct event *readable, *writable, *timer;
    STAILQ_HEAD(, piece) pieces;
    size_t held;    /* bytes, with the pieces' own */
    int64_t due_ns; /* of the last piece */
    bool ended;     /* no more is read: the last piece says why */
    bool closed;    /* that has arrived */
};

struct flow {
    LIST_ENTRY(flow) in_wire;
    struct wire *wire;
    int fds[WIRE_WAYS]; /* the client's and the target's, which is -1 until it hears of us */
    bool connected;
    int64_t arrives_ns, answered_ns; /* when the target hears of the connection, and the client of that */
    struct way ways[WIRE_WAYS];
};

static void settle(struct flow *flow);

int64_t wire_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- Pieces. ---- */

static void drop_pieces(struct way *way)
{
    for (struct piece *piece; (piece = STAILQ_FIRST(&way->pieces)) != NULL;) {
        STAILQ_REMOVE_HEAD(&way->pieces, next);
        free(piece);
    }
    way->held = 0;
}

/* When what is sent now arrives. */
static int64_t arrival(const struct way *way, size_t size)
{
    struct wire *wire = way->flow->wire;
    int64_t sent = wire_now_ns();
    if (way->from == 0 && sent < way->flow->answered_ns)
        sent = way->flow->answered_ns;
    if (wire->rate > 0) {
        if (sent < wire->free_ns[way->from])
            sent = wire->free_ns[way->from];
        sent += (int64_t) ((double) size * 1e9 / (double) wire->rate);
        wire->free_ns[way->from] = sent;
    }
    int64_t due = sent + wire->delay_ns;
    return due < way->due_ns ? way->due_ns : due; /* the distance may have shrunk: nothing overtakes */
}

static void push(struct way *way, enum piece_kind kind, const char *bytes, size_t size)
{
    struct piece *piece = malloc(sizeof *piece + size);
    if (piece == NULL)
        abort();
    piece->kind = kind;
    piece->due_ns = way->due_ns = arrival(way, size);
    piece->size = size;
    piece->sent = 0;
    if (size > 0)
        memcpy(piece->bytes, bytes, size);
    STAILQ_INSERT_TAIL(&way->pieces, piece, next);
    way->held += sizeof *piece + size;
    way->ended = way->ended || kind != PIECE_BYTES;
}

static void pop(struct way *way)
{
    struct piece *piece = STAILQ_FIRST(&way->pieces);
    STAILQ_REMOVE_HEAD(&way->pieces, next);
    way->held -= sizeof *piece + piece->size;
    free(piece);
}

/* The end at `from` is gone: the other one hears so when the news has travelled, and what was for it is for nobody. */
static void sender_gone(struct way *way)
{
    struct way *back = &way->flow->ways[way->to];
    if (!way->ended)
        push(way, PIECE_RESET, NULL, 0);
    drop_pieces(back);
    back->ended = back->closed = true;
}

/* ---- The flow's end. ---- */

static void free_events(struct way *way)
{
    struct event **events[] = {&way->readable, &way->writable, &way->timer};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (*events[i] != NULL)
            event_free(*events[i]);
        *events[i] = NULL;
    }
}

static void flow_free(struct flow *flow, bool reset)
{
    const struct linger now = {.l_onoff = 1};
    for (int i = 0; i < WIRE_WAYS; i++) {
        free_events(&flow->ways[i]);
        drop_pieces(&flow->ways[i]);
    }
    for (int i = 0; i < WIRE_WAYS; i++) {
        if (flow->fds[i] < 0)
            continue;
        if (reset)
            setsockopt(flow->fds[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(flow->fds[i]);
    }
    LIST_REMOVE(flow, in_wire);
    flow->wire->open--;
    free(flow);
}

/* ---- Bytes in, bytes out. ---- */

/* The end at `from` has reset its connection. false: the flow is no more. */
static bool tell_of_end(struct way *way)
{
    if (!way->flow->connected) {
        flow_free(way->flow, true); /* there is nobody to tell */
        return false;
    }
    sender_gone(way);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    static char bytes[PIECE_MOST];
    struct way *way = arg;
    (void) what;
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n > 0)
        push(way, PIECE_BYTES, bytes, (size_t) n);
    else if (n == 0)
        push(way, PIECE_END, NULL, 0);
    else if (errno != EAGAIN && errno != EINTR && !tell_of_end(way))
        return;
    settle(way->flow);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct way *way = arg;
    (void) fd;
    (void) what;
    settle(way->flow);
}

static struct event *new_event(struct way *way, int fd, short what, event_callback_fn run)
{
    struct event *event = event_new(way->flow->wire->base, fd, what, run, way);
    if (event == NULL)
        abort();
    return event;
}

static void be_prompt(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* The target hears of the connection. */
static void reach_target(struct flow *flow)
{
    struct wire *wire = flow->wire;
    struct way *out = &flow->ways[WIRE_TO_TARGET], *back = &flow->ways[WIRE_TO_CLIENT];
    int fd = socket(wire->target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        abort();
    flow->fds[1] = fd;
    be_prompt(fd);
    out->writable = new_event(out, fd, EV_WRITE, on_turn);
    back->readable = new_event(back, fd, EV_READ | EV_PERSIST, on_readable);
    if (connect(fd, (const struct sockaddr *) &wire->target, wire->target_length) != 0 && errno != EINPROGRESS)
        sender_gone(back);
}

/* Whether it is there by now. */
static bool look_for_target(struct flow *flow)
{
    int error = 0;
    struct sockaddr_storage peer;
    socklen_t size = sizeof error, length = sizeof peer;
    if (getpeername(flow->fds[1], (struct sockaddr *) &peer, &length) == 0)
        return flow->connected = true;
    if (getsockopt(flow->fds[1], SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
        sender_gone(&flow->ways[WIRE_TO_CLIENT]);
    return false;
}

/* Lets arrive what is due. false: the flow has ended and is no more. */
static bool deliver(struct way *way)
{
    struct flow *flow = way->flow;
    int fd = flow->fds[way->to];
    for (struct piece *piece; (piece = STAILQ_FIRST(&way->pieces)) != NULL && piece->due_ns <= wire_now_ns();) {
        if (piece->kind == PIECE_RESET) {
            flow_free(flow, true);
            return false;
        }
        if (piece->kind == PIECE_END) {
            shutdown(fd, SHUT_WR);
            way->closed = true;
            pop(way);
            continue;
        }
        ssize_t n = send(fd, piece->bytes + piece->sent, piece->size - piece->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0) {
            sender_gone(&flow->ways[way->to]);
            return true;
        }
        piece->sent += (size_t) n;
        flow->wire->bytes[way->from] += n;
        if (piece->sent == piece->size)
            pop(way);
    }
    return true;
}

static void wake_at(struct way *way, int64_t at_ns)
{
    int64_t left = at_ns - wire_now_ns();
    if (left < 0)
        left = 0;
    int64_t us = (left + 999) / 1000;
    struct timeval wait = {us / 1000000, us % 1000000};
    event_add(way->timer, &wait);
}

static void turn_on(struct event *event, bool on)
{
    if (event == NULL)
        return;
    if (on)
        event_add(event, NULL);
    else
        event_del(event);
}

/* What wakes the way next. */
static void watch(struct way *way, bool can_send)
{
    const struct wire *wire = way->flow->wire;
    const struct piece *first = STAILQ_FIRST(&way->pieces);
    int64_t now = wire_now_ns(), wake = INT64_MAX;
    bool reads = !way->ended && way->held < WIRE_HELD_MOST;
    bool writes = false;
    if (first != NULL && can_send) {
        writes = first->due_ns <= now;
        wake = writes ? INT64_MAX : first->due_ns;
    }
    if (reads && wire->rate > 0 && wire->free_ns[way->from] > now + AHEAD_NS) {
        int64_t again = wire->free_ns[way->from] - AHEAD_NS;
        wake = again < wake ? again : wake;
        reads = false;
    }
    turn_on(way->readable, reads);
    turn_on(way->writable, writes);
    if (wake != INT64_MAX)
        wake_at(way, wake);
    else
        event_del(way->timer);
}

static void be_still(struct flow *flow)
{
    for (int i = 0; i < WIRE_WAYS; i++) {
        struct way *way = &flow->ways[i];
        event_del(way->timer);
        turn_on(way->readable, false);
        turn_on(way->writable, false);
    }
}

/* The target is being connected to, or is about to be. */
static void settle_start(struct flow *flow)
{
    struct way *out = &flow->ways[WIRE_TO_TARGET], *back = &flow->ways[WIRE_TO_CLIENT];
    if (flow->fds[1] < 0 && wire_now_ns() < flow->arrives_ns) {
        watch(out, false);
        wake_at(out, flow->arrives_ns);
        return;
    }
    if (flow->fds[1] < 0)
        reach_target(flow);
    if (look_for_target(flow) || back->ended) {
        settle(flow);
        return;
    }
    watch(out, false);
    event_add(out->writable, NULL);
}

/* After anything has happened: does what can be done by now. The flow may be gone afterwards. */
static void settle(struct flow *flow)
{
    struct way *out = &flow->ways[WIRE_TO_TARGET], *back = &flow->ways[WIRE_TO_CLIENT];
    if (flow->wire->cut) {
        be_still(flow);
        return;
    }
    if (!flow->connected && !back->ended) {
        settle_start(flow);
        return;
    }
    if ((flow->connected && !deliver(out)) || !deliver(back))
        return;
    if (out->closed && back->closed && STAILQ_EMPTY(&out->pieces) && STAILQ_EMPTY(&back->pieces)) {
        flow_free(flow, false);
        return;
    }
    watch(out, flow->connected);
    watch(back, true);
}

/* ---- The wire. ---- */

void wire_take(struct wire *wire, int client)
{
    struct flow *flow = calloc(1, sizeof *flow);
    if (flow == NULL)
        abort();
    flow->wire = wire;
    flow->fds[0] = client;
    flow->fds[1] = -1;
    flow->arrives_ns = wire_now_ns() + wire->delay_ns;
    flow->answered_ns = flow->arrives_ns + wire->delay_ns;
    be_prompt(client);
    for (int i = 0; i < WIRE_WAYS; i++) {
        struct way *way = &flow->ways[i];
        *way = (struct way){.flow = flow, .from = i, .to = 1 - i};
        STAILQ_INIT(&way->pieces);
        way->timer = new_event(way, -1, 0, on_turn);
    }
    flow->ways[WIRE_TO_TARGET].readable =
        new_event(&flow->ways[WIRE_TO_TARGET], client, EV_READ | EV_PERSIST, on_readable);
    flow->ways[WIRE_TO_CLIENT].writable = new_event(&flow->ways[WIRE_TO_CLIENT], client, EV_WRITE, on_turn);
    LIST_INSERT_HEAD(&wire->flows, flow, in_wire);
    wire->taken++;
    wire->open++;
    settle(flow);
}

static void settle_all(struct wire *wire)
{
    struct flow *flow = LIST_FIRST(&wire->flows);
    while (flow != NULL) {
        struct flow *next = LIST_NEXT(flow, in_wire); /* one that ends takes no other with it */
        settle(flow);
        flow = next;
    }
}

void wire_cut(struct wire *wire)
{
    wire->cut = true;
    settle_all(wire);
}

void wire_join(struct wire *wire)
{
    wire->cut = false;
    settle_all(wire);
}

void wire_reset(struct wire *wire)
{
    while (!LIST_EMPTY(&wire->flows))
        flow_free(LIST_FIRST(&wire->flows), true);
}
