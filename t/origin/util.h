/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every room of the scripted origin needs: allocation that aborts, a growable text buffer, a
 * list of name/value pairs, escaping, dates. Nothing here is shared between threads.
 */
#ifndef T_ORIGIN_UTIL_H
#define T_ORIGIN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);

/* `data` is NUL-terminated whenever it is not NULL. A zeroed struct is an empty buffer. */
struct buf {
    char *data;
    size_t len, cap;
};

void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_json(struct buf *b, const char *s); /* with its quotes */
void buf_xml(struct buf *b, const char *s);
void buf_free(struct buf *b);

/* Names compare without case; a list may hold a name twice, look-ups give the first. */
struct pair {
    char *name, *value;
};
struct pairs {
    struct pair *list;
    size_t count;
};

const char *pairs_get(const struct pairs *p, const char *name);
void pairs_add(struct pairs *p, const char *name, const char *value);
void pairs_set(struct pairs *p, const char *name, const char *value); /* NULL removes */
void pairs_remove_prefix(struct pairs *p, const char *prefix);
void pairs_copy(struct pairs *to, const struct pairs *from);
void pairs_free(struct pairs *p);

bool starts_with(const char *s, const char *prefix); /* without case */

/* Decodes %XX ('+' stays '+'); returns NULL for a broken escape or an encoded NUL. */
char *percent_decode(const char *s, size_t n);

/* Decimal, no sign, no spaces, at most 18 digits; false otherwise. */
bool parse_int64(const char *s, size_t n, int64_t *value);

/* The same for any number of digits: what is too large is INT64_MAX. */
bool parse_position(const char *s, size_t n, int64_t *value);

#define HTTP_DATE_SIZE 32
void http_date(char out[HTTP_DATE_SIZE], time_t t); /* "Sun, 06 Nov 1994 08:49:37 GMT" */
bool http_date_parse(const char *s, time_t *t);
bool iso_date_parse(const char *s, time_t *t); /* "2030-01-01T00:00:00Z", "2030-01-01" */

void base64(char *out, const unsigned char *in, size_t n); /* out: 4*ceil(n/3)+1 */

int64_t now_ns(void); /* monotonic */
uint64_t hash_string(const char *s);

#endif
