/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: the levelled log, one line an event on stderr (or a file), declared once in log_events.h.
 *
 * A line is `2026-01-02T03:04:05.678Z warn origin-unreachable account=x host=y: text`. Values are escaped so that a
 * line stays a line. No credential may be handed in; as a second fence every value is passed through log_redact(). A
 * level below the threshold costs one comparison. Repeating events are limited per event (10 a second, then a count of
 * what was left out). Any thread.
 */
#ifndef HEADPOND_BASE_LOG_H
#define HEADPOND_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log_events.h"
#include "base/str.h"

/* In the order of the words of log_level in conf_table.h. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_event {
#define X(id, level, name) LOG_EVENT_##id,
    LOG_EVENT_TABLE(X)
#undef X
        LOG_EVENT_COUNT
};

/* Lines at this level and above are written; INFO until set. */
void log_set_level(enum log_level level);
/* Where lines go; standard error until set. The descriptor stays the caller's. */
void log_set_fd(int fd);

/* Writes one line: the event's name, then the formatted text (key=value pairs, then prose). */
void log_write(enum log_event event, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_event(id, ...) log_write(LOG_EVENT_##id, __VA_ARGS__)

/* What comes in crowds shall not be a crowd of lines: a line a second says how many there were since the last one. Of a
 * crowd that ends within that second the rest is told with the next one to come, whenever that is, or never: counts to
 * rely on are metrics. Zeroed at first; one thread's at a time. */
struct log_crowd {
    unsigned untold;
    int64_t told_ms;
};
/* One more, at clock_mono_ms. How many the line is to tell of, or 0: none is due. */
unsigned log_crowd(struct log_crowd *crowd, int64_t now_ms);

/* Replaces in place, by 'x', what follows `sig=` in a query, and Bearer or SharedKey credentials. Used for every line
 * of either log; also where a URL is shown to a person. */
void log_redact(char *text);

#endif
