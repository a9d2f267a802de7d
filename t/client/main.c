/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob-client: reads blobs from a server under test and checks every byte, with content.c's rule
 * that a seed and an offset give the bytes. The counterpart of blob-origin.
 */
#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../origin/content.h"
#include "modes.h"
#include "transfer.h"

static const struct {
    const char *name;
    int (*run)(const struct options *o);
} modes[] = {{"ranges", mode_ranges},
             {"mixed", mode_mixed},
             {"readers", mode_readers},
             {"one", mode_one},
             {"blocks", mode_blocks}};

static void free_targets(struct options *o)
{
    for (size_t i = 0; i < o->target_count; i++)
        target_fini(&o->targets[i]);
    free(o->targets);
}

int main(int argc, char **argv)
{
    struct options o;
    struct rlimit limit;
    int status = -1;
    if (!options_parse(argc, argv, &o))
        return 2;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    content_init();
    curl_global_init(CURL_GLOBAL_ALL);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, o.mode) == 0)
            status = modes[i].run(&o);
    if (status < 0) {
        fprintf(stderr, "blob-client: no mode %s\n", o.mode);
        status = 2;
    }
    curl_global_cleanup();
    free_targets(&o);
    return status;
}
