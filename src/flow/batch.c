/*
 * A batch's way. Every item is a run as a single request has one; what a single request asks in
 * a round trip of its own, all runs of a batch ask in one.
 *
 * Items that follow a call of somebody else are polled together, in the ticks of the own calls
 * and after them. One that has to take over a call waits for the next round of calls; its lock
 * is renewed until then.
 */
#include "flow/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow/run.h"
#include "io/peer.h"
#include "io/redis.h"

enum { CLAIM_GRACE_MS = 5000, REDIS_RETRY_MS = 1000, RENEW_MS = 1000, VALUE_HEAD_BYTES = 64 };

_Static_assert(2 * TM_BATCH_ITEMS_MAX + TM_PROVIDERS_MAX + 4 <= TM_REDIS_PIPELINE,
	       "a batch's questions do not fit into a pipeline");

enum stage {
	LOOKING,	/* nothing is known yet */
	CALLING,	/* it leads, or asks alone: to be called, or being called */
	FOLLOWING,
	OVER
};

struct item {
	struct tm_run run;	/* first: the engine hands it back as this item */
	struct tm_process process;
	struct tm_call *call;	/* in the round that runs; else NULL */
	struct batch *batch;
	size_t index;
	enum stage stage;
	int at;			/* reply */
	bool go_on;		/* what reading said */
};

struct batch {
	struct tm_services *services;
	struct tm_batch_work *work;
	struct item *items;	/* one per entry; those that are not done are OVER from the start */
	struct tm_call *calls;
	size_t *first;
	int64_t renew_ms;	/* steady clock: when locks are renewed next */
	int64_t pause_ms;	/* between polls without calls */
	bool left;		/* the client has */
};

void tm_batch_pair(const char *const *names, size_t count, size_t *first)
{
	for (size_t i = 0; i < count; i++) {
		first[i] = i;
		for (size_t j = 0; names[i] && j < i && first[i] == i; j++)
			if (names[j] && strcmp(names[j], names[i]) == 0)
				first[i] = j;
	}
}

static bool any(const struct batch *batch, enum stage stage)
{
	for (size_t i = 0; i < batch->work->count; i++)
		if (batch->items[i].stage == stage)
			return true;
	return false;
}

/* Out of the pipelines: the stand-in may use Redis, and so may who is told. */
static void finish(struct item *item)
{
	struct tm_batch_work *work = item->batch->work;

	item->stage = OVER;
	tm_run_fall_back(&item->run);
	item->run.out->ended_us = tm_clock_mono_us();
	if (work->ended)
		work->ended(work->arg, item->index);
}

static enum tm_err prepare(struct batch *batch)
{
	const char *names[TM_BATCH_ITEMS_MAX] = {NULL};
	struct tm_batch_work *work = batch->work;

	batch->items = tm_arena_alloc(work->arena, work->count * sizeof(*batch->items));
	batch->calls = tm_arena_alloc(work->arena, work->count * sizeof(*batch->calls));
	batch->first = tm_arena_alloc(work->arena, work->count * sizeof(*batch->first));
	if (!batch->items || !batch->calls || !batch->first)
		return TM_ENOMEM;
	for (size_t i = 0; i < work->count; i++) {
		struct tm_batch_entry *entry = &work->entries[i];
		struct item *item = &batch->items[i];

		entry->outcome = (struct tm_outcome){.detail = ""};
		*item = (struct item){.batch = batch, .index = i, .stage = OVER, .at = -1};
		if (!entry->task)
			continue;
		item->process = (struct tm_process){
			.settings = work->settings, .principal = work->principal,
			.arena = work->arena, .token = work->token,
			.task = *entry->task, .no_cache = work->no_cache,
			.no_store = work->no_store, .only_if_cached = work->only_if_cached,
			.deadline_ms = work->deadline_ms, .arrived_ms = work->arrived_ms,
			.watch_fd = work->watch_fd,
		};
		item->run.services = batch->services;
		item->run.process = &item->process;
		item->run.out = &entry->outcome;
		if (tm_run_prepare(&item->run) != TM_OK)
			return TM_ENOMEM;
		names[i] = item->run.cache_name;
		item->stage = LOOKING;
	}
	tm_batch_pair(names, work->count, batch->first);
	for (size_t i = 0; i < work->count; i++)
		if (batch->first[i] != i)
			batch->items[i].stage = OVER;
	return TM_OK;
}

