/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_log.h: every change that a process makes below one directory, in order, and what a disk could hold after a
 * power failure at any point of that order.
 *
 * power_log.c stands in for the C library's calls in the whole program, so LMDB's are seen too. While recording, each
 * change is made and noted under one lock; a sync is noted twice, when it begins and when it has returned, and what was
 * noted before its beginning is durable from its return on. (Nothing is really synced: the tests run on a machine whose
 * power does not fail.) What changes a mapping is not seen: the store writes through none but LMDB's lock file, which
 * does not outlive a process and is left out.
 *
 * The log lies in memory shared by parent and children: a child works and dies, its parent looks.
 */
#ifndef HEADPOND_T_UNIT_POWER_LOG_H
#define HEADPOND_T_UNIT_POWER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POWER_NAME 32
#define POWER_FILES 256
#define POWER_ROOT 0 /* the number of the directory itself */

enum power_kind {
    POWER_CREATE, /* `file` appears in `dir` as `name` */
    POWER_MKDIR,
    POWER_RENAME, /* `name` becomes `to`, in `dir` */
    POWER_UNLINK,
    POWER_WRITE,
    POWER_TRUNCATE, /* to `offset` */
    POWER_ALLOCATE, /* the file is at least offset + length long */
    POWER_SYNC_BEGIN,
    POWER_SYNC, /* of what came before `begin` */
    POWER_NOTE  /* the test's own: what it asked for, what it was told */
};

struct power_op {
    enum power_kind kind;
    unsigned file; /* that is written or synced, or that a name stands for */
    unsigned dir;
    unsigned begin;
    unsigned note;
    uint64_t offset, length;
    size_t data; /* of what is written or noted: where in the log's bytes */
    uint64_t value[4];
    char name[POWER_NAME], to[POWER_NAME];
};

struct power_log {
    unsigned count;
    size_t used;
    struct power_op *ops;
    uint8_t *bytes;
};

/* Shared, empty. */
struct power_log *power_log_new(void);
void power_log_clear(struct power_log *log);

/* ---- A disk's content, in memory. Files are numbered; 0 is the directory. ---- */

struct power_file {
    bool used, directory;
    uint8_t *bytes;
    size_t size, room;
};

struct power_entry {
    bool used;
    unsigned dir, file;
    char name[POWER_NAME];
};

struct power_disk {
    struct power_file files[POWER_FILES];
    struct power_entry entries[POWER_FILES];
};

void power_disk_init(struct power_disk *disk);
void power_disk_free(struct power_disk *disk);
void power_disk_copy(struct power_disk *to, const struct power_disk *from);
/* NULL: there is none. */
struct power_entry *power_disk_find(struct power_disk *disk, unsigned dir, const char *name);
/* Makes the (empty) directory `path` hold it. */
void power_disk_write(const struct power_disk *disk, const char *path);

/* ---- Recording, in the process that works. ---- */

/* From now on, below `path`, which holds `base`. Descriptors opened earlier are not seen. */
void power_record(struct power_log *log, const struct power_disk *base, const char *path);
/* Appends a note; its place in the log. */
unsigned power_note(unsigned note, const uint64_t value[4], const void *data, size_t size);
/* fallocate finds no room for more than this at once; 0: for all. */
void power_allocate_at_most(int64_t bytes);
/* Calls wait now and then, by chance, where another thread's could come between. */
void power_dawdle(unsigned seed);

/* ---- Crashes. ---- */

/* What is there of the changes that no sync covers. */
enum power_fate {
    POWER_ALL,       /* all: what a killed process leaves */
    POWER_NONE,      /* nothing */
    POWER_DATA_ONLY, /* of the data files everything, of the rest nothing */
    POWER_REST_ONLY, /* the reverse */
    POWER_CUT,       /* of each file all up to some point, where a write is torn */
    POWER_RANDOM,    /* each write or not; some are torn */
    POWER_FATES
};

struct power_crash {
    unsigned at; /* changes noted so far */
    enum power_fate fate;
    unsigned keep;         /* of 16: of RANDOM */
    unsigned sector;       /* what is written as one */
    unsigned names_keep;   /* of 16: of changes to directories that no sync of the directory covers */
    bool names_with_files; /* a file's own sync covers its name as well, as journals do */
    uint64_t seed;
};

/* What the disk may hold then. `disk` is empty before and is the caller's to free. */
void power_crash(const struct power_log *log, const struct power_disk *base, const struct power_crash *crash,
                 struct power_disk *disk);

#endif
