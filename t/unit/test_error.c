/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in Azure's words. */
#include "tap.h"

#include <jansson.h>

#include "base/status.h"
#include "blob/error.h"

static const struct blob_error_detail none;
static const struct blob_error odd = {400, "Odd", "a<b & \"c\" \\ d"};

static void bodies(void)
{
    struct strbuf out = {0};
    blob_error_render(&BLOB_ERROR_INVALID_RANGE, &none, BLOB_ENDPOINT_BLOB, STR("id-1"), 784111777, &out);
    is_str(out.ptr,
           "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>InvalidRange</Code><Message>The range specified is "
           "invalid for "
           "the current size of the resource.\nRequestId:id-1\nTime:1994-11-06T08:49:37.0000000Z</Message></Error>",
           "XML");
    out.len = 0;
    blob_error_render(&odd, &none, BLOB_ENDPOINT_BLOB, STR("<x>\n\xff"), 0, &out);
    ok(strstr(out.ptr, "a&#60;b &#38; \"c\" \\ d\nRequestId:&#60;x&#62;??\nTime:1970") != NULL, "XML is escaped");
    out.len = 0;
    blob_error_render(&odd, &none, BLOB_ENDPOINT_DFS, STR("\"},{\n"), 0, &out);
    json_t *json = json_loads(out.ptr, JSON_REJECT_DUPLICATES, NULL), *error = json_object_get(json, "error");
    is_str(json_string_value(json_object_get(error, "code")), "Odd", "JSON's code");
    is_str(json_string_value(json_object_get(error, "message")),
           "a<b & \"c\" \\ d\nRequestId:\"},{?\nTime:1970-01-01T00:00:00.0000000Z", "JSON's message");
    json_decref(json);
    out.len = 0;
    struct blob_error_detail detail = {.header = STR("x-ms-odd"), .value = STR("<true>")};
    blob_error_render(&odd, &detail, BLOB_ENDPOINT_BLOB, STR("id"), 0, &out);
    ok(strstr(out.ptr,
              "</Message><HeaderName>x-ms-odd</HeaderName><HeaderValue>&#60;true&#62;</HeaderValue></Error>") != NULL,
       "the header at fault");
    out.len = 0;
    detail = (struct blob_error_detail){.refusal = STR("not \"yet\"")};
    blob_error_render(&odd, &detail, BLOB_ENDPOINT_DFS, STR("id"), 0, &out);
    ok(strstr(out.ptr, "\",\"AuthenticationErrorDetail\":\"not \\\"yet\\\"\"}}") != NULL,
       "why a credential is refused");
    strbuf_free(&out);
    is_text(blob_error_content_type(BLOB_ENDPOINT_BLOB), "application/xml", "type of XML");
    ok(str_starts(blob_error_content_type(BLOB_ENDPOINT_DFS), STR("application/json")), "type of JSON");
}

static void statuses(void)
{
    for (int i = 0; i < STATUS_COUNT; i++) {
        const struct blob_error *error = blob_error_of((enum status) i);
        ok(error->status >= 400 && error->status <= 599 && error->code[0] >= 'A' && error->code[0] <= 'Z' &&
               error->message[strlen(error->message) - 1] == '.',
           "%s: %d %s", status_name((enum status) i), error->status, error->code);
        ok(status_name((enum status) i)[0] != '\0' && strpbrk(status_name((enum status) i), " \"\\") == NULL &&
               status_text((enum status) i)[0] != '\0',
           "has a name that is a token, and a text");
    }
    is_int(blob_error_of((enum status) 9999)->status, 500, "what is no status");
    is_str(status_name((enum status) 9999), "unknown", "has no name");
    static const enum status transient[] = {STATUS_CONNECT, STATUS_RESOLVE,  STATUS_RESET, STATUS_FIRST_BYTE_TIMEOUT,
                                            STATUS_STALLED, STATUS_SHUTDOWN, STATUS_BUSY,  STATUS_NO_MEMORY};
    for (unsigned i = 0; i < sizeof transient / sizeof transient[0]; i++) {
        int status = blob_error_of(transient[i])->status;
        ok(status == 500 || status == 503, "%s is tried again by every SDK", status_name(transient[i]));
    }
    is_int(BLOB_ERROR_CONDITION_NOT_MET.status, 412, "ConditionNotMet");
}

static void ids(void)
{
    char id[1000][BLOB_REQUEST_ID_LENGTH + 1];
    unsigned twice = 0, malformed = 0;
    for (int i = 0; i < 1000; i++) {
        blob_request_id(id[i]);
        for (int j = 0; j < i; j++)
            twice += strcmp(id[i], id[j]) == 0;
        malformed += strlen(id[i]) != 36 || strspn(id[i], "0123456789abcdef-") != 36;
        for (int at = 0; at < 36; at++)
            malformed += (id[i][at] == '-') != (at == 8 || at == 13 || at == 18 || at == 23);
    }
    is_int(twice, 0, "request ids are unique");
    is_int(malformed, 0, "and look like Azure's");
}

int main(void)
{
    bodies();
    statuses();
    ids();
    return done_testing();
}
