/* SPDX-License-Identifier: Apache-2.0 */
/* test_credential_keeper.c: credentials kept good against token services that refuse, lie and hang, and files that
 * change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/metric.h"
#include "on_loop.h"
#include "origin/credential.h"
#include "tap.h"
#include "test_origin_rig.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
#define KEY_B "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=\n"

static char folder[] = "/tmp/test-credential-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

/* As Kubernetes does: a new file under the old name. */
static void put_file(const char *name, const char *text)
{
    char fresh[160];
    snprintf(fresh, sizeof fresh, "%s.new", in_folder(name));
    FILE *file = fopen(fresh, "w");
    fputs(text, file);
    fclose(file);
    if (rename(fresh, in_folder(name)) != 0)
        perror("rename");
}

/* ---- What a loop sees ---- */

struct look {
    struct credential *credential;
    char text[64];
    uint8_t key_byte;
    bool there;
    struct credential_wait *wait;
    bool refused; /* there was nothing to wait for */
    sem_t ready;
};

static void look_now(void *arg)
{
    struct look *look = arg;
    const struct credential_value *value = credential_now(look->credential, clock_wall_s());
    look->there = value != NULL;
    if (value == NULL)
        return;
    snprintf(look->text, sizeof look->text, "%.*s", STR_ARG(value->text));
    look->key_byte = value->keys.key[0].bytes[0];
}

static void on_ready(void *arg)
{
    struct look *look = arg;
    look->wait = NULL;
    sem_post(&look->ready);
}

static void begin_wait(void *arg)
{
    struct look *look = arg;
    look->wait = credential_wait(look->credential, rig_loop(), on_ready, look);
    look->refused = look->wait == NULL;
}

static void cancel_wait(void *arg)
{
    struct look *look = arg;
    credential_wait_cancel(&look->wait);
}

/* Until a value is there, or there is nothing to wait for. */
static bool wait_for_value(struct look *look)
{
    const int64_t until = nap_deadline();
    do
        rig_call(look_now, look);
    while (!look->there && nap_until(until));
    return look->there;
}

static bool wait_for_text(struct look *look, const char *text, uint8_t key_byte)
{
    const int64_t until = nap_deadline();
    bool right;
    do {
        rig_call(look_now, look);
        right = look->there && strcmp(look->text, text) == 0 && look->key_byte == key_byte;
    } while (!right && nap_until(until));
    return right;
}

static int64_t failures_so_far(void)
{
    return metric_cell_value(metric_cell(METRIC_CREDENTIALS, "acct\tfailed"));
}

static bool wait_for_failures(int64_t count)
{
    for (int64_t until = nap_deadline(); failures_so_far() < count && nap_until(until);)
        ;
    return failures_so_far() >= count;
}

static struct credentials *set_of(enum credential_kind kind, const char *file, struct look *look)
{
    struct credentials *set = credentials_new();
    struct strbuf error = {0};
    struct credential_options options = {kind, "acct", file};
    memset(look, 0, sizeof *look);
    sem_init(&look->ready, 0, 0);
    ok(credentials_add(set, &options, &look->credential, &error) == STATUS_OK, "added %s",
       error.ptr == NULL ? "" : error.ptr);
    strbuf_free(&error);
    return set;
}

static void end(struct credentials *set, struct look *look)
{
    credentials_stop(set);
    credentials_free(set);
    sem_destroy(&look->ready);
}

static void ask_here(struct server *server)
{
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server_base(server), 1);
    setenv("AZURE_AUTHORITY_HOST", server_base(server), 1);
}

/* ---- Token services ---- */

static void say_token(struct conn *conn, const char *token, int life)
{
    char body[128];
    int size = snprintf(body, sizeof body, "{\"access_token\":\"%s\",\"expires_in\":\"%d\"}", token, life);
    conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", size, body);
}

