/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Account-key tokens checked. Those of 2021-12-02 are the Python SDK's (azure-storage-blob 12.15) with the emulator's
 * well-known key; those of other versions and for directories follow the strings of Azure's page.
 */
#include "tap.h"

#include "blob/sas_verify.h"

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define END "se=2030-01-02T03%3A04%3A05Z&sp=r"
#define MOMENT "2024-01-01T00:00:00.0000000Z"

static struct arena *arena;
static struct account_keys keys;

static bool any_account(const void *arg, struct str name)
{
    (void) arg;
    return str_eq(name, STR("devstoreaccount1"));
}

static enum sas_verdict verdict(const char *path, const char *token)
{
    struct blob_accounts accounts = {any_account, NULL, false};
    struct blob_url url;
    struct sas sas;
    struct str target =
        arena_printf(arena, "/devstoreaccount1%s%c%s", path, strchr(path, '?') != NULL ? '&' : '?', token);
    if (blob_url_parse(arena, target, STR("127.0.0.1"), &accounts, &url) != STATUS_OK ||
        !sas_parse(arena, &url.query, &sas))
        return (enum sas_verdict) - 1;
    return sas_verify(&sas, &url, &keys);
}

static const struct {
    const char *what, *path, *token;
} good[] = {
    {"a blob's", "/c/a%20b/%C3%A9+x.bin",
     END "&sv=2021-12-02&sr=b&sig=TCU8m79%2Bg4DHY3CLiku6PkXya6slsOIUQTfqrElVi%2BY%3D"},
    {"the same, its name encoded otherwise", "/c/a%20b%2F%c3%a9%2bx%2Ebin",
     END "&sv=2021-12-02&sr=b&sig=TCU8m79%2Bg4DHY3CLiku6PkXya6slsOIUQTfqrElVi%2BY%3D"},
    {"one with all there is", "/c/b",
     "st=2020-01-01T00%3A00%3A00Z&se=2030-01-02T03%3A04%3A05Z&sp=rw&sip=10.0.0.1-10.0.0.9&spr=https&sv=2021-12-02"
     "&sr=b&rscc=no-store&rscd=x&rsce=gzip&rscl=de&rsct=text/plain%3B%20a%3Db"
     "&sig=ZCeJdBBMKXrwKuUwm/MLsNi4yTUXRpnIiAjk7V%2BMvNw%3D"},
    {"a container's, for a blob", "/c/b",
     "se=2030-01-02T03%3A04%3A05Z&sp=rl&sv=2021-12-02&sr=c&sig=tMtUZNIpRXi7mgz/6kCHx%2BRu3FE6YINkMQusY1LsdbI%3D"},
    {"a container's, for a snapshot", "/c/b?snapshot=" MOMENT,
     "se=2030-01-02T03%3A04%3A05Z&sp=rl&sv=2021-12-02&sr=c&sig=tMtUZNIpRXi7mgz/6kCHx%2BRu3FE6YINkMQusY1LsdbI%3D"},
    {"a snapshot's", "/c/b?snapshot=" MOMENT,
     END "&sv=2021-12-02&sr=bs&sig=qbRglegHYV6kzl1%2B7qftrQ03016J0EfhoX1SkRoZwJE%3D"},
    {"a version's", "/c/b?versionid=" MOMENT,
     END "&sv=2021-12-02&sr=bv&sig=yuUOmhP5smKnvEcD10QSLarWK/dti96rW8dL6v1cUWQ%3D"},
    {"an account's", "/c/b", END "&sv=2021-12-02&ss=b&srt=o&sig=8aKV4CSggnXeUrDOpVsT4rZ/hxGv7mCKZntq1wtRXcE%3D"},
    {"one with an encryption scope", "/c/b",
     END "&sv=2021-12-02&sr=b&ses=sc&sig=0c0RB17iC4IvwWLfo/K2l0e7TW/1Th3RbXH5/2jIZs0%3D"},
    {"a directory's", "/c/d/e/f/g", END "&sv=2021-12-02&sr=d&sdd=2&sig=H/HQkp59Brzc3fVqFUJSFuvUlI90iK/FXdC8YRhjg1Y%3D"},
    {"2018-11-09", "/c/b", END "&sv=2018-11-09&sr=b&sig=S13utCU/zmiXVXNK%2BRrPE/NAKsJyFjISdKbL4uhrMNg%3D"},
    {"2015-04-05", "/c/b", END "&sv=2015-04-05&sr=b&sig=h7OI3KMJig/ZHmwy1kcIALVQqYj6zS6IMijHVcedXTA%3D"},
    {"an account's of 2018-11-09", "/c/b",
     END "&sv=2018-11-09&ss=b&srt=o&sig=VQ8B46q2ZiwhHU5VKh6fJolqyGTrfwrhYamccBdB91Q%3D"},
    {"a version to come, signed as those known", "/c/b",
     END "&sv=2027-01-01&sr=b&sig=mDb3YIXdToFx5sQ8/S/kg%2BdI7pR2Rp7IFuMGUryRXyU%3D"},
};

