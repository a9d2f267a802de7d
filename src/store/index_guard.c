/* SPDX-License-Identifier: Apache-2.0 */
/* index_guard.c: signals of faults, turned into answers. */
#include "store/index_guard.h"

#include <assert.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE};
#define FAULTS (sizeof faults / sizeof *faults)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before[FAULTS];
/* Where the thread's call began; NULL: it is in none. */
static _Thread_local sigjmp_buf *volatile within;
static _Thread_local bool unblocked;
/* Which signals were blocked when the fault came. */
static _Thread_local sigset_t blocked;

/* As if this were not here: the fault comes again, a signal that was sent is sent again. */
static void pass_on(int number, const siginfo_t *info)
{
    for (size_t i = 0; i < FAULTS; i++)
        if (faults[i] == number)
            (void) sigaction(number, &before[i], NULL);
    if (info->si_code <= 0)
        (void) raise(number);
}

static void fault(int number, siginfo_t *info, void *context)
{
    sigjmp_buf *jump = within;
    if (jump == NULL || info->si_code <= 0) {
        pass_on(number, info);
        return;
    }
    within = NULL;
    blocked = ((const ucontext_t *) context)->uc_sigmask;
    siglongjmp(*jump, 1);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < FAULTS; i++)
        (void) sigaction(faults[i], &action, &before[i]);
}

/* A fault whose signal is blocked kills the process, whatever the handler; threads start with all blocked. */
static void unblock(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < FAULTS; i++)
        sigaddset(&set, faults[i]);
    (void) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    unblocked = true;
}

bool index_guard(int (*call)(void *arg), void *arg, int *result)
{
    sigjmp_buf jump;
    assert(within == NULL);
    pthread_once(&once, install);
    if (!unblocked)
        unblock();
    /* Saving the mask would be a system call each time; only the handler's way out changes it. */
    if (sigsetjmp(jump, 0) != 0) {
        (void) pthread_sigmask(SIG_SETMASK, &blocked, NULL);
        return false;
    }
    within = &jump;
    int answer = call(arg);
    within = NULL;
    *result = answer;
    return true;
}

void index_guard_fail(void)
{
    sigjmp_buf *jump = within;
    if (jump == NULL)
        abort();
    (void) pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    within = NULL;
    siglongjmp(*jump, 1);
}
