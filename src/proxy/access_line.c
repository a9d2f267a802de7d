/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_line.c: JSON by hand: one line a request at full speed, so no printf and no tree of values.
 *
 * What clients wrote is escaped byte by byte: bytes of 0x80 and above become \u00XX, so the line is valid UTF-8
 * whatever the target held. The target is redacted before that, on a copy.
 */
#include "proxy/access_line.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define TARGET_MAX 1024 /* bytes of the target that are shown; escaping makes six of one at worst */
#define SHORT_MAX 64    /* of the other texts a client chose */
#define AGENT_MAX 128

/* Milliseconds with three decimals. */
static char *put_ms(char *at, int64_t us)
{
    if (us < 0)
        us = 0;
    at = str_put_number(at, (uint64_t) us / 1000);
    *at++ = '.';
    return str_put_digits(at, (uint64_t) us % 1000, 3);
}

static char *put_escaped(char *at, struct str text)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char) text.ptr[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char) c;
        } else if (c >= 0x20 && c < 0x7f) {
            *at++ = (char) c;
        } else {
            at = str_put(at, STR("\\u00"));
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    return at;
}

static char *put_text(char *at, struct str name, struct str value)
{
    at = str_put(at, name);
    *at++ = '"';
    if (value.len > SHORT_MAX)
        value.len = SHORT_MAX;
    at = put_escaped(at, value);
    *at++ = '"';
    return at;
}

/* The same for what may hold anything: nobody should have put a credential there. Nothing for a NULL str. */
static char *put_foreign(char *at, struct str name, struct str value, size_t max)
{
    char copy[AGENT_MAX + 1];
    if (value.ptr == NULL)
        return at;
    size_t len = value.len < max ? value.len : max;
    *str_put(copy, (struct str){value.ptr, len}) = '\0';
    log_redact(copy);
    at = str_put(at, name);
    *at++ = '"';
    at = put_escaped(at, (struct str){copy, len});
    *at++ = '"';
    return at;
}

/* ---- The target, redacted ---- */

/* Whether a parameter's name reads `sig` after decoding, also when it was encoded more than once. */
static bool names_signature(struct str name)
{
    char plain[32];
    size_t len = name.len;
    if (len > sizeof plain - 1)
        return false;
    if (len > 0)
        memcpy(plain, name.ptr, len);
    for (bool again = true; again;) {
        again = false;
        size_t to = 0;
        for (size_t i = 0; i < len; i++, to++) {
            plain[to] = plain[i];
            if (plain[i] != '%' || i + 2 >= len)
                continue;
            int high = str_hex_digit(plain[i + 1]), low = str_hex_digit(plain[i + 2]);
            if (high < 0 || low < 0)
                continue;
            plain[to] = (char) (high * 16 + low);
            i += 2;
            again = true;
        }
        len = to;
    }
    return str_ieq(str_trim((struct str){plain, len}), STR("sig"));
}

/* Copies the target without its signature to out[TARGET_MAX + 4] and returns what is there. */
static struct str target_redacted(struct str target, char *out)
{
    size_t len = 0;
    bool cut = false;
    struct str query = STR_NULL;
    struct str path = str_split(target, '?', &query);
    if (path.len > TARGET_MAX) {
        path.len = TARGET_MAX;
        cut = true;
    }
    if (path.len > 0)
        memcpy(out, path.ptr, path.len);
    len = path.len;
    char before = '?';
    while (query.ptr != NULL && !cut) {
        struct str part = str_split(query, '&', &query);
        ptrdiff_t equals = str_find(part, '=');
        struct str name = equals < 0 ? part : (struct str){part.ptr, (size_t) equals};
        bool secret = equals >= 0 && names_signature(name);
        struct str shown = secret ? (struct str){part.ptr, (size_t) equals + 1} : part;
        if (len + 1 + shown.len + (secret ? 3 : 0) > TARGET_MAX) {
            cut = true;
            break;
        }
        out[len++] = before;
        before = '&';
        if (shown.len > 0)
            memcpy(out + len, shown.ptr, shown.len);
        len += shown.len;
        if (secret) {
            memcpy(out + len, "xxx", 3);
            len += 3;
        }
    }
    if (cut) {
        memcpy(out + len, "...", 3);
        len += 3;
    }
    out[len] = '\0';
    if (memchr(out, '\0', len) == NULL)
        log_redact(out); /* the second fence, e.g. a URL with a signature as a parameter's value */
    return (struct str){out, len};
}

