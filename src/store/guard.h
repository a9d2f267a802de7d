/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h: whether a store's directory is headpond's alone.
 *
 * Who may write to it could put a link or a pipe where headpond writes, or bytes where it reads; who merely reads it
 * sees blobs without a yes. So a directory that others may write to, or that is another user's, is not used, and
 * nothing in it is that is not a plain file of headpond's own user. Files are opened with GUARD_OPEN besides.
 */
#ifndef HEADPOND_STORE_GUARD_H
#define HEADPOND_STORE_GUARD_H

#include <dirent.h>
#include <fcntl.h>

#include "base/status.h"

#define GUARD_OPEN (O_NOFOLLOW | O_CLOEXEC)
#define GUARD_TEXT 400

/* All: OK also when nothing has that name. INVALID: `why` says what is wrong and what to do about it. IO with errno
 * set. Opening thread. */

/* A directory in `dir`; "": `dir` itself. */
enum status guard_directory(int dir, const char *name, char why[GUARD_TEXT]) STATUS_CHECKED;
enum status guard_files(int dir, const char *const *names, unsigned count, char why[GUARD_TEXT]) STATUS_CHECKED;
/* Nothing else lies in the directory: these names, files that begin with the prefix, lost+found. */
enum status guard_foreign(int dir, const char *const *names, unsigned count, const char *prefix,
                          char why[GUARD_TEXT]) STATUS_CHECKED;
/* A list of the directory, the caller's to close. NULL with errno set. */
DIR *guard_list(int dir);
/* Every file whose name begins so. */
enum status guard_prefix(int dir, const char *prefix, char why[GUARD_TEXT]) STATUS_CHECKED;

#endif
