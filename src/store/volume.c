/* SPDX-License-Identifier: Apache-2.0 */
/* volume.c: the directory of a disk. */
#include "store/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "store/guard.h"
#include "store/index.h"
#include "store/marker.h"
#include "store/numbers.h"
#include "store/sizes.h"

#define TAG "CACHEDIR.TAG"
#define LABELS LABEL_FILE, LABEL_FILE_NEW, LABEL_COPY, LABEL_COPY_NEW
#define INDEX_FILES SLOT_INDEX_FILE, "index/lock.mdb"
/* What goes with the data files when a store is emptied. */
#define OTHERS INDEX_FILES, MARKER_FILES, HEALTH_PROBE_FILE
#define MIB (INT64_C(1) << 20)

static enum status label_new(struct disk *disk, const struct store_disk *conf, uint32_t block_size)
{
    struct label *label = &disk->label;
    *label = (struct label){.format = VOLUME_FORMAT,
                            .block_size = block_size,
                            .incarnation = label->incarnation + 1,
                            .map_size = (uint64_t) sizes_index(sizes_usable(disk->dir, conf->size)),
                            .opening = label->opening};
    if (getrandom(&label->id, sizeof label->id, 0) != (ssize_t) sizeof label->id)
        return STATUS_IO;
    return label_write(disk->dir, label);
}

static bool is_there(int dir, const char *name)
{
    return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What a directory calls its files is on the disk. */
static enum status names_sync(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | GUARD_OPEN);
    if (fd < 0)
        return STATUS_IO;
    bool good = fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return good ? STATUS_OK : STATUS_IO;
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

/* Whether that is the disk's doing, and not the operator's. */
static bool disk_fault(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EIO:
    case EUCLEAN: /* how ext4 and XFS say that they are damaged */
    case EBADMSG:
    case ENXIO:
    case ENODEV:
    case ESTALE:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* `code`: an errno, 0 when none belongs to it. INVALID, or IO when it is the disk's doing. */
static enum status refuse(struct strbuf *error, const char *what, int code)
{
    char text[64];
    strbuf_addf(error, "%s", what);
    if (code != 0)
        strbuf_addf(error, ": %s", strerror_r(code, text, sizeof text));
    return disk_fault(code) ? STATUS_IO : STATUS_INVALID;
}

static enum status guard(int dir, char why[GUARD_TEXT])
{
    static const char *const names[] = {LABELS, TAG, "lock", OTHERS};
    enum status status = guard_directory(dir, "", why);
    if (status == STATUS_OK)
        status = guard_directory(dir, "index", why);
    if (status == STATUS_OK)
        status = guard_files(dir, names, sizeof names / sizeof *names, why);
    return status == STATUS_OK ? guard_prefix(dir, SLOT_FILE_PREFIX, why) : status;
}

/* Where no label says that it is ours. */
static enum status guard_unlabelled(int dir, char why[GUARD_TEXT])
{
    static const char *const names[] = {LABELS, TAG, "lock", "index", OTHERS};
    return guard_foreign(dir, names, sizeof names / sizeof *names, SLOT_FILE_PREFIX, why);
}

static enum status open_directory(struct disk *disk, const char *path, struct strbuf *error)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return refuse(error, "the directory cannot be made", errno);
    /* A link to it is fine: systemd makes one. */
    disk->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->dir < 0)
        return refuse(error, "the directory cannot be opened", errno);
    if (made)
        (void) names_sync(disk->dir, ".."); /* which may be closed to us */
    char why[GUARD_TEXT];
    enum status status = guard(disk->dir, why);
    if (status == STATUS_OK && !is_there(disk->dir, LABEL_FILE) && !is_there(disk->dir, LABEL_COPY))
        status = guard_unlabelled(disk->dir, why);
    if (status == STATUS_INVALID)
        return refuse(error, why, 0);
    if (status != STATUS_OK)
        return refuse(error, "the directory cannot be read", errno);
    disk->lock = openat(disk->dir, "lock", O_RDWR | O_CREAT | GUARD_OPEN, 0600);
    if (disk->lock < 0)
        return refuse(error, "the directory cannot be written to", errno);
    if (flock(disk->lock, LOCK_EX | LOCK_NB) == 0)
        return STATUS_OK;
    int code = errno;
    close(disk->lock);
    disk->lock = -1;
    if (code == EWOULDBLOCK)
        return refuse(error, "is in use by another process; stop it or give another path", 0);
    return refuse(error, "cannot be locked", code);
}

