/* SPDX-License-Identifier: Apache-2.0 */
/* test_origin_retry.c: what is tried again, when, and what Retry-After and a busy account may ask for. */
#include "origin/retry.h"

#include <limits.h>

#include "base/date.h"
#include "tap.h"

#define IS_REASON(expected, text, ...)                                                                                 \
    do {                                                                                                               \
        const struct origin_retry_facts facts = {__VA_ARGS__};                                                         \
        is_str(origin_retry_reason(&facts), expected, text);                                                           \
    } while (0)

static void reasons(void)
{
    IS_REASON("503", "a read answered 503", .allowed = true, .read = true, .sent = true, .status = 503);
    IS_REASON("408", "a read answered 408", .allowed = true, .read = true, .sent = true, .status = 408);
    IS_REASON(NULL, "501 stands", .allowed = true, .read = true, .sent = true, .status = 501);
    IS_REASON(NULL, "404 stands", .allowed = true, .read = true, .sent = true, .status = 404);
    IS_REASON(NULL, "429 stands", .allowed = true, .read = true, .sent = true, .status = 429);
    IS_REASON(NULL, "a write's 503 stands", .allowed = true, .sent = true, .status = 503);
    IS_REASON(NULL, "nothing against the caller's word", .read = true, .sent = true, .status = 503);
    IS_REASON("connect", "no connection", .allowed = true, .failure = STATUS_CONNECT);
    IS_REASON("connect", "no name", .allowed = true, .failure = STATUS_RESOLVE);
    IS_REASON("connect", "no handshake", .allowed = true, .failure = STATUS_TLS);
    IS_REASON("connect", "reset before it was sent", .allowed = true, .failure = STATUS_RESET);
    IS_REASON(NULL, "but not once the body was touched", .allowed = true, .body_taken = true,
              .failure = STATUS_CONNECT);
    IS_REASON("reused", "a write on a dying reused connection", .allowed = true, .sent = true, .reused = true,
              .failure = STATUS_RESET);
    IS_REASON(NULL, "a write on a fresh one may have been done", .allowed = true, .sent = true,
              .failure = STATUS_RESET);
    IS_REASON("reset", "a read on a fresh one", .allowed = true, .sent = true, .read = true, .failure = STATUS_RESET);
    IS_REASON(NULL, "part of a reply had come", .allowed = true, .sent = true, .read = true, .reused = true,
              .reply_began = true, .failure = STATUS_RESET);
    IS_REASON(NULL, "time-outs stand", .allowed = true, .sent = true, .read = true,
              .failure = STATUS_FIRST_BYTE_TIMEOUT);
    IS_REASON(NULL, "bad replies stand", .allowed = true, .sent = true, .read = true, .failure = STATUS_BAD_REPLY);
}

static void delays(void)
{
    int64_t least = INT64_MAX;
    int64_t most = 0;
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < 10000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        const int64_t delay = origin_retry_delay(3, x, -1);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
    }
    ok(least <= 4, "full jitter starts at nothing (%lld)", (long long) least);
    ok(most > 390 && most <= 400, "and goes to the third step (%lld)", (long long) most);
    ok(origin_retry_delay(60, UINT64_MAX, -1) <= ORIGIN_RETRY_CAP_MS, "many attempts stay below the cap");
    ok(origin_retry_delay(1, 0, 2000) == 2000, "Retry-After is a floor");
    ok(origin_retry_delay(1, UINT64_MAX, INT64_MAX) <= ORIGIN_RETRY_AFTER_MAX_MS + ORIGIN_RETRY_CAP_MS, "and bounded");
}

static void busy(void)
{
    static const int64_t waits[] = {500, 1000, 2000, 4000, ORIGIN_RETRY_CAP_MS, ORIGIN_RETRY_CAP_MS};
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++)
        is_int(origin_busy_wait(i), waits[i], "after %u attempts at a busy account", i);
    is_int(origin_busy_wait(UINT_MAX), ORIGIN_RETRY_CAP_MS, "after however many: no longer than that");
}

static void retry_after(void)
{
    const int64_t now = 1700000000;
    char date[DATE_HTTP_LENGTH + 1];
    is_int(origin_retry_after(STR("3"), now), 3000, "seconds");
    is_int(origin_retry_after(STR(" 0 "), now), 0, "none, with blanks");
    is_int(origin_retry_after(STR("86400"), now), ORIGIN_RETRY_AFTER_MAX_MS, "a day is bounded");
    is_int(origin_retry_after(STR("99999999999999999999"), now), -1, "an overflow is malformed");
    is_int(origin_retry_after(STR(""), now), -1, "absent");
    is_int(origin_retry_after(STR("-1"), now), -1, "negative");
    is_int(origin_retry_after(STR("soon"), now), -1, "words");
    date_http_format(now + 4, date);
    is_int(origin_retry_after(str_from(date), now), 4000, "a date");
    date_http_format(now - 60, date);
    is_int(origin_retry_after(str_from(date), now), 0, "a date gone by");
    date_http_format(now + 3600, date);
    is_int(origin_retry_after(str_from(date), now), ORIGIN_RETRY_AFTER_MAX_MS, "a far date is bounded");
}

int main(void)
{
    reasons();
    delays();
    busy();
    retry_after();
    return done_testing();
}
