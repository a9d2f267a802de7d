/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_http_server.c: the same exchanges over HTTP/1.1 and HTTP/2, clear and TLS, with libcurl as the client: bodies
 * both ways, failures, HEAD, many requests at once and one after the other, slow readers and draining.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http_rig.h"
#include "tap.h"

static struct rig rig;

static const struct way {
    const char *name;
    bool tls;
    long version;
} ways[] = {
    {"h1", false, CURL_HTTP_VERSION_1_1},
    {"h1 over TLS", true, CURL_HTTP_VERSION_1_1},
    {"h2c", false, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE},
    {"h2", true, CURL_HTTP_VERSION_2TLS},
};
#define WAYS (sizeof ways / sizeof ways[0])

struct got {
    uint64_t bytes;
    bool right;         /* all as seeded */
    struct strbuf text; /* the first bytes */
    CURL *easy;
    uint64_t stop_at; /* 0: never; else the client gives up there */
    uint64_t pause_at;
};

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    struct got *got = arg;
    size *= count;
    for (size_t i = 0; i < size; i++)
        if ((uint8_t) data[i] != rig_byte(got->bytes + i))
            got->right = false;
    if (got->text.len < 1000)
        strbuf_add(&got->text, data, size < 1000 ? size : 1000);
    got->bytes += size;
    return got->stop_at > 0 && got->bytes >= got->stop_at ? 0 : size;
}

struct put {
    uint64_t at;
    uint64_t length;
};

static size_t give(char *data, size_t size, size_t count, void *arg)
{
    struct put *put = arg;
    size *= count;
    if (size > put->length - put->at)
        size = (size_t) (put->length - put->at);
    for (size_t i = 0; i < size; i++)
        data[i] = (char) rig_byte(put->at + i);
    put->at += size;
    return size;
}

/* The client's end: libcurl 7.88 now and then forgets an h2c connection, which stays open then, on both sides. */
static unsigned held_open;

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void) arg;
    (void) purpose;
    curl_socket_t fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    held_open += fd != CURL_SOCKET_BAD;
    return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
    (void) arg;
    held_open--;
    return close(fd);
}

static CURL *prepare(CURL *easy, const struct way *way, const char *path, struct got *got)
{
    char url[256];
    *got = (struct got){.right = true, .easy = easy};
    snprintf(url, sizeof url, "http%s://127.0.0.1:%u%s", way->tls ? "s" : "", way->tls ? rig.tls_port : rig.clear_port,
             path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, way->version);
    curl_easy_setopt(easy, CURLOPT_CAINFO, rig.certificate);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, got);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    /* libcurl 7.88 cannot use an h2c connection again. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, way->version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, way->version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE ? 1L : 0L);
    return easy;
}

static long code_of(CURL *easy)
{
    long code = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

/* GET; the reply's code, or minus curl's error. */
static long get(CURL *easy, const struct way *way, const char *path, struct got *got)
{
    curl_easy_reset(easy);
    CURLcode result = curl_easy_perform(prepare(easy, way, path, got));
    return result == CURLE_OK ? code_of(easy) : -(long) result;
}

static long put(CURL *easy, const struct way *way, const char *path, uint64_t length, bool chunked, struct got *got)
{
    struct put body = {0, length};
    struct curl_slist *headers = NULL;
    curl_easy_reset(easy);
    prepare(easy, way, path, got);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(easy, CURLOPT_READDATA, &body);
    if (!chunked)
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) length);
    else if (way->version == CURL_HTTP_VERSION_1_1)
        headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    CURLcode result = curl_easy_perform(easy);
    long code = result == CURLE_OK ? code_of(easy) : -(long) result;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return code;
}

static void clear(struct got *got)
{
    strbuf_free(&got->text);
    got->text = (struct strbuf){0};
}

