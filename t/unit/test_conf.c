/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: broken snippets are named by line and key, good ones mean what they say, what is dumped reads
 * back. */
#include "tap.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/conf_members.h"
#include "base/conf_schema.h"
#include "base/log.h"
#include "base/mem.h"

/* A sidecar's, but for its members. */
#define POOL "pool: { name: x, node: n, region: r, role: client, certificate: a, key: b, ca: c, members: "

static char path[] = "/tmp/headpond-test-conf-XXXXXX";

static void write_file(const char *text, size_t len)
{
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(text, 1, len, out) != len)
        abort();
    fclose(out);
}

static enum status load(const char *text, struct conf **conf, struct strbuf *error)
{
    write_file(text, strlen(text));
    return conf_load(path, conf, error);
}

#define ACCOUNT "accounts:\n  - name: acct\n    "
#define STORE "store:\n  - { path: /a, size: 1GiB }\n  - { path: /b, size: 1GiB }\n"

static const struct {
    const char *text;
    unsigned line;
    const char *key;
    const char *words; /* also in the message; NULL: any */
} broken[] = {
    {"# c\n\nflavour: mint\n", 3, "flavour", "unknown key"},
    {"freshnes: 5s\n", 1, "freshnes", "allowed: listen"},
    {"memry: 1GiB\n", 1, "memry", "did you mean memory?"},
    {"LISTEN: []\n", 1, "LISTEN", "unknown key"},
    {ACCOUNT "freshnes: 5s\n", 3, "accounts[0].freshnes", "did you mean freshness?"},
    {ACCOUNT "containers:\n      - name: a\n        orgin: x\n", 5, "accounts[0].containers[0].orgin",
     "allowed: name, freshness"},
    {"memory: 128MiB\nworkers: 1\nmemory: 128MiB\n", 3, "memory", "twice"},
    {"memory:\n", 1, "memory", "is empty"},
    {"memory: ~\n", 1, "memory", "is empty"},
    {"memory: [1]\n", 1, "memory", "single value"},
    {"memory: {a: 1}\n", 1, "memory", "single value"},
    {"memory: 512 MiB\n", 1, "memory", "64MiB to 16TiB"},
    {"memory: 512mib\n", 1, "memory", "not valid"},
    {"memory: -1\n", 1, "memory", "not valid"},
    {"memory: 1.5GiB\n", 1, "memory", "not valid"},
    {"memory: 63MiB\n", 1, "memory", "too small"},
    {"memory: 17TiB\n", 1, "memory", "too large"},
    {"memory: 9223372036854775808\n", 1, "memory", "not valid"},
    {"memory: 9007199254740993KiB\n", 1, "memory", "not valid"},
    {"block_size: 3MiB\n", 1, "block_size", "power of two"},
    {"block_size: 32KiB\n", 1, "block_size", "too small"},
    {"block_size: 32MiB\n", 1, "block_size", "too large"},
    {"workers: 1025\n", 1, "workers", "0 to 1024"},
    {"workers: 2x\n", 1, "workers", NULL},
    {"header_timeout: 5\n", 1, "header_timeout", "200ms, 5s or 1h"},
    {"header_timeout: 5 s\n", 1, "header_timeout", NULL},
    {"header_timeout: 0s\n", 1, "header_timeout", "too small"},
    {"header_timeout: 2h\n", 1, "header_timeout", "too large"},
    {"header_timeout: immutable\n", 1, "header_timeout", NULL},
    {"log_level: loud\n", 1, "log_level", "error, warn, info, debug"},
    {"allow_any_account: maybe\n", 1, "allow_any_account", "true, false"},
    {"access_log: \"\"\n", 1, "access_log", "is empty"},
    {"access_log: \"a\\0b\"\n", 1, "access_log", NULL},
    {"admin: localhost\n", 1, "admin", "HOST:PORT"},
    {"admin: \"::1:80\"\n", 1, "admin", "[IPv6]:PORT"},
    {"admin: \"[::1]\"\n", 1, "admin", NULL},
    {"admin: \"host:65536\"\n", 1, "admin", NULL},
    {"admin: \"a b:80\"\n", 1, "admin", NULL},
    {"listen: 8080\n", 1, "listen", "a list of mappings"},
    {"listen: []\n", 1, "listen", "at least one"},
    {"listen:\n  - 8080\n", 2, "listen[0]", "not a mapping"},
    {"listen:\n  - { certificate: a, key: b }\n", 2, "listen[0].address", "is missing"},
    {"listen:\n  - address: \"127.0.0.1:1\"\n    certificate: a\n", 3, "listen[0].certificate", "has no key"},
    {"listen:\n  - address: \"127.0.0.1:1\"\n    key: a\n", 3, "listen[0].key", "has no certificate"},
    {"listen:\n  - { address: \"127.0.0.1:1\" }\n  - { address: \"127.0.0.1:1\" }\n", 3, "listen[1].address",
     "taken by listen[0]"},
    {"listen:\n  - { address: \"0.0.0.0:1\" }\n  - { address: \"127.0.0.1:1\" }\n", 3, "listen[1].address",
     "taken by listen[0], 0.0.0.0:1"},
    {"listen:\n  - { address: \"[::1]:1\" }\n  - { address: \"localhost:1\" }\n", 3, "listen[1].address",
     "taken by listen[0], [::1]:1"},
    {"admin: \"127.0.0.1:1\"\nlisten:\n  - { address: \"0.0.0.0:1\" }\n", 1, "admin", "taken by listen[0]"},
    {"listen:\n  - { address: \"127.0.0.1:8081\" }\n", 1, "admin", "taken by listen[0]"},
    {"listen:\n  - { address: \"0.0.0.0:80\" }\n", 1, "accounts[0].name", "allow_any_account"},
    {"listen: [{ address: \":80\" }]\n", 1, "listen[0].address", "HOST:PORT"},
    {"listen: [{ address: \"0.0.0.0:80\" }]\naccounts:\n  - name: acct\n  - name: \"*\"\n", 4, "accounts[1].name",
     "allow_any_account: true"},
    {"listen: [{ address: \"127.evil.example:80\" }]\naccounts:\n  - name: \"*\"\n", 3, "accounts[0].name",
     "127.evil.example"},
    {"listen: [{ address: \"[::]:80\" }]\n" ACCOUNT "authorize: none\n", 4, "accounts[0].authorize",
     "whoever reaches [::]:80"},
    {"accounts:\n  - name: \"*\"\n    authorize: none\n", 3, "accounts[0].authorize", "allowed with '*': origin, key"},
    {"accounts:\n  - name: \"*\"\n    origin: http://x\n", 3, "accounts[0].origin", "{account}"},
    {"accounts:\n  - name: \"*\"\n    dfs_origin: http://x\n", 3, "accounts[0].dfs_origin", "{account}"},
    {ACCOUNT "authorize: key\n", 3, "accounts[0].authorize", "needs key_file"},
    {ACCOUNT "authorize: KEY\n", 3, "accounts[0].authorize", "allowed: origin, key, none"},
    {ACCOUNT "identity: key\n", 3, "accounts[0].identity", "needs key_file"},
    {ACCOUNT "identity: \"sas:\"\n", 3, "accounts[0].identity", "sas:FILE"},
    {ACCOUNT "limit: -1\n", 3, "accounts[0].limit", "not valid"},
    {ACCOUNT "limit: 1GiB\n    reserve: 2GiB\n", 4, "accounts[0].reserve", "more than limit"},
    {ACCOUNT "limit: 1GiB\n    containers:\n      - { name: a, reserve: 2GiB }\n", 5,
     "accounts[0].containers[0].reserve", "more than the account's limit"},
    {ACCOUNT "limit: 3GiB\n    containers:\n      - { name: a, reserve: 2GiB }\n      - { name: b, reserve: 2GiB }\n",
     6, "accounts[0].containers[1].reserve", "with those before it is more than the account's limit"},
    {STORE ACCOUNT "reserve: 2049MiB\n", 6, "accounts[0].reserve", "allowed here: at most 2097152KiB"},
    {STORE ACCOUNT "reserve: 1GiB\n  - name: other\n    containers:\n      - { name: a, reserve: 512MiB }\n"
                   "      - { name: b, reserve: 513MiB }\n",
     10, "accounts[1].containers[1].reserve", "allowed here: at most 524288KiB"},
    {"accounts:\n  - name: \"*\"\n    limit: 1GiB\n", 2, "accounts[0].name", "stands for many accounts"},
    {"accounts:\n  - name: \"*\"\n    containers:\n      - { name: a, reserve: 1GiB }\n", 2, "accounts[0].name",
     "stands for many accounts"},
    {ACCOUNT "origin: ftp://x\n", 3, "accounts[0].origin", "http://"},
    {ACCOUNT "origin: \"http://\"\n", 3, "accounts[0].origin", NULL},
    {ACCOUNT "origin: \"http://h/?sig=x\"\n", 3, "accounts[0].origin", "a query"},
    {ACCOUNT "origin: \"http://user:pw@h\"\n", 3, "accounts[0].origin", "a user"},
    {ACCOUNT "origin: \"http://h h\"\n", 3, "accounts[0].origin", "needs encoding"},
    {ACCOUNT "origin: \"http://h#x\"\n", 3, "accounts[0].origin", "a fragment"},
    {ACCOUNT "origin: \"http://h:99999\"\n", 3, "accounts[0].origin", "port must be"},
    {ACCOUNT "origin: \"http://h:abc/x\"\n", 3, "accounts[0].origin", "port must be"},
    {ACCOUNT "origin: \"http://h:0\"\n", 3, "accounts[0].origin", "1 to 65535"},
    {ACCOUNT "origin: \"http://h:\"\n", 3, "accounts[0].origin", "port must be"},
    {ACCOUNT "origin: \"http://:80/x\"\n", 3, "accounts[0].origin", "host is missing"},
    {ACCOUNT "origin: \"http:///x\"\n", 3, "accounts[0].origin", "host is missing"},
    {ACCOUNT "origin: \"http://::1/x\"\n", 3, "accounts[0].origin", "brackets"},
    {ACCOUNT "origin: \"https://{acount}.blob.example\"\n", 3, "accounts[0].origin", "other than {account}"},
    {ACCOUNT "origin: \"https://h/{account\"\n", 3, "accounts[0].origin", "other than {account}"},
    {ACCOUNT "origin: \"https://h:{account}\"\n", 3, "accounts[0].origin", "port must be"},
    {ACCOUNT "dfs_origin: \"http://h:99999\"\n", 3, "accounts[0].dfs_origin", "port must be"},
    {ACCOUNT "freshness: soon\n", 3, "accounts[0].freshness", "or immutable"},
    {ACCOUNT "freshness: -1s\n", 3, "accounts[0].freshness", NULL},
    {ACCOUNT "authorize_ttl: 25h\n", 3, "accounts[0].authorize_ttl", "too large"},
    {ACCOUNT "max_requests: 0\n", 3, "accounts[0].max_requests", "too small"},
    {"accounts:\n  - name: ab\n", 2, "accounts[0].name", "3 to 24"},
    {"accounts:\n  - name: aaaaaaaaaaaaaaaaaaaaaaaaa\n", 2, "accounts[0].name", NULL},
    {"accounts:\n  - name: under_score\n", 2, "accounts[0].name", NULL},
    {"accounts:\n  - name: acct\n  - name: acct\n", 3, "accounts[1].name", "twice"},
    {ACCOUNT "containers: [{ name: a }, { name: a }]\n", 3, "accounts[0].containers[1].name", "twice"},
    {ACCOUNT "containers: [{ name: A/b }]\n", 3, "accounts[0].containers[0].name", NULL},
    {"store:\n  - { path: /x, size: 63MiB }\n", 2, "store[0].size", "64 blocks"},
    {"store:\n  - { path: /x, size: 1GiB }\n  - { path: /x, size: 2GiB }\n", 3, "store[1].path",
     "directory of store[0]"},
    {"store:\n  - { path: /x/y, size: 1GiB }\n  - { path: \"/x//z/../y/.\", size: 2GiB }\n", 3, "store[1].path",
     "directory of store[0], /x/y"},
    {"store:\n  - { path: x, size: 1GiB }\n  - { path: ./x/, size: 2GiB }\n", 3, "store[1].path",
     "directory of store[0], x"},
    {"store:\n  - { path: /proc/self/root/tmp, size: 1GiB }\n  - { path: /tmp, size: 2GiB }\n", 3, "store[1].path",
     "directory of store[0]"},
    {"store:\n  - { path: /x }\n", 2, "store[0].size", "is missing"},
    {"pool: 1\n", 1, "pool", "not a mapping"},
    {"pool:\n  nane: x\n", 2, "pool.nane", "did you mean name?"},
    {"pool:\n  name: x\n", 2, "pool.node", "is missing"},
    {"pool: { name: x, node: n, region: r, role: boss }\n", 1, "pool.role", "member, client"},
    {"pool: { name: x, node: n, region: r }\n", 1, "pool.address", "is missing"},
    {"pool: { name: x, node: n, region: r, role: client }\n", 1, "pool.certificate", "is missing"},
    {"pool: { name: x, node: n, region: r, role: client, certificate: a, key: b, ca: c }\n", 1, "pool.members",
     "is missing"},
    {"pool: { name: x, node: n, region: r, members: [[a]] }\n", 1, "pool.members", "single value"},
    {POOL "a}\n", 1, "pool.members", "has no name"},
    {POOL "\"A=h:1\"}\n", 1, "pool.members", "has a name that is not"},
    {POOL "\"a=h\"}\n", 1, "pool.members", "port is missing"},
    {POOL "\"a=h:0\"}\n", 1, "pool.members", "1 to 65535"},
    {POOL "\"a=h:1:0\"}\n", 1, "pool.members", "weight must be"},
    {POOL "\"a=h:1:70000\"}\n", 1, "pool.members", "weight must be"},
    {POOL "\"dns:h\"}\n", 1, "pool.members", "port is missing"},
    {POOL "\"kubernetes:ns\"}\n", 1, "pool.members", "no namespace and service"},
    {POOL "\"kubernetes:ns/s:P\"}\n", 1, "pool.members", "no namespace and service"},
    {POOL "\"kubernetes:ns/s\"}\n", 1, "pool.members", "only for role: member"},
    {POOL "\"dns:h:1\", regions: [{ name: s, members: \"kubernetes:ns/s\" }] }\n", 1, "pool.regions[0].members",
     "only for role: member"},
    {POOL "[\"a=h:1\", \"a=h:2\"]}\n", 1, "pool.members", "name of another"},
    {POOL "[\"a=h:1\", \"dns:h:2\"]}\n", 1, "pool.members", "cannot stand beside"},
    {"pool: { name: x, node: n, region: r, address: \"h:1\", certificate: a, key: b, ca: c, members: \"a=h:1\" }\n", 1,
     "pool.members", "without n"},
    {POOL "\"dns:h:1\", regions: [{ name: r, members: \"dns:g:1\" }] }\n", 1, "pool.regions[0].name",
     "this node's region"},
    {POOL "\"dns:h:1\", regions: [{ name: s }] }\n", 1, "pool.regions[0].members", "is missing"},
    {"", 1, "configuration", "is empty"},
    {"# only a comment\n", 1, "configuration", "{} for the built-in defaults"},
    {"memory: {a: 1\n\n", 3, "syntax", NULL},
    {"memory: \"abc\n", 2, "syntax", NULL},
    {"\tmemory: 1GiB\n", 1, "syntax", NULL},
    {"- a\n", 1, "configuration", "not a mapping"},
    {"text\n", 1, "configuration", "not a mapping"},
    {"? [a]\n: b\n", 1, "configuration", "a key is not a single value"},
    {"a: &x [*x]\n", 1, NULL, NULL},
    {"workers: 1\n---\nworkers: 2\n", 3, "syntax", "second document"},
    {"workers: *nowhere\n", 1, "syntax", NULL},
    {"workers: \xff\n", 1, "syntax", NULL},
};

