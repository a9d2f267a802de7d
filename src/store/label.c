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

enum status label_write(int dir, const struct label *label)
{
    uint8_t bytes[LABEL_SIZE] = {0};
    bytes_put64(bytes, LABEL_MAGIC);
    bytes_put32(bytes + 8, label->format);
    bytes_put32(bytes + 12, label->block_size);
    bytes_put_hash(bytes + 16, label->id);
    bytes_put64(bytes + 32, label->incarnation);
    bytes_put64(bytes + 40, label->map_size);
    bytes_put64(bytes + 48, label->opening);
    bytes_put64(bytes + SUM_AT, hash64(bytes, SUM_AT, 0));
    int fd = openat(dir, LABEL_FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | GUARD_OPEN, 0600);
    if (fd < 0)
        return STATUS_IO;
    bool good = write(fd, bytes, sizeof bytes) == (ssize_t) sizeof bytes && fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return good && renameat(dir, LABEL_FILE_NEW, dir, LABEL_FILE) == 0 && fsync(dir) == 0 ? STATUS_OK : STATUS_IO;
}

enum status label_read(int dir, struct label *label)
{
    uint8_t bytes[LABEL_SIZE];
    int fd = openat(dir, LABEL_FILE, O_RDONLY | GUARD_OPEN);
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
