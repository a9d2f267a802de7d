/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload.h: a request's body, pulled from its source when libcurl can send more. Owning loop's thread only.
 */
#ifndef HEADPOND_ORIGIN_UPLOAD_H
#define HEADPOND_ORIGIN_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "http/source.h"

struct origin_upload {
    struct source *source;                      /* NULL: no body, or given up */
    void (*more)(struct origin_upload *upload); /* after ORIGIN_UPLOAD_WAIT: there is something to read again */
    int64_t length;                             /* bytes announced; HTTP_LENGTH_UNKNOWN */
    int64_t taken;                              /* bytes pulled so far */
    bool waiting;                               /* the source has been told to call */
    bool finished;                              /* all was pulled, or there is no body */
    enum status error;                          /* after ORIGIN_UPLOAD_FAILED */
};

enum origin_upload_step { ORIGIN_UPLOAD_BYTES, ORIGIN_UPLOAD_WAIT, ORIGIN_UPLOAD_END, ORIGIN_UPLOAD_FAILED };

/* Takes *body (which may be NULL or hold NULL). `more` is called from the loop, never from inside a function of here.
 */
void origin_upload_init(struct origin_upload *upload, struct source **body, int64_t length,
                        void (*more)(struct origin_upload *upload));
/* Closes the source. */
void origin_upload_fini(struct origin_upload *upload);

/* Up to `room` bytes to `out`; *bytes says how many. Fails when the source does or ends before its length. */
enum origin_upload_step origin_upload_read(struct origin_upload *upload, char *out, size_t room, size_t *bytes);

#endif
