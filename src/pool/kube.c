/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube.c: one request at a time, in a curl multi, because that can be woken. What a request brings goes to slices.h as
 * it comes; what it ends by says what is asked next: the list's next page, the watch from where it was, or the list
 * anew.
 */
#include "pool/kube.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/jitter.h"
#include "base/mem.h"
#include "http/field.h"
#include "net/easy.h"
#include "pool/slices.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_MAX 16384
/* Slices in a page; they have a hundred endpoints each, and a thousand at most, of half a KiB. */
#define PAGE_SLICES 20
/* A page, or an event of the watch. */
#define REPLY_MAX (16 << 20)
#define CONNECT_MS 5000L
#define LIST_MS 30000L
/* A watch is ended by the server after so long, and as much again by chance. */
#define WATCH_S 300
/* And by us where that fails; a connection that is dead is found out by keepalive before. */
#define WATCH_LATE_S 30
#define KEEPALIVE_S 30L
/* Shorter ones are a server's that is ill: they are not begun again without a pause. */
#define WATCH_LEAST_S 1.0

struct kube {
    char *name, *service; /* the service's namespace and its name */
    char *token_file, *ca_file;
    struct slices *slices;
    CURLM *multi;
    CURL *easy; /* what is asked now, or NULL */
    char error[CURL_ERROR_SIZE];
    bool listed;         /* all of it is known: what is asked is a watch, else a list */
    struct strbuf next;  /* the list's next page, or empty: its first */
    struct strbuf reply; /* of a list, a page; of a watch, the beginning of an event */
    enum status broken;  /* what is wrong with what came */
    bool news;           /* since kube_wait was OK */
    atomic_bool stopping;
};

/* ---- What comes. ---- */

static void list_anew(struct kube *kube)
{
    kube->listed = false;
    kube->next.len = 0;
}

static bool take(struct kube *kube, struct str part)
{
    if (kube->reply.len + part.len > REPLY_MAX)
        kube->broken = STATUS_TOO_LARGE;
    else
        strbuf_adds(&kube->reply, part);
    return kube->broken == STATUS_OK;
}

/* An event is a line. */
static bool take_events(struct kube *kube, struct str data)
{
    while (data.len > 0) {
        struct str rest;
        if (!take(kube, str_split(data, '\n', &rest)))
            return false;
        data = rest;
        if (rest.ptr == NULL)
            break;
        if (kube->reply.len > 0)
            kube->broken = slices_event(kube->slices, strbuf_str(&kube->reply));
        if (kube->broken != STATUS_OK)
            return false;
        kube->news = kube->news || kube->reply.len > 0;
        strbuf_free(&kube->reply);
    }
    return true;
}

static size_t on_bytes(char *data, size_t size, size_t items, void *arg)
{
    struct kube *kube = arg;
    struct str part = {data, size * items};
    long code = 0;
    curl_easy_getinfo(kube->easy, CURLINFO_RESPONSE_CODE, &code);
    if (code != 200) /* which says it */
        return part.len;
    return (kube->listed ? take_events(kube, part) : take(kube, part)) ? part.len : 0;
}

/* ---- What is asked. ---- */

static void add_escaped(struct strbuf *url, const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    strbuf_adds(url, str_from(escaped));
    curl_free(escaped);
}

/* False: there is no server to ask. */
static bool add_server(struct strbuf *url)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    if (host == NULL || port == NULL)
        return false;
    bool bare = strchr(host, ':') != NULL; /* an IPv6 address */
    strbuf_addf(url, "https://%s%s%s:%s", bare ? "[" : "", host, bare ? "]" : "", port);
    return true;
}

/* How long it may take, in ms. */
static long add_what(struct kube *kube, struct strbuf *url)
{
    strbuf_addf(url, "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?labelSelector=", kube->name);
    add_escaped(url, "kubernetes.io/service-name=");
    strbuf_addf(url, "%s", kube->service);
    if (kube->listed) {
        long seconds = WATCH_S + (long) jitter_below(WATCH_S);
        strbuf_addf(url, "&watch=1&allowWatchBookmarks=true&timeoutSeconds=%ld&resourceVersion=", seconds);
        add_escaped(url, slices_version(kube->slices));
        return (seconds + WATCH_LATE_S) * 1000;
    }
    strbuf_addf(url, "&limit=%u", PAGE_SLICES);
    if (kube->next.len > 0) {
        strbuf_adds(url, STR("&continue="));
        add_escaped(url, kube->next.ptr);
    }
    return LIST_MS;
}

