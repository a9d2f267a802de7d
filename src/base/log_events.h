/* SPDX-License-Identifier: Apache-2.0 */
/* log_events.h: every event the log can tell of, declared once: X(ID, LEVEL, "name"). Add rows here. */
#ifndef HEADPOND_BASE_LOG_EVENTS_H
#define HEADPOND_BASE_LOG_EVENTS_H

#define LOG_EVENT_TABLE(X)                                                                                             \
    X(START, LOG_INFO, "start")                                                                                        \
    X(STOP, LOG_INFO, "stop")                                                                                          \
    X(DRAIN, LOG_INFO, "drain")                                                                                        \
    X(DRAIN_CUT, LOG_WARN, "drain-cut")                                                                                \
    X(CONFIG_NOTE, LOG_WARN, "config-note")                                                                            \
    X(LISTEN, LOG_INFO, "listen")                                                                                      \
    X(ACCEPT_FAILED, LOG_WARN, "accept-failed")                                                                        \
    X(TLS_FAILED, LOG_INFO, "tls-failed")                                                                              \
    X(CERTIFICATE, LOG_INFO, "certificate")                                                                            \
    X(CERTIFICATE_ENDS, LOG_WARN, "certificate-ends")                                                                  \
    X(CERTIFICATE_REFUSED, LOG_ERROR, "certificate-refused")                                                           \
    X(ACCESS_LOG, LOG_INFO, "access-log")                                                                              \
    X(ACCESS_LOG_FAILED, LOG_ERROR, "access-log-failed")                                                               \
    X(BAD_REQUEST, LOG_INFO, "bad-request")                                                                            \
    X(CLIENT_ABORT, LOG_DEBUG, "client-abort")                                                                         \
    X(ORIGIN_RETRY, LOG_WARN, "origin-retry")                                                                          \
    X(ORIGIN_BUSY, LOG_WARN, "origin-busy")                                                                            \
    X(OVER_BUDGET, LOG_WARN, "over-budget")                                                                            \
    X(ORIGIN_FAILED, LOG_WARN, "origin-failed")                                                                        \
    X(ORIGIN_BAD_REPLY, LOG_WARN, "origin-bad-reply")                                                                  \
    X(CREDENTIAL_RENEWED, LOG_INFO, "credential-renewed")                                                              \
    X(CREDENTIAL_FAILED, LOG_ERROR, "credential-failed")                                                               \
    X(INTERNAL_ERROR, LOG_WARN, "internal-error")                                                                      \
    X(BYPASS, LOG_INFO, "bypass")                                                                                      \
    X(GENERATION_CHANGED, LOG_INFO, "generation-changed")                                                              \
    X(PEER_DOWN, LOG_WARN, "peer-down")                                                                                \
    X(PEER_UP, LOG_INFO, "peer-up")                                                                                    \
    X(PEER_REFUSED, LOG_ERROR, "peer-refused")                                                                         \
    X(PEER_UNTOLD, LOG_WARN, "peer-untold")                                                                            \
    X(PEERS_UNKNOWN, LOG_WARN, "peers-unknown")                                                                        \
    X(RING_REFUSED, LOG_ERROR, "ring-refused")                                                                         \
    X(STORE_OPEN, LOG_INFO, "store-open")                                                                              \
    X(STORE_REFUSED, LOG_ERROR, "store-refused")                                                                       \
    X(STORE_RESET, LOG_WARN, "store-reset")                                                                            \
    X(STORE_REBUILD, LOG_WARN, "store-rebuild")                                                                        \
    X(STORE_IO, LOG_ERROR, "store-io")                                                                                 \
    X(STORE_FULL, LOG_WARN, "store-full")                                                                              \
    X(STORE_ROOM, LOG_INFO, "store-room")                                                                              \
    X(STORE_QUOTA, LOG_WARN, "store-quota")                                                                            \
    X(STORE_LOST, LOG_WARN, "store-lost")                                                                              \
    X(STORE_CORRUPT, LOG_ERROR, "store-corrupt")                                                                       \
    X(STORE_SCRUB, LOG_INFO, "store-scrub")                                                                            \
    X(STORE_NEW, LOG_WARN, "store-new")                                                                                \
    X(STORE_AWAY, LOG_WARN, "store-away")                                                                              \
    X(STORE_DISK_OUT, LOG_ERROR, "store-disk-out")                                                                     \
    X(STORE_DISK_BACK, LOG_INFO, "store-disk-back")                                                                    \
    X(MEMORY, LOG_WARN, "memory")                                                                                      \
    X(NO_ROOM, LOG_WARN, "no-room")

#endif
