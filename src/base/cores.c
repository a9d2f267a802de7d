/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cores.c: reads /proc/self/cgroup and the quotas of our cgroup and of all above it. In a container with a cgroup
 * namespace our own is "/"; without one the path may not exist inside, and the mount's root is what counts.
 */
#include "base/cores.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 1024
#define QUOTA_NONE INT64_MAX

/* The first line of root+dir+"/"+name. */
static bool read_line(const char *root, const char *dir, const char *name, char *line, size_t size)
{
    char path[PATH_BYTES * 3];
    snprintf(path, sizeof path, "%s%s/%s", root, dir, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool good = fgets(line, (int) size, file) != NULL;
    fclose(file);
    return good;
}

static int64_t quota_cores(int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0)
        return QUOTA_NONE;
    int64_t cores = quota / period + (quota % period != 0);
    return cores < 1 ? 1 : cores;
}

static int64_t quota_v2(const char *root, const char *dir)
{
    char line[128];
    int64_t quota;
    int64_t period;
    if (!read_line(root, dir, "cpu.max", line, sizeof line) ||
        sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) != 2)
        return QUOTA_NONE; /* "max 100000" among others */
    return quota_cores(quota, period);
}

static int64_t quota_v1(const char *root, const char *dir)
{
    char line[128];
    int64_t quota;
    int64_t period;
    if (!read_line(root, dir, "cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%" SCNd64, &quota) != 1 ||
        !read_line(root, dir, "cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%" SCNd64, &period) != 1)
        return QUOTA_NONE;
    return quota_cores(quota, period);
}

/* The least quota of mount+path and of every directory above it down to the mount. */
static int64_t quota_upwards(const char *root, const char *mount, const char *path,
                             int64_t (*quota)(const char *root, const char *dir))
{
    char dir[PATH_BYTES * 2];
    size_t floor = strlen(mount);
    snprintf(dir, sizeof dir, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
    int64_t least = QUOTA_NONE;
    for (;;) {
        int64_t here = quota(root, dir);
        if (here < least)
            least = here;
        char *slash = strrchr(dir, '/');
        if (strlen(dir) <= floor || slash == NULL)
            return least;
        *slash = '\0';
        if (strlen(dir) < floor)
            return least;
    }
}

/* One line of /proc/self/cgroup: "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1). */
static int64_t quota_of_line(const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL || strlen(path) >= PATH_BYTES || strstr(path, "..") != NULL)
        return QUOTA_NONE;
    *path++ = '\0';
    controllers++;
    if (*controllers == '\0')
        return quota_upwards(root, "/sys/fs/cgroup", path, quota_v2);
    char *next = NULL;
    for (char *name = strtok_r(controllers, ",", &next); name != NULL; name = strtok_r(NULL, ",", &next)) {
        if (strcmp(name, "cpu") == 0)
            return quota_upwards(root, "/sys/fs/cgroup/cpu", path, quota_v1);
    }
    return QUOTA_NONE;
}

static int64_t cores_quota(const char *root)
{
    char line[PATH_BYTES * 2];
    int64_t least = QUOTA_NONE;
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *file = fopen(line, "re");
    if (file == NULL)
        return least;
    while (fgets(line, sizeof line, file) != NULL) {
        int64_t here = quota_of_line(root, line);
        if (here < least)
            least = here;
    }
    fclose(file);
    return least;
}

unsigned cores_available(const char *root)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int64_t cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int64_t quota = cores_quota(root);
    if (quota < cores)
        cores = quota;
    return cores < 1 ? 1 : (unsigned) cores;
}
