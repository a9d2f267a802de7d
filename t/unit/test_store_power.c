/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_power.c: power fails. A child works on a store and every change it makes below the store's directory is
 * noted, LMDB's included (power_log.h). For points of that order, and for several fates of what no sync covered by then
 * (there, lost, torn, in another order), the store is opened on what the disk would hold, and must
 *   - open in bounded time, and not crash;
 *   - serve no wrong byte, and no generation under another's number;
 *   - believe no validation that a tombstone, a group's or an intent forbade before;
 *   - have what was flushed, unless it was evicted since;
 *   - give no number of a generation again;
 * and then work and be closed and opened once more. A further stage begins on one of those disks.
 *
 * An opening that is cut short empties the store: its marker says so (volume.h). That is counted, and told apart from a
 * store that is emptied after it was opened, which must not be.
 *
 * HEADPOND_POWER_STATES: disks looked at in each stage; HEADPOND_POWER_STAGES; HEADPOND_POWER_SEED; and
 * HEADPOND_POWER_STEPS of work in each.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "power_found.h"
#include "power_work.h"
#include "store/disk.h"
#include "store/inside.h"
#include "tap.h"

#define BATCH 64
#define OPEN_SECONDS 60
#define STATES_MAX 200000
/* With room to spare: a store that is short of it makes some at once, at the cost of what is looked for. */
#define LOOK_SIZE (2 * WORK_SIZE)

static const char *const fates[POWER_FATES] = {"all", "none", "data only", "rest only", "cut", "random"};

struct verdict {
    bool refused, emptied, fresh; /* fresh: emptied while it was opened */
    unsigned blocks, owed, wrong, strange, resurrected, lost_objects, lost_blocks, stale, corrupt, again, dull, evicted;
    unsigned unlogged; /* objects and blocks that only the index knew, which was lost */
    int64_t open_ms;
};

struct campaign {
    struct power_log *log;
    struct power_disk base;
    struct work_truth truth; /* of the base */
    bool torn;               /* the base may hold what is damaged */
    unsigned stage, seed, states;
    char *path;
    /* Shared with the children that look. */
    struct power_crash *plan;
    struct verdict *verdicts;
    unsigned *progress;
    /* What came of it. */
    struct verdict sum;
    unsigned looked, crashed, hung, by_fate[POWER_FATES], bad[POWER_FATES], shown;
};

static uint64_t roll(uint64_t *seed, uint64_t below)
{
    *seed += 1;
    return (hash_mix(*seed, 99) >> 16) % below;
}

static unsigned setting(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : (unsigned) strtoul(text, NULL, 10);
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

/* ---- One disk, in a child. ---- */

/* What it says of an object that it has. */
static void look_at(struct store *store, const struct work_truth *truth, unsigned o, const struct store_view *view,
                    struct verdict *verdict)
{
    uint64_t object, version = 0, id = view->generation->id;
    bool known = false, good = work_record(view->generation->record, &object, &version) && object == o;
    for (unsigned i = 0; good && i < truth->set_count[o]; i++)
        known = known || (truth->sets[o][i].generation == id && truth->sets[o][i].version == version);
    if (!known || view->generation->length != work_length(o, version)) {
        verdict->strange++;
        return;
    }
    uint64_t time = (uint64_t) view->validated_s;
    verdict->resurrected += time != 0 && (time <= truth->dead_until[o] || truth->intents > 0);
    verdict->stale += time < truth->flushed_time[o];
    verdict->lost_objects += id < truth->flushed[o].generation;
    for (unsigned b = 0; b * (uint64_t) WORK_BLOCK < view->generation->length; b++) {
        bool right, owed = id == truth->flushed[o].generation && (truth->flushed[o].blocks >> b & 1);
        enum status status = fixture_load(store, view->generation, work_content(o, version), b, &right);
        verdict->owed += owed;
        verdict->blocks += status == STATUS_OK;
        verdict->wrong += status == STATUS_OK && !right;
        verdict->lost_blocks += owed && status != STATUS_OK;
    }
}

static void look(struct store *store, const struct work_truth *truth, struct verdict *verdict)
{
    for (unsigned o = 0; o < WORK_OBJECTS; o++) {
        struct store_view view;
        if (store_object_find(store, fixture_hash(o), &view)) {
            look_at(store, truth, o, &view, verdict);
            store_generation_unref(&view.generation);
        } else {
            verdict->lost_objects += truth->flushed[o].generation != 0;
        }
        rcu_quiescent_state();
    }
}

/* It takes a new object, and one that is not new, and has them when it is opened again. */
static void use(const char *path, struct store *store, const struct work_truth *truth, struct verdict *verdict)
{
    const uint64_t new = 5000;
    struct store_generation *generation = fixture_object(store, new, 3 * WORK_BLOCK / 2, 9);
    uint64_t id = generation->id;
    verdict->again += id <= truth->highest_id;
    for (unsigned b = 0; b < 2; b++)
        fixture_put(store, generation, new, b);
    store_generation_unref(&generation);
    fixture_flush(store);
    fixture_close(store);
    store = fixture_open_loaded(path, LOOK_SIZE, WORK_BLOCK);
    struct work_truth later = *truth;
    memset(later.flushed, 0, sizeof later.flushed);
    memset(later.flushed_time, 0, sizeof later.flushed_time);
    look(store, &later, verdict);
    struct store_view view;
    bool right = false;
    if (!store_object_find(store, fixture_hash(new), &view)) {
        verdict->dull++;
    } else {
        for (unsigned b = 0; b < 2; b++)
            verdict->dull += fixture_load(store, view.generation, new, b, &right) != STATUS_OK || !right;
        verdict->dull += view.generation->id != id;
        store_generation_unref(&view.generation);
    }
    rcu_quiescent_state();
    fixture_close(store);
}

/* Of the index that is there; −1: none is. */
static int index_hold(const char *path)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/index/data.mdb", path);
    return open(name, O_RDONLY | O_CLOEXEC);
}

