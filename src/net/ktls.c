/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ktls.c: the kernel is asked by doing, since a list of what it has loaded (tcp_available_ulp) does not tell of what it
 * would load, nor whether we may. It takes the protocol on established connections only, hence the pair.
 */
#include "net/ktls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static bool available;
static pthread_once_t tried = PTHREAD_ONCE_INIT;

static void try_it(void)
{
#ifndef OPENSSL_NO_KTLS
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening >= 0 && connected >= 0 && bind(listening, (struct sockaddr *) &here, length) == 0 &&
        listen(listening, 1) == 0 && getsockname(listening, (struct sockaddr *) &here, &length) == 0 &&
        connect(connected, (struct sockaddr *) &here, length) == 0)
        available = setsockopt(connected, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0;
    if (connected >= 0)
        close(connected);
    if (listening >= 0)
        close(listening);
#endif
}

bool ktls_available(void)
{
    pthread_once(&tried, try_it);
    return available;
}
