/* SPDX-License-Identifier: Apache-2.0 */
/* error.c: statuses as Azure's errors, and their bodies. (Azure: Blob service error codes, Common REST API error
 * codes.) */
#include "blob/error.h"

#include <stdint.h>
#include <stdbool.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/hash.h"

const struct blob_error BLOB_ERROR_CONDITION_NOT_MET = {
    412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."};
const struct blob_error BLOB_ERROR_INVALID_RANGE = {
    416, "InvalidRange", "The range specified is invalid for the current size of the resource."};
/* No 404: to an SDK's exists() that would mean that a blob is not there, when a name in a configuration is wrong. */
const struct blob_error BLOB_ERROR_NO_ACCOUNT = {
    403, "AuthorizationFailure",
    "headpond's configuration has no row for this account: the first label of the URL's host or, path-style, the first "
    "part of its path."};
const struct blob_error BLOB_ERROR_NO_ENDPOINT = {403, "AuthorizationFailure",
                                                  "headpond's configuration has no dfs_origin for this account."};
const struct blob_error BLOB_ERROR_AUTHENTICATION_FAILED = {
    403, "AuthenticationFailed",
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
    "including the signature."};
const struct blob_error BLOB_ERROR_LOOP = {508, "InternalError",
                                           "The request has come back to a node it passed before."};
const struct blob_error BLOB_ERROR_INVALID_HEADER = {
    400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format."};

#define SERVER_BUSY 503, "ServerBusy"
#define TIMED_OUT 500, "OperationTimedOut"
#define INTERNAL 500, "InternalError"

/* What is not listed cannot reach a client, or is our fault. */
static const struct blob_error status_errors[STATUS_COUNT] = {
    [STATUS_NOT_FOUND] = {404, "ResourceNotFound", "The specified resource does not exist."},
    [STATUS_INVALID] = {400, "InvalidInput", "One of the request inputs is not valid."},
    [STATUS_TOO_LARGE] = {413, "RequestBodyTooLarge", "The request is larger than allowed."},
    [STATUS_BUSY] = {SERVER_BUSY, "The server is busy. Try again."},
    [STATUS_CANCELLED] = {INTERNAL, "The request was given up. Try again."},
    [STATUS_SHUTDOWN] = {SERVER_BUSY, "The server is shutting down. Try again."},
    [STATUS_CLIENT_TIMEOUT] = {408, "RequestTimeout", "The request did not arrive in time."},
    [STATUS_BAD_REQUEST] = {400, "InvalidHeaderValue", "The request or one of its headers is malformed."},
    [STATUS_TLS_UNEXPECTED] = {400, "InvalidInput", "TLS on a cleartext port: this port speaks plain HTTP."},
    [STATUS_BAD_TARGET] = {400, "InvalidUri", "The requested URI does not represent any resource on the server."},
    [STATUS_BAD_VERSION] = {505, "HttpVersionNotSupported", "The HTTP version is not supported."},
    [STATUS_BAD_LENGTH] = {400, "InvalidHeaderValue", "The length of the body is malformed or ambiguous."},
    [STATUS_BAD_CHUNK] = {400, "InvalidInput", "The chunked body is malformed."},
    [STATUS_URI_TOO_LONG] = {414, "InvalidUri", "The requested URI is too long."},
    [STATUS_HEADERS_TOO_LARGE] = {431, "InvalidHeaderValue", "The request's headers are too large."},
    [STATUS_BODY_UNWANTED] = {400, "InvalidInput", "A GET or HEAD request has no body."},
    [STATUS_NOT_IMPLEMENTED] = {501, "NotImplemented",
                                "The requested operation is not implemented on the specified resource."},
    [STATUS_METHOD_NOT_ALLOWED] = {405, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb."},
    [STATUS_LENGTH_REQUIRED] = {411, "MissingContentLengthHeader", "The Content-Length header was not specified."},
    [STATUS_EXPECTATION_FAILED] = {417, "InvalidHeaderValue", "The expectation cannot be met."},
    [STATUS_PROTOCOL] = {400, "InvalidInput", "The request breaks the protocol."},
    [STATUS_TLS] = {SERVER_BUSY, "The origin could not be reached: TLS failed. Try again."},
    [STATUS_CONNECT] = {SERVER_BUSY, "The origin could not be reached. Try again."},
    [STATUS_RESOLVE] = {SERVER_BUSY, "The origin's name could not be resolved. Try again."},
    [STATUS_FIRST_BYTE_TIMEOUT] = {TIMED_OUT, "The origin did not answer in time. Try again."},
    [STATUS_STALLED] = {TIMED_OUT, "The origin's answer stood still for too long. Try again."},
    [STATUS_TRUNCATED] = {SERVER_BUSY, "The origin's answer ended early. Try again."},
    [STATUS_RESET] = {SERVER_BUSY, "The connection to the origin broke. Try again."},
    [STATUS_GENERATION_CHANGED] = {SERVER_BUSY, "The blob changed while it was read. Try again."},
    [STATUS_BAD_REPLY] = {INTERNAL, "The origin's answer contradicts the request."},
    [STATUS_NO_CREDENTIAL] = {SERVER_BUSY, "No credential for the origin could be had. Try again."},
    [STATUS_DENIED] = {403, "AuthorizationFailure", "This request is not authorized to perform this operation."},
    [STATUS_ORIGIN_ERROR] = {SERVER_BUSY, "The origin answered with an error. Try again."},
    [STATUS_NOT_CACHED] = {504, "NotCached", "It is not here, and nobody was to be asked for it."},
    [STATUS_OVER_BUDGET] = {SERVER_BUSY, "The account is asked for as much as it may be. Try again."},
    [STATUS_NO_MEMORY] = {SERVER_BUSY, "The server has no room for this request in its memory now. Try again."},
    [STATUS_NO_SPACE] = {SERVER_BUSY, "The server is out of space. Try again."},
};

static const struct blob_error internal_error = {INTERNAL, "The server encountered an internal error. Try again."};

const struct blob_error *blob_error_of(enum status status)
{
    if ((unsigned) status >= STATUS_COUNT || status_errors[status].code == NULL)
        return &internal_error;
    return &status_errors[status];
}

void blob_request_id(char out[BLOB_REQUEST_ID_LENGTH + 1])
{
    /* Uniqueness comes from 64 random bits a thread and a counter, mixed so that they look like the real thing. */
    static _Thread_local uint64_t seed, counter;
    if (counter == 0 && getrandom(&seed, sizeof seed, 0) != (ssize_t) sizeof seed)
        seed = (uint64_t) clock_mono_us();
    counter++;
    uint64_t a = hash_mix(seed, counter), b = hash_mix(seed ^ UINT64_C(0x5bd1e995a5a5a5a5), counter);
    static const char hex[] = "0123456789abcdef"; /* each reply has one: no printf */
    for (unsigned i = 0; i < BLOB_REQUEST_ID_LENGTH; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            out[i] = '-';
            continue;
        }
        if (i == 19)
            a = b;
        out[i] = hex[a & 15];
        a >>= 4;
    }
    out[BLOB_REQUEST_ID_LENGTH] = '\0';
}

/* Only printable ASCII goes in as it is; a request id may come from outside. */
static void add_escaped(struct strbuf *out, struct str text, bool json)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if ((unsigned char) c < 0x20 || (unsigned char) c >= 0x7f)
            strbuf_adds(out, STR("?"));
        else if (json && (c == '"' || c == '\\'))
            strbuf_addf(out, "\\%c", c);
        else if (!json && (c == '<' || c == '>' || c == '&'))
            strbuf_addf(out, "&#%d;", c);
        else
            strbuf_add(out, &c, 1);
    }
}

