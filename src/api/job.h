/* One item of an asynchronous batch, from the queue to its result. */
#ifndef TM_API_JOB_H
#define TM_API_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "api/route.h"
#include "base/err.h"
#include "flow/jobs.h"

/* How a job worker waits: at most ms, less when it is asked to stop. False: it must not wait any
 * longer, and an item in hand is left to another worker. */
struct tm_job_wait {
	bool (*wait)(void *arg, int64_t ms);
	void *arg;
};

/*
 * Takes one item and works on it, to its result or until it is put back. context has services,
 * request (arena, settings), response (for the log) and usage.
 *
 * TM_OK something was done; TM_ENOENT there is nothing to do now; else Redis' trouble: nothing was
 * taken; TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_job_work(struct tm_context *context, struct tm_jobs *jobs,
				 const struct tm_job_wait *wait);

#endif
