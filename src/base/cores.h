/* SPDX-License-Identifier: Apache-2.0 */
/* cores.h: how many cores this process may use, which in a container is the cgroup's quota and not the machine. */
#ifndef HEADPOND_BASE_CORES_H
#define HEADPOND_BASE_CORES_H

/* At least 1: the affinity mask's count, or the CPU quota of the cgroup (v2 cpu.max, v1 cfs_quota) or of one above it,
 * rounded up, whichever is less. `root` is "" or, in tests, a directory that stands for "/". */
unsigned cores_available(const char *root);

#endif
