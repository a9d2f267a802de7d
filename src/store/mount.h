/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.h: on which file system a directory lies, for the log: where a disk should be mounted and is not, its directory
 * lies on another one.
 */
#ifndef HEADPOND_STORE_MOUNT_H
#define HEADPOND_STORE_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#define MOUNT_TEXT 256

/* Texts as /proc/self/mountinfo has them, cut to what there is room for; "?" when the system does not say. */
struct mount {
    char point[MOUNT_TEXT];
    char source[MOUNT_TEXT]; /* a device, mostly */
    char type[64];
    int64_t size;   /* bytes of the file system; 0: not known */
    bool directory; /* it is what is mounted at the directory itself */
};

/* Of an open directory. Waits for the disk. */
void mount_of(int dir, struct mount *mount);

#endif
