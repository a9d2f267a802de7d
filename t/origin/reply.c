/* SPDX-License-Identifier: Apache-2.0 */
/* See reply.h. */
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "strict.h"

static const struct azure_error {
    const char *code; /* "/" and what follows tells two rows of one code apart */
    int status;
    const char *message;
} azure_errors[] = {
    {"ConditionNotMet", 412, "The condition specified using HTTP conditional header(s) is not met."},
    {"InvalidRange", 416, "The range specified is invalid for the current size of the resource."},
    {"BlobNotFound", 404, "The specified blob does not exist."},
    {"ContainerNotFound", 404, "The specified container does not exist."},
    {"ResourceNotFound", 404, "The specified resource does not exist."},
    {"ContainerAlreadyExists", 409, "The specified container already exists."},
    {"BlobAlreadyExists", 409, "The specified blob already exists."},
    {"AuthenticationFailed", 403,
     "Server failed to authenticate the request. Make sure the value of Authorization header is "
     "formed correctly including the signature."},
    {"AuthorizationPermissionMismatch", 403,
     "This request is not authorized to perform this operation using this permission."},
    {"NoAuthenticationInformation", 401,
     "Server failed to authenticate the request. Please refer to the information in the "
     "www-authenticate header."},
    {"InvalidAuthenticationInfo", 401,
     "Server failed to authenticate the request. Please refer to the information in the "
     "www-authenticate header."},
    {"InvalidAuthenticationInfo/format", 400,
     "Authentication information is not given in the correct format. Check the value of "
     "Authorization header."},
    {"AuthorizationProtocolMismatch", 403,
     "This request is not authorized to perform this operation using this protocol."},
    {"AuthorizationSourceIPMismatch", 403,
     "This request is not authorized to perform this operation using this source IP."},
    {"AuthorizationServiceMismatch", 403,
     "This request is not authorized to perform this operation using this service."},
    {"AuthorizationResourceTypeMismatch", 403,
     "This request is not authorized to perform this operation using this resource type."},
    {"UnsatisfiableCondition", 400, "The request includes an unsatisfiable condition for this operation."},
    {"SnapshotsPresent", 409, "This operation is not permitted while the blob has snapshots."},
    {"LeaseNotPresentWithBlobOperation", 412, "There is currently no lease on the blob."},
    {"BlobDoesNotUseCustomerSpecifiedEncryption", 409, "The blob is not encrypted with customer specified encryption."},
    {"CorsPreflightFailure", 403, "CORS not enabled or no matching rule found for this request."},
    {"MissingRequiredHeader", 400, "An HTTP header that's mandatory for this request is not specified."},
    {"InvalidUri", 400, "The requested URI does not represent any resource on the server."},
    {"InvalidInput", 400, "One of the request inputs is not valid."},
    {"InvalidHeaderValue", 400, "The value for one of the HTTP headers is not in the correct format."},
    {"InvalidQueryParameterValue", 400,
     "Value for one of the query parameters specified in the request URI is invalid."},
    {"InvalidBlockList", 400, "The specified block list is invalid."},
    {"Md5Mismatch", 400,
     "The MD5 value specified in the request did not match with the MD5 value calculated by the "
     "server."},
    {"RequestBodyTooLarge", 413, "The request body is too large and exceeds the maximum permissible limit."},
    {"UnsupportedHttpVerb", 405, "The resource doesn't support specified Http Verb."},
    {"ServerBusy", 503, "The server is busy."},
    {"OperationTimedOut", 500, "Operation could not be completed within the specified time."},
    {"InternalError", 500, "The server encountered an internal error. Please retry the request."},
};

static const char *standard_reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return status < 400 ? "OK" : "Error";
    }
}

static void request_id(char out[40])
{
    static _Atomic uint64_t counter;
    uint64_t a = ++counter, b = (a ^ 0x5bf0365d) * 0x9e3779b97f4a7c15u;
    snprintf(out, 40, "%08x-%04x-%04x-%04x-%012llx", (unsigned) (b >> 32), (unsigned) (b >> 16) & 0xffff, 0x401eu,
             (unsigned) b & 0xffff, (unsigned long long) (((uint64_t) time(NULL) << 20) + a) & 0xffffffffffffull);
}

void reply_init(struct reply *r, const struct request *req)
{
    memset(r, 0, sizeof *r);
    r->req = req;
    r->status = 200;
    request_id(r->id);
    fault_init(&r->fault);
}

void reply_free(struct reply *r)
{
    buf_free(&r->lines);
    buf_free(&r->text);
    generation_unref(r->gen);
    memset(r, 0, sizeof *r);
}

void reply_header(struct reply *r, const char *name, const char *value)
{
    buf_puts(&r->lines, name);
    buf_add(&r->lines, ": ", 2);
    buf_puts(&r->lines, value);
    buf_add(&r->lines, "\r\n", 2);
}

