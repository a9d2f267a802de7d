/* SPDX-License-Identifier: Apache-2.0 */
/* See strict.h. (Azure: versioning for the Azure Storage services; Get Blob; Get Blob Properties;
 * specifying conditional headers; CORS support; setting timeouts.) */
#include "strict.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define FIRST_VERSION "2009-09-19"

static const char *const versions[] = {
    FIRST_VERSION, "2011-08-18", "2012-02-12", "2013-08-15", "2014-02-14", "2015-02-21", "2015-04-05", "2015-07-08",
    "2015-12-11",  "2016-05-31", "2017-04-17", "2017-07-29", "2017-11-09", "2018-03-28", "2018-11-09", "2019-02-02",
    "2019-07-07",  "2019-10-10", "2019-12-12", "2020-02-10", "2020-04-08", "2020-06-12", "2020-08-04", "2020-10-02",
    "2020-12-06",  "2021-02-12", "2021-04-10", "2021-06-08", "2021-08-06", "2021-10-04", "2021-12-02", "2022-11-02",
    "2023-01-03",  "2023-05-03", "2023-08-03", "2023-11-03", "2024-05-04", "2024-08-04", "2024-11-04", "2025-01-05",
    "2025-05-05",  "2025-07-05", "2025-11-05", "2026-02-06", "2026-04-06"};

static const struct {
    const char *header, *since;
} headers[] = {
    {"Accept-Ranges", "2011-08-18"},         {"Content-Disposition", "2013-08-15"},
    {"x-ms-lease-status", "2011-08-18"},     {"x-ms-lease-state", "2012-02-12"},
    {"x-ms-server-encrypted", "2015-12-11"}, {"x-ms-blob-content-md5", "2016-05-31"},
    {"x-ms-access-tier", "2017-04-17"},      {"x-ms-access-tier-inferred", "2017-04-17"},
    {"x-ms-creation-time", "2017-11-09"},    {"x-ms-error-code", "2017-07-29"},
};

static bool is_version(const char *text)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (strcmp(versions[i], text) == 0)
            return true;
    return false;
}

const char *strict_version(const struct request *req)
{
    const char *version = request_header(req, "x-ms-version");
    const char *sv = request_query(req, "sig") ? request_query(req, "sv") : NULL;
    if (version && is_version(version))
        return version;
    return sv && is_version(sv) && strcmp(sv, "2014-02-14") >= 0 ? sv : FIRST_VERSION;
}

bool strict_knows(const struct request *req, const char *header)
{
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        if (strcasecmp(headers[i].header, header) == 0)
            return strcmp(strict_version(req), headers[i].since) >= 0;
    return true;
}

/* A timeout is a positive number of seconds. */
static bool is_timeout(const char *text)
{
    int64_t value;
    return parse_int64(text, strlen(text), &value) && value > 0;
}

const char *strict_refusal(const struct request *req)
{
    const char *version = request_header(req, "x-ms-version");
    const char *timeout = request_query(req, "timeout");
    if (version && (!is_version(version) || request_header_count(req, "x-ms-version") > 1))
        return "InvalidHeaderValue";
    if (timeout && !is_timeout(timeout))
        return "InvalidQueryParameterValue";
    if (strcmp(req->method, "OPTIONS") != 0)
        return NULL;
    if (!request_header(req, "Origin") || !request_header(req, "Access-Control-Request-Method"))
        return "MissingRequiredHeader";
    return "CorsPreflightFailure"; /* no account here has a rule */
}

/* RFC 1123, and once: several dates are refused. */
static bool is_date_header(const struct request *req, const char *name)
{
    char again[HTTP_DATE_SIZE];
    time_t t;
    const char *value = request_header(req, name);
    if (!value)
        return true;
    if (request_header_count(req, name) > 1 || !http_date_parse(value, &t))
        return false;
    http_date(again, t);
    return strcmp(again, value) == 0;
}

static bool is_guid(const char *text)
{
    size_t i = 0;
    for (; text[i] && i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char) text[i]))
            return false;
    }
    return i == 36 && !text[i];
}

const char *strict_read_refusal(const struct request *req)
{
    const char *lease = request_header(req, "x-ms-lease-id");
    const char *structured = request_header(req, "x-ms-structured-body");
    if (!is_date_header(req, "If-Modified-Since") || !is_date_header(req, "If-Unmodified-Since"))
        return "InvalidHeaderValue";
    const char *none = request_header(req, "If-None-Match");
    if (none && strcmp(none, "*") == 0)
        return "UnsatisfiableCondition";
    if (structured && strcmp(structured, "XSM/1.0; properties=crc64") != 0)
        return "InvalidHeaderValue";
    if (lease)
        return is_guid(lease) ? "LeaseNotPresentWithBlobOperation" : "InvalidHeaderValue";
    if (request_header(req, "x-ms-encryption-key"))
        return "BlobDoesNotUseCustomerSpecifiedEncryption";
    return request_header(req, "x-ms-if-tags") ? "ConditionNotMet" : NULL;
}

bool strict_is_snapshot_time(const char *text)
{
    static const char shape[] = "0000-00-00T00:00:00.0000000Z";
    size_t i = 0;
    for (; shape[i] && text[i]; i++)
        if (shape[i] == '0' ? !isdigit((unsigned char) text[i]) : text[i] != shape[i])
            return false;
    return !shape[i] && !text[i];
}
