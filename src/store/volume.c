/* SPDX-License-Identifier: Apache-2.0 */
/* volume.c: the directory of a disk. */
#include "store/volume.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/guard.h"
#include "store/index.h"

#define LABEL "headpond.store"
#define LABEL_NEW "headpond.store.new"
#define TAG "CACHEDIR.TAG"
/* What goes with the data files when a store is emptied. */
#define OTHERS "index/data.mdb", "index/lock.mdb", "opening", "loading"
#define LABEL_MAGIC UINT64_C(0x31425364506f7048) /* "HpoPdSB1" */
#define LABEL_SIZE 64
#define LOADING_MAX 3
#define SLOTS_MIN 16
#define MIB (INT64_C(1) << 20)

/* headpond.store: 0 magic   8 format   12 block size   16 id   32 incarnation   40 map size   56 XXH3-64 of bytes 0–55
 */
struct label {
    uint32_t format;
    uint32_t block_size;
    struct hash128 id;
    uint32_t incarnation;
    uint64_t map_size;
};

struct volume {
    struct disk disk;
    int dir;
    struct label label;
};

static struct volume *volume_of(struct disk *disk)
{
    return CONTAINER_OF(disk, struct volume, disk);
}

size_t volume_map_size(const struct disk *disk)
{
    return volume_of((struct disk *) (uintptr_t) disk)->label.map_size;
}

/* ---- How the size is divided. ---- */

static int64_t map_for(int64_t size)
{
    int64_t map = size / 32;
    if (map < 32 * MIB)
        map = size / 4 < 32 * MIB ? size / 4 : 32 * MIB;
    return map & ~INT64_C(65535);
}

static int64_t slots_for(int64_t size, int64_t map, uint32_t block_size)
{
    /* What the file system itself needs for extents and directories, and the small files. */
    int64_t overhead = size / 256 + 128 * 1024;
    int64_t count = (size - map - overhead) / (ENTRY_PAGE + (int64_t) block_size);
    return count < LOCATION_SLOT_MAX ? count : LOCATION_SLOT_MAX - 1;
}

/* ---- The label. ---- */

static enum status label_write(int dir, const struct label *label)
{
    uint64_t words[LABEL_SIZE / 8] = {
        htole64(LABEL_MAGIC),        htole64(label->format | (uint64_t) label->block_size << 32),
        htole64(label->id.lo),       htole64(label->id.hi),
        htole64(label->incarnation), htole64(label->map_size)};
    words[7] = htole64(hash64(words, 56, 0));
    int fd = openat(dir, LABEL_NEW, O_WRONLY | O_CREAT | O_TRUNC | GUARD_OPEN, 0600);
    if (fd < 0)
        return STATUS_IO;
    bool good = write(fd, words, sizeof words) == (ssize_t) sizeof words && fsync(fd) == 0;
    close(fd);
    return good && renameat(dir, LABEL_NEW, dir, LABEL) == 0 && fsync(dir) == 0 ? STATUS_OK : STATUS_IO;
}

/* NOT_FOUND: there is none. */
static enum status label_read(int dir, struct label *label)
{
    uint64_t words[LABEL_SIZE / 8];
    int fd = openat(dir, LABEL, O_RDONLY | GUARD_OPEN);
    if (fd < 0)
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    ssize_t got = read(fd, words, sizeof words);
    close(fd);
    if (got < 0)
        return STATUS_IO;
    if (got != (ssize_t) sizeof words || le64toh(words[0]) != LABEL_MAGIC || le64toh(words[7]) != hash64(words, 56, 0))
        return STATUS_CORRUPT;
    *label = (struct label){.format = (uint32_t) le64toh(words[1]),
                            .block_size = (uint32_t) (le64toh(words[1]) >> 32),
                            .id = {le64toh(words[2]), le64toh(words[3])},
                            .incarnation = (uint32_t) le64toh(words[4]),
                            .map_size = le64toh(words[5])};
    return STATUS_OK;
}

static enum status label_new(int dir, struct label *label, uint32_t block_size, int64_t size)
{
    uint32_t incarnation = label->incarnation;
    *label = (struct label){.format = VOLUME_FORMAT, .block_size = block_size, .incarnation = incarnation + 1};
    label->map_size = (uint64_t) map_for(size);
    if (getrandom(&label->id, sizeof label->id, 0) != (ssize_t) sizeof label->id)
        return STATUS_IO;
    return label_write(dir, label);
}

