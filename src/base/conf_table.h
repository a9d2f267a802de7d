/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_table.h: every option, declared once. Parser, checks, --dump-config and conf/headpond.yaml come from these rows.
 *
 *   X(key, TYPE, default, min, max, words, help)   key is also the field's name; default is text as in a file, or
 *                                                  NULL; min and max count in the type's unit (bytes, ms)
 *   L(key, section, counter, most, help)           a list of sections, and the field that counts it
 *   M(key, section, help)                          one section, or none
 *
 * PENDING behind the help: read and checked, but nothing acts on it yet. The sample, -t and the log at start say so.
 *
 * Types: PATH a file name or the like; ADDRESS "HOST:PORT"; URL http or https; ACCOUNT, CONTAINER, LABEL names; WORD an
 * enum by its words in order; BOOL; INT; SIZE in bytes; DURATION in ms; FRESHNESS
 * a duration or "immutable"; IDENTITY; STRINGS one string or several. REQUIRED as default: it must be given. A number
 * without a default is −1 until it is given.
 */
#ifndef HEADPOND_BASE_CONF_TABLE_H
#define HEADPOND_BASE_CONF_TABLE_H

#define CONF_KIB (INT64_C(1) << 10)
#define CONF_MIB (INT64_C(1) << 20)
#define CONF_TIB (INT64_C(1) << 40)
#define CONF_HOUR INT64_C(3600000)

#define CONF_TOP_TABLE(X, L, M) \
    L(listen, LISTEN, listen_count, 64, "Where clients connect; several rows are several sockets.") \
    X(admin, ADDRESS, "127.0.0.1:8081", 0, 0, NULL, \
      "Read-only, names no blob: /metrics /healthz /readyz.") \
    X(control, PATH, "/run/headpond/control.sock", 0, 0, NULL, \
      "A socket for commands.", PENDING) \
    X(workers, INT, "0", 0, 1024, NULL, "Event loops; 0 means the cores of the cgroup's quota.") \
    X(memory, SIZE, "512MiB", 64 * CONF_MIB, 16 * CONF_TIB, NULL, \
      "Everything headpond allocates, libraries included; half of it may go to know of blocks, 57 bytes each.") \
    L(store, STORE, store_count, 64, "Disks to cache on, a row each; none makes a storeless proxy.") \
    X(block_size, SIZE, "1MiB", 64 * CONF_KIB, 16 * CONF_MIB, NULL, \
      "Unit of caching, a power of two; fixed when a store is created.") \
    L(accounts, ACCOUNT, account_count, 10000, \
      "Storage accounts; * stands for any that has no row of its own; an empty list serves none.") \
    X(allow_any_account, BOOL, "false", 0, 0, NULL, "Permits * on a listener that is not on loopback.") \
    M(pool, POOL, "Nodes that cache together.") \
    X(access_log, PATH, "-", 0, 0, NULL, "A file, - for standard output, or off.") \
    X(log_level, WORD, "info", 0, 0, "error|warn|info|debug", "What the log on standard error tells of.") \
    X(max_connections, INT, "20000", 1, 10000000, NULL, "Client connections; the next ones wait to be accepted.") \
    X(header_timeout, DURATION, "10s", 1, CONF_HOUR, NULL, "By then the head of a request must be whole.") \
    X(idle_timeout, DURATION, "75s", 1, 24 * CONF_HOUR, NULL, "How long a connection may stay idle between requests.") \
    X(send_timeout, DURATION, "60s", 1, CONF_HOUR, NULL, "A client that takes nothing for so long is dropped.") \
    X(drain_timeout, DURATION, "30s", 0, CONF_HOUR, NULL, "After SIGTERM, what still runs then is cut.") \
    X(connect_timeout, DURATION, "5s", 1, CONF_HOUR, NULL, "Name, TCP and TLS to an origin.") \
    X(first_byte_timeout, DURATION, "30s", 1, CONF_HOUR, NULL, "From a request's last byte to the origin's head; and so long, at most, a request waits before it is made.") \
    X(stall_timeout, DURATION, "30s", 1, CONF_HOUR, NULL, "An origin that sends nothing for so long has failed.") \
    X(origin_retries, INT, "3", 0, 10, NULL, "Further attempts at an origin, where that is safe.")

#define CONF_LISTEN_TABLE(X, L, M) \
    X(address, ADDRESS, REQUIRED, 0, 0, NULL, "HOST:PORT or [::1]:PORT; 0.0.0.0 or [::] for all addresses.") \
    X(certificate, PATH, NULL, 0, 0, NULL, \
      "PEM file with the chain: TLS, HTTP/2 and HTTP/1.1 by ALPN; none: cleartext. Renewed while headpond runs.") \
    X(key, PATH, NULL, 0, 0, NULL, "PEM file with the certificate's private key.")

