/* SPDX-License-Identifier: Apache-2.0 */
/* headpond.c: options, start, signals, end. What happens in each is in the rooms below. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/cores.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mem_parts.h"
#include "base/metric.h"
#include "base/notify.h"
#include "net/ktls.h"
#include "pool/pool.h"
#include "proxy/accounts.h"
#include "proxy/certificate.h"
#include "proxy/instance.h"
#include "store/store.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define LOOK_S 10        /* how often the files of certificates are looked at, and what memory is kept in vain */
#define DRAIN_LOOK_MS 20 /* how often a drain looks whether all have gone */

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_DRAINING };
static atomic_int phase = PHASE_STARTING;

/* ---- Options ---- */

struct options {
    const char *file;
    bool check;
    bool dump;
};

static const char usage_text[] =
    "usage: headpond [-c FILE] [-t] [--dump-config] [--version] [--help]\n"
    "  -c, --config FILE  the configuration; without it, the built-in defaults\n"
    "  -t, --test         check the configuration, with the certificates, keys and identities it names\n"
    "      --dump-config  print the whole configuration, defaults filled in, and exit\n"
    "      --version      print the version and exit\n"
    "  -h, --help         print this and exit\n";

/* The exit code, or -1 to go on. */
static int parse_options(int argc, char **argv, struct options *options)
{
    enum { OPTION_DUMP = 256, OPTION_VERSION };
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"dump-config", no_argument, NULL, OPTION_DUMP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "c:th", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options->file = optarg;
            break;
        case 't':
            options->check = true;
            break;
        case OPTION_DUMP:
            options->dump = true;
            break;
        case OPTION_VERSION:
            printf("headpond %s\n", PACKAGE_VERSION);
            return 0;
        case 'h':
            fputs(usage_text, stdout);
            return 0;
        default:
            fputs(usage_text, stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "headpond: unexpected argument: %s\n%s", argv[optind], usage_text);
        return 2;
    }
    return -1;
}

/* ---- The process ---- */

/* Credentials pass through memory: no core file, no /proc/PID/mem for others of our user. Sanitizers must look at us.
 */