/* Whether that index has been taken away since. */
static bool index_lost(int held)
{
    struct stat info;
    bool lost = held < 0 || fstat(held, &info) != 0 || info.st_nlink == 0;
    if (held >= 0)
        close(held);
    return lost;
}

static void look_at_crash(struct campaign *campaign, unsigned i)
{
    struct power_crash *crash = &campaign->plan[i];
    struct verdict *verdict = &campaign->verdicts[i];
    struct power_disk disk;
    static struct work_truth truth;
    truth = campaign->truth;
    work_learn(&truth, campaign->log, crash->at);
    power_crash(campaign->log, &campaign->base, crash, &disk);
    power_disk_write(&disk, campaign->path);
    power_disk_free(&disk);
    static struct work_truth found;
    found = truth;
    unsigned unlogged = power_owe_found(campaign->path, &found);
    int64_t corrupt = fixture_metric(METRIC_STORE_CORRUPT), evictions = fixture_metric(METRIC_STORE_EVICTIONS);
    int64_t started = clock_mono_ms();
    int index = index_hold(campaign->path);
    struct store *store = fixture_open(campaign->path, LOOK_SIZE, WORK_BLOCK, NULL);
    verdict->open_ms = clock_mono_ms() - started;
    bool rebuilt = index_lost(index);
    if (store == NULL || store->disk_count == 0) {
        verdict->refused = true;
        if (store != NULL)
            fixture_close(store);
        return;
    }
    if (rebuilt) {
        truth = found;
        verdict->unlogged = unlogged;
    }
    fixture_flush(store);
    bool first = truth.store.lo == 0 && truth.store.hi == 0;
    if (!first && !hash128_eq(store->disks[0]->label.id, truth.store)) {
        verdict->emptied = truth.opened;
        verdict->fresh = !truth.opened;
        memset(truth.flushed, 0, sizeof truth.flushed);
        memset(truth.flushed_time, 0, sizeof truth.flushed_time);
        truth.highest_id = 0; /* numbers are an emptied store's own */
    }
    look(store, &truth, verdict);
    verdict->evicted = (unsigned) (fixture_metric(METRIC_STORE_EVICTIONS) - evictions);
    verdict->corrupt += (unsigned) (fixture_metric(METRIC_STORE_CORRUPT) - corrupt);
    if (i % 8 == 0) {
        use(campaign->path, store, &truth, verdict);
        return;
    }
    struct store_generation *next =
        store_generation_new(store, fixture_hash(1), fixture_hash(9), 0, 1, (struct str){0}, NULL);
    verdict->again += next->id <= truth.highest_id;
    store_generation_unref(&next);
    fixture_close(store);
}

/* Looks at some, from `first` on; how far it came. Should it crash, the one it was at has done it. */
static unsigned look_at_batch(struct campaign *campaign, unsigned first, int *status)
{
    unsigned end = first + BATCH < campaign->states ? first + BATCH : campaign->states;
    *campaign->progress = first;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        log_set_level(getenv("HEADPOND_POWER_LOG") ? LOG_DEBUG : LOG_ERROR);
        fixture_start();
        work_keep_awake(fixture_loop);
        for (unsigned i = first; i < end; i++) {
            *campaign->progress = i;
            alarm(OPEN_SECONDS);
            look_at_crash(campaign, i);
            fixture_walk(campaign->path, fixture_remove_one, NULL);
        }
        *campaign->progress = end;
        _exit(0);
    }
    if (child < 0 || waitpid(child, status, 0) != child)
        abort();
    fixture_walk(campaign->path, fixture_remove_one, NULL);
    return *campaign->progress;
}

