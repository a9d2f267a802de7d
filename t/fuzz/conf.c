/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.c: configurations. One that loads is dumped, and the dump loads to the same; one that does not is refused in one
 * line, with the file's name and no query of a URL in it.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/log.h"
#include "fuzz.h"

/* A file in memory, opened anew by its name for each reading. */
static const char *file_of(struct str text)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("conf", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        log_set_level(LOG_ERROR); /* a pool is remarked on */
    }
    fuzz_check(fd >= 0 && ftruncate(fd, 0) == 0);
    fuzz_check(text.len == 0 || pwrite(fd, text.ptr, text.len, 0) == (ssize_t) text.len);
    return path;
}

static void check_refusal(const char *path, struct str error)
{
    fuzz_check(str_starts(error, str_from(path)) && error.len < 8192);
    fuzz_check(str_find(error, '\n') < 0);
}

static void check_values(const struct conf *conf)
{
    fuzz_check(conf->listen_count > 0 && conf->listen_count <= 64 && conf->store_count <= 64);
    fuzz_check(conf->memory > 0 && (conf->block_size & (conf->block_size - 1)) == 0);
    for (unsigned i = 0; i < conf->account_count; i++) {
        const struct conf_account *account = &conf->accounts[i];
        fuzz_check(account->name != NULL && account->origin != NULL && account->freshness >= 0);
        fuzz_check(account->authorize != CONF_AUTHORIZE_KEY || account->key_file != NULL);
        for (unsigned k = 0; k < i; k++)
            fuzz_check(strcmp(conf->accounts[k].name, account->name) != 0);
        for (unsigned k = 0; k < account->container_count; k++)
            fuzz_check(conf_freshness(account, str_from(account->containers[k].name)) >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf error = {0}, dump = {0}, second = {0};
    struct conf *conf, *again;
    const char *path = file_of(fuzz_input(data, size));
    if (conf_load(path, &conf, &error) != STATUS_OK) {
        fuzz_check(conf == NULL);
        check_refusal(path, strbuf_str(&error));
    } else {
        fuzz_check(error.len == 0);
        check_values(conf);
        conf_dump(conf, &dump);
        enum status status = conf_load(file_of(strbuf_str(&dump)), &again, &error);
        if (status != STATUS_OK)
            fprintf(stderr, "%s\n%s\n", error.ptr, dump.ptr);
        fuzz_check(status == STATUS_OK);
        conf_dump(again, &second);
        fuzz_check(str_eq(strbuf_str(&dump), strbuf_str(&second)));
        conf_free(again);
    }
    conf_free(conf);
    strbuf_free(&error);
    strbuf_free(&dump);
    strbuf_free(&second);
    return 0;
}