static void refuses(void)
{
    for (unsigned i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct conf *conf;
        struct strbuf error = {0};
        enum status status = load(broken[i].text, &conf, &error);
        const char *text = error.ptr == NULL ? "" : error.ptr;
        char head[300];
        snprintf(head, sizeof head, "%s:%u: %s%s", path, broken[i].line, broken[i].key == NULL ? "" : broken[i].key,
                 broken[i].key == NULL ? "" : ": ");
        bool good = status == STATUS_INVALID && conf == NULL && str_starts(strbuf_str(&error), str_from(head)) &&
                    strchr(text, '\n') == NULL && strstr(text, "allowed") != NULL &&
                    (broken[i].words == NULL || strstr(text, broken[i].words) != NULL);
        ok(good, "row %u is refused: %s", i, strchr(text, ' ') == NULL ? "" : strchr(text, ' '));
        if (!good)
            diag("expected '%s...%s', got '%s'", head, broken[i].words == NULL ? "" : broken[i].words, text);
        conf_free(conf);
        strbuf_free(&error);
    }
    struct conf *conf;
    struct strbuf error = {0};
    is_int(load(ACCOUNT "origin: \"http://user:hunter2@h\"\n", &conf, &error), STATUS_INVALID, "a URL with a password");
    ok(strstr(error.ptr, "hunter2") == NULL, "is not shown");
    strbuf_free(&error);
    is_int(conf_load("/nowhere/x.yaml", &conf, &error), STATUS_NOT_FOUND, "no such file");
    ok(strstr(error.ptr, "/nowhere/x.yaml") != NULL && strchr(error.ptr, '\n') == NULL, "is named");
    strbuf_free(&error);
    is_int(conf_load("/tmp", &conf, &error), STATUS_IO, "a directory");
    strbuf_free(&error);
    ok(conf == NULL, "nothing is handed out");
}

