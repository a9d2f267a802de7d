/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: TCP with distance and trouble, for tests of the pool. Takes connections at each LISTEN and carries them to its
 * TARGET, each pair over a wire of its own (wire.h). Prints `listening INDEX ADDRESS` for each, then does what the
 * lines on standard input say, and ends with them:
 *
 *     delay MS [INDEX...]   one way, each way; without an INDEX: all pairs
 *     rate BYTES [INDEX...] a second, each way, of all connections of a pair together; 0: no limit
 *     cut [INDEX...]        a black hole: connections fall silent, and new ones are not answered
 *     reset [INDEX...]      connections are reset, and new ones refused
 *     join [INDEX...]       all is well again; connections that were cut go on
 *     stats                 a line of JSON: connections, and bytes that have arrived, each way
 *
 * Each is answered by a line when it is done: `ok`, `error WHY`, or the JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "wire.h"

#define BACKLOG 4096
#define FILLERS 8
#define FILL_MS 20
#define ADDRESS_TEXT 80

enum gate_state { GATE_OPEN, GATE_CUT, GATE_CLOSED };
static const char *const state_names[] = {"open", "cut", "closed"};

/* Where a wire's clients come in. */
struct gate {
    struct wire wire;
    enum gate_state state;
    struct sockaddr_storage address;
    socklen_t length;
    int fd;
    struct event *acceptable;
    int fillers[FILLERS]; /* connections of our own that fill the queue of one that is cut */
    int filler_count;
};

struct relay {
    struct event_base *base;
    struct gate *gates;
    size_t count;
    struct evbuffer *said;
};

/* ---- Taking connections. ---- */

static in_port_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *) (const void *) address)->sin6_port
                                          : ((const struct sockaddr_in *) (const void *) address)->sin_port;
}

static bool is_filler(const struct gate *gate, const struct sockaddr_storage *peer)
{
    for (int i = 0; i < gate->filler_count; i++) {
        struct sockaddr_storage own;
        socklen_t length = sizeof own;
        if (getsockname(gate->fillers[i], (struct sockaddr *) &own, &length) == 0 && port_of(&own) == port_of(peer))
            return true;
    }
    return false;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct gate *gate = arg;
    (void) what;
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int client = accept4(fd, (struct sockaddr *) &peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0)
            return;
        if (is_filler(gate, &peer))
            close(client);
        else
            wire_take(&gate->wire, client);
    }
}

