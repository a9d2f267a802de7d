/* SPDX-License-Identifier: Apache-2.0 */
/* See transfer.h. */
#include "transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "../origin/content.h"

#define RECEIVE_BUFFER (512 << 10)
#define SLOW_SOCKET_BUFFER (64 << 10)
#define SLOW_RECEIVE_BUFFER (16 << 10)

int64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void drop_fields(struct transfer *t)
{
    while (t->field_count > 0)
        free(t->fields[--t->field_count]);
}

void transfer_fini(struct transfer *t)
{
    drop_fields(t);
    curl_slist_free_all(t->lines);
    t->lines = NULL;
}

void transfer_init(struct transfer *t, const struct options *o, struct target *target)
{
    CURL *easy = t->easy;
    transfer_fini(t);
    memset(t, 0, sizeof *t);
    t->easy = easy;
    t->options = o;
    t->target = target;
    t->abort_after = -1;
    t->want_status = 200;
    t->want_length = target->size;
    t->mismatch_at = -1;
    t->seeds = target_all_seeds(target);
}

void transfer_set_range(struct transfer *t, int64_t from, int64_t to)
{
    int64_t size = t->target->size;
    if (to == INT64_MAX)
        snprintf(t->range, sizeof t->range, "bytes=%" PRId64 "-", from);
    else
        snprintf(t->range, sizeof t->range, "bytes=%" PRId64 "-%" PRId64, from, to);
    t->want_status = from >= size ? 416 : 206;
    t->want_from = from;
    t->want_length = (to < size ? to + 1 : size) - from;
}

const char *transfer_field(const struct transfer *t, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = t->field_count; i-- > 0;) {
        const char *f = t->fields[i];
        if (strncasecmp(f, name, n) == 0 && f[n] == ':')
            return f + n + 1 + strspn(f + n + 1, " \t");
    }
    return NULL;
}

/* Each status line starts anew: what an interim reply says is not the reply's. */
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t n = size * count, len = n;
    t->last_progress = clock_ns();
    while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n'))
        len--;
    if (len > 5 && strncmp(data, "HTTP/", 5) == 0) {
        const char *space = memchr(data, ' ', len);
        drop_fields(t);
        t->status = space ? atoi(space) : 0;
    } else if (len > 0 && t->field_count < TRANSFER_MAX_FIELDS) {
        t->fields[t->field_count++] = strndup(data, len);
    }
    return n;
}

static void check(struct transfer *t, const char *data, size_t n)
{
    const struct target *target = t->target;
    int64_t deepest = -1;
    for (int i = 0; i < target->seed_count; i++) {
        if (!(t->seeds & (1u << i)))
            continue;
        int64_t bad = content_check(target->seeds[i], t->offset, data, n);
        if (bad < 0)
            continue;
        t->seeds &= ~(1u << i);
        if (bad > deepest)
            deepest = bad;
    }
    if (target->seed_count > 0 && t->seeds == 0 && t->mismatch_at < 0)
        t->mismatch_at = deepest;
    t->offset += (int64_t) n;
    t->checked_bytes += (int64_t) n;
}

/* curl's own limit lets a hundred buffers pass before it looks at the clock. */
static bool too_early(struct transfer *t, size_t n)
{
    if (t->rate <= 0)
        return false;
    int64_t ahead = t->body_bytes + (int64_t) n - SLOW_RECEIVE_BUFFER;
    t->resume_at = t->started + (int64_t) ((double) ahead / (double) t->rate * 1e9);
    return t->paused = clock_ns() < t->resume_at;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t n = size * count;
    if (too_early(t, n))
        return CURL_WRITEFUNC_PAUSE;
    t->last_progress = clock_ns();
    if (t->body_bytes == 0 && t->status == 206) {
        const char *range = transfer_field(t, "Content-Range");
        t->offset = range && strncmp(range, "bytes ", 6) == 0 ? strtoll(range + 6, NULL, 10) : 0;
    }
    if (t->body_bytes == 0)
        t->first_byte = t->last_progress;
    t->body_bytes += (int64_t) n;
    if (t->status == 200 || t->status == 206) {
        check(t, data, n);
    } else {
        size_t room = sizeof t->error_body - 1 - t->error_len, take = n < room ? n : room;
        memcpy(t->error_body + t->error_len, data, take);
        t->error_len += take;
    }
    if (t->abort_after >= 0 && t->body_bytes >= t->abort_after) {
        t->aborted = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return n;
}

/* A slow reader with a large socket buffer is a fast one for the first megabytes. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    const struct transfer *t = arg;
    int size = SLOW_SOCKET_BUFFER;
    (void) purpose;
    if (t->rate > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return CURL_SOCKOPT_OK;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    (void) purpose;
    t->open_refused = t->reuse_only;
    if (t->reuse_only)
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void add_lines(struct transfer *t)
{
    char line[128];
    const struct options *o = t->options;
    for (size_t i = 0; i < o->header_count; i++)
        t->lines = curl_slist_append(t->lines, o->headers[i]);
    if (t->range[0]) {
        snprintf(line, sizeof line, "%s: %s", t->ms_range ? "x-ms-range" : "Range", t->range);
        t->lines = curl_slist_append(t->lines, line);
    }
    if (t->condition[0])
        t->lines = curl_slist_append(t->lines, t->condition);
}

static long wanted_version(const struct transfer *t)
{
    const struct options *o = t->options;
    if (!o->http2)
        return CURL_HTTP_VERSION_1_1;
    if (o->tls)
        return CURL_HTTP_VERSION_2TLS;
    return t->reuse_only ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
}

void transfer_prepare(struct transfer *t)
{
    const struct options *o = t->options;
    CURL *e = t->easy;
    curl_slist_free_all(t->lines);
    t->lines = NULL;
    t->open_refused = false;
    add_lines(t);
    curl_easy_reset(e);
    curl_easy_setopt(e, CURLOPT_URL, t->target->url);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->lines);
    curl_easy_setopt(e, CURLOPT_NOBODY, t->head ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, wanted_version(t));
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long) RECEIVE_BUFFER);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket);
    curl_easy_setopt(e, CURLOPT_SOCKOPTDATA, t);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* thousands of files on some systems */
    if (o->ca)
        curl_easy_setopt(e, CURLOPT_CAINFO, o->ca);
    else
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
    if (t->rate > 0)
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long) SLOW_RECEIVE_BUFFER);
    if (t->own_connection) {
        curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
    } else if (o->http2) {
        curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
    }
    t->started = t->last_progress = clock_ns();
}
