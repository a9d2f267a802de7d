/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c: loading, freeing and asking the configuration. */
#include "base/conf.h"

#include <errno.h>
#include <stdio.h>

#include "base/conf_schema.h"
#include "base/mem.h"

#define FILE_MAX ((size_t) 4 * 1024 * 1024)
#define DEFAULT_DFS "https://{account}.dfs.core.windows.net"

static enum status read_file(const char *file, struct strbuf *text, struct strbuf *error)
{
    FILE *in = fopen(file, "rbe");
    if (in == NULL) {
        strbuf_addf(error, "%s:0: file: cannot be read: %s; allowed: a readable YAML file", file, strerror(errno));
        return STATUS_NOT_FOUND;
    }
    size_t got;
    do {
        char *at = strbuf_reserve(text, 65536);
        got = fread(at, 1, 65536, in);
        text->len += got;
    } while (got > 0 && text->len <= FILE_MAX);
    bool failed = ferror(in) != 0;
    int why = errno;
    fclose(in);
    if (failed || text->len > FILE_MAX) {
        strbuf_addf(error, "%s:0: file: %s; allowed: a YAML file of at most 4MiB", file,
                    failed ? strerror(why) : "is too large");
        return failed ? STATUS_IO : STATUS_TOO_LARGE;
    }
    return STATUS_OK;
}

/* What the tables cannot say: the lists that are there without a file, and Azure's own Data Lake endpoint for an
 * account whose origin was not given either. */
static void complete(struct conf_reader *reader)
{
    struct conf *conf = reader->conf;
    if (conf->listen == NULL) {
        conf->listen = mem_calloc(1, sizeof conf->listen[0]);
        conf->listen_count = 1;
        conf->listen[0].address = mem_strdup("127.0.0.1:8080");
    }
    if (conf->accounts == NULL) {
        const struct conf_row *row = conf_top.rows;
        while (row->offset != offsetof(struct conf, accounts))
            row++;
        conf->accounts = mem_calloc(1, sizeof conf->accounts[0]);
        conf->account_count = 1;
        conf_section_defaults(row->section, &conf->accounts[0]);
        conf->accounts[0].name = mem_strdup("*");
        conf_remember(reader, &conf->accounts[0], true, 0, "accounts[0]");
    }
    for (unsigned i = 0; i < conf->account_count; i++) {
        struct conf_account *account = &conf->accounts[i];
        bool given = false;
        for (unsigned j = 0; j < reader->place_count; j++)
            given = given || (reader->places[j].at == &account->origin && !reader->places[j].row);
        if (!given && account->dfs_origin == NULL)
            account->dfs_origin = mem_strdup(DEFAULT_DFS);
    }
}

enum status conf_load(const char *file, struct conf **conf, struct strbuf *error)
{
    struct conf_reader reader = {.file = file == NULL ? "(defaults)" : file, .error = error};
    struct strbuf text = {0};
    enum status status = STATUS_OK;
    *conf = NULL;
    if (file != NULL)
        status = read_file(file, &text, error);
    if (status == STATUS_OK) {
        reader.conf = mem_calloc(1, sizeof *reader.conf);
        if (file != NULL)
            reader.conf->file = mem_strdup(file);
        status = conf_parse(&reader, strbuf_str(&text));
        if (status == STATUS_OK) {
            complete(&reader);
            status = conf_check(&reader);
        }
    }
    if (status == STATUS_OK)
        *conf = reader.conf;
    else
        conf_free(reader.conf);
    for (unsigned i = 0; i < reader.place_count; i++)
        mem_free(reader.places[i].path);
    mem_free(reader.places);
    strbuf_free(&text);
    return status;
}

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    conf_section_fini(&conf_top, conf);
    conf_strings_fini(&conf->notes);
    mem_free(conf->file);
    mem_free(conf);
}

int64_t conf_freshness(const struct conf_account *account, struct str container)
{
    for (unsigned i = 0; i < account->container_count; i++)
        if (str_eq(str_from(account->containers[i].name), container) && account->containers[i].freshness >= 0)
            return account->containers[i].freshness;
    return account->freshness;
}
