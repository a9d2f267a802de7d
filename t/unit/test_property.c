/* SPDX-License-Identifier: Apache-2.0 */
/* Which header fields of a reply belong to the blob. */
#include "tap.h"

#include "blob/property.h"

int main(void)
{
    static const char *const keep[] = {"Last-Modified",
                                       "etag",
                                       "ETAG",
                                       "Content-Type",
                                       "Content-Encoding",
                                       "Content-Language",
                                       "Content-Disposition",
                                       "Cache-Control",
                                       "Accept-Ranges",
                                       "x-ms-creation-time",
                                       "x-ms-meta-a",
                                       "X-Ms-Meta-Owner",
                                       "x-ms-blob-type",
                                       "x-ms-version-id",
                                       "x-ms-is-current-version",
                                       "x-ms-tag-count",
                                       "x-ms-server-encrypted",
                                       "x-ms-encryption-scope",
                                       "x-ms-or-policy-id",
                                       "x-ms-or-1_2",
                                       "x-ms-copy-id",
                                       "x-ms-copy-source",
                                       "x-ms-copy-status",
                                       "x-ms-copy-progress",
                                       "x-ms-copy-completion-time",
                                       "x-ms-copy-status-description",
                                       "x-ms-lease-status",
                                       "x-ms-lease-state",
                                       "x-ms-lease-duration",
                                       "x-ms-blob-sequence-number",
                                       "x-ms-blob-committed-block-count",
                                       "x-ms-blob-sealed",
                                       "x-ms-immutability-policy-until-date",
                                       "x-ms-immutability-policy-mode",
                                       "x-ms-legal-hold",
                                       "x-ms-last-access-time",
                                       "x-ms-owner",
                                       "x-ms-group",
                                       "x-ms-permissions",
                                       "x-ms-resource-type"};
    static const char *const head[] = {"x-ms-access-tier",
                                       "x-ms-access-tier-inferred",
                                       "x-ms-access-tier-change-time",
                                       "x-ms-archive-status",
                                       "x-ms-expiry-time",
                                       "x-ms-rehydrate-priority",
                                       "x-ms-incremental-copy",
                                       "x-ms-copy-destination-snapshot"};
    static const char *const reply[] = {"Date",
                                        "Server",
                                        "x-ms-request-id",
                                        "x-ms-client-request-id",
                                        "x-ms-version",
                                        "Content-Length",
                                        "Content-Range",
                                        "Connection",
                                        "Transfer-Encoding",
                                        "Via",
                                        "Age",
                                        "Set-Cookie",
                                        "Vary",
                                        "Access-Control-Allow-Origin",
                                        "x-ms-meta-",
                                        "x-ms-metadata",
                                        "x-ms-lease-id",
                                        "x-ms-content-crc64",
                                        "x-ms-structured-body",
                                        "x-ms-error-code",
                                        "WWW-Authenticate",
                                        "",
                                        "x-ms-",
                                        "x-unknown",
                                        "ETags",
                                        "x-ms-owners",
                                        "x-ms-copy-",
                                        "x-ms-access-tiers",
                                        "Strict-Transport-Security",
                                        "x-ms-encryption-key-sha256"};
    static const char *const md5[] = {"Content-MD5", "x-ms-blob-content-md5"};
    for (unsigned i = 0; i < sizeof keep / sizeof keep[0]; i++)
        is_int(property_of(str_from(keep[i])), PROPERTY_KEEP, "%s is kept", keep[i]);
    for (unsigned i = 0; i < sizeof head / sizeof head[0]; i++)
        is_int(property_of(str_from(head[i])), PROPERTY_HEAD_ONLY, "%s comes with HEAD", head[i]);
    for (unsigned i = 0; i < sizeof reply / sizeof reply[0]; i++)
        is_int(property_of(str_from(reply[i])), PROPERTY_REPLY, "%s belongs to the reply", reply[i]);
    for (unsigned i = 0; i < sizeof md5 / sizeof md5[0]; i++)
        is_int(property_of(str_from(md5[i])), PROPERTY_MD5, "%s is a checksum", md5[i]);

    is_text(property_value(STR("X-ms-Copy-Source"), STR("https://a/c/b?sv=1&sig=abc")), "https://a/c/b",
            "a SAS is cut off");
    is_text(property_value(STR("x-ms-copy-source"), STR("https://a/c/b?SIG=abc")), "https://a/c/b", "in any case");
    is_text(property_value(STR("x-ms-copy-source"), STR("https://a/c/b?sv=1&%73ig=abc")), "https://a/c/b",
            "encoded too");
    is_text(property_value(STR("x-ms-copy-source"), STR("https://a/c/b?snapshot=1")), "https://a/c/b?snapshot=1",
            "a snapshot is not");
    is_text(property_value(STR("x-ms-meta-a"), STR("?sig=abc")), "?sig=abc", "nor what is the user's own");
    return done_testing();
}