static enum tm_err run_redis(struct batch *batch)
{
	int64_t start_us = tm_clock_mono_us();
	enum tm_err err = tm_redis_run(batch->services->redis);

	batch->work->redis_us += tm_clock_mono_us() - start_us;
	return err;
}

/* What a refused batch has taken: its claim, its requests. Waited for, so that who is told
 * "nothing spent" finds nothing spent. */
static void undo(struct batch *batch, bool claimed, const struct tm_charge *charge)
{
	struct tm_redis *redis = batch->services->redis;
	const struct tm_batch_work *work = batch->work;
	const struct tm_charge back = {.key_id = work->principal->id, .back = work->policies,
				       .back_count = work->policies_count,
				       .back_cost = charge ? charge->cost : 0};

	if (claimed)
		(void)tm_redis_queuef(redis, "DEL %s", work->id_claim);
	if (charge && back.back_count > 0)
		(void)tm_limit_queue(redis, work->settings->redis.prefix, &back);
	if (run_redis(batch) != TM_OK)
		batch->work->end = TM_BATCH_REDIS_DOWN;	/* both lapse by themselves */
	tm_redis_end(redis);
}

/* What the first round trip said of the batch as a whole. */
static enum tm_batch_end judge(struct batch *batch, const struct tm_charge *charge, int charge_at,
			       const struct tm_reply *claim)
{
	struct tm_batch_work *work = batch->work;
	const struct tm_reply *reply = tm_redis_reply(batch->services->redis, charge_at);

	if (charge->take_count > 0 && tm_limit_read(reply, charge, &work->verdict) != TM_OK)
		return TM_BATCH_REDIS_DOWN;
	if (claim->kind == TM_REPLY_TEXT) {
		work->object = tm_arena_dup(work->arena, claim->text, claim->len);
		work->object_len = claim->len;
		return work->object ? TM_BATCH_ANSWERED : TM_BATCH_NOMEM;
	}
	if (claim->integer != 1)
		return TM_BATCH_CONFLICT;
	if (charge->take_count > 0 && !work->verdict.passed)
		return TM_BATCH_LIMITED;
	return TM_BATCH_DONE;
}

static int queue_claim(const struct batch *batch)
{
	const struct tm_batch_work *work = batch->work;
	int64_t left_ms = work->deadline_ms - tm_clock_mono_ms();
	char life[24], count[24];
	const char *argv[] = {work->id_claim, work->claim, life, count};

	(void)snprintf(life, sizeof(life), "%" PRId64,
		       (left_ms > 0 ? left_ms : 0) + CLAIM_GRACE_MS);
	(void)snprintf(count, sizeof(count), "%zu", work->count);
	return tm_redis_queue_script(batch->services->redis, TM_SCRIPT_CLAIM, 1, 4, argv, NULL);
}

/*
 * Admission of all, the claim of the id and all lookups: one round trip. A batch needs Redis:
 * without it nobody could tell that the id is used once. True: go on.
 */
