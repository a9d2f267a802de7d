/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_abuse.c: what one client may make us do a second, and what becomes of it beyond that.
 *
 * A reset frees a stream while the request it carried may go on costing work behind us, so the limit on concurrent
 * streams does not bound that work. It does not matter who sends the RST_STREAM: a client resets (CVE-2023-44487), or
 * sends what must be answered by a reset (CVE-2025-8671). Both count alike. Resets for reasons of our own, such as a
 * body that failed, are no fault of the client; they are told apart by the stream's `how`.
 */
#include "http/h2.h"

#include "base/log.h"
#include "base/metric.h"
#include "net/address.h"

static const struct {
    const char *label;
    const char *text;
} offences[] = {
    [H2_OFFENCE_RESETS] = {"resets", "too many resets a second"},
    [H2_OFFENCE_CONTROL] = {"control-frames", "too many control frames a second"},
    [H2_OFFENCE_HEADERS] = {"headers", "a header section beyond all bounds"},
    [H2_OFFENCE_SLOW_HEAD] = {"slow-head", "a header section that does not end"},
    [H2_OFFENCE_BACKLOG] = {"backlog", "too many frames to be answered and none of the answers taken"},
};

void h2_expel(struct h2 *h2, enum h2_offence why)
{
    if (h2->expelled)
        return;
    h2->expelled = h2->leaving = true;
    char peer[ADDRESS_TEXT];
    address_format(&h2->session.peer.any, peer, sizeof peer);
    log_event(BAD_REQUEST, "client=%s listener=%s reason=%s: HTTP/2 connection ended: %s", peer, h2->session.listener,
              offences[why].label, offences[why].text);
    metric_cell_add(metric_cell(METRIC_EXPELLED, offences[why].label), 1);
    nghttp2_session_terminate_session(h2->ng, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void roll_second(struct h2 *h2)
{
    int64_t now = loop_now_ms(h2->session.server->loop);
    if (now - h2->rate_ms < 1000)
        return;
    h2->rate_ms = now;
    h2->resets = h2->cheap = 0;
    h2->waste = h2->trailers = 0;
}

void h2_count_cheap(struct h2 *h2)
{
    roll_second(h2);
    if (++h2->cheap > H2_MAX_CHEAP_FRAMES)
        h2_expel(h2, H2_OFFENCE_CONTROL);
}

void h2_count_reset(struct h2 *h2)
{
    roll_second(h2);
    if (++h2->resets > H2_MAX_RESETS)
        h2_expel(h2, H2_OFFENCE_RESETS);
}

void h2_count_reset_sent(struct h2 *h2, const struct h2_stream *stream, uint32_t code)
{
    if (code == NGHTTP2_NO_ERROR || (stream != NULL && stream->how != STATUS_OK))
        return;
    /* Beyond the concurrent streams: the handler never heard of it, and the client may not know the bound yet. */
    if (code == NGHTTP2_REFUSED_STREAM)
        h2_count_cheap(h2);
    else
        h2_count_reset(h2);
}

bool h2_may_waste(struct h2 *h2, size_t bytes)
{
    roll_second(h2);
    h2->waste += bytes;
    return h2->waste <= H2_WASTE_MAX;
}

void h2_count_trailer(struct h2 *h2, size_t bytes)
{
    roll_second(h2);
    h2->trailers += bytes;
    if (h2->trailers > H2_MAX_TRAILERS)
        h2_expel(h2, H2_OFFENCE_HEADERS);
}

void h2_check_backlog(struct h2 *h2)
{
    if (nghttp2_session_get_outbound_queue_size(h2->ng) > H2_MAX_BACKLOG)
        h2_expel(h2, H2_OFFENCE_BACKLOG);
}
