/* SPDX-License-Identifier: Apache-2.0 */
/* Header lists, methods, and a source over memory. */
#include "tap.h"

#include "http/message.h"
#include "http/source.h"

static void headers(void)
{
    struct arena *arena = arena_new(), *other = arena_new();
    struct http_headers list = {.arena = arena};
    ok(http_headers_find(&list, STR("a")) == NULL, "nothing in an empty list");
    for (int i = 0; i < 100; i++)
        http_headers_add(&list, i % 2 == 0 ? STR("Even") : STR("odd"), arena_printf(arena, "%d", i));
    is_int(list.count, 100, "grows");
    is_text(http_headers_get(&list, STR("EVEN")), "0", "the first, case folded");
    is_text(http_headers_lookup(&list, STR("ODD"), 3), "7", "the fourth");
    ok(http_headers_lookup(&list, STR("odd"), 50).ptr == NULL, "and not a 51st");
    struct http_headers copy;
    http_headers_copy(&copy, &list, other);
    is_int(http_headers_remove(&list, STR("even")), 50, "all of a name go");
    is_int(list.count, 50, "the others stay");
    is_text(list.items[49].value, "99", "in their order");
    arena_free(arena);
    is_int(copy.count, 100, "a copy is deep");
    is_text(copy.items[99].value, "99", "and outlives the original");
    http_headers_add(&copy, STR("x"), STR("y"));
    is_text(copy.items[100].name, "x", "and grows");
    arena_free(other);
}

static void words(void)
{
    is_int(http_method_parse(STR("GET")), HTTP_GET, "GET");
    is_int(http_method_parse(STR("get")), HTTP_OTHER, "methods are case-sensitive");
    is_int(http_method_parse(STR("GETX")), HTTP_OTHER, "and whole");
    is_int(http_method_parse(STR("")), HTTP_OTHER, "or nothing");
    is_text(http_reason(206), "Partial Content", "a reason");
    is_text(http_reason(299), "", "an unknown one");
    ok(http_header_hop_by_hop(STR("CONNECTION")) && http_header_hop_by_hop(STR("te")) &&
           http_header_hop_by_hop(STR("Upgrade")),
       "hop by hop");
    ok(!http_header_hop_by_hop(STR("ETag")) && !http_header_hop_by_hop(STR("Content-Length")), "end to end");
}

static void memory(void)
{
    char text[] = "hello world";
    struct source *source = source_from_str(STR("")), *none = NULL;
    struct source_view view;
    is_int(source_peek(source, &view, 10), SOURCE_END, "nothing ends at once");
    source_close(&source);
    ok(source == NULL, "closing empties");
    source_close(&none);
    source = source_from_str(str_from(text));
    text[0] = 'X';
    is_int(source_peek(source, &view, 5), SOURCE_DATA, "data");
    is_int(view.bytes, 5, "no more than asked for");
    source_consume(source, 0);
    is_int(source_peek(source, &view, 100), SOURCE_DATA, "shown again");
    ok(view.count == 1 && view.bytes == 11 && memcmp(view.pieces[0].iov_base, "hello world", 11) == 0, "a copy");
    source_consume(source, 6);
    source_peek(source, &view, 100);
    ok(view.bytes == 5 && memcmp(view.pieces[0].iov_base, "world", 5) == 0, "what is left");
    source_consume(source, 5);
    is_int(source_peek(source, &view, 1), SOURCE_END, "the end");
    is_int(source_peek(source, &view, 1), SOURCE_END, "stays");
    source_close(&source);
}

int main(void)
{
    headers();
    words();
    memory();
    return done_testing();
}
