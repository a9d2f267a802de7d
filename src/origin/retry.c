/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c: the policy of retry.h. Pure. */
#include "origin/retry.h"

#include <stddef.h>

#include "base/date.h"

static const char *status_label(int status)
{
    switch (status) {
    case 408:
        return "408";
    case 500:
        return "500";
    case 502:
        return "502";
    case 503:
        return "503";
    case 504:
        return "504";
    default:
        return NULL;
    }
}

const char *origin_retry_reason(const struct origin_retry_facts *facts)
{
    if (!facts->allowed || facts->body_taken)
        return NULL;
    if (facts->status != 0)
        return facts->read ? status_label(facts->status) : NULL;
    switch (facts->failure) {
    case STATUS_CONNECT:
    case STATUS_RESOLVE:
    case STATUS_TLS:
        return facts->sent ? NULL : "connect";
    case STATUS_RESET:
        if (!facts->sent)
            return "connect";
        if (facts->reply_began)
            return NULL;
        if (facts->reused)
            return "reused";
        /* A fresh connection that broke may have carried the request: reads only. */
        return facts->read ? "reset" : NULL;
    default:
        return NULL;
    }
}

int64_t origin_retry_delay(unsigned attempt, uint64_t random, int64_t retry_after)
{
    int64_t ceiling = ORIGIN_RETRY_BASE_MS;
    for (unsigned i = 1; i < attempt && ceiling < ORIGIN_RETRY_CAP_MS; i++)
        ceiling *= 2;
    if (ceiling > ORIGIN_RETRY_CAP_MS)
        ceiling = ORIGIN_RETRY_CAP_MS;
    const int64_t jitter = (int64_t) (random % (uint64_t) (ceiling + 1));
    if (retry_after < 0)
        return jitter;
    if (retry_after > ORIGIN_RETRY_AFTER_MAX_MS)
        retry_after = ORIGIN_RETRY_AFTER_MAX_MS;
    /* Not sooner than asked, and not all who were asked at one instant. */
    return retry_after + jitter / 4;
}

int64_t origin_busy_wait(unsigned attempt)
{
    int64_t wait = ORIGIN_BUSY_WAIT_MS;
    for (; attempt > 0 && wait < ORIGIN_RETRY_CAP_MS; attempt--)
        wait *= 2;
    return wait < ORIGIN_RETRY_CAP_MS ? wait : ORIGIN_RETRY_CAP_MS;
}

int64_t origin_retry_after(struct str value, int64_t now_s)
{
    value = str_trim(value);
    int64_t seconds;
    if (value.len == 0)
        return -1;
    if (!str_to_int(value, &seconds)) {
        int64_t date;
        if (!date_http_parse(value, &date))
            return -1;
        seconds = date > now_s ? date - now_s : 0;
    }
    if (seconds > ORIGIN_RETRY_AFTER_MAX_MS / 1000)
        seconds = ORIGIN_RETRY_AFTER_MAX_MS / 1000;
    return seconds * 1000;
}