static void test_bodies(CURL *easy, const struct way *way)
{
    static const uint64_t sizes[] = {0, 1, 1000, 16384, 65537, 1000000, 40000000};
    char path[64];
    struct got got;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(path, sizeof path, "/mem/%llu", (unsigned long long) sizes[i]);
        long code = get(easy, way, path, &got);
        ok(code == 200 && got.bytes == sizes[i] && got.right, "%s: %s", way->name, path);
        clear(&got);
        snprintf(path, sizeof path, "/unknown/%llu", (unsigned long long) sizes[i]);
        code = get(easy, way, path, &got);
        ok(code == 200 && got.bytes == sizes[i] && got.right, "%s: %s", way->name, path);
        clear(&got);
    }
    long used = 0;
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &used);
    if (way->version != CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
        is_int(used, 0, "%s: the connection is kept", way->name);
    long version = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    is_int(version, way->version == CURL_HTTP_VERSION_1_1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2_0,
           "%s: the protocol is what was asked for", way->name);
    ok(get(easy, way, "/slow/300000/777", &got) == 200 && got.bytes == 300000 && got.right, "%s: a slow source",
       way->name);
    clear(&got);
    ok(get(easy, way, "/late/5000", &got) == 200 && got.bytes == 5000 && got.right, "%s: a late reply", way->name);
    clear(&got);
    is_int(get(easy, way, "/status/204", &got), 204, "%s: 204", way->name);
    clear(&got);

    curl_easy_reset(easy);
    prepare(easy, way, "/mem/123456", &got);
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    CURLcode result = curl_easy_perform(easy);
    curl_off_t length = 0;
    curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    ok(result == CURLE_OK && code_of(easy) == 200 && length == 123456 && got.bytes == 0, "%s: HEAD", way->name);
    clear(&got);
}

static void test_failures(CURL *easy, const struct way *way)
{
    struct got got;
    unsigned stalled = rig_finished(STATUS_STALLED);
    unsigned truncated = rig_finished(STATUS_TRUNCATED);
    unsigned cancelled = rig_finished(STATUS_CANCELLED);
    unsigned gone = rig_finished(STATUS_CLIENT_GONE);
    long code = get(easy, way, "/fail/1000000/300000", &got);
    ok(code < 0 && got.bytes <= 300000 && got.right, "%s: a body that fails is an error (%ld)", way->name, -code);
    clear(&got);
    code = get(easy, way, "/failunknown/300000", &got);
    ok(code < 0 && got.bytes <= 300000 && got.right, "%s: also without a length (%ld)", way->name, -code);
    clear(&got);
    code = get(easy, way, "/short/1000/999", &got);
    ok(code < 0, "%s: and one that is short (%ld)", way->name, -code);
    clear(&got);
    code = get(easy, way, "/abort", &got);
    ok(code < 0 && got.bytes == 0, "%s: an aborted exchange (%ld)", way->name, -code);
    clear(&got);
    ok(rig_wait_finished(STATUS_STALLED, stalled + 2) && rig_wait_finished(STATUS_TRUNCATED, truncated + 1) &&
           rig_wait_finished(STATUS_CANCELLED, cancelled + 1),
       "%s: the handler learns why", way->name);

    /* The client gives up in the middle. */
    curl_easy_reset(easy);
    prepare(easy, way, "/mem/100000000", &got);
    got.stop_at = 500000;
    is_int(curl_easy_perform(easy), CURLE_WRITE_ERROR, "%s: a client gives up", way->name);
    clear(&got);
    ok(get(easy, way, "/mem/10", &got) == 200 && got.right, "%s: others go on", way->name);
    clear(&got);
    ok(rig_wait_finished(STATUS_CLIENT_GONE, gone + 1), "%s: and it is noticed", way->name);
}

static uint64_t sum_of(uint64_t length)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < length; i++)
        sum += rig_byte(i) ^ (i & 0xff);
    return sum;
}

static void test_uploads(CURL *easy, const struct way *way)
{
    struct got got;
    static const uint64_t sizes[] = {0, 1, 70000, 3000000};
    for (unsigned chunked = 0; chunked < 2; chunked++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char expected[64];
            const char *how = chunked ? "without" : "with";
            snprintf(expected, sizeof expected, "%llu %llu", (unsigned long long) sizes[i],
                     (unsigned long long) sum_of(sizes[i]));
            long code = put(easy, way, "/count", sizes[i], chunked, &got);
            ok(code == 200 && str_eq(strbuf_str(&got.text), str_from(expected)), "%s: %s bytes up %s a length",
               way->name, expected, how);
            clear(&got);
            /* libcurl 7.88 spoils the end of a long HTTP/2 reply that comes while it still sends: what it received is
             * right, what it hands out is not. test_h2_wire.c echoes long bodies over HTTP/2. */
            if (way->version != CURL_HTTP_VERSION_1_1 && sizes[i] > 1)
                continue;
            code = put(easy, way, "/echo", sizes[i], chunked, &got);
            ok(code == 200 && got.bytes == sizes[i] && got.right, "%s: and echoed", way->name);
            clear(&got);
        }
    }
    /* Over HTTP/2 no more than fits into the first window: libcurl 7.88 stops reading when its reply is whole, also for
     * the room it needs to go on sending. */
    is_int(put(easy, way, "/ignore", way->version == CURL_HTTP_VERSION_1_1 ? 3000000 : 50000, false, &got), 200,
           "%s: a reply without reading the body", way->name);
    clear(&got);
    is_int(put(easy, way, "/drop", 50000, false, &got), 200, "%s: a body closed unread", way->name);
    clear(&got);
    is_int(get(easy, way, "/mem/1", &got), 200, "%s: the server goes on", way->name);
    clear(&got);
}

