/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c: the thread that keeps credentials good. It waits in a curl multi of its own, so that a token service that
 * hangs delays nobody else's token, and looks at files in between.
 *
 * A token is renewed when a tenth of its life, or five minutes, are left, whichever is shorter to come.
 */
#include "origin/keeper.h"

#include "base/clock.h"
#include "base/date.h"
#include "base/jitter.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/easy.h"

#define LOOK_MS 2000 /* between two looks at a file */
#define WAIT_MS 1000 /* at most, in one wait */
#define CONNECT_MS 3000L
#define REQUEST_MS 10000L
#define REPLY_MAX 65536
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS 60000
#define RENEW_AHEAD_S 300

/* ---- Outcomes ---- */

/* The thread is no reader of RCU but here: it looks at files and asks services that may hang, and nobody's grace period
 * shall wait for that. What it reads of a value, it alone replaces. */
static void publish(struct credential *credential, struct credential_value *value)
{
    rcu_thread_online();
    credential_publish(credential, value);
    rcu_thread_offline();
}

static void count(const struct credential *credential, const char *result)
{
    metric_cell_add(metric_cell2(METRIC_CREDENTIALS, credential->account, result), 1);
}

/* A SAS that has ended is used all the same: its end is the service's to judge, whose clock it is written for. */
static void tell_end(const struct credential *credential, const struct credential_value *value)
{
    char text[DATE_ISO_LENGTH + 1];
    int64_t end = value->expires_s < value->ends_s ? value->expires_s : value->ends_s;
    if (end == INT64_MAX)
        return;
    metric_cell_set(metric_cell(METRIC_CREDENTIAL_EXPIRES, credential->account), end);
    if (value->ends_s > clock_wall_s())
        return;
    date_iso_format(value->ends_s, text);
    log_event(CREDENTIAL_FAILED, "account=%s: the SAS in %s has ended at %s", credential->account, credential->file,
              text);
}

static void renewed(struct credential *credential, struct credential_value *value, const char *what)
{
    credential->failures = 0;
    count(credential, "renewed");
    tell_end(credential, value);
    log_event(CREDENTIAL_RENEWED, "account=%s: %s", credential->account, what);
    publish(credential, value);
}

/* A file is looked at as often as ever: that spares nobody anything. */
static void failed(struct credential *credential, int64_t now_ms, const char *why)
{
    count(credential, "failed");
    credential->due_ms =
        now_ms +
        (credential->file != NULL ? LOOK_MS : jitter_backoff(credential->failures, BACKOFF_FIRST_MS, BACKOFF_LAST_MS));
    credential->failures++;
    bool serves = credential_now(credential, clock_wall_s()) != NULL;
    log_event(CREDENTIAL_FAILED, "account=%s attempt=%u next_ms=%lld %s: %s", credential->account, credential->failures,
              (long long) (credential->due_ms - now_ms),
              serves ? "the one there is serves on" : "there is none, requests of our own fail", why);
    if (!serves)
        publish(credential, NULL);
}

/* ---- Files ---- */

static void look_at_file(struct credential *credential, int64_t now_ms)
{
    struct file_stamp stamp = file_stamp_of(credential->file);
    credential->due_ms = now_ms + LOOK_MS;
    if (file_stamp_eq(&stamp, &credential->stamp))
        return;
    credential->stamp = stamp;
    struct credential_value *value;
    struct strbuf error = {0};
    if (credential_read(credential, &value, &error) == STATUS_OK)
        renewed(credential, value, "its file has changed");
    else
        failed(credential, now_ms, error.ptr);
    strbuf_free(&error);
}

/* ---- Tokens ---- */

static size_t on_bytes(char *data, size_t size, size_t items, void *arg)
{
    struct credential *credential = arg;
    size_t bytes = size * items;
    if (credential->reply.len + bytes > REPLY_MAX)
        return 0;
    strbuf_add(&credential->reply, data, bytes);
    return bytes;
}

/* False with a line in *error: the assertion's file cannot be read. */
static bool prepare(struct credential *credential, CURL *easy, struct strbuf *error)
{
    struct strbuf url = {0}, assertion = {0};
    if (credential->kind == CREDENTIAL_WORKLOAD) {
        if (file_read(credential->place.assertion_file, TOKEN_BYTES_MAX, &assertion) != STATUS_OK) {
            strbuf_addf(error, "AZURE_FEDERATED_TOKEN_FILE %s cannot be read", credential->place.assertion_file);
            return false;
        }
        while (assertion.len > 0 && assertion.ptr[assertion.len - 1] == '\n')
            assertion.len--;
        strbuf_reserve(&credential->form, 3 * TOKEN_BYTES_MAX + 1024);
        token_workload_form(&credential->place, strbuf_str(&assertion), &credential->form);
        strbuf_wipe(&assertion);
        token_workload_url(&credential->place, &url);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) credential->form.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, credential->form.ptr);
    } else {
        token_managed_url(&credential->place, &url);
        credential->fields = curl_slist_append(NULL, "Metadata: true");
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, credential->fields);
    }
    curl_easy_setopt(easy, CURLOPT_URL, url.ptr);
    strbuf_free(&url);
    return true;
}

