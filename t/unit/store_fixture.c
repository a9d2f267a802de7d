/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture.c: see store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>

#include "base/log.h"

struct loop *fixture_loop;

/* ---- Waiting. ---- */

static void arrival_deliver(struct letter *letter)
{
    struct arrival *arrival = (struct arrival *) (void *) letter;
    pthread_mutex_lock(&arrival->mutex);
    arrival->count++;
    pthread_cond_broadcast(&arrival->cond);
    pthread_mutex_unlock(&arrival->mutex);
}

void arrival_init(struct arrival *arrival)
{
    memset(arrival, 0, sizeof *arrival);
    arrival->letter.deliver = arrival_deliver;
    pthread_mutex_init(&arrival->mutex, NULL);
    pthread_cond_init(&arrival->cond, NULL);
}

void arrival_wait(struct arrival *arrival, unsigned count)
{
    rcu_thread_offline();
    pthread_mutex_lock(&arrival->mutex);
    while (arrival->count < count)
        pthread_cond_wait(&arrival->cond, &arrival->mutex);
    arrival->count -= count;
    pthread_mutex_unlock(&arrival->mutex);
    rcu_thread_online();
}

/* ---- Before and after. ---- */

void fixture_start(void)
{
    rcu_register_thread();
    fixture_loop = loop_new(0);
    loop_start(fixture_loop, NULL, NULL, NULL);
}

void fixture_stop(void)
{
    rcu_thread_offline();
    loop_stop(fixture_loop);
    loop_join(fixture_loop);
    loop_free(fixture_loop);
    rcu_thread_online();
    rcu_unregister_thread();
}

