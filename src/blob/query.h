/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.h: the parameters of a request target's query, decoded once. Names are compared with case folded, as Azure
 * does, so that "Comp=list" and "%63omp=list" do not slip past. '+' is a plus sign. Pure; any thread.
 */
#ifndef HEADPOND_BLOB_QUERY_H
#define HEADPOND_BLOB_QUERY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

#define BLOB_QUERY_MAX 128 /* parameters; Azure's own longest has fewer than 40 */

/* The parameters that this floor knows, X(ID, "name"). Those of a SAS come first, up to RSCT, in the order in which a
 * credential's text has them. */
#define BLOB_PARAM_TABLE(X)                                                                                            \
    X(SV, "sv")                                                                                                        \
    X(SS, "ss")                                                                                                        \
    X(SRT, "srt")                                                                                                      \
    X(SR, "sr")                                                                                                        \
    X(ST, "st")                                                                                                        \
    X(SE, "se")                                                                                                        \
    X(SP, "sp")                                                                                                        \
    X(SIP, "sip")                                                                                                      \
    X(SPR, "spr")                                                                                                      \
    X(SI, "si")                                                                                                        \
    X(SIG, "sig")                                                                                                      \
    X(SDD, "sdd")                                                                                                      \
    X(SES, "ses")                                                                                                      \
    X(SKOID, "skoid")                                                                                                  \
    X(SKTID, "sktid")                                                                                                  \
    X(SKT, "skt")                                                                                                      \
    X(SKE, "ske")                                                                                                      \
    X(SKS, "sks")                                                                                                      \
    X(SKV, "skv")                                                                                                      \
    X(SAOID, "saoid")                                                                                                  \
    X(SUOID, "suoid")                                                                                                  \
    X(SCID, "scid")                                                                                                    \
    X(SDUOID, "sduoid")                                                                                                \
    X(SKDUTID, "skdutid")                                                                                              \
    X(SRH, "srh")                                                                                                      \
    X(SRQ, "srq")                                                                                                      \
    X(RSCC, "rscc")                                                                                                    \
    X(RSCD, "rscd")                                                                                                    \
    X(RSCE, "rsce")                                                                                                    \
    X(RSCL, "rscl")                                                                                                    \
    X(RSCT, "rsct")                                                                                                    \
    X(SNAPSHOT, "snapshot")                                                                                            \
    X(VERSIONID, "versionid")                                                                                          \
    X(TIMEOUT, "timeout")                                                                                              \
    X(API_VERSION, "api-version")                                                                                      \
    X(COMP, "comp")                                                                                                    \
    X(RESTYPE, "restype")                                                                                              \
    X(ACTION, "action")                                                                                                \
    X(RESOURCE, "resource")                                                                                            \
    X(RECURSIVE, "recursive")                                                                                          \
    X(UPN, "upn")

enum blob_param_id {
#define X(id, name) BLOB_PARAM_##id,
    BLOB_PARAM_TABLE(X)
#undef X
        BLOB_PARAM_OTHER
};
#define BLOB_PARAM_LAST_SAS BLOB_PARAM_RSCT

struct blob_param {
    enum blob_param_id id;
    struct str name;  /* decoded */
    struct str value; /* decoded; "" when there is no '=' */
    struct str raw;   /* "name=value" as sent */
};

struct blob_query {
    struct blob_param *items;
    unsigned count;
    unsigned others;                       /* how many are not in the table */
    bool repeated;                         /* one of the table is there more than once */
    bool odd_case;                         /* one of the table is not written as there: an origin may not know it so */
    unsigned char first[BLOB_PARAM_OTHER]; /* by id: place in items of the first, from 1; 0: not there */
};

/* `text` is what follows '?', and must live as long as the query. BAD_TARGET: a malformed %XX, a NUL, too many. */
enum status blob_query_parse(struct arena *arena, struct str text, struct blob_query *query) STATUS_CHECKED;
/* The decoded value of the first with that id, or a NULL str. */
static inline struct str blob_query_value(const struct blob_query *query, enum blob_param_id id)
{
    unsigned at = query->first[id];
    return at == 0 ? STR_NULL : query->items[at - 1].value;
}

/* Whether it names a snapshot or a version of the blob. */
static inline bool blob_query_names_version(const struct blob_query *query)
{
    return query->first[BLOB_PARAM_SNAPSHOT] != 0 || query->first[BLOB_PARAM_VERSIONID] != 0;
}

/* The table's row of that name, case folded, or OTHER. */
enum blob_param_id blob_param_id(struct str name);
struct str blob_param_name(enum blob_param_id id);

/* Decodes %XX strictly into the arena; BAD_TARGET on a malformed one or a NUL. */
enum status blob_percent_decode(struct arena *arena, struct str text, struct str *decoded) STATUS_CHECKED;

/* Whether it looks like a version of the service, "2023-11-03". */
bool blob_version_valid(struct str version);
/* Whether it is one, and `first` or later. */
bool blob_version_since(struct str version, const char *first);

#endif
