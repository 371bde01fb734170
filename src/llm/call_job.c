/*
 * One call's transitions. An attempt is one transfer: begin() starts it, land() takes what it
 * brought. Whatever stands before an attempt belongs in begin(); whatever one teaches, in land().
 *
 * An attempt that the gate let pass is answered for exactly once: as failed or succeeded where the
 * outcome is known, as neutral in drop(), which every other way passes through.
 */
#include "llm/call_job.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/digest.h"
#include "llm/retry.h"

enum {
	LEFT_MIN_MS = 20,	/* with less than this left no attempt is worth beginning, and
				 * timers that differ by a few ms agree on what ended a call */
	FAIR_PART = 3,		/* of FAIR_OF of a fair time: waits and round trips before an
				 * attempt take their part of it */
	FAIR_OF = 4,
	DETAIL_BYTES = 200,
	BODY_MAX = 16 * 1024 * 1024
};

const struct tm_provider_conf *tm_call_job_provider(const struct tm_call_job *job)
{
	return job->call->providers[job->at];
}

static int64_t left_ms(const struct tm_call_job *job)
{
	return job->deadline_ms - tm_clock_mono_ms();
}

static void count_tokens(struct tm_call_job *job, int64_t input, int64_t output)
{
	const struct tm_provider_conf *conf = tm_call_job_provider(job);
	struct tm_call *call = job->call;

	call->input_tokens += input;
	call->output_tokens += output;
	call->cost += ((double)input * conf->price_input + (double)output * conf->price_output) /
		      1e6;
}

static bool has_price(const struct tm_provider_conf *conf)
{
	return tm_provider_of(conf->kind)->answer || conf->price_input > 0 ||
	       conf->price_output > 0;
}

/* Ends the transfer, over or not. Upstream first: the gate may take its time. */
static void drop(struct tm_call_job *job)
{
	if (job->transfer) {
		job->call->upstream_us += tm_clock_mono_us() - job->began_us;
		tm_http_end(job->run->http, job->transfer);
	}
	job->transfer = NULL;
	tm_buf_clear(&job->body);
	if (job->stream.asked)	/* what a broken stream has said was paid for too */
		count_tokens(job, job->stream.events.input_tokens,
			     job->stream.events.output_tokens);
	tm_call_stream_clear(job);
	tm_call_gate_neutral(job);
}

static void blame(struct tm_call_job *job, const char *cause)
{
	job->cause = cause ? cause : tm_err_text(TM_ENOMEM);
	job->cause_try = job->tries;
}

/* Adds the provider's last cause to the call's detail. */
static void note(struct tm_call_job *job)
{
	struct tm_call *call = job->call;
	const char *between = *call->detail ? "; " : "", *detail;

	if (!job->cause)
		return;
	if (job->cause_try > 0)
		detail = tm_arena_printf(call->arena, "%s%s%s: %s (attempt %d)", call->detail,
					 between, call->provider->name, job->cause,
					 job->cause_try);
	else
		detail = tm_arena_printf(call->arena, "%s%s%s: %s", call->detail, between,
					 call->provider->name, job->cause);
	call->detail = detail ? detail : tm_err_text(TM_ENOMEM);
	job->cause = NULL;
}

static void end(struct tm_call_job *job, enum tm_call_end how)
{
	struct tm_call *call = job->call;

	note(job);
	drop(job);
	if (job->state != TM_CALL_PENDING)
		job->run->active--;
	job->state = TM_CALL_ENDED;
	call->end = how;
	if (call->provider && !has_price(call->provider))
		call->cost = -1;
	if (call->ended)
		call->ended(call->arg);
}

void tm_call_job_end(struct tm_call_job *job, enum tm_call_end how, const char *cause)
{
	if (job->call->provider)
		blame(job, cause);
	else
		job->call->detail = cause;
	end(job, how);
}

static void end_late(struct tm_call_job *job)
{
	tm_call_job_end(job, TM_CALL_DEADLINE, "no answer before the deadline");
}

/* Goes on to the next provider, or ends. Unavailable outweighs the rest: it is the one end that
 * another try may change. */
static void leave(struct tm_call_job *job, enum tm_call_end how)
{
	if (job->spoken) {
		end(job, how);
		return;
	}
	note(job);
	drop(job);
	if (job->verdict != TM_CALL_UNAVAILABLE)
		job->verdict = how;
	if (job->at + 1 == job->call->providers_count) {
		end(job, job->verdict);
		return;
	}
	job->at++;
	job->tries = 0;
	job->plainness = 0;
	job->state = TM_CALL_READY;
}

