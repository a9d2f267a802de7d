/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: what the kernel says of this process. Any thread. */
#ifndef HEADPOND_BASE_PROCESS_H
#define HEADPOND_BASE_PROCESS_H

#include <stdint.h>

/* Bytes of resident memory (proc(5), statm), or 0 where the kernel does not say. */
int64_t process_resident_bytes(void);

#endif