static void protect_memory(void)
{
#ifndef HEADPOND_SANITIZE
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Main takes these one by one with sigtimedwait; every other thread leaves them alone. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    sigprocmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static const char *why_not_ready(void *arg)
{
    struct instance *const *instance = arg;
    switch (atomic_load(&phase)) {
    case PHASE_RUNNING:
        return instance_starved(*instance) ? "out of memory" : NULL;
    case PHASE_DRAINING:
        return "draining";
    default:
        return "starting";
    }
}

/* ---- Running ---- */

/* Until SIGTERM or SIGINT. */
static void serve(struct instance *instance, const sigset_t *signals)
{
    const struct timespec look = {LOOK_S, 0};
    for (;;) {
        int got = sigtimedwait(signals, NULL, &look);
        if (got == SIGTERM || got == SIGINT)
            return;
        if (got == SIGHUP)
            instance_reopen_logs(instance);
        instance_look_at_certificates(instance, got == SIGHUP);
        buf_tidy();
    }
}

/* Until nothing runs any more, drain_timeout, or a second signal; a third one then ends the process as it stands. */
static void drain(struct instance *instance, const struct conf *conf, const sigset_t *signals)
{
    atomic_store(&phase, PHASE_DRAINING);
    notify_send("STOPPING=1\n");
    log_event(DRAIN, "for at most %lld ms", (long long) conf->drain_timeout);
    instance_drain(instance);
    int64_t until = clock_mono_ms() + conf->drain_timeout;
    const struct timespec look = {0, DRAIN_LOOK_MS * 1000000L};
    while (!instance_idle(instance) && clock_mono_ms() < until) {
        int got = sigtimedwait(signals, NULL, &look);
        if (got == SIGTERM || got == SIGINT) {
            log_event(DRAIN, "no longer, on a second signal");
            signal(SIGTERM, SIG_DFL);
            signal(SIGINT, SIG_DFL);
            sigprocmask(SIG_UNBLOCK, signals, NULL);
            return;
        }
    }
}

static void tell_ready(void)
{
    char text[64];
    atomic_store(&phase, PHASE_RUNNING);
    snprintf(text, sizeof text, "READY=1\nMAINPID=%ld\n", (long) getpid());
    notify_send(text);
}

static int run(const struct conf *conf)
{
    struct instance *instance = NULL;
    struct admin *admin = admin_new(&(struct admin_hooks){why_not_ready, &instance});
    struct instance_options options = {
        .conf = conf,
        .workers = conf->workers > 0 ? (unsigned) conf->workers : cores_available(""),
        .admin = admin_handler(admin),
    };
    struct strbuf error = {0};
    sigset_t signals;
    block_signals(&signals);
    int code = 0;
    if (instance_start(&options, &instance, &error) == STATUS_OK) {
        metric_cell_set(metric_cell(METRIC_BUILD_INFO, PACKAGE_VERSION), 1);
        metric_set(METRIC_PROCESS_START, clock_wall_s());
        log_event(START, "version=%s config=%s workers=%u ktls=%s", PACKAGE_VERSION,
                  conf->file == NULL ? "built-in" : conf->file, options.workers, ktls_available() ? "on" : "off");
        for (unsigned i = 0; i < conf->notes.count; i++)
            log_event(CONFIG_NOTE, "%s", conf->notes.items[i]);
        tell_ready();
        serve(instance, &signals);
        drain(instance, conf, &signals);
        instance_stop(&instance);
        log_event(STOP, "all that was to be written is written");
    } else {
        fprintf(stderr, "headpond: %s\n", error.ptr == NULL ? "cannot start" : error.ptr);
        code = 1;
    }
    strbuf_free(&error);
    admin_free(&admin);
    return code;
}

static int dump(const struct conf *conf)
{
    struct strbuf text = {0};
    conf_dump(conf, &text);
    fwrite(text.ptr, 1, text.len, stdout);
    strbuf_free(&text);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Each line of *text as one of ours. */
static void complain(struct strbuf *text)
{
    for (struct str line, rest = strbuf_str(text); rest.ptr != NULL;) {
        line = str_split(rest, '\n', &rest);
        if (line.len > 0)
            fprintf(stderr, "headpond: %.*s\n", STR_ARG(line));
    }
    strbuf_free(text);
}

/* The start goes by what the file systems can hold of each size, which is not to be known from here. */
static void note_memory(const struct conf *conf)
{
    int64_t blocks = 0;
    for (unsigned i = 0; i < conf->store_count; i++)
        blocks += conf->store[i].size / conf->block_size;
    if (blocks > (int64_t) mem_parts_of((size_t) conf->memory, MEM_STORE_TABLES) / STORE_BLOCK_MEMORY)
        fprintf(stderr,
                "headpond: store: file systems of that size take %lld MiB of memory, and the start refuses more than "
                "half of `memory`: it goes by what they can really hold\n",
                (long long) (blocks * STORE_BLOCK_MEMORY >> 20));
}

/* Everything that can be tried without starting anything: what the start would refuse, all at once. */
static int check(const struct conf *conf)
{
    struct strbuf certificates = {0}, accounts = {0}, pool = {0};
    for (unsigned i = 0; i < conf->notes.count; i++)
        fprintf(stderr, "headpond: %s\n", conf->notes.items[i]);
    note_memory(conf);
    bool good = certificate_try_all(conf, &certificates) == STATUS_OK;
    good = accounts_try(conf, &accounts) == STATUS_OK && good;
    good = pool_try(conf, &pool) == STATUS_OK && good;
    complain(&certificates);
    complain(&accounts);
    complain(&pool);
    if (good)
        fprintf(stderr, "headpond: %s: the configuration is good\n", conf->file == NULL ? "built-in" : conf->file);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    mem_init();
    struct options options = {0};
    int code = parse_options(argc, argv, &options);
    if (code >= 0)
        return code;
    struct conf *conf = NULL;
    struct strbuf error = {0};
    if (conf_load(options.file, &conf, &error) != STATUS_OK) {
        fprintf(stderr, "headpond: %s\n", error.ptr == NULL ? "cannot read the configuration" : error.ptr);
        strbuf_free(&error);
        return 1;
    }
    log_set_level(conf->log_level);
    if (options.dump) {
        code = dump(conf);
    } else if (options.check) {
        protect_memory();
        code = check(conf);
    } else {
        protect_memory();
        raise_descriptor_limit();
        mem_set_limit((size_t) conf->memory);
        code = run(conf);
    }
    conf_free(conf);
    return code;
}