static struct conf *must_load(const char *text)
{
    struct conf *conf;
    struct strbuf error = {0};
    ok(load(text, &conf, &error) == STATUS_OK, "loads: %.40s", text);
    if (conf == NULL) {
        diag("%s", error.ptr);
        exit(done_testing() | 1);
    }
    strbuf_free(&error);
    return conf;
}

/* Dumped, loaded, dumped: the same text. */
static void round_trip(const struct conf *conf, const char *what)
{
    struct strbuf first = {0}, second = {0};
    conf_dump(conf, &first);
    struct conf *again = must_load(first.ptr);
    conf_dump(again, &second);
    is_str(second.ptr, first.ptr, "%s: dumps to what reads back", what);
    conf_free(again);
    strbuf_free(&first);
    strbuf_free(&second);
}

static void defaults(void)
{
    struct conf *conf;
    struct strbuf error = {0};
    is_int(conf_load(NULL, &conf, &error), STATUS_OK, "no file");
    is_str(conf->file, NULL, "is no file");
    is_int(conf->listen_count, 1, "one listener");
    is_str(conf->listen[0].address, "127.0.0.1:8080", "on loopback");
    is_str(conf->admin, "127.0.0.1:8081", "admin");
    is_int(conf->store_count, 0, "no store");
    is_int(conf->memory, 512 << 20, "memory");
    is_int(conf->block_size, 1 << 20, "block_size");
    is_int(conf->account_count, 1, "one account");
    const struct conf_account *any = &conf->accounts[0];
    is_str(any->name, "*", "which is any");
    is_str(any->origin, "https://{account}.blob.core.windows.net", "origin");
    is_str(any->dfs_origin, "https://{account}.dfs.core.windows.net", "dfs_origin");
    is_int(any->authorize_ttl, 60000, "authorize_ttl");
    is_int(any->freshness, 5000, "freshness");
    is_int(any->max_requests, 2000, "max_requests");
    is_int(conf->header_timeout, 10000, "header_timeout");
    is_int(conf->idle_timeout, 75000, "idle_timeout");
    is_int(conf->send_timeout, 60000, "send_timeout");
    is_int(conf->drain_timeout, 30000, "drain_timeout");
    is_int(conf->connect_timeout, 5000, "connect_timeout");
    is_int(conf->first_byte_timeout, 30000, "first_byte_timeout");
    is_int(conf->stall_timeout, 30000, "stall_timeout");
    is_int(conf->origin_retries, 3, "origin_retries");
    is_int(conf->max_connections, 20000, "max_connections");
    is_str(conf->access_log, "-", "access_log");
    is_int(conf->log_level, LOG_INFO, "log_level");
    ok(!conf->allow_any_account && conf->pool == NULL, "the rest");
    round_trip(conf, "defaults");
    conf_free(conf);
    conf_free(must_load("{}\n"));
}

