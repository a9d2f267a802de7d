/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact.c: no secret is shown. The input is a line of text in which each '$' becomes a secret, wherever something
 * before it says that one follows; and a request target whose every signature becomes one. Neither the log nor the
 * access log nor a kept property has it.
 */
#include <jansson.h>

#include "base/log.h"
#include "blob/property.h"
#include "proxy/access_line.h"
#include "fuzz.h"

#define SECRET "S3cr3tS3cr3tS3cr3t"

static bool shows(struct str text)
{
    return memmem(text.ptr, text.len, SECRET, sizeof SECRET - 1) != NULL;
}

/* What a service makes of a name: decoded once. */
static bool is_signature(struct str name)
{
    char plain[4];
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '%' && i + 2 < name.len && str_hex_digit(name.ptr[i + 1]) >= 0 &&
            str_hex_digit(name.ptr[i + 2]) >= 0) {
            c = (char) (str_hex_digit(name.ptr[i + 1]) * 16 + str_hex_digit(name.ptr[i + 2]));
            i += 2;
        }
        if (len == sizeof plain)
            return false;
        plain[len++] = c;
    }
    return str_ieq((struct str){plain, len}, STR("sig"));
}

/* The target with a secret as the value of every signature in its query. */
static struct str with_secrets(struct arena *arena, struct str target)
{
    struct strbuf text = {0};
    struct str query, path = str_split(target, '?', &query);
    strbuf_adds(&text, path);
    for (bool first = true; query.ptr != NULL; first = false) {
        struct str value, part = str_split(query, '&', &query), name = str_split(part, '=', &value);
        bool secret = is_signature(name);
        strbuf_adds(&text, first ? STR("?") : STR("&"));
        strbuf_adds(&text, secret ? name : part);
        strbuf_adds(&text, secret ? STR("=" SECRET) : STR(""));
    }
    struct str copy = fuzz_exact(arena, strbuf_str(&text));
    strbuf_free(&text);
    return copy;
}

static void check_access(struct arena *arena, struct str target, struct str account)
{
    static struct access_clock clock;
    struct access_entry entry = {.method = account,
                                 .target = with_secrets(arena, target),
                                 .account = account,
                                 .status = 200,
                                 .cache = "hit",
                                 .first_us = 12,
                                 .total_us = 345};
    char *out = arena_alloc(arena, ACCESS_LINE_MAX);
    struct str line = {out, access_line(&clock, &entry, out)};
    fuzz_check(line.len > 0 && line.len <= ACCESS_LINE_MAX && str_find(line, '\n') == (ptrdiff_t) line.len - 1);
    fuzz_check(!shows(line));
    json_t *json = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, NULL);
    fuzz_check(json_is_string(json_object_get(json, "target")));
    json_decref(json);
    fuzz_check(!shows(property_value(STR("x-ms-copy-source"), entry.target)));
}

/* What announces a secret, by the header of log.h; anything may stand before and behind it. */
static const char *const announcements[] = {
    "?sig=",        "&SIG=",   "\"sig=",   "Authorization: Bearer ", "bearer ", "SharedKey ", " sharedkeylite \t",
    ";AccountKey=", "&sig%3D", "%26sig%3d"};

static void check_log(struct arena *arena, struct str line)
{
    struct strbuf text = {0};
    unsigned which = 0;
    for (size_t i = 0; i < line.len && line.ptr[i] != '\0'; i++) {
        if (line.ptr[i] != '$') {
            strbuf_add(&text, line.ptr + i, 1);
            continue;
        }
        const char *announcement = announcements[which++ % (sizeof announcements / sizeof announcements[0])];
        strbuf_addf(&text, " %s" SECRET, announcement);
    }
    char *copy = (char *) (uintptr_t) arena_str(arena, strbuf_str(&text)).ptr;
    log_redact(copy);
    struct str once = {copy, strlen(copy)};
    fuzz_check(once.len == text.len && !shows(once));
    struct str again = arena_str(arena, once);
    log_redact((char *) (uintptr_t) again.ptr);
    fuzz_check(str_eq(again, once));
    strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (shows(fuzz_input(data, size)))
        return 0;
    struct arena *arena = arena_new();
    struct str rest = fuzz_input(data, size), target = fuzz_line(arena, &rest), account = fuzz_line(arena, &rest);
    check_access(arena, target, account);
    check_log(arena, fuzz_input(data, size));
    arena_free(arena);
    return 0;
}
