/* SPDX-License-Identifier: Apache-2.0 */
/* admission.c: see admission.h. */
#include "origin/admission.h"

static void budget_come(struct budget_ticket *ticket, enum status why)
{
    struct admission *admission = CONTAINER_OF(ticket, struct admission, budget);
    const struct line_ticket wish = admission->wish;
    if (why != STATUS_OK || line_ask(admission->line, &admission->room, &wish))
        wish.come(wish.arg, why);
}

static void begin(struct admission *admission, const struct admission_terms *terms)
{
    *admission = (struct admission){.line = terms->line, .wish = terms->wish};
    budget_ticket_init(&admission->budget, terms->line->loop, terms->budget, terms->client, budget_come);
    admission->budget.held = terms->wish.held;
    admission->budget.favoured = terms->wish.favoured;
    if (terms->asked != NULL)
        budget_move(&admission->budget, terms->asked);
}

bool admission_ask(struct admission *admission, const struct admission_terms *terms)
{
    begin(admission, terms);
    return budget_ask(&admission->budget) && line_ask(terms->line, &admission->room, &terms->wish);
}

bool admission_try(struct admission *admission, const struct admission_terms *terms)
{
    begin(admission, terms);
    if (budget_try(&admission->budget) && line_try(terms->line, &admission->room, &terms->wish))
        return true;
    if (terms->asked != NULL)
        budget_move(terms->asked, &admission->budget);
    budget_leave(&admission->budget);
    return false;
}

bool admission_has(const struct admission *admission)
{
    return line_has(&admission->room) || admission->budget.queue != NULL || admission->budget.refused;
}

void admission_move(struct admission *to, struct admission *from)
{
    budget_take_over(&to->budget, from->budget.loop, &from->budget, budget_come);
    line_move(&to->room, &from->room);
}

void admission_leave(struct admission *admission)
{
    budget_leave(&admission->budget);
    line_leave(&admission->room);
}