static void full(void)
{
    struct conf *conf =
        must_load("{\"listen\": [{\"address\": \"[::1]:0\"}, {\"address\": \"localhost:0\", \"certificate\": \"c\","
                  " \"key\": \"k\"}], \"memory\": 100000000, \"block_size\": \"64KiB\",\n"
                  "\"store\": [{\"path\": \"/a b\\\"c\\\\\\u00fc\", \"size\": \"4MiB\"}], \"workers\": 3, "
                  "\"log_level\": \"debug\",\n"
                  "\"header_timeout\": \"1500ms\", \"idle_timeout\": \"2m\", \"drain_timeout\": \"0s\",\n"
                  "\"accounts\": [{\"name\": \"acct\", \"origin\": \"http://127.0.0.1:1/acct//\", \"key_file\": \"k\","
                  " \"authorize\": \"key\", \"identity\": \"key\", \"freshness\": \"0s\", \"cache_writes\": \"on\","
                  " \"grant_scope\": \"container\", \"pinned_reads\": \"trust\", \"max_rate\": \"10GB\","
                  " \"reserve\": \"1MiB\","
                  " \"containers\": [{\"name\": \"$root\", \"freshness\": \"immutable\"}, {\"name\": \"plain\", "
                  "\"limit\": 0}]},\n"
                  "{\"name\": \"other\", \"origin\": \"https://[::1]:8443/{account}/x\", \"identity\": \"sas:f\", "
                  "\"authorize\": \"none\"}]}\n");
    is_int(conf->memory, 100000000, "plain bytes");
    is_int(conf->idle_timeout, 120000, "minutes");
    is_int(conf->drain_timeout, 0, "no time");
    is_str(conf->store[0].path, "/a b\"c\\\xc3\xbc", "a text with everything in it");
    is_int(conf->account_count, 2, "two accounts");
    const struct conf_account *acct = &conf->accounts[0], *other = &conf->accounts[1];
    ok(strcmp(acct->name, "acct") == 0 && strcmp(other->name, "other") == 0, "in their order");
    is_str(acct->origin, "http://127.0.0.1:1/acct", "an origin ends without a slash");
    is_str(acct->dfs_origin, NULL, "an origin of one's own has no Data Lake endpoint by itself");
    ok(acct->authorize == CONF_AUTHORIZE_KEY && acct->grant_scope == CONF_SCOPE_CONTAINER &&
           acct->pinned_reads == CONF_PINNED_TRUST && acct->cache_writes,
       "words");
    is_int(conf->log_level, LOG_DEBUG, "a level");
    is_int(acct->max_rate, 10000000000, "decimal units");
    is_str(other->origin, "https://[::1]:8443/{account}/x", "an IPv6 origin");
    ok(acct->reserve == 1 << 20 && acct->limit == -1 && acct->containers[1].reserve == -1 &&
           acct->containers[1].limit == 0 && other->reserve == -1,
       "quotas, and none");
    ok(conf_freshness(acct, STR("$root")) == CONF_IMMUTABLE, "a container's freshness");
    is_int(conf_freshness(acct, STR("plain")), 0, "or the account's");
    is_int(conf_freshness(acct, STR("unknown")), 0, "also for a container without a row");
    ok(other->authorize == CONF_AUTHORIZE_NONE, "none, on loopback");
    round_trip(conf, "full");
    conf_free(conf);

    conf_free(must_load("listen: [{ address: \"127.0.0.1:1\" }, { address: \"127.0.0.2:1\" }, { address: \"[::1]:1\" },"
                        " { address: \"127.0.0.1:2\" }]\nadmin: \"127.0.0.1:3\"\n"));
    conf = must_load("accounts: []\n");
    is_int(conf->account_count, 0, "an empty list serves nobody");
    round_trip(conf, "no account");
    conf_free(conf);
    conf = must_load(
        "accounts:\n  - name: \"*\"\n  - name: acct\nlisten: [{ address: \"[::]:1\" }]\nallow_any_account: true\n");
    is_int(conf->account_count, 2, "a star and a name");
    round_trip(conf, "any account");
    conf_free(conf);
}

