/* One job worker: a process that works on asynchronous batches. */
#ifndef TM_JOBS_H
#define TM_JOBS_H

#include <stdbool.h>

#include "base/settings.h"
#include "pool/master.h"

/*
 * Works until it has had its share (pool.requests_max) or is asked to stop; then the item in hand
 * is finished first.
 *
 * settings  borrowed
 * once      ends as soon as there is nothing to do
 * child     pipe_fd -1 where no master runs
 *
 * The exit status: 0 an orderly end; 1 it could not start, or with once Redis is away.
 */
int tm_jobs_run(const struct tm_settings *settings, bool once, struct tm_child *child);

#endif
