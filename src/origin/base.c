/* SPDX-License-Identifier: Apache-2.0 */
/* base.c: see base.h. */
#include "origin/base.h"

struct str origin_base_host(const char *base)
{
    const char *from = strstr(base, "://");
    from = from == NULL ? base : from + 3;
    const char *end = from + strcspn(from, "/");
    const char *at = memchr(from, '@', (size_t) (end - from));
    if (at != NULL)
        from = at + 1;
    return (struct str){from, (size_t) (end - from)};
}

const char *origin_base_path(const char *base)
{
    struct str host = origin_base_host(base);
    return host.ptr + host.len;
}
