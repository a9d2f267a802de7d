/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_line.h: an exchange as one line of JSON. Pure but for the clock; the caller's thread.
 */
#ifndef HEADPOND_PROXY_ACCESS_LINE_H
#define HEADPOND_PROXY_ACCESS_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/access_log.h"

/* The most bytes a line takes, newline included; long texts are cut, a target then ends in "...". */
#define ACCESS_LINE_MAX 12288

/* The current second as text, so that strftime runs once a second; zero-initialised is fine. */
struct access_clock {
    int64_t second;
    char text[24]; /* "2026-01-02T03:04:05" */
};

/* Writes the line to out[ACCESS_LINE_MAX]; returns its length. No value of a query parameter `sig` is in it, however
 * the name was encoded. */
size_t access_line(struct access_clock *clock, const struct access_entry *entry, char *out);

#endif
