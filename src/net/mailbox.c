/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.c: the queue is a stack that producers push with compare-and-swap and the consumer takes whole and turns
 * over.
 *
 * Taking all of it in one exchange keeps the order (a letter pushed later lies nearer the top) and leaves no room for
 * ABA: nobody pops single letters. A push onto an empty stack writes the eventfd after the letter is visible; the
 * consumer empties the eventfd before it takes the stack, so a letter is either in what it takes or has its wake-up
 * still to come. A wake-up that finds nothing is harmless.
 */
#include "net/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mailbox_init(struct mailbox *box)
{
    atomic_init(&box->head, NULL);
    box->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Made at start only; without descriptors for that nothing can run. */
    if (box->eventfd < 0)
        abort();
}

void mailbox_fini(struct mailbox *box)
{
    close(box->eventfd);
    box->eventfd = -1;
}

void mailbox_wake(struct mailbox *box)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(box->eventfd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so it is readable, which is all that is wanted. */
}

void mailbox_post(struct mailbox *box, struct letter *letter)
{
    assert(letter->deliver != NULL);
    struct letter *head = atomic_load_explicit(&box->head, memory_order_relaxed);
    do
        letter->next = head;
    while (
        !atomic_compare_exchange_weak_explicit(&box->head, &head, letter, memory_order_release, memory_order_relaxed));
    if (head == NULL)
        mailbox_wake(box);
}

unsigned mailbox_drain(struct mailbox *box)
{
    uint64_t count;
    ssize_t n;
    do
        n = read(box->eventfd, &count, sizeof count);
    while (n < 0 && errno == EINTR);

    struct letter *newest = atomic_exchange_explicit(&box->head, NULL, memory_order_acquire);
    struct letter *oldest = NULL;
    while (newest != NULL) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    unsigned delivered = 0;
    while (oldest != NULL) {
        struct letter *next = oldest->next;
        oldest->next = NULL;
        oldest->deliver(oldest); /* `oldest` may be gone or posted again now */
        oldest = next;
        delivered++;
    }
    return delivered;
}
