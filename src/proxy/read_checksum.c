/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_checksum.c: the states of a read of a range whose checksum goes out with it. (Azure: Get Blob. That a checksum
 * without a range, or of more than 4 MiB, is InvalidHeaderValue with the header's name is seen in the service's
 * answers; which of two headers it names is not.)
 */
#include "proxy/request.h"

static enum request_state refuse(struct request *request)
{
    static const struct str names[] = {
        [BLOB_CHECKSUM_MD5] = STR_INIT("x-ms-range-get-content-md5"),
        [BLOB_CHECKSUM_CRC64] = STR_INIT("x-ms-range-get-content-crc64"),
        [BLOB_CHECKSUM_BOTH] = STR_INIT("x-ms-range-get-content-crc64"),
    };
    struct str name = names[request->route.class.checksum];
    request->facts.error_detail.header = name;
    request->facts.error_detail.value = http_headers_get(&request->x->request.headers, name);
    request->error = &BLOB_ERROR_INVALID_HEADER;
    return REQUEST_REFUSE;
}

/* How Azure takes a range that reaches the blob's end short of what it asks for is not known where the two lie on
 * either side of the bound; nor is what it makes of what is no range to it. */
static bool is_for_origin(const struct request *request)
{
    const struct range *range = &request->range;
    if (range->kind == RANGE_MULTI || range->kind == RANGE_MALFORMED)
        return true;
    return range->kind == RANGE_BYTES && range->last != RANGE_TO_END &&
           range->last - range->first >= CHECKSUM_RANGE_MAX && request->span.bytes <= CHECKSUM_RANGE_MAX;
}

enum request_state read_decide_checksum(struct request *request)
{
    enum blob_checksum checksum = request->route.class.checksum;
    if (is_for_origin(request))
        return request_bypass(request, checksum == BLOB_CHECKSUM_MD5 ? "range-md5" : "range-crc64");
    bool summable = request->fit == RANGE_PARTIAL && request->span.bytes <= CHECKSUM_RANGE_MAX;
    return summable && checksum != BLOB_CHECKSUM_BOTH ? REQUEST_PRIME : refuse(request);
}

/* ---- SUM ---- */

/* The bytes are read once more to be sent: of the same generation, or it is as with any read that finds another. */
static enum request_state summed(struct request *request)
{
    struct str text = arena_str(request->x->arena, checksum_text(request->checksum));
    bool md5 = request->route.class.checksum == BLOB_CHECKSUM_MD5;
    request->facts.range_md5 = md5 ? text : STR_NULL;
    request->facts.range_crc64 = md5 ? STR_NULL : text;
    request->summed = true;
    return REQUEST_PRIME;
}

static void on_sum(void *arg, enum status why)
{
    struct request *request = arg;
    enum request_state state = why == STATUS_OK ? summed(request) : read_failed(request, why);
    checksum_close(&request->checksum);
    request_run(request, state);
}

enum request_state read_sum(struct request *request)
{
    request->checksum = checksum_new(&request->home->sums, request->route.class.checksum, &request->body,
                                     (size_t) request->span.bytes, on_sum, request);
    return request->checksum == NULL ? read_failed(request, STATUS_NOT_IMPLEMENTED) : REQUEST_WAIT;
}