/* ---- The line ---- */

static char *put_time(char *at, struct access_clock *clock)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (clock->second != now.tv_sec) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(clock->text, sizeof clock->text, "%Y-%m-%dT%H:%M:%S", &utc);
        clock->second = now.tv_sec;
    }
    at = str_put(at, str_from(clock->text));
    *at++ = '.';
    at = str_put_digits(at, (uint64_t) now.tv_nsec / 1000000, 3);
    *at++ = 'Z';
    return at;
}

static char *put_peer(char *at, const struct sockaddr *peer)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (peer != NULL && peer->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *) (const void *) peer)->sin_addr, text, sizeof text);
    else if (peer != NULL && peer->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *) (const void *) peer)->sin6_addr, text, sizeof text);
    return str_put(at, str_from(text));
}

static struct str version_text(enum http_version version)
{
    switch (version) {
    case HTTP_1_0:
        return STR("http/1.0");
    case HTTP_1_1:
        return STR("http/1.1");
    case HTTP_2:
        return STR("h2");
    }
    return STR("");
}

size_t access_line(struct access_clock *clock, const struct access_entry *entry, char *out)
{
    char target[TARGET_MAX + 4];
    char *at = str_put(out, STR("{\"time\":\""));
    at = put_time(at, clock);
    at = str_put(at, STR("\",\"client\":\""));
    at = put_peer(at, entry->peer);
    *at++ = '"';
    at = put_text(at, STR(",\"method\":"), entry->method);
    at = str_put(at, STR(",\"target\":\""));
    at = put_escaped(at, target_redacted(entry->target, target));
    at = str_put(at, STR("\",\"status\":"));
    at = str_put_number(at, (uint64_t) (entry->status < 0 ? 0 : entry->status));
    at = str_put(at, STR(",\"sent\":"));
    at = str_put_number(at, entry->sent);
    at = str_put(at, STR(",\"received\":"));
    at = str_put_number(at, entry->received);
    at = put_text(at, STR(",\"cache\":"), str_from(entry->cache));
    if (entry->detail != NULL)
        at = put_text(at, STR(",\"detail\":"), str_from(entry->detail));
    if (entry->account.ptr != NULL)
        at = put_text(at, STR(",\"account\":"), entry->account);
    at = put_foreign(at, STR(",\"request_id\":"), entry->request_id, SHORT_MAX);
    at = put_foreign(at, STR(",\"client_request_id\":"), entry->client_request_id, SHORT_MAX);
    at = put_foreign(at, STR(",\"range\":"), entry->range, SHORT_MAX);
    at = put_foreign(at, STR(",\"agent\":"), entry->agent, AGENT_MAX);
    if (entry->retries > 0) {
        at = str_put(at, STR(",\"retries\":"));
        at = str_put_number(at, entry->retries);
    }
    if (entry->first_us >= 0) {
        at = str_put(at, STR(",\"first_ms\":"));
        at = put_ms(at, entry->first_us);
    }
    at = str_put(at, STR(",\"total_ms\":"));
    at = put_ms(at, entry->total_us);
    at = put_text(at, STR(",\"protocol\":"), version_text(entry->version));
    at = str_put(at, entry->tls ? STR(",\"tls\":true") : STR(",\"tls\":false"));
    at = put_text(at, STR(",\"end\":"), str_from(status_name(entry->end)));
    at = str_put(at, STR("}\n"));
    return (size_t) (at - out);
}