/* ---- Markers. ---- */

static enum status marker_set(int dir, const char *name, bool durable)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_APPEND | GUARD_OPEN, 0600);
    if (fd < 0)
        return STATUS_IO;
    bool good = write(fd, "x", 1) == 1 && (!durable || (fsync(fd) == 0 && fsync(dir) == 0));
    close(fd);
    return good ? STATUS_OK : STATUS_IO;
}

static off_t marker_size(int dir, const char *name)
{
    struct stat info;
    return fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? info.st_size : 0;
}

void volume_opened(struct disk *disk)
{
    int dir = volume_of(disk)->dir;
    if (marker_set(dir, "loading", false) != STATUS_OK || unlinkat(dir, "opening", 0) != 0)
        disk_error(disk, "marker", errno);
}

void volume_loaded(struct disk *disk)
{
    (void) unlinkat(volume_of(disk)->dir, "loading", 0);
}

enum status volume_condemn(struct disk *disk)
{
    return marker_set(volume_of(disk)->dir, "opening", true);
}

/* What cannot be written is no loss: the label was. */
static void tag_set(int dir)
{
    static const char text[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                               "# This directory holds headpond's cache. See https://bford.info/cachedir/\n";
    int fd = openat(dir, TAG, O_WRONLY | O_CREAT | O_EXCL | GUARD_OPEN, 0600);
    if (fd < 0)
        return;
    if (write(fd, text, sizeof text - 1) != (ssize_t) sizeof text - 1)
        (void) unlinkat(dir, TAG, 0);
    close(fd);
}

/* ---- Opening. ---- */

static enum status refuse(struct strbuf *error, enum status status, const char *path, const char *what, int code)
{
    char text[64];
    strbuf_addf(error, "store: %s: %s", path, what);
    if (code != 0)
        strbuf_addf(error, ": %s", strerror_r(code, text, sizeof text));
    return status;
}

static enum status refuse_size(struct strbuf *error, const struct store_disk *conf, uint32_t block_size)
{
    char text[128];
    int64_t needed = conf->size > MIB ? conf->size : MIB;
    while (slots_for(needed, map_for(needed), block_size) < SLOTS_MIN)
        needed += MIB;
    snprintf(text, sizeof text, "size is too small: with this block_size it takes %lld MiB",
             (long long) ((needed + MIB - 1) / MIB));
    return refuse(error, STATUS_INVALID, conf->path, text, 0);
}

static enum status guard(int dir, char why[GUARD_TEXT])
{
    static const char *const names[] = {LABEL, LABEL_NEW, TAG, "lock", OTHERS};
    enum status status = guard_directory(dir, "", why);
    if (status == STATUS_OK)
        status = guard_directory(dir, "index", why);
    if (status == STATUS_OK)
        status = guard_files(dir, names, sizeof names / sizeof *names, why);
    return status == STATUS_OK ? guard_prefix(dir, SLOT_FILE_PREFIX, why) : status;
}

static enum status open_directory(struct volume *volume, const char *path, struct strbuf *error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return refuse(error, STATUS_IO, path, "the directory cannot be made", errno);
    /* A link to it is fine: systemd makes one. */
    volume->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (volume->dir < 0)
        return refuse(error, STATUS_IO, path, "the directory cannot be opened", errno);
    char why[GUARD_TEXT];
    enum status status = guard(volume->dir, why);
    if (status == STATUS_INVALID)
        return refuse(error, status, path, why, 0);
    if (status != STATUS_OK)
        return refuse(error, status, path, "the directory cannot be read", errno);
    volume->disk.lock = openat(volume->dir, "lock", O_RDWR | O_CREAT | GUARD_OPEN, 0600);
    if (volume->disk.lock < 0)
        return refuse(error, STATUS_IO, path, "the directory cannot be written to", errno);
    if (flock(volume->disk.lock, LOCK_EX | LOCK_NB) != 0)
        return refuse(error, STATUS_BUSY, path,
                      errno == EWOULDBLOCK ? "is in use by another process; stop it or give another path"
                                           : "cannot be locked",
                      errno == EWOULDBLOCK ? 0 : errno);
    return STATUS_OK;
}

/* Everything but the label and the lock. */
static enum status empty_directory(int dir)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | GUARD_OPEN);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (list == NULL)
        return STATUS_IO;
    enum status status = STATUS_OK;
    for (struct dirent *item; (item = readdir(list)) != NULL;)
        if (strncmp(item->d_name, SLOT_FILE_PREFIX, strlen(SLOT_FILE_PREFIX)) == 0 &&
            unlinkat(dir, item->d_name, 0) != 0)
            status = STATUS_IO;
    closedir(list);
    static const char *const others[] = {OTHERS};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        if (unlinkat(dir, others[i], 0) != 0 && errno != ENOENT)
            status = STATUS_IO;
    return status;
}

