/* SPDX-License-Identifier: Apache-2.0 */
/* dns_rig.h: a DNS server for tests, over UDP and TCP on loopback, whose answers the test's `answer` writes. */
#ifndef HEADPOND_T_UNIT_DNS_RIG_H
#define HEADPOND_T_UNIT_DNS_RIG_H

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- A message, written. ---- */

struct message {
    uint8_t bytes[65535];
    size_t size;
};

static inline void put16(struct message *message, unsigned value)
{
    message->bytes[message->size++] = (uint8_t) (value >> 8);
    message->bytes[message->size++] = (uint8_t) value;
}

static inline void put_name(struct message *message, const char *name)
{
    int length =
        ns_name_compress(name, message->bytes + message->size, sizeof message->bytes - message->size, NULL, NULL);
    message->size += (size_t) length;
}

/* A record's head; the caller adds so many bytes. */
static inline void put_record(struct message *message, const char *name, unsigned type, unsigned ttl, unsigned size)
{
    put_name(message, name);
    put16(message, type);
    put16(message, ns_c_in);
    put16(message, ttl >> 16);
    put16(message, ttl & 0xffff);
    put16(message, size);
}

static inline void put_service(struct message *message, const char *target, unsigned port, unsigned weight,
                               unsigned ttl)
{
    put_record(message, "pool.test", ns_t_srv, ttl, 0);
    size_t at = message->size;
    put16(message, 10);
    put16(message, weight);
    put16(message, port);
    put_name(message, target);
    message->bytes[at - 2] = (uint8_t) ((message->size - at) >> 8);
    message->bytes[at - 1] = (uint8_t) (message->size - at);
}

static inline void put_address(struct message *message, const char *name, const char *address, unsigned ttl)
{
    bool six = strchr(address, ':') != NULL;
    put_record(message, name, six ? ns_t_aaaa : ns_t_a, ttl, six ? 16 : 4);
    inet_pton(six ? AF_INET6 : AF_INET, address, message->bytes + message->size);
    message->size += six ? 16 : 4;
}

static inline void set_count(struct message *message, unsigned section, unsigned count)
{
    message->bytes[4 + 2 * section] = (uint8_t) (count >> 8);
    message->bytes[5 + 2 * section] = (uint8_t) count;
}

/* ---- The server. ---- */

/* Where it is. */
static struct sockaddr_in server;
static int udp = -1, tcp = -1;
static atomic_uint over_tcp __attribute__((unused));

/* Adds records to what answers a question for that name and type; the answer's code. */
static int answer(struct message *message, const char *name, unsigned type);

static inline void respond(const uint8_t *question, size_t size, struct message *message)
{
    ns_msg asked;
    ns_rr record;
    if (ns_initparse(question, (int) size, &asked) != 0 || ns_parserr(&asked, ns_s_qd, 0, &record) != 0)
        abort();
    memset(message->bytes, 0, 12);
    memcpy(message->bytes, question, 2);
    message->size = 12;
    put_name(message, ns_rr_name(record));
    put16(message, ns_rr_type(record));
    put16(message, ns_c_in);
    set_count(message, 0, 1);
    message->bytes[2] = 0x85; /* an answer, and it has authority */
    message->bytes[3] = (uint8_t) (0x80 | answer(message, ns_rr_name(record), ns_rr_type(record)));
}

static inline void serve_udp(void)
{
    static struct message message;
    uint8_t question[1024];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t size = recvfrom(udp, question, sizeof question, 0, (struct sockaddr *) &from, &length);
    respond(question, (size_t) size, &message);
    if (message.size > 512) { /* the rest is to be had over TCP */
        message.size = 512;
        message.bytes[2] |= 2;
    }
    sendto(udp, message.bytes, message.size, 0, (struct sockaddr *) &from, length);
}

static inline void serve_tcp(void)
{
    static struct message message;
    uint8_t question[1024];
    int fd = accept(tcp, NULL, NULL);
    over_tcp++;
    if (recv(fd, question, 2, MSG_WAITALL) == 2 &&
        recv(fd, question + 2, (size_t) (question[0] << 8 | question[1]), MSG_WAITALL) > 0) {
        respond(question + 2, (size_t) (question[0] << 8 | question[1]), &message);
        const uint8_t head[2] = {(uint8_t) (message.size >> 8), (uint8_t) message.size};
        send(fd, head, 2, MSG_MORE | MSG_NOSIGNAL);
        send(fd, message.bytes, message.size, MSG_NOSIGNAL);
    }
    close(fd);
}

static inline void *serve(void *arg)
{
    const int *stop = arg;
    for (;;) {
        struct pollfd fds[] = {
            {.fd = udp, .events = POLLIN}, {.fd = tcp, .events = POLLIN}, {.fd = *stop, .events = POLLIN}};
        poll(fds, 3, -1);
        if (fds[2].revents != 0)
            return NULL;
        if (fds[0].revents != 0)
            serve_udp();
        if (fds[1].revents != 0)
            serve_tcp();
    }
}

static inline void listen_on_both(void)
{
    socklen_t length = sizeof server;
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    tcp = socket(AF_INET, SOCK_STREAM, 0);
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(tcp, (struct sockaddr *) &server, length) != 0 || listen(tcp, 8) != 0 ||
        getsockname(tcp, (struct sockaddr *) &server, &length) != 0 ||
        bind(udp, (struct sockaddr *) &server, length) != 0)
        printf("Bail out! no port\n");
}

static int serving[2];
static pthread_t server_thread;

static inline void dns_rig_start(void)
{
    listen_on_both();
    if (pipe(serving) != 0 || pthread_create(&server_thread, NULL, serve, &serving[0]) != 0)
        printf("Bail out! no thread\n");
}

static inline void dns_rig_stop(void)
{
    close(serving[1]);
    pthread_join(server_thread, NULL);
    close(serving[0]);
    close(udp);
    close(tcp);
}

#endif
