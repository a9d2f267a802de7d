/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h: a credential as credential.c (values, who waits) and keeper.c (the thread that renews them) see it. The
 * keeper's thread, or main's before it has been started.
 */
#ifndef HEADPOND_ORIGIN_KEEPER_H
#define HEADPOND_ORIGIN_KEEPER_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/metric.h"
#include "origin/credential.h"
#include "origin/token.h"

struct credential {
    struct credential *next; /* in its set; fixed before the thread starts */
    enum credential_kind kind;
    char *account;
    char *file;
    struct token_place place;
    _Atomic(struct credential_value *) value;
    pthread_mutex_t lock;
    struct credential_wait *waits; /* under lock */
    bool failing;                  /* under lock: the last attempt failed */

    /* the keeper's */
    int64_t due_ms; /* monotonic: when to look again */
    unsigned failures;
    struct file_stamp stamp; /* of the file as it was last looked at */
    CURL *easy;              /* a request in flight, or NULL */
    struct curl_slist *fields;
    struct strbuf form;
    struct strbuf reply;
};

struct credentials {
    struct credential *first;
    CURLM *multi; /* the thread's */
    pthread_t thread;
    bool running;
    atomic_bool stopping;
};

/* Puts the value in place of the one there is; a NULL pointer means that the attempt failed. Tells who waits. */
void credential_publish(struct credential *credential, struct credential_value *value);
/* A value with a copy of the text behind it. */
struct credential_value *credential_value_new(struct str text);
/* Reads the file of one that has one. On failure INVALID, a NULL value and a line in *error. */
enum status credential_read(const struct credential *credential, struct credential_value **value,
                            struct strbuf *error) STATUS_CHECKED;

/* The thread. */
void *keeper_run(void *arg);

#endif
