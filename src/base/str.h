/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.h: a counted view of bytes, and a growing buffer of them. A struct str owns nothing; who owns is said where one
 * is handed over. Not NUL-terminated unless said. Pure; any thread.
 */
#ifndef HEADPOND_BASE_STR_H
#define HEADPOND_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
/* The same as an initializer of what is static. */
#define STR_INIT(literal)                                                                                              \
    {                                                                                                                  \
        ("" literal), sizeof(literal) - 1                                                                              \
    }
#define STR_NULL ((struct str){NULL, 0})
/* For printf's "%.*s". */
#define STR_ARG(s) (int) (s).len, (s).ptr

static inline struct str str_from(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* str_i…: ASCII case folded, no locale. */
static inline char str_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
}
bool str_starts(struct str text, struct str prefix);
bool str_istarts(struct str text, struct str prefix);
/* Inline, since headers are found by it and most of them differ in length. */
static inline bool str_ieq(struct str a, struct str b)
{
    return a.len == b.len && str_istarts(a, b);
}
bool str_ends(struct str text, struct str suffix);
/* Total order by bytes, as memcmp. */
int str_cmp(struct str a, struct str b);
/* Without leading and trailing spaces and tabs. */
struct str str_trim(struct str text);
/* The text up to `sep` (all of it when there is none); *rest is what follows it, or a NULL str when nothing does. */
struct str str_split(struct str text, char sep, struct str *rest);
/* Position of c, or -1. */
ptrdiff_t str_find(struct str text, char c);
/* Decimal digits only, the whole text, no sign; false on empty, other bytes or overflow of int64_t. */
bool str_to_int(struct str text, int64_t *value);
/* Take off the front of *text, or leave it as it is: that text; exactly `count` (at most 9) decimal digits. */
bool str_take(struct str *text, struct str front);
bool str_take_digits(struct str *text, unsigned count, int *value);
/* The value of a hexadecimal digit, or -1. */
int str_hex_digit(char c);

/* Writing without printf, which is a good part of what a small hit costs outside the kernel: each appends at `at`,
 * where there is room, and returns the end. No NUL. */
char *str_put(char *at, struct str text);
#define STR_NUMBER_MAX 20
/* Decimal, at most STR_NUMBER_MAX digits. */
char *str_put_number(char *at, uint64_t value);
/* The last `count` decimal digits, zeros in front. */
char *str_put_digits(char *at, uint64_t value, unsigned count);
/* In lower case. */
char *str_put_lower(char *at, struct str text);

/* A growing buffer; zero-initialised is empty. NUL-terminated whenever it holds something. */
struct strbuf {
    char *ptr;
    size_t len;
    size_t cap;
};

void strbuf_add(struct strbuf *buf, const void *data, size_t len);
void strbuf_adds(struct strbuf *buf, struct str text);
void strbuf_addf(struct strbuf *buf, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2)));
/* Makes room for `len` more bytes and returns where they go; add to buf->len what was written. */
char *strbuf_reserve(struct strbuf *buf, size_t len);
void strbuf_free(struct strbuf *buf);
/* The same for a secret: overwritten first. */
void strbuf_wipe(struct strbuf *buf);
static inline struct str strbuf_str(const struct strbuf *buf)
{
    return (struct str){buf->ptr, buf->len};
}

#endif
