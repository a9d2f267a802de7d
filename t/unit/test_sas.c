/* SPDX-License-Identifier: Apache-2.0 */
/* What a shared access signature says of itself. */
#include "tap.h"

#include "blob/sas.h"

static struct arena *arena;

static bool parse(const char *text, struct sas *sas)
{
    struct blob_query query;
    if (blob_query_parse(arena, str_from(text), &query) != STATUS_OK)
        return false;
    return sas_parse(arena, &query, sas);
}

static void times(void)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {
        {"2024-02-29", 1709164800},
        {"2024-02-29T12:30Z", 1709209800},
        {"2024-02-29T12:30:15Z", 1709209815},
        {"2024-02-29T12:30:15.1234567Z", 1709209815},
        {"2024-02-29T12:30:15+02:00", 1709202615},
        {"2024-02-29T12:30:15 02:00", 1709202615},
        {"2024-02-29T12:30-01:30", 1709215200},
        {"1969-12-31T23:59:59Z", -1},
    };
    int64_t seconds;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        seconds = 0;
        ok(sas_time_parse(str_from(rows[i].text), &seconds), "time %u: %s", i, rows[i].text);
        is_int(seconds, rows[i].seconds, "its seconds");
    }
    static const char *const bad[] = {"",
                                      "2024",
                                      "2024-02",
                                      "2024-02-30",
                                      "2023-02-29T00:00Z",
                                      "2024-02-29T",
                                      "2024-02-29T12",
                                      "2024-02-29T12:30",
                                      "2024-02-29T12:30:15",
                                      "2024-02-29T24:00Z",
                                      "2024-02-29T12:30:15.Zx",
                                      "2024-02-29T12:30:15.1234567890Z",
                                      "2024-02-29 12:30Z",
                                      "2024-02-29t12:30Z",
                                      "2024-02-29T12:30z",
                                      "2024-02-29T12:30Z ",
                                      "2024-2-29",
                                      "20240229",
                                      "2024-02-29T12:30+2:00",
                                      "2024-02-29T12:30+24:00",
                                      "99999-01-01",
                                      "-024-01-01"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ok(!sas_time_parse(str_from(bad[i]), &seconds), "no time %u: %s", i, bad[i]);
}

#define SERVICE "sv=2022-11-02&se=2030-01-01T00:00:00Z&sp=r&sig=x"
#define DELEGATION                                                                                                     \
    "sv=2022-11-02&se=2030-01-01T00:00:00Z&sp=r&sig=x&skoid=o&sktid=t&skt=2024-01-01&ske=2029-01-01T00:00:00Z&sks=b"
#define SE 1893456000  /* 2030-01-01 */
#define SKE 1861920000 /* 2029-01-01 */

