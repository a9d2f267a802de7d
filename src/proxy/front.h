/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.h: a set of listening addresses and the servers behind them, one a loop. The blob listeners are one front on
 * all loops, the admin listener another on loop 0.
 */
#ifndef HEADPOND_PROXY_FRONT_H
#define HEADPOND_PROXY_FRONT_H

#include <stdbool.h>

#include "base/status.h"
#include "base/str.h"
#include "http/exchange.h"
#include "http/server.h"

struct front;
struct loop;
struct tls;

struct front_options {
    struct http_handler handler;
    struct http_limits limits;
    int max_connections;
    unsigned loop_count; /* sockets an address: loops 0..loop_count-1 */
};

struct front *front_new(const struct front_options *options);
/* Binds the address (nobody accepts yet). `certificate` and `key` may be NULL: cleartext; they outlive the front.
 * `scheme` is what the log calls it in place of http and https, or NULL. On failure *error holds one line that says
 * what to do. Before the loops start. */
enum status front_bind(struct front *front, const char *address, const char *certificate, const char *key,
                       const char *scheme, struct strbuf *error) STATUS_CHECKED;
/* The same with what somebody else has loaded from `file` and others, and frees after the front. */
enum status front_bind_tls(struct front *front, const char *address, struct tls *tls, const char *file,
                           const char *scheme, struct strbuf *error) STATUS_CHECKED;
/* After the loops have been joined. Empties the pointer. */
void front_free(struct front **front);

/* Renews the certificates whose files have changed (certificate.h). Main's thread, while the loops run. */
void front_look_at_certificates(struct front *front, bool again);

/* On each loop: starts accepting. */
void front_loop_open(struct front *front, struct loop *loop);
/* No new connections or requests; what runs may end. Harmless when repeated. */
void front_loop_drain(struct front *front, struct loop *loop);
/* Cuts what is left; the last exchange has finished when it returns. How many were cut. */
unsigned front_loop_close(struct front *front, struct loop *loop);

/* Open connections on all loops. Any thread. */
int front_connections(const struct front *front);
/* For how many milliseconds connections have been waiting for memory (listener_starved). Any thread. */
int64_t front_starved(const struct front *front);
/* A log line for each address, with the port it really has. */
void front_tell(const struct front *front);

#endif
