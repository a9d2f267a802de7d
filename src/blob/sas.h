/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sas.h: shared access signatures, as far as one who cannot check the signature must understand them: what the token
 * says of itself, so that an origin's yes is not trusted for more, nor for longer, than the token claims. Nothing here
 * is an authorization. (Azure: create a service SAS, account SAS, user delegation SAS.) Pure; any thread.
 */
#ifndef HEADPOND_BLOB_SAS_H
#define HEADPOND_BLOB_SAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "blob/query.h"

enum sas_kind { SAS_SERVICE, SAS_ACCOUNT, SAS_USER_DELEGATION };
/* From narrow to wide. */
enum sas_scope { SAS_SCOPE_SNAPSHOT, SAS_SCOPE_BLOB, SAS_SCOPE_DIRECTORY, SAS_SCOPE_CONTAINER, SAS_SCOPE_ACCOUNT };

struct sas {
    enum sas_kind kind;
    enum sas_scope scope;
    unsigned depth;     /* DIRECTORY: whole path components of the blob's name, at least 1 */
    int64_t starts_s;   /* wall clock; INT64_MIN when not said */
    int64_t expires_s;  /* the earlier of se and ske; INT64_MAX when a stored policy (si) has it */
    bool read;          /* it claims to permit reading a blob, or leaves that to a stored policy */
    bool https_only;    /* spr=https */
    struct str ip;      /* sip, or a NULL str */
    bool overrides;     /* rscc, rscd, rsce, rscl or rsct: replaces reply headers */
    const char *bypass; /* why a cached yes must not be used for it, a short constant word; NULL when it may */
    struct str text; /* the token's parameters and nothing else, in one order, after "sas\n": what to digest. Secret */
};

/* Whether the query has a SAS; fills *sas, whose texts live in `arena` or as long as the query. */
bool sas_parse(struct arena *arena, const struct blob_query *query, struct sas *sas);

/* How wide a yes to this token may be trusted (decision 7): an account-key token as wide as it says, but for no more
 * than a container: that one may be open to everybody, and the yes not be for the token; a user-delegation token for
 * the one blob, because path rules may divide what it covers, unless the operator vouches that none do (grant_scope:
 * container). */
enum sas_scope sas_trusted_scope(const struct sas *sas, bool vouched);
/* The directory that a token of that depth covers for this blob: its first components, without a trailing slash; a NULL
 * str when the blob is not below such a directory, or one of them is empty. */
struct str sas_directory(struct str blob, unsigned depth);

/* Whether it may be used, or the first reason why not. */
enum sas_use { SAS_USE_GOOD, SAS_USE_TIME, SAS_USE_PROTOCOL, SAS_USE_ADDRESS };
/* Now, over this scheme and from this IPv4 address (host order; 0: not IPv4, then refused when the token names
 * addresses). */
enum sas_use sas_use(const struct sas *sas, int64_t now_s, bool tls, uint32_t ipv4);

/* The parameters that replace reply headers: X(PARAMETER, "header"). */
#define SAS_OVERRIDE_TABLE(X)                                                                                          \
    X(RSCC, "Cache-Control")                                                                                           \
    X(RSCD, "Content-Disposition")                                                                                     \
    X(RSCE, "Content-Encoding")                                                                                        \
    X(RSCL, "Content-Language")                                                                                        \
    X(RSCT, "Content-Type")

/* Whether there is any of them; what signs it, if anything, is not looked at. */
bool sas_overridden(const struct blob_query *query);
/* What is to be said instead of a reply header, decoded, or a NULL str. */
struct str sas_override(const struct blob_query *query, struct str header);

/* YYYY-MM-DD, YYYY-MM-DDThh:mmZ, ...:ssZ, fractions, or +hh:mm instead of Z. Seconds since 1970; false when malformed.
 */
bool sas_time_parse(struct str text, int64_t *seconds);

#endif
