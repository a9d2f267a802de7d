/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: stat and read. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t ns_of(struct timespec time)
{
    return (int64_t) time.tv_sec * 1000000000 + time.tv_nsec;
}

struct file_stamp file_stamp_of(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return (struct file_stamp){0};
    return (struct file_stamp){
        .device = info.st_dev,
        .inode = info.st_ino,
        .size = info.st_size,
        .modified_ns = ns_of(info.st_mtim),
        .changed_ns = ns_of(info.st_ctim),
    };
}

bool file_stamp_eq(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

/* Absolute, without ".", ".." and doubled slashes. */
static void normalize(const char *path, struct strbuf *out)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    struct strbuf whole = {0};
    strbuf_addf(&whole, "%s/%s", here == NULL ? "" : here, path);
    free(here);
    for (struct str part, rest = strbuf_str(&whole); rest.ptr != NULL;) {
        part = str_split(rest, '/', &rest);
        if (part.len == 0 || str_eq(part, STR(".")))
            continue;
        if (!str_eq(part, STR(".."))) {
            strbuf_addf(out, "/%.*s", STR_ARG(part));
            continue;
        }
        while (out->len > 0 && out->ptr[--out->len] != '/')
            ;
    }
    strbuf_free(&whole);
}

bool file_same_place(const char *a, const char *b)
{
    struct stat left, right;
    if (stat(a, &left) == 0 && stat(b, &right) == 0)
        return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
    struct strbuf first = {0}, second = {0};
    normalize(a, &first);
    normalize(b, &second);
    bool same = str_eq(strbuf_str(&first), strbuf_str(&second));
    strbuf_free(&first);
    strbuf_free(&second);
    return same;
}

static enum status read_all(int fd, size_t max, struct strbuf *text)
{
    char *at = strbuf_reserve(text, max + 1);
    while (text->len <= max) {
        ssize_t got = read(fd, at + text->len, max + 1 - text->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return STATUS_IO;
        if (got == 0)
            return STATUS_OK;
        text->len += (size_t) got;
    }
    return STATUS_TOO_LARGE;
}

enum status file_read(const char *path, size_t max, struct strbuf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    enum status status = read_all(fd, max, text);
    int why = errno;
    close(fd);
    if (status != STATUS_OK)
        strbuf_wipe(text);
    else
        strbuf_adds(text, STR("")); /* its NUL */
    errno = why;
    return status;
}
