/*
 * Private to the engine: one call on its way (a job), and the run that it belongs to. call.c runs
 * jobs, call_job.c moves one on, call_stream.c takes its stream, call_gate.c what outlives it.
 */
#ifndef TM_LLM_CALL_JOB_H
#define TM_LLM_CALL_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/http.h"
#include "llm/call.h"
#include "llm/provider.h"
#include "llm/sse.h"

enum { TM_CALL_WAIT_MIN_MS = 1000 };	/* least wait that is suggested to a client */

/*
 *   PENDING -> READY -> FLYING -> ENDED        one attempt
 *                ^        |-> WAITING -> READY  the provider's own trouble
 *                |--------|                     asked again at once, or the next provider
 */
enum tm_call_state {
	TM_CALL_PENDING, TM_CALL_READY, TM_CALL_FLYING, TM_CALL_WAITING, TM_CALL_ENDED
};

enum tm_call_form { TM_CALL_UNSEEN, TM_CALL_WHOLE, TM_CALL_EVENTS };

/* What a transfer that was asked for as a stream has brought. */
struct tm_call_stream {
	bool asked;
	enum tm_call_form form;
	struct tm_buf whole;		/* a response in one piece, whatever its status */
	struct tm_sse sse;
	struct tm_llm_stream events;
	size_t passed;			/* bytes of the events' text seen to be whole code points */
	enum tm_err err;		/* why no more is taken: TM_ESIZE, TM_ENOMEM, TM_EUTF8 */
};

struct tm_call_job {
	struct tm_call_run *run;
	struct tm_call *call;
	enum tm_call_state state;
	size_t at;		/* provider, index */
	int tries;		/* on this provider */
	int plainness;		/* of the questions to it */
	bool asked_again;	/* the one more chance for an answer of no use is spent */
	bool claimed;		/* the gate let this attempt pass and awaits word of it */
	struct tm_call_claim claim;
	bool spoken;		/* text has gone to the client: there is no way back */
	int64_t due_ms;		/* WAITING: when to try again; FLYING: when a stream that is done
				 * need not end its transfer any more; 0: no such time */
	int64_t silent_ms;	/* FLYING: when a probe's response must have begun; or 0 */
	int64_t began_us;	/* FLYING: when it began */
	int64_t deadline_ms;	/* the call's, or its limit where that comes first */
	enum tm_call_end verdict;	/* of the providers left behind */
	const char *cause;	/* why the last attempt failed; NULL: noted, or none did */
	int cause_try;
	struct tm_http_call *transfer;
	struct tm_buf body;	/* of the transfer */
	struct tm_call_stream stream;
};

struct tm_call_run {
	struct tm_http *http;
	const struct tm_call_limits *limits;
	struct tm_call_job *jobs;
	size_t count;
	size_t active;		/* begun and not ended */
	size_t parallel;	/* most of them */
	int64_t tick_ms;	/* when the next tick is due */
	int64_t every_ms;	/* and the time between two */
	int watch_fd;
	bool left;		/* the client has: no more deltas */
	bool alone;		/* and the run goes on for somebody else */
};

/* Moves a job on by one transition. False: it can only wait, or has ended. */
bool tm_call_job_advance(struct tm_call_job *job);

/* Ends it, whatever it is at; nothing is held against the provider. cause: for the log. */
void tm_call_job_end(struct tm_call_job *job, enum tm_call_end how, const char *cause);

/* The provider it is at. */
const struct tm_provider_conf *tm_call_job_provider(const struct tm_call_job *job);

/* The gate's side of an attempt. Claim: false where nothing passes for *wait_ms. Failed: true when
 * it may be tried again. All but claim do nothing without a claim that waits for word. */
bool tm_call_gate_claim(struct tm_call_job *job, int64_t *wait_ms);
void tm_call_gate_alive(struct tm_call_job *job);
bool tm_call_gate_failed(struct tm_call_job *job, bool would_retry);
void tm_call_gate_succeeded(struct tm_call_job *job);
void tm_call_gate_neutral(struct tm_call_job *job);

/* Notes that the provider understood a question of the job's plainness (only then: a refusal may
 * have had another cause); makes the job's at least what was noted. */
void tm_call_memory_note(struct tm_call_job *job);
void tm_call_memory_recall(struct tm_call_job *job);

/* Makes a request one for a stream; what comes goes into the job's stream. */
void tm_call_stream_begin(struct tm_call_job *job, struct tm_http_request *request);
void tm_call_stream_clear(struct tm_call_job *job);

/* How the response came, known once its headers have. */
enum tm_call_form tm_call_stream_form(struct tm_call_job *job);

/* True when nothing more of the answer is to come, however the transfer ends. */
bool tm_call_stream_over(const struct tm_call_job *job);

/* What the events came to: as a provider's read does. */
enum tm_llm_class tm_call_stream_end(struct tm_call_job *job, struct tm_llm_reply *reply,
				     const char **cause);

/* Hands text to the client, if it is still there and wants it in pieces. */
void tm_call_stream_tell(struct tm_call_job *job, const char *text, size_t len);

#endif