void reply_headerf(struct reply *r, const char *name, const char *fmt, ...)
{
    char value[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    reply_header(r, name, value);
}

void reply_etag(struct reply *r, const char *etag)
{
    if (r->fault.no_etag)
        return;
    if (r->fault.wrong_etag)
        reply_header(r, "ETag", "\"0x8DFFFFFFFFFFFFF\"");
    else if (r->strict && strcmp(strict_version(r->req), "2011-08-18") < 0)
        reply_headerf(r, "ETag", "%.*s", (int) strlen(etag) - 2, etag + 1); /* no quotes yet */
    else
        reply_header(r, "ETag", etag);
}

void reply_azure_headers(struct reply *r)
{
    char text[HTTP_DATE_SIZE];
    const char *version = request_header(r->req, "x-ms-version");
    const char *client_id = request_header(r->req, "x-ms-client-request-id");
    reply_header(r, "Server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0");
    reply_header(r, "x-ms-request-id", r->id);
    if (client_id)
        reply_header(r, "x-ms-client-request-id", client_id);
    if (r->strict)
        version = strict_version(r->req);
    reply_header(r, "x-ms-version", version ? version : "2021-12-02");
    http_date(text, time(NULL));
    reply_header(r, "Date", text);
}

void reply_written(struct reply *r, int status, const struct generation *g)
{
    r->status = status;
    if (g) {
        char date[HTTP_DATE_SIZE];
        reply_etag(r, g->etag);
        http_date(date, g->modified);
        reply_header(r, "Last-Modified", date);
    }
    reply_azure_headers(r);
    reply_header(r, "x-ms-request-server-encrypted", "true");
}

static const struct azure_error *error_find(const char *code)
{
    size_t n = sizeof azure_errors / sizeof azure_errors[0];
    for (size_t i = 0; i < n; i++)
        if (strcmp(azure_errors[i].code, code) == 0)
            return &azure_errors[i];
    return &azure_errors[n - 1];
}

static void error_text(struct reply *r, const char *code, const char *message)
{
    char stamp[32];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S.0000000Z", &tm);
    r->text.len = 0;
    buf_printf(&r->text,
               "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code>"
               "<Message>%s\nRequestId:%s\nTime:%s</Message>%s</Error>",
               code, message, r->id, stamp,
               r->strict && strcmp(code, "AuthenticationFailed") == 0
                   ? "<AuthenticationErrorDetail>It did not.</AuthenticationErrorDetail>"
                   : "");
}

void reply_error(struct reply *r, const char *code)
{
    const struct azure_error *e = error_find(code);
    generation_unref(r->gen);
    r->gen = NULL;
    r->lines.len = 0;
    r->no_length = false;
    r->status = e->status;
    r->reason = e->message;
    char plain[64];
    snprintf(plain, sizeof plain, "%.*s", (int) strcspn(e->code, "/"), e->code);
    error_text(r, plain, e->message);
    r->length = (int64_t) r->text.len;
    reply_azure_headers(r);
    reply_header(r, "Content-Type", "application/xml");
    if (!r->strict || strict_knows(r->req, "x-ms-error-code"))
        reply_header(r, "x-ms-error-code", plain);
    if (e->status == 401)
        reply_header(r, "WWW-Authenticate",
                     "Bearer authorization_uri=https://login.microsoftonline.com/"
                     "00000000-0000-0000-0000-000000000000/oauth2/authorize "
                     "resource_id=https://storage.azure.com");
}

void reply_error_header(struct reply *r, const char *code, const char *header)
{
    reply_error(r, code);
    r->text.len -= strlen("</Error>");
    buf_printf(&r->text, "<HeaderName>%s</HeaderName><HeaderValue>true</HeaderValue></Error>", header);
    r->length = (int64_t) r->text.len;
}

void reply_fault_status(struct reply *r)
{
    int status = (int) r->fault.status;
    reply_error(r, status == 503 ? "ServerBusy" : status == 404 ? "BlobNotFound" : "InternalError");
    if (r->status != status)
        r->reason = NULL;
    r->status = status;
    if (r->fault.retry_after >= 0)
        reply_headerf(r, "Retry-After", "%lld", (long long) r->fault.retry_after);
}

static void padding(struct buf *out, int64_t bytes)
{
    char line[1000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    for (int i = 0; bytes > 0; bytes -= (int64_t) sizeof line + 16)
        buf_printf(out, "X-Padding-%d: %s\r\n", i++, line);
}

void reply_seal(struct reply *r, struct buf *out)
{
    bool head = strcmp(r->req->method, "HEAD") == 0;
    if (r->fault.interim)
        buf_puts(out, "HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preload\r\n\r\n");
    buf_printf(out, "HTTP/1.1 %d %s\r\n", r->status, r->reason ? r->reason : standard_reason(r->status));
    /* Azure frames the (absent) body of a HEAD's error like this. */
    r->chunked = (head && r->status >= 400) || (r->fault.chunked && !r->no_length);
    if (r->chunked)
        buf_puts(out, "Transfer-Encoding: chunked\r\n");
    else if (!r->no_length)
        buf_printf(out, "Content-Length: %lld\r\n", (long long) r->length);
    buf_add(out, r->lines.data, r->lines.len);
    if (r->fault.huge_headers > 0)
        padding(out, r->fault.huge_headers < (16 << 20) ? r->fault.huge_headers : 16 << 20);
    if (r->close)
        buf_puts(out, "Connection: close\r\n");
    buf_add(out, "\r\n", 2);
    r->body_left = head || r->no_length ? 0 : r->length;
    if (head || r->no_length)
        r->chunked = false;
}
