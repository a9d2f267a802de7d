/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_probe.c: the consumer of fetches and the fed body of test_origin_rig.h. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "test_origin_rig.h"

#include <string.h>

/* ---- the consumer ---- */

static void shut(struct probe *probe)
{
    if (probe->into_source)
        source_close(&probe->pulled); /* NULL until the head has come */
    origin_fetch_close(&probe->fetch);
    probe->pulled = NULL;
}

static void pull(struct probe *probe)
{
    while (probe->pulled != NULL) {
        struct source_view view;
        probe->state = source_peek(probe->pulled, &view, probe->step > 0 ? probe->step : SIZE_MAX);
        if (probe->state == SOURCE_WAIT)
            return;
        if (probe->state != SOURCE_DATA) {
            probe->error = probe->state == SOURCE_FAILED ? probe->pulled->error : STATUS_OK;
            if (probe->close_at == CLOSE_AT_END)
                shut(probe);
            sem_post(&probe->told_end);
            return;
        }
        for (unsigned i = 0; i < view.count && probe->keep; i++)
            strbuf_add(&probe->body, view.pieces[i].iov_base, view.pieces[i].iov_len);
        probe->bytes += view.bytes;
        source_consume(probe->pulled, view.bytes);
    }
}

static void on_ready(void *arg)
{
    struct probe *probe = arg;
    probe->readies++;
    if (probe->close_at == CLOSE_IN_READY) {
        shut(probe);
        sem_post(&probe->told_end);
        return;
    }
    pull(probe);
}

static void on_head(void *arg, const struct http_response *head, enum status why)
{
    struct probe *probe = arg;
    probe->heads++;
    probe->why = why;
    if (head != NULL) {
        probe->status = head->status;
        probe->content_length = head->content_length;
        for (unsigned i = 0; i < head->headers.count; i++)
            strbuf_addf(&probe->head, "%.*s: %.*s\n", STR_ARG(head->headers.items[i].name),
                        STR_ARG(head->headers.items[i].value));
    }
    if (probe->on_head != NULL)
        probe->on_head(probe);
    if (probe->close_at == CLOSE_IN_HEAD) {
        shut(probe);
    } else if (head != NULL && probe->fetch != NULL) {
        probe->pulled = probe->into_source ? origin_fetch_into_source(&probe->fetch) : origin_fetch_body(probe->fetch);
        source_listen(probe->pulled, on_ready, probe);
        if (!probe->idle)
            pull(probe);
    } else if (head == NULL) {
        sem_post(&probe->told_end);
    }
    sem_post(&probe->told_head);
}

void probe_init(struct probe *probe, const char *base)
{
    *probe = (struct probe){.base = base, .send_length = -2, .keep = true};
    sem_init(&probe->told_head, 0, 0);
    sem_init(&probe->told_end, 0, 0);
}

static void start(void *arg)
{
    struct probe *probe = arg;
    struct http_headers headers = {.arena = arena_new()};
    for (unsigned i = 0; probe->fields != NULL && probe->fields[i] != NULL; i += 2)
        http_headers_add(&headers, str_from(probe->fields[i]), str_from(probe->fields[i + 1]));
    struct source *body = probe->source;
    probe->source = NULL;
    if (probe->send != NULL)
        body = source_from_str(str_from(probe->send));
    struct origin_limits limits = probe->limits;
    if (limits.connect_timeout == 0)
        limits.connect_timeout = 5000;
    if (limits.first_byte_timeout == 0)
        limits.first_byte_timeout = RIG_WAIT_S * 1000;
    if (limits.stall_timeout == 0)
        limits.stall_timeout = RIG_WAIT_S * 1000;
    const struct origin_request request = {
        .account = "acct",
        .base = probe->base,
        .ca_file = probe->ca_file,
        .method = str_from(probe->method == NULL ? "GET" : probe->method),
        .target = str_from(probe->target == NULL ? "/c/b" : probe->target),
        .headers = &headers,
        .content_length = probe->send_length != -2 ? probe->send_length
                          : probe->send != NULL    ? (int64_t) strlen(probe->send)
                                                   : 0,
        .retry = probe->retry,
    };
    const struct origin_events events = {.head = on_head, .arg = probe};
    probe->fetch = origin_fetch_start(rig_loop(), &limits, &request, &body, &events);
    arena_free(headers.arena);
}

void probe_start(struct probe *probe)
{
    rig_call(start, probe);
}

void probe_start_here(struct probe *probe)
{
    start(probe);
}

static void pull_here(void *arg)
{
    pull(arg);
}

void probe_pull(struct probe *probe)
{
    rig_call(pull_here, probe);
}

bool probe_wait_head(struct probe *probe)
{
    return rig_wait(&probe->told_head);
}

bool probe_wait_end(struct probe *probe)
{
    return rig_wait(&probe->told_end);
}

static void close_here(void *arg)
{
    shut(arg);
}

void probe_close(struct probe *probe)
{
    rig_call(close_here, probe);
}

void probe_run(struct probe *probe)
{
    probe_start(probe);
    probe_wait_head(probe);
    if (probe->close_at != CLOSE_IN_HEAD)
        probe_wait_end(probe);
    probe_close(probe);
}

void probe_fini(struct probe *probe)
{
    probe_close(probe);
    strbuf_free(&probe->head);
    strbuf_free(&probe->body);
    sem_destroy(&probe->told_head);
    sem_destroy(&probe->told_end);
}

/* ---- a fed body ---- */

static enum source_state feed_peek(struct source *source, struct source_view *view, size_t max)
{
    struct feed *feed = (struct feed *) source;
    size_t left = feed->bytes.len - feed->taken;
    if (left == 0 && feed->failed) {
        source->error = STATUS_CLIENT_GONE;
        return SOURCE_FAILED;
    }
    if (left == 0 && feed->ended)
        return SOURCE_END;
    if (left == 0) {
        feed->waiting = true;
        return SOURCE_WAIT;
    }
    if (feed->step > 0 && left > feed->step)
        left = feed->step;
    view->bytes = left < max ? left : max;
    view->pieces[view->count++] = (struct iovec){feed->bytes.ptr + feed->taken, view->bytes};
    return SOURCE_DATA;
}

static void feed_consume(struct source *source, size_t bytes)
{
    ((struct feed *) source)->taken += bytes;
}

static void feed_close(struct source *source)
{
    ((struct feed *) source)->closed = true;
}

static const struct source_class feed_class = {
    .name = "feed", .peek = feed_peek, .consume = feed_consume, .close = feed_close};

void feed_init(struct feed *feed)
{
    *feed = (struct feed){.source.class = &feed_class};
}

struct gift {
    struct feed *feed;
    const char *text;
    bool end;
    bool fail;
};

static void give(void *arg)
{
    struct gift *gift = arg;
    struct feed *feed = gift->feed;
    strbuf_adds(&feed->bytes, str_from(gift->text));
    feed->ended = gift->end;
    feed->failed = gift->fail;
    if (feed->waiting && !feed->closed) {
        feed->waiting = false;
        feed->source.ready(feed->source.arg);
    }
}

void feed_give(struct feed *feed, const char *text, bool end)
{
    rig_call(give, &(struct gift){.feed = feed, .text = text, .end = end});
}

void feed_fail(struct feed *feed)
{
    rig_call(give, &(struct gift){.feed = feed, .text = "", .fail = true});
}

void feed_fini(struct feed *feed)
{
    strbuf_free(&feed->bytes);
}
