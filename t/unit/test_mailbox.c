/* SPDX-License-Identifier: Apache-2.0 */
/* test_mailbox.c: several producers, one consumer: nothing lost, nothing twice, each sender's order kept, no wake-up
 * lost. */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>

#include "net/mailbox.h"
#include "tap.h"

#define SENDERS 4
#define LETTERS 20000

struct numbered {
    struct letter letter; /* first */
    unsigned sender;
    unsigned number;
};

static struct mailbox box;
static struct numbered letters[SENDERS][LETTERS];
static unsigned next_number[SENDERS];
static unsigned disordered;
static unsigned received;

static void deliver(struct letter *letter)
{
    struct numbered *numbered = (struct numbered *) letter;
    if (numbered->number != next_number[numbered->sender])
        disordered++;
    next_number[numbered->sender] = numbered->number + 1;
    received++;
}

static void *send_all(void *arg)
{
    unsigned sender = (unsigned) (uintptr_t) arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        letters[sender][i] = (struct numbered){{NULL, deliver}, sender, i};
        mailbox_post(&box, &letters[sender][i].letter);
    }
    return NULL;
}

static bool readable(void)
{
    struct pollfd wait = {.fd = box.eventfd, .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

static struct letter bouncing;
static unsigned bounces;

static void bounce(struct letter *letter)
{
    if (++bounces < 3)
        mailbox_post(&box, letter);
}

int main(void)
{
    mailbox_init(&box);
    ok(!readable(), "a new mailbox is quiet");
    is_int(mailbox_drain(&box), 0, "and holds nothing");

    bouncing.deliver = bounce;
    mailbox_post(&box, &bouncing);
    ok(readable(), "a letter makes the eventfd readable");
    is_int(mailbox_drain(&box), 1, "a letter posted by its own delivery waits for the next call");
    ok(readable(), "which is announced");
    is_int(mailbox_drain(&box), 1, "and delivers it");
    is_int(mailbox_drain(&box), 1, "once each");
    ok(!readable(), "then it is quiet again");
    mailbox_wake(&box);
    ok(readable(), "mailbox_wake makes it readable without a letter");
    is_int(mailbox_drain(&box), 0, "which delivers nothing");

    pthread_t threads[SENDERS];
    for (uintptr_t i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_all, (void *) i);
    bool lost = false;
    while (received < SENDERS * LETTERS && !lost) {
        /* Only a wake-up that was lost can take this long. */
        struct pollfd wait = {.fd = box.eventfd, .events = POLLIN};
        if (poll(&wait, 1, 20000) != 1)
            lost = true;
        mailbox_drain(&box);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    ok(!lost, "no wake-up is lost");
    is_int(received, SENDERS * LETTERS, "all letters of %d senders arrive", SENDERS);
    is_int(disordered, 0, "each sender's in their order");
    mailbox_drain(&box);
    is_int(received, SENDERS * LETTERS, "and none twice");
    mailbox_fini(&box);
    return done_testing();
}