/* Everything but the label and the lock. */
static enum status empty_directory(int dir)
{
    DIR *list = guard_list(dir);
    if (list == NULL)
        return STATUS_IO;
    int error = 0;
    for (struct dirent *item; (item = readdir(list)) != NULL;)
        if (strncmp(item->d_name, SLOT_FILE_PREFIX, strlen(SLOT_FILE_PREFIX)) == 0 &&
            unlinkat(dir, item->d_name, 0) != 0)
            error = errno;
    closedir(list);
    static const char *const others[] = {OTHERS};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        if (unlinkat(dir, others[i], 0) != 0 && errno != ENOENT)
            error = errno;
    errno = error;
    return error == 0 ? STATUS_OK : STATUS_IO;
}

static enum status reset(struct disk *disk, const struct store_disk *conf, uint32_t block_size, const char *why,
                         struct strbuf *error)
{
    log_event(STORE_RESET, "path=%s: the store is emptied: %s", conf->path, why);
    disk->rebuild = false;
    /* A new id first: should emptying be cut short, what is left is not believed. */
    if (label_new(disk, conf, block_size) != STATUS_OK || empty_directory(disk->dir) != STATUS_OK)
        return refuse(error, "the store cannot be emptied", errno);
    return STATUS_OK;
}

static enum status index_remove(int dir)
{
    static const char *const files[] = {INDEX_FILES};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        if (unlinkat(dir, files[i], 0) != 0 && errno != ENOENT)
            return STATUS_IO;
    return STATUS_OK;
}

/* Takes the index away; what was on the disk is found again in the background (rebuild.h). */
static enum status take_index_away(struct disk *disk, const struct store_disk *conf, uint32_t block_size,
                                   const char *why, struct strbuf *error)
{
    if (disk->label.opening == 0)
        return reset(disk, conf, block_size, why, error);
    if (marker_gives_up(disk))
        return reset(disk, conf, block_size, "rebuilding its index did not come to an end three times", error);
    log_event(STORE_REBUILD, "path=%s: the index is made anew from the data files: %s", conf->path, why);
    /* The marker first: should taking it away be cut short, the next start goes on with that. */
    if (label_write(disk->dir, &disk->label) != STATUS_OK || marker_rebuilds(disk) != STATUS_OK ||
        index_remove(disk->dir) != STATUS_OK)
        return refuse(error, "the index cannot be taken away", errno);
    marker_index_gone(disk);
    disk->rebuild = true;
    return STATUS_OK;
}

/* None, or a damaged one in a directory of ours. */
static enum status check_unlabelled(struct disk *disk, const struct store_disk *conf, uint32_t block_size, bool damaged,
                                    struct strbuf *error)
{
    char why[GUARD_TEXT];
    enum status status = damaged ? guard_unlabelled(disk->dir, why) : STATUS_OK;
    if (status == STATUS_INVALID)
        return refuse(error, why, 0);
    if (status != STATUS_OK)
        return refuse(error, "the directory cannot be read", errno);
    int64_t size = sizes_usable(disk->dir, conf->size), slots = sizes_slots(size, sizes_index(size), block_size);
    char why_size[SIZES_TEXT];
    if (sizes_too_small(disk->dir, conf->size, block_size, slots, why_size))
        return refuse(error, why_size, 0);
    if (damaged)
        return reset(disk, conf, block_size, "its " LABEL_FILE " is damaged, and so is the copy", error);
    if (label_new(disk, conf, block_size) != STATUS_OK)
        return refuse(error, "the directory cannot be written to", errno);
    disk->fresh = true;
    return STATUS_OK;
}

static enum status mend_label(struct disk *disk, const char *damaged, struct strbuf *error)
{
    metric_cell_add(disk->metrics.corrupt, 1);
    log_event(STORE_CORRUPT,
              "path=%s file=%s: this label, or copy of it, was damaged or gone; it is written anew from the other one",
              disk->path, damaged);
    if (label_write(disk->dir, &disk->label) != STATUS_OK)
        return refuse(error, "the directory cannot be written to", errno);
    return STATUS_OK;
}

