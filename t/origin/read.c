/* SPDX-License-Identifier: Apache-2.0 */
/* Get Blob and Get Blob Properties, as Azure answers them; the list of a container. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "content.h"
#include "service.h"
#include "strict.h"

#define MAX_RANGE_CHECKSUM (4 << 20)

int generation_iov(const struct generation *g, int64_t offset, int64_t length, struct iovec *iov, int max_iov)
{
    if (!g->data)
        return content_iov(g->seed, offset, length, iov, max_iov);
    iov[0].iov_base = g->data->bytes + offset;
    iov[0].iov_len = (size_t) length;
    return length > 0 ? 1 : 0;
}

void generation_md5(const struct generation *g, int64_t offset, int64_t length, char out[32])
{
    unsigned char digest[16];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_DigestInit_ex(ctx, EVP_md5(), NULL);
    while (length > 0) {
        struct iovec iov;
        generation_iov(g, offset, length, &iov, 1);
        EVP_DigestUpdate(ctx, iov.iov_base, iov.iov_len);
        offset += (int64_t) iov.iov_len;
        length -= (int64_t) iov.iov_len;
    }
    EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    base64(out, digest, sizeof digest);
}

static const char *unquoted(const char *s, size_t *n)
{
    if (*n >= 2 && s[0] == 'W' && s[1] == '/') {
        s += 2;
        *n -= 2;
    }
    if (*n >= 2 && s[0] == '"' && s[*n - 1] == '"') {
        s++;
        *n -= 2;
    }
    return s;
}

/* ETags count as equal with and without their quotes: Java's SDK strips them. Weak ones are none for
   If-Match (RFC 9110, 13.1.1). */
static bool etag_listed(const char *list, const char *etag, bool strong)
{
    size_t want_len = strlen(etag);
    const char *want = unquoted(etag, &want_len);
    while (*list) {
        list += strspn(list, ", \t");
        size_t n = strcspn(list, ","), len = n;
        while (len > 0 && (list[len - 1] == ' ' || list[len - 1] == '\t'))
            len--;
        bool weak = len >= 2 && list[0] == 'W' && list[1] == '/';
        const char *one = unquoted(list, &len);
        if (!(strong && weak) && ((len == 1 && *one == '*') || (len == want_len && memcmp(one, want, len) == 0)))
            return true;
        list += n;
    }
    return false;
}

/* Several headers of one name are one list. */
static bool etag_in(const struct request *req, const char *name, const char *etag, bool strong)
{
    for (int i = 0; i < req->header_count; i++)
        if (strcasecmp(req->headers[i].name, name) == 0 && etag_listed(req->headers[i].value, etag, strong))
            return true;
    return false;
}

/* If-Match && If-Unmodified-Since && (If-None-Match || If-Modified-Since), as Azure combines them.
   `g` NULL: there is no such blob. */
enum precondition precondition_check(const struct request *req, const struct generation *g)
{
    const char *none = request_header(req, "If-None-Match");
    const char *unmodified = request_header(req, "If-Unmodified-Since");
    const char *modified = request_header(req, "If-Modified-Since");
    time_t t;
    if (request_header(req, "If-Match") && (!g || !etag_in(req, "If-Match", g->etag, true)))
        return PRECONDITION_FAILED;
    if (unmodified && http_date_parse(unmodified, &t) && (!g || g->modified > t))
        return PRECONDITION_FAILED;
    bool none_holds = none && (!g || !etag_in(req, "If-None-Match", g->etag, false));
    bool modified_valid = modified && http_date_parse(modified, &t);
    bool modified_holds = modified_valid && (!g || g->modified > t);
    if ((none || modified_valid) && !none_holds && !modified_holds)
        return PRECONDITION_NOT_MODIFIED;
    return PRECONDITION_HOLDS;
}

struct range {
    bool given;
    int64_t from, to; /* inclusive */
};

/* Only "bytes=a-b" and "bytes=a-" count; everything else is as if there were no range. */
static struct range parse_range(const struct request *req)
{
    struct range r = {false, 0, INT64_MAX};
    const char *s = request_header(req, "x-ms-range");
    if (!s)
        s = request_header(req, "Range");
    if (!s || !starts_with(s, "bytes="))
        return r;
    s += 6;
    size_t n = strcspn(s, "-");
    if (!parse_position(s, n, &r.from) || s[n] != '-')
        return r;
    s += n + 1;
    if (*s && (!parse_position(s, strlen(s), &r.to) || r.to < r.from))
        return r;
    r.given = true;
    return r;
}

