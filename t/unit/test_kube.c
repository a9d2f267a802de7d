/* SPDX-License-Identifier: Apache-2.0 */
/* test_kube.c: what an API server is asked for, whatever it answers, and what of it is known then. */
#include "pool/kube.h"

#include "api_rig.h"
#include "base/jitter.h"
#include "base/log.h"
#include "base/mem.h"
#include "on_loop.h"
#include "tap.h"

static struct pool_ca ca;

/* ---- Who asks: a thread, as discover.c has it, but that it makes no pause. ---- */

static struct {
    struct kube *kube;
    pthread_t thread;
    pthread_mutex_t lock; /* over the next three */
    char shown[1024];
    enum status failure;
    char problem[1024];
    unsigned tells, failures; /* of on_loop.h */
} asker = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* "name=address", separated by spaces. */
static void show(void)
{
    struct dns_hosts hosts;
    size_t used = 0;
    kube_hosts(asker.kube, &hosts);
    pthread_mutex_lock(&asker.lock);
    asker.shown[0] = '\0';
    for (unsigned i = 0; i < hosts.count; i++) {
        char address[INET_ADDRSTRLEN];
        const struct sockaddr_in *at = (const struct sockaddr_in *) &hosts.items[i].addresses[0].address;
        inet_ntop(AF_INET, &at->sin_addr, address, sizeof address);
        used += (size_t) snprintf(asker.shown + used, sizeof asker.shown - used, "%s%s=%s", i > 0 ? " " : "",
                                  hosts.items[i].name, address);
    }
    pthread_mutex_unlock(&asker.lock);
    dns_hosts_free(&hosts);
}

static void *ask(void *arg)
{
    enum status status = STATUS_OK;
    while (status != STATUS_CANCELLED) {
        struct strbuf problem = {0};
        status = kube_wait(asker.kube, clock_mono_ms() + 60000, &problem);
        if (status == STATUS_OK) {
            show();
            count_up(&asker.tells);
        } else if (status != STATUS_CANCELLED) {
            pthread_mutex_lock(&asker.lock);
            asker.failure = status;
            snprintf(asker.problem, sizeof asker.problem, "%s", problem.ptr == NULL ? "" : problem.ptr);
            pthread_mutex_unlock(&asker.lock);
            count_up(&asker.failures);
            usleep(10000); /* a server that is away is asked not more often than that */
        }
        strbuf_free(&problem);
    }
    return arg;
}

static void begin(const char *port)
{
    struct strbuf text = {0};
    struct conf_members_text parsed;
    const char *problem;
    strbuf_addf(&text, "kubernetes:ponds/headpond%s", port);
    if (!conf_members_parse(strbuf_str(&text), &parsed, &problem))
        abort();
    asker.tells = asker.failures = 0;
    asker.shown[0] = '\0';
    asker.kube = kube_new(&parsed, api.account);
    strbuf_free(&text);
    if (pthread_create(&asker.thread, NULL, ask, NULL) != 0)
        abort();
}

/* By when it waits for the network again; if not, it is easier to end than it might have been. */
static void let_it_wait(void)
{
    usleep(100000);
}

/* How long it took, in ms. */
static int64_t end(void)
{
    int64_t began = clock_mono_ms();
    kube_stop(asker.kube);
    pthread_join(asker.thread, NULL);
    kube_free(&asker.kube);
    api_break();
    return clock_mono_ms() - began;
}

/* So many times it was told of something new, the last time of these. */
static bool knows(unsigned tells, const char *shown)
{
    bool came = count_wait(&asker.tells, tells);
    pthread_mutex_lock(&asker.lock);
    bool same = strcmp(asker.shown, shown) == 0;
    if (!came || !same)
        diag("told %u times, known: %s", count_now(&asker.tells), asker.shown);
    pthread_mutex_unlock(&asker.lock);
    return came && same;
}

