/* SPDX-License-Identifier: Apache-2.0 */
/* The arena: nothing overlaps, everything is aligned, a reset gives back and keeps one chunk. */
#include "tap.h"

#include "base/arena.h"
#include "base/mem.h"

#define PIECES 3000

static void fills(struct arena *arena)
{
    static unsigned char *piece[PIECES];
    static size_t size[PIECES];
    bool aligned = true, intact = true;
    for (unsigned i = 0; i < PIECES; i++) {
        size[i] = (i * 37) % 3000 + (i % 100 == 0 ? 20000 : 0);
        piece[i] = arena_alloc(arena, size[i]);
        aligned = aligned && (uintptr_t) piece[i] % 16 == 0;
        memset(piece[i], (int) (i & 0xff), size[i]);
    }
    for (unsigned i = 0; i < PIECES; i++)
        for (size_t j = 0; j < size[i]; j++)
            intact = intact && piece[i][j] == (i & 0xff);
    ok(aligned, "every piece is aligned");
    ok(intact, "no piece overlaps another");
}

int main(void)
{
    size_t before = mem_used();
    struct arena *arena = arena_new();
    fills(arena);
    ok(mem_used() - before > 4000000, "what it holds is tallied");
    arena_reset(arena);
    ok(mem_used() - before < 16384, "a reset keeps one chunk at most");
    fills(arena);
    arena_reset(arena);

    char text[] = "abc";
    struct str copy = arena_str(arena, (struct str){text, 3});
    text[0] = 'x';
    ok(str_eq(copy, STR("abc")) && copy.ptr[3] == '\0', "a text is copied and terminated");
    is_int(arena_str(arena, STR_NULL).len, 0, "nothing is copied as an empty text");
    struct str printed = arena_printf(arena, "%d-%s", 42, "x");
    ok(str_eq(printed, STR("42-x")) && printed.ptr[printed.len] == '\0', "printed and terminated");
    unsigned char *zero = arena_calloc(arena, 100);
    bool zeroed = true;
    for (int i = 0; i < 100; i++)
        zeroed = zeroed && zero[i] == 0;
    ok(zeroed, "calloc clears what a former request left");
    arena_free(arena);
    arena_free(NULL);
    is_int(mem_used(), before, "all is given back");
    return done_testing();
}
