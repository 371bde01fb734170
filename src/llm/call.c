/*
 * Each call is a small state machine (call_job); the run moves every job on until it can only
 * wait, then waits once for all of them: for bytes, for the next due time, or for the client to
 * leave. Nothing blocks anywhere else, but for the gate's word with Redis, so five calls take as
 * long as the slowest one.
 */
#include "llm/call.h"

#include <stdlib.h>

#include "base/clock.h"
#include "io/http.h"
#include "llm/call_job.h"

enum { TICK_MS = 1000 };	/* where no other time is given */

static const char client_left[] = "client has left";

/* Moves all jobs on as far as they go. False once every one has ended. A job that ends makes
 * room for a pending one, which may stand before it: so once more until nothing moves. */
static bool advance_all(struct tm_call_run *run)
{
	bool moved, unended;

	do {
		moved = unended = false;
		for (size_t i = 0; i < run->count; i++) {
			while (tm_call_job_advance(&run->jobs[i]))
				moved = true;
			unended = unended || run->jobs[i].state != TM_CALL_ENDED;
		}
	} while (moved && unended);
	return unended;
}

/* How long nothing is due. */
static int64_t idle_ms(const struct tm_call_run *run)
{
	int64_t now = tm_clock_mono_ms(), next = run->tick_ms;

	if (run->left && !run->alone)	/* to be decided on */
		return 0;
	for (size_t i = 0; i < run->count; i++) {
		const struct tm_call_job *job = &run->jobs[i];

		if (job->state == TM_CALL_ENDED)
			continue;
		if (job->deadline_ms < next)
			next = job->deadline_ms;
		if ((job->state == TM_CALL_WAITING || job->state == TM_CALL_FLYING) &&
		    job->due_ms && job->due_ms < next)
			next = job->due_ms;
		if (job->state == TM_CALL_FLYING && job->silent_ms && job->silent_ms < next)
			next = job->silent_ms;
	}
	return next > now ? next - now : 0;
}

static void end_all(struct tm_call_run *run, enum tm_call_end how, const char *cause)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->jobs[i].state != TM_CALL_ENDED)
			tm_call_job_end(&run->jobs[i], how, cause);
}

static void end_unwanted(struct tm_call_run *run)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->jobs[i].state != TM_CALL_ENDED && run->jobs[i].call->unwanted)
			tm_call_job_end(&run->jobs[i], TM_CALL_GONE, client_left);
}

/* The client has left. False: nobody waits for the answers. */
static bool go_on_alone(struct tm_call_run *run)
{
	const struct tm_call_limits *limits = run->limits;

	if (!run->alone && limits->may_drop && !limits->may_drop(limits->arg)) {
		run->alone = true;
		run->watch_fd = -1;
		end_unwanted(run);
	}
	return run->alone;
}

static void wait_once(struct tm_call_run *run)
{
	bool gone = false;
	enum tm_err err;

	err = tm_http_wait(run->http, idle_ms(run), run->watch_fd, &gone);
	if (err != TM_OK) {
		end_all(run, TM_CALL_FAILED, tm_err_text(err));
		return;
	}
	run->left = run->left || gone;
	if (run->left && !go_on_alone(run)) {
		end_all(run, TM_CALL_GONE, client_left);
		return;
	}
	if (tm_clock_mono_ms() >= run->tick_ms) {
		run->tick_ms = tm_clock_mono_ms() + run->every_ms;
		if (run->limits->tick)
			run->limits->tick(run->limits->arg);
	}
}

static void clear_result(struct tm_call *call)
{
	call->end = TM_CALL_FAILED;
	call->unwanted = false;
	call->reply = (struct tm_llm_reply){0};
	call->provider = NULL;
	call->attempts = 0;
	call->input_tokens = call->output_tokens = 0;
	call->cost = 0;
	call->retry_after_ms = 0;
	call->upstream_us = 0;
	call->detail = "";
}

enum tm_err tm_calls_run(struct tm_http *http, struct tm_call *calls, size_t count,
			 const struct tm_call_limits *limits)
{
	struct tm_call_run run = {.http = http, .limits = limits, .count = count,
				  .watch_fd = limits->watch_fd};

	for (size_t i = 0; i < count; i++)
		clear_result(&calls[i]);
	if (!count)
		return TM_OK;
	run.jobs = calloc(count, sizeof(*run.jobs));
	if (!run.jobs) {
		for (size_t i = 0; i < count; i++)
			calls[i].detail = tm_err_text(TM_ENOMEM);
		return TM_ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		run.jobs[i].run = &run;
		run.jobs[i].call = &calls[i];
		run.jobs[i].deadline_ms = calls[i].deadline_ms;
	}
	run.parallel = limits->parallel < 1 ? 1 : limits->parallel;
	if (run.parallel > TM_CALLS_PARALLEL)
		run.parallel = TM_CALLS_PARALLEL;
	run.every_ms = limits->tick_ms > 0 ? limits->tick_ms : TICK_MS;
	run.tick_ms = tm_clock_mono_ms() + run.every_ms;
	while (advance_all(&run))
		wait_once(&run);
	free(run.jobs);
	return TM_OK;
}
