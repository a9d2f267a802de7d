/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sharedkey.h: signatures by account key: those of clients checked, our own made. (Azure: authorize with Shared Key.)
 *
 * What is signed is the verb, eleven standard fields, every x-ms-* field and the resource: "/" and the account's name
 * and the path as it is on the wire, so that a path-style URL has the account in it twice, then the query's parameters.
 * Host is not signed. Pure; any thread.
 */
#ifndef HEADPOND_BLOB_SHAREDKEY_H
#define HEADPOND_BLOB_SHAREDKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "blob/headers.h"
#include "blob/query.h"

#define ACCOUNT_KEYS_MAX 2
#define ACCOUNT_KEY_BYTES_MAX 128 /* Azure's have 64 */

/* One or two keys of an account; either is good. Secret. */
struct account_keys {
    unsigned count;
    struct account_key {
        uint8_t bytes[ACCOUNT_KEY_BYTES_MAX];
        size_t size;
    } key[ACCOUNT_KEYS_MAX];
};

/* Reads a key file's text: a key in base64 a line, one or two; empty lines and lines that begin with '#' do not count.
 * INVALID with the line's number (from 1) and what is wrong with it, a constant. */
enum status account_keys_parse(struct str text, struct account_keys *keys, unsigned *line,
                               const char **problem) STATUS_CHECKED;

/* HMAC-SHA256 (RFC 2104) in base64. */
#define ACCOUNT_KEY_SIGNATURE 44
void account_key_sign(const struct account_key *key, struct str text, char out[ACCOUNT_KEY_SIGNATURE]);
/* Whether the text's signature in base64 is of any of the keys; compares in constant time. */
bool account_keys_match(const struct account_keys *keys, struct str text, struct str signature);

struct sharedkey_request {
    struct str method;
    struct str account; /* without "-secondary" */
    struct str path;    /* on the wire, from its first slash to before '?' */
    const struct blob_query *query;
    const struct blob_headers *headers; /* with `at`; Content-Length in it does not count */
    int64_t content_length;             /* 0 or less: none is signed */
};

enum sharedkey_verdict {
    SHAREDKEY_GOOD,
    SHAREDKEY_MALFORMED,     /* not "SharedKey ACCOUNT:SIGNATURE" */
    SHAREDKEY_OTHER_ACCOUNT, /* signed for another account than the URL names */
    SHAREDKEY_NO_DATE,       /* neither x-ms-date nor Date, or no date in it */
    SHAREDKEY_SKEWED,        /* a date more than 15 minutes from now */
    SHAREDKEY_MISMATCH,
};

/* Checks the Authorization field's value against the keys. */
enum sharedkey_verdict sharedkey_verify(struct arena *arena, const struct sharedkey_request *request,
                                        const struct account_keys *keys, struct str authorization, int64_t now_s);
/* The value of an Authorization field for that request, whose headers have x-ms-date and x-ms-version. */
struct str sharedkey_authorization(struct arena *arena, const struct sharedkey_request *request,
                                   const struct account_key *key);

#endif
