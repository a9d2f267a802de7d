/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log.h: one JSON object a line for each exchange that ended.
 *
 * Each loop formats into a buffer of its own (a feed); full buffers, and what is a second old, go to one writer thread.
 * The writer may block on a slow pipe; the loops never do: past a bound lines are dropped and counted. Credentials
 * never come here but in the target, where the value of `sig` is replaced whatever way its name was written.
 */
#ifndef HEADPOND_PROXY_ACCESS_LOG_H
#define HEADPOND_PROXY_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/status.h"
#include "base/str.h"
#include "http/message.h"

struct loop;
struct access_log;
struct access_feed;

/* Starts the writer. `where` is a file, "-" for standard output, or "off" (then *log is NULL, which every function here
 * takes). IO: the file cannot be opened; *error holds one line. */
enum status access_log_open(const char *where, struct access_log **log, struct strbuf *error) STATUS_CHECKED;
/* Any thread: the writer opens its file anew before the next line (log rotation), and the log tells how that went. */
void access_log_reopen(struct access_log *log);
/* After all feeds are gone. Writes what is queued, but waits two seconds at most for a reader that has stopped. */
void access_log_close(struct access_log **log);

/* On the loop. NULL for no log. */
struct access_feed *access_feed_new(struct access_log *log, struct loop *loop);
/* Hands over what it holds. */
void access_feed_free(struct access_feed **feed);

struct access_entry {
    const struct sockaddr *peer;
    enum http_version version;
    bool tls;
    struct str method;
    struct str target;            /* as sent */
    struct str account;           /* may be NULL, as the next four */
    struct str request_id;        /* x-ms-request-id of the reply */
    struct str client_request_id; /* x-ms-client-request-id */
    struct str range;             /* as asked */
    struct str agent;             /* User-Agent */
    unsigned retries;             /* at the origin, of what passed through */
    int status;                   /* 0: none was sent */
    uint64_t sent;                /* body bytes */
    uint64_t received;            /* body bytes */
    const char *cache;            /* the Cache-Status kind */
    const char *detail;           /* or NULL */
    int64_t first_us;             /* from the request's head to the reply's; -1: none */
    int64_t total_us;             /* from the request's head to the end */
    enum status end;              /* OK, CLIENT_GONE, ... */
};

/* On the feed's loop; *feed may be NULL. */
void access_feed_add(struct access_feed *feed, const struct access_entry *entry);

#endif
