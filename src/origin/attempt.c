/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.c: what starts an attempt, and what libcurl calls back during it.
 *
 * The callbacks run inside libcurl. They may reach the owner (events.head, the body's ready), who may close the fetch
 * there: so each of them looks at `closed` after that, and nothing here touches libcurl but by its return value.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "origin/easy.h"
#include "origin/fetch.h"
#include "origin/retry.h"
#include "origin/signing.h"

static bool reused(const struct origin_fetch *fetch)
{
    long connects = 1;
    curl_easy_getinfo(fetch->transfer.easy, CURLINFO_NUM_CONNECTS, &connects);
    return connects == 0;
}

static const char *retry_reason(const struct origin_fetch *fetch, bool on_reused, int status, enum status failure)
{
    const struct origin_retry_facts facts = {
        .allowed = fetch->retry,
        .body_taken = fetch->upload.taken > 0,
        .read = fetch->read,
        .sent = fetch->sent,
        .reused = on_reused,
        .reply_began = fetch->reply.bytes > 0,
        .status = status,
        .failure = failure,
    };
    return origin_retry_reason(&facts);
}

const char *origin_attempt_again(const struct origin_fetch *fetch, int status, enum status failure)
{
    return fetch->attempt >= fetch->limits.retries ? NULL : retry_reason(fetch, reused(fetch), status, failure);
}

static void count_reply(const struct origin_fetch *fetch)
{
    char code[4] = "";
    str_put_digits(code, (uint64_t) fetch->reply.head.status, 3);
    metric_cell_add(metric_cell2(METRIC_ORIGIN_REQUESTS, fetch->account, code), 1);
    metric_cell_observe(metric_cell(METRIC_ORIGIN_FIRST_BYTE_SECONDS, ""), clock_mono_us() - fetch->began_us);
}

/* Why a credential of ours is refused (no role, a key that was changed, a firewall) only the origin knows: its code,
 * and its name for the request, by which its own log has the rest. The body may repeat the signature. */
static void tell_refusal(const struct origin_fetch *fetch)
{
    const struct http_response *head = &fetch->reply.head;
    if (fetch->signing == NULL || !fetch->read || (head->status != 401 && head->status != 403))
        return;
    const struct str code = http_headers_get(&head->headers, STR("x-ms-error-code"));
    const struct str id = http_headers_get(&head->headers, STR("x-ms-request-id"));
    log_event(CREDENTIAL_FAILED,
              "account=%s host=%s request=%s status=%d code=%.*s origin_request=%.*s: "
              "the origin refuses our own credential",
              fetch->account, fetch->host, fetch->id, head->status, STR_ARG(code), STR_ARG(id));
}

/* Azure's word for an account, or one of its partitions, that is asked for too much. */
static bool says_busy(const struct http_response *head)
{
    return head->status == 503 || head->status == 429 ||
           (head->status == 500 &&
            str_eq(http_headers_get(&head->headers, STR("x-ms-error-code")), STR("OperationTimedOut")));
}

/* Whether libcurl may go on after the owner was called. */
static bool go_on(const struct origin_fetch *fetch)
{
    return !fetch->closed || fetch->lingering;
}

int64_t origin_attempt_retry_after(const struct origin_fetch *fetch)
{
    return origin_retry_after(http_headers_get(&fetch->reply.head.headers, STR("Retry-After")), clock_wall_s());
}

/* The final head is whole. */
static bool on_head(struct origin_fetch *fetch)
{
    const int status = fetch->reply.head.status;
    count_reply(fetch);
    if (says_busy(&fetch->reply.head))
        origin_budget_busy(fetch->budget.budget, fetch->blob, origin_attempt_retry_after(fetch));
    fetch->dropping = origin_attempt_again(fetch, status, STATUS_OK) != NULL;
    origin_patience_enter(fetch, ORIGIN_BODY);
    if (fetch->dropping)
        return true;
    budget_answered(&fetch->budget);
    tell_refusal(fetch);
    if (status == 417 && fetch->expects && !fetch->upload.finished) {
        /* libcurl now means to repeat the request without Expect, and throws the body away. on_connected stops it; the
         * head is handed over, as one without a body. */
        fetch->mute = true;
        fetch->reply.chunked = false;
        fetch->reply.head.content_length = 0;
    }
    origin_body_expect(&fetch->body, origin_reply_body_length(&fetch->reply, fetch->head_request));
    fetch->delivered = true;
    if (status >= 300 && !fetch->upload.finished) {
        origin_transfer_resume(&fetch->transfer, CURLPAUSE_SEND);
        origin_patience_resume(fetch);
    }
    fetch->events.head(fetch->events.arg, &fetch->reply.head, STATUS_OK);
    return go_on(fetch);
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct origin_fetch *fetch = arg;
    const size_t bytes = size * count;
    enum status why = STATUS_OK;
    if (!go_on(fetch))
        return 0;
    switch (origin_reply_line(&fetch->reply, (struct str){data, bytes}, &why)) {
    case ORIGIN_REPLY_MORE:
        return bytes;
    case ORIGIN_REPLY_HEAD:
        return on_head(fetch) ? bytes : 0;
    case ORIGIN_REPLY_BAD:
    default:
        fetch->why = why;
        return 0;
    }
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct origin_fetch *fetch = arg;
    const size_t bytes = size * count;
    if (fetch->lingering || fetch->mute || fetch->dropping) {
        fetch->dropped += (int64_t) bytes;
        return fetch->dropped <= ORIGIN_LINGER_BYTES ? bytes : 0;
    }
    origin_patience_moved(fetch);
    if (fetch->closed || !fetch->delivered)
        return 0;
    if (!budget_may_read(&fetch->budget) || !origin_body_offer(&fetch->body, data, bytes)) {
        fetch->transfer.paused |= CURLPAUSE_RECV;
        return CURL_WRITEFUNC_PAUSE;
    }
    budget_read(&fetch->budget, (int64_t) bytes);
    metric_cell_add(fetch->bytes, (int64_t) bytes);
    return go_on(fetch) ? bytes : 0;
}

static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
    struct origin_fetch *fetch = arg;
    size_t bytes;
    if (fetch->closed)
        return CURL_READFUNC_ABORT;
    switch (origin_upload_read(&fetch->upload, out, size * count, &bytes)) {
    case ORIGIN_UPLOAD_BYTES:
    case ORIGIN_UPLOAD_END:
        origin_patience_moved(fetch);
        if (fetch->upload.finished && fetch->phase == ORIGIN_SEND)
            origin_patience_enter(fetch, ORIGIN_HEAD);
        return bytes;
    case ORIGIN_UPLOAD_WAIT:
        fetch->transfer.paused |= CURLPAUSE_SEND;
        return CURL_READFUNC_PAUSE;
    case ORIGIN_UPLOAD_FAILED:
    default:
        fetch->why = fetch->upload.error;
        return CURL_READFUNC_ABORT;
    }
}