/* So many failures, the last one that. */
static bool failed_by(unsigned failures, enum status status, const char *words)
{
    bool came = count_wait(&asker.failures, failures);
    pthread_mutex_lock(&asker.lock);
    bool same = asker.failure == status && strstr(asker.problem, words) != NULL;
    if (!came || !same)
        diag("failed %u times, by %s: %s", count_now(&asker.failures), status_name(asker.failure), asker.problem);
    pthread_mutex_unlock(&asker.lock);
    return came && same;
}

#define PATH                                                                                                           \
    "GET "                                                                                                             \
    "/apis/discovery.k8s.io/v1/namespaces/ponds/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dheadpond&"

static bool asked_list(void)
{
    return api_asked(PATH "limit=20 HTTP/1.1\r\n");
}

/* From that version. */
static bool asked_watch(const char *version)
{
    char words[64];
    snprintf(words, sizeof words, "&resourceVersion=%s HTTP/1.1\r\n", version);
    return api_asked(PATH "watch=1&allowWatchBookmarks=true&timeoutSeconds=") && api_asked(words);
}

/* Answers the list, and takes the watch that follows. */
static void to_the_watch(void)
{
    api_take();
    api_reply(200, API_LIST("100", "", API_SLICE("a", "5", API_POD("pond-0", "10.0.0.1"))));
    api_take();
}

/* ---- What goes well. ---- */

static void lists_and_watches(void)
{
    begin(":peer");
    api_take();
    ok(asked_list(), "the service's slices are listed");
    ok(api_asked("\r\nAuthorization: Bearer first-token\r\n"), "by the account's token");
    api_reply(200, API_LIST("100", ",\"continue\":\"a+b/=\"", API_SLICE("a", "5", API_POD("pond-0", "10.0.0.1"))));
    api_take();
    ok(api_asked(PATH "limit=20&continue=a%2Bb%2F%3D HTTP/1.1\r\n"), "the next page");
    is_int(count_now(&asker.tells), 0, "before which nobody is told of");
    api_reply(200, API_LIST("100", "", API_SLICE("b", "6", API_POD("pond-1", "10.0.0.2"))));
    ok(knows(1, "pond-0=10.0.0.1 pond-1=10.0.0.2"), "both pages are known");

    api_take();
    ok(asked_watch("100"), "and watched from then on");
    long seconds = strtol(strstr(api.head, "timeoutSeconds=") + 15, NULL, 10);
    ok(seconds >= 300 && seconds <= 600, "for some minutes");
    api_watch();
    api_piece(API_EVENT("ADDED", API_SLICE("c", "101", API_POD("pond-2", "10.0.0.3"))));
    ok(knows(2, "pond-0=10.0.0.1 pond-1=10.0.0.2 pond-2=10.0.0.3"), "one comes");
    api_piece(API_EVENT("MODIFIED", API_SLICE("a", "102", API_POD("pond-0", "10.0.0.9"))));
    ok(knows(3, "pond-0=10.0.0.9 pond-1=10.0.0.2 pond-2=10.0.0.3"), "one moves");
    api_piece("{\"type\":\"DELETED\",");
    api_piece("\"object\":" API_SLICE("b", "103", "") "}\n" API_EVENT("MODIFIED", API_SLICE("c", "104", "")));
    ok(knows(4, "pond-0=10.0.0.9"), "two go, in pieces of an event and two at once");
    is_int(api.accepted, 1, "all over one connection");
    is_int(count_now(&asker.failures), 0, "without a failure");
    let_it_wait();
    ok(end() < 2000, "the end does not wait for a watch that hangs");
}

