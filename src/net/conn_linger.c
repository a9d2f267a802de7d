/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_linger.c: a graceful end. What is pending goes out, then close_notify and FIN; then what the peer still sends is
 * read away for a while: closing with unread bytes would reset the connection, and the peer would lose our last ones.
 */
#include <sys/socket.h>

#include "net/conn_inside.h"

/* What is pending is sent for no longer than this (and send_timeout), */
#define LINGER_PENDING_MS 60000
/* and then the peer's end is waited for no longer and no more is read away than this. */
#define LINGER_MS 2000
#define LINGER_BYTES (1024 * 1024)

/*
 * Where the kernel encrypts, it may hold back part of a record that it has taken and TCP had no room for, and FIN would
 * overtake that. It sends such a rest before the next record, if there is room then. Hence: room, close_notify, room,
 * FIN. False: not yet, an event will tell.
 */
static bool say_end(struct conn *conn)
{
    if (conn->tls == NULL || !conn->plain || conn->fin_sent)
        return true;
    if (!conn->notified && sock_poll_writable(&conn->sock))
        conn->notified = tls_stream_shutdown(conn->tls) == STATUS_OK;
    return conn->notified && sock_poll_writable(&conn->sock);
}

void conn_linger_step(struct conn *conn)
{
    if (conn_flush(conn) != STATUS_OK) {
        conn_end_now(conn, true);
        return;
    }
    if (conn->out.bytes > 0 || !say_end(conn))
        return;
    if (!conn->fin_sent) {
        conn->fin_sent = true;
        shutdown(conn->sock.fd, SHUT_WR);
        conn_set_timeout(conn, LINGER_MS);
    }
    for (;;) {
        static _Thread_local uint8_t waste[16384];
        size_t got;
        enum status status = sock_read(&conn->sock, waste, sizeof waste, &got);
        if (status == STATUS_AGAIN)
            return;
        conn->drained += got;
        if (status != STATUS_OK || got == 0 || conn->drained > LINGER_BYTES) {
            conn_end_now(conn, false);
            return;
        }
    }
}

void conn_linger_cut(struct conn *conn)
{
    /* Bytes that are dropped here may be the last of a reply that only the end delimits. */
    conn_end_now(conn, !conn->fin_sent);
}

void conn_linger_begin(struct conn *conn)
{
    /* Into the queue, behind what is pending; a kernel that encrypts gets it when the queue is empty. */
    conn->notified = conn->tls == NULL || (!conn->plain && tls_stream_shutdown(conn->tls) == STATUS_OK);
    conn->state = CONN_LINGERING;
    list_add_tail(&conn->shared->lingering, &conn->link);
    conn_set_timeout(conn, LINGER_PENDING_MS);
    conn_linger_step(conn);
}
