/* What a process gives up: its user, and what a worker never needs. */
#ifndef TM_POOL_SANDBOX_H
#define TM_POOL_SANDBOX_H

#include "base/err.h"

/*
 * Becomes user and group for good, and makes sure of it. "" for user: stay who we are.
 * "" for group: the user's own. A log file that this process has made becomes the user's.
 *
 * TM_OK; TM_ENOENT no such user or group; TM_DENIED not root, and somebody else; TM_EIO.
 */
TM_CHECK enum tm_err tm_sandbox_become(const char *user, const char *group);

/*
 * For the master as well, who has the keys in memory: no core dump, neither on the disk nor to a
 * program. After tm_sandbox_become. Its memory, descriptors and environment in /proc are root's
 * from then on: processes of the same user can neither read nor trace it. TM_OK, TM_EIO.
 */
TM_CHECK enum tm_err tm_sandbox_hide(void);

/* For a worker of any shape: tm_sandbox_hide, no way to new privileges, and a bound on memory, as
 * libfcgi believes lengths up to 2 GiB. TM_OK, TM_EIO. */
TM_CHECK enum tm_err tm_sandbox_worker(void);

#endif