static void resumes(void)
{
    begin("");
    to_the_watch();
    api_watch();
    api_piece(API_EVENT("ADDED", API_SLICE("b", "101", API_POD("pond-1", "10.0.0.2"))));
    ok(knows(2, "pond-0=10.0.0.1 pond-1=10.0.0.2"), "a watch");
    api_break();
    api_take();
    ok(asked_watch("101"), "that breaks goes on where it was");
    api_watch();
    api_piece(API_BOOKMARK("150"));
    ok(count_wait(&asker.tells, 3), "a bookmark");
    api_piece("{\"type\":\"DELETED\",\"obj");
    api_break();
    api_take();
    ok(asked_watch("150"), "is where it goes on, too; half an event is none");
    ok(knows(3, "pond-0=10.0.0.1 pond-1=10.0.0.2"), "nobody has gone for it");
    api_watch();
    int64_t until = clock_mono_ms() + 1100;
    while (clock_mono_ms() < until)
        nap();
    unsigned failures = count_now(&asker.failures);
    api_end();
    api_take();
    ok(asked_watch("150"), "one that the server ends is begun again");
    is_int(count_now(&asker.failures), failures, "and has not failed");
    api_watch();
    api_end();
    ok(failed_by(failures + 1, STATUS_TRUNCATED, "as soon as"), "but one that ends at once has");
    api_take();
    ok(asked_watch("150"), "and is begun again after a pause");
    end();
}

/* ---- What does not. ---- */

static void gone(void)
{
    begin("");
    to_the_watch();
    api_reply(410, "{}");
    ok(failed_by(1, STATUS_NOT_FOUND, "410"), "the version has gone");
    api_take();
    ok(asked_list(), "then all is listed anew");
    api_reply(200, API_LIST("200", "", API_SLICE("b", "150", API_POD("pond-7", "10.0.0.7"))));
    ok(knows(2, "pond-7=10.0.0.7"), "and who is not in that list has gone");
    api_take();
    ok(asked_watch("200"), "it is watched");
    api_watch();
    api_piece(API_GONE);
    ok(failed_by(2, STATUS_NOT_FOUND, "listed anew"), "an event may say that, too");
    api_take();
    ok(asked_list(), "and is understood");
    api_reply(200, API_LIST("300", ",\"continue\":\"x\"", ""));
    api_take();
    api_reply(410, "{}");
    ok(failed_by(3, STATUS_NOT_FOUND, "410"), "as is a page that has gone");
    api_take();
    ok(asked_list(), "the first one is asked for then");
    api_reply(504, "{}");
    ok(failed_by(4, STATUS_BUSY, "504"), "a server that has trouble");
    end();
}

static void refusals(void)
{
    begin("");
    api_take();
    api_reply(401, "{}");
    ok(failed_by(1, STATUS_DENIED, "does not take the token in /tmp/headpond-account-"), "a token that has ended");
    api_put_token("second-token");
    do {
        api_take();
        api_reply(api_asked("\r\nAuthorization: Bearer second-token\r\n") ? 200 : 401,
                  API_LIST("100", "", API_SLICE("a", "5", API_POD("pond-0", "10.0.0.1"))));
    } while (!api_asked("second-token"));
    ok(knows(1, "pond-0=10.0.0.1"), "the one that takes its place is good");
    unsigned failures = count_now(&asker.failures);
    api_take();
    api_write("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 2\r\n\r\n{}");
    ok(failed_by(failures + 1, STATUS_DENIED, "a watch by HTTP 401"), "when that has ended");
    api_take();
    ok(asked_watch("100"), "the watch is asked for again");
    api_reply(503, "{}");
    ok(failed_by(failures + 2, STATUS_BUSY, "503"), "as when the server has too much to do");
    api_take();
    ok(asked_watch("100"), "which a list would not better");
    api_reply(403, "{\"message\":\"forbidden\"}");
    ok(failed_by(
           failures + 3, STATUS_DENIED,
           "lacks the verb watch on endpointslices of discovery.k8s.io in namespace ponds; it needs list and watch"),
       "who may not watch");
    api_take();
    ok(asked_list(), "lists again and again");
    api_reply(403, "{}");
    ok(failed_by(failures + 4, STATUS_DENIED, "lacks the verb list"), "or may not list");
    ok(knows(1, "pond-0=10.0.0.1"), "who was known stays so");
    end();
}

