/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h: what a function can answer, declared once.
 *
 * Every function that can fail on input it does not control (wire, disk, configuration, origin) returns one of these
 * and is marked STATUS_CHECKED. The short name is what metrics, the access log and Proxy-Status carry; the text is
 * for people.
 */
#ifndef HEADPOND_BASE_STATUS_H
#define HEADPOND_BASE_STATUS_H

#define STATUS_CHECKED __attribute__((warn_unused_result))

/* X(ENUM, "short-name", "text for a person") */
#define STATUS_TABLE(X) \
    X(OK, "ok", "done") \
    X(AGAIN, "again", "not now: an event will follow") \
    X(NOT_FOUND, "not-found", "no such entry") \
    X(INVALID, "invalid", "malformed input") \
    X(TOO_LARGE, "too-large", "larger than the bound set for it") \
    X(BUSY, "busy", "a bounded queue is full") \
    X(CANCELLED, "cancelled", "given up by the caller") \
    X(SHUTDOWN, "shutdown", "the process is draining") \
    X(CLIENT_GONE, "client-gone", "the client closed the connection or reset the stream") \
    X(CLIENT_TIMEOUT, "client-timeout", "the client was too slow") \
    X(BAD_REQUEST, "bad-request", "the request is malformed") \
    X(TLS_UNEXPECTED, "tls-on-cleartext-port", "TLS on a cleartext port") \
    X(BAD_TARGET, "bad-target", "the request target is malformed") \
    X(BAD_VERSION, "bad-version", "the HTTP version is not supported") \
    X(BAD_LENGTH, "bad-length", "the body's length is malformed or ambiguous") \
    X(BAD_CHUNK, "bad-chunk", "the chunked body is malformed") \
    X(URI_TOO_LONG, "uri-too-long", "the request target is too long") \
    X(HEADERS_TOO_LARGE, "headers-too-large", "the header section is too large") \
    X(BODY_UNWANTED, "body-unwanted", "the method takes no body") \
    X(NOT_IMPLEMENTED, "not-implemented", "the transfer coding or method is not implemented") \
    X(METHOD_NOT_ALLOWED, "method-not-allowed", "the method is not allowed here") \
    X(LENGTH_REQUIRED, "length-required", "the request needs a Content-Length") \
    X(EXPECTATION_FAILED, "expectation-failed", "the expectation cannot be met") \
    X(PROTOCOL, "protocol", "the peer broke the protocol") \
    X(TLS, "tls", "the TLS handshake or record layer failed") \
    X(CONNECT, "connect", "no connection could be made") \
    X(RESOLVE, "resolve", "the name could not be resolved") \
    X(FIRST_BYTE_TIMEOUT, "first-byte-timeout", "no answer began in time") \
    X(STALLED, "stalled", "the transfer stood still for too long") \
    X(TRUNCATED, "truncated", "the body ended before its length") \
    X(RESET, "reset", "the connection broke") \
    X(GENERATION_CHANGED, "generation-changed", "the blob changed while it was read") \
    X(BAD_REPLY, "bad-reply", "the origin's reply contradicts the request") \
    X(NO_CREDENTIAL, "no-credential", "no credential of our own could be had") \
    X(DENIED, "denied", "the origin refused the credential") \
    X(ORIGIN_ERROR, "origin-error", "the origin answered with an error") \
    X(NOT_CACHED, "not-cached", "it is not here, and nobody was to be asked for it") \
    X(OVER_BUDGET, "over-budget", "the account is asked for as much as it may be") \
    X(NO_MEMORY, "no-memory", "the memory bound is reached") \
    X(NO_SPACE, "no-space", "the disk is full") \
    X(IO, "io", "the disk reported an error") \
    X(CORRUPT, "corrupt", "a checksum or header does not match")

enum status {
#define X(id, name, text) STATUS_##id,
    STATUS_TABLE(X)
#undef X
        STATUS_COUNT
};

/* The short name, e.g. "first-byte-timeout". Never NULL. Any thread. */
const char *status_name(enum status status);

/* A sentence fragment for people. Never NULL. Any thread. */
const char *status_text(enum status status);

#endif