static enum status reset(struct volume *volume, const struct store_disk *conf, uint32_t block_size, const char *why,
                         struct strbuf *error)
{
    log_event(STORE_RESET, "path=%s: the store is emptied: %s", conf->path, why);
    /* A new id first: should emptying be cut short, what is left is not believed. */
    if (label_new(volume->dir, &volume->label, block_size, conf->size) != STATUS_OK ||
        empty_directory(volume->dir) != STATUS_OK)
        return refuse(error, STATUS_IO, conf->path, "the store cannot be emptied", errno);
    return STATUS_OK;
}

static enum status check_label(struct volume *volume, const struct store_disk *conf, uint32_t block_size,
                               struct strbuf *error)
{
    const struct label *label = &volume->label;
    enum status status = label_read(volume->dir, &volume->label);
    if (status == STATUS_NOT_FOUND) {
        if (slots_for(conf->size, map_for(conf->size), block_size) < SLOTS_MIN)
            return refuse_size(error, conf, block_size);
        if (label_new(volume->dir, &volume->label, block_size, conf->size) != STATUS_OK)
            return refuse(error, STATUS_IO, conf->path, "the directory cannot be written to", errno);
        return STATUS_OK;
    }
    if (status == STATUS_CORRUPT)
        return refuse(error, status, conf->path,
                      "its headpond.store is damaged or not one of ours; empty the directory or give another path", 0);
    if (status != STATUS_OK)
        return refuse(error, status, conf->path, "headpond.store cannot be read", errno);
    char text[160];
    if (label->format != VOLUME_FORMAT) {
        snprintf(text, sizeof text,
                 "was written in format %u, this program reads %u; empty the directory or give another path",
                 label->format, VOLUME_FORMAT);
        return refuse(error, STATUS_INVALID, conf->path, text, 0);
    }
    if (label->block_size != block_size) {
        snprintf(text, sizeof text,
                 "was made with block_size %u, the configuration says %u; keep it, or empty the directory",
                 label->block_size, block_size);
        return refuse(error, STATUS_INVALID, conf->path, text, 0);
    }
    if (marker_size(volume->dir, "opening") > 0)
        return reset(volume, conf, block_size, "opening it did not come to an end the last time", error);
    if (marker_size(volume->dir, "loading") >= LOADING_MAX)
        return reset(volume, conf, block_size, "reading its index did not come to an end three times", error);
    return STATUS_OK;
}

static enum status try_index(struct volume *volume, const char **why)
{
    char path[4096 + 16];
    uint64_t id = 0;
    snprintf(path, sizeof path, "%s/index", volume->disk.path);
    if (mkdirat(volume->dir, "index", 0700) != 0 && errno != EEXIST) {
        *why = "the index directory cannot be made";
        return STATUS_IO;
    }
    enum status status = index_open(path, volume->label.map_size, &volume->disk.index, why);
    if (status != STATUS_OK)
        return status;
    status = index_get_meta(volume->disk.index, "store", &id);
    if (status == STATUS_OK && id != volume->label.id.lo) {
        *why = "the index is another store's";
        status = STATUS_CORRUPT;
    } else if (status == STATUS_NOT_FOUND) {
        index_begin(volume->disk.index);
        index_put_meta(volume->disk.index, "store", volume->label.id.lo);
        index_put_meta(volume->disk.index, "format", VOLUME_FORMAT);
        index_put_meta(volume->disk.index, "mark", 1);
        index_put_meta(volume->disk.index, "block_size", volume->label.block_size);
        status = index_commit(volume->disk.index);
        *why = "the index cannot be written";
    }
    if (status != STATUS_OK) {
        index_close(volume->disk.index);
        volume->disk.index = NULL;
    }
    return status;
}

