/* SPDX-License-Identifier: Apache-2.0 */
/* The log: no credential gets through, a line stays a line, and a flood is cut. */
#include "tap.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static void redacts(const char *text, const char *expected)
{
    char copy[512];
    snprintf(copy, sizeof copy, "%s", text);
    log_redact(copy);
    is_str(copy, expected, "redacted: %.60s", expected);
}

static void redaction(void)
{
    redacts("/c/b?sv=1&sig=abc%2Bd%3D&se=2", "/c/b?sv=1&sig=xxxxxxxxxx&se=2");
    redacts("/c/b?SIG=abc", "/c/b?SIG=xxx");
    redacts("?sig=a+b/c==", "?sig=xxxxxxx");
    redacts("?sig=", "?sig=");
    redacts("?design=5&sigma=3", "?design=5&sigma=3");
    redacts("copy=https%3A%2F%2Fh%2Fc%3Fsv%3D1%26sig%3Dabc", "copy=https%3A%2F%2Fh%2Fc%3Fsv%3D1%26sig%3Dxxx");
    redacts("twice%2526sig%253Dabc end", "twice%2526sig%253Dxxx end");
    redacts("Authorization: Bearer eyJ.abc-_.x, next", "Authorization: Bearer xxxxxxxxxxx, next");
    redacts("authorization=bearer\tTOKEN", "authorization=bearer\txxxxx");
    redacts("Bearer  two-blanks", "Bearer  xxxxxxxxxx");
    redacts("SharedKey acct:abc+/=", "SharedKey xxxxxxxxxxx");
    redacts("SharedKeyLite acct:abc=", "SharedKeyLite xxxxxxxxx");
    redacts("\"sharedkey acct:abc\"", "\"sharedkey xxxxxxxx\"");
    redacts("AccountName=x;AccountKey=abc==;End", "AccountName=x;AccountKey=xxxxx;End");
    redacts("x-ms-encryption-key: abc=", "x-ms-encryption-key: xxxx");
    redacts("x-ms-encryption-key-sha256: abc", "x-ms-encryption-key-sha256: abc");
    redacts("sig=one&sig=two", "sig=xxx&sig=xxx");
    redacts("ends with Bearer", "ends with Bearer");
    redacts("Bearer SharedKey acct:c2ln next", "Bearer xxxxxxxxxxxxxxxxxxx next");
    redacts("?sig=a+bearer secret&sig=b", "?sig=xxxxxxxxxxxxxxx&sig=x");
    redacts("sig", "sig");
    redacts("", "");
}

/* What was written since the last call. */
static char *written(int fd)
{
    static char text[65536];
    ssize_t len = read(fd, text, sizeof text - 1);
    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static unsigned lines(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static void writing(void)
{
    int fds[2];
    if (pipe(fds) != 0)
        abort();
    log_set_fd(fds[1]);
    log_event(START, "version=%d account=a\nb\x1b[31m sig=abc", 1);
    char *line = written(fds[0]);
    is_int(lines(line), 1, "a value with a newline is one line");
    ok(strstr(line, "Z info start version=1 account=a\\x0ab\\x1b[31m sig=xxx\n") != NULL, "form: %.*s",
       (int) strcspn(line, "\n"), line);
    ok(line[4] == '-' && line[10] == 'T' && line[19] == '.' && line[23] == 'Z', "time first");

    log_event(CLIENT_ABORT, "not shown");
    log_event(STORE_CORRUPT, "shown");
    line = written(fds[0]);
    ok(strstr(line, "error store-corrupt shown") != NULL && lines(line) == 1, "below the threshold nothing is written");
    log_set_level(LOG_DEBUG);
    log_event(CLIENT_ABORT, "now shown");
    ok(strstr(written(fds[0]), "debug client-abort now shown") != NULL, "the threshold can be lowered");

    char *huge = malloc(20000);
    memset(huge, 'y', 19999);
    huge[19999] = '\0';
    log_event(STOP, "%s", huge);
    memset(huge, '\x01', 19999);
    log_event(STOP, "%s", huge);
    line = written(fds[0]);
    ok(lines(line) == 2 && strlen(line) < 2 * 4096 + 2, "a line is bounded, escaped or not");
    free(huge);

    for (int i = 0; i < 1000; i++)
        log_event(BAD_REQUEST, "n=%d", i);
    unsigned count = lines(written(fds[0]));
    ok(count >= 10 && count <= 22, "a flood is cut to 10 a second (%u lines)",
       count); /* 22: a second may have passed */
    log_event(TLS_FAILED, "another event");
    is_int(lines(written(fds[0])), 1, "and cuts no other event");
    log_set_fd(STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
}

static void crowds(void)
{
    struct log_crowd crowd = {0};
    is_int(log_crowd(&crowd, 5000), 1, "the first of a crowd has its line");
    ok(log_crowd(&crowd, 5001) == 0 && log_crowd(&crowd, 5999) == 0, "those within a second have none");
    is_int(log_crowd(&crowd, 6000), 3, "but in the next one");
    is_int(log_crowd(&crowd, 7000), 1, "which tells of each once");
    is_int(log_crowd(&crowd, 7001), 0, "of the last of a crowd there is none");
    is_int(log_crowd(&crowd, 3600000), 2, "until another comes, which tells of it");
}

int main(void)
{
    crowds();
    redaction();
    writing();
    return done_testing();
}