/* ---- All of them, in the parent. ---- */

static bool bad(const struct verdict *v)
{
    return v->refused || v->emptied || v->wrong > 0 || v->strange > 0 || v->resurrected > 0 || v->lost_objects > 0 ||
           v->lost_blocks > 0 || v->again > 0 || v->dull > 0 || v->stale > 0;
}

static void show(struct campaign *campaign, unsigned i, const char *what)
{
    const struct power_crash *crash = &campaign->plan[i];
    const struct verdict *v = &campaign->verdicts[i];
    if (campaign->shown++ >= 20)
        return;
    diag("stage %u, seed %u, after %u of %u changes, %s (keep %u/16, sectors of %u, names %u/16%s): %s%s%s wrong=%u "
         "strange=%u resurrected=%u lost objects=%u lost blocks=%u stale=%u again=%u dull=%u",
         campaign->stage, campaign->seed, crash->at, campaign->log->count, fates[crash->fate], crash->keep,
         crash->sector, crash->names_keep, crash->names_with_files ? ", or with their files" : "", what,
         v->refused ? " refused" : "", v->emptied ? " emptied" : "", v->wrong, v->strange, v->resurrected,
         v->lost_objects, v->lost_blocks, v->stale, v->again, v->dull);
}

static void add(struct campaign *campaign, unsigned i)
{
    const struct verdict *v = &campaign->verdicts[i];
    struct verdict *sum = &campaign->sum;
    enum power_fate fate = campaign->plan[i].fate;
    campaign->looked++;
    campaign->by_fate[fate]++;
    sum->blocks += v->blocks;
    sum->owed += v->owed;
    sum->wrong += v->wrong;
    sum->strange += v->strange;
    sum->resurrected += v->resurrected;
    sum->lost_objects += v->lost_objects;
    sum->lost_blocks += v->lost_blocks;
    sum->stale += v->stale;
    sum->again += v->again;
    sum->dull += v->dull;
    sum->evicted += v->evicted;
    sum->unlogged += v->unlogged;
    sum->open_ms = v->open_ms > sum->open_ms ? v->open_ms : sum->open_ms;
    if (bad(v)) {
        campaign->bad[fate]++;
        show(campaign, i, "");
    }
}

static void look_at_all(struct campaign *campaign, unsigned counts[4])
{
    memset(campaign->verdicts, 0, campaign->states * sizeof *campaign->verdicts);
    for (unsigned next = 0; next < campaign->states;) {
        int status;
        unsigned first = next, came = look_at_batch(campaign, next, &status);
        bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        next = came + !well;
        if (!well) {
            bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
            campaign->hung += hung;
            campaign->crashed += !hung;
            show(campaign, came, hung ? "hung" : "crashed");
        }
        for (unsigned i = first; i < came; i++)
            add(campaign, i);
    }
    for (unsigned i = 0; i < campaign->states; i++) {
        const struct verdict *v = &campaign->verdicts[i];
        counts[0] += v->refused;
        counts[1] += v->emptied;
        counts[2] += v->fresh;
        counts[3] += campaign->plan[i].fate == POWER_ALL && !campaign->torn ? v->corrupt : 0;
        campaign->sum.corrupt += v->corrupt;
    }
}

/* Points beside the syncs and what is told, and others, with each fate in turn. */
static void plan(struct campaign *campaign, uint64_t seed)
{
    const struct power_log *log = campaign->log;
    unsigned *near = mem_alloc((log->count + 1) * sizeof *near), count = 0;
    for (unsigned i = 0; i <= log->count; i++) {
        enum power_kind before = i > 0 ? log->ops[i - 1].kind : POWER_SYNC;
        enum power_kind after = i < log->count ? log->ops[i].kind : POWER_SYNC;
        if (before == POWER_SYNC || after == POWER_SYNC || before == POWER_NOTE || before < POWER_WRITE ||
            after < POWER_WRITE)
            near[count++] = i;
    }
    for (unsigned i = 0; i < campaign->states; i++) {
        struct power_crash *crash = &campaign->plan[i];
        bool by_chance = roll(&seed, 3) == 0;
        unsigned dice = (unsigned) roll(&seed, 10);
        *crash =
            (struct power_crash){.at = by_chance ? (unsigned) roll(&seed, log->count + 1) : near[roll(&seed, count)],
                                 .fate = dice < POWER_FATES ? (enum power_fate) dice : POWER_RANDOM,
                                 .keep = 1 + (unsigned) roll(&seed, 15),
                                 .sector = roll(&seed, 2) == 0 ? 512 : 4096,
                                 .names_keep = 8 * (unsigned) roll(&seed, 3),
                                 .names_with_files = roll(&seed, 2) == 0,
                                 .seed = hash_mix(seed, 5)};
    }
    mem_free(near);
}

