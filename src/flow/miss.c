/*
 * A miss. Of equal requests in flight anywhere one asks the LLM; who that is, whether an LLM
 * call is left in the hour, and how the breakers stand is learned in one round trip. The end is
 * settled in another: the answer or the failure goes to whoever waits for it.
 *
 * Without Redis, or for a request that must not share (no-cache, no-store), everybody asks
 * alone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "flow/run.h"
#include "io/peer.h"
#include "io/redis.h"
#include "llm/breakers.h"

static bool needs_network(const struct tm_provider_conf *provider)
{
	return provider->kind != TM_PROVIDER_EXTRACTIVE;
}

static bool shares(const struct tm_run *run)
{
	return run->process->settings->cache.enabled && !run->process->no_cache &&
	       !run->process->no_store && tm_redis_up(run->services->redis);
}

static void queue_charge(struct tm_run *run)
{
	const struct tm_settings *settings = run->process->settings;
	struct tm_run_start *start = &run->start;

	start->charge_at = -1;
	start->charge = (struct tm_charge){.key_id = run->process->principal->id,
					   .take = start->policy, .cost = 1};
	if (needs_network(run->providers[0]))
		start->charge.take_count = tm_process_llm_policy(settings, start->policy);
	if (start->charge.take_count > 0)
		start->charge_at = tm_limit_queue(run->services->redis, settings->redis.prefix,
						  &start->charge);
}

/* False: nobody passes, the run is over. */
static bool decide_charge(struct tm_run *run, enum tm_err redis_err, struct tm_verdict *verdict)
{
	struct tm_run_start *start = &run->start;

	*verdict = (struct tm_verdict){.passed = true};
	if (start->charge.take_count == 0)
		return true;
	if (!tm_run_decide(run, redis_err, start->charge_at, &start->charge, verdict))
		return false;
	start->paid = verdict->passed;
	return true;
}

static bool refuse(struct tm_run *run, const struct tm_verdict *verdict)
{
	struct tm_outcome *out = run->out;

	run->start.refused = true;
	out->policies[0] = run->start.policy[0];
	out->policies_count = 1;
	out->verdict = *verdict;
	out->retry_after_ms = verdict->retry_ms;
	return tm_run_end(run, TM_PROCESS_QUOTA);
}

/* Reads an entry that an equal request has stored meanwhile. False: the run is over; true: the
 * entry is spoilt, and this request asks alone and stores a better one. */
static bool take_shared(struct tm_run *run, const struct tm_reply *reply)
{
	struct tm_cache_entry entry;

	if (tm_cache_read(reply, &entry) != TM_OK) {
		run->start.state = TM_FLIGHT_LEAD;
		return true;
	}
	run->out->collapsed = true;
	(void)tm_run_take_entry(run, &entry);
	return false;
}

/* The failure of the leader this one followed: "<end> <retry_after_ms> <detail>". */
static bool take_failure(struct tm_run *run, const struct tm_reply *reply)
{
	struct tm_outcome *out = run->out;
	char *wait, *detail;
	long end = strtol(reply->text, &wait, 10);

	out->collapsed = true;
	out->retry_after_ms = strtoll(wait, &detail, 10);
	if (detail == wait || *detail != ' ' || end < TM_PROCESS_REFUSED ||
	    end > TM_PROCESS_DEADLINE)
		return tm_run_end(run, TM_PROCESS_UNAVAILABLE);
	out->detail = tm_arena_printf(run->process->arena, "an equal request failed: %s",
				      detail + 1);
	if (!out->detail)
		out->detail = "";
	return tm_run_end(run, (enum tm_process_end)end);
}

void tm_run_queue_start(struct tm_run *run)
{
	struct tm_run_start *start = &run->start;

	*start = (struct tm_run_start){.state = TM_FLIGHT_LEAD, .lead_at = -1};
	queue_charge(run);
	if (!shares(run))
		return;
	tm_flight_init(&run->flight, run->process->settings->redis.prefix, run->cache_name,
		       run->process->token);
	start->lead_at = tm_flight_queue_lead(run->services->redis, &run->flight);
}

