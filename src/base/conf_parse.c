/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_parse.c: from a YAML document to struct conf, by the tables alone.
 *
 * The whole document is read first (libyaml's document API): errors carry the line of the key or value that they are
 * about, and where everything was given is remembered for the checks across fields.
 */
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/conf_schema.h"
#include "base/mem.h"

struct parser {
    struct conf_reader *reader;
    yaml_document_t *document;
};

static unsigned line_of(const yaml_node_t *node)
{
    return (unsigned) node->start_mark.line + 1;
}

static struct str scalar_text(const yaml_node_t *node)
{
    return (struct str){(const char *) node->data.scalar.value, node->data.scalar.length};
}

__attribute__((format(printf, 4, 5))) static enum status fail(struct parser *parser, unsigned line, const char *path,
                                                              const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    strbuf_addf(parser->reader->error, "%s:%u: %s: %s", parser->reader->file, line, path, text);
    return STATUS_INVALID;
}

void conf_remember(struct conf_reader *reader, const void *at, bool row, unsigned line, const char *path)
{
    if (reader->place_count == reader->place_room) {
        reader->place_room = reader->place_room == 0 ? 64 : reader->place_room * 2;
        reader->places = mem_realloc(reader->places, reader->place_room * sizeof reader->places[0]);
    }
    reader->places[reader->place_count++] = (struct conf_place){at, row, line, mem_strdup(path)};
}

/* ---- Unknown keys ---- */

/* How many letters must be changed, added or left out; both texts are short. */
static unsigned distance(struct str a, struct str b)
{
    unsigned row[33];
    if (a.len > 32 || b.len > 32)
        return UINT32_MAX;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned best = corner + (a.ptr[i - 1] != b.ptr[j - 1]);
            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.len];
}

static enum status fail_unknown(struct parser *parser, const struct conf_section *section, unsigned line,
                                const char *path, struct str key)
{
    struct strbuf allowed = {0};
    const char *near = NULL;
    unsigned nearest = key.len < 5 ? 2 : 3; /* more differences than these are no slip */
    for (unsigned i = 0; i < section->count; i++) {
        unsigned far = distance(key, str_from(section->rows[i].key));
        if (far < nearest) {
            nearest = far;
            near = section->rows[i].key;
        }
        strbuf_addf(&allowed, "%s%s", i == 0 ? "" : ", ", section->rows[i].key);
    }
    enum status status =
        fail(parser, line, path, "unknown key%s%s%s; allowed: %s", near == NULL ? "" : ", did you mean ",
             near == NULL ? "" : near, near == NULL ? "" : "?", allowed.ptr);
    strbuf_free(&allowed);
    return status;
}

/* ---- Values ---- */

static enum status fail_value(struct parser *parser, const struct conf_row *row, unsigned line, const char *path,
                              const char *problem)
{
    struct strbuf allowed = {0};
    conf_value_allowed(row, &allowed);
    enum status status = fail(parser, line, path, "%s; allowed: %s", problem, allowed.ptr);
    strbuf_free(&allowed);
    return status;
}

static enum status parse_scalar(struct parser *parser, const struct conf_row *row, const yaml_node_t *node,
                                const char *path, void *object)
{
    const char *why;
    char problem[160];
    if (node->type != YAML_SCALAR_NODE)
        return fail_value(parser, row, line_of(node), path, "is not a single value");
    struct str text = scalar_text(node);
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (str_eq(text, STR("~")) || str_eq(text, STR("null"))))
        text = STR("");
    if (conf_value_parse(row, text, object, &why))
        return STATUS_OK;
    /* The value is shown, since what stands in a configuration is names of files, not what is in them; but a URL with a
     * user in it or with a query could be a secret. */
    bool secret = row->type == CONF_URL || row->type == CONF_IDENTITY || str_find(text, '?') >= 0;
    if (secret || text.len == 0)
        return fail_value(parser, row, line_of(node), path, why);
    char shown[81];
    size_t len = text.len < sizeof shown - 1 ? text.len : sizeof shown - 1;
    for (size_t i = 0; i < len; i++)
        shown[i] = (unsigned char) text.ptr[i] < 0x20 || (unsigned char) text.ptr[i] >= 0x7f ? '?' : text.ptr[i];
    shown[len] = '\0';
    snprintf(problem, sizeof problem, "'%s' %s", shown, why);
    return fail_value(parser, row, line_of(node), path, problem);
}

static enum status parse_strings(struct parser *parser, const struct conf_row *row, const yaml_node_t *node,
                                 const char *path, void *object)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return parse_scalar(parser, row, node, path, object);
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        enum status status = parse_scalar(parser, row, yaml_document_get_node(parser->document, *item), path, object);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status parse_section(struct parser *parser, const struct conf_section *section, const yaml_node_t *node,
                                 const char *path, void *object);

