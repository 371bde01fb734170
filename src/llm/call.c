/*
 * Each call is a small state machine (a job); the run moves every job on until it can only wait,
 * then waits once for all of them: for bytes, for the next due time, or for the client to leave.
 * Nothing here blocks anywhere else, so five calls take as long as the slowest one.
 *
 *   PENDING -> READY -> FLYING -> ENDED        one attempt: begin(), then land()
 *                ^        |-> WAITING -> READY  the provider's own trouble: retry_later()
 *                |--------|                     asked once more, or the next provider
 *
 * Whatever stands before an attempt belongs in begin(); whatever an attempt teaches, in land().
 */
#include "llm/call.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "io/http.h"
#include "llm/retry.h"

enum {
	TICK_MS = 1000,
	LEFT_MIN_MS = 20,	/* with less than this left no attempt is worth beginning, and
				 * timers that differ by a few ms agree on what ended a call */
	RETRY_AFTER_MIN_MS = 1000,
	BODY_MAX = 16 * 1024 * 1024
};

enum job_state { JOB_PENDING, JOB_READY, JOB_FLYING, JOB_WAITING, JOB_ENDED };

struct job {
	struct tm_call *call;
	enum job_state state;
	size_t at;		/* provider, index */
	int tries;		/* on this provider */
	bool asked_again;	/* the one more chance for an answer of no use is spent */
	int64_t due_ms;		/* WAITING: when to try again */
	int64_t began_us;	/* FLYING: when it began */
	enum tm_call_end verdict;	/* of the providers left behind */
	const char *cause;	/* why the last attempt failed; NULL: noted, or none did */
	int cause_try;
	struct tm_http_call *transfer;
	struct tm_buf body;	/* of the transfer */
};

struct run {
	struct tm_http *http;
	const struct tm_call_limits *limits;
	struct job *jobs;
	size_t count;
	size_t active;		/* begun and not ended */
	size_t parallel;	/* most of them */
	int64_t tick_ms;	/* when the next tick is due */
};

static const struct tm_provider_conf *provider_of(const struct job *job)
{
	return job->call->providers[job->at];
}

static int64_t left_ms(const struct job *job)
{
	return job->call->deadline_ms - tm_clock_mono_ms();
}

/* Ends the transfer, over or not. */
static void drop(struct run *run, struct job *job)
{
	if (job->transfer) {
		job->call->upstream_us += tm_clock_mono_us() - job->began_us;
		tm_http_end(run->http, job->transfer);
	}
	job->transfer = NULL;
	tm_buf_clear(&job->body);
}

static void blame(struct job *job, const char *cause)
{
	job->cause = cause ? cause : tm_err_text(TM_ENOMEM);
	job->cause_try = job->tries;
}

/* Adds the provider's last cause to the call's detail. */
static void note(struct job *job)
{
	struct tm_call *call = job->call;
	const char *detail;

	if (!job->cause)
		return;
	detail = tm_arena_printf(call->arena, "%s%s%s: %s (attempt %d)", call->detail,
				 *call->detail ? "; " : "", call->provider->name, job->cause,
				 job->cause_try);
	call->detail = detail ? detail : tm_err_text(TM_ENOMEM);
	job->cause = NULL;
}

static void end(struct run *run, struct job *job, enum tm_call_end how)
{
	note(job);
	drop(run, job);
	if (job->state != JOB_PENDING)
		run->active--;
	job->state = JOB_ENDED;
	job->call->end = how;
}

static void end_because(struct run *run, struct job *job, enum tm_call_end how, const char *cause)
{
	if (job->call->provider)
		blame(job, cause);
	else
		job->call->detail = cause;
	end(run, job, how);
}

static void end_late(struct run *run, struct job *job)
{
	end_because(run, job, TM_CALL_DEADLINE, "no answer before the deadline");
}

/* Goes on to the next provider, or ends. Unavailable outweighs the rest: it is the one end that
 * another try may change. */
static void leave(struct run *run, struct job *job, enum tm_call_end how)
{
	note(job);
	drop(run, job);
	if (job->verdict != TM_CALL_UNAVAILABLE)
		job->verdict = how;
	if (job->at + 1 == job->call->providers_count) {
		end(run, job, job->verdict);
		return;
	}
	job->at++;
	job->tries = 0;
	job->state = JOB_READY;
}

/* The provider's own trouble. asked_ms: the wait it asked for, or -1. */
static void retry_later(struct run *run, struct job *job, int64_t asked_ms)
{
	struct tm_call *call = job->call;
	int64_t wait_ms = asked_ms;

	drop(run, job);
	if (wait_ms < 0)
		wait_ms = tm_backoff_wait_ms(call->retry, job->tries, tm_random_unit());
	if (job->tries < call->retry->attempts && wait_ms + LEFT_MIN_MS <= left_ms(job)) {
		job->due_ms = tm_clock_mono_ms() + wait_ms;
		job->state = JOB_WAITING;
		return;
	}
	if (wait_ms < RETRY_AFTER_MIN_MS)
		wait_ms = RETRY_AFTER_MIN_MS;
	if (!call->retry_after_ms || wait_ms < call->retry_after_ms)
		call->retry_after_ms = wait_ms;
	leave(run, job, TM_CALL_UNAVAILABLE);
}

