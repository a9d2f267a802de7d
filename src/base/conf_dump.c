/* SPDX-License-Identifier: Apache-2.0 */
/* conf_dump.c: the configuration as YAML, and the commented sample, both by the tables. */
#include "base/conf_schema.h"

static void indent(struct strbuf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        strbuf_adds(out, STR("  "));
}

/* The number of the character that `text` begins with, when YAML does not take it as it is, or takes it for a line's
 * end; *size: its bytes. 0: it may stand as it is. */
static unsigned to_be_escaped(struct str text, size_t *size)
{
    const unsigned char *at = (const unsigned char *) text.ptr;
    *size = 1;
    if (at[0] < 0x20 || at[0] == 0x7f)
        return at[0];
    if (text.len >= 2 && at[0] == 0xc2 && at[1] < 0xa0) {
        *size = 2;
        return at[1];
    }
    if (text.len < 3 || (at[0] & 0xf0) != 0xe0)
        return 0;
    unsigned code = (at[0] & 15u) << 12 | (at[1] & 63u) << 6 | (at[2] & 63u);
    *size = 3;
    return code == 0x2028 || code == 0x2029 || code == 0xfeff || code >= 0xfffe ? code : 0;
}

/* A double-quoted YAML scalar; what needs no quotes goes without. */
static void add_quoted(struct strbuf *out, struct str text)
{
    bool plain = text.len > 0 && !str_eq(text, STR("null")); /* which would be no text at all */
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        plain = plain && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
    }
    if (plain) {
        strbuf_adds(out, text);
        return;
    }
    strbuf_adds(out, STR("\""));
    for (size_t i = 0, size = 1; i < text.len; i += size) {
        char c = text.ptr[i];
        unsigned code = to_be_escaped((struct str){text.ptr + i, text.len - i}, &size);
        if (code != 0) {
            strbuf_addf(out, "\\u%04x", code);
            continue;
        }
        size = 1;
        if (c == '"' || c == '\\')
            strbuf_adds(out, STR("\\"));
        strbuf_add(out, &c, 1); /* UTF-8 passes: it came from YAML */
    }
    strbuf_adds(out, STR("\""));
}

static void dump_section(struct strbuf *out, const struct conf_section *section, const void *object, unsigned depth,
                         bool in_list);

static void dump_row(struct strbuf *out, const struct conf_row *row, const void *object, unsigned depth)
{
    const void *field = (const char *) object + row->offset;
    struct strbuf value = {0};
    if (row->type == CONF_LIST) {
        unsigned count = *(const unsigned *) (const void *) ((const char *) object + row->counter);
        strbuf_addf(out, "%s:%s\n", row->key, count == 0 ? " []" : "");
        for (unsigned i = 0; i < count; i++)
            dump_section(out, row->section, *(const char *const *) field + i * row->section->size, depth + 1, true);
    } else if (row->type == CONF_MAP) {
        strbuf_addf(out, "%s:\n", row->key);
        dump_section(out, row->section, *(void *const *) field, depth + 1, false);
    } else if (row->type == CONF_STRINGS) {
        const struct conf_strings *strings = field;
        strbuf_addf(out, "%s: [", row->key);
        for (unsigned i = 0; i < strings->count; i++) {
            strbuf_adds(out, i == 0 ? STR("") : STR(", "));
            add_quoted(out, str_from(strings->items[i]));
        }
        strbuf_adds(out, STR("]\n"));
    } else if (conf_value_format(row, object, &value)) {
        strbuf_addf(out, "%s: ", row->key);
        add_quoted(out, strbuf_str(&value));
        strbuf_adds(out, STR("\n"));
    }
    strbuf_free(&value);
}

/* Whether there is anything to write; an unset text or map is left out. */
static bool is_set(const struct conf_row *row, const void *object)
{
    const void *field = (const char *) object + row->offset;
    if (row->type == CONF_MAP || conf_is_text(row->type))
        return *(void *const *) field != NULL;
    return !conf_is_number(row->type) || *(const int64_t *) field >= 0;
}

