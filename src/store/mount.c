/* SPDX-License-Identifier: Apache-2.0 */
/* mount.c: a descriptor's mount, by the number that /proc gives it. */
#include "store/mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LINE 8192

/* Calls `each` for the lines of a file until it says that it has what it wants. */
static void lines(const char *name, bool (*each)(char *line, void *arg), void *arg)
{
    FILE *file = fopen(name, "re");
    char line[LINE];
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL && !each(line, arg))
        continue;
    fclose(file);
}

struct search {
    long long id;
    struct mount *mount;
};

static bool id_line(char *line, void *arg)
{
    struct search *search = arg;
    return sscanf(line, "mnt_id: %lld", &search->id) == 1;
}

/* "id parent major:minor root point options [tags] - type source options" */
static bool mount_line(char *line, void *arg)
{
    struct search *search = arg;
    struct mount *mount = search->mount;
    char *rest = line, *words[5] = {NULL}, *type, *source;
    for (unsigned i = 0; i < 5; i++)
        words[i] = strsep(&rest, " ");
    if (words[4] == NULL || rest == NULL || strtoll(words[0], NULL, 10) != search->id)
        return false;
    snprintf(mount->point, sizeof mount->point, "%s", words[4]);
    rest = strstr(rest, " - ");
    if (rest == NULL)
        return true;
    rest += 3;
    type = strsep(&rest, " ");
    source = strsep(&rest, " \n");
    snprintf(mount->type, sizeof mount->type, "%s", type);
    if (source != NULL)
        snprintf(mount->source, sizeof mount->source, "%s", source);
    return true;
}

/* −1: the system does not say. */
static long long id_of(int fd)
{
    struct search search = {.id = -1};
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
    lines(name, id_line, &search);
    return search.id;
}

void mount_of(int dir, struct mount *mount)
{
    struct search search = {.id = id_of(dir), .mount = mount};
    struct statvfs space;
    *mount = (struct mount){.point = "?", .source = "?", .type = "?"};
    if (search.id >= 0)
        lines("/proc/self/mountinfo", mount_line, &search);
    /* A step up from where something is mounted leads out of it. */
    int above = openat(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (above >= 0) {
        mount->directory = id_of(above) != search.id;
        close(above);
    }
    if (fstatvfs(dir, &space) == 0)
        mount->size = (int64_t) space.f_blocks * (int64_t) space.f_frsize;
}