void tm_run_queue_looks(struct tm_run *run, struct tm_run_looks *looks)
{
	for (size_t i = 0; i < run->providers_count; i++) {
		const struct tm_provider_conf *provider = run->providers[i];
		size_t at = 0;

		while (at < looks->count && strcmp(looks->providers[at]->name, provider->name) != 0)
			at++;
		if (!needs_network(provider) || at < looks->count || at == TM_PROVIDERS_MAX)
			continue;
		looks->providers[at] = provider;
		looks->at[at] = tm_breakers_queue_look(run->services->breakers, provider);
		looks->count++;
	}
}

void tm_run_read_looks(struct tm_services *services, const struct tm_run_looks *looks)
{
	for (size_t i = 0; i < looks->count; i++)
		tm_breakers_seen(services->breakers, looks->providers[i],
				 tm_redis_reply(services->redis, looks->at[i]));
}

bool tm_run_read_start(struct tm_run *run, enum tm_err redis_err)
{
	struct tm_run_start *start = &run->start;
	const struct tm_reply *text = NULL;
	struct tm_verdict verdict;

	if (redis_err == TM_OK && start->lead_at >= 0 &&
	    tm_flight_read_lead(tm_redis_reply(run->services->redis, start->lead_at),
				&run->flight, &start->state, &text) != TM_OK)
		start->state = TM_FLIGHT_LEAD;
	if (!decide_charge(run, redis_err, &verdict))
		return false;
	if (start->state == TM_FLIGHT_ENTRY && !take_shared(run, text))
		return false;
	return start->state != TM_FLIGHT_LEAD || verdict.passed || refuse(run, &verdict);
}

void tm_run_queue_returns(struct tm_run *run, struct tm_run_returns *back)
{
	struct tm_run_start *start = &run->start;

	if (start->refused) {
		start->refused = false;
		back->requests += run->process->charged ? 0 : 1;
		if (run->flight.leads)
			(void)tm_flight_queue_dropped(run->services->redis, &run->flight);
		run->flight.leads = false;
	}
	if (start->paid && start->state != TM_FLIGHT_LEAD) {
		start->paid = false;
		back->calls++;
	}
}

void tm_run_give_back(struct tm_run *run, const struct tm_run_returns *back)
{
	const struct tm_process *process = run->process;
	struct tm_services *services = run->services;
	struct tm_policy requests[TM_POLICIES_MAX], calls[TM_POLICIES_MAX];
	const struct tm_charge charges[] = {
		{.key_id = process->principal->id, .back = requests, .back_cost = back->requests,
		 .back_count = tm_process_policies(process->settings, process->principal,
						   requests)},
		{.key_id = process->principal->id, .back = calls, .back_cost = back->calls,
		 .back_count = tm_process_llm_policy(process->settings, calls)},
	};
	struct tm_verdict unused;
	enum tm_err err;

	for (size_t i = 0; i < 2; i++)
		if (charges[i].back_cost > 0 && charges[i].back_count > 0)
			(void)tm_limit_queue(services->redis, process->settings->redis.prefix,
					     &charges[i]);
	err = back->requests > 0 ? tm_run_redis(run) : tm_redis_send(services->redis);
	for (size_t i = 0; err != TM_OK && i < 2; i++)
		if (charges[i].back_cost > 0 && charges[i].back_count > 0)
			tm_limit_local_take(services->local_limits, &charges[i],
					    tm_clock_mono_us(), &unused);
	tm_redis_end(services->redis);
}

static void give_back_own(struct tm_run *run)
{
	struct tm_run_returns back = {0};

	tm_run_queue_returns(run, &back);
	if (back.requests > 0 || back.calls > 0)
		tm_run_give_back(run, &back);
}

/* The first round trip of a miss. True: go on as start.state says; false: the run is over. */
static bool begin(struct tm_run *run)
{
	struct tm_run_looks looks = {0};
	enum tm_err err;
	bool go_on;

	tm_run_queue_start(run);
	tm_run_queue_looks(run, &looks);
	err = tm_run_redis(run);
	if (err == TM_OK)
		tm_run_read_looks(run->services, &looks);
	go_on = tm_run_read_start(run, err);
	tm_redis_end(run->services->redis);
	give_back_own(run);
	return go_on;
}

