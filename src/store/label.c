/* SPDX-License-Identifier: Apache-2.0 */
/* label.c: a label's 64 bytes. */
#include "store/label.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "store/guard.h"

/* Little-endian: magic, format (4), block size (4), id (16), incarnation (8), map size, opening,
 * XXH3-64 of all before. */
#define LABEL_MAGIC UINT64_C(0x31425364506f7048) /* "HpoPdSB1" */
#define LABEL_SIZE 64
#define SUM_AT 56

/* The file and its copy, and what each is written as. */
static const struct {
    const char *name, *new_name;
} files[] = {{LABEL_FILE, LABEL_FILE_NEW}, {LABEL_COPY, LABEL_COPY_NEW}};

static void encode(const struct label *label, uint8_t bytes[LABEL_SIZE])
{
    bytes_put64(bytes, LABEL_MAGIC);
    bytes_put32(bytes + 8, label->format);
    bytes_put32(bytes + 12, label->block_size);
    bytes_put_hash(bytes + 16, label->id);
    bytes_put64(bytes + 32, label->incarnation);
    bytes_put64(bytes + 40, label->map_size);
    bytes_put64(bytes + 48, label->opening);
    bytes_put64(bytes + SUM_AT, hash64(bytes, SUM_AT, 0));
}

static bool write_file(int dir, const char *name, const uint8_t bytes[LABEL_SIZE])
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | GUARD_OPEN, 0600);
    if (fd < 0)
        return false;
    bool good = write(fd, bytes, LABEL_SIZE) == LABEL_SIZE && fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return good;
}

enum status label_write(int dir, const struct label *label)
{
    uint8_t bytes[LABEL_SIZE] = {0};
    encode(label, bytes);
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        if (!write_file(dir, files[i].new_name, bytes) || renameat(dir, files[i].new_name, dir, files[i].name) != 0)
            return STATUS_IO;
    return fsync(dir) == 0 ? STATUS_OK : STATUS_IO;
}

static enum status read_file(int dir, const char *name, struct label *label)
{
    uint8_t bytes[LABEL_SIZE];
    int fd = openat(dir, name, O_RDONLY | GUARD_OPEN);
    if (fd < 0)
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    ssize_t got = read(fd, bytes, sizeof bytes);
    int error = errno;
    close(fd);
    errno = error;
    if (got < 0)
        return STATUS_IO;
    if (got != (ssize_t) sizeof bytes || bytes_get64(bytes) != LABEL_MAGIC ||
        bytes_get64(bytes + SUM_AT) != hash64(bytes, SUM_AT, 0))
        return STATUS_CORRUPT;
    *label = (struct label){.format = bytes_get32(bytes + 8),
                            .block_size = bytes_get32(bytes + 12),
                            .id = bytes_get_hash(bytes + 16),
                            .incarnation = (uint32_t) bytes_get64(bytes + 32),
                            .map_size = bytes_get64(bytes + 40),
                            .opening = bytes_get64(bytes + 48)};
    return STATUS_OK;
}

/* A crash came between them, or a version that knows no copy wrote the file alone. */
static bool is_later(const struct label *label, const struct label *than)
{
    return label->incarnation != than->incarnation ? label->incarnation > than->incarnation
                                                   : label->opening > than->opening;
}

enum status label_read(int dir, struct label *label, const char **damaged)
{
    struct label copy;
    *damaged = NULL;
    enum status first = read_file(dir, LABEL_FILE, label);
    int error = errno;
    enum status second = read_file(dir, LABEL_COPY, &copy);
    if (first == STATUS_OK) {
        *damaged = second == STATUS_OK || second == STATUS_NOT_FOUND ? NULL : LABEL_COPY;
        if (second == STATUS_OK && is_later(&copy, label))
            *label = copy;
        return STATUS_OK;
    }
    if (second == STATUS_OK) {
        *damaged = LABEL_FILE;
        *label = copy;
        return STATUS_OK;
    }
    /* Whether there are only damaged ones, or none, is known only when both could be read. */
    if (first == STATUS_IO)
        errno = error;
    if (first == STATUS_IO || second == STATUS_IO)
        return STATUS_IO;
    return first == STATUS_CORRUPT ? first : second;
}