static bool admit(struct batch *batch)
{
	struct tm_redis *redis = batch->services->redis;
	struct tm_batch_work *work = batch->work;
	struct tm_charge charge = {.key_id = work->principal->id, .take = work->policies,
				   .cost = (int64_t)work->count};
	int charge_at = -1, claim_at;
	bool claimed, passed;

	work->policies_count = tm_process_policies(work->settings, work->principal,
						   work->policies);
	charge.take_count = work->policies_count;
	if (charge.take_count > 0)
		charge_at = tm_limit_queue(redis, work->settings->redis.prefix, &charge);
	claim_at = queue_claim(batch);
	for (size_t i = 0; i < work->count; i++)
		if (batch->items[i].stage == LOOKING)
			batch->items[i].at = tm_run_queue_get(&batch->items[i].run);
	if (run_redis(batch) != TM_OK || tm_redis_reply(redis, claim_at)->kind == TM_REPLY_ERROR) {
		work->end = TM_BATCH_REDIS_DOWN;
		tm_redis_end(redis);
		return false;
	}
	work->end = judge(batch, &charge, charge_at, tm_redis_reply(redis, claim_at));
	claimed = tm_redis_reply(redis, claim_at)->integer == 1;
	passed = (work->end == TM_BATCH_CONFLICT || work->end == TM_BATCH_ANSWERED) &&
		 work->verdict.passed;
	for (size_t i = 0; work->end == TM_BATCH_DONE && i < work->count; i++) {
		struct item *item = &batch->items[i];

		item->go_on = item->stage != LOOKING || !tm_run_read_get(&item->run, item->at);
	}
	tm_redis_end(redis);
	if (work->end == TM_BATCH_DONE)
		return true;
	if (claimed || passed)
		undo(batch, claimed, passed ? &charge : NULL);
	return false;
}

/* Hits are over; misses too, where only stored answers are wanted. */
static void take_hits(struct batch *batch)
{
	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage != LOOKING)
			continue;
		if (item->go_on && item->process.only_if_cached)
			item->go_on = tm_run_end(&item->run, TM_PROCESS_NOT_CACHED);
		if (!item->go_on)
			finish(item);
	}
}

static void enter(struct item *item)
{
	item->stage = item->run.start.state == TM_FLIGHT_FOLLOW ? FOLLOWING : CALLING;
}

/* One round trip for the starts of all misses; adds to back what was taken for nothing. The last of
 * them; NULL: there was none. */
static struct item *start_round(struct batch *batch, struct tm_run_returns *back)
{
	struct tm_run_looks looks = {0};
	struct item *last = NULL;
	enum tm_err err;

	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage != LOOKING)
			continue;
		tm_run_queue_start(&item->run);
		last = item;
	}
	if (!last)
		return NULL;
	for (size_t i = 0; i < batch->work->count; i++)
		if (batch->items[i].stage == LOOKING)
			tm_run_queue_looks(&batch->items[i].run, &looks);
	err = run_redis(batch);
	if (err == TM_OK)
		tm_run_read_looks(batch->services, &looks);
	for (size_t i = 0; i < batch->work->count; i++)
		if (batch->items[i].stage == LOOKING)
			batch->items[i].go_on = tm_run_read_start(&batch->items[i].run, err);
	tm_redis_end(batch->services->redis);
	for (size_t i = 0; i < batch->work->count; i++)
		if (batch->items[i].stage == LOOKING)
			tm_run_queue_returns(&batch->items[i].run, back);
	return last;
}

/* Those that go on do; the others stay, for another round or to be over. */
static void enter_started(struct batch *batch)
{
	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage == LOOKING && item->go_on)
			enter(item);
		else if (item->stage == LOOKING && item->run.out->end != TM_PROCESS_QUOTA)
			finish(item);
	}
}

/*
 * The starts of all misses. Each is charged an LLM call before it is known whether it needs one:
 * where some follow somebody else's and give theirs back, those that were refused try once more.
 */
static void start_misses(struct batch *batch)
{
	struct tm_run_returns back = {0};
	struct item *last = start_round(batch, &back);

	enter_started(batch);
	if (back.calls > 0 && back.requests > 0) {
		tm_run_give_back(&last->run, &(struct tm_run_returns){.calls = back.calls});
		back = (struct tm_run_returns){0};
		for (size_t i = 0; i < batch->work->count; i++)
			if (batch->items[i].stage == LOOKING)
				*batch->items[i].run.out = (struct tm_outcome){.detail = ""};
		last = start_round(batch, &back);
		enter_started(batch);
	}
	if (back.requests > 0 || back.calls > 0)
		tm_run_give_back(&last->run, &back);
	for (size_t i = 0; i < batch->work->count; i++)
		if (batch->items[i].stage == LOOKING)
			finish(&batch->items[i]);
}

