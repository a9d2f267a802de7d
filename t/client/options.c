/* SPDX-License-Identifier: Apache-2.0 */
/* See options.h. Every option is a row of a table: a string, a number or a flag. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: blob-client MODE --base http://HOST:PORT/ACCOUNT/CONTAINER [options]\n"
    "  ranges   --blobs LIST --count N [--rng S]         random ranges, everything checked\n"
    "  mixed    --blobs LIST --seconds T [--rng S]       also HEAD, conditionals, aborted reads\n"
    "  readers  --blob SPEC --readers K [--slow-reader BYTES/S --slow-count N]\n"
    "  one      --blob SPEC [--range A-B] [--method HEAD] [--seeds S,S] [--x-ms-range]\n"
    "           [--abort-after N]\n"
    "  blocks   --blobs LIST --once | --seconds T [--block BYTES (1 MiB)] [--shuffle] [--rng S]\n"
    "           [--per-second N (h1 only)]          every block once a round\n"
    "LIST is SPEC,SPEC...; SPEC is NAME:SIZE:SEED[/SEED...]: one reply must match one of the "
    "seeds\n"
    "  --base repeated: those that ask at a time, or the readers, are spread over them in turn;\n"
    "           --connections is for each; --fail-over: who cannot connect asks at the next one\n"
    "  --proto h1|h1s|h2c|h2s  --ca FILE  --query STRING  --header 'N: V' (repeatable)\n"
    "  --concurrency C (8)  --connections N (h2 only: 2)  --threads N (1)  --timeout S (60)\n"
    "  --big BYTES (64 MiB): blobs beyond it are not read whole by ranges and mixed\n"
    "  --tolerate-errors  --allow-new-etags\n"
    "Prints one JSON object. Exit status: 0 all well, 1 a mismatch or failure, 2 usage\n";

/* OPT_LAST + i is the i-th number or string below. */
enum {
    OPT_PROTO = 256,
    OPT_BASE,
    OPT_BLOBS,
    OPT_SEEDS,
    OPT_HEADER,
    OPT_TOLERATE,
    OPT_ETAGS,
    OPT_MS,
    OPT_SHUFFLE,
    OPT_ONCE,
    OPT_FAIL_OVER,
    OPT_LAST
};

struct string_option {
    const char *name;
    size_t at;
};
static const struct string_option strings[] = {
    {"ca", offsetof(struct options, ca)},
    {"query", offsetof(struct options, query)},
    {"range", offsetof(struct options, range)},
    {"method", offsetof(struct options, method)},
};
static const struct string_option numbers[] = {
    {"count", offsetof(struct options, count)},
    {"rng", offsetof(struct options, rng)},
    {"concurrency", offsetof(struct options, concurrency)},
    {"connections", offsetof(struct options, connections)},
    {"threads", offsetof(struct options, threads)},
    {"readers", offsetof(struct options, readers)},
    {"slow-reader", offsetof(struct options, slow_rate)},
    {"slow-count", offsetof(struct options, slow_count)},
    {"timeout", offsetof(struct options, timeout)},
    {"seconds", offsetof(struct options, seconds)},
    {"abort-after", offsetof(struct options, abort_after)},
    {"big", offsetof(struct options, big)},
    {"block", offsetof(struct options, block)},
    {"per-second", offsetof(struct options, per_second)},
};
#define STRINGS (sizeof strings / sizeof strings[0])
#define NUMBERS (sizeof numbers / sizeof numbers[0])

static bool set_number(struct options *o, size_t at, const char *text)
{
    char *end;
    int64_t value = strtoll(text, &end, 10);
    memcpy((char *) o + at, &value, sizeof value);
    return *text && !*end && value >= 0;
}

static bool set_proto(struct options *o, const char *proto)
{
    o->http2 = proto[0] == 'h' && proto[1] == '2';
    o->tls = strcmp(proto, "h1s") == 0 || strcmp(proto, "h2s") == 0;
    return o->tls || strcmp(proto, "h1") == 0 || strcmp(proto, "h2c") == 0;
}

