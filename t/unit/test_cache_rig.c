/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_rig.c: see test_cache_rig.h. */
#include "test_cache_rig.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "content.h"
#include "on_loop.h"

void rig_die(const char *what)
{
    printf("Bail out! %s\n", what);
    fflush(stdout);
    abort();
}

/* ---- the origin ---- */

static pid_t origin_pid;
static unsigned origin_port;
static char origin_base[64];
static char control_text[1 << 20];

static const char *origin_program(void)
{
    static char path[1024];
    const char *build = getenv("HEADPOND_BUILD");
    if (getenv("BLOB_ORIGIN") != NULL)
        return getenv("BLOB_ORIGIN");
    snprintf(path, sizeof(path), "%s/t/origin/blob-origin", build == NULL ? "." : build);
    return path;
}

void rig_origin_start(void)
{
    int out[2];
    char line[128] = "";
    size_t length = 0;

    content_init();
    if (pipe(out) != 0)
        rig_die("pipe");
    origin_pid = fork();
    if (origin_pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        execl(origin_program(), "blob-origin", "--listen", "127.0.0.1:0", "--parent-death", (char *) NULL);
        _exit(127);
    }
    close(out[1]);
    while (length < sizeof(line) - 1 && strchr(line, '\n') == NULL && read(out[0], line + length, 1) == 1)
        line[++length] = '\0';
    close(out[0]);
    if (sscanf(line, "listening 127.0.0.1:%u", &origin_port) != 1)
        rig_die("blob-origin does not start: is it built? (BLOB_ORIGIN names it)");
    snprintf(origin_base, sizeof(origin_base), "http://127.0.0.1:%u/acct", origin_port);
}

void rig_origin_stop(void)
{
    kill(origin_pid, SIGTERM);
    waitpid(origin_pid, NULL, 0);
}

const char *rig_control(const char *format, ...)
{
    char command[1024];
    char request[1200];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t) origin_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    va_list args;
    size_t got = 0;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    char *name = strchr(command, ' ');
    *name++ = '\0';
    snprintf(request, sizeof(request),
             "%s /.control/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", command, name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
        write(fd, request, strlen(request)) != (ssize_t) strlen(request))
        rig_die("blob-origin is gone");
    for (ssize_t n;
         got < sizeof(control_text) - 1 && (n = read(fd, control_text + got, sizeof(control_text) - 1 - got)) > 0;)
        got += (size_t) n;
    close(fd);
    control_text[got] = '\0';
    if (strncmp(control_text, "HTTP/1.1 200", 12) != 0) {
        printf("# %s %s: %s\n", command, name, control_text);
        rig_die("blob-origin refuses a command");
    }
    return strstr(control_text, "\r\n\r\n") + 4;
}

void rig_begin(void)
{
    rig_control("DELETE stats");
    rig_control("DELETE fault");
    rig_control("DELETE latency");
}

long long rig_stat(const char *name)
{
    char quoted[64];
    snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    const char *at = strstr(rig_control("GET stats"), quoted);
    return at == NULL ? -1 : atoll(at + strlen(quoted));
}

void rig_say_requests(const char *name)
{
    static const char *const shown[] = {"\"at_ms\":", "\"status\":", "\"range\":", "\"body_bytes\":"};
    const char *text = rig_control("GET log?path=/acct/c/%s", name);
    while ((text = strstr(text, "\"sequence\":")) != NULL) {
        printf("#  ");
        for (unsigned i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
            const char *at = strstr(text, shown[i]);
            if (at != NULL)
                printf(" %.*s", (int) strcspn(at, ","), at);
        }
        printf("\n");
        text++;
    }
}

bool rig_stat_reaches(const char *name, long long value)
{
    int64_t until = clock_mono_ms() + RIG_DEADLINE_S * 1000;
    while (rig_stat(name) < value) {
        if (clock_mono_ms() > until)
            return false;
        nap();
    }
    return true;
}

void rig_blob(const char *name, uint64_t seed, uint64_t size, const char *more)
{
    rig_control("PUT blob?path=/acct/c/%s&seed=%" PRIu64 "&size=%" PRIu64 "%s", name, seed, size,
                more == NULL ? "" : more);
}

void rig_grant(const char *credential)
{
    rig_control("PUT grant?sig=%s&scope=/acct/c", credential);
}

void rig_revoke(const char *credential)
{
    rig_control("DELETE grant?sig=%s", credential);
}

/* ---- the cache ---- */

static struct loop *loops[RIG_LOOPS];
static struct cache *cache;
static struct store *store;
int64_t rig_stall_ms = 400;
static char store_path[64];
static char disk_paths[RIG_DISKS][80];
static unsigned disk_count;

static void *decode(struct str record, uint64_t length)
{
    return object_decode(record, length);
}

static void decoded_free(void *object)
{
    object_free(object);
}

static void loop_begins(struct loop *loop, void *arg)
{
    (void) arg;
    cache_loop_init(cache, loop);
}

