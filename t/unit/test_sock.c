/* SPDX-License-Identifier: Apache-2.0 */
/* test_sock.c: what a short write means: a full buffer, which an event will tell of; or a piece that cannot be read. */
#include "net/sock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

#define PAGE 4096
/* What the kernel copies before it comes to the page that it cannot read. */
#define BEFORE (200 * 1024)

/* A connection over loopback; its far end. */
static int connect_pair(struct sock *sock)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *) &address, sizeof address) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *) &address, &length) != 0 ||
        connect(near, (struct sockaddr *) &address, sizeof address) != 0 || fcntl(near, F_SETFL, O_NONBLOCK) != 0)
        abort();
    int far = accept(listener, NULL, NULL);
    close(listener);
    *sock = (struct sock){.fd = near, .writable = true};
    return far;
}

static void test_full(void)
{
    struct sock sock;
    int far = connect_pair(&sock);
    const size_t size = 64 * 1024 * 1024;
    struct iovec pieces[2] = {{calloc(1, size), size}, {calloc(1, 10), 10}};
    size_t taken;
    ok(sock_write(&sock, pieces, 2, &taken) == STATUS_OK && taken > 0 && taken < size, "a buffer takes what it can");
    ok(!sock.writable, "and is full then");
    ok(sock_write(&sock, pieces, 2, &taken) == STATUS_AGAIN && taken == 0, "it takes nothing more");
    free(pieces[0].iov_base);
    free(pieces[1].iov_base);
    sock_close(&sock, true);
    close(far);
}

/* Two pages of a file that has one: the second cannot be read. */
static void test_cut(void)
{
    char name[] = "/tmp/headpond-sock-XXXXXX";
    struct sock sock;
    int far = connect_pair(&sock), file = mkstemp(name);
    if (file < 0 || ftruncate(file, 2 * PAGE) != 0)
        abort();
    unlink(name);
    void *map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED || ftruncate(file, PAGE) != 0)
        abort();
    struct iovec pieces[2] = {{calloc(1, BEFORE), BEFORE}, {map, 2 * PAGE}};
    size_t taken;
    is_int(sock_write(&sock, pieces, 2, &taken), STATUS_RESET, "a piece that cannot be read ends the connection");
    free(pieces[0].iov_base);
    munmap(map, 2 * PAGE);
    close(file);
    sock_close(&sock, true);
    close(far);
}

int main(void)
{
    test_full();
    test_cut();
    return done_testing();
}
