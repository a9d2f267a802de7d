/* SPDX-License-Identifier: Apache-2.0 */
/* credential.c: values and those who wait for them. */
#include "origin/credential.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/mem.h"
#include "base/thread.h"
#include "blob/query.h"
#include "blob/sas.h"
#include "net/loop.h"
#include "origin/keeper.h"

#define FILE_BYTES_MAX 16384

/* ---- Values ---- */

struct credential_value *credential_value_new(struct str text)
{
    struct credential_value *value = mem_calloc(1, sizeof *value + text.len);
    char *copy = (char *) (value + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    value->text = (struct str){copy, text.len};
    value->expires_s = value->ends_s = INT64_MAX;
    return value;
}

static void value_wipe(struct credential_value *value)
{
    explicit_bzero(value, sizeof *value + value->text.len);
    mem_free(value);
}

static void value_reclaim(struct rcu_head *head)
{
    RCU_SEEN(head);
    struct credential_value *value = CONTAINER_OF(head, struct credential_value, rcu);
    RCU_RECLAIM(value_wipe(value));
}

/* A token of ours is one for storage only while it has these; a whole URL is what people paste. */
static enum status sas_text(struct str text, struct str *parameters)
{
    struct str query;
    str_split(text, '?', &query);
    if (query.ptr != NULL)
        text = query;
    bool signature = false;
    for (struct str rest = text; rest.ptr != NULL;)
        signature |= str_starts(str_split(rest, '&', &rest), STR("sig="));
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f || text.ptr[i] == '#')
            return STATUS_INVALID;
    *parameters = text;
    return signature ? STATUS_OK : STATUS_INVALID;
}

static int64_t sas_end(struct str parameters)
{
    struct arena *arena = arena_new();
    struct blob_query query;
    struct sas sas;
    int64_t end = INT64_MAX;
    if (blob_query_parse(arena, parameters, &query) == STATUS_OK && sas_parse(arena, &query, &sas))
        end = sas.expires_s;
    arena_free(arena);
    return end;
}

static struct str trim_lines(struct str text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL)
        text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[0]) != NULL)
        text = (struct str){text.ptr + 1, text.len - 1};
    return text;
}

static enum status parse_file(const struct credential *credential, struct str text, struct credential_value **value,
                              struct strbuf *error)
{
    struct str parameters;
    unsigned line;
    const char *problem;
    if (credential->kind == CREDENTIAL_SAS) {
        if (sas_text(trim_lines(text), &parameters) != STATUS_OK) {
            strbuf_addf(error, "SAS file %s: no shared access signature: one line, the parameters from sv to sig",
                        credential->file);
            return STATUS_INVALID;
        }
        *value = credential_value_new(parameters);
        (*value)->ends_s = sas_end(parameters);
        return STATUS_OK;
    }
    *value = credential_value_new(STR(""));
    if (account_keys_parse(text, &(*value)->keys, &line, &problem) == STATUS_OK)
        return STATUS_OK;
    strbuf_addf(error, "key file %s:%u: %s", credential->file, line, problem);
    value_wipe(*value);
    *value = NULL;
    return STATUS_INVALID;
}

enum status credential_read(const struct credential *credential, struct credential_value **value, struct strbuf *error)
{
    struct strbuf text = {0};
    *value = NULL;
    enum status status = file_read(credential->file, FILE_BYTES_MAX, &text);
    if (status == STATUS_OK) {
        status = parse_file(credential, strbuf_str(&text), value, error);
    } else {
        strbuf_addf(error, "%s file %s cannot be read: %s", credential->kind == CREDENTIAL_KEYS ? "key" : "SAS",
                    credential->file, status == STATUS_TOO_LARGE ? "it is larger than 16 KiB" : strerror(errno));
        status = STATUS_INVALID;
    }
    strbuf_wipe(&text);
    return status;
}

/* ---- Who waits ---- */

struct credential_wait {
    struct letter letter;
    struct credential_wait *next;
    struct loop *loop;
    void (*ready)(void *arg); /* the loop's; NULL: cancelled */
    void *arg;
};

static void wait_over(struct letter *letter)
{
    struct credential_wait *wait = (struct credential_wait *) (void *) letter; /* its first member */
    void (*ready)(void *) = wait->ready;
    void *arg = wait->arg;
    mem_free(wait);
    if (ready != NULL)
        ready(arg);
}

