/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_check.c: LMDB's file as pages. Each begins with its number (8), a pad (2), flags (2), and, unless it is the
 * first of an overflow, where its pointers end (2) and its nodes begin (2); a pointer (2) a node follows. A node is:
 * the low 32 bits of a length or of a page's number (4), flags or that number's upper bits (2), the key's length (2),
 * key, data.
 */
#include "store/index_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/guard.h"

#define PAGE_HEADER 16
#define NODE_HEADER 8
#define DB_SIZE 48
#define META_MAGIC UINT32_C(0xBEEFC0DE)
#define META_VERSION 1
#define PAGE_MIN 4096
#define PAGE_MAX 65536
#define DEPTH_MAX 32 /* of LMDB's cursors */
#define NO_PAGE UINT64_MAX

enum page_flags { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };
enum node_flags { NODE_BIG = 1, NODE_TREE = 2 };

struct tree {
    uint16_t depth;
    uint64_t branches, leaves, overflows, rows;
    uint64_t root;
};

struct check {
    int fd;
    uint32_t page_size;
    uint64_t last; /* page */
    uint8_t *used; /* a bit a page: it was reached */
    const char *why;
    enum status status;
};

static uint16_t u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool wrong(struct check *check, const char *why)
{
    check->why = why;
    check->status = STATUS_CORRUPT;
    return false;
}

static bool read_at(struct check *check, void *to, size_t size, uint64_t at)
{
    ssize_t got = pread(check->fd, to, size, (off_t) at);
    if (got < 0) {
        check->why = "its file cannot be read";
        check->status = STATUS_IO;
        return false;
    }
    return got == (ssize_t) size || wrong(check, "its file is cut short");
}

/* The pages are used for this, and for nothing else. */
static bool take(struct check *check, uint64_t page, uint64_t count)
{
    if (page < 2 || page > check->last || count > check->last - page + 1)
        return wrong(check, "it speaks of pages that are not there");
    for (uint64_t i = page; i < page + count; i++) {
        if (check->used[i / 8] >> i % 8 & 1)
            return wrong(check, "a page of it is used twice");
        check->used[i / 8] |= (uint8_t) (1U << i % 8);
    }
    return true;
}

/* ---- Pages. ---- */

static unsigned nodes_of(const uint8_t *page)
{
    return (u16(page + 12) - PAGE_HEADER) / 2U;
}

static const uint8_t *node_of(const uint8_t *page, unsigned number)
{
    return page + u16(page + PAGE_HEADER + 2 * number);
}

/* Bytes of the node's data that lie in the page. */
static uint32_t node_data(const uint8_t *node, bool leaf)
{
    if (!leaf)
        return 0;
    return u16(node + 4) & NODE_BIG ? 8 : u32(node);
}

static bool page_holds(struct check *check, const uint8_t *page, bool leaf)
{
    uint32_t lower = u16(page + 12), upper = u16(page + 14), size = check->page_size;
    if (lower < PAGE_HEADER || lower % 2 != 0 || upper < lower || upper > size)
        return wrong(check, "a page of it lies about how full it is");
    for (unsigned i = 0; i < nodes_of(page); i++) {
        uint32_t at = u16(page + PAGE_HEADER + 2 * i);
        if (at < upper || at > size - NODE_HEADER)
            return wrong(check, "a row of it lies outside of its page");
        const uint8_t *node = page + at;
        uint32_t left = size - at - NODE_HEADER, key = u16(node + 6);
        if (key > left || node_data(node, leaf) > left - key)
            return wrong(check, "a row of it is longer than its page");
    }
    return true;
}

static bool page_read(struct check *check, uint64_t number, bool leaf, uint8_t *page)
{
    if (!take(check, number, 1) || !read_at(check, page, check->page_size, number * check->page_size))
        return false;
    if (u64(page) != number || u16(page + 10) != (leaf ? PAGE_LEAF : PAGE_BRANCH))
        return wrong(check, "a page of it is another");
    return page_holds(check, page, leaf);
}

/* ---- Trees. ---- */

/* A leaf's row that lies on pages of its own. */
static bool overflow_holds(struct check *check, const uint8_t *node, struct tree *seen)
{
    uint64_t number = u64(node + NODE_HEADER + u16(node + 6));
    uint64_t count = (PAGE_HEADER - 1 + (uint64_t) u32(node)) / check->page_size + 1;
    uint8_t header[PAGE_HEADER];
    if (number > check->last)
        return wrong(check, "it speaks of pages that are not there");
    if (!read_at(check, header, sizeof header, number * check->page_size))
        return false;
    /* A row that was replaced by a shorter one keeps its pages. */
    if (u64(header) != number || u16(header + 10) != PAGE_OVERFLOW || u32(header + 12) < count)
        return wrong(check, "a long row of it is another");
    seen->overflows += u32(header + 12);
    return take(check, number, u32(header + 12));
}

typedef bool (*row_f)(struct check *check, const uint8_t *node);

static bool leaf_holds(struct check *check, const uint8_t *page, row_f row, struct tree *seen)
{
    seen->leaves++;
    seen->rows += nodes_of(page);
    for (unsigned i = 0; i < nodes_of(page); i++) {
        const uint8_t *node = node_of(page, i);
        uint16_t flags = u16(node + 4);
        if (flags != 0 && flags != NODE_BIG && flags != NODE_TREE)
            return wrong(check, "a row of it is of no known kind");
        if ((flags & NODE_BIG) && !overflow_holds(check, node, seen))
            return false;
        if (row == NULL ? flags == NODE_TREE : !row(check, node))
            return check->why != NULL ? false : wrong(check, "a row of it is a table");
    }
    return true;
}

