/* SPDX-License-Identifier: Apache-2.0 */
/* ktls.h: whether the kernel makes TLS records itself (Linux's `tls` upper layer protocol). */
#ifndef HEADPOND_NET_KTLS_H
#define HEADPOND_NET_KTLS_H

#include <stdbool.h>

/* Tried once a process, on a connection to itself; loads the kernel's module when we may. Any thread. */
bool ktls_available(void);

#endif