static enum status open_index(struct volume *volume, const struct store_disk *conf, uint32_t block_size,
                              struct strbuf *error)
{
    const char *why = "";
    if (marker_set(volume->dir, "opening", true) != STATUS_OK)
        return refuse(error, STATUS_IO, conf->path, "the directory cannot be written to", errno);
    enum status status = try_index(volume, &why);
    if (status == STATUS_CORRUPT) {
        status = reset(volume, conf, block_size, why, error);
        if (status == STATUS_OK && marker_set(volume->dir, "opening", true) == STATUS_OK)
            status = try_index(volume, &why);
        if (status != STATUS_OK && error->len > 0)
            return status;
    }
    if (status == STATUS_OK)
        return STATUS_OK;
    /* An error that was reported is not a crash: the marker must not cost the store. */
    (void) unlinkat(volume->dir, "opening", 0);
    return refuse(error, status, conf->path, why, 0);
}

static enum status open_slots(struct volume *volume, const struct store_disk *conf, uint32_t block_size,
                              struct strbuf *error)
{
    int64_t count = slots_for(conf->size, (int64_t) volume->label.map_size, block_size);
    if (count < SLOTS_MIN)
        return refuse_size(error, conf, block_size);
    volume->disk.weight = count * (ENTRY_PAGE + (int64_t) block_size);
    const struct slots_config slots = {.path = volume->disk.path,
                                       .dir = volume->dir,
                                       .block_size = block_size,
                                       .capacity = (uint32_t) count,
                                       .index_max = (int64_t) volume->label.map_size,
                                       .errors = volume->disk.errors};
    enum status status = slots_init(&volume->disk.slots, &slots);
    if (status != STATUS_OK)
        return refuse(error, status, conf->path, "a data file cannot be opened", errno);
    int64_t stride = volume->disk.slots.stride, there = volume->disk.slots.high + slot_files_fit(&volume->disk.slots);
    if (there < count)
        log_event(STORE_FULL, "path=%s size=%lld: the file system has room for %lld of %lld MiB of data", conf->path,
                  (long long) conf->size, (long long) (there * stride / MIB), (long long) (count * stride / MIB));
    return STATUS_OK;
}

enum status volume_open(struct store *store, unsigned number, const struct store_disk *conf, struct disk **disk,
                        struct strbuf *error)
{
    struct volume *volume = mem_calloc(1, sizeof *volume);
    volume->dir = volume->disk.lock = -1;
    volume->disk.store = store;
    volume->disk.full_logged_ms = INT64_MIN / 2;
    volume->disk.number = number;
    volume->disk.path = mem_strdup(conf->path);
    volume->disk.errors = metric_cell(METRIC_STORE_ERRORS, conf->path);
    enum status status = open_directory(volume, conf->path, error);
    if (status == STATUS_OK)
        status = check_label(volume, conf, store->block_size, error);
    if (status == STATUS_OK) {
        tag_set(volume->dir);
        status = open_index(volume, conf, store->block_size, error);
    }
    if (status == STATUS_OK) {
        volume->disk.id = volume->label.id;
        volume->disk.incarnation = volume->label.incarnation;
        status = open_slots(volume, conf, store->block_size, error);
        if (status != STATUS_OK)
            (void) unlinkat(volume->dir, "opening", 0);
    }
    if (status == STATUS_OK)
        *disk = &volume->disk;
    else
        volume_close(&volume->disk);
    return status;
}

void volume_close(struct disk *disk)
{
    struct volume *volume = volume_of(disk);
    if (disk->index != NULL)
        index_close(disk->index);
    if (disk->slots.files != NULL)
        slots_fini(&disk->slots);
    if (disk->lock >= 0)
        close(disk->lock);
    if (volume->dir >= 0)
        close(volume->dir);
    mem_free(disk->path);
    mem_free(volume);
}
