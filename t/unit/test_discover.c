/* SPDX-License-Identifier: Apache-2.0 */
/* test_discover.c: members from lists, from DNS and from Kubernetes, named by it or by their certificates; and when
 * nobody answers. */
#include "pool/discover.h"

#include "api_rig.h"
#include "base/log.h"
#include "dns_rig.h"
#include "http_rig.h"
#include "on_loop.h"
#include "pool_certificates.h"
#include "tap.h"

static struct rig rig;
static struct pool_ca ca;
static struct tls *tls;
static struct members *members;
static struct discover *discover;
static bool once;         /* as a sidecar */
static atomic_bool sick;  /* the DNS server fails */
static atomic_uint asked; /* for services */
static atomic_uint asked_once;
static atomic_bool shrunk; /* a member has gone from the answer */

static int answer(struct message *message, const char *name, unsigned type)
{
    unsigned count = 0;
    if (atomic_load(&sick))
        return ns_r_servfail;
    if (strcmp(name, "pool.test") == 0 && type == ns_t_srv) {
        atomic_fetch_add(&asked, 1);
        put_service(message, "Pond-0.pool.test", 8444, 7, 1);
        count = 1;
        if (!atomic_load(&shrunk))
            put_service(message, "pond-1.pool.test", 8444, 1, 1), count++;
        set_count(message, 1, count);
        put_address(message, "pond-0.pool.test", "10.1.0.1", 1);
        put_address(message, "pond-1.pool.test", "10.1.0.2", 1);
        set_count(message, 3, 2);
        return ns_r_noerror;
    }
    if (strcmp(name, "once.test") == 0 && type == ns_t_srv) {
        atomic_fetch_add(&asked_once, 1);
        put_service(message, "pond-0.pool.test", 8444, 7, 1);
        set_count(message, 1, 1);
        put_address(message, "pond-0.pool.test", "10.1.0.1", 1);
        set_count(message, 3, 1);
    }
    if (strcmp(name, "crowd.test") == 0 && type == ns_t_a) {
        char address[16];
        for (unsigned i = 0; i < 20; i++) {
            snprintf(address, sizeof address, "127.0.0.%u", 1 + i);
            put_address(message, name, address, 1);
        }
        set_count(message, 1, 20);
    }
    if (strcmp(name, "plain.test") == 0 && type == ns_t_a) {
        put_address(message, name, "127.0.0.1", 1);
        put_address(message, name, "127.0.0.2", 1); /* nobody is there */
        set_count(message, 1, 2);
    }
    return ns_r_noerror;
}

/* What the ring holds of the region: names, separated by spaces. */
static struct str shown(const char *region)
{
    static char text[512];
    const struct ring_region *found = ring_region(members_view(members)->ring, str_from(region));
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; found != NULL && i < found->count; i++)
        used += (size_t) snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", found->nodes[i].name.ptr);
    return str_from(text);
}

static bool comes(const char *region, const char *names)
{
    for (int64_t until = nap_deadline(); !str_eq(shown(region), str_from(names));) {
        rcu_quiescent_state();
        if (!nap_until(until))
            return false;
    }
    return true;
}

static unsigned founds;

static void on_found(void *arg)
{
    count_up(arg);
}

static void begin(struct conf_pool *pool, char **texts, unsigned count)
{
    static const struct identity own = {.pool = "main", .region = "here", .node = "pond-9", .role = CONF_ROLE_CLIENT};
    pool->name = (char *) (uintptr_t) "main";
    pool->region = (char *) (uintptr_t) "here";
    pool->members = (struct conf_strings){texts, count};
    const struct discover_terms terms = {.pool = pool,
                                         .members = members = members_new(&own, 1),
                                         .tls = tls,
                                         .dns_server = &server,
                                         .service_account = api.account,
                                         .once = once,
                                         .found = on_found,
                                         .arg = &founds};
    discover = discover_start(&terms);
}

static void end(void)
{
    discover_stop(discover);
    discover_free(&discover);
    members_free(&members);
}

static void lists(void)
{
    char *texts[] = {(char[]){"pond-0=127.0.0.1:1"}, (char[]){"pond-1=[::1]:2:20"}, (char[]){"pond-2=localhost:3"}};
    char *others[] = {(char[]){"far=10.9.0.1:1"}};
    struct conf_region far = {.name = (char[]){"there"}, .members = {others, 1}};
    struct conf_pool pool = {.regions = &far, .region_count = 1};
    struct member_address addresses[MEMBER_ADDRESSES];
    begin(&pool, texts, 3);
    ok(comes("here", "pond-0 pond-1 pond-2"), "a list");
    ok(comes("there", "far"), "another region's");
    const struct ring_region *here = ring_region(members_view(members)->ring, STR("here"));
    is_int(here->nodes[1].weight, 20, "with weights");
    ok(member_addresses(members_at(members_view(members), &here->nodes[2]), addresses) > 0,
       "and names that are looked up");
    end();
}

