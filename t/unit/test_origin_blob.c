/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_origin_blob.c: the client against the scripted Blob origin, over cleartext and TLS: every byte of long bodies,
 * and the faults that origin knows. Skipped where blob-origin has not been built.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../origin/content.h"
#include "base/mem.h"
#include "tap.h"
#include "test_origin_rig.h"

#define LONG (48u * 1024 * 1024 + 4321)

static char dir[] = "/tmp/test-origin-XXXXXX";
static char cert[64];
static char key[64];
static char clear_base[64];
static char tls_base[64];
static pid_t child;

/* ---- a certificate for 127.0.0.1 ---- */

static bool write_certificate(void)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, pair);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(x, san, -1);
    X509_EXTENSION_free(san);
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(x, ca, -1);
    X509_EXTENSION_free(ca);
    bool good = X509_sign(x, pair, EVP_sha256()) > 0;
    FILE *file = fopen(cert, "w");
    good = good && file != NULL && PEM_write_X509(file, x) == 1;
    if (file != NULL)
        fclose(file);
    file = fopen(key, "w");
    good = good && file != NULL && PEM_write_PrivateKey(file, pair, NULL, NULL, 0, NULL, NULL) == 1;
    if (file != NULL)
        fclose(file);
    X509_free(x);
    EVP_PKEY_free(pair);
    return good;
}

/* ---- the origin's process ---- */

static const char *find_origin(char *path, size_t room)
{
    const char *named = getenv("BLOB_ORIGIN");
    const char *build = getenv("HEADPOND_BUILD");
    if (named != NULL)
        snprintf(path, room, "%s", named);
    else
        snprintf(path, room, "%s/t/origin/blob-origin", build == NULL ? "." : build);
    return access(path, X_OK) == 0 ? path : NULL;
}

