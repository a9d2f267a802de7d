/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intents.h: writes to a whole container or account that are under way (store_intent_begin), and the mark in the
 * indexes that has a start after a crash believe no validation.
 *
 * The mark is set by a round as short as a tombstone's, so that those that begin together share a commit, and cleared
 * by a full one that finds none under way, so that those that begin within a second of each other find it there.
 * Clearing it is not waited for: a mark too many costs validations.
 *
 * Not locked here: all under the mutex of commit.c.
 */
#ifndef HEADPOND_STORE_INTENTS_H
#define HEADPOND_STORE_INTENTS_H

#include <stdbool.h>

/* What a round does to the mark. */
enum intents_change { INTENTS_KEEP, INTENTS_SET, INTENTS_CLEAR };

struct intents {
    unsigned open; /* under way */
    enum { MARK_NONE, MARK_PERHAPS, MARK_DURABLE } mark;
    bool doubt; /* it stands for more than what is open, until a full round has written all that is known now */
};

/* A mark that was found, or was set for a disk that missed something, stays until the next full round but one. */
void intents_doubt(struct intents *intents);
/* true: the mark is durable on every disk. Else a round is to set it. */
bool intents_begin(struct intents *intents);
/* So many have ended. */
void intents_end(struct intents *intents, unsigned count);
/* What a round that begins now is to do. `wanted`: somebody waits for the mark. What ends by a tombstone of this round
 * has ended: the mark is cleared after it is written. */
enum intents_change intents_take(struct intents *intents, bool wanted, bool full);
/* That round has been written. */
void intents_written(struct intents *intents, enum intents_change change);

#endif
