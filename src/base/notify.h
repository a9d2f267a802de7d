/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h: telling systemd how far we are, by sd_notify(3)'s protocol: a datagram to $NOTIFY_SOCKET. Any thread. */
#ifndef HEADPOND_BASE_NOTIFY_H
#define HEADPOND_BASE_NOTIFY_H

/* Sends e.g. "READY=1\n". Does nothing when there is no such socket; a failure is nobody's business. */
void notify_send(const char *state);

#endif