#define CONF_STORE_TABLE(X, L, M) \
    X(path, PATH, REQUIRED, 0, 0, NULL, "A directory of its own, that no other user may write to.") \
    X(size, SIZE, REQUIRED, 1, 1024 * CONF_TIB, NULL, "On that file system, everything included; at least 64 blocks. More than it holds does not count.") \
    X(scrub_rate, SIZE, "8MiB", 0, CONF_TIB, NULL, \
      "Bytes a second read in the background to find damage early; 0 for none.") \
    X(scrub_period, DURATION, "1h", 0, 8760 * CONF_HOUR, NULL, \
      "From the start of one such reading of all blocks to the start of the next, at least.")

#define CONF_ACCOUNT_TABLE(X, L, M) \
    X(name, ACCOUNT, REQUIRED, 0, 0, NULL, "The account, or * for any other.") \
    X(origin, URL, "https://{account}.blob.core.windows.net", 0, 0, NULL, "The Blob endpoint; {account} is replaced.") \
    X(dfs_origin, URL, NULL, 0, 0, NULL, \
      "The Data Lake endpoint; Azure's own when origin is not given either, else none.") \
    X(key_file, PATH, NULL, 0, 0, NULL, \
      "A file with one or two account keys, a line each; the first one signs. Read again when it changes.") \
    X(authorize, WORD, "origin", 0, 0, "origin|key|none", \
      "Who says yes: the origin; the account key, here; or nobody (GET and HEAD, loopback, named accounts).") \
    X(authorize_ttl, DURATION, "60s", 0, 24 * CONF_HOUR, NULL, "How long the origin's yes is trusted.") \
    X(grant_scope, WORD, "blob", 0, 0, "blob|container", \
      "How far one yes reaches; container: you vouch that no ABAC or ACL divides a container.") \
    X(freshness, FRESHNESS, "5s", 0, 8760 * CONF_HOUR, NULL, \
      "How long a validated generation is served unasked; immutable: for ever.") \
    X(pinned_reads, WORD, "validate", 0, 0, "validate|trust", \
      "trust: a GET with the cached ETag in If-Match never validates.") \
    X(cache_writes, BOOL, "off", 0, 0, NULL, \
      "Keeps the body of a Put Blob that the origin accepted, to be read from here.") \
    X(identity, IDENTITY, "none", 0, 0, NULL, \
      "What our own requests are signed with: none, managed, workload, key or sas:FILE.") \
    X(max_requests, INT, "2000", 1, 1000000, NULL, "Origin requests of one account in a second, and at once: those that wait for their reply's head.") \
    X(max_rate, SIZE, "0", 0, CONF_TIB, NULL, "Bytes a second from the origin, of one account; 0: not limited.") \
    X(origin_ca, PATH, NULL, 0, 0, NULL, "PEM file with the origin's CA instead of the system's.") \
    X(reserve, SIZE, NULL, 0, 1024 * CONF_TIB, NULL, \
      "Bytes of the store that others do not take from the account. Whole blocks count; up to half a block is packed, " \
      "and does not.") \
    X(limit, SIZE, NULL, 0, 1024 * CONF_TIB, NULL, \
      "Bytes of the store that the account takes at most, counted likewise; 0 keeps nothing of it.") \
    L(containers, CONTAINER, container_count, 10000, "Exceptions for single containers.")

#define CONF_CONTAINER_TABLE(X, L, M) \
    X(name, CONTAINER, REQUIRED, 0, 0, NULL, "The container.") \
    X(freshness, FRESHNESS, NULL, 0, 8760 * CONF_HOUR, NULL, "Instead of the account's.") \
    X(reserve, SIZE, NULL, 0, 1024 * CONF_TIB, NULL, "The container's part of the account's, or its own.") \
    X(limit, SIZE, NULL, 0, 1024 * CONF_TIB, NULL, "As for the account, and within the account's.")

#define CONF_POOL_TABLE(X, L, M) \
    X(name, LABEL, REQUIRED, 0, 0, NULL, "The pool's name, as in the certificates.") \
    X(node, LABEL, REQUIRED, 0, 0, NULL, "This node's stable name.") \
    X(region, LABEL, REQUIRED, 0, 0, NULL, "This node's region.") \
    X(role, WORD, "member", 0, 0, "member|client", "client: a sidecar that reads the pool and is never a home.") \
    X(address, ADDRESS, NULL, 0, 0, NULL, "Where peers connect: HTTP/2, mutual TLS.") \
    X(certificate, PATH, NULL, 0, 0, NULL, "PEM file; SAN URI headpond://POOL/REGION/ROLE/NODE.") \
    X(key, PATH, NULL, 0, 0, NULL, "PEM file with its private key.") \
    X(ca, PATH, NULL, 0, 0, NULL, "PEM file with the pool's CA.") \
    X(members, STRINGS, NULL, 0, 0, NULL, \
      "A list of NAME=HOST:PORT (:WEIGHT may follow), or dns:NAME:PORT, or, of a member in a pod there, kubernetes:NAMESPACE/SERVICE (:PORT may follow).") \
    L(regions, REGION, region_count, 256, "Other regions.")

#define CONF_REGION_TABLE(X, L, M) \
    X(name, LABEL, REQUIRED, 0, 0, NULL, "The region's name.") \
    X(members, STRINGS, NULL, 0, 0, NULL, "As for the pool.")

#endif
