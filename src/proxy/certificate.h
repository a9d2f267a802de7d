/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate.h: what an operator hears of certificates: tried before anything starts, renewed when their files change,
 * and announced before they end. Main's thread.
 */
#ifndef HEADPOND_PROXY_CERTIFICATE_H
#define HEADPOND_PROXY_CERTIFICATE_H

#include <stdbool.h>

#include "base/status.h"
#include "base/str.h"

struct conf;
struct tls;

/* The certificate of one listener; embedded. */
struct certificate {
    struct tls *tls;
    const char *address; /* how logs and metrics call the listener */
    const char *file;
    enum { CERTIFICATE_GOOD, CERTIFICATE_ENDS_SOON, CERTIFICATE_OVER } told; /* the worst the log has told of it */
};

/* The strings outlive it. Says in the log when the certificate has ended or ends within 7 days. */
void certificate_init(struct certificate *certificate, struct tls *tls, const char *address, const char *file);
/* Loads the files again when they have changed; `again`: also those that were refused. What is new is told once. */
void certificate_look(struct certificate *certificate, bool again);

/* Whether the CA files that origins are checked against load. INVALID: *error holds one line that says what to do. */
enum status certificate_try_origins(const struct conf *conf, struct strbuf *error) STATUS_CHECKED;
/* And the listeners' certificates and keys; of those it also says in the log when they end soon. */
enum status certificate_try_all(const struct conf *conf, struct strbuf *error) STATUS_CHECKED;

#endif