bool tm_run_pay(struct tm_run *run)
{
	struct tm_verdict verdict;
	enum tm_err err;
	bool go_on;

	queue_charge(run);
	if (run->start.charge.take_count == 0)
		return true;
	err = tm_run_redis(run);
	go_on = decide_charge(run, err, &verdict) && (verdict.passed || refuse(run, &verdict));
	tm_redis_end(run->services->redis);
	give_back_own(run);
	return go_on;
}

int tm_run_queue_poll(struct tm_run *run)
{
	return tm_flight_queue_lead(run->services->redis, &run->flight);
}

bool tm_run_read_poll(struct tm_run *run, enum tm_err redis_err, int at)
{
	struct tm_run_start *start = &run->start;
	const struct tm_reply *text = NULL;

	if (redis_err != TM_OK ||
	    tm_flight_read_lead(tm_redis_reply(run->services->redis, at), &run->flight,
				&start->state, &text) != TM_OK) {
		run->flight.leads = false;	/* without Redis everybody asks alone */
		start->state = TM_FLIGHT_LEAD;
	}
	if (start->state == TM_FLIGHT_ENTRY)
		return take_shared(run, text);
	if (start->state == TM_FLIGHT_FAILED)
		return take_failure(run, text);
	return true;
}

/* Waits for the leader. True: this one leads now. */
static bool follow(struct tm_run *run)
{
	const struct tm_process *process = run->process;
	int64_t pause_ms = TM_FLIGHT_POLL_MIN_MS;

	while (run->start.state == TM_FLIGHT_FOLLOW) {
		int64_t left_ms = process->deadline_ms - tm_clock_mono_ms();
		bool go_on;
		int at;

		if (left_ms <= 0) {
			run->out->detail = "an equal request had no answer in time";
			return tm_run_end(run, TM_PROCESS_DEADLINE);
		}
		if (tm_peer_gone(process->watch_fd, pause_ms < left_ms ? pause_ms : left_ms)) {
			run->out->detail = "the client left while an equal request was asked";
			return tm_run_end(run, TM_PROCESS_GONE);
		}
		if (process->tick)
			process->tick(process->arg);
		at = tm_run_queue_poll(run);
		go_on = tm_run_read_poll(run, tm_run_redis(run), at);
		tm_redis_end(run->services->redis);
		if (!go_on)
			return false;
		pause_ms = pause_ms * 2 < TM_FLIGHT_POLL_MAX_MS ? pause_ms * 2
								 : TM_FLIGHT_POLL_MAX_MS;
	}
	return tm_run_pay(run);
}

/* Every second of a call: the lock holds on, and a stream shows life. */
static void tick(void *arg)
{
	struct tm_run *run = arg;
	struct tm_redis *redis = run->services->redis;

	if (run->flight.leads) {
		(void)tm_flight_queue_renew(redis, &run->flight);
		if (tm_redis_send(redis) != TM_OK)
			run->flight.leads = false;
		tm_redis_end(redis);
	}
	if (run->process->tick)
		run->process->tick(run->process->arg);
}

/* The client has left: the call goes on only if somebody else waits for it. */
static bool may_drop(void *arg)
{
	struct tm_run *run = arg;
	struct tm_redis *redis = run->services->redis;
	bool followed = false;
	int at;

	if (run->flight.leads) {
		at = tm_flight_queue_renew(redis, &run->flight);
		followed = tm_run_redis(run) == TM_OK && tm_redis_reply(redis, at)->integer == 2;
		tm_redis_end(redis);
	}
	return !followed;
}

void tm_run_miss(struct tm_run *run)
{
	struct tm_call_limits limits;
	struct tm_call call;

	if (!begin(run) || (run->start.state == TM_FLIGHT_FOLLOW && !follow(run)))
		return;
	tm_run_fill_call(run, &call);
	tm_run_fill_limits(run, &limits);
	limits.parallel = 1;
	limits.tick = tick;
	limits.may_drop = may_drop;
	limits.arg = run;
	if (tm_calls_run(run->services->http, &call, 1, &limits) == TM_OK)
		tm_run_take_call(run, &call);
	else
		tm_run_end(run, TM_PROCESS_NOMEM);
	tm_run_settle(run, true);
}
