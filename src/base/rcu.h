/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rcu.h: liburcu's QSBR flavour and its hash table, and what ThreadSanitizer must be told of them.
 *
 * In QSBR a registered thread reads without marking it: it is a reader from one quiescent state to the next. Loops pass
 * one after each round; the store's own threads go offline before they wait or do I/O.
 *
 * The library is not built for ThreadSanitizer, which therefore does not see that adding to the table happens before a
 * look-up that finds the node, that rcu_later happens before its callback, nor that a grace period separates the last
 * reader from the free. RCU_PUBLISH and RCU_SEEN say the first two, RCU_RECLAIM the third; they cover these hand-overs
 * and nothing else.
 */
#ifndef HEADPOND_BASE_RCU_H
#define HEADPOND_BASE_RCU_H

#include <stddef.h>
#include <stdint.h>
#include <urcu-qsbr.h>
#include <urcu/rculfhash.h>

/* For CONTAINER_OF use base/container.h's: liburcu's goes through a const pointer, which -Wcast-qual does not like. */
#define RCU_FOR_EACH(table, iter, pos, type, member)                                                                   \
    for (cds_lfht_first(table, iter); (pos = rcu_node_seen(iter, offsetof(type, member))) != NULL;                     \
         cds_lfht_next(table, iter))

#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif

#ifdef RCU_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define RCU_PUBLISH(node) __tsan_release(node)
#define RCU_SEEN(node) __tsan_acquire((void *) (uintptr_t) (node))
#define RCU_RECLAIM(free_statement)                                                                                    \
    do {                                                                                                               \
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);                                                                 \
        free_statement;                                                                                                \
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);                                                                   \
    } while (0)
#else
#define RCU_PUBLISH(node) ((void) (node))
#define RCU_SEEN(node) ((void) (node))
#define RCU_RECLAIM(free_statement) free_statement
#endif

/* What contains the node that the iterator stands at, or NULL at the end. */
static inline void *rcu_node_seen(struct cds_lfht_iter *iter, size_t offset)
{
    struct cds_lfht_node *node = cds_lfht_iter_get_node(iter);
    if (node == NULL)
        return NULL;
    RCU_SEEN(node);
    return (char *) node - offset;
}

/* call_rcu; `reclaim` begins with RCU_SEEN(head). */
static inline void rcu_later(struct rcu_head *head, void (*reclaim)(struct rcu_head *head))
{
    RCU_PUBLISH(head);
    call_rcu(head, reclaim);
}

#endif
