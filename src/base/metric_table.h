/* SPDX-License-Identifier: Apache-2.0 */
/* metric_table.h: every metric, declared once: X(ID, KIND, "name", "label,label", "help"). Add rows here. */
#ifndef HEADPOND_BASE_METRIC_TABLE_H
#define HEADPOND_BASE_METRIC_TABLE_H

#define METRIC_TABLE(X) \
    X(BUILD_INFO, GAUGE, "headpond_build_info", "version", "1, labelled with what runs") \
    X(PROCESS_START, GAUGE, "process_start_time_seconds", "", "When the process started, Unix time") \
    X(PROCESS_RESIDENT, GAUGE, "process_resident_memory_bytes", "", "Resident memory, the kernel's count") \
    X(REQUESTS, COUNTER, "headpond_requests_total", "method,cache,code", "Requests answered") \
    X(REFUSED, COUNTER, "headpond_refused_total", "reason", "Requests refused as malformed or out of bounds, or since memory is used up") \
    X(EXPELLED, COUNTER, "headpond_expelled_total", "reason", \
      "HTTP/2 connections ended because of what the client made us do") \
    X(CLIENT_BYTES, COUNTER, "headpond_client_bytes_total", "", "Body bytes sent to clients") \
    X(CONTAINER_REQUESTS, COUNTER, "headpond_container_requests_total", "account,container,cache", \
      "Reads for the cache that were answered with 200, 206 or 304") \
    X(CONTAINER_BYTES, COUNTER, "headpond_container_bytes_total", "account,container,source", \
      "Body bytes of the answers to them: from the store, from a flight (what was fetched for another reader at the " \
      "same time), or fetched from the origin for them") \
    X(CLIENT_CONNECTIONS, GAUGE, "headpond_client_connections", "", "Open client connections") \
    X(ACCEPTED, COUNTER, "headpond_accepted_total", "", "Client connections accepted") \
    X(ACCEPT_PAUSES, COUNTER, "headpond_accept_pauses_total", "reason", \
      "Times a listener left connections waiting, by what had run out: connections, memory, descriptors, kernel") \
    X(TLS_CONNECTIONS, COUNTER, "headpond_tls_connections_total", "offload", \
      "TLS handshakes done, by who encrypts then: the kernel, or none but us") \
    X(CERTIFICATE_NOT_AFTER, GAUGE, "headpond_certificate_not_after_timestamp_seconds", "address", \
      "When the listener's certificate ends, in seconds since 1970") \
    X(CERTIFICATE_RENEWALS, COUNTER, "headpond_certificate_renewals_total", "result", \
      "Certificates whose files have changed: renewed, or refused and the old one kept") \
    X(ORIGIN_REQUESTS, COUNTER, "headpond_origin_requests_total", "account,code", \
      "Requests to the origin by status; 000: no reply") \
    X(ORIGIN_BYTES, COUNTER, "headpond_origin_bytes_total", "account", "Body bytes received from the origin") \
    X(ORIGIN_RETRIES, COUNTER, "headpond_origin_retries_total", "account,reason", "Origin requests tried again") \
    X(CREDENTIALS, COUNTER, "headpond_credentials_total", "account,result", \
      "Credentials of our own read or fetched anew") \
    X(CREDENTIAL_EXPIRES, GAUGE, "headpond_credential_expires_timestamp_seconds", "account", \
      "When the token or SAS of our own ends, Unix time") \
    X(ORIGIN_BUSY, COUNTER, "headpond_origin_busy_total", "account", \
      "Replies by which an account's storage said that it is asked for too much: 503, 429, 500 OperationTimedOut") \
    X(ORIGIN_ALLOWED, GAUGE, "headpond_origin_allowed_requests", "account", \
      "Requests that an account is asked at once and in a second: max_requests, or fewer since it said so") \
    X(ORIGIN_WAITING, GAUGE, "headpond_origin_waiting", "account", \
      "Requests that wait until the account may be asked, or for their turn to read on") \
    X(ORIGIN_INFLIGHT, GAUGE, "headpond_origin_inflight", "", "Origin requests in flight") \
    X(FORWARDS_WAITING, GAUGE, "headpond_forwards_waiting", "", \
      "Requests that are to pass through and wait for room in memory") \
    X(PEER_REQUESTS, COUNTER, "headpond_peer_requests_total", "peer,result", "Requests to peers, which are REGION/NODE") \
    X(HEDGES, COUNTER, "headpond_hedges_total", "to", "Requests to peers that took long, and were sent to another peer or the origin as well") \
    X(HEDGED_BYTES, COUNTER, "headpond_hedged_bytes_total", "to", "Bytes that these asked for") \
    X(PEER_BYTES, COUNTER, "headpond_peer_bytes_total", "", "Body bytes received from peers") \
    X(POOL_TELLS, COUNTER, "headpond_pool_tells_total", "result", \
      "Times that a member was to be told of a write: ok, failed (it did not answer for too long, or refused), dropped " \
      "(too much waited to be said already)") \
    X(POOL_TOLD, COUNTER, "headpond_pool_told_total", "changed", \
      "Times that a member has told of a write, by what that has changed: object, container, account, grants") \
    X(POOL_MEMBERS, GAUGE, "headpond_pool_members", "region", "Members of the pool that are known, up or down, this node among them") \
    X(POOL_RINGS, COUNTER, "headpond_pool_rings_total", "result", \
      "Times that a sidecar has asked a member who is in the pool: taken, unchanged, refused (what it told was not to be " \
      "believed), or failed") \
    X(STORE_CAPACITY, GAUGE, "headpond_store_capacity_bytes", "path", "Bytes of blocks a disk has room for") \
    X(STORE_BYTES, GAUGE, "headpond_store_bytes", "path", "Bytes of blocks on a disk") \
    X(STORE_BLOCKS, GAUGE, "headpond_store_blocks", "path", "Blocks on a disk") \
    X(STORE_OBJECTS, GAUGE, "headpond_store_objects", "", "Objects the directory knows") \
    X(STORE_WRITTEN, COUNTER, "headpond_store_written_bytes_total", "path", "Bytes of blocks written to a disk") \
    X(STORE_DISK_WRITTEN, COUNTER, "headpond_store_disk_written_bytes_total", "path", \
      "Bytes written to a disk for them: headers, records and copies included") \
    X(STORE_EVICTIONS, COUNTER, "headpond_store_evictions_total", "path", "Blocks evicted") \
    X(STORE_VICTIMS, COUNTER, "headpond_store_victims_total", "queue,cause", \
      "Slots taken by eviction, by the queue they lay in: fresh (just stored), small (new, not read again), main (read " \
      "again), dead (given up), sparse (packed, mostly dropped); and why: space (room was wanted), limit (its container " \
      "or account held all it may)") \
    X(STORE_GHOST_HITS, COUNTER, "headpond_store_ghost_hits_total", "", "Blocks stored again soon after they were evicted") \
    X(STORE_FROZEN_GROUPS, GAUGE, "headpond_store_frozen_groups", "", "Containers whose new blocks are not stored, because a fixed part of them serves better; added up over the disks") \
    X(STORE_QUOTA, GAUGE, "headpond_store_quota_bytes", "account,container", \
      "What an account or container with a reserve or a limit holds, in whole blocks; packed entries are not counted") \
    X(STORE_QUOTA_RESERVE, GAUGE, "headpond_store_quota_reserve_bytes", "account,container", "Its reserve") \
    X(STORE_QUOTA_LIMIT, GAUGE, "headpond_store_quota_limit_bytes", "account,container", "Its limit") \
    X(STORE_REJECTED, COUNTER, "headpond_store_rejected_total", "path,reason", \
      "Blocks streamed through unstored: loading (the index is still read), disk (out, broken, or rests after errors), " \
      "index (full, no small block is taken), limit (its container or account may hold no more), " \
      "admission (a fixed part of its container is kept), queue (too much waits to be written), " \
      "memory (blocks here and there take more of it than whole extents, and some of them go first), " \
      "space (no room could be made), error (a write failed)") \
    X(STORE_CORRUPT, COUNTER, "headpond_store_corrupt_total", "path", \
      "Blocks, records and index rows that failed a check; none of them was served") \
    X(STORE_LOST, COUNTER, "headpond_store_lost_blocks_total", "path,reason", \
      "Blocks that a start did not find again: data-file (it is gone or shorter than it was), size (that, or the file system, is smaller), record (only a missing disk knew what they belong to)") \
    X(STORE_DISKS, GAUGE, "headpond_store_disks", "path,state", \
      "1 for the state a disk is in: used, or failed and left out") \
    X(STORE_SCRUBBED, COUNTER, "headpond_store_scrubbed_bytes_total", "path", \
      "Bytes of a disk read in the background and checked") \
    X(STORE_SCRUBS, COUNTER, "headpond_store_scrubs_total", "path", "Times that all of a disk was so checked") \
    X(STORE_STALLED, COUNTER, "headpond_store_stalled_total", "path", \
      "Reads given up because a disk did not answer in time") \
    X(STORE_ERRORS, COUNTER, "headpond_store_errors_total", "path", "Errors reported by a disk") \
    X(FILLS_INFLIGHT, GAUGE, "headpond_fills_inflight", "", "Fills in flight") \
    X(FILLS_WAITING, GAUGE, "headpond_fills_waiting", "", \
      "Fills that wait for room in memory: for a place before they ask, or under way for their next block") \
    X(FILLS, COUNTER, "headpond_fills_total", "result", "Fills ended, by result") \
    X(WRITES_KEPT, COUNTER, "headpond_writes_kept_total", "result", \
      "Bodies of writes kept as blocks, or dropped again") \
    X(VALIDATIONS, COUNTER, "headpond_validations_total", "result", "Probes sent to validate a record or a grant") \
    X(PROBES_WAITING, GAUGE, "headpond_probes_waiting", "", \
      "Questions about a record or a grant that wait for room in memory") \
    X(GRANTS, GAUGE, "headpond_grants", "", "Grants held, also those that have ended and are not replaced yet") \
    X(MEMORY_BYTES, GAUGE, "headpond_memory_bytes", "", "Bytes allocated") \
    X(MEMORY_LIMIT, GAUGE, "headpond_memory_limit_bytes", "", "The bound set by memory; 0: none") \
    X(ACCESS_LOG_DROPPED, COUNTER, "headpond_access_log_dropped_total", "reason", \
      "Access log lines lost: the queue was full, or the file or standard output unwritable") \
    X(ACCESS_LOG_REOPENS, COUNTER, "headpond_access_log_reopens_total", "result", \
      "Times the access log was to be opened anew: opened, or failed and the old file kept") \
    X(LOG_LINES, COUNTER, "headpond_log_lines_total", "level", "Log lines written") \
    X(REQUEST_SECONDS, HISTOGRAM, "headpond_request_seconds", "cache", "Time from request head to last byte") \
    X(FIRST_BYTE_SECONDS, HISTOGRAM, "headpond_first_byte_seconds", "cache", "Time from request head to reply head") \
    X(ORIGIN_FIRST_BYTE_SECONDS, HISTOGRAM, "headpond_origin_first_byte_seconds", "", \
      "Time from origin request to its reply head")

#endif
