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

static void die(const char *what)
{
    printf("Bail out! %s\n", what);
    fflush(stdout);
    abort();
}

static void nap(void)
{
    const struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
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
        die("pipe");
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
        die("blob-origin does not start: is it built? (BLOB_ORIGIN names it)");
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
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) origin_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    va_list args;
    size_t got = 0;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    char *name = strchr(command, ' ');
    *name++ = '\0';
    snprintf(request, sizeof(request), "%s /.control/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
             command, name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
        write(fd, request, strlen(request)) != (ssize_t) strlen(request))
        die("blob-origin is gone");
    for (ssize_t n; got < sizeof(control_text) - 1 && (n = read(fd, control_text + got, sizeof(control_text) - 1 - got)) > 0;)
        got += (size_t) n;
    close(fd);
    control_text[got] = '\0';
    if (strncmp(control_text, "HTTP/1.1 200", 12) != 0) {
        printf("# %s %s: %s\n", command, name, control_text);
        die("blob-origin refuses a command");
    }
    return strstr(control_text, "\r\n\r\n") + 4;
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
    rig_control("PUT blob?path=/acct/c/%s&seed=%" PRIu64 "&size=%" PRIu64 "%s", name, seed, size, more == NULL ? "" : more);
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
static char disk_path[64];

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
    static const struct store_record_codec codec = {decode, decoded_free};
    struct strbuf error = {0};

    snprintf(disk_path, sizeof(disk_path), "%s/test-cache-XXXXXX", getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
    if (disks > 0 && mkdtemp(disk_path) == NULL)
        die("no directory for the store");
    const struct store_disk disk = {disk_path, INT64_C(2) << 30};
    rcu_register_thread();
    if (store == NULL) /* the first time; what an earlier one held may still be being freed */
        store_set_codec(&codec);
    if (store_open(&disk, disks, block_size, &store, &error) != STATUS_OK) {
        printf("# %.*s\n", STR_ARG(strbuf_str(&error)));
        die("the store does not open");
    }
    rcu_unregister_thread();
    for (unsigned i = 0; i < RIG_LOOPS; i++)
        loops[i] = loop_new(i);
    const struct cache_config config = {
        .store = store,
        .loops = loops,
        .loop_count = RIG_LOOPS,
        .limits = {.connect_timeout = 5000, .first_byte_timeout = 5000, .stall_timeout = 400, .retries = 2},
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
    if (strchr(disk_path, 'X') == NULL || access(disk_path, F_OK) == 0) {
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", disk_path);
        if (system(command) != 0)
            printf("# %s is left behind\n", disk_path);
    }
}

struct cache *rig_cache(void)
{
    return cache;
}

struct store *rig_store(void)
{
    return store;
}

struct call {
    struct letter letter;
    void (*run)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool ran;
};

static void call_deliver(struct letter *letter)
{
    struct call *call = LIST_ENTRY(letter, struct call, letter);
    call->run(call->arg);
    pthread_mutex_lock(&call->lock);
    call->ran = true;
    pthread_cond_signal(&call->over);
    pthread_mutex_unlock(&call->lock);
}

void rig_on_loop(unsigned loop, void (*run)(void *arg), void *arg)
{
    struct call call = {.letter.deliver = call_deliver, .run = run, .arg = arg};
    pthread_mutex_init(&call.lock, NULL);
    pthread_cond_init(&call.over, NULL);
    loop_post(loops[loop], &call.letter);
    pthread_mutex_lock(&call.lock);
    while (!call.ran)
        pthread_cond_wait(&call.over, &call.lock);
    pthread_mutex_unlock(&call.lock);
    pthread_cond_destroy(&call.over);
    pthread_mutex_destroy(&call.lock);
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

/* ---- readers ---- */

static pthread_mutex_t tasks_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t tasks_changed = PTHREAD_COND_INITIALIZER;

void rig_request(struct cache_request *request, const char *blob, const char *credential, char target[RIG_TEXT])
{
    char name[RIG_TEXT];
    int length = snprintf(name, sizeof(name), "acct/c/%s", blob);
    snprintf(target, RIG_TEXT, "/c/%s?si=p&sig=%s", blob, credential);
    *request = (struct cache_request){
        .object = hash128(name, (size_t) length),
        .container = hash128("acct/c", 6),
        .account_hash = hash128("acct", 4),
        .account = "acct",
        .origin = origin_base,
        .target = str_from(target),
        .credential = digest_of(str_from(credential)),
        .scope = hash128(name, (size_t) length),
        .expires_s = INT64_MAX,
        .authorize_ttl = 60000,
        .freshness = 60000,
    };
}

static void task_phase(struct task *task, enum task_phase phase)
{
    pthread_mutex_lock(&tasks_lock);
    task->phase = phase;
    pthread_cond_broadcast(&tasks_changed);
    pthread_mutex_unlock(&tasks_lock);
}

static void task_end(struct task *task, enum status status)
{
    task->status = status;
    if (task->source != NULL) {
        cache_read_stats(task->source, &task->stats);
        source_close(&task->source);
    }
    cache_result_fini(&task->result);
    task_phase(task, TASK_OVER);
}

/* True: it is over. */
static bool task_check(struct task *task, const struct source_view *view)
{
    for (unsigned i = 0; i < view->count; i++) {
        int64_t wrong = content_check(task->seed, (int64_t) (task->first + task->bytes), view->pieces[i].iov_base,
                                      view->pieces[i].iov_len);
        if (wrong >= 0) {
            task->wrong_at = wrong;
            return true;
        }
        task->bytes += view->pieces[i].iov_len;
    }
    return false;
}

#define TURN (1 << 20)

/* Pulls; after TURN bytes the loop's other readers get theirs. */
static void task_pull(void *arg)
{
    struct task *task = arg;
    struct source_view view;
    uint64_t until = task->bytes + TURN;

    while (task->bytes < until) {
        if (task->hold_after > 0 && task->bytes >= task->hold_after && !task->released) {
            task_phase(task, TASK_HELD);
            return;
        }
        switch (source_peek(task->source, &view, task->step > 0 ? task->step : 262144)) {
        case SOURCE_DATA:
            if (task_check(task, &view)) {
                source_consume(task->source, 0);
                task_end(task, STATUS_CORRUPT);
                return;
            }
            source_consume(task->source, view.bytes);
            if (task->close_after > 0 && task->bytes >= task->close_after) {
                task_end(task, STATUS_CANCELLED);
                return;
            }
            break;
        case SOURCE_WAIT:
            return;
        case SOURCE_END:
            task->whole = task->bytes == task->last - task->first + 1;
            task_end(task, task->whole ? STATUS_OK : STATUS_TRUNCATED);
            return;
        case SOURCE_FAILED:
            task_end(task, task->source->error);
            return;
        }
    }
    loop_post(loop_current(), &task->letter);
}

static void task_pull_more(struct letter *letter)
{
    task_pull(LIST_ENTRY(letter, struct task, letter));
}

static void task_ready(void *arg)
{
    struct task *task = arg;
    if (task->close_in_ready)
        task_end(task, STATUS_CANCELLED);
    else
        task_pull(task);
}

static void copy_text(char out[RIG_TEXT], struct str text)
{
    snprintf(out, RIG_TEXT, "%.*s", STR_ARG(text));
}

static void task_resolved(void *arg, struct cache_result *result)
{
    struct task *task = arg;

    task->resolve = NULL;
    task->result = *result;
    task->verdict = result->verdict;
    task->how = result->how;
    if (result->verdict == CACHE_ANSWER) {
        task->answer = result->answer->head.status;
        copy_text(task->answer_text, result->answer->body);
    }
    if (result->detail != NULL)
        copy_text(task->detail, str_from(result->detail));
    if (result->verdict != CACHE_READY) {
        task_end(task, result->status);
        return;
    }
    task->generation = result->generation->id;
    task->length = result->generation->length;
    task->head_validated_s = result->object->head_validated_s;
    copy_text(task->etag, result->object->etag);
    copy_text(task->tier, http_headers_get(&result->object->head_only, STR("x-ms-access-tier")));
    if (task->last >= task->length)
        task->last = task->length - 1;
    if (task->only_resolve || task->head || task->length == 0 || task->first >= task->length) {
        task->whole = task->length == 0;
        task_end(task, STATUS_OK);
        return;
    }
    task->letter.deliver = task_pull_more;
    task->source = cache_read(cache, loops[task->loop], &task->request, result->generation, task->first, task->last, false);
    source_listen(task->source, task_ready, task);
    if (task->close_at_open) {
        task_end(task, STATUS_CANCELLED);
        return;
    }
    task_phase(task, TASK_READING);
    switch (cache_read_prime(task->source)) {
    case SOURCE_WAIT:
        return;
    case SOURCE_FAILED:
        task_end(task, task->source->error);
        return;
    default:
        task_pull(task);
    }
}

static void task_begin(struct letter *letter)
{
    struct task *task = LIST_ENTRY(letter, struct task, letter);
    const struct cache_query query = {
        .want = task->head ? CACHE_WANT_HEAD : CACHE_WANT_GET,
        .first = task->first,
        .last = task->last,
        .conditional = task->conditional,
        .validate = task->validate,
    };
    struct cache_result result = {.verdict = CACHE_FAILED, .status = STATUS_NOT_FOUND};

    rig_request(&task->request, task->blob, task->credential, task->target);
    if (task->freshness != 0 || task->fresh_zero)
        task->request.freshness = task->freshness;
    if (task->ttl != 0)
        task->request.authorize_ttl = task->ttl;
    task_phase(task, TASK_RESOLVING);
    task->now = cache_resolve_now(cache, &task->request, &query, &result);
    if (task->now || task->only_now) {
        task_resolved(task, &result);
        return;
    }
    task->resolve = cache_resolve_start(cache, loops[task->loop], &task->request, &query, task_resolved, task);
    if (task->cancel) {
        cache_resolve_cancel(&task->resolve);
        task_end(task, STATUS_CANCELLED);
    }
}

void tasks_start(struct task *tasks, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct task *task = &tasks[i];
        task->wrong_at = -1;
        task->result = (struct cache_result){.verdict = CACHE_FAILED, .status = STATUS_CANCELLED};
        if (task->credential == NULL)
            task->credential = "alice";
        task->letter.deliver = task_begin;
        task->loop %= RIG_LOOPS;
        loop_post(loops[task->loop], &task->letter);
    }
}

/* Until the phase is one of `phases` (bits). */
static bool task_wait(struct task *task, unsigned phases)
{
    struct timespec until;
    bool there;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RIG_DEADLINE_S;
    pthread_mutex_lock(&tasks_lock);
    while (!(there = phases >> task->phase & 1) && pthread_cond_timedwait(&tasks_changed, &tasks_lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&tasks_lock);
    return there;
}

bool tasks_wait(struct task *tasks, unsigned count)
{
    bool all = true;
    for (unsigned i = 0; i < count && all; i++)
        all = task_wait(&tasks[i], 1u << TASK_OVER);
    if (!all) {
        for (unsigned i = 0; i < count; i++)
            if (tasks[i].phase != TASK_OVER)
                task_say(&tasks[i]);
        /* Its memory is in the loops' hands: there is no going on. */
        die("a reader hangs");
    }
    return all;
}

bool tasks_run(struct task *tasks, unsigned count)
{
    tasks_start(tasks, count);
    return tasks_wait(tasks, count);
}

bool task_wait_held(struct task *task)
{
    return task_wait(task, 1u << TASK_OVER | 1u << TASK_HELD) && task->phase == TASK_HELD;
}

static bool task_is(struct task *task, unsigned phases)
{
    pthread_mutex_lock(&tasks_lock);
    bool is = phases >> task->phase & 1;
    pthread_mutex_unlock(&tasks_lock);
    return is;
}

bool task_over(struct task *task)
{
    return task_is(task, 1u << TASK_OVER);
}

static void task_released(struct letter *letter)
{
    struct task *task = LIST_ENTRY(letter, struct task, release);
    task->released = true;
    if (task->phase == TASK_HELD) {
        task_phase(task, TASK_READING);
        task_pull(task);
    }
}

void task_release(struct task *task)
{
    task->release.deliver = task_released;
    loop_post(loops[task->loop], &task->release);
}

bool task_good(const struct task *task)
{
    return task->verdict == CACHE_READY && task->status == STATUS_OK && task->whole && task->wrong_at < 0;
}

unsigned tasks_good(const struct task *tasks, unsigned count)
{
    unsigned good = 0;
    for (unsigned i = 0; i < count; i++) {
        if (task_good(&tasks[i]))
            good++;
        else if (i - good < 3)
            task_say(&tasks[i]);
    }
    return good;
}

void task_say(const struct task *task)
{
    printf("# task of %s by %s on %u: phase %d verdict %d status %s answer %d %s bytes %" PRIu64 " of %" PRIu64 "-%" PRIu64
           " (length %" PRIu64 ") wrong at %" PRId64 "\n",
           task->blob, task->credential, task->loop, (int) task->phase, (int) task->verdict, status_name(task->status),
           task->answer, task->detail, task->bytes, task->first, task->last, task->length, task->wrong_at);
    fflush(stdout);
}
