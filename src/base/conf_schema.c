/* SPDX-License-Identifier: Apache-2.0 */
/* conf_schema.c: the rows of conf_table.h as arrays, and what can be done to a section by them alone. */
#include "base/conf_schema.h"

#include <assert.h>

#include "base/conf_table.h"
#include "base/mem.h"

static const struct conf_section section_LISTEN, section_STORE, section_ACCOUNT, section_CONTAINER, section_POOL,
    section_REGION;

#define REQUIRED CONF_REQUIRED
#define PENDING .pending = true
#define X(k, t, d, lo, hi, w, ...)                                                                                     \
    {.key = #k,                                                                                                        \
     .type = CONF_##t,                                                                                                 \
     .offset = offsetof(STRUCT, k),                                                                                    \
     .fallback = d,                                                                                                    \
     .min = lo,                                                                                                        \
     .max = hi,                                                                                                        \
     .words = w,                                                                                                       \
     .help = __VA_ARGS__},
#define L(k, s, c, most, h)                                                                                            \
    {.key = #k,                                                                                                        \
     .type = CONF_LIST,                                                                                                \
     .offset = offsetof(STRUCT, k),                                                                                    \
     .counter = offsetof(STRUCT, c),                                                                                   \
     .max = most,                                                                                                      \
     .help = h,                                                                                                        \
     .section = &section_##s},
#define M(k, s, ...)                                                                                                   \
    {.key = #k, .type = CONF_MAP, .offset = offsetof(STRUCT, k), .section = &section_##s, .help = __VA_ARGS__},
#define SECTION(rows)                                                                                                  \
    {                                                                                                                  \
        sizeof(STRUCT), rows, sizeof rows / sizeof rows[0]                                                             \
    }

#define STRUCT struct conf
static const struct conf_row rows_top[] = {CONF_TOP_TABLE(X, L, M)};
const struct conf_section conf_top = SECTION(rows_top);
#undef STRUCT
#define STRUCT struct conf_listen
static const struct conf_row rows_listen[] = {CONF_LISTEN_TABLE(X, L, M)};
static const struct conf_section section_LISTEN = SECTION(rows_listen);
#undef STRUCT
#define STRUCT struct conf_store
static const struct conf_row rows_store[] = {CONF_STORE_TABLE(X, L, M)};
static const struct conf_section section_STORE = SECTION(rows_store);
#undef STRUCT
#define STRUCT struct conf_account
static const struct conf_row rows_account[] = {CONF_ACCOUNT_TABLE(X, L, M)};
static const struct conf_section section_ACCOUNT = SECTION(rows_account);
#undef STRUCT
#define STRUCT struct conf_container
static const struct conf_row rows_container[] = {CONF_CONTAINER_TABLE(X, L, M)};
static const struct conf_section section_CONTAINER = SECTION(rows_container);
#undef STRUCT
#define STRUCT struct conf_pool
static const struct conf_row rows_pool[] = {CONF_POOL_TABLE(X, L, M)};
static const struct conf_section section_POOL = SECTION(rows_pool);
#undef STRUCT
#define STRUCT struct conf_region
static const struct conf_row rows_region[] = {CONF_REGION_TABLE(X, L, M)};
static const struct conf_section section_REGION = SECTION(rows_region);
#undef STRUCT

void conf_section_defaults(const struct conf_section *section, void *object)
{
    for (unsigned i = 0; i < section->count; i++) {
        const struct conf_row *row = &section->rows[i];
        const char *problem;
        if (row->fallback != NULL && !conf_required(row)) {
            bool good = conf_value_parse(row, str_from(row->fallback), object, &problem);
            assert(good);
            (void) good;
        } else if (row->fallback == NULL && conf_is_number(row->type)) {
            *(int64_t *) conf_field(row, object) = -1;
        }
    }
}

static void list_fini(const struct conf_row *row, void *object)
{
    unsigned *count = (unsigned *) (void *) ((char *) object + row->counter);
    char **items = conf_field(row, object);
    for (unsigned i = 0; i < *count; i++)
        conf_section_fini(row->section, *items + i * row->section->size);
    mem_free(*items);
    *items = NULL;
    *count = 0;
}

void conf_strings_fini(struct conf_strings *strings)
{
    for (unsigned i = 0; i < strings->count; i++)
        mem_free(strings->items[i]);
    mem_free(strings->items);
    *strings = (struct conf_strings){NULL, 0};
}

void conf_section_fini(const struct conf_section *section, void *object)
{
    for (unsigned i = 0; i < section->count; i++) {
        const struct conf_row *row = &section->rows[i];
        void *field = conf_field(row, object);
        if (row->type == CONF_LIST) {
            list_fini(row, object);
        } else if (row->type == CONF_STRINGS) {
            conf_strings_fini(field);
        } else if (row->type == CONF_MAP) {
            if (*(void **) field != NULL)
                conf_section_fini(row->section, *(void **) field);
            mem_free(*(void **) field);
            *(void **) field = NULL;
        } else if (conf_is_text(row->type)) {
            mem_free(*(char **) field);
            *(char **) field = NULL;
        }
    }
}
