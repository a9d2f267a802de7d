/* SPDX-License-Identifier: Apache-2.0 */
/* intents.c: when the mark is set, and when it goes. */
#include "store/intents.h"

#include <assert.h>

void intents_doubt(struct intents *intents)
{
    intents->doubt = true;
    if (intents->mark == MARK_NONE)
        intents->mark = MARK_PERHAPS;
}

bool intents_begin(struct intents *intents)
{
    intents->open++;
    return intents->mark == MARK_DURABLE;
}

void intents_end(struct intents *intents, unsigned count)
{
    assert(intents->open >= count);
    intents->open -= count;
}

enum intents_change intents_take(struct intents *intents, bool wanted, bool full)
{
    enum intents_change change = wanted ? INTENTS_SET : INTENTS_KEEP;
    if (wanted && intents->mark == MARK_NONE)
        intents->mark = MARK_PERHAPS;
    if (full && !wanted && !intents->doubt && intents->open == 0 && intents->mark != MARK_NONE) {
        intents->mark = MARK_NONE;
        change = INTENTS_CLEAR;
    }
    if (full)
        intents->doubt = false;
    return change;
}

void intents_written(struct intents *intents, enum intents_change change)
{
    if (change == INTENTS_SET)
        intents->mark = MARK_DURABLE;
}
