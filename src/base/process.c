/* SPDX-License-Identifier: Apache-2.0 */
/* process.c: reads /proc/self, which stays readable when the process may not be dumped. */
#include "base/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int64_t process_resident_bytes(void)
{
    char text[128];
    long long pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    return sscanf(text, "%*d %lld", &pages) == 1 ? (int64_t) pages * sysconf(_SC_PAGESIZE) : 0;
}