static void ask_again(struct run *run, struct job *job)
{
	if (job->asked_again) {
		leave(run, job, TM_CALL_NONSENSE);
		return;
	}
	drop(run, job);
	job->asked_again = true;
	job->state = JOB_READY;
}

/* An answer came. TM_OK: it is taken and the call has ended, also where memory ran out. */
static enum tm_err take(struct run *run, struct job *job, const struct tm_llm_reply *reply)
{
	struct tm_call *call = job->call;
	enum tm_err err = call->accept ? call->accept(call->arg, reply) : TM_OK;

	if (err == TM_OK) {
		call->reply = *reply;
		end(run, job, TM_CALL_ANSWERED);
	} else if (err == TM_ENOMEM) {
		end_because(run, job, TM_CALL_FAILED, tm_err_text(err));
	} else {
		blame(job, tm_arena_printf(call->arena, "answer is of no use: %s",
					   tm_err_text(err)));
		return err;
	}
	return TM_OK;
}

static void count_tokens(struct tm_call *call, const struct tm_llm_reply *reply)
{
	call->input_tokens += reply->input_tokens;
	call->output_tokens += reply->output_tokens;
}

/* A provider without a network. Asking it twice would bring the same answer twice. */
static void answer_here(struct run *run, struct job *job, const struct tm_provider *kind)
{
	struct tm_call *call = job->call;
	struct tm_llm_reply reply = {0};
	enum tm_err err = kind->answer(call->prompt, call->arena, &reply);

	if (err == TM_ENOMEM) {
		end_because(run, job, TM_CALL_FAILED, tm_err_text(err));
		return;
	}
	if (err != TM_OK) {
		blame(job, tm_err_text(err));
		leave(run, job, TM_CALL_REFUSED);
		return;
	}
	count_tokens(call, &reply);
	if (take(run, job, &reply) != TM_OK)
		leave(run, job, TM_CALL_NONSENSE);
}

static enum tm_err launch(struct run *run, struct job *job, const struct tm_provider *kind)
{
	const struct tm_provider_conf *conf = provider_of(job);
	struct tm_llm_wire wire = {0};
	struct tm_http_request request;
	int64_t total_ms = left_ms(job);
	enum tm_err err;

	tm_buf_init(&wire.body, BODY_MAX);
	err = kind->build(conf, job->call->prompt, job->call->arena, &wire);
	job->body = wire.body;	/* the job's from here on, built or not */
	if (err != TM_OK)
		return err;
	if (conf->timeout_ms > 0 && conf->timeout_ms < total_ms)
		total_ms = conf->timeout_ms;
	request = (struct tm_http_request){
		.url = wire.url,
		.headers = wire.headers,
		.body = tm_buf_text(&job->body),
		.body_len = job->body.len,
		.ca_file = conf->ca_file,
		.connect_ms = run->limits->connect_ms,
		.total_ms = total_ms,
		.answer_max = run->limits->answer_max,
	};
	return tm_http_start(run->http, &request, &job->transfer);
}

/* One attempt at the current provider. */
static void begin(struct run *run, struct job *job)
{
	const struct tm_provider *kind = tm_provider_of(provider_of(job)->kind);
	enum tm_err err;

	job->call->provider = provider_of(job);
	if (kind->answer) {
		answer_here(run, job, kind);
		return;
	}
	if (left_ms(job) < LEFT_MIN_MS) {
		end_late(run, job);
		return;
	}
	job->began_us = tm_clock_mono_us();
	err = launch(run, job, kind);
	if (err == TM_OK) {
		job->tries++;
		job->call->attempts++;
		job->state = JOB_FLYING;
	} else if (err == TM_ENOMEM) {
		end_because(run, job, TM_CALL_FAILED, tm_err_text(err));
	} else {
		blame(job, tm_arena_printf(job->call->arena, "request cannot be made: %s",
					   tm_err_text(err)));
		leave(run, job, TM_CALL_REFUSED);
	}
}

/* No whole response came. */
static void land_broken(struct run *run, struct job *job, const struct tm_http_result *result)
{
	blame(job, tm_arena_printf(job->call->arena, "%s: %.*s", tm_err_text(result->err), 200,
				   result->detail));
	if (result->err == TM_ENOMEM)
		end(run, job, TM_CALL_FAILED);
	else if (result->err == TM_ETIME && left_ms(job) < LEFT_MIN_MS)
		end_late(run, job);
	else if (result->err == TM_ESIZE)
		leave(run, job, TM_CALL_NONSENSE);	/* not a second time */
	else
		retry_later(run, job, -1);
}

