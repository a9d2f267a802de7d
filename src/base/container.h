/* SPDX-License-Identifier: Apache-2.0 */
/* container.h: from a part to the whole it is embedded in (a timer, a letter, a list's node). */
#ifndef HEADPOND_BASE_CONTAINER_H
#define HEADPOND_BASE_CONTAINER_H

#include <stddef.h>

/* The `type` whose `member` is at `part`. */
#define CONTAINER_OF(part, type, member) ((type *) (void *) ((char *) (part) -offsetof(type, member)))

#endif