/* Another one, which looks once, beside those of the tests. */
static struct members *once_members;

static struct discover *begin_once(struct conf_pool *pool)
{
    static char text[] = "dns:once.test:8444", other[] = "far=10.9.0.1:1", there[] = "there";
    static char *texts[] = {text}, *others[] = {other};
    static struct conf_region far = {.name = there, .members = {others, 1}};
    struct members *kept = members;
    struct discover *before = discover;
    *pool = (struct conf_pool){.regions = &far, .region_count = 1};
    once = true;
    begin(pool, texts, 1);
    once = false;
    struct discover *made = discover;
    once_members = members;
    members = kept;
    discover = before;
    return made;
}

static void services(void)
{
    char *texts[] = {(char[]){"dns:pool.test:8444"}};
    struct conf_pool pool = {.region_count = 0}, other;
    struct discover *looks_once = begin_once(&other);
    begin(&pool, texts, 1);
    ok(comes("here", "pond-0 pond-1"), "a service's hosts, by their first label");
    atomic_store(&shrunk, true);
    unsigned before = atomic_load(&asked);
    for (int64_t until = nap_deadline(); atomic_load(&asked) < before + 1 && nap_until(until);)
        rcu_quiescent_state();
    ok(atomic_load(&asked) > before, "it is asked again");
    rcu_quiescent_state();
    is_text(shown("here"), "pond-0 pond-1", "who has gone from the answer keeps its place for now");
    end();
    is_int(atomic_load(&asked_once), 1, "who looks once has asked once meanwhile");
    members = once_members;
    discover = looks_once;
    is_text(shown("here"), "pond-0", "and knows whom it has found");
    is_text(shown("there"), "", "of its own region alone");
    discover_again(discover);
    for (int64_t until = nap_deadline(); atomic_load(&asked_once) < 2 && nap_until(until);)
        rcu_quiescent_state();
    is_int(atomic_load(&asked_once), 2, "it asks again when it is told to");
    end();
}

/* A sidecar among many of whom DNS has no names. */
static void few_names(void)
{
    char *texts[] = {(char[64]){""}};
    struct conf_pool pool = {.region_count = 0};
    unsigned found = count_now(&founds);
    snprintf(texts[0], 64, "dns:crowd.test:%u", rig.tls_port);
    once = true;
    begin(&pool, texts, 1);
    /* All of those addresses but the first are nobody's. It may not be among those that are tried: then others are. */
    ok(comes("here", "pond-5"), "a sidecar finds somebody among twenty addresses");
    ok(count_wait(&founds, found + 1), "and says so");
    once = false;
    end();
}

static void names(void)
{
    char *texts[] = {(char[64]){""}};
    struct conf_pool pool = {.region_count = 0};
    snprintf(texts[0], 64, "dns:plain.test:%u", rig.tls_port);
    begin(&pool, texts, 1);
    ok(comes("here", "pond-5"), "whose name DNS does not know is asked for its certificate");
    end();
    pool.region = NULL;
    begin(&pool, texts, 1);
    end();
    ok(true, "it ends while it asks");
}

static void nobody(void)
{
    char *texts[] = {(char[]){"dns:pool.test:8444"}};
    struct conf_pool pool = {.region_count = 0};
    atomic_store(&sick, true);
    begin(&pool, texts, 1);
    nap();
    is_text(shown("here"), "", "DNS fails: nobody is known");
    atomic_store(&sick, false);
    ok(comes("here", "pond-0"), "and it is asked again");
    end();
}

/* ---- Kubernetes. ---- */

static bool is_at(const char *name, const char *address)
{
    char shown_as[INET_ADDRSTRLEN] = "";
    struct member_address addresses[MEMBER_ADDRESSES];
    struct member *member = members_find(members_view(members), STR("here"), str_from(name));
    if (member != NULL && member_addresses(member, addresses) > 0)
        inet_ntop(AF_INET, &((struct sockaddr_in *) &addresses[0].address)->sin_addr, shown_as, sizeof shown_as);
    return strcmp(shown_as, address) == 0;
}

