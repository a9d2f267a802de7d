/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See content.h. The region is 64 KiB longer than the span of page starts, so that every page is
 * contiguous. Page starts are not aligned on purpose: two pages that should differ have one chance
 * in four million to be equal, so a checker notices bytes of the wrong blob, page or generation.
 */
#include "content.h"

#include <string.h>

#define CONTENT_SPAN (4u << 20)
#define CONTENT_SEED 0x68656164706f6e64u

static uint64_t region[(CONTENT_SPAN + CONTENT_PAGE) / sizeof(uint64_t)];

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void content_init(void)
{
    uint64_t state = CONTENT_SEED;
    for (size_t i = 0; i < sizeof region / sizeof region[0]; i++)
        region[i] = splitmix64(&state);
}

/* The two inputs go through one round each, so that neighbouring seeds do not share shifted pages.
 */
static char *page_start(uint64_t seed, uint64_t page)
{
    uint64_t state = seed;
    state = splitmix64(&state) ^ page;
    return (char *) region + splitmix64(&state) % CONTENT_SPAN;
}

int content_iov(uint64_t seed, int64_t offset, int64_t length, struct iovec *iov, int max_iov)
{
    int n = 0;
    while (length > 0 && n < max_iov) {
        int64_t within = offset % CONTENT_PAGE;
        int64_t take = CONTENT_PAGE - within;
        if (take > length)
            take = length;
        iov[n].iov_base = page_start(seed, (uint64_t) (offset / CONTENT_PAGE)) + within;
        iov[n].iov_len = (size_t) take;
        n++;
        offset += take;
        length -= take;
    }
    return n;
}

static int64_t first_difference(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i])
            return (int64_t) i;
    return -1;
}

int64_t content_check(uint64_t seed, int64_t offset, const void *buf, size_t len)
{
    const char *p = buf;
    struct iovec iov;
    while (len > 0) {
        content_iov(seed, offset, (int64_t) len, &iov, 1);
        if (memcmp(p, iov.iov_base, iov.iov_len) != 0)
            return offset + first_difference(p, iov.iov_base, iov.iov_len);
        p += iov.iov_len;
        offset += (int64_t) iov.iov_len;
        len -= iov.iov_len;
    }
    return -1;
}

void content_copy(uint64_t seed, int64_t offset, void *buf, size_t len)
{
    char *p = buf;
    struct iovec iov;
    while (len > 0) {
        content_iov(seed, offset, (int64_t) len, &iov, 1);
        memcpy(p, iov.iov_base, iov.iov_len);
        p += iov.iov_len;
        offset += (int64_t) iov.iov_len;
        len -= iov.iov_len;
    }
}