static void not_modified(struct reply *r, const struct generation *g)
{
    char date[HTTP_DATE_SIZE];
    r->status = 304;
    r->reason = "The condition specified using HTTP conditional header(s) is not met.";
    r->no_length = true;
    http_date(date, g->modified);
    reply_header(r, "Last-Modified", date);
    reply_etag(r, g->etag);
    reply_azure_headers(r);
    if (!r->strict || strict_knows(r->req, "x-ms-error-code"))
        reply_header(r, "x-ms-error-code", "ConditionNotMet");
}

/* A header that the blob itself sets (header-NAME of the control interface) replaces the standard
 * one. */
static void put(struct reply *r, const struct generation *g, const char *name, const char *value)
{
    if (r->strict && !strict_knows(r->req, name))
        return;
    if (!pairs_get(&g->headers, name))
        reply_header(r, name, value);
}

/* SAS rsc* parameters override what is stored. */
static const char *overridden(const struct request *req, const char *name)
{
    static const char *const table[][2] = {{"rscc", "Cache-Control"},
                                           {"rscd", "Content-Disposition"},
                                           {"rsce", "Content-Encoding"},
                                           {"rscl", "Content-Language"},
                                           {"rsct", "Content-Type"}};
    if (!request_query(req, "sig"))
        return NULL;
    for (size_t i = 0; i < 5; i++)
        if (strcasecmp(table[i][1], name) == 0)
            return request_query(req, table[i][0]);
    return NULL;
}

static void stored_headers(struct reply *r, const struct generation *g)
{
    static const char *const content[] = {"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition",
                                          "Cache-Control"};
    for (size_t i = 0; i < 5; i++) {
        const char *value = overridden(r->req, content[i]);
        if (!value)
            value = pairs_get(&g->headers, content[i]);
        if (!value && i == 0)
            value = "application/octet-stream";
        if (value && (!r->strict || strict_knows(r->req, content[i])))
            reply_header(r, content[i], value);
    }
    for (size_t i = 0; i < g->headers.count; i++) {
        const struct pair *p = &g->headers.list[i];
        bool done = false;
        for (size_t k = 0; k < 5; k++)
            done = done || strcasecmp(content[k], p->name) == 0;
        if (!done)
            reply_header(r, p->name, p->value);
    }
}

static void blob_headers(struct reply *r, const struct generation *g, bool head)
{
    char date[HTTP_DATE_SIZE];
    put(r, g, "Accept-Ranges", "bytes");
    http_date(date, g->modified);
    put(r, g, "Last-Modified", date);
    reply_etag(r, g->etag);
    reply_azure_headers(r);
    http_date(date, g->created);
    put(r, g, "x-ms-creation-time", date);
    put(r, g, "x-ms-blob-type", "BlockBlob");
    put(r, g, "x-ms-lease-status", "unlocked");
    put(r, g, "x-ms-lease-state", "available");
    put(r, g, "x-ms-server-encrypted", "true");
    stored_headers(r, g);
    if (!head)
        return;
    put(r, g, "x-ms-access-tier", g->tier);
    if (g->tier_inferred)
        put(r, g, "x-ms-access-tier-inferred", "true");
}

static void content_range(struct reply *r, const struct generation *g)
{
    int64_t shift = r->fault.wrong_content_range ? 1 : 0;
    reply_headerf(r, "Content-Range", "bytes %" PRId64 "-%" PRId64 "/%" PRId64, r->offset + shift,
                  r->offset + r->length - 1 + shift, g->size);
}

/* CRC-64 of NVM Express, a byte at a time: not how headpond does it. */
static void generation_crc64(const struct generation *g, int64_t offset, int64_t length, char out[32])
{
    static const uint64_t poly = UINT64_C(0x9a6c9329ac4bc9b5);
    uint64_t table[256], crc = UINT64_MAX;
    for (unsigned i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? poly : 0);
    }
    while (length > 0) {
        struct iovec iov;
        generation_iov(g, offset, length, &iov, 1);
        for (size_t i = 0; i < iov.iov_len; i++)
            crc = crc >> 8 ^ table[(crc ^ ((const uint8_t *) iov.iov_base)[i]) & 255];
        offset += (int64_t) iov.iov_len;
        length -= (int64_t) iov.iov_len;
    }
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char) (~crc >> 8 * i);
    base64(out, bytes, sizeof bytes);
}

static bool header_true(const struct request *req, const char *name)
{
    const char *value = request_header(req, name);
    return value && strcasecmp(value, "true") == 0;
}