static const struct {
    const char *what, *path, *token;
} bad[] = {
    {"for another blob", "/c/b2", END "&sv=2021-12-02&sr=b&sig=TCU8m79%2Bg4DHY3CLiku6PkXya6slsOIUQTfqrElVi%2BY%3D"},
    {"for another container", "/d/b",
     "se=2030-01-02T03%3A04%3A05Z&sp=rl&sv=2021-12-02&sr=c&sig=tMtUZNIpRXi7mgz/6kCHx%2BRu3FE6YINkMQusY1LsdbI%3D"},
    {"with more permissions", "/c/b",
     "se=2030-01-02T03%3A04%3A05Z&sp=rlw&sv=2021-12-02&sr=c&sig=tMtUZNIpRXi7mgz/6kCHx%2BRu3FE6YINkMQusY1LsdbI%3D"},
    {"with a later end", "/c/b",
     "se=2031-01-02T03%3A04%3A05Z&sp=rl&sv=2021-12-02&sr=c&sig=tMtUZNIpRXi7mgz/6kCHx%2BRu3FE6YINkMQusY1LsdbI%3D"},
    {"with an override", "/c/b",
     "se=2030-01-02T03%3A04%3A05Z&sp=rl&sv=2021-12-02&sr=c&rsct=a&sig=tMtUZNIpRXi7mgz/"
     "6kCHx%2BRu3FE6YINkMQusY1LsdbI%3D"},
    {"a blob's that says container", "/c/b",
     END "&sv=2021-12-02&sr=c&sig=TCU8m79%2Bg4DHY3CLiku6PkXya6slsOIUQTfqrElVi%2BY%3D"},
    {"another snapshot's", "/c/b?snapshot=2025-01-01T00:00:00.0000000Z",
     END "&sv=2021-12-02&sr=bs&sig=qbRglegHYV6kzl1%2B7qftrQ03016J0EfhoX1SkRoZwJE%3D"},
    {"a directory's, for its neighbour", "/c/d/e2/f",
     END "&sv=2021-12-02&sr=d&sdd=2&sig=H/HQkp59Brzc3fVqFUJSFuvUlI90iK/FXdC8YRhjg1Y%3D"},
    {"a directory's, said to be higher", "/c/d/x/f",
     END "&sv=2021-12-02&sr=d&sdd=1&sig=H/HQkp59Brzc3fVqFUJSFuvUlI90iK/FXdC8YRhjg1Y%3D"},
    {"an account's with more services", "/c/b",
     END "&sv=2021-12-02&ss=bf&srt=o&sig=8aKV4CSggnXeUrDOpVsT4rZ/hxGv7mCKZntq1wtRXcE%3D"},
    {"an account's without its last character", "/c/b",
     END "&sv=2021-12-02&ss=b&srt=o&sig=8aKV4CSggnXeUrDOpVsT4rZ/hxGv7mCKZntq1wtRXcE"},
    {"an empty signature", "/c/b", END "&sv=2021-12-02&ss=b&srt=o&sig="},
};

