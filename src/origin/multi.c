/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multi.c: curl_multi_socket_action under libevent.
 *
 * Every entry into libcurl that may call back is made from an event of this file, at the bottom of the loop's stack:
 * act() or work(). That is what makes it safe to destroy a transfer in work(): no frame above can still hold it.
 */
#include "origin/multi.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "net/loop.h"

/* Connections kept for reuse, and at most open to one host; a loop's share. What is in flight is the budget's care. */
#define MAX_IDLE_CONNECTIONS 256L
#define MAX_HOST_CONNECTIONS 1024L
#define CA_FILE_DEBIAN "/etc/ssl/certs/ca-certificates.crt"

enum { TODO_START = 1, TODO_RESUME_RECV = 2, TODO_RESUME_SEND = 4, TODO_CANCEL = 8, TODO_DESTROY = 16 };

/* A descriptor libcurl wants to hear of. */
struct watch {
    struct event *event;
    struct origin_multi *multi;
    short what;
};

struct origin_multi {
    struct loop *loop;
    CURLM *curl;
    CURLSH *share; /* TLS sessions, so that a new connection resumes */
    struct timer timer;
    struct event *kick; /* made active when there is work and no act() to do it at its end */
    struct list transfers;
    struct list work;
    bool busy; /* act() or work() is on the stack and will see new work */
    uint64_t random;
    unsigned lingering;
    const char *ca_file;
};

static void work(struct origin_multi *multi);

/* It is out of the multi: what was asked of the run that ended is moot. */
static void finish(struct origin_transfer *transfer, CURLcode result)
{
    transfer->running = false;
    transfer->paused = 0;
    transfer->todo &= TODO_DESTROY;
    transfer->class->done(transfer, result);
}

/* Takes the ended transfers out and tells their owners. */
static void reap(struct origin_multi *multi)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi->curl, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        const CURLcode result = message->data.result;
        struct origin_transfer *transfer = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
        curl_multi_remove_handle(multi->curl, easy); /* the message is gone with it */
        finish(transfer, result);
    }
}

static void act(struct origin_multi *multi, curl_socket_t fd, int bits)
{
    int running;
    assert(!multi->busy);
    multi->busy = true;
    curl_multi_socket_action(multi->curl, fd, bits, &running);
    reap(multi);
    work(multi);
    multi->busy = false;
}

static void take_out(struct origin_transfer *transfer)
{
    if (transfer->running)
        curl_multi_remove_handle(transfer->multi->curl, transfer->easy);
    transfer->running = false;
}

static void resume(struct origin_transfer *transfer, unsigned directions)
{
    if (!transfer->running || (transfer->paused & directions) == 0)
        return;
    /* The callbacks that run inside set `paused` anew. */
    transfer->paused &= ~directions;
    const CURLcode result = curl_easy_pause(transfer->easy, (int) transfer->paused);
    /* BAD_FUNCTION_ARGUMENT: between two connections, where nothing is paused. */
    if (result != CURLE_OK && result != CURLE_BAD_FUNCTION_ARGUMENT) {
        /* A callback refused what libcurl had held back. That ends nothing by itself: end it here. */
        take_out(transfer);
        finish(transfer, result);
    }
}

static void work_on(struct origin_transfer *transfer, unsigned todo)
{
    if (todo & TODO_DESTROY) {
        take_out(transfer);
        list_remove(&transfer->node);
        list_remove(&transfer->work);
        curl_easy_cleanup(transfer->easy);
        transfer->easy = NULL;
        transfer->class->destroy(transfer);
        return;
    }
    if (todo & TODO_CANCEL) {
        take_out(transfer);
        finish(transfer, transfer->result);
        return;
    }
    if (todo & TODO_START) {
        assert(!transfer->running);
        transfer->paused = 0;
        transfer->running = true;
        if (curl_multi_add_handle(transfer->multi->curl, transfer->easy) != CURLM_OK)
            finish(transfer, CURLE_FAILED_INIT);
        return;
    }
    resume(transfer, (todo & TODO_RESUME_RECV ? CURLPAUSE_RECV : 0u) | (todo & TODO_RESUME_SEND ? CURLPAUSE_SEND : 0u));
}

static void work(struct origin_multi *multi)
{
    while (!list_empty(&multi->work)) {
        struct origin_transfer *transfer = LIST_ENTRY(multi->work.next, struct origin_transfer, work);
        const unsigned todo = transfer->todo;
        list_remove(&transfer->work);
        transfer->todo = 0;
        work_on(transfer, todo);
        reap(multi);
    }
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct origin_multi *multi = arg;
    (void) fd;
    (void) what;
    assert(!multi->busy);
    multi->busy = true;
    work(multi);
    multi->busy = false;
}

static void note(struct origin_transfer *transfer, unsigned todo)
{
    struct origin_multi *multi = transfer->multi;
    if (transfer->todo & TODO_DESTROY)
        return;
    transfer->todo |= todo;
    if (list_empty(&transfer->work))
        list_add_tail(&multi->work, &transfer->work);
    if (!multi->busy)
        event_active(multi->kick, EV_TIMEOUT, 0);
}

void origin_transfer_start(struct origin_transfer *transfer)
{
    note(transfer, TODO_START);
}

void origin_transfer_resume(struct origin_transfer *transfer, unsigned directions)
{
    if (transfer->running)
        note(transfer, (directions & CURLPAUSE_RECV ? TODO_RESUME_RECV : 0u) |
                           (directions & CURLPAUSE_SEND ? TODO_RESUME_SEND : 0u));
}

