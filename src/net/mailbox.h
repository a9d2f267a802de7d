/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.h: how another thread hands something to a loop: an intrusive multi-producer, single-consumer queue with an
 * eventfd that is written only when the queue goes from empty to non-empty.
 *
 * A letter is embedded in what it is about and belongs to the mailbox from post until deliver is called, which may post
 * it again or free it. Letters of one sender arrive in the order they were posted, also when the second was caused by
 * the delivery of the first elsewhere (happens-before order is kept).
 */
#ifndef HEADPOND_NET_MAILBOX_H
#define HEADPOND_NET_MAILBOX_H

#include <stdatomic.h>

struct letter {
    struct letter *next;
    void (*deliver)(struct letter *letter); /* on the receiving thread */
};

struct mailbox {
    _Atomic(struct letter *) head; /* newest first */
    int eventfd;
};

void mailbox_init(struct mailbox *box);
void mailbox_fini(struct mailbox *box);
/* Any thread. letter->deliver must be set. */
void mailbox_post(struct mailbox *box, struct letter *letter);
/* Any thread: makes the eventfd readable though no letter is there. */
void mailbox_wake(struct mailbox *box);
/* Owning thread: delivers what is there now, oldest first; returns how many. Letters posted meanwhile wait for the next
 * call (the eventfd is readable again). */
unsigned mailbox_drain(struct mailbox *box);

#endif