/* Bound, so that nobody else has the port; it does not listen. */
static bool gate_bind(struct gate *gate)
{
    int on = 1;
    gate->fd = socket(gate->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(gate->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(gate->fd, (struct sockaddr *) &gate->address, gate->length) == 0 &&
           getsockname(gate->fd, (struct sockaddr *) &gate->address, &gate->length) == 0;
}

static bool gate_listen(struct gate *gate)
{
    if (listen(gate->fd, BACKLOG) != 0)
        return false;
    gate->acceptable = event_new(gate->wire.base, gate->fd, EV_READ | EV_PERSIST, on_acceptable, gate);
    return gate->acceptable != NULL && event_add(gate->acceptable, NULL) == 0;
}

/* Nobody answers: the kernel drops what would connect to a listener whose queue is full, so we fill it ourselves. */
static void gate_cut(struct gate *gate)
{
    event_del(gate->acceptable);
    listen(gate->fd, 1);
    while (gate->filler_count < FILLERS) {
        int fd = socket(gate->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fd, (struct sockaddr *) &gate->address, gate->length);
        struct pollfd answer = {.fd = fd, .events = POLLOUT};
        if (poll(&answer, 1, FILL_MS) != 1) {
            close(fd);
            break;
        }
        gate->fillers[gate->filler_count++] = fd;
    }
    wire_cut(&gate->wire);
}

/* A bound socket that does not listen refuses what comes. */
static bool gate_close(struct gate *gate)
{
    event_free(gate->acceptable);
    gate->acceptable = NULL;
    close(gate->fd);
    wire_reset(&gate->wire);
    return gate_bind(gate);
}

static bool gate_open(struct gate *gate)
{
    if (gate->state == GATE_CLOSED)
        return gate_listen(gate);
    if (gate->state == GATE_CUT) {
        wire_join(&gate->wire);
        listen(gate->fd, BACKLOG);
        on_acceptable(gate->fd, EV_READ, gate);
        while (gate->filler_count > 0)
            close(gate->fillers[--gate->filler_count]);
        event_add(gate->acceptable, NULL);
    }
    return true;
}

static bool gate_set(struct gate *gate, enum gate_state state)
{
    if (state == gate->state)
        return true;
    bool done = gate_open(gate);
    if (done && state == GATE_CUT)
        gate_cut(gate);
    else if (done && state == GATE_CLOSED)
        done = gate_close(gate);
    gate->state = state;
    return done;
}

/* ---- Commands. ---- */

static void address_text(const struct sockaddr_storage *address, char text[ADDRESS_TEXT])
{
    char host[INET6_ADDRSTRLEN] = "";
    const void *bytes = address->ss_family == AF_INET6
                            ? (const void *) &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr
                            : (const void *) &((const struct sockaddr_in *) (const void *) address)->sin_addr;
    inet_ntop(address->ss_family, bytes, host, sizeof host);
    snprintf(text, ADDRESS_TEXT, address->ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", host, ntohs(port_of(address)));
}

static void tell_counts(const char *end, int64_t taken, int64_t open, const int64_t bytes[WIRE_WAYS])
{
    printf("\"connections\":%" PRId64 ",\"open\":%" PRId64 ",\"to_target\":%" PRId64 ",\"to_client\":%" PRId64 "%s",
           taken, open, bytes[WIRE_TO_TARGET], bytes[WIRE_TO_CLIENT], end);
}

static void tell_stats(const struct relay *relay)
{
    int64_t taken = 0, open = 0, bytes[WIRE_WAYS] = {0, 0};
    printf("{\"pairs\":[");
    for (size_t i = 0; i < relay->count; i++) {
        const struct wire *wire = &relay->gates[i].wire;
        printf("%s{\"state\":\"%s\",\"delay_ms\":%" PRId64 ",", i > 0 ? "," : "", state_names[relay->gates[i].state],
               wire->delay_ns / 1000000);
        tell_counts("}", wire->taken, wire->open, wire->bytes);
        taken += wire->taken;
        open += wire->open;
        for (int way = 0; way < WIRE_WAYS; way++)
            bytes[way] += wire->bytes[way];
    }
    printf("],");
    tell_counts("}\n", taken, open, bytes);
}

/* false: text is not a number from 0 to `most`. */
static bool read_number(const char *text, int64_t most, int64_t *number)
{
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        return false;
    *number = strtoll(text, &end, 10);
    return *end == '\0' && *number <= most;
}

static const char *obey_one(struct gate *gate, const char *verb, int64_t number)
{
    if (strcmp(verb, "delay") == 0)
        gate->wire.delay_ns = number * 1000000;
    else if (strcmp(verb, "rate") == 0)
        gate->wire.rate = number;
    else if (!gate_set(gate, strcmp(verb, "cut") == 0     ? GATE_CUT
                             : strcmp(verb, "reset") == 0 ? GATE_CLOSED
                                                          : GATE_OPEN))
        return strerror(errno);
    return NULL;
}

/* NULL, or what is wrong. `rest`: the words after the verb. */
static const char *obey(struct relay *relay, const char *verb, char *rest)
{
    int64_t number = 0, index;
    bool has_number = strcmp(verb, "delay") == 0 || strcmp(verb, "rate") == 0;
    if (!has_number && strcmp(verb, "cut") != 0 && strcmp(verb, "reset") != 0 && strcmp(verb, "join") != 0)
        return "no such command";
    if (has_number && !read_number(strtok_r(NULL, " ", &rest), 1000000000000, &number))
        return "a number is missing";
    const char *word = strtok_r(NULL, " ", &rest), *wrong = NULL;
    for (size_t i = 0; word == NULL && wrong == NULL && i < relay->count; i++)
        wrong = obey_one(&relay->gates[i], verb, number);
    for (; word != NULL && wrong == NULL; word = strtok_r(NULL, " ", &rest)) {
        if (!read_number(word, (int64_t) relay->count - 1, &index))
            return "no such pair";
        wrong = obey_one(&relay->gates[index], verb, number);
    }
    return wrong;
}

static void on_line(struct relay *relay, char *line)
{
    char *rest;
    const char *verb = strtok_r(line, " ", &rest);
    if (verb != NULL && strcmp(verb, "stats") == 0) {
        tell_stats(relay);
    } else {
        const char *wrong = verb == NULL ? "no command" : obey(relay, verb, rest);
        if (wrong != NULL)
            printf("error %s\n", wrong);
        else
            printf("ok\n");
    }
    fflush(stdout);
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
    struct relay *relay = arg;
    (void) what;
    int n = evbuffer_read(relay->said, fd, -1);
    for (char *line; (line = evbuffer_readln(relay->said, NULL, EVBUFFER_EOL_LF)) != NULL; free(line))
        on_line(relay, line);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        event_base_loopbreak(relay->base);
}

/* ---- The start. ---- */

/* HOST:PORT or [IPv6]:PORT, in numbers; the port may be 0. */
static bool parse_address(const char *text, struct sockaddr_storage *address, socklen_t *length)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    bool in_brackets = text[0] == '[' && colon != NULL && colon[-1] == ']';
    int size = colon == NULL ? 0 : (int) (colon - text) - (in_brackets ? 2 : 0);
    if (size <= 0 || size >= (int) sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", size, text + in_brackets);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return false;
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* LISTEN=TARGET. */
static bool gate_start(struct gate *gate, char *pair)
{
    char *target = strchr(pair, '=');
    gate->wire.target.ss_family = AF_UNSPEC;
    LIST_INIT(&gate->wire.flows);
    if (target != NULL)
        *target++ = '\0';
    if (target == NULL || !parse_address(pair, &gate->address, &gate->length) ||
        !parse_address(target, &gate->wire.target, &gate->wire.target_length) || port_of(&gate->wire.target) == 0) {
        fprintf(stderr, "relay: %s: not HOST:PORT=HOST:PORT\n", pair);
        return false;
    }
    if (!gate_bind(gate) || !gate_listen(gate)) {
        fprintf(stderr, "relay: %s: %s\n", pair, strerror(errno));
        return false;
    }
    return true;
}

/* Timers to the microsecond. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
        base = event_base_new_with_config(config);
    if (config != NULL)
        event_config_free(config);
    if (base == NULL)
        abort();
    return base;
}

static bool start_all(struct relay *relay, char **pairs, int64_t delay_ms, int64_t rate)
{
    for (size_t i = 0; i < relay->count; i++) {
        struct gate *gate = &relay->gates[i];
        char text[ADDRESS_TEXT];
        gate->wire.base = relay->base;
        gate->wire.delay_ns = delay_ms * 1000000;
        gate->wire.rate = rate;
        if (!gate_start(gate, pairs[i]))
            return false;
        address_text(&gate->address, text);
        printf("listening %zu %s\n", i, text);
    }
    fflush(stdout);
    return true;
}

static void relay_fini(struct relay *relay)
{
    for (size_t i = 0; i < relay->count; i++) {
        if (relay->gates[i].acceptable != NULL)
            event_free(relay->gates[i].acceptable);
        wire_reset(&relay->gates[i].wire);
    }
    free(relay->gates);
    evbuffer_free(relay->said);
    event_base_free(relay->base);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"delay", 1, NULL, 'd'}, {"rate", 1, NULL, 'r'}, {NULL, 0, NULL, 0}};
    int64_t delay_ms = 0, rate = 0;
    bool good = true;
    struct rlimit limit;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        good = good && (c == 'd'   ? read_number(optarg, 1000000, &delay_ms)
                        : c == 'r' ? read_number(optarg, INT64_MAX, &rate)
                                   : false);
    if (!good || optind == argc) {
        fputs("usage: relay [--delay MS] [--rate BYTES/S] LISTEN=TARGET...\n", stderr);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    struct relay relay = {.base = new_base(), .count = (size_t) (argc - optind), .said = evbuffer_new()};
    relay.gates = calloc(relay.count, sizeof *relay.gates);
    struct event *input = event_new(relay.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &relay);
    if (relay.gates == NULL || relay.said == NULL || input == NULL || event_add(input, NULL) != 0)
        abort();
    int status = start_all(&relay, argv + optind, delay_ms, rate) ? 0 : 1;
    if (status == 0)
        event_base_dispatch(relay.base);
    event_free(input);
    relay_fini(&relay);
    return status;
}
