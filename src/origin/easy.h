/* SPDX-License-Identifier: Apache-2.0 */
/*
 * easy.h: an origin_request as libcurl options. Pure but for the handle it is given.
 */
#ifndef HEADPOND_ORIGIN_EASY_H
#define HEADPOND_ORIGIN_EASY_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/status.h"
#include "origin/client.h"

#define ORIGIN_READ_BYTES (256L * 1024) /* libcurl reads at most this at once */
#define ORIGIN_SEND_BYTES (128L * 1024) /* and sends */

/* Sets everything but the callbacks and what origin_easy_address sets. `upload`: the request has a body, which the read
 * function gives. BAD_REQUEST for a method that HTTP/1.1 cannot carry. */
enum status origin_easy_prepare(CURL *easy, const struct origin_request *request, const struct origin_limits *limits,
                                const char *ca_file, bool upload) STATUS_CHECKED;
/* Sets where it goes and its fields; not while it runs. *headers, of an earlier call or NULL, is replaced, and is to be
 * freed after the handle (curl_slist_free_all). INVALID for a base that is none; BAD_REQUEST or BAD_TARGET for texts
 * that HTTP/1.1 cannot carry. */
enum status origin_easy_address(CURL *easy, const struct origin_request *request, bool upload,
                                struct curl_slist **headers) STATUS_CHECKED;

#endif