static enum status check_label(struct disk *disk, const struct store_disk *conf, uint32_t block_size,
                               struct strbuf *error)
{
    const struct label *label = &disk->label;
    const char *damaged;
    enum status status = label_read(disk->dir, &disk->label, &damaged);
    if (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT)
        return check_unlabelled(disk, conf, block_size, status == STATUS_CORRUPT, error);
    if (status != STATUS_OK)
        return refuse(error, LABEL_FILE " cannot be read", errno);
    char text[160];
    if (label->format != VOLUME_FORMAT) {
        snprintf(text, sizeof text,
                 "was written in format %u, this program reads %u; empty the directory or give another path",
                 label->format, VOLUME_FORMAT);
        return refuse(error, text, 0);
    }
    if (label->block_size != block_size) {
        snprintf(text, sizeof text,
                 "was made with block_size %u, the configuration says %u; keep it, or empty the directory",
                 label->block_size, block_size);
        return refuse(error, text, 0);
    }
    disk->label.map_size = (uint64_t) sizes_index_there(disk->dir, sizes_usable(disk->dir, conf->size));
    disk->doubted = marker_doubts(disk);
    return damaged == NULL ? STATUS_OK : mend_label(disk, damaged, error);
}

/* An index without a version is new, or from before there were versions: that one is the last to know the numbers. */
static enum status index_begins(struct disk *disk, const char **why)
{
    uint64_t opening;
    enum status status = index_get_old_meta(disk->index, "opening", &opening);
    if (status != STATUS_NOT_FOUND) {
        if (status == STATUS_OK && opening > disk->label.opening)
            disk->label.opening = opening;
        *why = "it is of an earlier version";
        return STATUS_INVALID;
    }
    if (!disk->rebuild && is_there(disk->dir, SLOT_FILE_PREFIX "000000")) {
        *why = "it is gone";
        return STATUS_NOT_FOUND;
    }
    *why = "the index cannot be written";
    status = numbers_begin(disk);
    /* LMDB made the file; that it is there under this name is ours to see to. marker_opened does it for `index`. */
    return status == STATUS_OK ? names_sync(disk->dir, "index") : status;
}

/* CORRUPT: it is damaged; NOT_FOUND, INVALID: gone, of another version. */
static enum status try_index(struct disk *disk, const char **why)
{
    char path[4096 + 16];
    uint64_t version;
    snprintf(path, sizeof path, "%s/index", disk->path);
    if (mkdirat(disk->dir, "index", 0700) != 0 && errno != EEXIST) {
        *why = "the index directory cannot be made";
        return STATUS_IO;
    }
    enum status status = index_open(path, disk->label.map_size, &disk->index, why);
    if (status != STATUS_OK)
        return status;
    status = index_get_meta(disk->index, "version", &version);
    *why = "its version cannot be read";
    if (status == STATUS_NOT_FOUND) {
        status = index_begins(disk, why);
    } else if (status == STATUS_OK && version != INDEX_VERSION) {
        *why = "it is of another version";
        status = STATUS_INVALID;
    } else if (status == STATUS_OK) {
        status = numbers_check(disk, why);
    }
    if (status != STATUS_OK) {
        index_close(disk->index);
        disk->index = NULL;
    }
    return status;
}

enum status volume_index_anew(struct disk *disk)
{
    const char *why = "";
    if (disk->index != NULL)
        index_close(disk->index);
    disk->index = NULL;
    if (index_remove(disk->dir) != STATUS_OK)
        return STATUS_IO;
    bool rebuild = disk->rebuild;
    disk->rebuild = true; /* that it has no index is no news */
    enum status status = try_index(disk, &why);
    disk->rebuild = rebuild;
    return status;
}

static enum status open_index(struct disk *disk, const struct store_disk *conf, uint32_t block_size,
                              struct strbuf *error)
{
    const char *why = "";
    enum status status = marker_distrusts(disk, &why) ? STATUS_INVALID : STATUS_OK;
    for (unsigned i = 0; i < 2; i++) {
        metric_cell_add(disk->metrics.corrupt, status == STATUS_CORRUPT);
        if (status != STATUS_OK && (status = take_index_away(disk, conf, block_size, why, error)) != STATUS_OK)
            return status;
        if (marker_opens(disk) != STATUS_OK)
            return refuse(error, "the directory cannot be written to", errno);
        status = try_index(disk, &why);
        if (status == STATUS_OK)
            return STATUS_OK;
        if (status != STATUS_CORRUPT && status != STATUS_NOT_FOUND && status != STATUS_INVALID)
            break;
    }
    (void) refuse(error, why, 0);
    return STATUS_IO;
}

