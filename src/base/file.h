/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h: files that somebody else replaces while we run (keys, tokens, certificates), and where paths lead. These
 * calls may wait for a disk: never on a loop. Any other thread.
 */
#ifndef HEADPOND_BASE_FILE_H
#define HEADPOND_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

/* What tells one state of a file from the next, symbolic links followed: a mounted Kubernetes secret changes by its
 * link. All zero: there is none, or it cannot be looked at. */
struct file_stamp {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t modified_ns;
    int64_t changed_ns; /* also tells of permissions, and of a time of modification that was set */
};

struct file_stamp file_stamp_of(const char *path);
bool file_stamp_eq(const struct file_stamp *a, const struct file_stamp *b);

/* Whether two paths lead to one place, however they are spelled. What is not there yet is judged by its text alone. */
bool file_same_place(const char *a, const char *b);

/* Appends the whole file to *text, in memory that was not moved (so that strbuf_wipe leaves no copy behind). NOT_FOUND,
 * IO (errno says why) or TOO_LARGE, and *text is empty. */
enum status file_read(const char *path, size_t max, struct strbuf *text) STATUS_CHECKED;

#endif