struct credential_wait *credential_wait(struct credential *credential, struct loop *loop, void (*ready)(void *arg),
                                        void *arg)
{
    struct credential_wait *wait = mem_calloc(1, sizeof *wait);
    wait->letter.deliver = wait_over;
    wait->loop = loop;
    wait->ready = ready;
    wait->arg = arg;
    pthread_mutex_lock(&credential->lock);
    bool failing = credential->failing;
    /* One may have come since the caller looked; who told of it has forgotten it by now. */
    bool there = credential_now(credential, clock_wall_s()) != NULL;
    if (!failing && !there) {
        wait->next = credential->waits;
        credential->waits = wait;
    }
    pthread_mutex_unlock(&credential->lock);
    if (there) {
        loop_post(loop, &wait->letter);
    } else if (failing) {
        mem_free(wait);
        wait = NULL;
    }
    return wait;
}

void credential_wait_cancel(struct credential_wait **wait)
{
    if (*wait != NULL)
        (*wait)->ready = NULL;
    *wait = NULL;
}

void credential_publish(struct credential *credential, struct credential_value *value)
{
    if (value != NULL) {
        RCU_PUBLISH(value);
        struct credential_value *old = atomic_exchange(&credential->value, value);
        if (old != NULL)
            rcu_later(&old->rcu, value_reclaim);
    }
    pthread_mutex_lock(&credential->lock);
    credential->failing = value == NULL;
    struct credential_wait *waits = credential->waits;
    credential->waits = NULL;
    pthread_mutex_unlock(&credential->lock);
    while (waits != NULL) {
        struct credential_wait *wait = waits;
        waits = wait->next;
        loop_post(wait->loop, &wait->letter);
    }
}

enum credential_kind credential_kind(const struct credential *credential)
{
    return credential->kind;
}

const struct credential_value *credential_now(const struct credential *credential, int64_t now_s)
{
    const struct credential_value *value = atomic_load_explicit(&credential->value, memory_order_acquire);
    if (value == NULL || value->expires_s <= now_s)
        return NULL;
    RCU_SEEN(value);
    return value;
}

/* ---- The set ---- */

struct credentials *credentials_new(void)
{
    return mem_calloc(1, sizeof(struct credentials));
}

static void credential_free(struct credential *credential)
{
    struct credential_value *value = atomic_load(&credential->value);
    if (value != NULL)
        value_wipe(value);
    pthread_mutex_destroy(&credential->lock);
    mem_free(credential->account);
    mem_free(credential->file);
    mem_free(credential);
}

static enum status credential_check(struct credential *credential, struct strbuf *error)
{
    if (credential->kind == CREDENTIAL_MANAGED)
        return token_place_check_managed(&credential->place, error);
    if (credential->kind == CREDENTIAL_WORKLOAD)
        return token_place_check_workload(&credential->place, error);
    struct credential_value *value;
    credential->stamp = file_stamp_of(credential->file); /* before it is read: a change in between is seen */
    enum status status = credential_read(credential, &value, error);
    atomic_store(&credential->value, value);
    return status;
}

enum status credentials_add(struct credentials *set, const struct credential_options *options,
                            struct credential **credential, struct strbuf *error)
{
    struct credential *made = mem_calloc(1, sizeof *made);
    made->kind = options->kind;
    made->account = mem_strdup(options->account);
    made->file = options->file == NULL ? NULL : mem_strdup(options->file);
    made->place = token_place_of_environment();
    pthread_mutex_init(&made->lock, NULL);
    enum status status = credential_check(made, error);
    if (status != STATUS_OK) {
        credential_free(made);
        return status;
    }
    made->next = set->first;
    set->first = made;
    *credential = made;
    return STATUS_OK;
}

void credentials_start(struct credentials *set)
{
    if (set->first == NULL)
        return;
    set->multi = curl_multi_init();
    if (set->multi == NULL || thread_start(&set->thread, "credentials", keeper_run, set) != 0)
        mem_die("a thread for credentials");
    set->running = true;
}

void credentials_stop(struct credentials *set)
{
    if (!set->running)
        return;
    set->running = false;
    atomic_store(&set->stopping, true);
    curl_multi_wakeup(set->multi);
    pthread_join(set->thread, NULL);
    curl_multi_cleanup(set->multi);
}

void credentials_free(struct credentials *set)
{
    if (set == NULL)
        return;
    while (set->first != NULL) {
        struct credential *gone = set->first;
        set->first = gone->next;
        credential_free(gone);
    }
    mem_free(set);
}
