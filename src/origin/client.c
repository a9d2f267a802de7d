/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c: the life of a fetch: started, ended, tried again, closed.
 *
 * Owned by its loop's thread. The owner's struct origin_fetch pointer is good until origin_fetch_close; the memory
 * lives until the multi destroys the transfer, which it does at the bottom of the loop's stack.
 */
#include "origin/client.h"

#include <assert.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/easy.h"
#include "origin/base.h"
#include "origin/easy.h"
#include "origin/fetch.h"
#include "origin/retry.h"
#include "origin/signing.h"

static struct origin_fetch *of_body(struct origin_body *body)
{
    return CONTAINER_OF(body, struct origin_fetch, body);
}

/* ---- the end of an attempt ---- */

static void try_again(struct origin_fetch *fetch, const char *reason)
{
    int64_t asked = -1;
    if (fetch->dropping)
        asked = origin_attempt_retry_after(fetch);
    if (asked < 0 && fetch->dropping && origin_budget_slows(fetch->budget.budget))
        asked = origin_busy_wait(fetch->attempt);
    fetch->attempt++;
    int64_t delay = origin_retry_delay(fetch->attempt, origin_multi_random(fetch->transfer.multi), asked);
    if (strcmp(reason, "reused") == 0)
        delay = 0; /* the origin is not to blame */

    metric_cell_add(metric_cell2(METRIC_ORIGIN_RETRIES, fetch->account, reason), 1);
    log_event(ORIGIN_RETRY, "account=%s host=%s request=%s reason=%s attempt=%u delay_ms=%lld", fetch->account,
              fetch->host, fetch->id, reason, fetch->attempt, (long long) delay);
    origin_patience_enter(fetch, ORIGIN_BACKOFF);
    timer_set(&fetch->timer, delay);
}

static void log_failure(const struct origin_fetch *fetch, enum status why)
{
    switch (why) {
    case STATUS_CLIENT_GONE:
    case STATUS_CLIENT_TIMEOUT:
    case STATUS_CANCELLED:
    case STATUS_BAD_REQUEST:
    case STATUS_BAD_TARGET:
    case STATUS_BAD_LENGTH:
        return; /* the client's doing */
    default:
        break;
    }
    /* libcurl's words for a break that was ours say only that. */
    const bool ours = fetch->why != STATUS_OK || fetch->error[0] == '\0';
    log_event(ORIGIN_FAILED, "account=%s host=%s request=%s status=%s attempts=%u: %s", fetch->account, fetch->host,
              fetch->id, status_name(why), fetch->attempt + 1, ours ? status_text(why) : fetch->error);
}

static void fail(struct origin_fetch *fetch, enum status why)
{
    bool reached = why != STATUS_CONNECT && why != STATUS_RESOLVE && why != STATUS_TLS;
    if (!fetch->delivered && (fetch->sent || !reached))
        metric_cell_add(metric_cell2(METRIC_ORIGIN_REQUESTS, fetch->account, "000"), 1);
    log_failure(fetch, why);
    const bool owed = !fetch->delivered;
    fetch->delivered = true;
    origin_body_end(&fetch->body, why);
    if (owed)
        fetch->events.head(fetch->events.arg, NULL, why);
}

static enum status outcome(const struct origin_fetch *fetch, CURLcode result)
{
    if (fetch->why != STATUS_OK)
        return fetch->why;
    if (result == CURLE_OK)
        return fetch->reply.complete ? STATUS_OK : STATUS_RESET; /* an interim head and then the end */
    double resolved = 0;
    curl_easy_getinfo(fetch->transfer.easy, CURLINFO_NAMELOOKUP_TIME, &resolved);
    return easy_status(result, resolved > 0);
}

static void on_done(struct origin_transfer *transfer, CURLcode result)
{
    struct origin_fetch *fetch = (struct origin_fetch *) transfer;
    if (fetch->closed) {
        origin_transfer_stop(transfer);
        return;
    }
    const enum status why = outcome(fetch, result);
    const char *again = NULL;
    if (!fetch->delivered)
        again = fetch->dropping ? origin_attempt_again(fetch, fetch->reply.head.status, STATUS_OK)
                                : origin_attempt_again(fetch, 0, why);
    if (again != NULL) {
        try_again(fetch, again);
        return;
    }
    fetch->phase = ORIGIN_OVER;
    timer_clear(&fetch->timer);
    budget_leave(&fetch->budget);
    if (why == STATUS_OK)
        origin_body_end(&fetch->body, STATUS_OK);
    else if (!origin_body_whole(&fetch->body) || !fetch->delivered)
        fail(fetch, why);
    if (!fetch->closed)
        source_close(&fetch->upload.source);
}

