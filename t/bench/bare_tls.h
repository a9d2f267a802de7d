/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_tls.h: TLS for bare_loop.c, as cheap as OpenSSL's SSL_write makes it: TLS 1.3, buffers that stay, records of 16
 * KiB, several of them a system call; or by the kernel (kTLS) where it has that. One thread, and what fails in starting
 * ends the program.
 */
#ifndef HEADPOND_T_BENCH_BARE_TLS_H
#define HEADPOND_T_BENCH_BARE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct bare_tls;

/* PEM files. Once, before all else. */
void bare_tls_start(const char *certificate, const char *key);

struct bare_tls *bare_tls_new(int fd);
/* Leaves the descriptor open. */
void bare_tls_free(struct bare_tls *tls);

/* As read(2); the handshake passes by with EAGAIN. */
ssize_t bare_tls_read(struct bare_tls *tls, void *data, size_t size);

/* Whether the kernel encrypts: then the descriptor is written to as any other. From the end of the handshake on. */
bool bare_tls_in_kernel(const struct bare_tls *tls);
/* Else: as writev(2) of two pieces, which may be empty; but what was taken may not have gone out yet. */
ssize_t bare_tls_write(struct bare_tls *tls, const char *head, size_t head_size, const char *body, size_t body_size);
/* Whether something waits for room in the socket; the next write sends that first. */
bool bare_tls_waits(const struct bare_tls *tls);

#endif