static void pods(void)
{
    char *texts[] = {(char[]){"kubernetes:ponds/headpond:peer"}};
    struct conf_pool pool = {.region_count = 0};
    begin(&pool, texts, 1);
    api_take();
    api_reply(
        200, API_LIST("100", "", API_SLICE("a", "5", API_POD("pond-0", "10.0.0.1") "," API_POD("pond-1", "10.0.0.2"))));
    ok(comes("here", "pond-0 pond-1"), "a service's pods, by their hostnames");
    api_take();
    api_watch();
    api_piece(API_EVENT("ADDED", API_SLICE("b", "101", API_POD("pond-2", "10.0.0.3"))));
    ok(comes("here", "pond-0 pond-1 pond-2"), "and who comes later");
    api_piece(API_EVENT("MODIFIED", API_SLICE("b", "102", API_POD("pond-2", "10.0.0.4"))));
    for (int64_t until = nap_deadline(); !is_at("pond-2", "10.0.0.4") && nap_until(until);)
        rcu_quiescent_state();
    ok(is_at("pond-2", "10.0.0.4"), "one that is elsewhere now is known to be");
    api_piece(API_EVENT("DELETED", API_SLICE("b", "103", ""))
                  API_EVENT("ADDED", API_SLICE("c", "104", API_POD("pond-3", "10.0.0.5"))));
    ok(comes("here", "pond-0 pond-1 pond-2 pond-3"), "one that has gone keeps its place for now");
    usleep(100000); /* by when it waits for the watch again, which is the harder to end */
    int64_t began = clock_mono_ms();
    end();
    ok(clock_mono_ms() - began < 2000, "the end does not wait for the watch");
    api_break();
}

static void nameless_pods(void)
{
    char *texts[] = {(char[]){"kubernetes:ponds/headpond"}};
    struct conf_pool pool = {.region_count = 0};
    char list[512];
    snprintf(
        list, sizeof list,
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"a\"},\"ports\":[{\"port\":%u}],"
        "\"endpoints\":[{\"addresses\":[\"127.0.0.1\"]},{\"addresses\":[\"127.0.0.2\"]}]}]}",
        rig.tls_port);
    begin(&pool, texts, 1);
    api_take();
    api_reply(200, list);
    ok(comes("here", "pond-5"), "a pod without a hostname is asked for its certificate");
    end();
    api_break();
}

static bool tells(int fd, const char *words, char *text, size_t size)
{
    for (int64_t until = nap_deadline(); nap_until(until);) {
        ssize_t got = pread(fd, text, size - 1, 0);
        text[got < 0 ? 0 : got] = '\0';
        if (strstr(text, words) != NULL)
            return true;
    }
    return false;
}

static void refused(void)
{
    char *texts[] = {(char[]){"kubernetes:ponds/headpond"}};
    struct conf_pool pool = {.region_count = 0};
    char text[4096];
    FILE *log = tmpfile();
    log_set_fd(fileno(log));
    begin(&pool, texts, 1);
    api_take();
    api_reply(403, "{}");
    ok(tells(fileno(log), "lacks the verb list", text, sizeof text), "who may not list is told so");
    ok(strstr(text, "peers-unknown region=here reason=denied attempt=1 next_ms=") != NULL &&
           strstr(text, ": kubernetes:ponds/headpond cannot be looked up: the API server answers a list by HTTP 403: "
                        "the role of the pod's service account lacks the verb list") != NULL,
       "%s", text);
    api_take();
    api_reply(200, API_LIST("100", "", API_SLICE("a", "5", API_POD("pond-0", "10.0.0.1"))));
    ok(comes("here", "pond-0"), "and asks again");
    end();
    api_break();
    tells(fileno(log), "", text, sizeof text);
    ok(strstr(text, "first-token") == NULL, "no token is in the log");
    log_set_fd(STDERR_FILENO);
    fclose(log);
}

int main(void)
{
    struct pool_pair pair, own;
    struct strbuf error = {0};
    pool_ca_make(&ca);
    pool_pair_make(&ca, "URI:headpond://main/here/member/pond-5", &pair);
    pool_pair_make(&ca, "URI:headpond://main/here/client/pond-9", &own);
    const struct tls_options serves = {
        .server = true, .certificate = pair.certificate, .key = pair.key, .ca = ca.file, .only_h2 = true};
    const struct tls_options asks = {.certificate = own.certificate, .key = own.key, .ca = ca.file, .only_h2 = true};
    const struct rig_options options = {.limits = http_limits_default, .loops = 1, .tls = &serves};
    rig_start(&rig, &options);
    if (tls_new(&asks, &tls, &error) != STATUS_OK)
        printf("Bail out! %s\n", error.ptr);
    api_start(&ca);
    dns_rig_start();
    rcu_register_thread();
    lists();
    services();
    few_names();
    names();
    nobody();
    pods();
    nameless_pods();
    refused();
    rcu_unregister_thread();
    dns_rig_stop();
    api_stop();
    tls_free(tls);
    rig_stop(&rig);
    pool_ca_remove(&ca);
    return done_testing();
}
