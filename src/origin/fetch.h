/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h: the inside of a struct origin_fetch, for the files of this folder that share its life: client.c (start, end,
 * close), attempt.c (what libcurl calls back) and patience.c (its timer).
 *
 * A fetch is one or more attempts of one transfer. It outlives origin_fetch_close() by at most LINGER_MS when little is
 * left to read, so that its connection can serve again; nobody is called back any more then. It is destroyed by the
 * multi, when nothing of it is on the stack.
 */
#ifndef HEADPOND_ORIGIN_FETCH_H
#define HEADPOND_ORIGIN_FETCH_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"
#include "origin/body.h"
#include "origin/budget.h"
#include "origin/client.h"
#include "origin/multi.h"
#include "origin/reply.h"
#include "origin/upload.h"

struct metric_cell;
struct origin_signing;

/* What nobody wants is read on for so much and so long, and by so many at once in a loop, to save its connection. */
#define ORIGIN_LINGER_BYTES (64 * 1024)
#define ORIGIN_LINGER_MS 1000
#define ORIGIN_LINGER_MAX 64u

enum origin_phase {
    ORIGIN_BUDGET,     /* the account is not to be asked yet */
    ORIGIN_CREDENTIAL, /* a credential of our own is awaited */
    ORIGIN_CONNECT,    /* from the attempt's start until a connection is ready */
    ORIGIN_SEND,       /* the request's body is going out */
    ORIGIN_HEAD,       /* all was sent, the reply's head is awaited */
    ORIGIN_BODY,       /* the reply's body comes in */
    ORIGIN_BACKOFF,    /* between two attempts */
    ORIGIN_OVER,
};

struct origin_fetch {
    struct origin_transfer transfer; /* first: cast from */
    struct origin_body body;
    struct origin_upload upload;
    struct origin_reply reply;
    struct origin_limits limits;
    struct origin_events events;
    struct timer timer;
    struct budget_ticket budget;
    uint64_t blob; /* a hash of the target's path */
    char *account;
    char *id;   /* for the log */
    char *host; /* the base's authority, for the log */
    struct curl_slist *headers;
    struct origin_signing *signing; /* NULL: sent as it was given */
    struct metric_cell *bytes;

    enum origin_phase phase;
    int64_t since_ms; /* when the phase began or last moved */
    int64_t began_us; /* the attempt's start */
    unsigned attempt; /* further attempts made */
    int64_t dropped;  /* body bytes of a reply that is not handed over */
    enum status why;  /* our own reason to break libcurl off; OK: none */

    bool head_request;
    bool read;      /* GET or HEAD without a body */
    bool retry;     /* the caller allows it */
    bool sent;      /* this attempt's request may have left */
    bool dropping;  /* this attempt's reply is not handed over: another attempt follows */
    bool expects;   /* the request says Expect: 100-continue */
    bool mute;      /* this reply's body is not handed over, though its head was */
    bool delivered; /* events.head has been called */
    bool closed;    /* by the owner: nobody to call back */
    bool lingering; /* closed, and reading the rest */
    bool owned;     /* the body's source closes the fetch */
    char error[CURL_ERROR_SIZE];
};

/* attempt.c: points the handle's callbacks at the fetch. */
void origin_attempt_bind(struct origin_fetch *fetch);
/* Of the fetch's budget ticket. */
void origin_attempt_admitted(struct budget_ticket *ticket);
/* Readies the fetch for its next attempt and starts it. */
void origin_attempt_start(struct origin_fetch *fetch);
/* Whether this attempt's outcome calls for another, and why (a metric's label); NULL: no. `status`: the reply's or 0.
 */
const char *origin_attempt_again(const struct origin_fetch *fetch, int status, enum status failure);

/* What its reply asks to wait: ms, or -1. */
int64_t origin_attempt_retry_after(const struct origin_fetch *fetch);

/* patience.c */
void origin_patience_init(struct origin_fetch *fetch);
/* The fetch enters a phase, whose clock starts. */
void origin_patience_enter(struct origin_fetch *fetch, enum origin_phase phase);
/* Something moved. Cheap. */
void origin_patience_moved(struct origin_fetch *fetch);
/* The clock of the current phase runs again after a pause of ours. */
void origin_patience_resume(struct origin_fetch *fetch);
void origin_patience_fini(struct origin_fetch *fetch);

/* client.c: nothing of ours keeps the reply's body from coming any more. */
void origin_fetch_read_on(struct origin_fetch *fetch);
/* client.c: the deadline of an entered phase passed. */
void origin_fetch_expired(struct origin_fetch *fetch);

#endif
