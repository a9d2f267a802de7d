/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.c: a table of pages over the same server code that serves blobs. An answer is rendered whole: the largest is
 * the metrics', which are bounded.
 */
#include "admin/admin.h"

#include <stddef.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/address.h"

struct admin {
    struct admin_hooks hooks;
    struct http_handler handler;
};

struct admin_page {
    struct str path;
    struct str type;
    int (*render)(struct admin *admin, struct strbuf *out); /* returns the status */
};

static int page_metrics(struct admin *admin, struct strbuf *out)
{
    (void) admin;
    metric_render(out);
    return 200;
}

static int page_health(struct admin *admin, struct strbuf *out)
{
    (void) admin;
    strbuf_adds(out, STR("ok\n"));
    return 200;
}

static int page_ready(struct admin *admin, struct strbuf *out)
{
    const char *why = admin->hooks.not_ready(admin->hooks.arg);
    strbuf_addf(out, "%s\n", why == NULL ? "ok" : why);
    return why == NULL ? 200 : 503;
}

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }
#define TEXT_PLAIN "text/plain; charset=utf-8"

static const struct admin_page admin_pages[] = {
    {TEXT("/metrics"), TEXT("text/plain; version=0.0.4; charset=utf-8"), page_metrics},
    {TEXT("/healthz"), TEXT(TEXT_PLAIN), page_health},
    {TEXT("/readyz"), TEXT(TEXT_PLAIN), page_ready},
};

/* Answers with `text`, whose buffer is emptied. */
static void answer(struct http_exchange *x, int status, struct str type, struct strbuf *text)
{
    struct http_response head = {.status = status, .content_length = (int64_t) text->len};
    head.headers.arena = x->arena;
    http_headers_add(&head.headers, STR("Content-Type"), type);
    http_headers_add(&head.headers, STR("Cache-Control"), STR("no-store"));
    if (status == 405)
        http_headers_add(&head.headers, STR("Allow"), STR("GET, HEAD"));
    struct source *body = source_from_str(strbuf_str(text));
    strbuf_free(text);
    http_reply(x, &head, &body);
}

static void answer_status(struct http_exchange *x, int status)
{
    struct strbuf text = {0};
    strbuf_addf(&text, "%.*s\n", STR_ARG(http_reason(status)));
    answer(x, status, STR(TEXT_PLAIN), &text);
}

static void on_request(void *arg, struct http_exchange *x)
{
    struct admin *admin = arg;
    struct str path = str_split(x->request.target, '?', &(struct str){NULL, 0});
    for (size_t i = 0; i < sizeof admin_pages / sizeof admin_pages[0]; i++) {
        if (!str_eq(path, admin_pages[i].path))
            continue;
        if (!http_method_reads(x->request.method)) {
            answer_status(x, 405);
            return;
        }
        struct strbuf text = {0};
        int status = admin_pages[i].render(admin, &text);
        answer(x, status, admin_pages[i].type, &text);
        return;
    }
    answer_status(x, 404);
}

static void on_refused(void *arg, struct http_exchange *x, enum status why)
{
    (void) arg;
    char client[ADDRESS_TEXT];
    address_format(x->peer, client, sizeof client);
    log_event(BAD_REQUEST, "client=%s listener=%s reason=%s: %s", client, x->listener, status_name(why),
              status_text(why));
    metric_cell_add(metric_cell(METRIC_REFUSED, status_name(why)), 1);
    bool verb = why == STATUS_LENGTH_REQUIRED || why == STATUS_METHOD_NOT_ALLOWED; /* neither GET nor HEAD */
    answer_status(x, verb ? 405 : why == STATUS_BAD_VERSION ? 505 : why == STATUS_NOT_IMPLEMENTED ? 501 : 400);
}

static void on_finished(void *arg, struct http_exchange *x, enum status how)
{
    (void) arg;
    (void) x;
    (void) how;
}

struct admin *admin_new(const struct admin_hooks *hooks)
{
    struct admin *admin = mem_calloc(1, sizeof *admin);
    admin->hooks = *hooks;
    admin->handler =
        (struct http_handler){.request = on_request, .refused = on_refused, .finished = on_finished, .arg = admin};
    return admin;
}

void admin_free(struct admin **admin)
{
    mem_free(*admin);
    *admin = NULL;
}

const struct http_handler *admin_handler(struct admin *admin)
{
    return &admin->handler;
}
