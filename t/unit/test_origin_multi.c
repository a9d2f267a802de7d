/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_multi.c: the multi by itself: a name with two addresses, the first of which refuses. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "origin/multi.h"
#include "tap.h"
#include "test_origin_rig.h"

static void answer(struct conn *conn)
{
    mem_free(conn_head(conn));
    conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

struct plain {
    struct origin_transfer transfer;
    struct curl_slist *resolve;
    char url[64];
    char addresses[128];
    CURLcode result;
    long code;
    sem_t done;
};

static size_t drop(char *data, size_t size, size_t count, void *arg)
{
    (void) data, (void) arg;
    return size * count;
}

static void on_done(struct origin_transfer *transfer, CURLcode result)
{
    struct plain *plain = (struct plain *) transfer;
    plain->result = result;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &plain->code);
    origin_transfer_stop(transfer);
}

static void on_destroy(struct origin_transfer *transfer)
{
    sem_post(&((struct plain *) transfer)->done);
}

static const struct origin_transfer_class plain_class = {.done = on_done, .destroy = on_destroy};

static void start(void *arg)
{
    struct plain *plain = arg;
    origin_transfer_init(&plain->transfer, origin_multi_of(rig_loop()), &plain_class);
    curl_easy_setopt(plain->transfer.easy, CURLOPT_URL, plain->url);
    curl_easy_setopt(plain->transfer.easy, CURLOPT_RESOLVE, plain->resolve);
    curl_easy_setopt(plain->transfer.easy, CURLOPT_PROXY, "");
    curl_easy_setopt(plain->transfer.easy, CURLOPT_CONNECTTIMEOUT_MS, 8000L);
    curl_easy_setopt(plain->transfer.easy, CURLOPT_WRITEFUNCTION, drop);
    origin_transfer_start(&plain->transfer);
}

/* A refused socket's descriptor number is given out again at once: the loop must not believe it knows it already. */
static void next_address(unsigned round)
{
    struct plain plain = {0};
    struct server *server = server_new(answer);
    const char *port = strrchr(server_base(server), ':') + 1;
    sem_init(&plain.done, 0, 0);
    snprintf(plain.url, sizeof plain.url, "http://two%u.test:%s/", round, port);
    snprintf(plain.addresses, sizeof plain.addresses, "two%u.test:%s:[::1],127.0.0.1", round, port);
    plain.resolve = curl_slist_append(NULL, plain.addresses);
    const int64_t began = clock_mono_ms();
    rig_call(start, &plain);
    rig_wait(&plain.done);
    ok(plain.result == CURLE_OK && plain.code == 200, "the second of two addresses answers (%s)",
       curl_easy_strerror(plain.result));
    const int64_t took = clock_mono_ms() - began;
    ok(took < 3500, "without waiting (%lld ms)", (long long) took);
    curl_slist_free_all(plain.resolve);
    sem_destroy(&plain.done);
    server_free(server);
}

int main(void)
{
    mem_init();
    signal(SIGPIPE, SIG_IGN);
    rig_start();
    for (unsigned i = 0; i < 5; i++)
        next_address(i);
    rig_stop();
    return done_testing();
}
