/* SPDX-License-Identifier: Apache-2.0 */
/* power_disk.c: a disk's content in memory: changes made to it, all or some of them, and the way out to a directory. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "power_log.h"

#define PAGE 4096

void power_disk_init(struct power_disk *disk)
{
    memset(disk, 0, sizeof *disk);
    disk->files[POWER_ROOT] = (struct power_file){.used = true, .directory = true};
}

void power_disk_free(struct power_disk *disk)
{
    for (unsigned i = 0; i < POWER_FILES; i++)
        free(disk->files[i].bytes);
    memset(disk, 0, sizeof *disk);
}

void power_disk_copy(struct power_disk *to, const struct power_disk *from)
{
    *to = *from;
    for (unsigned i = 0; i < POWER_FILES; i++) {
        struct power_file *file = &to->files[i];
        if (file->bytes == NULL)
            continue;
        file->bytes = malloc(file->room);
        if (file->bytes == NULL)
            abort();
        memcpy(file->bytes, from->files[i].bytes, file->room);
    }
}

struct power_entry *power_disk_find(struct power_disk *disk, unsigned dir, const char *name)
{
    for (unsigned i = 0; i < POWER_FILES; i++)
        if (disk->entries[i].used && disk->entries[i].dir == dir && strcmp(disk->entries[i].name, name) == 0)
            return &disk->entries[i];
    return NULL;
}

/* ---- Changes. ---- */

static void file_resize(struct power_file *file, size_t size)
{
    if (size > file->room) {
        size_t room = size < 2 * file->room ? 2 * file->room : size;
        file->bytes = realloc(file->bytes, room);
        if (file->bytes == NULL)
            abort();
        memset(file->bytes + file->room, 0, room - file->room);
        file->room = room;
    }
    if (size < file->size)
        memset(file->bytes + size, 0, file->size - size);
    file->size = size;
}

static void file_put(struct power_file *file, uint64_t offset, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    if (offset + size > file->size)
        file_resize(file, offset + size);
    memcpy(file->bytes + offset, data, size);
}

static void apply_name(struct power_disk *disk, const struct power_op *op)
{
    struct power_entry *entry = power_disk_find(disk, op->dir, op->name);
    struct power_entry *other = op->kind == POWER_RENAME ? power_disk_find(disk, op->dir, op->to) : NULL;
    switch (op->kind) {
    case POWER_UNLINK:
        if (entry != NULL)
            entry->used = false;
        return;
    case POWER_RENAME:
        if (entry == NULL)
            return;
        if (other != NULL)
            other->used = false;
        snprintf(entry->name, sizeof entry->name, "%s", op->to);
        return;
    default:
        break;
    }
    /* A name whose earlier removal was lost stands for the new file from now on. */
    for (unsigned i = 0; entry == NULL && i < POWER_FILES; i++)
        if (!disk->entries[i].used)
            entry = &disk->entries[i];
    if (entry == NULL)
        abort();
    *entry = (struct power_entry){.used = true, .dir = op->dir, .file = op->file};
    memcpy(entry->name, op->name, sizeof entry->name);
}

static void apply_content(struct power_disk *disk, const struct power_log *log, const struct power_op *op)
{
    struct power_file *file = &disk->files[op->file];
    if (op->kind == POWER_WRITE)
        file_put(file, op->offset, log->bytes + op->data, op->length);
    else if (op->kind == POWER_TRUNCATE)
        file_resize(file, op->offset);
    else if (op->kind == POWER_ALLOCATE && op->offset + op->length > file->size)
        file_resize(file, op->offset + op->length);
}

/* ---- Chance. ---- */

static uint64_t roll(uint64_t *seed)
{
    *seed += UINT64_C(0x9e3779b97f4a7c15);
    return hash_mix(*seed, 1);
}

static bool chance(uint64_t *seed, unsigned of_16)
{
    return roll(seed) % 16 < of_16;
}

/* Some of its sectors. */
static void apply_torn(struct power_disk *disk, const struct power_log *log, const struct power_op *op, unsigned sector,
                       unsigned keep, uint64_t *seed)
{
    const uint8_t *data = log->bytes + op->data;
    for (uint64_t at = 0; at < op->length;) {
        uint64_t step = sector - (op->offset + at) % sector;
        if (step > op->length - at)
            step = op->length - at;
        if (chance(seed, keep))
            file_put(&disk->files[op->file], op->offset + at, data + at, step);
        at += step;
    }
}

/* ---- A crash. ---- */

struct crash {
    const struct power_log *log;
    const struct power_crash *how;
    struct power_disk *disk;
    uint64_t seed;
    unsigned durable[POWER_FILES]; /* of each file and directory, what was noted before this */
    unsigned cut[POWER_FILES];     /* of CUT: from here on nothing */
    bool data_file[POWER_FILES];
};

static bool is_name(const struct power_op *op)
{
    return op->kind <= POWER_UNLINK;
}