static bool start_origin(const char *path)
{
    int out[2];
    char line[256];
    char clear[32];
    char tls[32];
    if (pipe(out) != 0)
        return false;
    child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        execl(path, path, "--listen", "127.0.0.1:0", "--parent-death", "--cert", cert, "--key", key, (char *) NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    const bool good =
        fgets(line, sizeof line, said) != NULL && sscanf(line, "listening %31s tls %31s", clear, tls) == 2;
    fclose(said);
    if (good) {
        snprintf(clear_base, sizeof clear_base, "http://%s", clear);
        snprintf(tls_base, sizeof tls_base, "https://%s", tls);
    }
    return good;
}

static void control(const char *method, const char *target)
{
    struct probe probe;
    probe_init(&probe, clear_base);
    probe.method = method;
    probe.target = target;
    probe_run(&probe);
    if (probe.status != 200)
        diag("control %s %s: %d %s", method, target, probe.status, status_name(probe.why));
    probe_fini(&probe);
}

/* ---- bodies ---- */

static void whole(const char *base, const char *ca_file, size_t step, const char *range, uint64_t from, uint64_t bytes)
{
    const char *const fields[] = {"x-ms-version", "2021-08-06", "x-ms-range", range, NULL};
    struct probe probe;
    probe_init(&probe, base);
    probe.ca_file = ca_file;
    probe.target = "/acct/c/long";
    probe.fields = fields;
    probe.step = step;
    probe_run(&probe);
    is_int(probe.status, 206, "%s by %zu", range, step);
    is_int(probe.content_length, bytes, "its length");
    ok(probe.state == SOURCE_END && probe.body.len == bytes &&
           content_check(7, (int64_t) from, probe.body.ptr, probe.body.len) == -1,
       "every byte of it");
    probe_fini(&probe);
}

static void bodies(void)
{
    control("PUT", "/.control/container?name=acct/c&public=1");
    char target[96];
    snprintf(target, sizeof target, "/.control/blob?path=/acct/c/long&seed=7&size=%u", LONG);
    control("PUT", target);
    const char *bases[] = {clear_base, tls_base};
    for (unsigned i = 0; i < 2; i++) {
        whole(bases[i], cert, 0, "bytes=0-", 0, LONG);
        whole(bases[i], cert, 5000, "bytes=1000000-20000000", 1000000, 19000001);
        whole(bases[i], cert, 0, "bytes=48000000-", 48000000, LONG - 48000000);
        whole(bases[i], cert, 0, "bytes=5-5", 5, 1);
    }
}

static void trust(void)
{
    struct probe probe;
    probe_init(&probe, tls_base);
    probe.target = "/acct/c/long";
    probe_run(&probe);
    is_int(probe.why, STATUS_TLS, "a certificate that nobody vouches for");
    probe_fini(&probe);
    char base[64];
    snprintf(base, sizeof base, "https://localhost%s", strrchr(tls_base, ':'));
    probe_init(&probe, base);
    probe.ca_file = cert;
    probe.target = "/acct/c/long";
    probe_run(&probe);
    is_int(probe.why, STATUS_TLS, "a certificate for another name");
    probe_fini(&probe);
}

/* ---- faults ---- */

static void faults(void)
{
    static const struct {
        const char *fault;
        int status; /* 0: no head */
        enum status why;
        uint64_t bytes;
        unsigned retries;
    } rows[] = {
        {"truncate_after=100000", 200, STATUS_TRUNCATED, 100000, 2},
        {"stall_after=70000", 200, STATUS_STALLED, 70000, 2},
        {"chunked=1", 200, STATUS_OK, LONG, 0},
        {"chunked=1&truncate_after=100000", 200, STATUS_TRUNCATED, 100000, 0},
        {"interim=1", 200, STATUS_OK, LONG, 0},
        {"garbage=1", 0, STATUS_BAD_REPLY, 0, 2},
        {"close_before_reply=1", 0, STATUS_RESET, 0, 0},
        {"close_before_reply=1", 200, STATUS_OK, LONG, 1},
        {"huge_headers=200000", 0, STATUS_HEADERS_TOO_LARGE, 0, 2},
        {"status=503&retry_after=0&times=2", 200, STATUS_OK, LONG, 2},
        {"status=500&times=2", 200, STATUS_OK, LONG, 3},
        {"status=404&times=1", 404, STATUS_OK, UINT64_MAX, 3},
        {"first_byte_ms=5000", 0, STATUS_FIRST_BYTE_TIMEOUT, 0, 2},
    };
    for (unsigned way = 0; way < 2; way++)
        for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct probe probe;
            char target[160];
            snprintf(target, sizeof target, "/.control/fault?path=/acct/c/long&%s", rows[i].fault);
            control("PUT", target);
            probe_init(&probe, way == 0 ? clear_base : tls_base);
            probe.ca_file = cert;
            probe.target = "/acct/c/long";
            probe.retry = true;
            probe.limits.retries = rows[i].retries;
            if (rows[i].why == STATUS_STALLED)
                probe.limits.stall_timeout = 400;
            if (rows[i].why == STATUS_FIRST_BYTE_TIMEOUT)
                probe.limits.first_byte_timeout = 400;
            probe_run(&probe);
            const enum status why = probe.status == 0 ? probe.why : probe.error;
            ok(probe.status == rows[i].status && why == rows[i].why, "%s%s: %d %s", rows[i].fault,
               way == 0 ? "" : " over TLS", probe.status, status_name(why));
            ok((rows[i].bytes == UINT64_MAX || probe.bytes == rows[i].bytes) &&
                   (rows[i].bytes == UINT64_MAX || content_check(7, 0, probe.body.ptr, probe.body.len) == -1),
               "%llu bytes, as they are", (unsigned long long) probe.bytes);
            probe_fini(&probe);
            control("DELETE", "/.control/fault");
        }
}

/* A reset only comes once the bytes before it were read. */
static void reset(void)
{
    struct probe probe;
    control("PUT", "/.control/fault?path=/acct/c/long&reset_after=100000");
    probe_init(&probe, clear_base);
    probe.target = "/acct/c/long";
    probe_run(&probe);
    ok(probe.status == 200 && probe.error == STATUS_RESET, "a reset in the body: %d %s", probe.status,
       status_name(probe.error));
    ok(probe.bytes <= 100000 && content_check(7, 0, probe.body.ptr, probe.body.len) == -1, "after %llu bytes",
       (unsigned long long) probe.bytes);
    probe_fini(&probe);
}

int main(void)
{
    char path[512];
    if (find_origin(path, sizeof path) == NULL) {
        printf("1..0 # SKIP no blob-origin\n");
        return 0;
    }
    mem_init();
    signal(SIGPIPE, SIG_IGN);
    content_init();
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    if (ok(write_certificate() && start_origin(path), "blob-origin is up")) {
        rig_start();
        bodies();
        trust();
        faults();
        reset();
        rig_stop();
    }
    if (child > 0) {
        kill(child, SIGTERM);
        waitpid(child, NULL, 0);
    }
    unlink(cert);
    unlink(key);
    rmdir(dir);
    return done_testing();
}
