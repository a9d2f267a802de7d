/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c: see identity.h. */
#include "pool/identity.h"

#include <openssl/x509v3.h>
#include <stdio.h>

#define SCHEME "headpond://"

static bool take_label(struct str *rest, char out[CONF_LABEL_MAX + 1])
{
    struct str label = str_split(*rest, '/', rest);
    if (!conf_is_label(label))
        return false;
    *(char *) mempcpy(out, label.ptr, label.len) = '\0';
    return true;
}

enum status identity_parse(struct str uri, struct identity *identity)
{
    struct str rest = uri;
    *identity = (struct identity){.role = CONF_ROLE_CLIENT};
    if (!str_take(&rest, STR(SCHEME)) || !take_label(&rest, identity->pool) || rest.ptr == NULL ||
        !take_label(&rest, identity->region) || rest.ptr == NULL)
        return STATUS_INVALID;
    if (str_take(&rest, STR("member/")))
        identity->role = CONF_ROLE_MEMBER;
    else if (!str_take(&rest, STR("client/")))
        return STATUS_INVALID;
    return take_label(&rest, identity->node) && rest.ptr == NULL ? STATUS_OK : STATUS_INVALID;
}

static enum status find_uri(const GENERAL_NAMES *names, struct identity *identity)
{
    enum status status = STATUS_NOT_FOUND;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const ASN1_IA5STRING *text = name->d.uniformResourceIdentifier;
        struct str uri = {(const char *) ASN1_STRING_get0_data(text), (size_t) ASN1_STRING_length(text)};
        if (!str_istarts(uri, STR(SCHEME)))
            continue;
        if (status != STATUS_NOT_FOUND)
            return STATUS_INVALID;
        status = identity_parse(uri, identity);
    }
    return status;
}

enum status identity_of(const void *certificate, struct identity *identity)
{
    int critical;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    /* -1: there is no such extension; else there is one that cannot be read, or stands twice. */
    enum status status = critical == -1 ? STATUS_NOT_FOUND : STATUS_INVALID;
    if (names != NULL)
        status = find_uri(names, identity);
    GENERAL_NAMES_free(names);
    if (status != STATUS_OK)
        *identity = (struct identity){.role = CONF_ROLE_CLIENT};
    return status;
}

void identity_format(const struct identity *identity, char *text, size_t size)
{
    const char *role = identity->role == CONF_ROLE_MEMBER ? "member" : "client";
    int length = snprintf(text, size, SCHEME "%s/%s/%s/%s", identity->pool, identity->region, role, identity->node);
    if (length < 0 || (size_t) length >= size)
        text[0] = '\0';
}