static enum status open_slots(struct disk *disk, const struct store_disk *conf, uint32_t block_size,
                              struct strbuf *error)
{
    char why[SIZES_TEXT];
    int64_t size = sizes_usable(disk->dir, conf->size);
    int64_t count = sizes_slots(size, (int64_t) disk->label.map_size, block_size);
    if (sizes_too_small(disk->dir, conf->size, block_size, count, why) || sizes_too_large(disk->store, count, why))
        return refuse(error, why, 0);
    disk->weight = count * (ENTRY_PAGE + (int64_t) block_size);
    const struct slots_config slots = {.path = disk->path,
                                       .dir = disk->dir,
                                       .block_size = block_size,
                                       .capacity = (uint32_t) count,
                                       .index_max = (int64_t) disk->label.map_size,
                                       .errors = disk->metrics.errors};
    enum status status = slots_init(&disk->slots, &slots);
    if (status != STATUS_OK)
        return refuse(error, "a data file cannot be opened", errno);
    atomic_store(&disk->fit, slot_files_fit(&disk->slots));
    int64_t stride = disk->slots.stride, there = disk->slots.high + atomic_load(&disk->fit);
    int64_t wanted = sizes_slots(conf->size, sizes_index(conf->size), block_size);
    if (there < wanted)
        log_event(STORE_FULL, "path=%s size=%lld: the file system has room for %lld of %lld MiB of data", conf->path,
                  (long long) conf->size, (long long) (there * stride / MIB), (long long) (wanted * stride / MIB));
    return STATUS_OK;
}

void volume_forsake(struct disk *disk, const char *why)
{
    bool sure = disk->lock >= 0 && marker_disbelieve(disk);
    if (disk->lock >= 0) /* the marker must not cost the store */
        marker_not_opened(disk);
    disk->store->untold += !sure;
    log_event(STORE_REFUSED,
              "path=%s: %s; headpond runs without this disk, and does not try it again before it is restarted",
              disk->path, why);
    metric_cell_add(disk->metrics.errors, 1);
    disk_metrics_state(&disk->metrics, false);
}

enum status volume_open(struct store *store, unsigned number, const struct store_disk *conf, struct disk **disk,
                        struct strbuf *error)
{
    struct strbuf why = {0};
    struct disk *made = mem_calloc(1, sizeof *made);
    made->dir = made->lock = -1;
    made->store = store;
    made->full_logged_ms = INT64_MIN / 2;
    made->number = number;
    made->path = mem_strdup(conf->path);
    made->scrub_rate = conf->scrub_rate;
    made->scrub_period_ms = conf->scrub_period_ms;
    disk_metrics_init(&made->metrics, conf->path);
    enum status status = open_directory(made, conf->path, &why);
    if (status == STATUS_OK)
        status = check_label(made, conf, store->block_size, &why);
    if (status == STATUS_OK) {
        tag_set(made->dir);
        status = open_index(made, conf, store->block_size, &why);
    }
    if (status == STATUS_OK) {
        status = open_slots(made, conf, store->block_size, &why);
        if (status == STATUS_INVALID)
            marker_not_opened(made);
    }
    if (status == STATUS_OK)
        *disk = made;
    else if (status == STATUS_IO)
        volume_forsake(made, why.ptr);
    else
        strbuf_addf(error, "store: %s: %s", conf->path, why.ptr);
    strbuf_free(&why);
    if (status != STATUS_OK)
        volume_close(made);
    return status;
}

void volume_close(struct disk *disk)
{
    if (disk->index != NULL)
        index_close(disk->index);
    names_free(&disk->unlogged);
    if (disk->slots.files != NULL)
        slots_fini(&disk->slots);
    if (disk->lock >= 0)
        close(disk->lock);
    if (disk->dir >= 0)
        close(disk->dir);
    mem_free(disk->path);
    mem_free(disk);
}