static void dump_section(struct strbuf *out, const struct conf_section *section, const void *object, unsigned depth,
                         bool in_list)
{
    bool first = true;
    for (unsigned i = 0; i < section->count; i++) {
        if (!is_set(&section->rows[i], object))
            continue;
        indent(out, first && in_list ? depth - 1 : depth);
        strbuf_adds(out, first && in_list ? STR("- ") : STR(""));
        dump_row(out, &section->rows[i], object, depth);
        first = false;
    }
}

void conf_dump(const struct conf *conf, struct strbuf *out)
{
    dump_section(out, &conf_top, conf, 0, false);
}

/* ---- The sample ---- */

/* What to show for a row without a default. */
static const char *example_of(const struct conf_row *row)
{
    static const struct {
        const char *key;
        const char *value;
    } examples[] = {
        {"address", "\"0.0.0.0:8443\""},
        {"certificate", "tls.crt"},
        {"key", "tls.key"},
        {"path", "/var/cache/headpond"},
        {"size", "100GiB"},
        {"dfs_origin", "\"https://{account}.dfs.core.windows.net\""},
        {"key_file", "account.key"},
        {"origin_ca", "ca.crt"},
        {"freshness", "immutable"},
        {"reserve", "10GiB"},
        {"limit", "50GiB"},
        {"node", "pond-0"},
        {"region", "westeurope"},
        {"ca", "pool-ca.crt"},
        {"members", "[\"pond-0=10.1.0.4:8444\", \"pond-1=10.1.0.5:8444\"]"},
        {"name", "main"},
    };
    for (unsigned i = 0; i < sizeof examples / sizeof examples[0]; i++)
        if (strcmp(row->key, examples[i].key) == 0)
            return examples[i].value;
    return "";
}

static void sample_section(struct strbuf *out, const struct conf_section *section, unsigned depth, bool in_list);

/* Rows of lists and maps are shown commented out: a file that gives none of them has the built-in defaults. So is what
 * has no effect yet, which -t would tell of. */
static void sample_row(struct strbuf *out, const struct conf_row *row, unsigned depth, bool first_of_item)
{
    bool top = depth == 0;
    const char *pending = row->pending ? " Without effect yet." : "";
    if (top)
        strbuf_addf(out, "\n# %s%s\n", row->help, pending);
    bool nested = row->type == CONF_LIST || row->type == CONF_MAP;
    strbuf_adds(out, !top || nested || row->pending ? STR("#") : STR(""));
    indent(out, first_of_item ? depth - 1 : depth);
    strbuf_adds(out, first_of_item ? STR("- ") : STR(""));
    if (nested) {
        if (top)
            strbuf_addf(out, "%s:\n", row->key);
        else
            strbuf_addf(out, "%s:  # %s%s\n", row->key, row->help, pending);
        sample_section(out, row->section, depth + 1, row->type == CONF_LIST);
        return;
    }
    struct strbuf allowed = {0};
    conf_value_allowed(row, &allowed);
    strbuf_addf(out, "%s: ", row->key);
    if (row->fallback == NULL || conf_required(row))
        strbuf_adds(out, str_from(example_of(row)));
    else
        add_quoted(out, str_from(row->fallback));
    if (top)
        strbuf_addf(out, "  # %s\n", allowed.ptr);
    else
        strbuf_addf(out, "  # %s%s%s\n", row->help, pending,
                    conf_required(row)      ? " Required."
                    : row->fallback == NULL ? " Default: none."
                                            : "");
    strbuf_free(&allowed);
}

static void sample_section(struct strbuf *out, const struct conf_section *section, unsigned depth, bool in_list)
{
    for (unsigned i = 0; i < section->count; i++)
        sample_row(out, &section->rows[i], depth, in_list && i == 0);
}

void conf_sample(struct strbuf *out)
{
    strbuf_adds(
        out, STR("# headpond.yaml: every option with its default. Generated from src/base/conf_table.h; `make check` "
                 "compares.\n"
                 "# Sizes: 64KiB, 1GB or plain bytes. Times: 200ms, 5s, 1h. File names are relative to where headpond "
                 "runs,\n# which is the folder of this file for the systemd unit.\n"
                 "# Without listen there is one on 127.0.0.1:8080; without accounts there is one row named \"*\".\n"));
    sample_section(out, &conf_top, 0, false);
}
