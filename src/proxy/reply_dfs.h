/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply_dfs.h: a blob's record as the Data Lake endpoint tells it. (Azure: Path - Read, Path - Get Properties.) The
 * same file is a blob, and both are cached as one; the record is asked of the Blob endpoint. The loop's thread.
 */
#ifndef HEADPOND_PROXY_REPLY_DFS_H
#define HEADPOND_PROXY_REPLY_DFS_H

#include <stdbool.h>

#include "cache/object.h"
#include "http/message.h"

/* Whether a record tells what Data Lake would: a directory is read in another way, and without x-ms-resource-type (a
 * flat account) its properties cannot be given. `head`: Get Properties is asked. */
bool reply_dfs_can(const struct object *object, bool head);

/* Adds the record's fields. `ranged`: the MD5 is not the body's; `user`: metadata, too. */
void reply_dfs_fields(struct http_headers *headers, const struct object *object, bool ranged, bool head, bool user);

#endif