static void set_options(struct credential *credential, CURL *easy)
{
    easy_guard(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, credential);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, REQUEST_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, credential);
}

static void request_free(struct credentials *set, struct credential *credential)
{
    if (credential->easy != NULL) {
        curl_multi_remove_handle(set->multi, credential->easy);
        curl_easy_cleanup(credential->easy);
    }
    credential->easy = NULL;
    curl_slist_free_all(credential->fields);
    credential->fields = NULL;
    strbuf_wipe(&credential->form);
    strbuf_wipe(&credential->reply);
}

static void ask_for_token(struct credentials *set, struct credential *credential, int64_t now_ms)
{
    struct strbuf error = {0};
    credential->easy = curl_easy_init();
    if (credential->easy == NULL)
        mem_die("curl");
    strbuf_reserve(&credential->reply, REPLY_MAX);
    set_options(credential, credential->easy);
    credential->due_ms = INT64_MAX; /* until it is answered */
    if (prepare(credential, credential->easy, &error) &&
        curl_multi_add_handle(set->multi, credential->easy) == CURLM_OK) {
        strbuf_free(&error);
        return;
    }
    request_free(set, credential);
    failed(credential, now_ms, error.ptr == NULL ? "no request could be made" : error.ptr);
    strbuf_free(&error);
}

static int64_t renew_at_ms(int64_t now_ms, int64_t life_s)
{
    int64_t ahead = life_s / 10 < RENEW_AHEAD_S ? life_s / 10 : RENEW_AHEAD_S;
    return now_ms + (life_s - ahead) * 1000;
}

/* Who was asked: what it says is worth little without. */
static const char *token_service(const struct credential *credential)
{
    return credential->kind == CREDENTIAL_WORKLOAD ? credential->place.authority_host : credential->place.metadata_host;
}

static void answered(struct credentials *set, struct credential *credential, CURLcode result, int64_t now_ms)
{
    struct strbuf token = {0}, problem = {0}, why = {0};
    long status = 0;
    int64_t expires_s = 0, now_s = clock_wall_s();
    curl_easy_getinfo(credential->easy, CURLINFO_RESPONSE_CODE, &status);
    strbuf_reserve(&token, TOKEN_BYTES_MAX);
    if (result != CURLE_OK) {
        strbuf_adds(&problem, str_from(curl_easy_strerror(result)));
    } else if (token_reply((int) status, strbuf_str(&credential->reply), now_s, &token, &expires_s, &problem) ==
               STATUS_OK) {
        struct credential_value *value = credential_value_new(strbuf_str(&token));
        value->expires_s = expires_s;
        credential->due_ms = renew_at_ms(now_ms, expires_s - now_s);
        renewed(credential, value, "a new token");
    }
    request_free(set, credential);
    if (problem.len > 0) {
        strbuf_addf(&why, "%s: %s", token_service(credential), problem.ptr);
        failed(credential, now_ms, why.ptr);
    }
    strbuf_wipe(&token);
    strbuf_free(&problem);
    strbuf_free(&why);
}

/* ---- The thread ---- */

static void take_answers(struct credentials *set, int64_t now_ms)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(set->multi, &left)) != NULL) {
        char *private = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        answered(set, (struct credential *) (void *) private, result, now_ms);
    }
}

/* The clock of the wall may have gone where that of the pauses has not: after a suspended machine, say. */
static bool is_due(const struct credential *credential, int64_t now_ms)
{
    bool lapsed = credential->file == NULL && credential->easy == NULL && credential->failures == 0 &&
                  credential_now(credential, clock_wall_s()) == NULL;
    return credential->due_ms <= now_ms || lapsed;
}

static int64_t do_what_is_due(struct credentials *set, int64_t now_ms)
{
    int64_t next = now_ms + WAIT_MS;
    for (struct credential *credential = set->first; credential != NULL; credential = credential->next) {
        if (is_due(credential, now_ms)) {
            if (credential->file != NULL)
                look_at_file(credential, now_ms);
            else
                ask_for_token(set, credential, now_ms);
        }
        if (credential->due_ms < next)
            next = credential->due_ms;
    }
    return next;
}

void *keeper_run(void *arg)
{
    struct credentials *set = arg;
    rcu_register_thread();
    rcu_thread_offline();
    for (struct credential *credential = set->first; credential != NULL; credential = credential->next) {
        const struct credential_value *value = atomic_load(&credential->value); /* a file's: read when it was added */
        if (value != NULL)
            tell_end(credential, value);
    }
    while (!atomic_load(&set->stopping)) {
        int running;
        int64_t next = do_what_is_due(set, clock_mono_ms());
        curl_multi_perform(set->multi, &running);
        take_answers(set, clock_mono_ms());
        int64_t wait = next - clock_mono_ms();
        curl_multi_poll(set->multi, NULL, 0, wait > 0 ? (int) wait : 0, NULL);
    }
    for (struct credential *credential = set->first; credential != NULL; credential = credential->next) {
        request_free(set, credential);
        publish(credential, NULL);
    }
    rcu_unregister_thread();
    return NULL;
}
