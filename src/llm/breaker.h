/*
 * Circuit breaker and retry budget per provider: one state machine for all workers of all hosts
 * in Redis (script/breaker.lua decides and counts in one step on Redis' clock), the same
 * machine per process while Redis is away.
 *
 *   closed     calls pass; opens at threshold failures in a row, or when of at least min_calls
 *              calls in window_ms ratio percent have failed; with a margin for what chance brings
 *              about in a provider that fails now and then (breaker.c)
 *   open       no call passes until recovery_ms, give or take a tenth, are over
 *   half-open  exactly one call passes, everywhere; its success, or first sign of one, closes, its
 *              failure opens again, recovery_ms after it began
 *
 * A probe has its claim for probe_ms, so that neither a dead owner nor a provider that hangs holds
 * up the next one. Its owner gives it up then, but for one at a time, which is told to be patient:
 * a provider whose answers take longer than a claim would never be seen to be well otherwise. The
 * patient one's success closes whatever else is out.
 *
 * Every change of state begins another turn. An outcome counts in the turn of its claim only: what
 * was begun before an opening says nothing of the provider as it is after it.
 *
 * A failure is the provider's own trouble (no connection, time-out, 408, 429, 5xx); what the
 * request brought upon itself never counts.
 *
 * Circuit breaker: M. Nygard, "Release It!", 2007. Retry budget: a reserve of
 * 10 retries a second plus 20 % of calls, as in Twitter's Finagle.
 */
#ifndef TM_LLM_BREAKER_H
#define TM_LLM_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct tm_redis;
struct tm_reply;

struct tm_breaker_conf {
	int64_t threshold;	/* failures in a row, 1..1000 */
	int64_t min_calls;	/* calls in a window below which the ratio says nothing */
	int64_t ratio;		/* percent, 1..100 */
	int64_t window_ms;
	int64_t recovery_ms;
	int64_t probe_ms;	/* how long a probe has its claim */
	int64_t patience_ms;	/* longest life of a patient one: a call's deadline */
};

enum tm_breaker_state { TM_BREAKER_CLOSED, TM_BREAKER_OPEN, TM_BREAKER_HALF_OPEN };

enum tm_breaker_op {
	TM_BREAKER_LOOK,	/* change nothing; passes says whether a claim could pass now */
	TM_BREAKER_CLAIM,	/* before an attempt: passes says whether it may be made */
	TM_BREAKER_ALIVE,	/* it succeeds as it seems; the outcome is still to come */
	TM_BREAKER_SUCCESS,	/* after it */
	TM_BREAKER_FAILURE,
	TM_BREAKER_RETRY,	/* failure, and may it be tried again? passes says */
	TM_BREAKER_NEUTRAL,	/* ended without a word on the provider: a probe is handed back */
	TM_BREAKER_RESET
};

enum { TM_BREAKER_ELSEWHERE = -1 };	/* turn of what another machine's claim let pass */

struct tm_breaker_ask {
	enum tm_breaker_op op;
	int64_t turn;		/* of outcomes: the claim's, or _ELSEWHERE */
	double unit;		/* random in [0, 1) */
};

/* How a breaker stands after a step. */
struct tm_breaker_view {
	enum tm_breaker_state state;
	bool passes;
	bool probe;		/* CLAIM: this attempt is the probe */
	bool patient;		/* and may outlive its claim */
	bool opened, closed;	/* this very step did it */
	int64_t wait_ms;	/* until a call may pass; 0 while closed */
	int64_t turn;		/* goes with the outcome of what passes */
	int64_t calls, failures, retries, opens;	/* since the record exists */
};

/* Queues a step into redis' pipeline; index of the reply, or -1. */
int tm_breaker_queue(struct tm_redis *redis, const char *prefix, const char *provider,
		     const struct tm_breaker_conf *conf, const struct tm_breaker_ask *ask);

/* Reads its reply. TM_OK; TM_EPROTO not the script's answer. */
TM_CHECK enum tm_err tm_breaker_read(const struct tm_reply *reply, struct tm_breaker_view *view);

/* One provider's machine in this process. Zeroed: closed. */
struct tm_breaker_local {
	enum tm_breaker_state state;
	int64_t until_ms, turn, row;
	int64_t early, patient, patient_until_ms;
	int64_t window_ms, window_calls, window_failures, good_before;
	int64_t budget_ms, budget_calls, budget_retries;
	int64_t calls, failures, retries, opens;
};

void tm_breaker_step(struct tm_breaker_local *breaker, const struct tm_breaker_conf *conf,
		     const struct tm_breaker_ask *ask, int64_t now_ms,
		     struct tm_breaker_view *view);

/* "closed", "open", "half_open". */
const char *tm_breaker_state_text(enum tm_breaker_state state);

#endif
