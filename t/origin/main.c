/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob-origin: a scripted Blob origin for tests, for what the emulator cannot show: exact Azure
 * behaviour, faults, and content at memory speed. README says how it is driven.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "content.h"
#include "io.h"
#include "serve.h"

static const char usage[] = "usage: blob-origin [--listen ADDRESS:PORT] [--threads N] [--parent-death]\n"
                            "                   [--cert FILE --key FILE [--tls-listen ADDRESS:PORT]]\n";

struct options {
    const char *listen, *tls_listen, *cert, *key;
    int threads, parent_death;
};

static int parse_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"listen", 1, NULL, 'l'},  {"tls-listen", 1, NULL, 't'},   {"cert", 1, NULL, 'c'}, {"key", 1, NULL, 'k'},
        {"threads", 1, NULL, 'n'}, {"parent-death", 0, NULL, 'p'}, {"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        switch (c) {
        case 'l':
            o->listen = optarg;
            break;
        case 't':
            o->tls_listen = optarg;
            break;
        case 'c':
            o->cert = optarg;
            break;
        case 'k':
            o->key = optarg;
            break;
        case 'n':
            o->threads = atoi(optarg);
            break;
        case 'p':
            o->parent_death = 1;
            break;
        default:
            return -1;
        }
    }
    if (optind != argc || o->threads < 1 || o->threads > 64 || !o->cert != !o->key)
        return -1;
    if (o->tls_listen && !o->cert)
        return -1;
    if (o->cert && !o->tls_listen)
        o->tls_listen = "127.0.0.1:0";
    return 0;
}

/* Returns the socket and writes its real address into `name`, or -1 with a message. */
static int listen_on(const char *address, char *name, size_t size)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof sa;
    char host[64];
    const char *colon = strrchr(address, ':');
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!colon || (size_t) (colon - address) >= sizeof host) {
        fprintf(stderr, "blob-origin: %s: not ADDRESS:PORT\n", address);
        return -1;
    }
    snprintf(host, sizeof host, "%.*s", (int) (colon - address), address);
    sa.sin_port = htons((uint16_t) atoi(colon + 1));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (inet_pton(AF_INET, host, &sa.sin_addr) != 1 || bind(fd, (struct sockaddr *) &sa, sizeof sa) != 0 ||
        listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *) &sa, &len) != 0) {
        perror(address);
        return -1;
    }
    snprintf(name, size, "%s:%d", host, ntohs(sa.sin_port));
    return fd;
}

/* Descriptors are what limits thousands of connections first. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct options o = {.listen = "127.0.0.1:0", .threads = 2};
    struct listener listeners[2] = {{-1, NULL}, {-1, NULL}};
    char plain[96], tls[96] = "";
    sigset_t stop;
    int got;
    if (parse_options(argc, argv, &o) != 0) {
        fputs(usage, stderr);
        return 2;
    }
    if (o.parent_death) {
        pid_t parent = getppid();
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            return 0;
    }
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* before the threads, which inherit it */
    content_init();

    listeners[0].fd = listen_on(o.listen, plain, sizeof plain);
    if (listeners[0].fd < 0)
        return 1;
    if (o.cert) {
        listeners[1].fd = listen_on(o.tls_listen, tls, sizeof tls);
        listeners[1].tls = io_tls_context(o.cert, o.key);
        if (listeners[1].fd < 0 || !listeners[1].tls)
            return 1;
    }
    serve_start(listeners, o.cert ? 2 : 1, o.threads);
    printf("listening %s%s%s\n", plain, o.cert ? " tls " : "", tls);
    fflush(stdout);
    sigwait(&stop, &got);
    _exit(0); /* the threads still run: no atexit handlers under their feet */
}