/* What was polled: an answer, a failure, or the lead, which must be paid for. */
static void take_polled(struct batch *batch)
{
	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage != FOLLOWING || item->at < 0)
			continue;
		if (item->go_on && item->run.start.state == TM_FLIGHT_LEAD)
			item->go_on = tm_run_pay(&item->run);
		if (item->go_on)
			enter(item);
		else
			finish(item);
	}
}

/* Renews the locks where that is due, and polls for those that follow, in one round trip. */
static void keep_up(struct batch *batch)
{
	struct tm_redis *redis = batch->services->redis;
	bool following = any(batch, FOLLOWING);
	bool renew = tm_clock_mono_ms() >= batch->renew_ms;
	enum tm_err err;

	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		item->at = -1;
		if (item->stage == FOLLOWING)
			item->at = tm_run_queue_poll(&item->run);
		else if (item->stage == CALLING && renew && item->run.flight.leads)
			(void)tm_flight_queue_renew(redis, &item->run.flight);
	}
	if (renew)
		batch->renew_ms = tm_clock_mono_ms() + RENEW_MS;
	err = following ? run_redis(batch) : tm_redis_send(redis);
	for (size_t i = 0; following && i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage == FOLLOWING)
			item->go_on = tm_run_read_poll(&item->run, err, item->at);
	}
	tm_redis_end(redis);
	if (following)
		take_polled(batch);
}

static void tick(void *arg)
{
	keep_up(arg);
}

/* The client has left: only calls that somebody else waits for go on. */
static bool may_drop(void *arg)
{
	struct batch *batch = arg;
	struct tm_redis *redis = batch->services->redis;
	bool followed = false;
	enum tm_err err;

	batch->left = true;
	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		item->at = -1;
		if (item->stage == CALLING && item->call && item->run.flight.leads)
			item->at = tm_flight_queue_renew(redis, &item->run.flight);
	}
	err = run_redis(batch);
	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];
		bool wanted = err == TM_OK && tm_redis_reply(redis, item->at)->integer == 2;

		if (item->call)
			item->call->unwanted = !wanted;
		followed = followed || wanted;
	}
	tm_redis_end(redis);
	return !followed;
}

/* One call of a round is over: it is settled at once, while the others run. */
static void call_ended(void *arg)
{
	struct item *item = arg;
	struct tm_call *call = item->call;

	item->call = NULL;
	tm_run_take_call(&item->run, call);
	item->batch->left = item->batch->left || call->end == TM_CALL_GONE;
	tm_run_settle(&item->run, false);
	finish(item);
}

static void fail_round(struct batch *batch)
{
	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage != CALLING || !item->call)
			continue;
		item->call = NULL;
		tm_run_end(&item->run, TM_PROCESS_NOMEM);
		tm_run_settle(&item->run, false);
		finish(item);
	}
}

/* All that are to be called now, side by side. */
static void call_round(struct batch *batch)
{
	const struct tm_settings *settings = batch->work->settings;
	int64_t start_us = tm_clock_mono_us();
	struct tm_call_limits limits;
	size_t count = 0;

	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage != CALLING)
			continue;
		item->call = &batch->calls[count++];
		tm_run_fill_call(&item->run, item->call);
		item->call->limit_ms = settings->llm.deadline_ms;
		item->call->ended = call_ended;
		tm_run_fill_limits(&item->run, &limits);
	}
	limits.parallel = (size_t)settings->batch.concurrency;
	limits.tick = tick;
	limits.tick_ms = any(batch, FOLLOWING) ? TM_FLIGHT_POLL_MAX_MS : 0;
	limits.may_drop = may_drop;
	limits.arg = batch;
	if (tm_calls_run(batch->services->http, batch->calls, count, &limits) != TM_OK)
		fail_round(batch);
	batch->work->llm_us += tm_clock_mono_us() - start_us;
}