/* The least of what the providers left behind asked for. */
static void suggest_wait(struct tm_call *call, int64_t wait_ms)
{
	if (wait_ms < TM_CALL_WAIT_MIN_MS)
		wait_ms = TM_CALL_WAIT_MIN_MS;
	if (!call->retry_after_ms || wait_ms < call->retry_after_ms)
		call->retry_after_ms = wait_ms;
}

/* The provider's own trouble. asked_ms: the wait it asked for, or -1. */
static void retry_later(struct tm_call_job *job, int64_t asked_ms)
{
	struct tm_call *call = job->call;
	int64_t wait_ms = asked_ms;
	bool again;

	if (wait_ms < 0)
		wait_ms = tm_backoff_wait_ms(call->retry, job->tries, tm_random_unit());
	again = !job->spoken && job->tries < call->retry->attempts &&
		wait_ms + LEFT_MIN_MS <= left_ms(job);
	if (tm_call_gate_failed(job, again)) {
		drop(job);
		job->due_ms = tm_clock_mono_ms() + wait_ms;
		job->state = TM_CALL_WAITING;
		return;
	}
	suggest_wait(call, wait_ms);
	leave(job, TM_CALL_UNAVAILABLE);
}

static void ask_again(struct tm_call_job *job)
{
	if (job->asked_again || job->spoken) {
		leave(job, TM_CALL_NONSENSE);
		return;
	}
	drop(job);
	job->asked_again = true;
	job->state = TM_CALL_READY;
}

/* The request was at fault, so this was no try. */
static void ask_plainer(struct tm_call_job *job)
{
	const struct tm_provider *kind = tm_provider_of(tm_call_job_provider(job)->kind);

	if (job->plainness >= kind->plainest || job->spoken) {
		leave(job, TM_CALL_REFUSED);
		return;
	}
	drop(job);
	job->plainness++;
	job->tries--;
	job->state = TM_CALL_READY;
}

/* An answer came. TM_OK: it is taken and the call has ended, also where memory ran out. */
static enum tm_err take(struct tm_call_job *job, const struct tm_llm_reply *reply)
{
	struct tm_call *call = job->call;
	enum tm_err err = call->accept ? call->accept(call->arg, reply) : TM_OK;

	if (err == TM_OK) {
		if (!job->spoken)	/* it came in one piece, and now it is known to do */
			tm_call_stream_tell(job, reply->text, reply->text_len);
		tm_call_gate_succeeded(job);
		call->reply = *reply;
		end(job, TM_CALL_ANSWERED);
	} else if (err == TM_ENOMEM) {
		tm_call_job_end(job, TM_CALL_FAILED, tm_err_text(err));
	} else {
		blame(job, tm_arena_printf(call->arena, "answer is of no use: %s",
					   tm_err_text(err)));
		return err;
	}
	return TM_OK;
}

/* A provider without a network. Asking it twice would bring the same answer twice. */
static void answer_here(struct tm_call_job *job, const struct tm_provider *kind)
{
	struct tm_call *call = job->call;
	struct tm_llm_reply reply = {0};
	enum tm_err err = kind->answer(call->prompt, call->arena, &reply);

	if (err == TM_ENOMEM) {
		tm_call_job_end(job, TM_CALL_FAILED, tm_err_text(err));
		return;
	}
	if (err != TM_OK) {
		blame(job, tm_err_text(err));
		leave(job, TM_CALL_REFUSED);
		return;
	}
	count_tokens(job, reply.input_tokens, reply.output_tokens);
	if (take(job, &reply) != TM_OK)
		leave(job, TM_CALL_NONSENSE);
}

static enum tm_err launch(struct tm_call_job *job, const struct tm_provider *kind)
{
	const struct tm_provider_conf *conf = tm_call_job_provider(job);
	const struct tm_llm_ask ask = {
		.prompt = job->call->prompt,
		.plainness = job->plainness,
		.stream = job->call->delta && !job->run->left,
	};
	struct tm_llm_wire wire = {0};
	struct tm_http_request request;
	int64_t total_ms = left_ms(job);
	enum tm_err err;