/* A transfer is over. What read returns lives in the arena, so the transfer may go any time. */
static void land(struct run *run, struct job *job, const struct tm_http_result *result)
{
	struct tm_call *call = job->call;
	struct tm_llm_reply reply = {0};
	const char *cause = NULL;
	enum tm_llm_class class;
	int64_t asked_ms;

	if (result->err != TM_OK) {
		land_broken(run, job, result);
		return;
	}
	class = tm_provider_of(provider_of(job)->kind)
			->read(provider_of(job), result->status, result->body, result->body_len,
			       call->arena, &reply, &cause);
	count_tokens(call, &reply);
	if (class != TM_LLM_SUCCESS)
		blame(job, cause);
	switch (class) {
	case TM_LLM_SUCCESS:
		if (take(run, job, &reply) != TM_OK)
			ask_again(run, job);
		break;
	case TM_LLM_RETRY:
		asked_ms = tm_retry_after_ms(result->retry_after_ms, result->retry_after,
					     tm_clock_wall_ms());
		retry_later(run, job, asked_ms);
		break;
	case TM_LLM_REFUSED:
		leave(run, job, TM_CALL_REFUSED);
		break;
	case TM_LLM_NONSENSE:
		ask_again(run, job);
		break;
	case TM_LLM_FAILED:
		end(run, job, TM_CALL_FAILED);
		break;
	}
}

static void admit(struct run *run, struct job *job)
{
	if (run->active < run->parallel) {
		run->active++;
		job->state = JOB_READY;
		if (!job->call->providers_count) {
			job->call->retry_after_ms = RETRY_AFTER_MIN_MS;
			end_because(run, job, TM_CALL_UNAVAILABLE, "no provider is configured");
		}
	} else if (left_ms(job) <= 0) {
		end_late(run, job);
	}
}

/* Moves a job on by one transition. False: it can only wait, or has ended. */
static bool advance(struct run *run, struct job *job)
{
	enum job_state before = job->state;
	const struct tm_http_result *result;

	switch (job->state) {
	case JOB_PENDING:
		admit(run, job);
		break;
	case JOB_READY:
		begin(run, job);
		return true;
	case JOB_FLYING:
		result = tm_http_result(job->transfer);
		if (result)
			land(run, job, result);
		else if (left_ms(job) <= 0)
			end_late(run, job);
		break;
	case JOB_WAITING:
		if (tm_clock_mono_ms() >= job->due_ms)
			job->state = JOB_READY;
		break;
	case JOB_ENDED:
		break;
	}
	return job->state != before;
}

/* Moves all jobs on as far as they go. False once every one has ended. A job that ends makes
 * room for a pending one, which may stand before it: so once more until nothing moves. */
static bool advance_all(struct run *run)
{
	bool moved, unended;

	do {
		moved = unended = false;
		for (size_t i = 0; i < run->count; i++) {
			while (advance(run, &run->jobs[i]))
				moved = true;
			unended = unended || run->jobs[i].state != JOB_ENDED;
		}
	} while (moved && unended);
	return unended;
}

/* How long nothing is due. */
static int64_t idle_ms(const struct run *run)
{
	int64_t now = tm_clock_mono_ms(), next = run->tick_ms;

	for (size_t i = 0; i < run->count; i++) {
		const struct job *job = &run->jobs[i];

		if (job->state == JOB_ENDED)
			continue;
		if (job->call->deadline_ms < next)
			next = job->call->deadline_ms;
		if (job->state == JOB_WAITING && job->due_ms < next)
			next = job->due_ms;
	}
	return next > now ? next - now : 0;
}

static void end_all(struct run *run, enum tm_call_end how, const char *cause)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->jobs[i].state != JOB_ENDED)
			end_because(run, &run->jobs[i], how, cause);
}

static void wait_once(struct run *run)
{
	bool gone = false;
	enum tm_err err;

	err = tm_http_wait(run->http, idle_ms(run), run->limits->watch_fd, &gone);
	if (err != TM_OK) {
		end_all(run, TM_CALL_FAILED, tm_err_text(err));
		return;
	}
	if (gone) {
		end_all(run, TM_CALL_GONE, "client has left");
		return;
	}
	if (tm_clock_mono_ms() >= run->tick_ms) {
		run->tick_ms = tm_clock_mono_ms() + TICK_MS;
		if (run->limits->tick)
			run->limits->tick(run->limits->arg);
	}
}

static void clear_result(struct tm_call *call)
{
	call->end = TM_CALL_FAILED;
	call->reply = (struct tm_llm_reply){0};
	call->provider = NULL;
	call->attempts = 0;
	call->input_tokens = call->output_tokens = 0;
	call->retry_after_ms = 0;
	call->upstream_us = 0;
	call->detail = "";
}

enum tm_err tm_calls_run(struct tm_http *http, struct tm_call *calls, size_t count,
			 const struct tm_call_limits *limits)
{
	struct run run = {.http = http, .limits = limits, .count = count};

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
	for (size_t i = 0; i < count; i++)
		run.jobs[i].call = &calls[i];
	run.parallel = limits->parallel < 1 ? 1 : limits->parallel;
	if (run.parallel > TM_CALLS_PARALLEL)
		run.parallel = TM_CALLS_PARALLEL;
	run.tick_ms = tm_clock_mono_ms() + TICK_MS;
	while (advance_all(&run))
		wait_once(&run);
	free(run.jobs);
	return TM_OK;
}