static const struct {
    const char *text;
    enum sas_kind kind;
    enum sas_scope scope;
    int64_t expires;
    bool read;
    const char *bypass;
} tokens[] = {
    {SERVICE "&sr=b", SAS_SERVICE, SAS_SCOPE_BLOB, SE, true, NULL},
    {SERVICE "&sr=c", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, NULL},
    {SERVICE "&sr=bs&snapshot=1", SAS_SERVICE, SAS_SCOPE_SNAPSHOT, SE, true, NULL},
    {SERVICE "&sr=bv&versionid=1", SAS_SERVICE, SAS_SCOPE_SNAPSHOT, SE, true, NULL},
    {SERVICE "&sr=d&sdd=2", SAS_SERVICE, SAS_SCOPE_DIRECTORY, SE, true, NULL},
    {SERVICE "&sr=d&sdd=0", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, NULL},
    {"sv=2015-04-05&se=2030-01-01T00:00:00Z&sp=r&sig=x&sr=d&sdd=1", SAS_SERVICE, SAS_SCOPE_DIRECTORY, SE, true,
     "sas-scope"},
    {"se=2030-01-01T00:00:00Z&sp=r&sig=x&sr=d&sdd=0", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, "sas-scope"},
    {SERVICE "&sr=d", SAS_SERVICE, SAS_SCOPE_DIRECTORY, SE, true, "sas-scope"},
    {SERVICE "&sr=d&sdd=-1", SAS_SERVICE, SAS_SCOPE_DIRECTORY, SE, true, "sas-scope"},
    {SERVICE "&sr=d&sdd=99999999999", SAS_SERVICE, SAS_SCOPE_DIRECTORY, SE, true, "sas-scope"},
    {SERVICE "&sr=x", SAS_SERVICE, SAS_SCOPE_BLOB, SE, true, "sas-scope"},
    {SERVICE, SAS_SERVICE, SAS_SCOPE_BLOB, SE, true, "sas-scope"},
    {DELEGATION "&sr=c", SAS_USER_DELEGATION, SAS_SCOPE_CONTAINER, SKE, true, NULL},
    {"sv=1&sr=c&sp=r&sig=x&se=2024-01-01&skoid=o&ske=2029-01-01", SAS_USER_DELEGATION, SAS_SCOPE_CONTAINER, 1704067200,
     true, NULL},
    {"sv=1&sr=c&sp=r&sig=x&se=2024-01-01&skoid=o", SAS_USER_DELEGATION, SAS_SCOPE_CONTAINER, 1704067200, true,
     "sas-time"},
    {"sv=1&sr=c&sp=r&sig=x&se=tomorrow", SAS_SERVICE, SAS_SCOPE_CONTAINER, INT64_MAX, true, "sas-time"},
    {"sv=1&sr=c&sp=r&sig=x&se=", SAS_SERVICE, SAS_SCOPE_CONTAINER, INT64_MAX, true, "sas-time"},
    {"sv=1&sr=c&sp=r&sig=x", SAS_SERVICE, SAS_SCOPE_CONTAINER, INT64_MAX, true, "sas-time"},
    {"sv=1&sr=c&si=policy&sig=x", SAS_SERVICE, SAS_SCOPE_CONTAINER, INT64_MAX, true, NULL},
    {"sv=1&sr=c&si=policy&sp=w&sig=x", SAS_SERVICE, SAS_SCOPE_CONTAINER, INT64_MAX, false, NULL},
    {"sv=1&sr=c&sig=x&se=2030-01-01", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, false, NULL},
    {"sv=1&sr=c&sp=wdl&sig=x&se=2030-01-01", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, false, NULL},
    {"sv=1&sr=c&sp=e&sig=x&se=2030-01-01", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, false, "sas-execute"},
    {"sv=1&sr=c&sp=re&sig=x&se=2030-01-01", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, NULL},
    {"sv=1&sr=c&sp=r&sig=x&se=2030-01-01&srh=a", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, "sas-bound"},
    {"sv=1&sr=c&sp=r&sig=x&se=2030-01-01&srq=a", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, "sas-bound"},
    {"sv=1&sr=c&sp=r&sp=w&sig=x&se=2030-01-01", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, "sas-repeated"},
    {"sv=1&ss=bfqt&srt=sco&sp=rl&se=2030-01-01&sig=x", SAS_ACCOUNT, SAS_SCOPE_ACCOUNT, SE, true, NULL},
    {"sv=1&ss=f&srt=sco&sp=rl&se=2030-01-01&sig=x", SAS_ACCOUNT, SAS_SCOPE_ACCOUNT, SE, false, NULL},
    {"sv=1&ss=b&srt=sc&sp=rl&se=2030-01-01&sig=x", SAS_ACCOUNT, SAS_SCOPE_ACCOUNT, SE, false, NULL},
    {"sv=1&ss=b&srt=o&se=2030-01-01&sig=x&si=p", SAS_ACCOUNT, SAS_SCOPE_ACCOUNT, SE, false, "sas-kind"},
    {SERVICE "&sr=b&ss=b&srt=o", SAS_ACCOUNT, SAS_SCOPE_ACCOUNT, SE, true, "sas-kind"},
    {"sv=1&si=p&sp=r&sig=x&ss=b&srt=sco&se=2030-01-01", SAS_ACCOUNT, SAS_SCOPE_ACCOUNT, SE, true, "sas-kind"},
    {DELEGATION "&ss=b&srt=o", SAS_ACCOUNT, SAS_SCOPE_ACCOUNT, SE, true, "sas-kind"},
    {"SV=1&SR=c&SP=r&SE=2030-01-01&SIG=x", SAS_SERVICE, SAS_SCOPE_CONTAINER, SE, true, NULL},
};

