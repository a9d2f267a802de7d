/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_send.c: what conn_writev takes and when it goes to the socket.
 *
 * How much is gathered before a send (`burst`) follows what the peer takes: doubled, up to 256 KiB, when the socket
 * swallows all of it, halved when it does not, so a slow reader holds little.
 */
#include <assert.h>
#include <string.h>

#include "net/conn_inside.h"

#define BURST_MIN 32768
#define BURST_MAX 262144
/* Writes up to this size are gathered under CONN_MORE; larger ones are worth a system call of their own. */
#define GATHER_MAX 20480

void conn_note_progress(struct conn *conn, bool moved)
{
    bool blocked = (conn->out.bytes > 0 || conn->want_write) && !conn->sock.writable;
    if (!blocked || conn->send_timeout == 0) {
        conn->stalled_at = 0;
    } else if (moved || conn->stalled_at == 0) {
        conn->stalled_at = loop_now_ms(conn->loop) + conn->send_timeout;
        conn_arm(conn, conn->stalled_at);
    }
}

enum status conn_flush(struct conn *conn)
{
    bool moved = false;
    enum status status = outq_send(&conn->out, &conn->shared->pool, &conn->sock, &moved);
    if (status != STATUS_OK)
        return status;
    bool whole = conn->out.bytes == 0;
    if (moved && whole && conn->burst < BURST_MAX)
        conn->burst *= 2;
    else if (moved && !whole && conn->burst > BURST_MIN)
        conn->burst /= 2;
    conn_note_progress(conn, moved);
    return STATUS_OK;
}

static void append(struct conn *conn, const struct iovec *pieces, unsigned count, size_t skip)
{
    for (unsigned i = 0; i < count; i++) {
        if (skip >= pieces[i].iov_len) {
            skip -= pieces[i].iov_len;
            continue;
        }
        outq_append(&conn->out, &conn->shared->pool, (uint8_t *) pieces[i].iov_base + skip, pieces[i].iov_len - skip);
        skip = 0;
    }
}

/* What is pending, and the pieces behind it in the same call if all that is pending fits into it. */
static enum status write_behind(struct conn *conn, const struct iovec *pieces, unsigned count, size_t *taken)
{
    struct iovec both[SOCK_MAX_IOV];
    unsigned pending = outq_view(&conn->out, both, SOCK_MAX_IOV - CONN_MAX_PIECES);
    size_t shown = 0, sent;
    for (unsigned i = 0; i < pending; i++)
        shown += both[i].iov_len;
    if (shown < conn->out.bytes)
        count = 0;
    memcpy(both + pending, pieces, count * sizeof *pieces);
    enum status status = sock_write(&conn->sock, both, pending + count, &sent);
    if (status != STATUS_OK && status != STATUS_AGAIN)
        return status;
    outq_consume(&conn->out, &conn->shared->pool, sent < shown ? sent : shown);
    *taken = sent < shown ? 0 : sent - shown;
    conn_note_progress(conn, sent > 0);
    return STATUS_OK;
}

static enum status write_plain(struct conn *conn, const struct iovec *pieces, unsigned count, size_t total,
                               unsigned flags, size_t *taken)
{
    if ((flags & CONN_MORE) && total <= GATHER_MAX && ((flags & CONN_ALL) || conn->out.bytes + total <= conn->burst)) {
        append(conn, pieces, count, 0);
        *taken = total;
        return STATUS_OK;
    }
    while (conn->out.bytes > 0 && conn->sock.writable) {
        enum status status = write_behind(conn, pieces, count, taken);
        if (status != STATUS_OK)
            return status;
    }
    if (conn->out.bytes == 0 && *taken == 0) {
        enum status status = sock_write(&conn->sock, pieces, count, taken);
        if (status != STATUS_OK && status != STATUS_AGAIN)
            return status;
    }
    if (*taken < total && (flags & CONN_ALL)) {
        append(conn, pieces, count, *taken);
        *taken = total;
    }
    return STATUS_OK;
}

/* Skips `bytes` of the pieces, in place. */
static unsigned advance(struct iovec *pieces, unsigned count, size_t bytes)
{
    unsigned gone = 0;
    while (gone < count && bytes >= pieces[gone].iov_len)
        bytes -= pieces[gone++].iov_len;
    memmove(pieces, pieces + gone, (count - gone) * sizeof *pieces);
    if (gone < count && bytes > 0) {
        pieces[0].iov_base = (uint8_t *) pieces[0].iov_base + bytes;
        pieces[0].iov_len -= bytes;
    }
    return count - gone;
}

static enum status write_tls(struct conn *conn, const struct iovec *pieces, unsigned count, size_t total,
                             unsigned flags, size_t *taken)
{
    struct iovec left[CONN_MAX_PIECES];
    memcpy(left, pieces, count * sizeof *pieces);
    for (;;) {
        size_t n;
        enum status status = tls_stream_write(conn->tls, left, count, flags & CONN_ALL ? SIZE_MAX : conn->burst, &n);
        if (status != STATUS_OK)
            return status;
        *taken += n;
        count = advance(left, count, n);
        if (!(flags & CONN_MORE) || conn->out.bytes >= conn->burst) {
            status = conn_flush(conn);
            if (status != STATUS_OK)
                return status;
        }
        if (*taken == total || n == 0 || conn->out.bytes > 0)
            return STATUS_OK;
    }
}

enum status conn_writev(struct conn *conn, const struct iovec *pieces, unsigned count, unsigned flags, size_t *taken)
{
    assert(conn->state == CONN_OPEN && count <= CONN_MAX_PIECES);
    size_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += pieces[i].iov_len;
    *taken = 0;
    enum status status = conn->plain ? write_plain(conn, pieces, count, total, flags, taken)
                                     : write_tls(conn, pieces, count, total, flags, taken);
    if (status != STATUS_OK)
        return status;
    if (*taken < total)
        conn->want_write = true;
    if (conn->plain || *taken < total)
        conn_note_progress(conn, *taken > 0);
    return STATUS_OK;
}

bool conn_room(struct conn *conn)
{
    if (conn->out.bytes < conn->burst)
        return true;
    conn->want_write = true;
    conn_note_progress(conn, false);
    return false;
}
