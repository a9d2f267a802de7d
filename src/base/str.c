/* SPDX-License-Identifier: Apache-2.0 */
/* str.c: counted text and the growing buffer. ASCII only, no locale anywhere. */
#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

bool str_starts(struct str text, struct str prefix)
{
    return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

bool str_istarts(struct str text, struct str prefix)
{
    if (text.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (str_lower(text.ptr[i]) != str_lower(prefix.ptr[i]))
            return false;
    return true;
}

bool str_ends(struct str text, struct str suffix)
{
    return text.len >= suffix.len &&
           (suffix.len == 0 || memcmp(text.ptr + (text.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

int str_cmp(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

struct str str_trim(struct str text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

ptrdiff_t str_find(struct str text, char c)
{
    const char *at = text.len == 0 ? NULL : memchr(text.ptr, c, text.len);
    return at == NULL ? -1 : at - text.ptr;
}

struct str str_split(struct str text, char sep, struct str *rest)
{
    ptrdiff_t at = str_find(text, sep);
    if (at < 0) {
        *rest = STR_NULL;
        return text;
    }
    *rest = (struct str){text.ptr + at + 1, text.len - (size_t) at - 1};
    return (struct str){text.ptr, (size_t) at};
}

bool str_to_int(struct str text, int64_t *value)
{
    int64_t sum = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, c - '0', &sum))
            return false;
    }
    *value = sum;
    return true;
}

bool str_take(struct str *text, struct str front)
{
    if (!str_starts(*text, front))
        return false;
    text->ptr += front.len;
    text->len -= front.len;
    return true;
}

bool str_take_digits(struct str *text, unsigned count, int *value)
{
    *value = 0;
    if (count > 9 || text->len < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        char c = text->ptr[i];
        if (c < '0' || c > '9')
            return false;
        *value = *value * 10 + (c - '0');
    }
    text->ptr += count;
    text->len -= count;
    return true;
}

int str_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *str_put(char *at, struct str text)
{
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

char *str_put_number(char *at, uint64_t value)
{
    char digits[STR_NUMBER_MAX];
    unsigned count = 0;
    do
        digits[count++] = (char) ('0' + value % 10);
    while ((value /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

char *str_put_digits(char *at, uint64_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0; value /= 10)
        at[i] = (char) ('0' + value % 10);
    return at + count;
}

char *str_put_lower(char *at, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        *at++ = str_lower(text.ptr[i]);
    return at;
}

char *strbuf_reserve(struct strbuf *buf, size_t len)
{
    size_t need = buf->len + len + 1;
    assert(need > buf->len);
    if (need > buf->cap) {
        size_t cap = buf->cap < 32 ? 64 : buf->cap * 2;
        if (cap < need)
            cap = need;
        buf->ptr = mem_realloc(buf->ptr, cap);
        buf->cap = cap;
    }
    /* The caller may write all of `len`: the NUL behind it is put here for the case that it writes exactly that. */
    buf->ptr[buf->len] = '\0';
    buf->ptr[buf->len + len] = '\0';
    return buf->ptr + buf->len;
}

void strbuf_add(struct strbuf *buf, const void *data, size_t len)
{
    char *at = strbuf_reserve(buf, len);
    if (len > 0)
        memcpy(at, data, len);
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

void strbuf_adds(struct strbuf *buf, struct str text)
{
    strbuf_add(buf, text.ptr, text.len);
}

void strbuf_addf(struct strbuf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0);
    char *at = strbuf_reserve(buf, (size_t) len);
    vsnprintf(at, (size_t) len + 1, format, again);
    va_end(again);
    buf->len += (size_t) len;
}

void strbuf_wipe(struct strbuf *buf)
{
    if (buf->ptr != NULL)
        explicit_bzero(buf->ptr, buf->cap);
    strbuf_free(buf);
}

void strbuf_free(struct strbuf *buf)
{
    mem_free(buf->ptr);
    *buf = (struct strbuf){NULL, 0, 0};
}