static void reading(void)
{
    struct sas sas;
    for (unsigned i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        ok(parse(tokens[i].text, &sas) && sas.kind == tokens[i].kind && sas.scope == tokens[i].scope &&
               sas.read == tokens[i].read,
           "token %u: %s", i, tokens[i].text);
        is_int(sas.expires_s, tokens[i].expires, "expiry");
        is_str(sas.bypass, tokens[i].bypass, "bypass");
    }
    ok(!parse("sv=1&sr=b&se=2030-01-01", &sas), "without a signature it is none");
    ok(!parse("", &sas), "nor is nothing");
    ok(parse(SERVICE "&sr=b&sip=1.2.3.4&spr=https&st=2024-01-01&rsct=x", &sas) && sas.https_only && sas.overrides &&
           sas.starts_s == 1704067200,
       "the rest");
    is_text(sas.ip, "1.2.3.4", "addresses");
    ok(parse(SERVICE "&sr=b&spr=https,http", &sas) && !sas.https_only && !sas.overrides && sas.ip.ptr == NULL,
       "or not");
}

static bool same_text(const char *a, const char *b)
{
    struct sas left, right;
    return parse(a, &left) && parse(b, &right) && str_eq(left.text, right.text);
}

static void texts(void)
{
    ok(same_text(SERVICE "&sr=b", "sr=b&x=1&" SERVICE "&timeout=5&snapshot=q"),
       "order and other parameters do not count");
    ok(same_text("sig=a%2Bb&sp=r", "sp=%72&sig=a+b"), "nor does the encoding");
    ok(!same_text("sig=a&sp=r", "sig=a&sp=rw"), "the permission counts");
    ok(!same_text("sig=a&sp=r", "sig=b&sp=r"), "the signature counts");
    ok(!same_text("sig=a%26sp%3D1:r", "sig=a&sp=r"), "no value passes for another parameter");
    ok(!same_text("sig=a&sp=1%26sr%3D1:c", "sig=a&sp=1&sr=c"), "whatever it says");
    struct sas sas;
    ok(parse("sig=a&sp=r&foo=bar", &sas) && memmem(sas.text.ptr, sas.text.len, "foo", 3) == NULL,
       "others are not in it");
}