/* The checksum that was asked for with a range; false: the request is at fault. */
static bool range_checksum(struct reply *r, const struct generation *g, bool ranged)
{
    char md5[32], crc64[32];
    bool md5_wanted = header_true(r->req, "x-ms-range-get-content-md5");
    bool crc64_wanted = header_true(r->req, "x-ms-range-get-content-crc64");
    if ((md5_wanted || crc64_wanted) && (!ranged || r->length > MAX_RANGE_CHECKSUM))
        return false;
    if (md5_wanted && crc64_wanted)
        return false;
    if (crc64_wanted) {
        generation_crc64(g, r->offset, r->length, crc64);
        reply_header(r, "x-ms-content-crc64", crc64);
    }
    if (md5_wanted) {
        generation_md5(g, r->offset, r->length, md5);
        reply_header(r, "Content-MD5", md5);
    }
    if (g->md5[0] && !(r->strict && ranged && !strict_knows(r->req, "x-ms-blob-content-md5")))
        reply_header(r, ranged ? "x-ms-blob-content-md5" : "Content-MD5", g->md5);
    return true;
}

static void answer(struct reply *r, struct generation *g, bool head)
{
    const char *refusal = r->strict ? strict_read_refusal(r->req) : NULL;
    if (refusal) {
        reply_error(r, refusal);
        return;
    }
    enum precondition p = precondition_check(r->req, g);
    if (p == PRECONDITION_NOT_MODIFIED) {
        not_modified(r, g);
        return;
    }
    if (p == PRECONDITION_FAILED) {
        reply_error(r, "ConditionNotMet");
        return;
    }
    struct range range = parse_range(r->req);
    bool ranged = range.given && !head;
    if (ranged && range.from >= g->size) {
        reply_error(r, "InvalidRange");
        reply_headerf(r, "Content-Range", "bytes */%" PRId64, g->size);
        return;
    }
    if (g->unservable && !head) {
        reply_error(r, "InternalError");
        return;
    }
    r->status = ranged ? 206 : 200;
    r->offset = ranged ? range.from : 0;
    r->length = (ranged && range.to < g->size ? range.to + 1 : g->size) - r->offset;
    if (!range_checksum(r, g, ranged)) {
        bool crc64 = header_true(r->req, "x-ms-range-get-content-crc64");
        reply_error_header(r, "InvalidHeaderValue",
                           crc64 ? "x-ms-range-get-content-crc64" : "x-ms-range-get-content-md5");
        return;
    }
    if (ranged)
        content_range(r, g);
    if (r->fault.wrong_length && r->length > 0)
        r->length--;
    blob_headers(r, g, head);
    if (r->strict && request_header(r->req, "Origin"))
        reply_header(r, "Vary", "Origin");
    if (r->strict && request_header(r->req, "x-ms-structured-body"))
        reply_header(r, "x-ms-structured-body", "XSM/1.0; properties=crc64");
    r->gen = generation_ref(g);
}

void read_blob(struct reply *r, struct generation *g)
{
    answer(r, g, strcmp(r->req->method, "HEAD") == 0);
    generation_unref(g);
}

struct listing {
    struct pair *items; /* name, rest of the entry */
    size_t count;
    size_t skip; /* length of the container's path and its '/' */
};

static void list_one(void *ctx, const char *path, struct generation *g)
{
    struct listing *l = ctx;
    struct buf b = {0};
    char date[HTTP_DATE_SIZE];
    http_date(date, g->modified);
    buf_printf(&b,
               "<Properties><Last-Modified>%s</Last-Modified><Etag>%s</Etag>"
               "<Content-Length>%" PRId64 "</Content-Length><BlobType>BlockBlob</BlobType>"
               "</Properties>",
               date, g->etag, g->size);
    l->items = xrealloc(l->items, (l->count + 1) * sizeof l->items[0]);
    l->items[l->count].name = xstrdup(path + l->skip);
    l->items[l->count].value = b.data;
    l->count++;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct pair *) a)->name, ((const struct pair *) b)->name);
}

void read_container_list(struct reply *r, const char *container)
{
    if (!container_find(container)) {
        reply_error(r, "ContainerNotFound");
        return;
    }
    const char *prefix = request_query(r->req, "prefix");
    struct buf start = {0};
    struct listing l = {.skip = strlen(container) + 1};
    buf_printf(&start, "%s/%s", container, prefix ? prefix : "");
    blob_each(start.data, list_one, &l);
    if (l.count)
        qsort(l.items, l.count, sizeof l.items[0], by_name);
    buf_printf(&r->text,
               "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults "
               "ContainerName=\"%s\"><Blobs>",
               strrchr(container, '/') + 1);
    for (size_t i = 0; i < l.count; i++) {
        buf_puts(&r->text, "<Blob><Name>");
        buf_xml(&r->text, l.items[i].name);
        buf_printf(&r->text, "</Name>%s</Blob>", l.items[i].value);
        free(l.items[i].name);
        free(l.items[i].value);
    }
    free(l.items);
    buf_free(&start);
    buf_puts(&r->text, "</Blobs><NextMarker /></EnumerationResults>");
    r->length = (int64_t) r->text.len;
    reply_azure_headers(r);
    reply_header(r, "Content-Type", "application/xml");
}