static void pool(void)
{
    struct conf *conf =
        must_load("pool:\n  name: main\n  node: pond-0\n  region: we\n  role: client\n  certificate: c\n  key: k\n"
                  "  ca: a\n  members: \"dns:x.example:8444\"\n  regions:\n"
                  "    - { name: eastus, members: [\"a=1.2.3.4:1\", \"b=1.2.3.4:2\"] }\n");
    is_int(conf->pool->role, CONF_ROLE_CLIENT, "role");
    is_int(conf->pool->members.count, 1, "one text is a list of one");
    is_str(conf->pool->regions[0].members.items[1], "b=1.2.3.4:2", "a list");
    struct conf_members_text parsed;
    const char *problem;
    ok(conf_members_parse(STR("pond-1=[fd00::7]:8444:20"), &parsed, &problem) && parsed.kind == CONF_MEMBERS_LIST &&
           parsed.port == 8444 && parsed.weight == 20,
       "a member of a list");
    is_text(parsed.host, "fd00::7", "its host");
    ok(conf_members_parse(STR("a=10.0.0.1:80"), &parsed, &problem) && parsed.weight == 1, "a weight need not be given");
    ok(conf_members_parse(STR("kubernetes:ns/headpond:peer"), &parsed, &problem) &&
           parsed.kind == CONF_MEMBERS_KUBERNETES && str_eq(parsed.name, STR("ns")) &&
           str_eq(parsed.service, STR("headpond")) && str_eq(parsed.port_name, STR("peer")),
       "a service");
    ok(conf_members_parse(STR("dns:pool.example:8444"), &parsed, &problem) && parsed.kind == CONF_MEMBERS_DNS &&
           str_eq(parsed.name, STR("pool.example")) && parsed.port == 8444,
       "a name in DNS");
    round_trip(conf, "pool");
    conf_free(conf);
    conf = must_load("pool: { name: x, node: n, region: r, address: \"h:1\", certificate: a, key: b, ca: c, "
                     "members: \"kubernetes:ns/s\" }\n");
    is_str(conf->pool->members.items[0], "kubernetes:ns/s", "a member may watch a service");
    conf_free(conf);
}

