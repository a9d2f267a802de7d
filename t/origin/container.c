/* SPDX-License-Identifier: Apache-2.0 */
/* Containers: creating and deleting them, and their access lists, which runs under the state lock. */
#include <stdio.h>
#include <string.h>

#include "service.h"

/* The text of <name>...</name> within [from, end), or "". */
static void element(const char *from, const char *end, const char *name, char *out, size_t size)
{
    char open[32];
    snprintf(open, sizeof open, "<%s>", name);
    const char *at = strstr(from, open);
    *out = '\0';
    if (at && at < end)
        snprintf(out, size, "%.*s", (int) strcspn(at + strlen(open), "<"), at + strlen(open));
}

static void take_policies(struct container *c, const char *xml)
{
    static const char open[] = "<SignedIdentifier>", close[] = "</SignedIdentifier>";
    c->policy_count = 0;
    while (xml && c->policy_count < MAX_POLICIES && (xml = strstr(xml, open)) != NULL) {
        const char *end = strstr(xml, close);
        if (!end)
            return;
        struct policy *p = &c->policies[c->policy_count++];
        element(xml, end, "Id", p->id, sizeof p->id);
        element(xml, end, "Start", p->start, sizeof p->start);
        element(xml, end, "Expiry", p->expiry, sizeof p->expiry);
        element(xml, end, "Permission", p->permission, sizeof p->permission);
        xml = end;
    }
}

static enum container_access access_of(const char *value)
{
    if (!value)
        return ACCESS_PRIVATE;
    return strcmp(value, "blob") == 0 ? ACCESS_BLOB : ACCESS_CONTAINER;
}

void write_container(struct reply *r, const struct body *body, const char *container)
{
    const struct request *req = r->req;
    const char *comp = request_query(req, "comp");
    bool acl = comp && strcmp(comp, "acl") == 0, exists = container_find(container) != NULL;
    if (strcmp(req->method, "DELETE") == 0) {
        if (container_remove(container))
            reply_written(r, 202, NULL);
        else
            reply_error(r, "ContainerNotFound");
    } else if (strcmp(req->method, "PUT") != 0) {
        reply_error(r, "UnsupportedHttpVerb");
    } else if (comp && !acl) {
        reply_error(r, "InvalidQueryParameterValue");
    } else if (exists != acl) {
        reply_error(r, exists ? "ContainerAlreadyExists" : "ContainerNotFound");
    } else if (!container_put(container, access_of(request_header(req, "x-ms-blob-public-access")))) {
        reply_error(r, "InternalError");
    } else {
        if (acl)
            take_policies(container_find(container), body->kept.data);
        reply_written(r, acl ? 200 : 201, NULL);
    }
}