static enum status parse_list(struct parser *parser, const struct conf_row *row, const yaml_node_t *node,
                              const char *path, void *object)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_value(parser, row, line_of(node), path, "is not a list");
    size_t count = (size_t) (node->data.sequence.items.top - node->data.sequence.items.start);
    if (count > (size_t) row->max)
        return fail(parser, line_of(node), path, "has too many rows; allowed: %d", (int) row->max);
    /* Allocated once: fields are remembered by their addresses. */
    char *items = mem_calloc(count, row->section->size);
    *(void **) conf_field(row, object) = items;
    *(unsigned *) (void *) ((char *) object + row->counter) = (unsigned) count;
    for (size_t i = 0; i < count; i++) {
        char sub[256];
        snprintf(sub, sizeof sub, "%.120s[%u]", path, (unsigned) i);
        const yaml_node_t *item = yaml_document_get_node(parser->document, node->data.sequence.items.start[i]);
        enum status status = parse_section(parser, row->section, item, sub, items + i * row->section->size);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status parse_row(struct parser *parser, const struct conf_row *row, const yaml_node_t *node,
                             const char *path, void *object)
{
    switch (row->type) {
    case CONF_LIST:
        return parse_list(parser, row, node, path, object);
    case CONF_STRINGS:
        return parse_strings(parser, row, node, path, object);
    case CONF_MAP: {
        void *made = mem_calloc(1, row->section->size);
        *(void **) conf_field(row, object) = made;
        return parse_section(parser, row->section, node, path, made);
    }
    default:
        return parse_scalar(parser, row, node, path, object);
    }
}

static const struct conf_row *find_row(const struct conf_section *section, struct str key)
{
    for (unsigned i = 0; i < section->count; i++)
        if (str_eq(key, str_from(section->rows[i].key)))
            return &section->rows[i];
    return NULL;
}

static void note_pending(struct parser *parser, unsigned line, const char *path)
{
    struct strbuf note = {0};
    strbuf_addf(&note, "%s:%u: %s: has no effect in this version", parser->reader->file, line, path);
    conf_strings_add(&parser->reader->conf->notes, strbuf_str(&note));
    strbuf_free(&note);
}

static enum status parse_pair(struct parser *parser, const struct conf_section *section, const yaml_node_pair_t *pair,
                              const char *path, void *object, uint64_t *seen)
{
    const yaml_node_t *key = yaml_document_get_node(parser->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(parser->document, pair->value);
    char sub[256];
    if (key->type != YAML_SCALAR_NODE)
        return fail(parser, line_of(key), path[0] == '\0' ? "configuration" : path,
                    "a key is not a single value; allowed: a name");
    struct str name = scalar_text(key);
    int shown = (int) (name.len < 64 ? name.len : 64);
    snprintf(sub, sizeof sub, "%.120s%s%.*s", path, path[0] == '\0' ? "" : ".", shown, name.ptr);
    for (char *at = sub; *at != '\0'; at++)
        if ((unsigned char) *at < 0x20 || (unsigned char) *at >= 0x7f)
            *at = '?';
    const struct conf_row *row = find_row(section, name);
    if (row == NULL)
        return fail_unknown(parser, section, line_of(key), sub, name);
    uint64_t bit = UINT64_C(1) << (row - section->rows);
    if (*seen & bit)
        return fail(parser, line_of(key), sub, "is given twice; allowed: once");
    *seen |= bit;
    conf_remember(parser->reader, conf_field(row, object), false, line_of(value), sub);
    if (row->pending)
        note_pending(parser, line_of(key), sub);
    return parse_row(parser, row, value, sub, object);
}

static enum status parse_section(struct parser *parser, const struct conf_section *section, const yaml_node_t *node,
                                 const char *path, void *object)
{
    uint64_t seen = 0;
    _Static_assert(sizeof seen * 8 >= 64, "a section has at most 64 rows");
    const char *shown = path[0] == '\0' ? "configuration" : path;
    conf_section_defaults(section, object);
    if (node->type != YAML_MAPPING_NODE)
        return fail(parser, line_of(node), shown, "is not a mapping; allowed: key: value");
    conf_remember(parser->reader, object, true, line_of(node), shown);
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        enum status status = parse_pair(parser, section, pair, path, object, &seen);
        if (status != STATUS_OK)
            return status;
    }
    for (unsigned i = 0; i < section->count; i++) {
        const struct conf_row *row = &section->rows[i];
        if (conf_required(row) && !(seen & UINT64_C(1) << i)) {
            char sub[256];
            snprintf(sub, sizeof sub, "%.120s.%s", shown, row->key);
            return fail_value(parser, row, line_of(node), sub, "is missing");
        }
    }
    return STATUS_OK;
}

/* ---- The document ---- */

static enum status fail_yaml(struct parser *parser, const yaml_parser_t *yaml)
{
    return fail(parser, (unsigned) yaml->problem_mark.line + 1, "syntax", "%s; allowed: YAML",
                yaml->problem == NULL ? "not YAML" : yaml->problem);
}

static enum status parse_document(struct parser *parser, yaml_parser_t *yaml)
{
    yaml_node_t *root = yaml_document_get_root_node(parser->document);
    if (root == NULL && parser->reader->conf->file != NULL)
        return fail(parser, 1, "configuration", "is empty; allowed: key: value, or {} for the built-in defaults");
    if (root == NULL) {
        conf_section_defaults(&conf_top, parser->reader->conf);
        return STATUS_OK;
    }
    enum status status = parse_section(parser, &conf_top, root, "", parser->reader->conf);
    if (status != STATUS_OK)
        return status;
    yaml_document_t second;
    if (!yaml_parser_load(yaml, &second))
        return fail_yaml(parser, yaml);
    yaml_node_t *more = yaml_document_get_root_node(&second);
    if (more != NULL)
        status = fail(parser, line_of(more), "syntax", "a second document; allowed: one");
    yaml_document_delete(&second);
    return status;
}

enum status conf_parse(struct conf_reader *reader, struct str text)
{
    yaml_parser_t yaml;
    yaml_document_t document;
    struct parser parser = {reader, &document};
    if (!yaml_parser_initialize(&yaml))
        mem_die("libyaml");
    yaml_parser_set_input_string(&yaml, (const unsigned char *) (text.len == 0 ? "" : text.ptr), text.len);
    enum status status;
    if (!yaml_parser_load(&yaml, &document)) {
        status = fail_yaml(&parser, &yaml);
    } else {
        status = parse_document(&parser, &yaml);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&yaml);
    return status;
}
