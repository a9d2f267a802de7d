/* SPDX-License-Identifier: Apache-2.0 */
/* See util.h. */
#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *checked(void *p)
{
    if (!p)
        abort();
    return p;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
    return checked(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return checked(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return checked(strndup(s, n));
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap *= 2;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    buf_reserve(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    buf_reserve(b, 128);
    size_t room = b->cap - b->len;
    int n = vsnprintf(b->data + b->len, room, fmt, ap);
    if (n >= 0 && (size_t) n >= room) {
        buf_reserve(b, (size_t) n);
        n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
    }
    va_end(again);
    va_end(ap);
    if (n < 0)
        abort();
    b->len += (size_t) n;
}

/* Bytes above 0x7f are escaped as if they were Latin-1: the reply stays valid JSON whatever a
   client put into its request. */
void buf_json(struct buf *b, const char *s)
{
    buf_puts(b, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char) *s;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_add(b, s, 1);
    }
    buf_puts(b, "\"");
}

void buf_xml(struct buf *b, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<':
            buf_puts(b, "&lt;");
            break;
        case '>':
            buf_puts(b, "&gt;");
            break;
        case '&':
            buf_puts(b, "&amp;");
            break;
        default:
            buf_add(b, s, 1);
        }
    }
}

void buf_free(struct buf *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

const char *pairs_get(const struct pairs *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcasecmp(p->list[i].name, name) == 0)
            return p->list[i].value;
    return NULL;
}

void pairs_add(struct pairs *p, const char *name, const char *value)
{
    p->list = xrealloc(p->list, (p->count + 1) * sizeof p->list[0]);
    p->list[p->count].name = xstrdup(name);
    p->list[p->count].value = xstrdup(value);
    p->count++;
}

static void remove_at(struct pairs *p, size_t i)
{
    free(p->list[i].name);
    free(p->list[i].value);
    p->count--;
    memmove(&p->list[i], &p->list[i + 1], (p->count - i) * sizeof p->list[0]);
}

void pairs_set(struct pairs *p, const char *name, const char *value)
{
    for (size_t i = 0; i < p->count;) {
        if (strcasecmp(p->list[i].name, name) == 0)
            remove_at(p, i);
        else
            i++;
    }
    if (value)
        pairs_add(p, name, value);
}

void pairs_remove_prefix(struct pairs *p, const char *prefix)
{
    for (size_t i = 0; i < p->count;) {
        if (starts_with(p->list[i].name, prefix))
            remove_at(p, i);
        else
            i++;
    }
}

void pairs_copy(struct pairs *to, const struct pairs *from)
{
    for (size_t i = 0; i < from->count; i++)
        pairs_add(to, from->list[i].name, from->list[i].value);
}

void pairs_free(struct pairs *p)
{
    while (p->count)
        remove_at(p, p->count - 1);
    free(p->list);
    p->list = NULL;
}

bool starts_with(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *percent_decode(const char *s, size_t n)
{
    char *out = xmalloc(n + 1), *w = out;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int hi = n - i > 2 ? hex_digit(s[i + 1]) : -1;
            int lo = n - i > 2 ? hex_digit(s[i + 2]) : -1;
            if (hi < 0 || lo < 0 || hi + lo == 0) {
                free(out);
                return NULL;
            }
            c = (char) (hi * 16 + lo);
            i += 2;
        }
        *w++ = c;
    }
    *w = '\0';
    return out;
}

bool parse_position(const char *s, size_t n, int64_t *value)
{
    size_t zeros = 0;
    while (zeros + 1 < n && s[zeros] == '0')
        zeros++;
    if (parse_int64(s + zeros, n - zeros, value))
        return true;
    *value = INT64_MAX;
    return n > 0 && strspn(s, "0123456789") >= n;
}

bool parse_int64(const char *s, size_t n, int64_t *value)
{
    if (n == 0 || n > 18)
        return false;
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *value = v;
    return true;
}

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void http_date(char out[HTTP_DATE_SIZE], time_t t)
{
    struct tm tm;
    gmtime_r(&t, &tm);
    snprintf(out, HTTP_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday % 7], tm.tm_mday % 100,
             months[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
}

bool http_date_parse(const char *s, time_t *t)
{
    char month[4];
    struct tm tm = {0};
    if (sscanf(s, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec) != 6)
        return false;
    tm.tm_mon = -1;
    for (int i = 0; i < 12; i++)
        if (strcmp(month, months[i]) == 0)
            tm.tm_mon = i;
    if (tm.tm_mon < 0)
        return false;
    tm.tm_year -= 1900;
    *t = timegm(&tm);
    return true;
}

bool iso_date_parse(const char *s, time_t *t)
{
    struct tm tm = {0};
    int n =
        sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
    if (n != 3 && n < 5)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *t = timegm(&tm);
    return true;
}

void base64(char *out, const unsigned char *in, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned) in[i] << 16;
        v |= i + 1 < n ? (unsigned) in[i + 1] << 8 : 0;
        v |= i + 2 < n ? in[i + 2] : 0;
        *out++ = digits[v >> 18 & 63];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *out = '\0';
}

int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint64_t hash_string(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char) *s) * 0x100000001b3u;
    return h ^ (h >> 29);
}
