/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c: see wire.h. */
#include "pool/wire.h"

#include <inttypes.h>

/* ---- Parameters. ---- */

/* The first one of *rest, which is left with those behind it; false: there is none. */
static bool next_parameter(struct str *rest, struct str *name, struct str *value)
{
    if (rest->ptr == NULL)
        return false;
    struct str text = str_split(*rest, ';', rest);
    *name = str_trim(str_split(text, '=', value));
    *value = str_trim(*value);
    return true;
}

/* The field without the version that it begins with. */
static enum status parameters_of(const struct http_headers *headers, struct str *parameters)
{
    struct str field = http_headers_get(headers, STR(WIRE_FIELD));
    int64_t version;
    if (field.ptr == NULL)
        return STATUS_NOT_FOUND;
    struct str first = str_trim(str_split(field, ';', parameters));
    return str_to_int(first, &version) && version >= 1 ? STATUS_OK : STATUS_INVALID;
}

static uint64_t parse_hex(struct str text)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len && i < 16; i++) {
        char c = text.ptr[i];
        value = value << 4 | (uint64_t) (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* ---- Requests. ---- */

static const char *const changes[] = {
    [WIRE_CHANGED_NOTHING] = "",        [WIRE_CHANGED_OBJECT] = "object", [WIRE_CHANGED_CONTAINER] = "container",
    [WIRE_CHANGED_ACCOUNT] = "account", [WIRE_CHANGED_GRANTS] = "grants",
};

const char *wire_change_name(enum wire_change change)
{
    return changes[change];
}

static enum wire_change parse_change(struct str text)
{
    enum wire_change change = WIRE_CHANGED_GRANTS;
    while (change != WIRE_CHANGED_NOTHING && !str_eq(text, str_from(changes[change])))
        change--;
    return change;
}

static struct str name_of(const struct identity *own, struct arena *arena)
{
    return arena_printf(arena, "%s.%s.%s", own->node, own->region, own->pool);
}

void wire_write_request(const struct identity *own, const struct wire_request *said, struct http_headers *headers)
{
    struct arena *arena = headers->arena;
    bool changed = said->changed != WIRE_CHANGED_NOTHING;
    http_headers_add(headers, STR(WIRE_FIELD),
                     arena_printf(arena, "%d; view=%016" PRIx64 "%s%s%s%s%s%s", WIRE_VERSION, said->view,
                                  said->granted ? "; granted" : "", said->record ? "; record" : "",
                                  said->validate ? "; validate" : "", said->cached ? "; cached" : "",
                                  changed ? "; changed=" : "", changes[said->changed]));
    http_headers_add(headers, STR("CDN-Loop"), name_of(own, arena));
}

enum status wire_read_request(const struct http_headers *headers, struct wire_request *said)
{
    struct str rest, name, value;
    *said = (struct wire_request){0};
    enum status status = parameters_of(headers, &rest);
    while (status == STATUS_OK && next_parameter(&rest, &name, &value)) {
        said->granted = said->granted || str_eq(name, STR("granted"));
        said->record = said->record || str_eq(name, STR("record"));
        said->validate = said->validate || str_eq(name, STR("validate"));
        said->cached = said->cached || str_eq(name, STR("cached"));
        if (str_eq(name, STR("changed")))
            said->changed = parse_change(value);
        if (str_eq(name, STR("view")))
            said->view = parse_hex(value);
    }
    return status;
}

bool wire_is_loop(const struct identity *own, const struct http_headers *headers)
{
    struct arena *arena = headers->arena;
    struct str name = name_of(own, arena), field;
    for (unsigned n = 0; (field = http_headers_lookup(headers, STR("CDN-Loop"), n)).ptr != NULL; n++) {
        for (struct str rest = field; rest.ptr != NULL;) {
            struct str passed = str_split(rest, ',', &rest);
            if (str_ieq(str_trim(str_split(passed, ';', &(struct str){NULL, 0})), name))
                return true;
        }
    }
    return false;
}

/* ---- Replies. ---- */

void wire_write_answer(const struct wire_answer *answer, struct http_headers *headers)
{
    struct str length = STR("");
    if (answer->length >= 0)
        length = arena_printf(headers->arena, "; length=%" PRId64, answer->length);
    http_headers_add(headers, STR(WIRE_FIELD),
                     arena_printf(headers->arena, "%d; view=%016" PRIx64 "; grant-age=%" PRId64 "%.*s", WIRE_VERSION,
                                  answer->view, answer->grant_age_ms, STR_ARG(length)));
}

static int64_t number_of(struct str text, int64_t otherwise)
{
    int64_t number;
    return str_to_int(text, &number) && number >= 0 ? number : otherwise;
}

void wire_read_answer(const struct http_headers *headers, struct wire_answer *answer)
{
    struct str rest, name, value;
    *answer = (struct wire_answer){.age_s = number_of(http_headers_get(headers, STR("Age")), 0), .length = -1};
    if (parameters_of(headers, &rest) != STATUS_OK)
        return;
    while (next_parameter(&rest, &name, &value)) {
        if (str_eq(name, STR("grant-age")))
            answer->grant_age_ms = number_of(value, 0);
        else if (str_eq(name, STR("length")))
            answer->length = number_of(value, -1);
        else if (str_eq(name, STR("view")))
            answer->view = parse_hex(value);
    }
}
