/* SPDX-License-Identifier: Apache-2.0 */
/* conf_value.c: single values of the configuration, from text and to text. */
#include <assert.h>
#include <inttypes.h>

#include "base/conf_schema.h"
#include "base/hostport.h"
#include "base/mem.h"

struct unit {
    struct str name;
    int64_t factor;
};

/* The first of a size's units that divides a value without rest is what it is shown in. */
static const struct unit size_units[] = {
    {STR_INIT("TiB"), INT64_C(1) << 40},
    {STR_INIT("GiB"), INT64_C(1) << 30},
    {STR_INIT("MiB"), INT64_C(1) << 20},
    {STR_INIT("KiB"), INT64_C(1) << 10},
    {STR_INIT("TB"), INT64_C(1000000000000)},
    {STR_INIT("GB"), INT64_C(1000000000)},
    {STR_INIT("MB"), INT64_C(1000000)},
    {STR_INIT("KB"), INT64_C(1000)},
    {STR_INIT("B"), 1},
};
static const struct unit time_units[] = {
    {STR_INIT("h"), 3600000},
    {STR_INIT("s"), 1000},
    {STR_INIT("ms"), 1},
    {STR_INIT("m"), 60000}, /* understood, but never shown: 60s, not 1m */
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A number and one of the units; without a unit the factor is `bare`, or it is no such value when that is 0 and the
 * number is not. */
static bool parse_quantity(struct str text, const struct unit *units, size_t count, int64_t bare, int64_t *value)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    struct str unit = {text.ptr + digits, text.len - digits};
    if (!str_to_int((struct str){text.ptr, digits}, value))
        return false;
    if (unit.len == 0)
        return *value == 0 || (bare != 0 && !__builtin_mul_overflow(*value, bare, value));
    for (size_t i = 0; i < count; i++)
        if (str_eq(unit, units[i].name))
            return !__builtin_mul_overflow(*value, units[i].factor, value);
    return false;
}

static void format_quantity(struct strbuf *out, const struct unit *units, size_t count, int64_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (value != 0 && value % units[i].factor == 0) {
            strbuf_addf(out, "%" PRId64 "%s", value / units[i].factor,
                        units[i].factor == 1 && units[i].name.len == 1 ? "" /* bytes need no unit */
                                                                       : units[i].name.ptr);
            return;
        }
    }
    strbuf_addf(out, "%" PRId64 "%s", value, units == time_units ? "s" : "");
}

/* ---- Texts ---- */

static bool all_in(struct str text, const char *extra)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr(extra, c) != NULL)))
            return false;
    }
    return true;
}

/* The text with {account} replaced, as an account's name is; false when there is another brace in it. */
static bool fill_in(struct str text, struct strbuf *filled)
{
    static const struct str placeholder = STR_INIT("{account}");
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = {text.ptr + i, text.len - i};
        if (str_starts(rest, placeholder)) {
            strbuf_adds(filled, STR("account"));
            i += placeholder.len - 1;
        } else if (text.ptr[i] == '{' || text.ptr[i] == '}') {
            return false;
        } else {
            strbuf_add(filled, &text.ptr[i], 1);
        }
    }
    return true;
}

/* "HOST" or "HOST:PORT". */
static bool valid_authority(struct str authority, const char **problem)
{
    struct strbuf text = {0};
    struct str host;
    int64_t port;
    strbuf_adds(&text, authority);
    if (str_find(authority, ':') < 0 || str_ends(authority, STR("]")))
        strbuf_adds(&text, STR(":80"));
    bool good = hostport_split(strbuf_str(&text), &host, &port, problem);
    if (good && port == 0) {
        *problem = "the port must be 1 to 65535";
        good = false;
    }
    strbuf_free(&text);
    return good;
}

static bool valid_url(struct str text, const char **problem)
{
    struct str rest = text, path;
    if (!str_take(&rest, STR("https://")) && !str_take(&rest, STR("http://")))
        return false;
    struct strbuf filled = {0};
    bool good = fill_in(rest, &filled);
    struct str authority = str_split(strbuf_str(&filled), '/', &path);
    *problem = "has a placeholder other than {account}";
    if (good && str_find(authority, '@') >= 0) {
        *problem = "has a user in it";
        good = false;
    }
    for (size_t i = 0; good && i < filled.len; i++) {
        char c = filled.ptr[i];
        *problem = c == '?' || c == '#' ? "has a query or a fragment" : "has a character that needs encoding";
        good = (unsigned char) c > ' ' && (unsigned char) c < 0x7f && strchr("?#\"\\<>", c) == NULL;
    }
    good = good && valid_authority(authority, problem);
    strbuf_free(&filled);
    return good;
}

