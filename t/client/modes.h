/* SPDX-License-Identifier: Apache-2.0 */
/* The modes of blob-client. Each runs to its end, prints its report and returns the exit status. */
#ifndef T_CLIENT_MODES_H
#define T_CLIENT_MODES_H

#include "options.h"

int mode_ranges(const struct options *o);
int mode_mixed(const struct options *o);
int mode_readers(const struct options *o);
int mode_one(const struct options *o);
int mode_blocks(const struct options *o);

#endif
