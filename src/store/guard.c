/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c: owners, modes and kinds of files. */
#include "store/guard.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status guard_directory(int dir, const char *name, char why[GUARD_TEXT])
{
    const char *gap = *name == '\0' ? "" : " ";
    struct stat info;
    if ((*name == '\0' ? fstat(dir, &info) : fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW)) != 0)
        return errno == ENOENT ? STATUS_OK : STATUS_IO;
    if (!S_ISDIR(info.st_mode))
        snprintf(why, GUARD_TEXT, "%s%sis not a directory; remove it or give another path", name, gap);
    else if (info.st_uid != geteuid() && info.st_uid != 0)
        snprintf(why, GUARD_TEXT,
                 "%s%sbelongs to user %u, headpond runs as user %u; chown it, or give a directory of headpond's own",
                 name, gap, (unsigned) info.st_uid, (unsigned) geteuid());
    else if (info.st_mode & (S_IWGRP | S_IWOTH))
        snprintf(why, GUARD_TEXT,
                 "%s%smay be written to by other users (mode %04o); chmod go-w it, or give a new directory in it, "
                 "which headpond makes",
                 name, gap, (unsigned) info.st_mode & 07777);
    else
        return STATUS_OK;
    return STATUS_INVALID;
}

static enum status guard_file(int dir, const char *name, char why[GUARD_TEXT])
{
    struct stat info;
    if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? STATUS_OK : STATUS_IO;
    if (S_ISREG(info.st_mode) && info.st_uid == geteuid())
        return STATUS_OK;
    snprintf(why, GUARD_TEXT, "%s is %s; remove it or give another path", name,
             S_ISREG(info.st_mode) ? "another user's" : "not a plain file");
    return STATUS_INVALID;
}

enum status guard_files(int dir, const char *const *names, unsigned count, char why[GUARD_TEXT])
{
    enum status status = STATUS_OK;
    for (unsigned i = 0; status == STATUS_OK && i < count; i++)
        status = guard_file(dir, names[i], why);
    return status;
}

DIR *guard_list(int dir)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | GUARD_OPEN);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (list == NULL && copy >= 0) {
        int error = errno;
        close(copy);
        errno = error;
    }
    return list;
}

static bool is_one_of(const char *name, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

enum status guard_foreign(int dir, const char *const *names, unsigned count, const char *prefix, char why[GUARD_TEXT])
{
    static const char *const always[] = {".", "..", "lost+found"};
    enum status status = STATUS_OK;
    DIR *list = guard_list(dir);
    if (list == NULL)
        return STATUS_IO;
    for (struct dirent *item; status == STATUS_OK && (item = readdir(list)) != NULL;)
        if (!is_one_of(item->d_name, names, count) && !is_one_of(item->d_name, always, 3) &&
            strncmp(item->d_name, prefix, strlen(prefix)) != 0) {
            snprintf(why, GUARD_TEXT,
                     "holds files that are not headpond's (%.100s); give an empty directory, or a new one in it, which "
                     "headpond makes",
                     item->d_name);
            status = STATUS_INVALID;
        }
    closedir(list);
    return status;
}

enum status guard_prefix(int dir, const char *prefix, char why[GUARD_TEXT])
{
    DIR *list = guard_list(dir);
    if (list == NULL)
        return STATUS_IO;
    enum status status = STATUS_OK;
    for (struct dirent *item; status == STATUS_OK && (item = readdir(list)) != NULL;)
        if (strncmp(item->d_name, prefix, strlen(prefix)) == 0)
            status = guard_file(dir, item->d_name, why);
    int error = errno;
    closedir(list);
    errno = error;
    return status;
}
