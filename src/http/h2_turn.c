/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_turn.c: the replies of a connection take turns of 64 KiB. nghttp2 by itself sends one frame of each, mostly of 16
 * KiB, and for each of them a source would be asked what it has; for a block in the store that is two system calls.
 * Here the source is asked once, and what it shows is cut into frames.
 *
 * A reply that nghttp2 asks for bytes when it is another's turn is put off and queued. A view is never kept when
 * others might look at their sources, nor beyond the event (source.h).
 */
#include "http/h2.h"

/* Takes from the source what has been sent, and forgets the rest of what it showed. */
static void put_back(struct h2_stream *stream)
{
    if (stream->view.bytes == 0)
        return;
    stream->view.bytes = 0;
    source_consume(stream->source, stream->view_used);
    stream->view_used = 0;
}

static void pass_on(struct h2 *h2)
{
    h2->turn = NULL;
    if (list_empty(&h2->turns))
        return;
    h2->turn = LIST_ENTRY(h2->turns.next, struct h2_stream, turn);
    list_remove(&h2->turn->turn);
    h2->turn->moved_ms = loop_now_ms(h2->session.server->loop); /* it was not its client that made it wait */
    nghttp2_session_resume_data(h2->ng, h2->turn->id);
}

/* What the client has given no room for is not asked for. */
static size_t within(size_t most, int32_t window)
{
    return window > 0 && (size_t) window < most ? (size_t) window : most;
}

enum source_state h2_turn_take(struct h2_stream *stream, size_t *length)
{
    struct h2 *h2 = stream->h2;
    if (h2->turn == NULL)
        h2->turn = stream;
    if (h2->turn != stream) {
        if (list_empty(&stream->turn))
            list_add_tail(&h2->turns, &stream->turn);
        return SOURCE_WAIT;
    }
    if (stream->view.bytes == 0) {
        size_t most = H2_FRAME_MAX / *length * *length; /* whole frames */
        if (stream->known && stream->left < most)
            most = (size_t) stream->left;
        most = within(most, nghttp2_session_get_stream_remote_window_size(h2->ng, stream->id));
        most = within(most, nghttp2_session_get_remote_window_size(h2->ng));
        stream->view_used = 0;
        enum source_state state = source_peek(stream->source, &stream->view, most);
        if (state != SOURCE_DATA) {
            stream->view.bytes = 0;
            stream->deferred = state == SOURCE_WAIT;
            pass_on(h2);
            return state;
        }
    }
    if (stream->view.bytes - stream->view_used < *length)
        *length = stream->view.bytes - stream->view_used;
    return SOURCE_DATA;
}

unsigned h2_turn_view(const struct h2_stream *stream, struct iovec *pieces, size_t length)
{
    size_t skip = stream->view_used;
    unsigned count = 0;
    for (unsigned i = 0; i < stream->view.count && length > 0; i++) {
        struct iovec piece = stream->view.pieces[i];
        size_t gone = skip < piece.iov_len ? skip : piece.iov_len;
        skip -= gone;
        piece.iov_base = (uint8_t *) piece.iov_base + gone;
        piece.iov_len = piece.iov_len - gone < length ? piece.iov_len - gone : length;
        length -= piece.iov_len;
        if (piece.iov_len > 0)
            pieces[count++] = piece;
    }
    return count;
}

void h2_turn_sent(struct h2_stream *stream, size_t length)
{
    stream->view_used += length;
    if (stream->view_used < stream->view.bytes)
        return;
    put_back(stream);
    pass_on(stream->h2);
}

bool h2_turn_skip(struct h2 *h2)
{
    if (list_empty(&h2->turns))
        return false;
    if (h2->turn != NULL)
        put_back(h2->turn);
    pass_on(h2);
    return true;
}

void h2_turn_pause(struct h2 *h2)
{
    if (h2->turn != NULL)
        put_back(h2->turn);
}

void h2_turn_leave(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;
    list_remove(&stream->turn);
    if (h2->turn != stream)
        return;
    put_back(stream);
    if (h2->dead)
        h2->turn = NULL;
    else
        pass_on(h2);
}
