/* SPDX-License-Identifier: Apache-2.0 */
/* base64 both ways, and what is none. */
#include "tap.h"

#include "base/base64.h"

/* RFC 4648, 10, and bytes that need the last two characters. */
static const struct {
    const char *plain, *text, *url;
} rows[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
};

int main(void)
{
    char text[64];
    uint8_t bytes[64];
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = strlen(rows[i].plain);
        char *end = base64_encode(text, rows[i].plain, size);
        is_int(end - text, (long long) BASE64_LENGTH(size), "length of %s", rows[i].text);
        *end = '\0';
        is_str(text, rows[i].text, "encoded");
        is_int(base64_decode(str_from(rows[i].text), bytes, size), (long long) size, "decoded, with just enough room");
        ok(memcmp(bytes, rows[i].plain, size) == 0, "to the same");
        is_int(base64_decode_url(str_from(rows[i].url), bytes, size), (long long) size, "and by the other alphabet");
        ok(memcmp(bytes, rows[i].plain, size) == 0, "to the same");
        if (size > 0)
            is_int(base64_decode(str_from(rows[i].text), bytes, size - 1), -1, "not with less room");
    }
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",      "Zm8",  "====", "Z===",    "Zg==\n", " Zg==",
                                      "Zh==", "Zm9=", "Zg==Zg==", "-_-_", "Zm 9", "Zm9vYg=", "=Zg=",   "Zm9v===="};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        is_int(base64_decode(str_from(bad[i]), bytes, sizeof bytes), -1, "'%s' is none", bad[i]);
    static const char *const bad_url[] = {"Z", "Zg==", "+/+/", "Zh", "Zm9"};
    for (unsigned i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++)
        is_int(base64_decode_url(str_from(bad_url[i]), bytes, sizeof bytes), -1, "'%s' is no base64url", bad_url[i]);
    return done_testing();
}