/* Those that follow are all that is left. */
static void wait_round(struct batch *batch)
{
	int64_t left_ms = batch->work->deadline_ms - tm_clock_mono_ms();

	if (left_ms > 0 && tm_peer_gone(batch->work->watch_fd,
					batch->pause_ms < left_ms ? batch->pause_ms : left_ms)) {
		batch->left = true;
	} else if (left_ms > 0) {
		keep_up(batch);
		batch->pause_ms = batch->pause_ms * 2 < TM_FLIGHT_POLL_MAX_MS
			? batch->pause_ms * 2 : TM_FLIGHT_POLL_MAX_MS;
	}
	for (size_t i = 0; left_ms <= 0 && i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage != FOLLOWING)
			continue;
		item->run.out->detail = "an equal request had no answer in time";
		tm_run_end(&item->run, TM_PROCESS_DEADLINE);
		finish(item);
	}
}

/* What a client that has left would still have waited for. */
static void abandon(struct batch *batch)
{
	for (size_t i = 0; i < batch->work->count; i++) {
		struct item *item = &batch->items[i];

		if (item->stage == OVER)
			continue;
		item->run.out->detail = "the client left";
		tm_run_end(&item->run, TM_PROCESS_GONE);
		tm_run_settle(&item->run, false);
		finish(item);
	}
	undo(batch, true, NULL);
	batch->work->end = TM_BATCH_GONE;
}

/* Items that equal an earlier one have its outcome, and cost nothing of their own. */
static void copy_equals(struct batch *batch)
{
	struct tm_batch_work *work = batch->work;

	for (size_t i = 0; i < work->count; i++) {
		struct tm_outcome *out = &work->entries[i].outcome;

		if (batch->first[i] == i)
			continue;
		*out = work->entries[batch->first[i]].outcome;
		out->collapsed = !out->hit;
		out->attempts = 0;
		out->input_tokens = out->output_tokens = 0;
		out->cost = 0;
		if (work->ended)
			work->ended(work->arg, i);
	}
}

void tm_batch_run(struct tm_services *services, struct tm_batch_work *work)
{
	struct batch batch = {.services = services, .work = work,
			      .pause_ms = TM_FLIGHT_POLL_MIN_MS};

	work->end = TM_BATCH_NOMEM;
	work->redis_us = work->llm_us = 0;
	work->verdict = (struct tm_verdict){.passed = true};
	if (work->count < 1 || work->count > TM_BATCH_ITEMS_MAX || prepare(&batch) != TM_OK)
		return;
	if (!admit(&batch))
		return;
	take_hits(&batch);
	start_misses(&batch);
	batch.renew_ms = tm_clock_mono_ms() + RENEW_MS;
	while (!batch.left) {
		if (any(&batch, CALLING))
			call_round(&batch);
		else if (any(&batch, FOLLOWING))
			wait_round(&batch);
		else
			break;
	}
	if (batch.left)
		abandon(&batch);
	else
		copy_equals(&batch);
}

bool tm_batch_keep(struct tm_services *services, const struct tm_batch_work *work,
		   const char *object, size_t len, int64_t life_ms)
{
	struct tm_redis *redis = services->redis;
	struct tm_buf value;
	bool kept;

	tm_buf_init(&value, len + VALUE_HEAD_BYTES);
	tm_buf_printf(&value, "done %s ", work->claim);
	tm_buf_put(&value, object, len);
	kept = tm_buf_err(&value) == TM_OK;
	if (kept) {
		(void)tm_redis_queuef(redis, "SET %s %b PX %lld", work->id_claim, value.data,
				      value.len, (long long)life_ms);
		kept = tm_redis_send(redis) == TM_OK;
		tm_redis_end(redis);
	}
	tm_buf_clear(&value);
	return kept;
}