static bool set_token(struct kube *kube, CURL *easy)
{
    struct strbuf token = {0};
    bool good = file_read(kube->token_file, TOKEN_MAX, &token) == STATUS_OK;
    while (token.len > 0 && token.ptr[token.len - 1] == '\n')
        token.ptr[--token.len] = '\0';
    good = good && token.len > 0 && field_value_valid(strbuf_str(&token));
    if (good) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, token.ptr);
    }
    strbuf_wipe(&token);
    return good;
}

static void set_network(struct kube *kube, CURL *easy)
{
    easy_guard(easy);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https"); /* the token is for nobody on the way */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_CAINFO, kube->ca_file);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* the file is replaced, too */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S / 3);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "headpond");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, kube->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, kube);
}

static void request_free(struct kube *kube)
{
    if (kube->easy == NULL)
        return;
    curl_multi_remove_handle(kube->multi, kube->easy);
    curl_easy_cleanup(kube->easy);
    kube->easy = NULL;
}

static enum status ask(struct kube *kube, struct strbuf *problem)
{
    struct strbuf url = {0};
    enum status status = STATUS_OK;
    strbuf_free(&kube->reply);
    kube->broken = STATUS_OK;
    kube->error[0] = '\0';
    kube->easy = curl_easy_init();
    if (kube->easy == NULL)
        mem_die("curl");
    if (!kube->listed && kube->next.len == 0)
        slices_begin(kube->slices);
    set_network(kube, kube->easy);
    if (!add_server(&url)) {
        strbuf_adds(problem, STR("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not in the environment: "
                                 "this is no pod"));
        status = STATUS_INVALID;
    } else if (!set_token(kube, kube->easy)) {
        strbuf_addf(problem, "%s holds no token: does the pod have automountServiceAccountToken: false?",
                    kube->token_file);
        status = STATUS_NO_CREDENTIAL;
    } else {
        curl_easy_setopt(kube->easy, CURLOPT_TIMEOUT_MS, add_what(kube, &url));
        curl_easy_setopt(kube->easy, CURLOPT_URL, url.ptr);
        if (curl_multi_add_handle(kube->multi, kube->easy) != CURLM_OK)
            mem_die("curl");
    }
    if (status != STATUS_OK)
        request_free(kube);
    strbuf_free(&url);
    return status;
}

/* ---- What it ends by. ---- */

/* What came is not what was asked for. */
static enum status ended_broken(struct kube *kube, struct strbuf *problem)
{
    const char *what = kube->broken == STATUS_NOT_FOUND   ? "the watch's version has gone, all is listed anew"
                       : kube->broken == STATUS_TOO_LARGE ? "the API server sent more than there is room for"
                                                          : "what the API server sent is no list or event of slices";
    strbuf_adds(problem, str_from(what));
    list_anew(kube);
    return kube->broken;
}

/* Whether the watch may go on from its version, or the list from its page, after that answer. 504 says that the server
 * has not got to that version yet, and may never: its state may have been restored from an older one. */
static bool may_go_on(long code)
{
    return code == 401 || code == 429 || (code >= 500 && code != 504);
}

static enum status ended_refused(struct kube *kube, long code, struct strbuf *problem)
{
    const char *verb = kube->listed ? "watch" : "list";
    if (!may_go_on(code))
        list_anew(kube);
    strbuf_addf(problem, "the API server answers a %s by HTTP %ld", verb, code);
    switch (code) {
    case 401:
        strbuf_addf(problem, ": it does not take the token in %s", kube->token_file);
        return STATUS_DENIED;
    case 403:
        strbuf_addf(problem,
                    ": the role of the pod's service account lacks the verb %s on endpointslices of "
                    "discovery.k8s.io in namespace %s; it needs list and watch",
                    verb, kube->name);
        return STATUS_DENIED;
    case 404:
    case 410:
        return STATUS_NOT_FOUND;
    default:
        return code == 429 || code >= 500 ? STATUS_BUSY : STATUS_BAD_REPLY;
    }
}