bool conf_is_label(struct str text)
{
    return text.len >= 1 && text.len <= CONF_LABEL_MAX && all_in(text, "-._");
}

/* *problem is left as it is where there is no better word. */
static bool valid_text(enum conf_type type, struct str text, const char **problem)
{
    struct str host;
    int64_t port;
    switch (type) {
    case CONF_ADDRESS:
        return hostport_split(text, &host, &port, problem);
    case CONF_URL:
        return valid_url(text, problem);
    case CONF_ACCOUNT:
        return str_eq(text, STR("*")) || (text.len >= 3 && text.len <= 24 && all_in(text, ""));
    case CONF_CONTAINER:
        return text.len >= 1 && text.len <= 63 && all_in(text, "-$");
    case CONF_LABEL:
        return conf_is_label(text);
    case CONF_IDENTITY:
        return str_eq(text, STR("none")) || str_eq(text, STR("managed")) || str_eq(text, STR("workload")) ||
               str_eq(text, STR("key")) || (str_starts(text, STR("sas:")) && text.len > 4);
    default:
        return text.len > 0 && text.len <= 4096;
    }
}

/* The number of the word in "a|b", or -1. */
static int word_number(const char *words, struct str text)
{
    struct str rest = str_from(words);
    for (int i = 0; rest.ptr != NULL; i++)
        if (str_eq(str_split(rest, '|', &rest), text))
            return i;
    return -1;
}

static void set_text(char **field, enum conf_type type, struct str text)
{
    while (type == CONF_URL && text.len > 0 && text.ptr[text.len - 1] == '/')
        text.len--; /* what is appended begins with one */
    mem_free(*field);
    *field = mem_strndup(text.ptr, text.len);
}

void conf_strings_add(struct conf_strings *strings, struct str text)
{
    strings->items = mem_realloc(strings->items, (strings->count + 1) * sizeof strings->items[0]);
    strings->items[strings->count++] = mem_strndup(text.ptr, text.len);
}

static bool parse_number(const struct conf_row *row, struct str text, int64_t *value)
{
    switch (row->type) {
    case CONF_INT:
        return str_to_int(text, value);
    case CONF_SIZE:
        return parse_quantity(text, size_units, COUNT(size_units), 1, value);
    default:
        return parse_quantity(text, time_units, COUNT(time_units), 0, value);
    }
}

static bool parse_bool(struct str text, bool *value)
{
    *value = str_eq(text, STR("true")) || str_eq(text, STR("on")) || str_eq(text, STR("yes"));
    return *value || str_eq(text, STR("false")) || str_eq(text, STR("off")) || str_eq(text, STR("no"));
}

bool conf_value_parse(const struct conf_row *row, struct str text, void *object, const char **problem)
{
    void *field = conf_field(row, object);
    *problem = text.len == 0 ? "is empty" : "is not valid";
    if (memchr(text.len == 0 ? "" : text.ptr, '\0', text.len) != NULL)
        return false;
    if (row->type == CONF_WORD) {
        int number = word_number(row->words, text);
        if (number < 0)
            return false;
        *(unsigned *) field = (unsigned) number; /* an enum; checked to be of that size below */
        return true;
    }
    if (conf_is_text(row->type)) {
        if (!valid_text(row->type, text, problem))
            return false;
        set_text(field, row->type, text);
        return true;
    }
    if (row->type == CONF_BOOL)
        return parse_bool(text, field);
    if (row->type == CONF_STRINGS) {
        if (!valid_text(CONF_PATH, text, problem))
            return false;
        conf_strings_add(field, text);
        return true;
    }
    int64_t value;
    if (row->type == CONF_FRESHNESS && str_eq(text, STR("immutable"))) {
        *(int64_t *) field = CONF_IMMUTABLE;
        return true;
    }
    if (!parse_number(row, text, &value))
        return false;
    *problem = value < row->min ? "is too small" : "is too large";
    if (value < row->min || value > row->max)
        return false;
    *(int64_t *) field = value;
    return true;
}

