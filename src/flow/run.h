/*
 * One run of a text, shared by the files that move it on: process.c (the way of one), batch.c
 * (of many at once), miss.c (who asks the LLM), ask.c (the asking and what comes of it), fallback.c
 * (what stands in). Queueing and reading are separate, so that many runs share a round trip.
 */
#ifndef TM_FLOW_RUN_H
#define TM_FLOW_RUN_H

#include <stdbool.h>

#include "flow/cache.h"
#include "flow/flight.h"
#include "flow/process.h"
#include "llm/call.h"
#include "llm/provider.h"
#include "text/answer.h"
#include "text/prompt.h"

/* What the round trip before the call asks and says. */
struct tm_run_start {
	int charge_at, lead_at;			/* replies; -1: not asked */
	struct tm_policy policy[TM_POLICIES_MAX];
	struct tm_charge charge;
	enum tm_flight_state state;
	bool paid;				/* an LLM call is charged */
	bool refused;				/* none is left */
};

struct tm_run {
	struct tm_services *services;
	const struct tm_process *process;
	struct tm_outcome *out;
	struct tm_prompt prompt;
	struct tm_llm_prompt ask;
	const struct tm_provider_conf *providers[TM_PROVIDERS_MAX];
	struct tm_provider_conf first;		/* the first with another model put in */
	const struct tm_provider_conf *stand_in;	/* built in, behind others; NULL: none */
	size_t providers_count;
	char cache_name[TM_CACHE_NAME_BYTES];
	struct tm_cache_entry stale;		/* past its time; answer NULL where there is none */
	struct tm_run_start start;
	struct tm_flight flight;
	struct tm_answer answer;
};

/* What was taken for nothing: requests and LLM calls. */
struct tm_run_returns {
	int64_t requests, calls;
};

/* Looks at the breakers of all providers that some runs may ask. */
struct tm_run_looks {
	const struct tm_provider_conf *providers[TM_PROVIDERS_MAX];
	int at[TM_PROVIDERS_MAX];
	size_t count;
};

/* Prompt, providers, cache name. TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_run_prepare(struct tm_run *run);

/* Sets the end. Returns false, for "this run is over". */
bool tm_run_end(struct tm_run *run, enum tm_process_end end);

/* One blocking round trip of what is queued, timed. */
enum tm_err tm_run_redis(struct tm_run *run);

/* Decides a charge with Redis' reply or, where there is none, with this process' own count.
 * False: limit.on_redis_down says that no one passes; the run is over. */
bool tm_run_decide(struct tm_run *run, enum tm_err redis_err, int reply_index,
		   const struct tm_charge *charge, struct tm_verdict *verdict);

/* The question for a stored answer; its reply's index, -1 where none is wanted. Read is true
 * when a fresh one has answered; one past its time is kept for when nobody does. */
int tm_run_queue_get(struct tm_run *run);
bool tm_run_read_get(struct tm_run *run, int at);

/* Answers from a stored entry: a copy goes into the outcome. False: out of memory. */
bool tm_run_take_entry(struct tm_run *run, const struct tm_cache_entry *entry);

/* The start of a miss: an LLM call is charged, and who leads is asked. Read, after the round trip
 * that ended as redis_err: true to go on as start.state says, false when the run is over. Either
 * way what was taken for nothing must be returned once the pipeline has ended. */
void tm_run_queue_start(struct tm_run *run);
void tm_run_queue_looks(struct tm_run *run, struct tm_run_looks *looks);
bool tm_run_read_start(struct tm_run *run, enum tm_err redis_err);
void tm_run_read_looks(struct tm_services *services, const struct tm_run_looks *looks);

/* Queues that a refused run leads no more; adds to back what it has taken for nothing. */
void tm_run_queue_returns(struct tm_run *run, struct tm_run_returns *back);

/* Gives it back, in one pipeline with what is queued; the pipeline has ended then. Requests
 * before the answer leaves, so that who is told "nothing spent" finds nothing spent. */
void tm_run_give_back(struct tm_run *run, const struct tm_run_returns *back);

/* One question of a follower, read likewise: true to go on as start.state says. */
int tm_run_queue_poll(struct tm_run *run);
bool tm_run_read_poll(struct tm_run *run, enum tm_err redis_err, int at);

/* A follower leads now: an LLM call is charged, in a round trip. False: the run is over. */
bool tm_run_pay(struct tm_run *run);

/* The call, the limits of its round of calls, and what came of it. */
void tm_run_fill_call(struct tm_run *run, struct tm_call *call);
void tm_run_fill_limits(struct tm_run *run, struct tm_call_limits *limits);
void tm_run_take_call(struct tm_run *run, const struct tm_call *call);

/* Settles a run that has called: stores the answer, or tells the failure, and frees the lock.
 * wait: until Redis says that it has stored; else it is only sent. */
void tm_run_settle(struct tm_run *run, bool wait);

/* After an end that is no answer: a stale entry or the extractive provider may stand in. */
void tm_run_fall_back(struct tm_run *run);

/* Renders run->answer as the outcome's answer and meta. */
TM_CHECK enum tm_err tm_run_render(struct tm_run *run, const char *provider, const char *model);

/* The miss of one run alone: leads or follows a flight, calls, settles. */
void tm_run_miss(struct tm_run *run);

#endif