void origin_transfer_cancel(struct origin_transfer *transfer, CURLcode result)
{
    transfer->result = result;
    note(transfer, TODO_CANCEL);
}

void origin_transfer_stop(struct origin_transfer *transfer)
{
    note(transfer, TODO_DESTROY);
}

/* ---- libcurl's wishes: descriptors and a timer ---- */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    int bits = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    /* Look before each send: an origin that refused and closed has left its reply to be read, and sending would only
     * find the connection broken. */
    if ((what & EV_WRITE) && (watch->what & EV_READ))
        bits |= CURL_CSELECT_IN;
    act(watch->multi, fd, bits);
}

static int want_socket(CURL *easy, curl_socket_t fd, int poll, void *arg, void *socket_arg)
{
    struct origin_multi *multi = arg;
    struct watch *watch = socket_arg;
    (void) easy;
    if (poll == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            event_free(watch->event);
            mem_free(watch);
            curl_multi_assign(multi->curl, fd, NULL);
        }
        return 0;
    }
    const short what =
        (short) (EV_PERSIST | (poll & CURL_POLL_IN ? EV_READ : 0) | (poll & CURL_POLL_OUT ? EV_WRITE : 0));
    if (watch == NULL) {
        watch = mem_calloc(1, sizeof *watch);
        watch->multi = multi;
        watch->event = event_new(loop_base(multi->loop), fd, what, on_socket, watch);
        curl_multi_assign(multi->curl, fd, watch);
    } else if (watch->what != what) {
        event_del(watch->event);
        event_assign(watch->event, loop_base(multi->loop), fd, what, on_socket, watch);
    } else {
        return 0;
    }
    watch->what = what;
    event_add(watch->event, NULL);
    return 0;
}

static int want_timer(CURLM *curl, long ms, void *arg)
{
    struct origin_multi *multi = arg;
    (void) curl;
    if (ms < 0)
        timer_clear(&multi->timer);
    else
        timer_set(&multi->timer, ms);
    return 0;
}

static void on_timer(struct timer *timer)
{
    struct origin_multi *multi = CONTAINER_OF(timer, struct origin_multi, timer);
    act(multi, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- life ---- */

void origin_transfer_init(struct origin_transfer *transfer, struct origin_multi *multi,
                          const struct origin_transfer_class *class)
{
    *transfer = (struct origin_transfer){.class = class, .multi = multi, .easy = curl_easy_init()};
    if (transfer->easy == NULL)
        abort(); /* out of memory */
    list_init(&transfer->work);
    list_add_tail(&multi->transfers, &transfer->node);
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_SHARE, multi->share);
}

static const char *find_ca_file(void)
{
    if (access(CA_FILE_DEBIAN, R_OK) == 0)
        return CA_FILE_DEBIAN;
    return curl_version_info(CURLVERSION_NOW)->cainfo;
}

struct origin_multi *origin_multi_of(struct loop *loop)
{
    struct origin_multi *multi = loop_get(loop, LOOP_SLOT_ORIGIN);
    if (multi != NULL)
        return multi;
    multi = mem_calloc(1, sizeof *multi);
    multi->loop = loop;
    multi->curl = curl_multi_init();
    multi->share = curl_share_init();
    if (multi->curl == NULL || multi->share == NULL)
        abort(); /* out of memory */
    list_init(&multi->transfers);
    list_init(&multi->work);
    timer_init(&multi->timer, loop, on_timer);
    multi->kick = event_new(loop_base(loop), -1, 0, on_kick, multi);
    multi->ca_file = find_ca_file();
    if (getrandom(&multi->random, sizeof multi->random, GRND_NONBLOCK) != (ssize_t) sizeof multi->random)
        multi->random = (uint64_t) clock_mono_us();
    /* One thread uses the share: no lock functions. */
    curl_share_setopt(multi->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, MAX_IDLE_CONNECTIONS);
    curl_multi_setopt(multi->curl, CURLMOPT_MAX_HOST_CONNECTIONS, MAX_HOST_CONNECTIONS);
    loop_set(loop, LOOP_SLOT_ORIGIN, multi);
    return multi;
}

void origin_multi_fini(struct loop *loop, bool (*may_end)(const struct origin_transfer *transfer))
{
    struct origin_multi *multi = loop_get(loop, LOOP_SLOT_ORIGIN);
    if (multi == NULL)
        return;
    multi->busy = true;
    while (!list_empty(&multi->transfers)) {
        struct origin_transfer *transfer = LIST_ENTRY(multi->transfers.next, struct origin_transfer, node);
        assert(may_end(transfer));
        work_on(transfer, TODO_DESTROY);
    }
    curl_multi_cleanup(multi->curl);
    curl_share_cleanup(multi->share);
    event_free(multi->kick);
    timer_fini(&multi->timer);
    mem_free(multi);
    loop_set(loop, LOOP_SLOT_ORIGIN, NULL);
}

const char *origin_multi_ca_file(const struct origin_multi *multi)
{
    return multi->ca_file;
}

uint64_t origin_multi_random(struct origin_multi *multi)
{
    multi->random = hash_mix(multi->random, 0x9e3779b97f4a7c15u);
    return multi->random;
}

struct loop *origin_multi_loop(const struct origin_multi *multi)
{
    return multi->loop;
}

unsigned *origin_multi_lingering(struct origin_multi *multi)
{
    return &multi->lingering;
}
