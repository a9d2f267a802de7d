/* SPDX-License-Identifier: Apache-2.0 */
/* conf_schema.h: conf_table.h as data, and the texts of single values. For conf*.c only. Start of the process, one
 * thread. */
#ifndef HEADPOND_BASE_CONF_SCHEMA_H
#define HEADPOND_BASE_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/str.h"

enum conf_type {
    CONF_PATH,
    CONF_ADDRESS,
    CONF_URL,
    CONF_ACCOUNT,
    CONF_CONTAINER,
    CONF_LABEL,
    CONF_IDENTITY, /* up to here: char * */
    CONF_WORD,     /* an enum */
    CONF_BOOL,
    CONF_INT, /* from here: int64_t */
    CONF_SIZE,
    CONF_DURATION,
    CONF_FRESHNESS,
    CONF_STRINGS, /* struct conf_strings */
    CONF_LIST,    /* pointer to an array of sections, and a counter */
    CONF_MAP,     /* pointer to a section, or NULL */
};

#define CONF_REQUIRED "\001"

struct conf_section;

struct conf_row {
    const char *key;
    enum conf_type type;
    size_t offset;        /* of the field */
    size_t counter;       /* LIST: of the counting field */
    const char *fallback; /* NULL: none; CONF_REQUIRED: must be given */
    int64_t min, max;     /* LIST: max is the most rows */
    const char *words;    /* WORD: "a|b" */
    const char *help;
    bool pending;                       /* nothing acts on it yet */
    const struct conf_section *section; /* LIST, MAP */
};

struct conf_section {
    size_t size; /* of the struct */
    const struct conf_row *rows;
    unsigned count;
};

extern const struct conf_section conf_top;

static inline void *conf_field(const struct conf_row *row, void *object)
{
    return (char *) object + row->offset;
}

static inline bool conf_required(const struct conf_row *row)
{
    return row->fallback != NULL && row->fallback[0] == CONF_REQUIRED[0];
}

static inline bool conf_is_text(enum conf_type type)
{
    return type <= CONF_IDENTITY;
}

static inline bool conf_is_number(enum conf_type type)
{
    return type >= CONF_INT && type <= CONF_FRESHNESS;
}

/* Sets every field of a section that has a default. `object` is zeroed. */
void conf_section_defaults(const struct conf_section *section, void *object);
/* Frees what the fields point to, not the object. */
void conf_section_fini(const struct conf_section *section, void *object);

/* Reads one scalar into its field; false with a few words in *problem. Not for LIST, MAP. STRINGS: adds one. */
bool conf_value_parse(const struct conf_row *row, struct str text, void *object, const char **problem);
/* The scalar in a form that conf_value_parse reads back to the same, unquoted; false when the field is unset. */
bool conf_value_format(const struct conf_row *row, const void *object, struct strbuf *out);
void conf_strings_add(struct conf_strings *strings, struct str text);
void conf_strings_fini(struct conf_strings *strings);
/* What may stand there, for people. */
void conf_value_allowed(const struct conf_row *row, struct strbuf *out);

/* Where in the file a field or a whole row was given, for the checks across fields. */
struct conf_place {
    const void *at;
    bool row;
    unsigned line;
    char *path; /* "accounts[0].origin" */
};

struct conf_reader {
    const char *file;
    struct conf *conf;
    struct strbuf *error;
    struct conf_place *places;
    unsigned place_count;
    unsigned place_room;
};

/* Line 0: given nowhere. */
void conf_remember(struct conf_reader *reader, const void *at, bool row, unsigned line, const char *path);
/* YAML into reader->conf, defaults included. INVALID with reader->error. */
enum status conf_parse(struct conf_reader *reader, struct str text) STATUS_CHECKED;
/* The checks across fields. INVALID with reader->error. */
enum status conf_check(struct conf_reader *reader) STATUS_CHECKED;

#endif
