/* One FastCGI worker, whoever started it: the pool's master, mod_fcgid, spawn-fcgi. */
#ifndef TM_WORKER_H
#define TM_WORKER_H

#include <stdint.h>

#include "base/settings.h"
#include "pool/master.h"

/*
 * Serves requests from listen_fd until it has had its share (pool.requests_max) or is asked to
 * stop. Reports its own failures to the log.
 *
 * settings  borrowed
 * child     pipe_fd -1 where no master of ours runs
 *
 * The exit status: 0 an orderly end; 1 it could not start, or the listener broke.
 */
int tm_worker_run(const struct tm_settings *settings, int listen_fd, struct tm_child *child);

/* How much a worker of either kind does before another takes its place: requests_max, a tenth more
 * or less, so that workers that started together do not end together; INT64_MAX, for no end, where
 * it is 0. */
int64_t tm_worker_share(int64_t requests_max);

#endif