static bool is_content(const struct power_op *op)
{
    return op->kind == POWER_WRITE || op->kind == POWER_TRUNCATE || op->kind == POWER_ALLOCATE;
}

static void look_ahead(struct crash *crash, const struct power_disk *base)
{
    const struct power_log *log = crash->log;
    for (unsigned i = 0; i < POWER_FILES; i++)
        if (base->entries[i].used)
            crash->data_file[base->entries[i].file] = strncmp(base->entries[i].name, "data-", 5) == 0;
    for (unsigned i = 0; i < crash->how->at; i++) {
        const struct power_op *op = &log->ops[i];
        if (op->kind == POWER_SYNC && op->begin > crash->durable[op->file])
            crash->durable[op->file] = op->begin;
        if (op->kind == POWER_CREATE)
            crash->data_file[op->file] = strncmp(op->name, "data-", 5) == 0;
    }
    for (unsigned i = 0; i < POWER_FILES; i++) {
        unsigned left = crash->how->at - crash->durable[i];
        crash->cut[i] = crash->durable[i] + (unsigned) (roll(&crash->seed) % (left + 1));
    }
}

static void pending_content(struct crash *crash, unsigned i)
{
    const struct power_op *op = &crash->log->ops[i];
    const struct power_crash *how = crash->how;
    bool torn = false, kept = false;
    switch (how->fate) {
    case POWER_ALL:
        kept = true;
        break;
    case POWER_DATA_ONLY:
        kept = crash->data_file[op->file];
        break;
    case POWER_REST_ONLY:
        kept = !crash->data_file[op->file];
        break;
    case POWER_CUT:
        kept = i < crash->cut[op->file];
        for (unsigned k = i + 1; kept && k < crash->cut[op->file]; k++)
            torn = torn || (is_content(&crash->log->ops[k]) && crash->log->ops[k].file == op->file);
        torn = kept && !torn; /* the last one */
        break;
    case POWER_RANDOM:
        kept = chance(&crash->seed, how->keep);
        torn = chance(&crash->seed, 8);
        break;
    default:
        break;
    }
    if (kept && torn && op->kind == POWER_WRITE)
        apply_torn(crash->disk, crash->log, op, how->sector, 8, &crash->seed);
    else if (kept)
        apply_content(crash->disk, crash->log, op);
}

static bool name_durable(const struct crash *crash, unsigned i)
{
    const struct power_op *op = &crash->log->ops[i];
    if (i < crash->durable[op->dir] || crash->how->fate == POWER_ALL)
        return true;
    return crash->how->names_with_files && op->kind == POWER_CREATE && crash->durable[op->file] > i;
}

void power_crash(const struct power_log *log, const struct power_disk *base, const struct power_crash *how,
                 struct power_disk *disk)
{
    struct crash crash = {.log = log, .how = how, .disk = disk, .seed = how->seed};
    power_disk_copy(disk, base);
    look_ahead(&crash, base);
    for (unsigned i = 0; i < how->at; i++) {
        const struct power_op *op = &log->ops[i];
        if (op->kind == POWER_CREATE || op->kind == POWER_MKDIR)
            disk->files[op->file] = (struct power_file){.used = true, .directory = op->kind == POWER_MKDIR};
        if (is_name(op) && (name_durable(&crash, i) || chance(&crash.seed, how->names_keep)))
            apply_name(disk, op);
        else if (is_content(op) && i < crash.durable[op->file])
            apply_content(disk, log, op);
        else if (is_content(op))
            pending_content(&crash, i);
    }
}

/* ---- Out to a directory. ---- */

static void write_file(int fd, const struct power_file *file)
{
    static const uint8_t zeros[PAGE];
    bool good = ftruncate(fd, (off_t) file->size) == 0;
    for (size_t at = 0; at < file->size && good; at += PAGE) {
        size_t size = file->size - at < PAGE ? file->size - at : PAGE;
        if (memcmp(file->bytes + at, zeros, size) != 0)
            good = pwrite(fd, file->bytes + at, size, (off_t) at) == (ssize_t) size;
    }
    if (!good)
        abort();
}

static void write_below(const struct power_disk *disk, unsigned dir, int to)
{
    for (unsigned i = 0; i < POWER_FILES; i++) {
        const struct power_entry *entry = &disk->entries[i];
        if (!entry->used || entry->dir != dir)
            continue;
        const struct power_file *file = &disk->files[entry->file];
        if (file->directory && mkdirat(to, entry->name, 0700) != 0)
            abort();
        int fd = openat(to, entry->name, file->directory ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
            abort();
        if (file->directory)
            write_below(disk, entry->file, fd);
        else
            write_file(fd, file);
        close(fd);
    }
}

void power_disk_write(const struct power_disk *disk, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        abort();
    write_below(disk, POWER_ROOT, fd);
    close(fd);
}