static bool set_one(struct options *o, int opt, const char *value, const char **seeds)
{
    if (opt >= OPT_LAST + (int) STRINGS)
        return set_number(o, numbers[opt - OPT_LAST - (int) STRINGS].at, value);
    if (opt >= OPT_LAST) {
        memcpy((char *) o + strings[opt - OPT_LAST].at, &value, sizeof value);
        return true;
    }
    switch (opt) {
    case OPT_PROTO:
        return set_proto(o, value);
    case OPT_BASE:
        if (o->base_count == OPTIONS_MAX_BASES)
            return false;
        o->bases[o->base_count++] = value;
        return true;
    case OPT_BLOBS:
        return targets_parse(value, &o->targets, &o->target_count);
    case OPT_SEEDS:
        *seeds = value;
        return true;
    case OPT_TOLERATE:
        return o->tolerate = true;
    case OPT_ETAGS:
        return o->new_etags = true;
    case OPT_MS:
        return o->ms_range = true;
    case OPT_SHUFFLE:
        return o->shuffle = true;
    case OPT_ONCE:
        return o->once = true;
    case OPT_FAIL_OVER:
        return o->fail_over = true;
    case OPT_HEADER:
        if (o->header_count == OPTIONS_MAX_HEADERS)
            return false;
        o->headers[o->header_count++] = value;
        return true;
    default:
        return false;
    }
}

static bool parse_all(int argc, char **argv, struct options *o)
{
    struct option longs[OPT_LAST - OPT_PROTO + 1 + STRINGS + NUMBERS + 1] = {
        {"proto", 1, NULL, OPT_PROTO},     {"blobs", 1, NULL, OPT_BLOBS},
        {"blob", 1, NULL, OPT_BLOBS},      {"seeds", 1, NULL, OPT_SEEDS},
        {"header", 1, NULL, OPT_HEADER},   {"tolerate-errors", 0, NULL, OPT_TOLERATE},
        {"x-ms-range", 0, NULL, OPT_MS},   {"allow-new-etags", 0, NULL, OPT_ETAGS},
        {"shuffle", 0, NULL, OPT_SHUFFLE}, {"once", 0, NULL, OPT_ONCE},
        {"base", 1, NULL, OPT_BASE},       {"fail-over", 0, NULL, OPT_FAIL_OVER},
    };
    size_t n = 12;
    const char *seeds = NULL;
    for (size_t i = 0; i < STRINGS; i++)
        longs[n++] = (struct option){strings[i].name, 1, NULL, OPT_LAST + (int) i};
    for (size_t i = 0; i < NUMBERS; i++)
        longs[n++] = (struct option){numbers[i].name, 1, NULL, OPT_LAST + (int) (STRINGS + i)};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        if (!set_one(o, c, optarg, &seeds))
            return false;
    if (optind != argc - 1)
        return false;
    o->mode = argv[optind];
    return !seeds || (o->target_count == 1 && target_set_seeds(&o->targets[0], seeds));
}

bool options_parse(int argc, char **argv, struct options *o)
{
    memset(o, 0, sizeof *o);
    o->count = 1000;
    o->rng = 1;
    o->concurrency = 8;
    o->connections = 2;
    o->threads = 1;
    o->readers = 1;
    o->timeout = 60;
    o->seconds = 10;
    o->abort_after = -1;
    o->big = 64 << 20;
    o->block = 1 << 20;
    bool ok = parse_all(argc, argv, o) && o->base_count > 0 && o->target_count > 0 && o->threads >= 1 &&
              o->threads <= 64 && o->connections >= 1 && o->connections <= 256 && o->concurrency >= 1 &&
              o->concurrency <= 100000 && o->slow_count <= o->readers && o->readers <= 100000;
    for (size_t i = 0; ok && i < o->base_count; i++)
        ok = strncmp(o->bases[i], o->tls ? "https://" : "http://", o->tls ? 8 : 7) == 0;
    if (o->slow_rate > 0 && o->slow_count == 0)
        o->slow_count = 1;
    for (size_t i = 0; ok && i < o->target_count; i++)
        target_set_urls(&o->targets[i], o->bases, o->base_count, o->query);
    if (!ok)
        fputs(usage, stderr);
    return ok;
}