/* Garbage, a failure, a refusal, then a token, then another. */
static void moody(struct conn *conn)
{
    mem_free(conn_head(conn));
    switch (conn->number) {
    case 0:
        conn_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>");
        break;
    case 1:
        conn_say(conn, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        break;
    case 2:
        say_token(conn, "first", 2);
        break;
    default:
        say_token(conn, "second", 3600);
        break;
    }
}

static void managed(void)
{
    struct server *server = server_new(moody);
    struct look look;
    ask_here(server);
    struct credentials *set = set_of(CREDENTIAL_MANAGED, NULL, &look);
    rig_call(look_now, &look);
    ok(!look.there, "no token before the first reply");
    rig_call(begin_wait, &look);
    ok(!look.refused, "something to wait for");
    credentials_start(set);
    ok(rig_wait(&look.ready), "who waits is told of the failure");
    rig_call(look_now, &look);
    ok(!look.there, "there is none");
    rig_call(begin_wait, &look);
    ok(look.refused, "and nothing to wait for meanwhile");
    ok(wait_for_value(&look), "after garbage and a failure it comes");
    ok(wait_for_text(&look, "second", 0), "and is renewed before it ends, or after");
    char *heads = server_heads(server);
    ok(strstr(heads, "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=") != NULL, "the request");
    ok(strstr(heads, "Metadata: true") != NULL, "its field");
    mem_free(heads);
    is_int(server_requests(server), 4, "asked no more than that");
    end(set, &look);
    server_free(server);
}

static void hang(struct conn *conn)
{
    mem_free(conn_head(conn));
    sem_post(server_gate(conn->server));
    conn_until_closed(conn);
}

/* One that hangs delays neither another nor the end. */
static void hanging(void)
{
    struct server *hangs = server_new(hang), *answers = server_new(moody);
    struct credentials *set = credentials_new();
    struct strbuf error = {0};
    struct look bad = {0}, good = {0}, gone = {0};
    sem_init(&bad.ready, 0, 0);
    sem_init(&good.ready, 0, 0);
    sem_init(&gone.ready, 0, 0);
    ask_here(hangs);
    ok(credentials_add(set, &(struct credential_options){CREDENTIAL_MANAGED, "bad", NULL}, &bad.credential, &error) ==
           STATUS_OK,
       "one that hangs");
    ask_here(answers);
    ok(credentials_add(set, &(struct credential_options){CREDENTIAL_MANAGED, "good", NULL}, &good.credential, &error) ==
           STATUS_OK,
       "and one that answers");
    credentials_start(set);
    ok(rig_wait(server_gate(hangs)), "the first hangs");
    ok(wait_for_value(&good), "the other has its token");
    rig_call(begin_wait, &bad);
    gone.credential = bad.credential;
    rig_call(begin_wait, &gone);
    rig_call(cancel_wait, &gone);
    rig_call(begin_wait, &good);
    ok(rig_wait(&good.ready), "who comes when there is one is told of it");
    int64_t began = clock_mono_ms();
    credentials_stop(set);
    ok(clock_mono_ms() - began < 3000, "the end does not wait for it");
    ok(rig_wait(&bad.ready), "who waits is told at the end");
    rig_call(look_now, &gone); /* behind the letter that was cancelled */
    is_int(sem_trywait(&gone.ready), -1, "who has left is not");
    credentials_free(set);
    sem_destroy(&bad.ready);
    sem_destroy(&good.ready);
    sem_destroy(&gone.ready);
    server_free(hangs);
    server_free(answers);
}

static void entra(struct conn *conn)
{
    char *head = conn_head(conn);
    const char *length = head == NULL ? NULL : strcasestr(head, "content-length:");
    struct strbuf form = {0};
    if (length != NULL)
        conn_read(conn, (size_t) atoi(length + 15), &form);
    bool good = head != NULL && strstr(head, "POST /tenant/oauth2/v2.0/token ") == head && form.len > 0 &&
                strstr(form.ptr, "&client_assertion=projected") != NULL && strstr(form.ptr, "%0A") == NULL;
    say_token(conn, good ? "exchanged" : "wrong", 3600);
    strbuf_free(&form);
    mem_free(head);
}

static void workload(void)
{
    struct server *server = server_new(entra);
    struct look look;
    ask_here(server);
    setenv("AZURE_TENANT_ID", "tenant", 1);
    setenv("AZURE_CLIENT_ID", "client", 1);
    setenv("AZURE_FEDERATED_TOKEN_FILE", in_folder("projected"), 1);
    struct credentials *set = set_of(CREDENTIAL_WORKLOAD, NULL, &look);
    credentials_start(set); /* the file is not there yet: the first attempts fail */
    rig_call(begin_wait, &look);
    ok(look.refused || rig_wait(&look.ready), "no file, no token");
    put_file("projected", "projected\n");
    ok(wait_for_text(&look, "exchanged", 0), "the projected token is exchanged");
    end(set, &look);
    server_free(server);
}

/* ---- Files ---- */

static bool wait_for_end(int64_t end_s)
{
    struct metric_cell *cell = metric_cell(METRIC_CREDENTIAL_EXPIRES, "acct");
    for (int64_t until = nap_deadline(); metric_cell_value(cell) != end_s && nap_until(until);)
        ;
    return metric_cell_value(cell) == end_s;
}

/* Its end is told, and is nobody's but the service's to judge. */
static void ends(void)
{
    struct look look;
    put_file("sas", "sv=2022-11-02&sr=c&sp=r&se=2100-01-01T00%3A00%3A00Z&sig=a\n");
    struct credentials *set = set_of(CREDENTIAL_SAS, in_folder("sas"), &look);
    credentials_start(set);
    ok(wait_for_end(4102444800), "the end of the SAS that is there at the start");
    put_file("sas", "sv=2022-11-02&sr=c&sp=r&se=2020-01-01&sig=b\n");
    ok(wait_for_end(1577836800), "and of one that comes later");
    ok(wait_for_text(&look, "sv=2022-11-02&sr=c&sp=r&se=2020-01-01&sig=b", 0), "which is used, though it has ended");
    end(set, &look);
}

static void files(void)
{
    struct strbuf error = {0};
    struct look look;
    put_file("keys", "# rotated by hand\n" KEY_A);
    struct credentials *set = set_of(CREDENTIAL_KEYS, in_folder("keys"), &look);
    credentials_start(set);
    rig_call(look_now, &look);
    ok(look.there && look.key_byte == 0, "a key is there at once");
    put_file("keys", "no key");
    put_file("sas", "https://acct.blob.core.windows.net/c?sv=2022-11-02&sp=r&sig=a%3D\n");
    struct credentials *other = set_of(CREDENTIAL_SAS, in_folder("sas"), &look);
    rig_call(look_now, &look);
    is_str(look.text, "sv=2022-11-02&sp=r&sig=a%3D", "a SAS, cut out of its URL");
    credentials_start(other);
    put_file("sas", "?sv=2022-11-02&sp=r&sig=b\n");
    ok(wait_for_text(&look, "sv=2022-11-02&sp=r&sig=b", 0), "a new SAS");
    end(other, &look);
    credentials_stop(set);
    credentials_free(set);

    put_file("keys", KEY_A);
    set = set_of(CREDENTIAL_KEYS, in_folder("keys"), &look);
    int64_t failures = failures_so_far();
    credentials_start(set);
    put_file("keys", "no key");
    ok(wait_for_failures(failures + 1), "a bad file is seen");
    rig_call(look_now, &look);
    ok(look.there && look.key_byte == 0, "and leaves the key that was there");
    put_file("keys", KEY_B KEY_A);
    ok(wait_for_text(&look, "", 0x1f), "a good one replaces it");
    end(set, &look);

    static const struct {
        enum credential_kind kind;
        const char *text, *expected;
    } bad[] = {{CREDENTIAL_KEYS, "x\n", "keys:1: not an account key"},
               {CREDENTIAL_KEYS, "\n", "keys:2: holds no key"},
               {CREDENTIAL_SAS, "sv=1\n", "no shared access signature"},
               {CREDENTIAL_SAS, "a b?sig=x\n#", "no shared access signature"}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct credential *credential = NULL;
        put_file("keys", bad[i].text);
        error.len = 0;
        set = credentials_new();
        is_int(credentials_add(set, &(struct credential_options){bad[i].kind, "acct", in_folder("keys")}, &credential,
                               &error),
               STATUS_INVALID, "a bad file is refused");
        ok(strstr(error.ptr, bad[i].expected) != NULL, "%s", error.ptr);
        credentials_free(set);
    }
    set = credentials_new();
    struct credential *none = NULL;
    error.len = 0;
    is_int(
        credentials_add(set, &(struct credential_options){CREDENTIAL_KEYS, "acct", in_folder("absent")}, &none, &error),
        STATUS_INVALID, "and one that is not there");
    ok(strstr(error.ptr, "No such file") != NULL, "%s", error.ptr);
    credentials_free(set);
    strbuf_free(&error);
}

/* What tells a new state of a file from the last. */
static void stamps(void)
{
    put_file("stamped", "as it was");
    const char *path = in_folder("stamped");
    struct file_stamp before = file_stamp_of(path), now = file_stamp_of(path);
    ok(file_stamp_eq(&before, &now), "a file that is left alone is the same");
    /* The clock of a file's times has a tick of some milliseconds. */
    for (int64_t until = clock_mono_ms() + 2000; file_stamp_eq(&before, &now) && clock_mono_ms() < until;) {
        if (chmod(path, 0600) != 0)
            break;
        now = file_stamp_of(path);
    }
    ok(!file_stamp_eq(&before, &now) && now.modified_ns == before.modified_ns, "other permissions are a change");
    unlink(path);
    now = file_stamp_of(path);
    ok(file_stamp_eq(&now, &(struct file_stamp){0}), "none is all zeros");
}

static void sweep(void)
{
    static const char *const names[] = {"keys", "sas", "projected"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_folder(names[i]));
    rmdir(folder);
}

int main(void)
{
    mem_init();
    if (mkdtemp(folder) == NULL)
        return 1;
    rig_start();
    managed();
    hanging();
    workload();
    files();
    ends();
    rig_stop();
    stamps();
    sweep();
    return done_testing();
}
