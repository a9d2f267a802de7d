/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate.c: net/tls loads and swaps; here is what is said of it. A file that does not load is told of once, and
 * again only when it has changed, so that whoever writes the pair in two steps gets one line and not one a look.
 */
#include "proxy/certificate.h"

#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/date.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/tls.h"

#define DAY 86400
#define SOON (7 * DAY)

static void tell_end(struct certificate *certificate)
{
    int64_t end = tls_not_after(certificate->tls);
    int64_t left = end - clock_wall_s();
    int state = left <= 0 ? CERTIFICATE_OVER : left <= SOON ? CERTIFICATE_ENDS_SOON : CERTIFICATE_GOOD;
    if (state <= (int) certificate->told)
        return;
    certificate->told = state;
    char text[DATE_ISO_LENGTH + 1];
    date_iso_format(end, text);
    if (state == CERTIFICATE_OVER)
        log_event(CERTIFICATE_ENDS,
                  "address=%s file=%s not_after=%s: has ended, clients refuse it; put a new pair there",
                  certificate->address, certificate->file, text);
    else
        log_event(CERTIFICATE_ENDS, "address=%s file=%s not_after=%s days_left=%d: ends soon; put a new pair there",
                  certificate->address, certificate->file, text, (int) (left / DAY));
}

static void show_end(const struct certificate *certificate)
{
    metric_cell_set(metric_cell(METRIC_CERTIFICATE_NOT_AFTER, certificate->address), tls_not_after(certificate->tls));
}

void certificate_init(struct certificate *certificate, struct tls *tls, const char *address, const char *file)
{
    *certificate = (struct certificate){.tls = tls, .address = address, .file = file};
    show_end(certificate);
    tell_end(certificate);
}

void certificate_look(struct certificate *certificate, bool again)
{
    struct strbuf error = {0};
    char end[DATE_ISO_LENGTH + 1];
    enum tls_renewal renewal = tls_renew(certificate->tls, again, &error);
    date_iso_format(tls_not_after(certificate->tls), end);
    if (renewal == TLS_RENEWED) {
        metric_cell_add(metric_cell(METRIC_CERTIFICATE_RENEWALS, "renewed"), 1);
        log_event(CERTIFICATE, "address=%s file=%s not_after=%s: renewed", certificate->address, certificate->file,
                  end);
        show_end(certificate);
        certificate->told = CERTIFICATE_GOOD;
    } else if (renewal == TLS_REFUSED) {
        metric_cell_add(metric_cell(METRIC_CERTIFICATE_RENEWALS, "refused"), 1);
        log_event(CERTIFICATE_REFUSED, "address=%s: %s; the one loaded before stays in use, not_after=%s",
                  certificate->address, error.ptr, end);
    }
    tell_end(certificate);
    strbuf_free(&error);
}

/* ---- Before anything starts ---- */

enum status certificate_try_origins(const struct conf *conf, struct strbuf *error)
{
    enum status status = STATUS_OK;
    const char *good = ""; /* thousands of rows may name one file */
    for (unsigned i = 0; i < conf->account_count && status == STATUS_OK; i++) {
        const struct tls_options options = {.ca = conf->accounts[i].origin_ca};
        struct tls *tls = NULL;
        if (options.ca == NULL || strcmp(options.ca, good) == 0)
            continue;
        status = tls_new(&options, &tls, error);
        tls_free(tls);
        good = options.ca;
    }
    return status;
}

enum status certificate_try_all(const struct conf *conf, struct strbuf *error)
{
    for (unsigned i = 0; i < conf->listen_count; i++) {
        const struct conf_listen *row = &conf->listen[i];
        if (row->certificate == NULL)
            continue;
        const struct tls_options options = {.server = true, .certificate = row->certificate, .key = row->key};
        struct tls *tls = NULL;
        enum status status = tls_new(&options, &tls, error);
        if (status != STATUS_OK)
            return status;
        struct certificate certificate;
        certificate_init(&certificate, tls, row->address, row->certificate);
        tls_free(tls);
    }
    return certificate_try_origins(conf, error);
}