	tm_buf_init(&wire.body, BODY_MAX);
	err = kind->build(conf, &ask, job->call->arena, &wire);
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
		.connect_ms = job->run->limits->connect_ms,
		.total_ms = total_ms,
		.answer_max = job->run->limits->answer_max,
	};
	if (ask.stream)
		tm_call_stream_begin(job, &request);
	return tm_http_start(job->run->http, &request, &job->transfer);
}

/* True when an attempt may be made now; else the job has gone on. */
static bool may_begin(struct tm_call_job *job)
{
	int64_t wait_ms = 0;

	if (left_ms(job) < LEFT_MIN_MS) {
		end_late(job);
		return false;
	}
	if (!tm_call_gate_claim(job, &wait_ms)) {
		if (!job->cause)
			blame(job, "not asked, its circuit breaker is open");
		suggest_wait(job->call, wait_ms);
		leave(job, TM_CALL_UNAVAILABLE);
		return false;
	}
	if (left_ms(job) < LEFT_MIN_MS) {	/* the gate took its time */
		end_late(job);
		return false;
	}
	return true;
}

/* One attempt at the current provider. */
static void begin(struct tm_call_job *job)
{
	const struct tm_provider *kind = tm_provider_of(tm_call_job_provider(job)->kind);
	enum tm_err err;

	job->call->provider = tm_call_job_provider(job);
	if (kind->answer) {
		answer_here(job, kind);
		return;
	}
	if (!may_begin(job))
		return;
	tm_call_memory_recall(job);
	job->due_ms = 0;
	job->began_us = tm_clock_mono_us();
	job->silent_ms = job->claim.silence_ms ? job->began_us / 1000 + job->claim.silence_ms : 0;
	err = launch(job, kind);
	if (err == TM_OK) {
		job->tries++;
		job->call->attempts++;
		job->state = TM_CALL_FLYING;
	} else if (err == TM_ENOMEM) {
		tm_call_job_end(job, TM_CALL_FAILED, tm_err_text(err));
	} else {
		blame(job, tm_arena_printf(job->call->arena, "request cannot be made: %s",
					   tm_err_text(err)));
		leave(job, TM_CALL_REFUSED);
	}
}

/* The provider did not answer within the request's time. That is held against it only where it had
 * most of the time that attempts normally have: what came late in a request, or belongs to one that
 * is in a hurry, says nothing of others. */
static void strike(struct tm_call_job *job)
{
	int64_t had_ms = (tm_clock_mono_us() - job->began_us) / 1000;

	if (had_ms * FAIR_OF >= job->claim.fair_ms * FAIR_PART)
		(void)tm_call_gate_failed(job, false);
	end_late(job);
}

/* No whole response came: the transfer broke, or a stream stopped in the middle. */
static void land_broken(struct tm_call_job *job, const struct tm_http_result *result)
{
	bool stopped = result->err == TM_OK;
	enum tm_err err = stopped ? TM_EPROTO : result->err;

	blame(job, tm_arena_printf(job->call->arena, "%s: %.*s", tm_err_text(err), DETAIL_BYTES,
				   stopped ? "stream ended before the answer" : result->detail));
	if (err == TM_ENOMEM) {
		end(job, TM_CALL_FAILED);
	} else if (err == TM_ETIME && left_ms(job) < LEFT_MIN_MS) {
		strike(job);
	} else if (err == TM_ETIME && job->spoken) {
		(void)tm_call_gate_failed(job, false);
		end(job, TM_CALL_DEADLINE);
	} else if (err == TM_ESIZE && !tm_retry_status(result->status)) {
		leave(job, TM_CALL_NONSENSE);	/* not a second time */
	} else if (err == TM_EUTF8) {
		ask_again(job);
	} else if (err == TM_DENIED) {
		leave(job, TM_CALL_REFUSED);	/* a certificate gets no better */
	} else {
		retry_later(job, -1);
	}
}

