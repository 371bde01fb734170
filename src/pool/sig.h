/*
 * Signals of master and workers. Handlers only set a flag; signals stay blocked but in the one
 * wait for work, which takes tm_sig_wait_mask, so that none is lost between look and wait.
 */
#ifndef TM_POOL_SIG_H
#define TM_POOL_SIG_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

/* For a worker of any shape: TERM, QUIT and USR1 ask it to stop after the request in hand; so do
 * INT and HUP, unless they are ignored. Blocks them; tm_sig_wait_mask opens them inside ppoll.
 * TM_OK, TM_EIO. */
TM_CHECK enum tm_err tm_sig_init_worker(void);

/* For the master: TERM, QUIT, INT, HUP, USR1 and CHLD, each to be asked for with tm_sig_take.
 * TM_OK, TM_EIO. */
TM_CHECK enum tm_err tm_sig_init_master(void);

/* The mask for ppoll's or epoll_pwait's last argument. */
const sigset_t *tm_sig_wait_mask(void);

/* In a worker: true once a stop was asked for. */
bool tm_sig_stopping(void);

/* In the master: true if signo has come since this was last asked. */
bool tm_sig_take(int signo);

#endif