/* What a dump must not write as it is: the word for no text, and what YAML takes for line ends or refuses. */
static void odd_texts(void)
{
    struct conf *conf =
        must_load("access_log: \"null\"\n"
                  "control: \"\\x01\\t\\\"\\\\\\x7f\\u0085\\u009f\\u2028\\u2029\\ufeff\\uffff\\u00e9\"\n");
    is_str(conf->access_log, "null", "a file of that name");
    is_str(conf->control, "\x01\t\"\\\x7f\xc2\x85\xc2\x9f\u2028\u2029\ufeff\uffff\u00e9", "escapes");
    round_trip(conf, "odd texts");
    conf_free(conf);
}

/* Every value at its bounds and every word, by the tables alone. */
static void by_table(const struct conf_section *section, void *object)
{
    const char *problem;
    for (unsigned i = 0; i < section->count; i++) {
        const struct conf_row *row = &section->rows[i];
        ok(row->help != NULL && strlen(row->help) > 8, "%s has a help", row->key);
        struct strbuf text = {0};
        if (row->type >= CONF_INT && row->type <= CONF_FRESHNESS) {
            ok(row->min <= row->max, "%s has a range", row->key);
            for (int64_t *field = conf_field(row, object), n = 0; n < 2; n++) {
                *field = n == 0 ? row->min : row->max;
                int64_t expected = *field;
                text.len = 0;
                conf_value_format(row, object, &text);
                *field = -7;
                ok(conf_value_parse(row, strbuf_str(&text), object, &problem) && *field == expected, "%s: %s", row->key,
                   text.ptr);
            }
        }
        struct str words = str_from(row->words);
        while (words.ptr != NULL) {
            struct str word = str_split(words, '|', &words);
            text.len = 0;
            ok(conf_value_parse(row, word, object, &problem) && conf_value_format(row, object, &text) &&
                   str_eq(strbuf_str(&text), word),
               "%s: %.*s", row->key, STR_ARG(word));
        }
        strbuf_free(&text);
        if (row->section != NULL) {
            void *sub = mem_calloc(1, row->section->size);
            by_table(row->section, sub);
            conf_section_fini(row->section, sub);
            mem_free(sub);
        }
    }
}

