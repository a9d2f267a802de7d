/* SPDX-License-Identifier: Apache-2.0 */
/* power_log.c: the calls that are stood in for, and the log they fill. */
#include "power_log.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define OPS_MAX 400000
#define BYTES_MAX (UINT64_C(2) << 30)
#define DESCRIPTORS 4096

static struct {
    struct power_log *log; /* NULL: not recording */
    pthread_mutex_t lock;
    char root[4096];
    struct power_disk names; /* only who is called what: no content */
    unsigned files;
    struct {
        bool seen, append, synced;
        unsigned file;
    } descriptors[DESCRIPTORS];
    int64_t allocate_most;
    unsigned dawdle;
} power = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define REAL(result, name, ...)                                                                                        \
    static result (*real)(__VA_ARGS__);                                                                                \
    if (real == NULL)                                                                                                  \
    *(void **) &real = dlsym(RTLD_NEXT, name)

struct power_log *power_log_new(void)
{
    const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    struct power_log *log = mmap(NULL, sizeof *log, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (log == MAP_FAILED)
        abort();
    log->ops = mmap(NULL, OPS_MAX * sizeof *log->ops, PROT_READ | PROT_WRITE, flags, -1, 0);
    log->bytes = mmap(NULL, BYTES_MAX, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (log->ops == MAP_FAILED || log->bytes == MAP_FAILED)
        abort();
    return log;
}

void power_log_clear(struct power_log *log)
{
    madvise(log->ops, OPS_MAX * sizeof *log->ops, MADV_REMOVE);
    madvise(log->bytes, BYTES_MAX, MADV_REMOVE);
    log->count = 0;
    log->used = 0;
}

void power_record(struct power_log *log, const struct power_disk *base, const char *path)
{
    power_disk_init(&power.names);
    for (unsigned i = 0; i < POWER_FILES; i++) {
        power.names.files[i] = (struct power_file){.used = base->files[i].used, .directory = base->files[i].directory};
        power.names.entries[i] = base->entries[i];
        if (base->files[i].used)
            power.files = i + 1;
    }
    snprintf(power.root, sizeof power.root, "%s", path);
    power.log = log;
}

void power_allocate_at_most(int64_t bytes)
{
    power.allocate_most = bytes;
}

void power_dawdle(unsigned seed)
{
    power.dawdle = seed;
}

/* Chance need not be good, only often different: threads share it. */
static void dawdle(unsigned one_in, useconds_t most)
{
    if (power.log == NULL || __atomic_load_n(&power.dawdle, __ATOMIC_RELAXED) == 0)
        return;
    unsigned x = __atomic_add_fetch(&power.dawdle, 0x9e3779b9, __ATOMIC_RELAXED);
    x = (x ^ x >> 15) * 0x85ebca6b;
    x ^= x >> 13;
    if (x % one_in == 0)
        usleep(x / one_in % most);
}

/* ---- The log; all under the lock. ---- */

static struct power_op *op_add(enum power_kind kind)
{
    struct power_log *log = power.log;
    if (log->count == OPS_MAX)
        abort();
    struct power_op *op = &log->ops[log->count];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    log->used = (log->used + 7) & ~(size_t) 7; /* notes are looked at as what they are */
    return op;
}

static void op_done(void)
{
    __atomic_add_fetch(&power.log->count, 1, __ATOMIC_RELEASE);
}

static void op_data(struct power_op *op, const void *data, size_t size)
{
    struct power_log *log = power.log;
    if (log->used + size > BYTES_MAX)
        abort();
    op->data = log->used;
    op->length = size;
    if (size > 0)
        memcpy(log->bytes + log->used, data, size);
    log->used += size;
}

static void name_change(enum power_kind kind, unsigned dir, const char *name, const char *to, unsigned file)
{
    struct power_op *op = op_add(kind);
    op->dir = dir;
    op->file = file;
    snprintf(op->name, sizeof op->name, "%s", name);
    snprintf(op->to, sizeof op->to, "%s", to);
    op_done();
}

unsigned power_note(unsigned note, const uint64_t value[4], const void *data, size_t size)
{
    pthread_mutex_lock(&power.lock);
    struct power_op *op = op_add(POWER_NOTE);
    op->note = note;
    memcpy(op->value, value, sizeof op->value);
    op_data(op, data, size);
    unsigned at = power.log->count;
    op_done();
    pthread_mutex_unlock(&power.lock);
    return at;
}

/* ---- Names. ---- */

static bool seen(int fd, unsigned *file)
{
    if (power.log == NULL || fd < 0 || fd >= DESCRIPTORS || !power.descriptors[fd].seen)
        return false;
    *file = power.descriptors[fd].file;
    return true;
}

/* Which directory of ours the path lies in, and what it is called there; NULL: none. "" is the root itself. */
static const char *locate(int dirfd, const char *path, unsigned *dir)
{
    size_t root = strlen(power.root);
    if (power.log == NULL)
        return NULL;
    *dir = POWER_ROOT;
    if (path[0] != '/' && !seen(dirfd, dir))
        return NULL;
    if (path[0] == '/') {
        if (strncmp(path, power.root, root) != 0 || (path[root] != '/' && path[root] != '\0'))
            return NULL;
        path += root + (path[root] == '/');
    }
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char part[POWER_NAME];
        snprintf(part, sizeof part, "%.*s", (int) (slash - path), path);
        struct power_entry *entry = power_disk_find(&power.names, *dir, part);
        if (entry == NULL)
            return NULL;
        *dir = entry->file;
    }
    return strcmp(path, ".") == 0 || strcmp(path, "..") == 0 || strcmp(path, "lock.mdb") == 0 ||
                   strlen(path) >= POWER_NAME
               ? NULL
               : path;
}

static unsigned name_add(enum power_kind kind, unsigned dir, const char *name)
{
    if (power.files == POWER_FILES)
        abort();
    unsigned file = power.files++;
    power.names.files[file] = (struct power_file){.used = true, .directory = kind == POWER_MKDIR};
    for (unsigned i = 0; i < POWER_FILES; i++)
        if (!power.names.entries[i].used) {
            power.names.entries[i] = (struct power_entry){.used = true, .dir = dir, .file = file};
            snprintf(power.names.entries[i].name, POWER_NAME, "%s", name);
            break;
        }
    name_change(kind, dir, name, "", file);
    return file;
}

static int open_seen(int dirfd, const char *path, int flags, mode_t mode)
{
    REAL(int, "openat", int, const char *, int, ...);
    unsigned dir, file = POWER_ROOT;
    pthread_mutex_lock(&power.lock);
    int fd = real(dirfd, path, flags, mode), error = errno;
    const char *name = fd < 0 ? NULL : locate(dirfd, path, &dir);
    if (name != NULL && *name != '\0') {
        struct power_entry *entry = power_disk_find(&power.names, dir, name);
        file = entry != NULL ? entry->file : name_add(POWER_CREATE, dir, name);
        if (flags & O_TRUNC) {
            op_add(POWER_TRUNCATE)->file = file;
            op_done();
        }
    }
    if (fd >= 0 && fd < DESCRIPTORS) {
        power.descriptors[fd].seen = name != NULL;
        power.descriptors[fd].file = file;
        power.descriptors[fd].append = flags & O_APPEND;
        power.descriptors[fd].synced = flags & O_DSYNC;
    }
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_seen(AT_FDCWD, path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_seen(dirfd, path, flags, mode);
}

int close(int fd)
{
    REAL(int, "close", int);
    if (power.log != NULL && fd >= 0 && fd < DESCRIPTORS) {
        pthread_mutex_lock(&power.lock);
        power.descriptors[fd].seen = false;
        pthread_mutex_unlock(&power.lock);
    }
    return real(fd);
}

static int make_directory(int dirfd, const char *path, mode_t mode)
{
    REAL(int, "mkdirat", int, const char *, mode_t);
    unsigned dir;
    pthread_mutex_lock(&power.lock);
    int result = real(dirfd, path, mode), error = errno;
    const char *name = result == 0 ? locate(dirfd, path, &dir) : NULL;
    if (name != NULL)
        (void) name_add(POWER_MKDIR, dir, name);
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    return make_directory(AT_FDCWD, path, mode);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
    return make_directory(dirfd, path, mode);
}

int unlinkat(int dirfd, const char *path, int flags)
{
    REAL(int, "unlinkat", int, const char *, int);
    unsigned dir;
    pthread_mutex_lock(&power.lock);
    int result = real(dirfd, path, flags), error = errno;
    const char *name = result == 0 ? locate(dirfd, path, &dir) : NULL;
    struct power_entry *entry = name == NULL ? NULL : power_disk_find(&power.names, dir, name);
    if (entry != NULL) {
        entry->used = false;
        name_change(POWER_UNLINK, dir, name, "", entry->file);
    }
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return result;
}

int renameat(int dirfd, const char *path, int to_dirfd, const char *to)
{
    REAL(int, "renameat", int, const char *, int, const char *);
    unsigned dir, to_dir;
    pthread_mutex_lock(&power.lock);
    int result = real(dirfd, path, to_dirfd, to), error = errno;
    const char *name = result == 0 ? locate(dirfd, path, &dir) : NULL;
    const char *to_name = name == NULL ? NULL : locate(to_dirfd, to, &to_dir);
    if (to_name != NULL) {
        struct power_entry *entry = power_disk_find(&power.names, dir, name);
        struct power_entry *gone = power_disk_find(&power.names, to_dir, to_name);
        if (entry == NULL || dir != to_dir)
            abort();
        if (gone != NULL)
            gone->used = false;
        snprintf(entry->name, sizeof entry->name, "%s", to_name);
        name_change(POWER_RENAME, dir, name, to_name, entry->file);
    }
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return result;
}

/* ---- Content. ---- */

/* Under the lock, after the write. */
static void written(int fd, unsigned file, const struct iovec *iov, int count, off_t offset, ssize_t size)
{
    struct power_op *op = op_add(POWER_WRITE);
    size_t left = size < 0 ? 0 : (size_t) size, at = power.log->used;
    op->file = file;
    op->offset = (uint64_t) offset;
    for (int i = 0; i < count && left > 0; i++) {
        size_t piece = iov[i].iov_len < left ? iov[i].iov_len : left;
        op_data(op, iov[i].iov_base, piece);
        left -= piece;
    }
    op->data = at;
    op->length = power.log->used - at;
    op_done();
    if (power.descriptors[fd].synced) {
        op = op_add(POWER_SYNC);
        op->file = file;
        op->begin = power.log->count;
        op_done();
    }
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    unsigned file;
    if (!seen(fd, &file))
        return real(fd, iov, count, offset);
    dawdle(8, 3000);
    pthread_mutex_lock(&power.lock);
    ssize_t size = real(fd, iov, count, offset);
    int error = errno;
    written(fd, file, iov, count, offset, size);
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return size;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    unsigned file;
    if (!seen(fd, &file))
        return real(fd, data, size, offset);
    struct iovec iov = {(void *) (uintptr_t) data, size};
    return pwritev(fd, &iov, 1, offset);
}

/* Where the descriptor stands: under the lock. */
static off_t position(int fd)
{
    struct stat info;
    if (power.descriptors[fd].append)
        return fstat(fd, &info) == 0 ? info.st_size : 0;
    return lseek(fd, 0, SEEK_CUR);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    unsigned file;
    if (!seen(fd, &file))
        return real(fd, iov, count);
    pthread_mutex_lock(&power.lock);
    off_t at = position(fd);
    ssize_t size = real(fd, iov, count);
    int error = errno;
    written(fd, file, iov, count, at, size);
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return size;
}

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    unsigned file;
    if (!seen(fd, &file))
        return real(fd, data, size);
    struct iovec iov = {(void *) (uintptr_t) data, size};
    return writev(fd, &iov, 1);
}

int ftruncate(int fd, off_t size)
{
    REAL(int, "ftruncate", int, off_t);
    unsigned file;
    if (!seen(fd, &file))
        return real(fd, size);
    pthread_mutex_lock(&power.lock);
    int result = real(fd, size), error = errno;
    if (result == 0) {
        struct power_op *op = op_add(POWER_TRUNCATE);
        op->file = file;
        op->offset = (uint64_t) size;
        op_done();
    }
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return result;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    REAL(int, "fallocate", int, int, off_t, off_t);
    unsigned file;
    if (!seen(fd, &file))
        return real(fd, mode, offset, length);
    if (power.allocate_most > 0 && length > power.allocate_most) {
        errno = ENOSPC;
        return -1;
    }
    pthread_mutex_lock(&power.lock);
    int result = real(fd, mode, offset, length), error = errno;
    if (result == 0) {
        struct power_op *op = op_add(POWER_ALLOCATE);
        op->file = file;
        op->offset = (uint64_t) offset;
        op->length = (uint64_t) length;
        op_done();
    }
    pthread_mutex_unlock(&power.lock);
    errno = error;
    return result;
}

static int synced(int fd)
{
    unsigned file;
    if (!seen(fd, &file))
        return 0;
    pthread_mutex_lock(&power.lock);
    op_add(POWER_SYNC_BEGIN)->file = file;
    unsigned begin = power.log->count;
    op_done();
    pthread_mutex_unlock(&power.lock);
    dawdle(2, 3000);
    pthread_mutex_lock(&power.lock);
    struct power_op *op = op_add(POWER_SYNC);
    op->file = file;
    op->begin = begin;
    op_done();
    pthread_mutex_unlock(&power.lock);
    return 0;
}

int fsync(int fd)
{
    return synced(fd);
}

int fdatasync(int fd)
{
    return synced(fd);
}