/* `pages`: one for this level and each below. */
static bool level_holds(struct check *check, uint64_t number, unsigned depth, uint8_t *pages, row_f row,
                        struct tree *seen)
{
    if (!page_read(check, number, depth == 1, pages))
        return false;
    if (depth == 1)
        return leaf_holds(check, pages, row, seen);
    seen->branches++;
    if (nodes_of(pages) == 0)
        return wrong(check, "a page of it leads nowhere");
    for (unsigned i = 0; i < nodes_of(pages); i++) {
        const uint8_t *node = node_of(pages, i);
        uint64_t child = u32(node) | (uint64_t) u16(node + 4) << 32;
        if (!level_holds(check, child, depth - 1, pages + check->page_size, row, seen))
            return false;
    }
    return true;
}

static struct tree tree_at(const uint8_t *at)
{
    return (struct tree){.depth = u16(at + 6),
                         .branches = u64(at + 8),
                         .leaves = u64(at + 16),
                         .overflows = u64(at + 24),
                         .rows = u64(at + 32),
                         .root = u64(at + 40)};
}

static bool tree_holds(struct check *check, const uint8_t *at, row_f row)
{
    struct tree said = tree_at(at), seen = {.depth = said.depth, .root = said.root};
    bool good = said.depth <= DEPTH_MAX || wrong(check, "a table of it is too deep");
    if (good && (said.root == NO_PAGE) != (said.depth == 0))
        good = wrong(check, "a table of it has no root");
    if (good && said.root != NO_PAGE) {
        uint8_t *pages = mem_alloc((size_t) said.depth * check->page_size);
        good = level_holds(check, said.root, said.depth, pages, row, &seen);
        mem_free(pages);
    }
    if (good && (seen.branches != said.branches || seen.leaves != said.leaves || seen.overflows != said.overflows ||
                 seen.rows != said.rows))
        good = wrong(check, "there is more or less in it than it says");
    return good;
}

/* ---- What the trees are of. ---- */

/* A row of the main table is a table. */
static bool table_holds(struct check *check, const uint8_t *node)
{
    if (u16(node + 4) != NODE_TREE || u32(node) != DB_SIZE)
        return wrong(check, "a table of it is none");
    return tree_holds(check, node + NODE_HEADER + u16(node + 6), NULL);
}

/* A list of free pages: their count, and their numbers from the last to the first. */
static bool free_holds(struct check *check, const uint8_t *node)
{
    uint32_t size = u32(node), key = u16(node + 6);
    bool good = true;
    if (key != 8 || size < 8 || size % 8 != 0)
        return wrong(check, "its list of free pages is none");
    uint8_t *list = mem_alloc(size);
    if (u16(node + 4) & NODE_BIG)
        good = read_at(check, list, size, u64(node + NODE_HEADER + key) * check->page_size + PAGE_HEADER);
    else
        memcpy(list, node + NODE_HEADER + key, size);
    uint64_t count = u64(list), before = NO_PAGE;
    /* There may be room for more. */
    if (good && count > size / 8 - 1)
        good = wrong(check, "its list of free pages is longer than it is");
    for (uint64_t i = 1; good && i <= count; i++) {
        uint64_t number = u64(list + 8 * i);
        good = number < before ? take(check, number, 1) : wrong(check, "its list of free pages is in disorder");
        before = number;
    }
    mem_free(list);
    return good;
}

static bool meta_holds(struct check *check, const uint8_t *meta, size_t map_size)
{
    check->page_size = u32(meta + 40);
    check->last = u64(meta + 136);
    if (check->page_size < PAGE_MIN || check->page_size > PAGE_MAX || (check->page_size & (check->page_size - 1)) != 0)
        return wrong(check, "its pages have no size");
    if (check->last >= map_size / check->page_size || check->last < 1)
        return wrong(check, "it is larger than it may be");
    return true;
}

/* The later of the two states that the file begins with; false: LMDB will say what is wrong, or it is not for us. */
static bool meta_find(struct check *check, size_t map_size, uint8_t meta[152])
{
    uint8_t metas[2][152];
    if (!read_at(check, metas[0], sizeof metas[0], 0))
        return false;
    if (u32(metas[0] + 16) != META_MAGIC || u32(metas[0] + 20) != META_VERSION ||
        !meta_holds(check, metas[0], map_size))
        return false;
    if (!read_at(check, metas[1], sizeof metas[1], check->page_size))
        return false;
    uint32_t page_size = check->page_size;
    if (u32(metas[1] + 16) != META_MAGIC || u32(metas[1] + 20) != META_VERSION ||
        !meta_holds(check, metas[1], map_size))
        return false;
    if (check->page_size != page_size)
        return wrong(check, "its pages are of two sizes");
    memcpy(meta, metas[u64(metas[0] + 144) < u64(metas[1] + 144)], sizeof metas[0]);
    return meta_holds(check, meta, map_size);
}

enum status index_check(const char *path, size_t map_size, const char **why)
{
    struct check check = {.status = STATUS_OK};
    struct stat info;
    uint8_t meta[152];
    const uint32_t one = 1;
    if (sizeof(size_t) != 8 || *(const uint8_t *) &one != 1)
        return STATUS_OK;
    check.fd = open(path, O_RDONLY | GUARD_OPEN);
    if (check.fd < 0)
        return errno == ENOENT ? STATUS_OK : STATUS_IO;
    if (fstat(check.fd, &info) == 0 && info.st_size > 0 && meta_find(&check, map_size, meta)) {
        (void) posix_fadvise(check.fd, 0, 0, POSIX_FADV_WILLNEED);
        check.used = mem_calloc(1, check.last / 8 + 1);
        (void) (tree_holds(&check, meta + 88, table_holds) && tree_holds(&check, meta + 40, free_holds));
        mem_free(check.used);
    }
    close(check.fd);
    *why = check.why;
    return check.status;
}