char *fixture_directory(void)
{
    const char *base = getenv("TMPDIR");
    char *path = mem_alloc(4096);
    snprintf(path, 4096, "%s/headpond-store-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(path) == NULL)
        abort();
    return path;
}

void fixture_walk(const char *path, void (*each)(void *arg, const char *path, const struct stat *info), void *arg)
{
    DIR *list = opendir(path);
    if (list == NULL)
        return;
    for (struct dirent *item; (item = readdir(list)) != NULL;) {
        char below[8192];
        struct stat info;
        snprintf(below, sizeof below, "%s/%s", path, item->d_name);
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 || lstat(below, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            fixture_walk(below, each, arg);
        each(arg, below, &info);
    }
    closedir(list);
}

void fixture_remove_one(void *arg, const char *path, const struct stat *info)
{
    (void) arg;
    if (S_ISDIR(info->st_mode))
        rmdir(path);
    else
        unlink(path);
}

void fixture_take_away(const char *path)
{
    fixture_walk(path, fixture_remove_one, NULL);
    rmdir(path);
}

void fixture_remove(char *path)
{
    fixture_take_away(path);
    mem_free(path);
}

void fixture_with_directory(void (*test)(const char *path))
{
    char *path = fixture_directory();
    test(path);
    fixture_remove(path);
}

static void fixture_add_one(void *arg, const char *path, const struct stat *info)
{
    (void) path;
    *(int64_t *) arg += (int64_t) info->st_blocks * 512;
}

void fixture_write(const char *path, const char *name, const char *text)
{
    char file[4200];
    snprintf(file, sizeof file, "%s/%s", path, name);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
        abort();
    close(fd);
}

int64_t fixture_usage(const char *path)
{
    int64_t total = 0;
    fixture_walk(path, fixture_add_one, &total);
    return total;
}

const struct store_quota *fixture_quotas;
unsigned fixture_quota_count;

struct store *fixture_open(const char *path, int64_t size, uint32_t block_size, char **error)
{
    struct store_disk disk = {.path = path, .size = size};
    struct store_options options = {.disks = &disk,
                                    .disk_count = path == NULL ? 0 : 1,
                                    .block_size = block_size,
                                    .quotas = fixture_quotas,
                                    .quota_count = fixture_quota_count};
    struct store *store = NULL;
    struct strbuf text = {0};
    rcu_thread_offline();
    enum status status = store_open(&options, &store, &text);
    rcu_thread_online();
    if (error != NULL)
        *error = text.ptr == NULL ? NULL : mem_strdup(text.ptr);
    else if (status != STATUS_OK)
        printf("# %s\n", text.ptr == NULL ? "" : text.ptr);
    strbuf_free(&text);
    return status == STATUS_OK ? store : NULL;
}

void fixture_flush(struct store *store)
{
    struct arrival arrival;
    arrival_init(&arrival);
    store_flush(store, fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
}

struct store *fixture_open_disks(const struct store_disk *disks, unsigned count, uint32_t block_size)
{
    struct store_options options = {.disks = disks, .disk_count = count, .block_size = block_size};
    struct store *store;
    struct strbuf error = {0};
    rcu_thread_offline();
    if (store_open(&options, &store, &error) != STATUS_OK) {
        fprintf(stderr, "%s\n", error.ptr);
        abort();
    }
    rcu_thread_online();
    strbuf_free(&error);
    fixture_flush(store);
    return store;
}

struct store *fixture_open_loaded(const char *path, int64_t size, uint32_t block_size)
{
    struct store *store = fixture_open(path, size, block_size, NULL);
    if (store == NULL)
        abort();
    fixture_flush(store);
    return store;
}

void fixture_close(struct store *store)
{
    rcu_thread_offline();
    store_close(store);
    rcu_thread_online();
}

/* ---- The log. ---- */

static int fixture_log_fd = -1;

void fixture_log(void)
{
    fixture_log_fd = memfd_create("log", MFD_CLOEXEC);
    log_set_fd(fixture_log_fd);
}

bool fixture_logged(const char *first, const char *then)
{
    static char all[1024 * KIB];
    ssize_t got = pread(fixture_log_fd, all, sizeof all - 1, 0);
    bool found = false;
    all[got < 0 ? 0 : got] = '\0';
    for (char *rest, *line = strtok_r(all, "\n", &rest); line != NULL && !found; line = strtok_r(NULL, "\n", &rest)) {
        const char *at = strstr(line, first);
        found = at != NULL && strstr(at + strlen(first), then) != NULL;
    }
    return found;
}

/* ---- Blocks whose bytes follow from object and number. ---- */

struct hash128 fixture_hash(uint64_t number)
{
    return hash128(&number, sizeof number);
}

void fixture_fill(uint8_t *data, uint32_t length, uint64_t object, uint64_t block)
{
    uint64_t seed = hash_mix(object + 1, block);
    for (uint32_t i = 0; i < length; i += 8) {
        uint64_t word = hash_mix(seed, i);
        memcpy(data + i, &word, length - i < 8 ? length - i : 8);
    }
}

bool fixture_right(const uint8_t *data, uint32_t length, uint64_t object, uint64_t block, uint32_t offset)
{
    uint8_t *whole = mem_alloc(offset + length);
    fixture_fill(whole, offset + length, object, block);
    bool same = memcmp(whole + offset, data, length) == 0;
    mem_free(whole);
    return same;
}

uint32_t fixture_length(const struct store *store, const struct store_generation *generation, uint64_t block)
{
    uint64_t left = generation->length - block * store_block_size(store);
    return left < store_block_size(store) ? (uint32_t) left : store_block_size(store);
}

void fixture_put(struct store *store, struct store_generation *generation, uint64_t object, uint64_t block)
{
    struct arrival arrival;
    uint32_t length = fixture_length(store, generation, block);
    struct buf *buf = buf_new(length);
    arrival_init(&arrival);
    fixture_fill(buf->data, length, object, block);
    buf_publish(buf, length);
    while (store_put_block(store, generation, block, buf, length, fixture_loop, &arrival.letter) == STATUS_BUSY) {
        rcu_thread_offline();
        sched_yield();
        rcu_thread_online();
    }
    buf_unref(&buf);
    arrival_wait(&arrival, 1);
}

struct store_generation *fixture_object(struct store *store, uint64_t object, uint64_t length, int64_t validated_s)
{
    char record[64];
    int size = snprintf(record, sizeof record, "record of %llu", (unsigned long long) object);
    struct hash128 group = fixture_hash(object % 10 + 1000000);
    struct store_generation *generation =
        store_generation_new(store, fixture_hash(object), group, 0, length, (struct str){record, (size_t) size}, NULL);
    store_object_set(store, generation, validated_s, 7);
    return generation;
}

uint64_t fixture_put_object(struct store *store, uint64_t object, uint64_t length, int64_t validated_s)
{
    struct store_generation *generation = fixture_object(store, object, length, validated_s);
    uint64_t id = generation->id;
    for (uint64_t block = 0; block * store_block_size(store) < length; block++)
        fixture_put(store, generation, object, block);
    store_generation_unref(&generation);
    rcu_quiescent_state();
    return id;
}

void fixture_offer(struct store *store, struct store_generation *generation, uint64_t block)
{
    struct arrival arrival;
    uint32_t length = fixture_length(store, generation, block);
    struct buf *buf = buf_new(length);
    arrival_init(&arrival);
    memset(buf->data, (int) block, length);
    buf_publish(buf, length);
    if (store_put_block(store, generation, block, buf, length, fixture_loop, &arrival.letter) == STATUS_OK)
        arrival_wait(&arrival, 1);
    buf_unref(&buf);
}

void fixture_tombstone(struct store *store, struct hash128 name)
{
    struct arrival arrival;
    arrival_init(&arrival);
    store_tombstone(store, name, fixture_loop, &arrival.letter);
    arrival_wait(&arrival, 1);
}

int64_t fixture_validated(struct store *store, uint64_t object)
{
    struct store_view view;
    if (!store_object_find(store, fixture_hash(object), &view))
        return -1;
    store_generation_unref(&view.generation);
    rcu_quiescent_state();
    return view.validated_s;
}

void fixture_loaded(struct letter *letter)
{
    struct fixture_load *load = (struct fixture_load *) (void *) letter;
    load->arrival.letter.deliver(&load->arrival.letter);
}

enum status fixture_load(struct store *store, const struct store_generation *generation, uint64_t object,
                         uint64_t block, bool *right)
{
    struct fixture_load load = {0};
    arrival_init(&load.arrival);
    load.load.done.deliver = fixture_loaded;
    load.load.loop = fixture_loop;
    load.load.object = generation->object;
    load.load.generation = generation->id;
    load.load.block = block;
    load.load.length = fixture_length(store, generation, block);
    store_load_block(store, &load.load);
    arrival_wait(&load.arrival, 1);
    *right = load.load.buf != NULL && buf_filled(load.load.buf) == load.load.length &&
             fixture_right(load.load.buf->data, load.load.length, object, block, 0);
    buf_unref(&load.load.buf);
    return load.load.status;
}

struct found fixture_inspect(struct store *store, uint64_t first, uint64_t last)
{
    struct found found = {0};
    for (uint64_t object = first; object <= last; object++) {
        struct store_view view;
        if (!store_object_find(store, fixture_hash(object), &view))
            continue;
        found.objects++;
        found.validated += view.validated_s != 0;
        for (uint64_t block = 0; block * store_block_size(store) < view.generation->length; block++) {
            bool right;
            enum status status = fixture_load(store, view.generation, object, block, &right);
            found.blocks += status == STATUS_OK;
            found.missing += status != STATUS_OK;
            found.wrong += (status == STATUS_OK && !right) || status == STATUS_CORRUPT;
        }
        store_generation_unref(&view.generation);
        rcu_quiescent_state();
    }
    return found;
}

void fixture_damage(const char *path, off_t at)
{
    char name[4200];
    uint8_t byte;
    snprintf(name, sizeof name, "%s/data-000000", path);
    int fd = open(name, O_RDWR);
    if (fd < 0 || pread(fd, &byte, 1, at) != 1)
        abort();
    byte ^= 0x40;
    if (pwrite(fd, &byte, 1, at) != 1)
        abort();
    close(fd);
}

int64_t fixture_metric_of(enum metric metric, const char *label)
{
    static const char *const names[] = {
#define X(id, kind, name, labels, help) [METRIC_##id] = name,
        METRIC_TABLE(X)
#undef X
    };
    struct strbuf text = {0};
    int64_t sum = 0;
    metric_render(&text);
    struct str rest = strbuf_str(&text), name = str_from(names[metric]);
    while (rest.len > 0) {
        struct str line = str_split(rest, '\n', &rest);
        if (!str_starts(line, name) || (line.ptr[name.len] != ' ' && line.ptr[name.len] != '{'))
            continue;
        const char *value = line.ptr + line.len;
        while (value[-1] != ' ')
            value--;
        const char *found = strstr(line.ptr, label);
        if (found != NULL && found < value)
            sum += strtoll(value, NULL, 10);
    }
    strbuf_free(&text);
    return sum;
}

int64_t fixture_metric(enum metric metric)
{
    return fixture_metric_of(metric, "");
}