static void add_field(struct strbuf *out, const char *name, struct str text, bool json)
{
    strbuf_addf(out, json ? ",\"%s\":\"" : "<%s>", name);
    add_escaped(out, text, json);
    if (json)
        strbuf_adds(out, STR("\""));
    else
        strbuf_addf(out, "</%s>", name);
}

void blob_error_render(const struct blob_error *error, const struct blob_error_detail *detail,
                       enum blob_endpoint endpoint, struct str request_id, int64_t now_s, struct strbuf *out)
{
    bool json = endpoint == BLOB_ENDPOINT_DFS;
    char now[DATE_ISO_LENGTH + 1];
    date_iso_format(now_s, now);
    if (json)
        strbuf_addf(out, "{\"error\":{\"code\":\"%s\",\"message\":\"", error->code);
    else
        strbuf_addf(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code><Message>", error->code);
    add_escaped(out, str_from(error->message), json);
    strbuf_adds(out, json ? STR("\\nRequestId:") : STR("\nRequestId:"));
    add_escaped(out, request_id, json);
    strbuf_adds(out, json ? STR("\\nTime:") : STR("\nTime:"));
    strbuf_addf(out, "%.*s.0000000Z", DATE_ISO_LENGTH - 1, now);
    strbuf_adds(out, json ? STR("\"") : STR("</Message>"));
    if (detail->refusal.len > 0)
        add_field(out, "AuthenticationErrorDetail", detail->refusal, json);
    if (detail->header.len > 0) {
        add_field(out, "HeaderName", detail->header, json);
        add_field(out, "HeaderValue", detail->value, json);
    }
    strbuf_adds(out, json ? STR("}}") : STR("</Error>"));
}

struct str blob_error_content_type(enum blob_endpoint endpoint)
{
    return endpoint == BLOB_ENDPOINT_DFS ? STR("application/json;charset=utf-8") : STR("application/xml");
}
