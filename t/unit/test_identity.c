/* SPDX-License-Identifier: Apache-2.0 */
/* test_identity.c: what a certificate must say to be a peer's, and what it must not. */
#include "pool/identity.h"

#include <openssl/x509v3.h>

#include "tap.h"

static void texts(void)
{
    static const char longest[] =
        "headpond://p/r/member/a23456789b123456789c123456789d123456789e123456789f123456789g123";
    static const char *const bad[] = {
        "",
        "headpond:/main/westeurope/member/pond-0",
        "https://main/westeurope/member/pond-0",
        "HEADPOND://main/westeurope/member/pond-0",
        "headpond://main/westeurope/member",
        "headpond://main/westeurope/member/",
        "headpond://main/westeurope/member/pond-0/",
        "headpond://main/westeurope/member/pond-0?x",
        "headpond://main/westeurope/members/pond-0",
        "headpond://main/westeurope/Member/pond-0",
        "headpond://main//member/pond-0",
        "headpond:///westeurope/member/pond-0",
        "headpond://main/westeurope/client/Pond-0",
        "headpond://main/westeurope/client/pond%2d0",
        "headpond://p/r/member/a23456789b123456789c123456789d123456789e123456789f123456789g1234",
        "headpond://main/west europe/client/pond-0",
    };
    struct identity identity;
    char text[IDENTITY_TEXT];

    is_int(identity_parse(STR("headpond://main/westeurope/member/pond-0"), &identity), STATUS_OK, "a member");
    is_text(str_from(identity.pool), "main", "its pool");
    is_text(str_from(identity.region), "westeurope", "its region");
    is_text(str_from(identity.node), "pond-0", "its name");
    is_int(identity.role, CONF_ROLE_MEMBER, "its role");
    identity_format(&identity, text, sizeof text);
    is_text(str_from(text), "headpond://main/westeurope/member/pond-0", "and as it was written");
    is_int(identity_parse(STR("headpond://main/westeurope/client/gpu_17.a"), &identity), STATUS_OK, "a client");
    is_int(identity.role, CONF_ROLE_CLIENT, "is one");
    is_int(identity_parse(str_from(longest), &identity), STATUS_OK, "the longest name");
    identity_format(&identity, text, sizeof text);
    is_text(str_from(text), longest, "is written whole");
    identity_format(&identity, text, 20);
    is_text(str_from(text), "", "or not at all");
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        is_int(identity_parse(str_from(bad[i]), &identity), STATUS_INVALID, "not: %s", bad[i]);
    is_int(identity_parse((struct str){"headpond://main/r/member/a\0b", 28}, &identity), STATUS_INVALID, "a zero byte");
}

/* What a certificate with these alternative names (as openssl.cnf has them; NULL: none) says. */
static enum status of_names(const char *names, struct identity *identity)
{
    X509 *certificate = X509_new();
    if (names != NULL) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    enum status status = identity_of(certificate, identity);
    X509_free(certificate);
    return status;
}

static void certificates(void)
{
    struct identity identity;
    is_int(of_names("DNS:pond-0.pool,URI:headpond://main/westeurope/member/pond-0,URI:spiffe://x/y", &identity),
           STATUS_OK, "among other names");
    is_text(str_from(identity.node), "pond-0", "it is found");
    is_int(of_names(NULL, &identity), STATUS_NOT_FOUND, "a certificate without names");
    is_text(str_from(identity.node), "", "is nobody's");
    is_int(of_names("DNS:headpond,URI:spiffe://x/y", &identity), STATUS_NOT_FOUND, "one with other names only");
    is_int(of_names("DNS:x,DNS:headpond://main/westeurope/member/pond-0", &identity), STATUS_NOT_FOUND,
           "the text in a name of another kind");
    is_int(of_names("URI:headpond://main/r/client/a,URI:headpond://main/r/member/a", &identity), STATUS_INVALID,
           "one that says two things");
    is_text(str_from(identity.node), "", "says neither");
    is_int(of_names("URI:headpond://main/r/member/a,URI:Headpond://x", &identity), STATUS_INVALID,
           "or one and nonsense");
}

int main(void)
{
    texts();
    certificates();
    return done_testing();
}