/* A response was read. result: NULL where its transfer had not ended. */
static void conclude(struct tm_call_job *job, enum tm_llm_class class,
		     const struct tm_llm_reply *reply, const struct tm_http_result *result)
{
	int64_t asked_ms = -1;

	if (class == TM_LLM_SUCCESS || class == TM_LLM_NONSENSE)
		tm_call_memory_note(job);
	switch (class) {
	case TM_LLM_SUCCESS:
		if (take(job, reply) != TM_OK)
			ask_again(job);
		break;
	case TM_LLM_RETRY:
		if (result)
			asked_ms = tm_retry_after_ms(result->retry_after_ms, result->retry_after,
						     tm_clock_wall_ms());
		retry_later(job, asked_ms);
		break;
	case TM_LLM_REFUSED:
		leave(job, TM_CALL_REFUSED);
		break;
	case TM_LLM_NONSENSE:
		ask_again(job);
		break;
	case TM_LLM_PLAINER:
		ask_plainer(job);
		break;
	case TM_LLM_FAILED:
		end(job, TM_CALL_FAILED);
		break;
	}
}

static enum tm_llm_class read_whole(struct tm_call_job *job, const struct tm_http_result *result,
				    struct tm_llm_reply *reply, const char **cause)
{
	const struct tm_provider_conf *conf = tm_call_job_provider(job);
	const char *body = result->body;
	size_t len = result->body_len;
	enum tm_llm_class class;

	if (job->stream.asked) {
		body = tm_buf_text(&job->stream.whole);
		len = job->stream.whole.len;
	}
	class = tm_provider_of(conf->kind)->read(conf, result->status, body, len,
						 job->call->arena, reply, cause);
	count_tokens(job, reply->input_tokens, reply->output_tokens);
	return class;
}

/* A transfer is over, or need not be waited for any more (result NULL). What the reply holds
 * lives in the arena, so the transfer may go any time. */
static void land(struct tm_call_job *job, const struct tm_http_result *result)
{
	bool events = job->stream.asked && tm_call_stream_form(job) == TM_CALL_EVENTS;
	struct tm_llm_reply reply = {0};
	const char *cause = NULL;
	enum tm_llm_class class;

	if (result && (events ? !tm_call_stream_over(job) : result->err != TM_OK)) {
		land_broken(job, result);
		return;
	}
	class = events ? tm_call_stream_end(job, &reply, &cause) :
			 read_whole(job, result, &reply, &cause);
	if (class != TM_LLM_SUCCESS)
		blame(job, cause);
	conclude(job, class, &reply, result);
}

/* A probe is under way, and others wait for what it finds. */
static void watch_probe(struct tm_call_job *job)
{
	int status = tm_http_status(job->transfer);

	if (status >= 200 && status <= 299) {
		job->silent_ms = 0;
		tm_call_gate_alive(job);
	} else if (job->silent_ms && tm_clock_mono_ms() >= job->silent_ms) {
		blame(job, tm_arena_printf(job->call->arena, "no sign of life within %lld ms",
					   (long long)job->claim.silence_ms));
		retry_later(job, -1);
	}
}

static void fly(struct tm_call_job *job)
{
	const struct tm_http_result *result = tm_http_result(job->transfer);
	bool late = left_ms(job) <= 0;

	if (result)
		land(job, result);
	else if (tm_call_stream_over(job) &&
		 (late || (job->due_ms && tm_clock_mono_ms() >= job->due_ms)))
		land(job, NULL);
	else if (late)
		strike(job);
	else if (job->claim.probe)
		watch_probe(job);
}

static void limit(struct tm_call_job *job)
{
	int64_t limit_ms = job->call->limit_ms;

	if (limit_ms > 0 && limit_ms < left_ms(job))
		job->deadline_ms = tm_clock_mono_ms() + limit_ms;
}

static void admit(struct tm_call_job *job)
{
	if (job->run->active < job->run->parallel) {
		job->run->active++;
		job->state = TM_CALL_READY;
		limit(job);
		if (!job->call->providers_count) {
			suggest_wait(job->call, 0);
			tm_call_job_end(job, TM_CALL_UNAVAILABLE, "no provider is configured");
		}
	} else if (left_ms(job) <= 0) {
		end_late(job);
	}
}

bool tm_call_job_advance(struct tm_call_job *job)
{
	enum tm_call_state before = job->state;

	switch (job->state) {
	case TM_CALL_PENDING:
		admit(job);
		break;
	case TM_CALL_READY:
		begin(job);
		return true;
	case TM_CALL_FLYING:
		fly(job);
		break;
	case TM_CALL_WAITING:
		if (tm_clock_mono_ms() >= job->due_ms)
			job->state = TM_CALL_READY;
		break;
	case TM_CALL_ENDED:
		break;
	}
	return job->state != before;
}
