/*
 * The loop of one job worker: take an item, work on it, and again; with nothing to do it looks
 * less and less often, up to twice a second. It never blocks in Redis, so a stop is heard at
 * once between items and Redis' going away is no more than a longer pause.
 */
#include "jobs.h"

#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "api/app.h"
#include "api/job.h"
#include "base/clock.h"
#include "base/log.h"
#include "pool/sig.h"
#include "worker.h"

enum {
	PAUSE_MIN_MS = 50, PAUSE_MAX_MS = 500,
	LAST_WORDS_MS = 5000	/* a stopping worker tries for so long to hand its result in */
};

struct worker {
	struct tm_app *app;
	struct tm_child *child;
	int64_t done, share;
	int64_t stopping_ms;	/* steady clock: since when; 0: not at all */
};

/* A signal ends the sleep. */
static void pause_for(int64_t ms)
{
	const struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)ppoll(NULL, 0, &timeout, tm_sig_wait_mask());
}

static bool wait_with_item(void *arg, int64_t ms)
{
	struct worker *self = arg;

	if (tm_sig_stopping()) {
		int64_t now_ms = tm_clock_mono_ms();

		if (!self->stopping_ms)
			self->stopping_ms = now_ms;
		if (now_ms - self->stopping_ms >= LAST_WORDS_MS)
			return false;
	}
	pause_for(ms);
	return true;
}

static int loop(struct worker *self, bool once)
{
	const struct tm_job_wait wait = {.wait = wait_with_item, .arg = self};
	int64_t pause_ms = PAUSE_MIN_MS;

	while (!tm_sig_stopping() && self->done < self->share) {
		switch (tm_app_work(self->app, &wait)) {
		case TM_OK:
			self->done++;
			pause_ms = PAUSE_MIN_MS;
			continue;
		case TM_ENOENT:
			if (once)
				return EXIT_SUCCESS;
			break;
		default:
			if (once) {
				tm_log(TM_LOG_ERROR, "Redis is away: no batches can be worked on");
				return EXIT_FAILURE;
			}
		}
		pause_for(pause_ms);
		pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
	}
	return EXIT_SUCCESS;
}

int tm_jobs_run(const struct tm_settings *settings, bool once, struct tm_child *child)
{
	struct worker self = {.child = child};
	int status = EXIT_FAILURE;

	(void)prctl(PR_SET_NAME, "textmill-jobs");	/* for ps and top */
	self.share = once ? INT64_MAX : tm_worker_share(settings->pool.requests_max);
	if (tm_app_new(&self.app, settings) != TM_OK)
		return EXIT_FAILURE;	/* logged */
	if (tm_sig_init_worker() != TM_OK) {
		tm_log(TM_LOG_ERROR, "job worker cannot set up its signals");
		goto out;
	}
	tm_child_served(child);	/* an idle one is as good as one at work */
	tm_log(TM_LOG_DEBUG, "job worker is ready");
	status = loop(&self, once);
	tm_log(TM_LOG_DEBUG, "job worker ends after %lld items", (long long)self.done);
out:
	tm_app_free(self.app);
	return status;
}
