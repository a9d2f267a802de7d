/* SPDX-License-Identifier: Apache-2.0 */
/*
 * property.h: which header fields of a Get Blob or Get Blob Properties reply belong to the blob and are kept, which
 * come with HEAD only, and which belong to the one reply. What is not in the table is not kept. Pure; any thread.
 */
#ifndef HEADPOND_BLOB_PROPERTY_H
#define HEADPOND_BLOB_PROPERTY_H

#include "base/str.h"

enum property {
    PROPERTY_REPLY,     /* of this reply alone: never kept */
    PROPERTY_KEEP,      /* GET and HEAD carry it */
    PROPERTY_HEAD_ONLY, /* HEAD alone carries it */
    PROPERTY_MD5,       /* Content-MD5, x-ms-blob-content-md5: kept apart, since its name depends on the range */
};

enum property property_of(struct str name);

/* What to keep of a value: a URL with a SAS in it (x-ms-copy-source) loses its query. A slice of the value. */
struct str property_value(struct str name, struct str value);

#endif