static void scopes(void)
{
    struct sas sas = {.kind = SAS_SERVICE, .scope = SAS_SCOPE_CONTAINER};
    is_int(sas_trusted_scope(&sas, false), SAS_SCOPE_CONTAINER, "an account key's token is trusted as it says");
    sas = (struct sas){.kind = SAS_ACCOUNT, .scope = SAS_SCOPE_ACCOUNT};
    is_int(sas_trusted_scope(&sas, false), SAS_SCOPE_CONTAINER, "but in one container, which may be open to all");
    is_int(sas_trusted_scope(&sas, true), SAS_SCOPE_CONTAINER, "whatever is vouched for");
    sas = (struct sas){.kind = SAS_USER_DELEGATION, .scope = SAS_SCOPE_CONTAINER};
    is_int(sas_trusted_scope(&sas, false), SAS_SCOPE_BLOB, "a user delegation's for one blob");
    is_int(sas_trusted_scope(&sas, true), SAS_SCOPE_CONTAINER, "unless it is vouched for");
    sas.scope = SAS_SCOPE_DIRECTORY;
    is_int(sas_trusted_scope(&sas, true), SAS_SCOPE_DIRECTORY, "and never for more than it says");
    sas.scope = SAS_SCOPE_SNAPSHOT;
    is_int(sas_trusted_scope(&sas, false), SAS_SCOPE_SNAPSHOT, "a snapshot");

    is_text(sas_directory(STR("a/b/c"), 1), "a", "depth 1");
    is_text(sas_directory(STR("a/b/c"), 2), "a/b", "depth 2");
    ok(sas_directory(STR("a/b/c"), 3).ptr == NULL, "the blob itself is no directory");
    ok(sas_directory(STR("abc"), 1).ptr == NULL, "nor is one below none");
    ok(sas_directory(STR("a/b"), 0).ptr == NULL, "depth 0 is the container's affair");
    ok(sas_directory(STR("a//b/c"), 2).ptr == NULL && sas_directory(STR("/a/b"), 1).ptr == NULL,
       "an empty component makes the depth uncertain");
    is_text(sas_directory(STR("a//b"), 1), "a", "below the directory it does not");
    is_text(sas_directory(STR("a/bc"), 1), "a", "whole components only");
    is_text(sas_directory(STR("ab/c"), 1), "ab", "so that a is not ab");
}

static bool usable(const struct sas *sas, int64_t now_s, bool tls, uint32_t ipv4)
{
    return sas_use(sas, now_s, tls, ipv4) == SAS_USE_GOOD;
}

static void use(void)
{
    struct sas sas;
    ok(parse(SERVICE "&sr=b&st=2024-01-01", &sas), "a token");
    ok(usable(&sas, 1704067200, false, 0), "from its start");
    ok(!usable(&sas, 1704067199, false, 0), "not before");
    ok(usable(&sas, SE - 1, false, 0), "up to its end");
    is_int(sas_use(&sas, SE, false, 0), SAS_USE_TIME, "not at it");
    parse(SERVICE "&sr=b&spr=https", &sas);
    ok(usable(&sas, SE - 1, true, 0), "https only");
    is_int(sas_use(&sas, SE - 1, false, 0), SAS_USE_PROTOCOL, "not over http");
    parse(SERVICE "&sr=b&sip=10.0.0.5", &sas);
    ok(usable(&sas, SE - 1, false, 0x0a000005) && !usable(&sas, SE - 1, false, 0x0a000006), "one address");
    is_int(sas_use(&sas, SE - 1, false, 0), SAS_USE_ADDRESS, "an unknown address is refused");
    parse(SERVICE "&sr=b&sip=10.0.0.5-10.0.1.0", &sas);
    ok(usable(&sas, SE - 1, false, 0x0a0000ff) && usable(&sas, SE - 1, false, 0x0a000100) &&
           !usable(&sas, SE - 1, false, 0x0a000101),
       "a range");
    static const char *const bad[] = {"10.0.0", "10.0.0.256", "10.0.0.5.6",  "10.0.0.5-", "a.b.c.d",
                                      "",       "10.0.0.5-x", "10.0.0.0005", "10.0.0.-1"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sas.ip = str_from(bad[i]);
        ok(!usable(&sas, SE - 1, false, 0x0a000005), "malformed addresses %u admit nobody", i);
    }
    struct blob_query query;
    ok(blob_query_parse(arena, STR("rsct=text%2Fx&rscc=no-cache"), &query) == STATUS_OK, "overrides");
    is_text(sas_override(&query, STR("content-type")), "text/x", "Content-Type");
    is_text(sas_override(&query, STR("Cache-Control")), "no-cache", "Cache-Control");
    ok(sas_override(&query, STR("Content-Language")).ptr == NULL && sas_override(&query, STR("ETag")).ptr == NULL,
       "no others");
}

int main(void)
{
    arena = arena_new();
    times();
    reading();
    texts();
    scopes();
    use();
    arena_free(arena);
    return done_testing();
}