static void pending(void)
{
    struct conf *conf = must_load("control: /run/c\nworkers: 1\n" ACCOUNT "max_requests: 2000\n    cache_writes: off\n"
                                  "pool: { name: x, node: n, region: r, role: client, certificate: a, key: b, ca: c,"
                                  " members: \"dns:d:1\" }\n");
    static const struct {
        unsigned line;
        const char *key;
    } expected[] = {{1, "control"}};
    is_int(conf->notes.count, sizeof expected / sizeof expected[0],
           "what has no effect yet is noted where it is given");
    for (unsigned i = 0; i < conf->notes.count && i < sizeof expected / sizeof expected[0]; i++) {
        char note[200];
        snprintf(note, sizeof note, "%s:%u: %s: has no effect in this version", path, expected[i].line,
                 expected[i].key);
        is_str(conf->notes.items[i], note, "%s", expected[i].key);
    }
    conf_free(conf);
}

/* What hardly anybody means, and what many do. */
static void in_vain(void)
{
    static const struct {
        const char *text, *note; /* NULL: none */
    } rows[] = {
        {"authorize: none\n", ":3: accounts[0].authorize: none without identity reads only what is public"},
        {"authorize: none\n    identity: managed\n", NULL},
        {"key_file: k\n", ":3: accounts[0].key_file: has no effect without authorize: key or identity: key"},
        {"key_file: k\n    identity: \"sas:s\"\n",
         ":3: accounts[0].key_file: has no effect without authorize: key or identity: key"},
        {"key_file: k\n    authorize: key\n", NULL},
        {"key_file: k\n    identity: key\n", NULL},
        {"reserve: 1MiB\n", ":3: accounts[0].reserve: has no effect without a store"},
        {"limit: 1MiB\n" STORE, ":3: accounts[0].limit: is less than a block on each disk, which keeps none"},
        {"limit: 2MiB\n" STORE, NULL},
        {"limit: 0\n" STORE, NULL},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256], note[256];
        snprintf(text, sizeof text, ACCOUNT "%s", rows[i].text);
        struct conf *conf = must_load(text);
        is_int(conf->notes.count, rows[i].note != NULL, "%s", rows[i].text);
        snprintf(note, sizeof note, "%s%s", path, rows[i].note == NULL ? "" : rows[i].note);
        if (conf->notes.count == 1 && rows[i].note != NULL)
            is_str(conf->notes.items[0], note, "what is said");
        conf_free(conf);
    }
}