static const struct {
    const char *what, *path, *token;
} unjudged[] = {
    {"a stored policy's", "/c/b", "sv=2021-12-02&si=pol&sr=b&sig=qZDfLgA5jK2YOmqW6A2M0riLkwDQXhUAeRGBCAhxOGY%3D"},
    {"a user delegation's", "/c/b",
     END "&sv=2021-12-02&sr=b&skoid=o&sktid=t&skt=2020-01-01&ske=2030-01-02&sks=b&skv=2021-12-02&sig=AAAA"},
    {"a version to come that signs more", "/c/b", END "&sv=2027-01-01&sr=b&sig=AAAA"},
    {"a version before all that is known", "/c/b", END "&sv=2014-02-14&sr=b&sig=AAAA"},
    {"no version", "/c/b", END "&sr=b&sig=AAAA"},
    {"what is no version", "/c/b", END "&sv=now&sr=b&sig=AAAA"},
    {"a parameter twice", "/c/b", END "&sp=r&sv=2018-11-09&sr=b&sig=S13utCU/zmiXVXNK%2BRrPE/NAKsJyFjISdKbL4uhrMNg%3D"},
    {"two kinds at once", "/c/b",
     END "&sv=2021-12-02&ss=b&srt=o&sr=b&sig=8aKV4CSggnXeUrDOpVsT4rZ/hxGv7mCKZntq1wtRXcE%3D"},
    {"a blob's, for its snapshot", "/c/b?snapshot=" MOMENT,
     END "&sv=2018-11-09&sr=b&sig=S13utCU/zmiXVXNK%2BRrPE/NAKsJyFjISdKbL4uhrMNg%3D"},
    {"a snapshot's, for the blob", "/c/b",
     END "&sv=2021-12-02&sr=bs&sig=qbRglegHYV6kzl1%2B7qftrQ03016J0EfhoX1SkRoZwJE%3D"},
    {"a snapshot's, for a version of that moment", "/c/b?versionid=" MOMENT,
     END "&sv=2021-12-02&sr=bs&sig=qbRglegHYV6kzl1%2B7qftrQ03016J0EfhoX1SkRoZwJE%3D"},
    {"a version's, for a snapshot of that moment", "/c/b?snapshot=" MOMENT,
     END "&sv=2021-12-02&sr=bv&sig=yuUOmhP5smKnvEcD10QSLarWK/dti96rW8dL6v1cUWQ%3D"},
    {"a snapshot's, for both", "/c/b?snapshot=" MOMENT "&versionid=" MOMENT,
     END "&sv=2021-12-02&sr=bs&sig=qbRglegHYV6kzl1%2B7qftrQ03016J0EfhoX1SkRoZwJE%3D"},
    {"a blob's of a version that signs no sr, said to be a directory's", "/c/b/secret",
     END "&sv=2015-04-05&sr=d&sdd=1&sig=h7OI3KMJig/ZHmwy1kcIALVQqYj6zS6IMijHVcedXTA%3D"},
    {"and said to be a snapshot's", "/c/b?snapshot=" MOMENT,
     END "&sv=2015-04-05&sr=bs&sig=h7OI3KMJig/ZHmwy1kcIALVQqYj6zS6IMijHVcedXTA%3D"},
    {"and a version's", "/c/b?versionid=" MOMENT,
     END "&sv=2015-04-05&sr=bv&sig=h7OI3KMJig/ZHmwy1kcIALVQqYj6zS6IMijHVcedXTA%3D"},
    {"a directory's, for what is above it", "/c/d",
     END "&sv=2021-12-02&sr=d&sdd=2&sig=H/HQkp59Brzc3fVqFUJSFuvUlI90iK/FXdC8YRhjg1Y%3D"},
    {"a directory's, for a listing", "/c",
     END "&sv=2021-12-02&sr=d&sdd=2&sig=H/HQkp59Brzc3fVqFUJSFuvUlI90iK/FXdC8YRhjg1Y%3D"},
    {"the root directory's", "/c/d", END "&sv=2021-12-02&sr=d&sdd=0&sig=AAAA"},
    {"bound to headers", "/c/b", END "&sv=2026-04-06&sr=b&srh=x-ms-a&sig=AAAA"},
};

int main(void)
{
    unsigned line;
    const char *problem;
    arena = arena_new();
    ok(account_keys_parse(STR("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" KEY), &keys, &line, &problem) ==
           STATUS_OK,
       "keys");
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
        is_int(verdict(good[i].path, good[i].token), SAS_GOOD, "good: %s", good[i].what);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        is_int(verdict(bad[i].path, bad[i].token), SAS_MISMATCH, "no match: %s", bad[i].what);
    for (unsigned i = 0; i < sizeof unjudged / sizeof unjudged[0]; i++)
        is_int(verdict(unjudged[i].path, unjudged[i].token), SAS_UNJUDGED, "the origin's to say: %s", unjudged[i].what);
    arena_free(arena);
    return done_testing();
}
