/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.c: lenient towards bytes that URIs do not have but clients send and origins take (`"`, `<`, `\`, `^`, `{`…),
 * because such a target must reach the origin as it was; strict about what could be read in two ways.
 */
#include "http/target.h"

/* Visible ASCII besides '#'. */
static bool valid_bytes(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char) text.ptr[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return false;
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of a reg-name, percent signs included; colons are the port's or within brackets. */
static bool host_byte(char c)
{
    return is_alpha(c) || is_digit(c) || c == '.' || c == '-' || (c != '\0' && strchr("_~%!$&'()*+,;=", c) != NULL);
}

bool target_authority_valid(struct str authority)
{
    size_t i = 0;
    if (authority.len == 0)
        return true;
    if (authority.ptr[0] == '[') {
        for (i = 1; i < authority.len && authority.ptr[i] != ']'; i++)
            if (!host_byte(authority.ptr[i]) && authority.ptr[i] != ':')
                return false;
        if (i == authority.len || i == 1)
            return false;
        i++;
    } else {
        while (i < authority.len && host_byte(authority.ptr[i]))
            i++;
        if (i == 0)
            return false;
    }
    if (i == authority.len)
        return true;
    if (authority.ptr[i++] != ':' || authority.len - i > 5)
        return false;
    for (; i < authority.len; i++)
        if (!is_digit(authority.ptr[i]))
            return false;
    return true;
}

static enum status absolute(struct http_request *request, struct str rest)
{
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    struct str authority = {rest.ptr, end};
    struct str path = {rest.ptr + end, rest.len - end};
    if (authority.len == 0 || !target_authority_valid(authority))
        return STATUS_BAD_TARGET;
    request->authority = authority;
    if (path.len == 0)
        request->target = request->method == HTTP_OPTIONS ? STR("*") : STR("/");
    else if (path.ptr[0] == '?')
        request->target = arena_printf(request->headers.arena, "/%.*s", STR_ARG(path));
    else
        request->target = path;
    return STATUS_OK;
}

enum status target_parse(struct http_request *request, struct str raw)
{
    if (str_eq(request->method_text, STR("CONNECT")))
        return STATUS_METHOD_NOT_ALLOWED;
    if (raw.len == 0 || !valid_bytes(raw))
        return STATUS_BAD_TARGET;
    if (raw.ptr[0] == '/') {
        request->target = raw;
        return STATUS_OK;
    }
    if (str_eq(raw, STR("*")) && request->method == HTTP_OPTIONS) {
        request->target = raw;
        return STATUS_OK;
    }
    if (str_istarts(raw, STR("http://")))
        return absolute(request, (struct str){raw.ptr + 7, raw.len - 7});
    if (str_istarts(raw, STR("https://")))
        return absolute(request, (struct str){raw.ptr + 8, raw.len - 8});
    return STATUS_BAD_TARGET;
}