static enum status ended_list(struct kube *kube, struct strbuf *problem)
{
    kube->broken = slices_page(kube->slices, strbuf_str(&kube->reply), &kube->next);
    strbuf_free(&kube->reply);
    if (kube->broken != STATUS_OK)
        return ended_broken(kube, problem);
    if (kube->next.len > 0)
        return STATUS_OK;
    slices_listed(kube->slices);
    kube->listed = kube->news = true;
    return STATUS_OK;
}

static enum status ended(struct kube *kube, CURLcode result, struct strbuf *problem)
{
    long code = 0;
    double seconds = 0;
    curl_easy_getinfo(kube->easy, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(kube->easy, CURLINFO_TOTAL_TIME, &seconds);
    request_free(kube);
    if (kube->broken != STATUS_OK)
        return ended_broken(kube, problem);
    if (result != CURLE_OK) {
        strbuf_adds(problem, str_from(kube->error[0] != '\0' ? kube->error : curl_easy_strerror(result)));
        return easy_status(result, true);
    }
    if (code != 200)
        return ended_refused(kube, code, problem);
    if (!kube->listed)
        return ended_list(kube, problem);
    if (seconds >= WATCH_LEAST_S)
        return STATUS_OK;
    strbuf_adds(problem, STR("the API server ends a watch as soon as it has begun"));
    return STATUS_TRUNCATED;
}

/* ---- Its face. ---- */

static char *file_of(const char *folder, const char *name)
{
    struct strbuf path = {0};
    strbuf_addf(&path, "%s/%s", folder, name);
    return path.ptr;
}

struct kube *kube_new(const struct conf_members_text *text, const char *account)
{
    struct kube *kube = mem_calloc(1, sizeof *kube);
    account = account == NULL ? ACCOUNT : account;
    kube->name = mem_strndup(text->name.ptr, text->name.len);
    kube->service = mem_strndup(text->service.ptr, text->service.len);
    kube->token_file = file_of(account, "token");
    kube->ca_file = file_of(account, "ca.crt");
    kube->slices = slices_new(text->port_name);
    kube->multi = curl_multi_init();
    if (kube->multi == NULL)
        mem_die("curl");
    return kube;
}

void kube_free(struct kube **freed)
{
    struct kube *kube = *freed;
    *freed = NULL;
    if (kube == NULL)
        return;
    request_free(kube);
    curl_multi_cleanup(kube->multi);
    slices_free(&kube->slices);
    strbuf_free(&kube->next);
    strbuf_free(&kube->reply);
    mem_free(kube->name);
    mem_free(kube->service);
    mem_free(kube->token_file);
    mem_free(kube->ca_file);
    mem_free(kube);
}

enum status kube_wait(struct kube *kube, int64_t until_ms, struct strbuf *problem)
{
    while (!atomic_load(&kube->stopping)) {
        int running, left;
        if (kube->news) {
            kube->news = false;
            return STATUS_OK;
        }
        enum status status = kube->easy == NULL ? ask(kube, problem) : STATUS_OK;
        if (status != STATUS_OK)
            return status;
        curl_multi_perform(kube->multi, &running);
        if (kube->news)
            continue;
        const CURLMsg *message = curl_multi_info_read(kube->multi, &left);
        if (message != NULL) {
            status = ended(kube, message->data.result, problem);
            if (status != STATUS_OK)
                return status;
            continue;
        }
        int64_t wait_ms = until_ms - clock_mono_ms();
        if (wait_ms <= 0)
            return STATUS_AGAIN;
        curl_multi_poll(kube->multi, NULL, 0, (int) (wait_ms < INT_MAX ? wait_ms : INT_MAX), NULL);
    }
    return STATUS_CANCELLED;
}

void kube_hosts(const struct kube *kube, struct dns_hosts *hosts)
{
    slices_hosts(kube->slices, hosts);
}

void kube_stop(struct kube *kube)
{
    atomic_store(&kube->stopping, true);
    curl_multi_wakeup(kube->multi);
}