void origin_fetch_expired(struct origin_fetch *fetch)
{
    if (fetch->lingering) {
        origin_transfer_stop(&fetch->transfer);
        return;
    }
    switch (fetch->phase) {
    case ORIGIN_CREDENTIAL:
        origin_signing_stop(fetch->signing);
        fetch->why = STATUS_NO_CREDENTIAL;
        break;
    case ORIGIN_CONNECT:
        fetch->why = STATUS_CONNECT;
        break;
    case ORIGIN_BUDGET:
        origin_budget_refused(fetch->budget.budget, fetch->limits.first_byte_timeout);
        budget_leave(&fetch->budget);
        fetch->why = STATUS_OVER_BUDGET;
        break;
    case ORIGIN_HEAD:
        fetch->why = STATUS_FIRST_BYTE_TIMEOUT;
        break;
    default:
        fetch->why = STATUS_STALLED;
        break;
    }
    origin_transfer_cancel(&fetch->transfer, CURLE_OPERATION_TIMEDOUT);
}

static void on_destroy(struct origin_transfer *transfer)
{
    struct origin_fetch *fetch = (struct origin_fetch *) transfer;
    if (fetch->lingering)
        --*origin_multi_lingering(transfer->multi);
    metric_add(METRIC_ORIGIN_INFLIGHT, -1);
    origin_patience_fini(fetch);
    origin_upload_fini(&fetch->upload);
    origin_body_fini(&fetch->body);
    origin_reply_fini(&fetch->reply);
    curl_slist_free_all(fetch->headers);
    origin_signing_free(&fetch->signing);
    mem_free(fetch->account);
    mem_free(fetch->id);
    mem_free(fetch->host);
    mem_free(fetch);
}

static const struct origin_transfer_class transfer_class = {.done = on_done, .destroy = on_destroy};

/* ---- what the two bodies ask for ---- */

void origin_fetch_read_on(struct origin_fetch *fetch)
{
    origin_transfer_resume(&fetch->transfer, CURLPAUSE_RECV);
    origin_patience_resume(fetch);
}

static void on_drained(struct origin_body *body)
{
    origin_fetch_read_on(of_body(body));
}

static void on_body_closed(struct origin_body *body)
{
    struct origin_fetch *fetch = of_body(body);
    assert(fetch->owned); /* else: close the fetch, not its body */
    origin_fetch_close(&fetch);
}

static void on_more(struct origin_upload *upload)
{
    struct origin_fetch *fetch = CONTAINER_OF(upload, struct origin_fetch, upload);
    if ((fetch->transfer.paused & CURLPAUSE_SEND) == 0)
        return;
    origin_transfer_resume(&fetch->transfer, CURLPAUSE_SEND);
    if (fetch->phase == ORIGIN_SEND)
        origin_patience_resume(fetch);
}

/* ---- the owner's calls ---- */

static uint64_t blob_of(struct str target)
{
    ptrdiff_t query = str_find(target, '?');
    return hash64(target.ptr, query < 0 ? target.len : (size_t) query, 0);
}