/* A connection is ready and the request about to leave. The second time in one attempt it is libcurl's own repetition:
 * a reused connection broke before a byte came back. It does not know what may be repeated; this does. (It gives up
 * after the fifth; these do not count as attempts, for the origin has not failed.) */
static int on_connected(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    struct origin_fetch *fetch = arg;
    (void) remote, (void) local, (void) remote_port, (void) local_port;
    if (fetch->closed)
        return CURL_PREREQFUNC_ABORT;
    if (fetch->sent) {
        const char *reason = fetch->limits.retries == 0 ? NULL : retry_reason(fetch, true, 0, STATUS_RESET);
        if (reason == NULL) {
            fetch->why = STATUS_RESET;
            return CURL_PREREQFUNC_ABORT;
        }
        metric_cell_add(metric_cell2(METRIC_ORIGIN_RETRIES, fetch->account, reason), 1);
    }
    fetch->sent = true;
    fetch->transfer.paused = 0;
    origin_patience_enter(fetch, fetch->upload.finished ? ORIGIN_HEAD : ORIGIN_SEND);
    return CURL_PREREQFUNC_OK;
}

void origin_attempt_bind(struct origin_fetch *fetch)
{
    CURL *easy = fetch->transfer.easy;
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
}

/* ---- The attempt's start: the budget, a credential of our own, libcurl. ---- */

static void go(struct origin_fetch *fetch);

static void on_credential(void *arg)
{
    go(arg);
}

/* Signs what goes out this time. AGAIN: on_credential will go on. */
static enum status sign(struct origin_fetch *fetch)
{
    struct origin_request request;
    if (fetch->signing == NULL)
        return STATUS_OK;
    enum status status =
        origin_signing_next(fetch->signing, origin_multi_loop(fetch->transfer.multi), on_credential, fetch, &request);
    if (status == STATUS_OK)
        status = origin_easy_address(fetch->transfer.easy, &request, !fetch->upload.finished, &fetch->headers);
    return status;
}

static void give_up(struct origin_fetch *fetch, enum status why)
{
    fetch->why = why;
    origin_transfer_cancel(&fetch->transfer, CURLE_FAILED_INIT);
}

static void go(struct origin_fetch *fetch)
{
    fetch->began_us = clock_mono_us();
    if (!fetch->upload.finished)
        budget_answered(&fetch->budget); /* how long its body takes is up to the client */
    const enum status status = sign(fetch);
    if (status == STATUS_AGAIN) {
        origin_patience_enter(fetch, ORIGIN_CREDENTIAL);
        return;
    }
    origin_patience_enter(fetch, ORIGIN_CONNECT);
    if (status == STATUS_OK)
        origin_transfer_start(&fetch->transfer);
    else
        give_up(fetch, status);
}

void origin_attempt_admitted(struct budget_ticket *ticket)
{
    struct origin_fetch *fetch = CONTAINER_OF(ticket, struct origin_fetch, budget);
    if (ticket->granted)
        origin_fetch_read_on(fetch);
    else
        go(fetch);
}

void origin_attempt_start(struct origin_fetch *fetch)
{
    origin_reply_reset(&fetch->reply);
    fetch->error[0] = '\0';
    fetch->sent = fetch->dropping = false;
    fetch->dropped = 0;
    fetch->why = STATUS_OK;
    if ((fetch->attempt == 0 && fetch->budget.asking) || budget_again(&fetch->budget))
        go(fetch);
    else
        origin_patience_enter(fetch, ORIGIN_BUDGET);
}