_Static_assert(sizeof(enum conf_authorize) == sizeof(unsigned) && sizeof(enum conf_grant_scope) == sizeof(unsigned) &&
                   sizeof(enum conf_pinned_reads) == sizeof(unsigned) && sizeof(enum conf_role) == sizeof(unsigned) &&
                   sizeof(enum log_level) == sizeof(unsigned),
               "WORD writes an enum as an unsigned");

bool conf_value_format(const struct conf_row *row, const void *object, struct strbuf *out)
{
    const void *field = (const char *) object + row->offset;
    if (conf_is_text(row->type)) {
        const char *text = *(char *const *) field;
        if (text != NULL)
            strbuf_adds(out, str_from(text));
        return text != NULL;
    }
    int64_t value;
    struct str rest, word = STR_NULL;
    switch (row->type) {
    case CONF_WORD:
        rest = str_from(row->words);
        for (unsigned i = 0; i <= *(const unsigned *) field; i++)
            word = str_split(rest, '|', &rest);
        strbuf_adds(out, word);
        return true;
    case CONF_BOOL:
        strbuf_adds(out, *(const bool *) field ? STR("true") : STR("false"));
        return true;
    case CONF_INT:
        strbuf_addf(out, "%" PRId64, *(const int64_t *) field);
        return true;
    case CONF_SIZE:
        value = *(const int64_t *) field;
        if (value < 0)
            return false;
        format_quantity(out, size_units, COUNT(size_units), value);
        return true;
    case CONF_DURATION:
    case CONF_FRESHNESS:
        value = *(const int64_t *) field;
        if (value < 0)
            return false;
        if (value == CONF_IMMUTABLE)
            strbuf_adds(out, STR("immutable"));
        else
            format_quantity(out, time_units, COUNT(time_units), value);
        return true;
    default:
        assert(false);
        return false;
    }
}

void conf_value_allowed(const struct conf_row *row, struct strbuf *out)
{
    static const char *const texts[] = {
        [CONF_PATH] = "text",
        [CONF_ADDRESS] = "HOST:PORT or [IPv6]:PORT",
        [CONF_URL] =
            "http://HOST[:PORT][/PATH] or https://..., with {account} for the name; no user, query or fragment",
        [CONF_ACCOUNT] = "3 to 24 of a-z and 0-9, or *",
        [CONF_CONTAINER] = "1 to 63 of a-z, 0-9, - and $",
        [CONF_LABEL] = "1 to 63 of a-z, 0-9, -, . and _",
        [CONF_IDENTITY] = "none, managed, workload, key or sas:FILE",
        [CONF_BOOL] = "true, false, on, off",
        [CONF_STRINGS] = "text or a list of texts",
        [CONF_LIST] = "a list of mappings",
        [CONF_MAP] = "a mapping",
    };
    struct str rest;
    switch (row->type) {
    case CONF_WORD:
        rest = str_from(row->words);
        for (bool first = true; rest.ptr != NULL; first = false) {
            strbuf_adds(out, first ? STR("") : STR(", "));
            strbuf_adds(out, str_split(rest, '|', &rest));
        }
        break;
    case CONF_INT:
        strbuf_addf(out, "%" PRId64 " to %" PRId64, row->min, row->max);
        break;
    case CONF_SIZE:
        strbuf_adds(out, STR("a size such as 1000, 64KiB or 1GB, from "));
        format_quantity(out, size_units, COUNT(size_units), row->min);
        strbuf_adds(out, STR(" to "));
        format_quantity(out, size_units, COUNT(size_units), row->max);
        break;
    case CONF_DURATION:
    case CONF_FRESHNESS:
        strbuf_adds(out, STR("a time such as 200ms, 5s or 1h, from "));
        format_quantity(out, time_units, COUNT(time_units), row->min);
        strbuf_adds(out, STR(" to "));
        format_quantity(out, time_units, COUNT(time_units), row->max);
        strbuf_adds(out, row->type == CONF_FRESHNESS ? STR("; or immutable") : STR(""));
        break;
    default:
        strbuf_adds(out, str_from(texts[row->type]));
    }
}