/* The next stage's base: the disk of a crash that was looked at and was good. The first time of a process that died, so
 * that there is more of what must not be damaged. */
static void go_on(struct campaign *campaign, uint64_t seed)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        unsigned i = (unsigned) roll(&seed, campaign->states);
        const struct power_crash *crash = &campaign->plan[i];
        static struct work_truth truth;
        truth = campaign->truth;
        work_learn(&truth, campaign->log, crash->at);
        if (bad(&campaign->verdicts[i]) || !truth.opened || crash->at < campaign->log->count / 2 ||
            (campaign->stage == 0 && crash->fate != POWER_ALL))
            continue;
        struct power_disk disk;
        power_crash(campaign->log, &campaign->base, crash, &disk);
        power_disk_free(&campaign->base);
        campaign->base = disk;
        campaign->truth = truth;
        work_next_stage(&campaign->truth);
        campaign->torn |= crash->fate != POWER_ALL;
        return;
    }
}

static bool record(struct campaign *campaign, unsigned steps)
{
    int status = -1;
    power_log_clear(campaign->log);
    power_disk_write(&campaign->base, campaign->path);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        log_set_level(getenv("HEADPOND_POWER_LOG") ? LOG_DEBUG : LOG_ERROR);
        power_record(campaign->log, &campaign->base, campaign->path);
        work_run(campaign->path, campaign->stage, campaign->seed + campaign->stage, steps);
    }
    waitpid(child, &status, 0);
    fixture_walk(campaign->path, fixture_remove_one, NULL);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void judge(const struct campaign *campaign, const unsigned counts[4])
{
    const struct verdict *sum = &campaign->sum;
    for (unsigned i = 0; i < POWER_FATES; i++)
        diag("%-9s %6u disks, %u bad", fates[i], campaign->by_fate[i], campaign->bad[i]);
    diag("%u disks opened, %u blocks served and checked, %u of them owed, %u evicted first; slowest opening %lld ms",
         campaign->looked, sum->blocks, sum->owed, sum->evicted, (long long) sum->open_ms);
    diag("%u emptied because an opening was cut short; %u objects and blocks lost with an index that alone knew them; "
         "%u blocks or segments counted as damaged",
         counts[2], sum->unlogged, sum->corrupt);
    is_int(campaign->crashed, 0, "no disk crashes the process that opens it");
    is_int(campaign->hung, 0, "nor keeps it");
    is_int(counts[0], 0, "none is refused");
    is_int(sum->wrong, 0, "no byte is wrong");
    is_int(sum->strange, 0, "no generation is another's");
    is_int(sum->resurrected, 0, "no validation comes back after a tombstone, a group's or an intent");
    is_int(sum->lost_objects, 0, "no object that was flushed is lost");
    is_int(sum->lost_blocks, 0, "nor any block");
    is_int(sum->stale, 0, "nor what was known of its freshness");
    is_int(counts[1], 0, "no store is emptied once it was opened");
    is_int(sum->again, 0, "no number comes again");
    is_int(sum->dull, 0, "a store opened so takes blocks again and keeps them");
    is_int(counts[3], 0, "where only processes died nothing counts as damaged");
}

int main(void)
{
    static struct campaign campaign;
    unsigned stages = setting("HEADPOND_POWER_STAGES", 3), steps = setting("HEADPOND_POWER_STEPS", 120);
    unsigned counts[4] = {0};
    campaign.seed = setting("HEADPOND_POWER_SEED", 1);
    campaign.states = setting("HEADPOND_POWER_STATES", 130);
    if (campaign.states > STATES_MAX)
        campaign.states = STATES_MAX;
    campaign.log = power_log_new();
    campaign.plan = shared(STATES_MAX * sizeof *campaign.plan);
    campaign.verdicts = shared(STATES_MAX * sizeof *campaign.verdicts);
    campaign.progress = shared(sizeof *campaign.progress);
    campaign.path = fixture_directory();
    power_disk_init(&campaign.base);
    for (campaign.stage = 0; campaign.stage < stages; campaign.stage++) {
        uint64_t seed = hash_mix(campaign.seed, campaign.stage);
        bool worked = record(&campaign, steps);
        if (!ok(worked, "stage %u: %u changes noted", campaign.stage, campaign.log->count))
            break;
        const struct power_op *done = &campaign.log->ops[campaign.log->count - 1];
        diag("%llu blocks evicted, %llu blocks and records moved", (unsigned long long) done->value[0],
             (unsigned long long) done->value[1]);
        plan(&campaign, seed);
        look_at_all(&campaign, counts);
        go_on(&campaign, seed + 1);
    }
    judge(&campaign, counts);
    power_disk_free(&campaign.base);
    fixture_remove(campaign.path);
    return done_testing();
}