/* Many transfers at once on few connections, and then one after the other. */
static void test_many(CURL *easy, const struct way *way, unsigned total)
{
    enum { AT_ONCE = 50 };
    struct got gots[AT_ONCE];
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 4L);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    char path[64];
    for (unsigned i = 0; i < AT_ONCE; i++) {
        snprintf(path, sizeof path, i % 2 ? "/mem/%u" : "/slow/%u/9000", i * 20000);
        CURL *one = prepare(curl_easy_init(), way, path, &gots[i]);
        curl_easy_setopt(one, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(one, CURLOPT_PRIVATE, &gots[i]);
        curl_multi_add_handle(multi, one);
    }
    int running = 1;
    while (running > 0 && curl_multi_perform(multi, &running) == CURLM_OK && running > 0)
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    unsigned good = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &running)) != NULL;) {
        struct got *got = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &got);
        good += message->data.result == CURLE_OK && got->bytes == (uint64_t) (got - gots) * 20000 && got->right;
        if (message->data.result != CURLE_OK)
            diag("%s: %s", way->name, curl_easy_strerror(message->data.result));
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        curl_multi_remove_handle(multi, gots[i].easy);
        curl_easy_cleanup(gots[i].easy);
        clear(&gots[i]);
    }
    curl_multi_cleanup(multi);
    is_int(good, AT_ONCE, "%s: %d at once over four connections", way->name, AT_ONCE);

    good = 0;
    struct got got;
    size_t held = 0;
    for (unsigned i = 0; i < total; i++) {
        good += get(easy, way, "/mem/100", &got) == 200 && got.bytes == 100 && got.right;
        clear(&got);
        if (i == total / 2)
            held = mem_used();
    }
    is_int(good, total, "%s: %u small ones in turn", way->name, total);
    ok(mem_used() < held + 1000000, "%s: which do not add up in memory", way->name);
}

static void test_drain(const struct way *way)
{
    const struct rig_options options = {.limits = http_limits_default, .loops = 2};
    rig_start(&rig, &options);
    CURL *easy = curl_easy_init();
    struct got got;
    prepare(easy, way, "/slow/3000000/500", &got);
    CURLM *multi = curl_multi_init();
    curl_multi_add_handle(multi, easy);
    int running = 1;
    bool drained = false;
    while (running > 0 && curl_multi_perform(multi, &running) == CURLM_OK && running > 0) {
        if (!drained && got.bytes > 0) {
            rig_drain();
            drained = true;
        }
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    ok(drained && got.bytes == 3000000 && got.right, "%s: draining lets a reply end", way->name);
    ok(rig_wait_connections(0), "%s: and the connection after it", way->name);
    struct got none;
    CURL *late = curl_easy_init();
    ok(get(late, way, "/mem/1", &none) < 0, "%s: nobody listens any more", way->name);
    curl_multi_remove_handle(multi, easy);
    curl_multi_cleanup(multi);
    curl_easy_cleanup(easy);
    curl_easy_cleanup(late);
    clear(&got);
    clear(&none);
    rig_stop(&rig);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct rig_options options = {.limits = http_limits_default, .loops = 2};
    rig_start(&rig, &options);
    for (size_t i = 0; i < WAYS; i++) {
        CURL *easy = curl_easy_init();
        test_bodies(easy, &ways[i]);
        test_failures(easy, &ways[i]);
        test_uploads(easy, &ways[i]);
        test_many(easy, &ways[i], i == 0 ? 10000 : 1000);
        curl_easy_cleanup(easy);
        ok(rig_wait_connections(held_open), "%s: no connection is left but what the client holds: %u", ways[i].name,
           held_open);
    }
    rig_stop(&rig);
    for (size_t i = 0; i < WAYS; i++)
        test_drain(&ways[i]);
    curl_global_cleanup();
    return done_testing();
}
