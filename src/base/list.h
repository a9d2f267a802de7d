/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h: an intrusive doubly linked list. A node is on one list at most; an unlinked node points at itself. Not
 * thread-safe.
 */
#ifndef HEADPOND_BASE_LIST_H
#define HEADPOND_BASE_LIST_H

#include <stdbool.h>

#include "base/container.h"

struct list {
    struct list *next;
    struct list *prev;
};

/* What the node is in. */
#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_add_tail(struct list *list, struct list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void list_add_head(struct list *list, struct list *node)
{
    list_add_tail(list->next, node);
}

/* Also fine on a node that is on no list. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* What is on `from` goes to the end of `to`, in its order. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_FOR_EACH(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)
/* The body may remove `node`. */
#define LIST_FOR_EACH_SAFE(node, head)                                                                                 \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);                                  \
         node = node##_next, node##_next = node->next)

#endif
