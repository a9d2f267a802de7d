/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c: makes and unmakes what the proxy's rooms share. */
#include "proxy/proxy.h"

#include "base/mem.h"
#include "pool/pool.h"
#include "pool/tells.h"
#include "proxy/access_log.h"
#include "proxy/forward.h"
#include "proxy/meter.h"
#include "proxy/route.h"
#include "proxy/turn.h"

static struct origin_limits origin_limits(const struct conf *conf)
{
    return (struct origin_limits){
        .connect_timeout = conf->connect_timeout,
        .first_byte_timeout = conf->first_byte_timeout,
        .stall_timeout = conf->stall_timeout,
        .retries = (unsigned) conf->origin_retries,
    };
}

enum status proxy_new(const struct conf *conf, struct access_log *access_log, struct proxy **proxy,
                      struct strbuf *error)
{
    struct proxy *made = mem_calloc(1, sizeof *made);
    made->access_log = access_log;
    made->credentials = credentials_new();
    made->limits = origin_limits(conf);
    turns_init(made);
    made->stored = conf->store_count > 0;
    *proxy = made;
    return routes_new(conf, made->credentials, &made->routes, error);
}

void proxy_free(struct proxy **proxy)
{
    struct proxy *gone = *proxy;
    *proxy = NULL;
    if (gone == NULL)
        return;
    routes_free(&gone->routes);
    credentials_free(gone->credentials);
    admission_class_fini(&gone->turns);
    mem_free(gone);
}

void proxy_loop_init(struct proxy *proxy, struct loop *loop)
{
    struct proxy_loop *home = mem_calloc(1, sizeof *home);
    home->proxy = proxy;
    home->loop = loop;
    home->meter = meter_new();
    home->feed = access_feed_new(proxy->access_log, loop);
    list_init(&home->forwards);
    if (proxy->pool != NULL && pool_vouches(proxy->pool))
        home->tells = tells_new(proxy->pool, loop, &proxy->told_soon);
    admission_queue_init(&home->turns, &proxy->turns, loop);
    checksum_line_init(&home->sums, loop);
    loop_set(loop, LOOP_SLOT_PROXY, home);
}

void proxy_loop_fini(struct proxy *proxy, struct loop *loop)
{
    (void) proxy;
    struct proxy_loop *home = loop_get(loop, LOOP_SLOT_PROXY);
    loop_set(loop, LOOP_SLOT_PROXY, NULL);
    if (home == NULL)
        return;
    forward_close_all(home);
    tells_free(&home->tells);
    admission_queue_fini(&home->turns);
    checksum_line_fini(&home->sums);
    access_feed_free(&home->feed);
    meter_free(&home->meter);
    mem_free(home);
}
