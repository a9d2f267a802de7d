/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See service.h. The state lock is held while a request is authorised and a blob looked up or
 * changed; replies to reads are made from a counted generation after it has been dropped.
 */
#include "service.h"

#include <string.h>

#include "auth.h"
#include "strict.h"

static bool is_read(const struct request *req)
{
    return strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
}

static bool query_is(const struct request *req, const char *name, const char *value)
{
    const char *given = request_query(req, name);
    return given && strcmp(given, value) == 0;
}

/* Data Lake's list, of paths. */
static bool lists_paths(const struct request *req)
{
    return strcmp(req->method, "GET") == 0 && query_is(req, "resource", "filesystem");
}

static enum operation operation_of(const struct request *req)
{
    if (is_read(req))
        return query_is(req, "comp", "list") || lists_paths(req) ? OP_LIST : OP_READ;
    return strcmp(req->method, "DELETE") == 0 ? OP_DELETE : OP_WRITE;
}

static const char *admit_locked(const struct request *req)
{
    char container[1200];
    if (!req->path || strlen(req->path) > 1100 || path_split(req->path, container, sizeof container) == 0)
        return "InvalidUri";
    const char *refusal = auth_strict(req->path) ? strict_refusal(req) : NULL;
    if (refusal)
        return refusal;
    return auth_check(req, operation_of(req), req->path);
}

const char *service_admit(const struct request *req)
{
    state_lock();
    const char *error = admit_locked(req);
    state_unlock();
    return error;
}

/* [locked] No account here keeps versions. */
static struct generation *find_generation(const struct request *req)
{
    const char *snapshot = request_query(req, "snapshot");
    if (request_query(req, "versionid"))
        return NULL;
    return snapshot ? blob_find_snapshot(req->path, snapshot) : blob_find(req->path);
}

static bool bad_generation(const struct request *req)
{
    const char *snapshot = request_query(req, "snapshot");
    const char *version = request_query(req, "versionid");
    return (snapshot && !strict_is_snapshot_time(snapshot)) || (version && !strict_is_snapshot_time(version));
}

/* [locked] Sets *g for a read that is to be answered outside the lock. */
static const char *route(const struct body *body, struct reply *r, struct generation **g)
{
    const struct request *req = r->req;
    char container[1200];
    int depth = path_split(req->path, container, sizeof container);
    bool restype = query_is(req, "restype", "container");
    if (strcmp(req->method, "POST") == 0) {
        if (body->total == 0)
            return "InvalidInput";
        r->status = 201;
        reply_azure_headers(r);
        return NULL;
    }
    if (depth == 2 && restype && (!is_read(req) || query_is(req, "comp", "list"))) {
        if (is_read(req))
            read_container_list(r, container);
        else
            write_container(r, body, container);
        return NULL;
    }
    if (depth == 2 && lists_paths(req)) {
        read_path_list(r, container);
        return NULL;
    }
    if (!container_find(container))
        return depth == 1 ? "InvalidQueryParameterValue" : "ContainerNotFound";
    if (depth == 2 && restype && !request_query(req, "comp")) {
        reply_azure_headers(r);
        return NULL;
    }
    if (depth < 3)
        return "ResourceNotFound";
    if (is_read(req)) {
        if (request_query(req, "comp"))
            return "InvalidQueryParameterValue";
        *g = find_generation(req);
        return *g ? NULL : bad_generation(req) ? "InvalidQueryParameterValue" : "BlobNotFound";
    }
    if (strcmp(req->method, "DELETE") == 0)
        write_delete(r);
    else if (strcmp(req->method, "PUT") == 0)
        write_blob(r, body);
    else
        return "UnsupportedHttpVerb";
    return NULL;
}

void service_handle(const struct body *body, struct reply *r)
{
    const struct request *req = r->req;
    struct generation *g = NULL;
    char container[1200];
    state_lock();
    const char *error = admit_locked(req);
    r->strict = req->path && auth_strict(req->path);
    if (req->path) {
        bool blob_read =
            is_read(req) && !request_query(req, "comp") && path_split(req->path, container, sizeof container) == 3;
        fault_take(&r->fault, req->method, req->path, blob_read);
    }
    if (!error && r->fault.status < 0)
        error = route(body, r, &g);
    state_unlock();

    if (r->fault.status >= 0)
        reply_fault_status(r);
    else if (error)
        reply_error(r, error);
    else if (g)
        read_blob(r, g);
}
