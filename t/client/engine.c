/* SPDX-License-Identifier: Apache-2.0 */
/* See engine.h: the threads, and what the implementations share. */
#include "engine.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

bool engine_next(struct engine *e, struct transfer *t)
{
    pthread_mutex_lock(&mutex);
    bool more = e->work->next(e->work->ctx, t);
    pthread_mutex_unlock(&mutex);
    if (!more)
        return false;
    t->base = (size_t) (e->first_slot + (t - e->transfers)) % e->options->base_count;
    e->slow = e->slow || t->rate > 0;
    e->running++;
    return true;
}

bool engine_fails_over(struct engine *e, struct transfer *t, int result)
{
    size_t count = e->options->base_count;
    if (!e->options->fail_over || result != CURLE_COULDNT_CONNECT || t->aborted || t->moves + 1 >= count)
        return false;
    t->error[0] = '\0';
    t->moves++;
    t->base = (t->base + 1) % count;
    return true;
}

void engine_done(struct engine *e, struct transfer *t, int result, const char *error)
{
    t->ended = clock_ns();
    t->result = result;
    if (result != 0 && !t->error[0])
        snprintf(t->error, sizeof t->error, "%s", error);
    e->running--;
    pthread_mutex_lock(&mutex);
    e->work->done(e->work->ctx, t);
    pthread_mutex_unlock(&mutex);
}

bool engine_asked_to_stop(struct engine *e)
{
    if (!e->work->stop)
        return false;
    pthread_mutex_lock(&mutex);
    bool stop = e->work->stop(e->work->ctx);
    pthread_mutex_unlock(&mutex);
    return stop;
}

bool engine_look_up_due(struct engine *e, int64_t now)
{
    if (now < e->next_look_up)
        return false;
    e->next_look_up = now + (e->slow ? ENGINE_PACE_MS : ENGINE_LOOK_UP_MS) * 1000000LL;
    return true;
}

bool engine_stalled(struct engine *e, struct transfer *t, int64_t now)
{
    if (now - t->last_progress <= e->options->timeout * 1000000000)
        return false;
    snprintf(t->error, sizeof t->error, "no progress for %d s", (int) e->options->timeout);
    return true;
}

static void *run(void *arg)
{
    struct engine *e = arg;
    if (e->options->http2)
        engine_h2(e);
    else
        engine_curl(e);
    for (int64_t i = 0; i < e->slot_count; i++)
        transfer_fini(&e->transfers[i]);
    return NULL;
}

static int64_t part(int64_t whole, int64_t parts, int64_t i)
{
    return whole / parts + (i < whole % parts);
}

void engine_run(const struct options *o, int64_t slots, const struct work *work)
{
    int64_t threads = o->threads < slots ? o->threads : slots;
    if (o->http2 && work->share && threads > o->connections)
        threads = o->connections;
    struct engine *engines = calloc((size_t) threads, sizeof *engines);
    pthread_t *ids = calloc((size_t) threads, sizeof *ids);
    if (!engines || !ids)
        abort();
    int64_t first_slot = 0;
    for (int64_t i = 0; i < threads; i++) {
        struct engine *e = &engines[i];
        e->options = o;
        e->work = work;
        e->slot_count = part(slots, threads, i);
        e->first_slot = first_slot;
        first_slot += e->slot_count;
        e->connections = part(o->connections, threads, i);
        e->transfers = calloc((size_t) e->slot_count, sizeof *e->transfers);
        if (!e->transfers || pthread_create(&ids[i], NULL, run, e) != 0)
            abort();
    }
    for (int64_t i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        free(engines[i].transfers);
    }
    free(engines);
    free(ids);
}