struct origin_fetch *origin_fetch_start(struct loop *loop, const struct origin_limits *limits,
                                        const struct origin_request *request, struct source **body,
                                        const struct origin_events *events)
{
    struct origin_multi *multi = origin_multi_of(loop);
    struct origin_fetch *fetch = mem_calloc(1, sizeof *fetch);
    origin_transfer_init(&fetch->transfer, multi, &transfer_class);
    origin_body_init(&fetch->body, request->modest ? ORIGIN_MODEST_BYTES : ORIGIN_BODY_WINDOW, on_drained,
                     on_body_closed);
    origin_upload_init(&fetch->upload, body, request->content_length, on_more);
    origin_reply_init(&fetch->reply);
    origin_patience_init(fetch);
    budget_take_over(&fetch->budget, loop, request->budget, origin_attempt_admitted);
    fetch->blob = blob_of(request->target);
    fetch->limits = *limits;
    fetch->events = *events;
    const struct str host = origin_base_host(request->base);
    fetch->account = mem_strdup(request->account);
    fetch->id = request->id.len > 0 ? mem_strndup(request->id.ptr, request->id.len) : mem_strdup("-");
    fetch->host = mem_strndup(host.ptr, host.len);
    fetch->bytes = metric_cell(METRIC_ORIGIN_BYTES, request->account);
    fetch->retry = request->retry;
    const enum http_method method = http_method_parse(request->method);
    fetch->head_request = method == HTTP_HEAD;
    fetch->read = fetch->upload.finished && http_method_reads(method);
    fetch->expects = request->headers != NULL && http_headers_find(request->headers, STR("Expect")) != NULL;
    metric_add(METRIC_ORIGIN_INFLIGHT, 1);

    const char *ca_file = request->ca_file != NULL ? request->ca_file : origin_multi_ca_file(multi);
    const bool upload = !fetch->upload.finished;
    enum status status = origin_easy_prepare(fetch->transfer.easy, request, limits, ca_file, upload);
    if (status == STATUS_OK && request->signer != NULL)
        fetch->signing = origin_signing_new(request);
    else if (status == STATUS_OK)
        status = origin_easy_address(fetch->transfer.easy, request, upload, &fetch->headers);
    if (status == STATUS_OK && !fetch->upload.finished && fetch->upload.source == NULL)
        status = STATUS_INVALID; /* a length and no body */
    if (status == STATUS_OK) {
        origin_attempt_bind(fetch);
        origin_attempt_start(fetch);
    } else {
        fetch->why = status;
        origin_transfer_cancel(&fetch->transfer, CURLE_FAILED_INIT);
    }
    return fetch;
}

struct source *origin_fetch_body(struct origin_fetch *fetch)
{
    assert(fetch->delivered);
    return &fetch->body.source;
}

bool origin_fetch_sent_all(const struct origin_fetch *fetch)
{
    return fetch->upload.finished;
}

enum status origin_fetch_upload_error(const struct origin_fetch *fetch)
{
    return fetch->upload.error;
}

unsigned origin_fetch_retries(const struct origin_fetch *fetch)
{
    return fetch->attempt;
}

struct source *origin_fetch_into_source(struct origin_fetch **fetch)
{
    struct origin_fetch *taken = *fetch;
    *fetch = NULL;
    assert(taken->delivered);
    taken->owned = true;
    return &taken->body.source;
}

/* Little is left to read and nothing to send: then the connection is worth more than the time. */
static bool may_linger(const struct origin_fetch *fetch)
{
    const int64_t left = fetch->body.left;
    const bool little = left >= 0 ? left <= ORIGIN_LINGER_BYTES : fetch->reply.chunked;
    return little && fetch->transfer.running && fetch->delivered && fetch->reply.complete && fetch->upload.finished &&
           fetch->phase == ORIGIN_BODY && *origin_multi_lingering(fetch->transfer.multi) < ORIGIN_LINGER_MAX;
}

void origin_fetch_close(struct origin_fetch **fetch)
{
    struct origin_fetch *gone = *fetch;
    *fetch = NULL;
    if (gone == NULL)
        return;
    assert(!gone->closed);
    gone->closed = true;
    budget_leave(&gone->budget);
    source_close(&gone->upload.source);
    origin_signing_free(&gone->signing); /* nobody waits for a credential any more */
    if (!may_linger(gone)) {
        origin_transfer_stop(&gone->transfer);
        return;
    }
    gone->lingering = true;
    gone->dropped = 0;
    ++*origin_multi_lingering(gone->transfer.multi);
    origin_fetch_read_on(gone);
}

static bool may_end(const struct origin_transfer *transfer)
{
    return ((const struct origin_fetch *) (const void *) transfer)->closed;
}

void origin_loop_fini(struct loop *loop)
{
    origin_multi_fini(loop, may_end);
    origin_budget_loop_fini(loop);
}