static void garbage(void)
{
    begin("");
    api_take();
    api_reply(200, "<html>");
    ok(failed_by(1, STATUS_PROTOCOL, "no list or event"), "no list");
    to_the_watch();
    api_watch();
    api_piece("hello\n");
    ok(failed_by(2, STATUS_PROTOCOL, "no list or event"), "no event");
    api_take();
    ok(asked_list(), "all is listed anew");
    api_write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    char *much = mem_alloc(API_BYTES + 1);
    memset(much, ' ', API_BYTES);
    much[API_BYTES] = '\0';
    for (unsigned i = 0; i < (17 << 20) / API_BYTES; i++)
        api_piece(much);
    ok(failed_by(3, STATUS_TOO_LARGE, "more than there is room for"), "a page without an end");
    api_break();
    to_the_watch();
    api_watch();
    for (unsigned i = 0; i < (17 << 20) / API_BYTES; i++)
        api_piece(much);
    mem_free(much);
    ok(failed_by(4, STATUS_TOO_LARGE, "more than there is room for"), "or an event");
    end();
}

static void away(void)
{
    begin("");
    to_the_watch();
    api_watch();
    api_down();
    ok(failed_by(3, STATUS_CONNECT, ""), "nobody is there");
    ok(knows(1, "pond-0=10.0.0.1"), "who was known stays so");
    api_listen();
    api_take();
    ok(asked_watch("100"), "and is watched again when somebody is");
    api_watch();
    api_piece(API_EVENT("MODIFIED", API_SLICE("a", "101", API_POD("pond-0", "10.0.0.2"))));
    ok(knows(2, "pond-0=10.0.0.2"), "from where it was");
    end();

    begin("");
    api_must(api_readable(api.listener, API_WAIT_MS), "nobody connects");
    let_it_wait();
    ok(end() < 2000, "the end does not wait for a server that says nothing");
    api_down();
    api_listen();
}

/* Whom it does not trust it does not tell its token. */
static void strangers(struct pool_ca *other)
{
    char path[128];
    snprintf(path, sizeof path, "%s/ca.crt", api.account);
    unlink(path);
    if (symlink(other->file, path) != 0)
        abort();
    begin("");
    SSL_CTX *context = api.context;
    api_must(api_readable(api.listener, API_WAIT_MS), "nobody connects");
    int fd = accept4(api.listener, NULL, NULL, SOCK_CLOEXEC);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    SSL_accept(ssl);
    char byte;
    ok(SSL_read(ssl, &byte, 1) <= 0, "a server of another CA is told nothing");
    SSL_free(ssl);
    close(fd);
    ok(failed_by(1, STATUS_TLS, ""), "and is refused");
    unlink(path);
    if (symlink(ca.file, path) != 0)
        abort();
    to_the_watch();
    ok(asked_watch("100"), "the CA's file may change, too");
    end();
}

static void no_pod(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/token", api.account);
    unlink(path);
    begin("");
    ok(failed_by(1, STATUS_NO_CREDENTIAL, "automountServiceAccountToken"), "a pod without a token");
    end();
    api_put_token("two\nlines\n");
    begin("");
    ok(failed_by(1, STATUS_NO_CREDENTIAL, "holds no token"), "or with what is none");
    end();
    unsetenv("KUBERNETES_SERVICE_HOST");
    begin("");
    ok(failed_by(1, STATUS_INVALID, "this is no pod"), "no pod");
    end();
}

static void times_out(void)
{
    struct strbuf problem = {0};
    struct conf_members_text text;
    const char *why;
    if (!conf_members_parse(STR("kubernetes:ponds/headpond"), &text, &why))
        abort();
    struct kube *kube = kube_new(&text, api.account);
    int64_t began = clock_mono_ms();
    is_int(kube_wait(kube, began + 100, &problem), STATUS_AGAIN, "nothing new so far");
    ok(clock_mono_ms() - began >= 100, "until then");
    kube_free(&kube);
    strbuf_free(&problem);
    api_down();
    api_listen();
}

int main(void)
{
    struct pool_ca other;
    mem_init();
    pool_ca_make(&ca);
    pool_ca_make(&other);
    api_start(&ca);
    lists_and_watches();
    resumes();
    gone();
    refusals();
    garbage();
    away();
    times_out();
    strangers(&other);
    no_pod();
    api_stop();
    pool_ca_remove(&other);
    pool_ca_remove(&ca);
    return done_testing();
}
