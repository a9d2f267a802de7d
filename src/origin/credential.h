/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential.h: what is ours to sign with: an account's keys, a SAS, or the tokens of a managed or workload identity.
 *
 * One thread keeps all of them up to date (keeper.c): files are read again when they have changed, tokens are renewed
 * before they end, one request in flight for each, and what fails is tried again with growing pauses while the old
 * value serves as long as it lasts. No credential waits for another. Loops read the values without a lock.
 */
#ifndef HEADPOND_ORIGIN_CREDENTIAL_H
#define HEADPOND_ORIGIN_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rcu.h"
#include "base/status.h"
#include "base/str.h"
#include "blob/sharedkey.h"

struct loop;

enum credential_kind {
    CREDENTIAL_KEYS,     /* file: one or two account keys */
    CREDENTIAL_SAS,      /* file: a SAS' parameters */
    CREDENTIAL_MANAGED,  /* the machine's metadata service */
    CREDENTIAL_WORKLOAD, /* Kubernetes' token for Entra ID's */
};

/* What holds at one moment; immutable. */
struct credential_value {
    struct rcu_head rcu;
    struct account_keys keys; /* KEYS */
    struct str text;          /* SAS: "sv=…&sig=…"; MANAGED, WORKLOAD: the token. Secret */
    int64_t expires_s;        /* wall clock: not used any more then; INT64_MAX: not known */
    int64_t ends_s;           /* SAS: what it says of its end, to be told, for the service judges it; else INT64_MAX */
};

struct credentials;
struct credential;

struct credential_options {
    enum credential_kind kind;
    const char *account; /* the configuration's row, for the log */
    const char *file;    /* KEYS and SAS; copied */
};

/* The set of a process, made before the loops start. */
struct credentials *credentials_new(void);
/* Adds one; a file is read at once. On failure INVALID and a line in *error that names the file. */
enum status credentials_add(struct credentials *set, const struct credential_options *options,
                            struct credential **credential, struct strbuf *error) STATUS_CHECKED;
/* Starts the thread, if there is anything to keep. */
void credentials_start(struct credentials *set);
/* Ends it; who waits is told. The loops must still run. */
void credentials_stop(struct credentials *set);
/* After the loops have been joined. NULL is allowed. */
void credentials_free(struct credentials *set);

enum credential_kind credential_kind(const struct credential *credential);

/* The value, good until the thread's next quiescent state; NULL: there is none, or it has ended. RCU-registered threads
 * only. */
const struct credential_value *credential_now(const struct credential *credential, int64_t now_s);

/* For who has got NULL. */
struct credential_wait;
/* `ready` is called once on this loop, never from inside this call, when there is a value, or when the attempt to get
 * one has failed. NULL: the last attempt has failed already, there is nothing to wait for yet. */
struct credential_wait *credential_wait(struct credential *credential, struct loop *loop, void (*ready)(void *arg),
                                        void *arg);
/* No call follows; empties the pointer. Not after `ready`. *wait may be NULL. */
void credential_wait_cancel(struct credential_wait **wait);

#endif
