/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_task.c: the readers of test_cache_rig.h. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "base/mem.h"
#include "content.h"
#include "test_cache_rig.h"

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
        .origin = rig_origin_base(),
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
    if (task->source != NULL)
        source_close(&task->source);
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
    struct task *task = LIST_ENTRY(letter, struct task, letter);
    if (task->phase != TASK_OVER)
        task_pull(task);
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
    task->source = cache_read(rig_cache(), rig_loop(task->loop), &task->request, result->generation, task->first,
                              task->last, false);
    source_listen(task->source, task_ready, task);
    cache_read_count(task->source, task->came);
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
    if (task->account != NULL)
        task->request.account_hash = hash128(task->account, strlen(task->account));
    if (task->ttl != 0)
        task->request.authorize_ttl = task->ttl;
    task_phase(task, TASK_RESOLVING);
    task->now = cache_resolve_now(rig_cache(), &task->request, &query, &result);
    if (task->now || task->only_now) {
        task_resolved(task, &result);
        return;
    }
    task->resolve = cache_resolve_start(rig_cache(), rig_loop(task->loop), &task->request, &query, task_resolved, task);
    if (task->cancel) {
        cache_resolve_cancel(&task->resolve);
        task_end(task, STATUS_CANCELLED);
    }
}

struct task *tasks_new(unsigned count)
{
    return mem_calloc(count, sizeof(struct task));
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
        loop_post(rig_loop(task->loop), &task->letter);
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
        rig_die("a reader hangs");
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
    loop_post(rig_loop(task->loop), &task->release);
}

static void task_left(struct letter *letter)
{
    struct task *task = LIST_ENTRY(letter, struct task, leave);
    if (task->phase == TASK_OVER)
        return;
    if (task->resolve != NULL)
        cache_resolve_cancel(&task->resolve);
    task_end(task, STATUS_CANCELLED);
}

void task_leave(struct task *task)
{
    task->leave.deliver = task_left;
    loop_post(rig_loop(task->loop), &task->leave);
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
    printf("# task of %s by %s on %u: phase %d verdict %d status %s answer %d %s bytes %" PRIu64 " of %" PRIu64
           "-%" PRIu64 " (length %" PRIu64 ") wrong at %" PRId64 "\n",
           task->blob, task->credential, task->loop, (int) task->phase, (int) task->verdict, status_name(task->status),
           task->answer, task->detail, task->bytes, task->first, task->last, task->length, task->wrong_at);
    fflush(stdout);
}
