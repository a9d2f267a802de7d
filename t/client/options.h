/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of blob-client, shared by all modes. */
#ifndef T_CLIENT_OPTIONS_H
#define T_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target.h"

#define OPTIONS_MAX_HEADERS 64
#define OPTIONS_MAX_BASES 256

struct options {
    const char *mode, *ca, *query, *range, *method;
    const char *bases[OPTIONS_MAX_BASES]; /* the i-th of those that ask at a time uses the i-th, and so on in turn */
    size_t base_count;
    bool tls, http2;
    bool tolerate;      /* a failed request is counted, not held against the server; a wrong byte is */
    bool new_etags;     /* a blob with one seed may change its ETag */
    bool ms_range;      /* `one`: send x-ms-range */
    bool fail_over;     /* what cannot connect asks at the next base, until all have been asked */
    bool shuffle, once; /* `blocks`: in fresh order each round; one round */
    struct target *targets;
    size_t target_count;
    const char *headers[OPTIONS_MAX_HEADERS];
    size_t header_count;
    int64_t count, rng, concurrency, connections, threads, readers, slow_rate, slow_count;
    int64_t timeout; /* s: of a readers run, and of any request that stands still */
    int64_t seconds, abort_after, big;
    int64_t block, per_second; /* `blocks`: bytes of one; requests, 0: as fast as it goes */
};

/* false: the usage has been printed. */
bool options_parse(int argc, char **argv, struct options *o);

#endif
