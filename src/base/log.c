/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: one line an event, written with one write(2) so that lines of several threads do not mix.
 *
 * Order matters: the text is redacted first and escaped then, so that an escape cannot hide a credential's border.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/metric.h"

#define LINE_BYTES 4096
#define EVENTS_A_SECOND 10
#define CROWD_MS 1000

static const struct {
    enum log_level level;
    const char *name;
} log_rows[LOG_EVENT_COUNT] = {
#define X(id, level, name) [LOG_EVENT_##id] = {level, name},
    LOG_EVENT_TABLE(X)
#undef X
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static atomic_int log_threshold = LOG_INFO;
static atomic_int log_fd = STDERR_FILENO;

/* The current second's tally of each event: the second in the upper 40 bits, the count in the lower 24. One word, so
 * that a new second and its first line are one step. */
static _Atomic uint64_t log_tally[LOG_EVENT_COUNT];
#define TALLY_BITS 24
#define TALLY_MASK ((UINT64_C(1) << TALLY_BITS) - 1)

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_threshold, (int) level, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

/* Counts the event and says whether it may be written; *left_out: how many of an earlier second were not. */
static bool log_admit(enum log_event event, int64_t second, unsigned *left_out)
{
    uint64_t before = atomic_load_explicit(&log_tally[event], memory_order_relaxed), after;
    uint64_t now = (uint64_t) second & (UINT64_MAX >> TALLY_BITS);
    do {
        *left_out = 0;
        if (before >> TALLY_BITS == now) {
            after = (before & TALLY_MASK) == TALLY_MASK ? before : before + 1;
        } else {
            after = now << TALLY_BITS | 1;
            if ((before & TALLY_MASK) > EVENTS_A_SECOND)
                *left_out = (unsigned) (before & TALLY_MASK) - EVENTS_A_SECOND;
        }
    } while (!atomic_compare_exchange_weak_explicit(&log_tally[event], &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return (after & TALLY_MASK) <= EVENTS_A_SECOND;
}

/* Appends `text` to the line at `at`, unprintable bytes as \xHH; returns the new end, at most `end`. */
static char *log_escape(char *at, const char *end, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    for (; *text != '\0' && end - at > 4; text++) {
        unsigned char c = (unsigned char) *text;
        if (c >= 0x20 && c < 0x7f) {
            *at++ = (char) c;
        } else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    return at;
}

static void log_line(enum log_event event, char *text)
{
    char line[LINE_BYTES];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t) snprintf(line + len, sizeof line - len, ".%03dZ %s %s ", (int) (now.tv_nsec / 1000000),
                             level_names[log_rows[event].level], log_rows[event].name);
    log_redact(text);
    char *end = log_escape(line + len, line + sizeof line - 1, text);
    *end++ = '\n';
    /* Nobody can be told that the log cannot be written. */
    ssize_t ignored = write(atomic_load_explicit(&log_fd, memory_order_relaxed), line, (size_t) (end - line));
    (void) ignored;
}

void log_write(enum log_event event, const char *format, ...)
{
    enum log_level level = log_rows[event].level;
    if ((int) level > atomic_load_explicit(&log_threshold, memory_order_relaxed))
        return;
    static struct metric_cell *_Atomic cells[LOG_DEBUG + 1];
    struct metric_cell *cell = atomic_load_explicit(&cells[level], memory_order_acquire);
    if (cell == NULL) {
        cell = metric_cell(METRIC_LOG_LINES, level_names[level]);
        atomic_store_explicit(&cells[level], cell, memory_order_release);
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned left_out;
    if (!log_admit(event, now.tv_sec, &left_out))
        return;
    char text[LINE_BYTES];
    if (left_out > 0) {
        snprintf(text, sizeof text, "left_out=%u more of these", left_out);
        log_line(event, text);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    metric_cell_add(cell, 1);
    log_line(event, text);
}

unsigned log_crowd(struct log_crowd *crowd, int64_t now_ms)
{
    unsigned count = ++crowd->untold;
    if (crowd->told_ms != 0 && now_ms - crowd->told_ms < CROWD_MS)
        return 0;
    *crowd = (struct log_crowd){.told_ms = now_ms};
    return count;
}

/* ---- Redaction ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Whether `text` at `at` begins a word: nothing of a word before it, or a percent-encoded '&' or '?' (a URL in a URL).
 */
static bool begins_word(const char *text, const char *at)
{
    if (at == text || !is_word(at[-1]))
        return true;
    struct str before = {text, (size_t) (at - text)};
    return str_ends(before, STR("26")) || str_ends(before, STR("3F")) || str_ends(before, STR("3f"));
}

static bool ends_secret(char c)
{
    return (unsigned char) c <= ' ' || strchr("&\"'<>;,()", c) != NULL;
}

/* Where the secret begins that the marker at `at` announces, or NULL. */
static char *secret_after(const char *text, char *at)
{
    /* What must follow the word: '=' (or its encoding), a blank, or either of them and colons. */
    static const struct {
        struct str word;
        enum { EQUALS, BLANK, EITHER } then;
    } markers[] = {
        {STR_INIT("sig"), EQUALS},          {STR_INIT("accountkey"), EQUALS}, {STR_INIT("bearer"), BLANK},
        {STR_INIT("sharedkeylite"), BLANK}, {STR_INIT("sharedkey"), BLANK},   {STR_INIT("x-ms-encryption-key"), EITHER},
    };
    struct str rest = str_from(at);
    for (unsigned i = 0; i < sizeof markers / sizeof markers[0]; i++) {
        if (!str_istarts(rest, markers[i].word) || !begins_word(text, at))
            continue;
        char *after = at + markers[i].word.len;
        if (markers[i].then == EQUALS) {
            while (*after == '%' && after[1] == '2' && after[2] == '5') /* encoded more than once: %253D */
                after += after[3] == '3' ? 2 : 3;
            if (*after == '=')
                return after + 1;
            if ((after[0] == '%' || after[0] == '5') && after[1] == '3' && (after[2] == 'd' || after[2] == 'D'))
                return after + 3;
            continue;
        }
        const char *blanks = markers[i].then == BLANK ? " \t+" : " \t+:=";
        size_t skip = strspn(after, blanks);
        if (skip == 0 && str_istarts(str_from(after), STR("%20")))
            skip = 3;
        if (skip > 0)
            return after + skip;
    }
    return NULL;
}

static bool may_mark(char c)
{
    return strchr("sSbBxXaA", c) != NULL;
}

static char *value_end(char *value)
{
    while (!ends_secret(*value))
        value++;
    return value;
}

/* Where the secret ends that begins there. What it seems to be may itself announce one, as in "Bearer SharedKey …":
 * then that is part of it. */
static char *secret_end(const char *text, char *secret)
{
    char *end = value_end(secret);
    for (char *at = secret; at < end; at++) {
        char *inner = may_mark(*at) ? secret_after(text, at) : NULL;
        if (inner != NULL && inner >= end)
            end = value_end(inner);
    }
    return end;
}

void log_redact(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        char *secret = may_mark(*at) ? secret_after(text, at) : NULL;
        if (secret == NULL)
            continue;
        char *end = secret_end(text, secret);
        memset(secret, 'x', (size_t) (end - secret));
        at = end - 1;
    }
}
