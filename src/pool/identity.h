/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h: who a peer is, by its certificate: a URI among its subject alternative names says pool, region, role and
 * node (decision 9). A certificate with two of them says nothing.
 *
 *     headpond://POOL/REGION/ROLE/NODE       ROLE: member or client
 */
#ifndef HEADPOND_POOL_IDENTITY_H
#define HEADPOND_POOL_IDENTITY_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/status.h"
#include "base/str.h"

struct identity {
    char pool[CONF_LABEL_MAX + 1];
    char region[CONF_LABEL_MAX + 1];
    char node[CONF_LABEL_MAX + 1];
    enum conf_role role;
};

/* INVALID: it is not of that form to the letter. Pure. */
enum status identity_parse(struct str uri, struct identity *identity) STATUS_CHECKED;
/* `certificate`: an X509 of OpenSSL's, verified already. NOT_FOUND: it has no such URI; INVALID: one that is malformed,
 * or several. Any thread. */
enum status identity_of(const void *certificate, struct identity *identity) STATUS_CHECKED;
/* As the certificate has it, and "" where there is no room. */
void identity_format(const struct identity *identity, char *text, size_t size);
/* Room for any. */
#define IDENTITY_TEXT (3 * CONF_LABEL_MAX + 24)

#endif