static void many_quotas(void)
{
    struct strbuf text = {0}, error = {0};
    struct conf *conf = NULL;
    strbuf_adds(&text, STR(STORE "accounts:\n"));
    for (unsigned i = 0; i <= CONF_QUOTAS_MAX; i++)
        strbuf_addf(&text, "  - { name: acct%u, limit: 1GiB }\n", i);
    is_int(load(text.ptr, &conf, &error), STATUS_INVALID, "there is a bound on quotas");
    ok(strstr(error.ptr, ":505: accounts[500].limit: is one too many; allowed: 500 rows") != NULL, "%s", error.ptr);
    conf_free(conf);
    strbuf_free(&text);
    strbuf_free(&error);
}

static char *slurp(const char *name)
{
    static char text[65536];
    FILE *in = fopen(name, "rb");
    size_t len = in == NULL ? 0 : fread(text, 1, sizeof text - 1, in);
    text[len] = '\0';
    if (in != NULL)
        fclose(in);
    return text;
}

static void sample(void)
{
    char name[4096];
    const char *source = getenv("HEADPOND_SOURCE");
    snprintf(name, sizeof name, "%s/conf/headpond.yaml", source == NULL ? "." : source);
    struct strbuf text = {0}, from_sample = {0}, from_defaults = {0}, error = {0};
    conf_sample(&text);
    is_str(slurp(name), text.ptr, "conf/headpond.yaml is what the tables say");
    struct conf *conf, *none;
    is_int(conf_load(name, &conf, &error), STATUS_OK, "it loads");
    is_int(conf_load(NULL, &none, &error), STATUS_OK, "the defaults load");
    if (conf != NULL) {
        is_int(conf->notes.count, 0, "it has nothing without effect");
        conf_dump(conf, &from_sample);
        conf_dump(none, &from_defaults);
        is_str(from_sample.ptr, from_defaults.ptr, "as it stands it means the defaults");
    }
    conf_free(conf);
    conf_free(none);

    /* Options that are commented out have no blank behind the '#', or belong to a list and have two. */
    char *all = mem_alloc(text.len + 1), *at = all;
    for (const char *line = text.ptr; *line != '\0';) {
        size_t len = strcspn(line, "\n") + 1;
        bool option = line[0] == '#' && (line[1] != ' ' || line[2] == ' ');
        memcpy(at, line + option, len - option);
        at += len - option;
        line += len;
    }
    *at = '\0';
    conf = must_load(all);
    ok(conf->pool != NULL && conf->pool->region_count == 1 && conf->store_count == 1 &&
           conf->accounts[0].container_count == 1,
       "with everything in it, it is good too");
    round_trip(conf, "sample with everything");
    conf_free(conf);
    mem_free(all);
    strbuf_free(&text);
    strbuf_free(&from_sample);
    strbuf_free(&from_defaults);
    strbuf_free(&error);
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0)
        return 99;
    close(fd);
    log_set_level(LOG_ERROR);
    refuses();
    defaults();
    full();
    pool();
    pending();
    in_vain();
    many_quotas();
    odd_texts();
    void *top = mem_calloc(1, conf_top.size);
    by_table(&conf_top, top);
    conf_section_fini(&conf_top, top);
    mem_free(top);
    sample();
    unlink(path);
    return done_testing();
}
