/* SPDX-License-Identifier: Apache-2.0 */
/* greet.c: see greet.h. */
#include "pool/greet.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/clock.h"

static bool wait_for(int fd, short events, int64_t until_ms)
{
    int64_t left = until_ms - clock_mono_ms();
    struct pollfd poll_for = {.fd = fd, .events = events};
    return left > 0 && poll(&poll_for, 1, (int) left) == 1;
}

static int dial(const struct sockaddr *address, socklen_t length, int64_t until_ms)
{
    int error = 0, fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof error;
    if (fd < 0)
        return -1;
    if (connect(fd, address, length) == 0 ||
        (wait_for(fd, POLLOUT, until_ms) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0))
        return fd;
    close(fd);
    return -1;
}

static bool shake_hands(SSL *ssl, int fd, int64_t until_ms)
{
    for (;;) {
        int done = SSL_connect(ssl);
        if (done == 1)
            return true;
        int why = SSL_get_error(ssl, done);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return false;
        if (!wait_for(fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until_ms))
            return false;
    }
}

enum status greet(const struct tls *tls, const struct sockaddr *address, socklen_t length, int64_t patience_ms,
                  struct identity *identity)
{
    rcu_thread_online();
    SSL *ssl = SSL_new(tls_context(tls));
    rcu_thread_offline();
    int fd = ssl == NULL ? -1 : dial(address, length, clock_mono_ms() + patience_ms);
    enum status status = fd < 0 ? STATUS_CONNECT : STATUS_TLS;
    if (fd >= 0 && SSL_set_fd(ssl, fd) == 1 && shake_hands(ssl, fd, clock_mono_ms() + patience_ms)) {
        X509 *certificate = SSL_get1_peer_certificate(ssl);
        status = certificate == NULL ? STATUS_NOT_FOUND : identity_of(certificate, identity);
        X509_free(certificate);
    }
    SSL_free(ssl);
    if (fd >= 0)
        close(fd);
    return status;
}
