/* SPDX-License-Identifier: Apache-2.0 */
/* The control interface under /.control/; the README lists it. */
#ifndef T_ORIGIN_CONTROL_H
#define T_ORIGIN_CONTROL_H

#include "reply.h"

/* Answers with JSON; the reply has been through reply_init(). Any thread. */
void control_handle(struct reply *r);

#endif
