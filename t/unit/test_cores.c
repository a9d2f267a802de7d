/* SPDX-License-Identifier: Apache-2.0 */
/* test_cores.c: quotas of control groups, version 2 and 1, ours and those above. */
#include "base/cores.h"

#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static char root[] = "/tmp/headpond-cores-XXXXXX";

/* Writes root/path, its directories included. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    if (file == NULL)
        abort();
    fputs(text, file);
    fclose(file);
}

int main(void)
{
    cpu_set_t set;
    if (mkdtemp(root) == NULL || sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int all = CPU_COUNT(&set);
    is_int(cores_available(root), all, "no control groups: the affinity mask");
    put("proc/self/cgroup", "0::/a/b\n");
    is_int(cores_available(root), all, "version 2 without files");
    put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    is_int(cores_available(root), all, "no quota");
    put("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    is_int(cores_available(root), 1, "half a core is one");
    put("sys/fs/cgroup/a/b/cpu.max", "100000000 100000\n");
    is_int(cores_available(root), all, "more than there are");
    put("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    is_int(cores_available(root), 1, "the one above counts too");
    put("proc/self/cgroup", "12:memory:/a/b\n4:cpu,cpuacct:/x\n");
    is_int(cores_available(root), all, "version 1 without files");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    is_int(cores_available(root), 1, "version 1");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n");
    is_int(cores_available(root), all, "version 1 without a quota");
    put("proc/self/cgroup", "garbage\n::\n0::../../etc\n");
    is_int(cores_available(root), all, "garbage");
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    if (system(command) != 0)
        diag("%s is left", root);
    return done_testing();
}