static void loop_ends(struct loop *loop, void *arg)
{
    (void) arg;
    cache_loop_fini(cache, loop);
    origin_loop_fini(loop);
}

void rig_start(unsigned disks, uint32_t block_size)
{
    static const struct store_record_codec codec = {.decode = decode, .free = decoded_free};
    struct strbuf error = {0};

    struct store_disk rows[RIG_DISKS];
    snprintf(store_path, sizeof(store_path), "%s/test-cache-XXXXXX",
             getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
    if (disks > 0 && mkdtemp(store_path) == NULL)
        rig_die("no directory for the store");
    disk_count = disks;
    for (unsigned i = 0; i < disks; i++) {
        snprintf(disk_paths[i], sizeof(disk_paths[i]), "%s/%u", store_path, i);
        if (mkdir(disk_paths[i], 0700) != 0)
            rig_die("no directory for a disk");
        rows[i] = (struct store_disk){.path = disk_paths[i], .size = INT64_C(2) << 30};
    }
    rcu_register_thread();
    if (store_open(
            &(struct store_options){.disks = rows, .disk_count = disks, .block_size = block_size, .codec = &codec},
            &store, &error) != STATUS_OK) {
        printf("# %.*s\n", STR_ARG(strbuf_str(&error)));
        rig_die("the store does not open");
    }
    rcu_unregister_thread();
    /* On a busy machine that takes longer than store_open waits, and until then nothing is kept. */
    for (int64_t until = nap_deadline(); !store_loaded(store) && nap_until(until);)
        ;
    for (unsigned i = 0; i < RIG_LOOPS; i++)
        loops[i] = loop_new(i);
    const struct cache_config config = {
        .store = store,
        .loops = loops,
        .loop_count = RIG_LOOPS,
        .limits = {.connect_timeout = 5000,
                   .first_byte_timeout = 5000 * RIG_SLOW,
                   .stall_timeout = rig_stall_ms,
                   .retries = 2},
    };
    cache = cache_new(&config);
    for (unsigned i = 0; i < RIG_LOOPS; i++)
        loop_start(loops[i], loop_begins, loop_ends, NULL);
}

void rig_stop(void)
{
    for (unsigned i = 0; i < RIG_LOOPS; i++)
        loop_stop(loops[i]);
    for (unsigned i = 0; i < RIG_LOOPS; i++)
        loop_join(loops[i]);
    rcu_register_thread();
    rcu_thread_offline(); /* it waits for threads that wait for grace periods */
    store_close(store);
    rcu_thread_online();
    cache_free(cache);
    rcu_unregister_thread();
    for (unsigned i = 0; i < RIG_LOOPS; i++)
        loop_free(loops[i]);
    if (disk_count > 0) {
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", store_path);
        if (system(command) != 0)
            printf("# %s is left behind\n", store_path);
    }
}

int64_t rig_disk_troubles(void)
{
    int64_t troubles = 0;
    for (unsigned i = 0; i < disk_count; i++)
        troubles += metric_cell_value(metric_cell(METRIC_STORE_ERRORS, disk_paths[i])) +
                    metric_cell_value(metric_cell(METRIC_STORE_STALLED, disk_paths[i]));
    return troubles;
}

struct cache *rig_cache(void)
{
    return cache;
}

struct loop *rig_loop(unsigned loop)
{
    return loops[loop];
}

const char *rig_origin_base(void)
{
    return origin_base;
}

void rig_on_loop(unsigned loop, void (*run)(void *arg), void *arg)
{
    on_loop(loops[loop], run, arg);
}

static void nothing(void *arg)
{
    (void) arg;
}

bool rig_quiet(void)
{
    int64_t until = clock_mono_ms() + RIG_DEADLINE_S * 1000;
    while (metric_cell_value(metric_cell(METRIC_FILLS_INFLIGHT, "")) != 0 ||
           metric_cell_value(metric_cell(METRIC_ORIGIN_INFLIGHT, "")) != 0) {
        if (clock_mono_ms() > until)
            return false;
        nap();
    }
    /* The letters that the last ones sent: there and back. */
    for (int round = 0; round < 3; round++)
        for (unsigned i = 0; i < RIG_LOOPS; i++)
            rig_on_loop(i, nothing, NULL);
    return true;
}

void rig_still(void)
{
    long long before = -1;
    int64_t until = clock_mono_ms() + RIG_DEADLINE_S * 1000;
    for (unsigned same = 0; same < 50 && clock_mono_ms() < until;) {
        long long now = rig_stat("body_bytes");
        same = now == before ? same + 1 : 0;
        before = now;
        nap();
    }
}

bool rig_memory_below(size_t bytes)
{
    int64_t until = clock_mono_ms() + RIG_DEADLINE_S * 1000;
    while (buf_trim(), mem_used() > bytes) {
        if (clock_mono_ms() > until) {
            printf("# %zu bytes are used, %zu were expected\n", mem_used(), bytes);
            return false;
        }
        nap();
    }
    return true;
}
