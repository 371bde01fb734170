/*
 * The breaker's two homes: queue and read speak to script/breaker.lua, step is the same machine
 * on a struct of this process. A unit test walks both through the same steps.
 */
#include "llm/breaker.h"

#include <stdio.h>

#include "io/redis.h"

enum { BUDGET_MS = 10 * 1000, BUDGET_RESERVE = 100, BUDGET_PERCENT = 20, REPLY_ITEMS = 9 };

static const char *const ops[] = {
	[TM_BREAKER_LOOK] = "look",	  [TM_BREAKER_CLAIM] = "claim",
	[TM_BREAKER_SUCCESS] = "success", [TM_BREAKER_FAILURE] = "failure",
	[TM_BREAKER_RETRY] = "retry",	  [TM_BREAKER_NEUTRAL] = "neutral",
	[TM_BREAKER_RESET] = "reset",
};

/* Give or take a tenth, so that hosts do not all probe at once. */
static int64_t jittered(const struct tm_breaker_conf *conf, double unit)
{
	return conf->recovery_ms * 9 / 10 + (int64_t)((double)conf->recovery_ms / 5 * unit);
}

int tm_breaker_queue(struct tm_redis *redis, const char *prefix, const char *provider,
		     enum tm_breaker_op op, const struct tm_breaker_conf *conf, double unit)
{
	char key[128], numbers[6][24];
	const int64_t values[6] = {conf->threshold, conf->min_calls,	  conf->ratio,
				   conf->window_ms, jittered(conf, unit), conf->probe_ms};
	const char *argv[8] = {key, ops[op]};

	(void)snprintf(key, sizeof(key), "%.48sbreaker:{%.64s}", prefix, provider);
	for (int i = 0; i < 6; i++) {
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)values[i]);
		argv[i + 2] = numbers[i];
	}
	return tm_redis_queue_script(redis, TM_SCRIPT_BREAKER, 1, 8, argv, NULL);
}

enum tm_err tm_breaker_read(const struct tm_reply *reply, struct tm_breaker_view *view)
{
	const struct tm_reply *item = reply->items;

	if (reply->kind != TM_REPLY_ARRAY || reply->count != REPLY_ITEMS)
		return TM_EPROTO;
	for (size_t i = 0; i < reply->count; i++)
		if (item[i].kind != TM_REPLY_INT)
			return TM_EPROTO;
	if (item[0].integer < TM_BREAKER_CLOSED || item[0].integer > TM_BREAKER_HALF_OPEN)
		return TM_EPROTO;
	*view = (struct tm_breaker_view){
		.state = (enum tm_breaker_state)item[0].integer,
		.passes = item[1].integer != 0,
		.wait_ms = item[2].integer,
		.probe = item[3].integer != 0,
		.opened = item[4].integer != 0,
		.calls = item[5].integer,
		.failures = item[6].integer,
		.retries = item[7].integer,
		.opens = item[8].integer,
	};
	return TM_OK;
}

static bool probe_due(const struct tm_breaker_local *breaker, int64_t now_ms)
{
	return breaker->state != TM_BREAKER_CLOSED && now_ms >= breaker->until_ms;
}

static void open_up(struct tm_breaker_local *breaker, int64_t until_ms)
{
	breaker->state = TM_BREAKER_OPEN;
	breaker->until_ms = until_ms;
	breaker->row = breaker->window_calls = breaker->window_failures = 0;
	breaker->opens++;
}

static void close_up(struct tm_breaker_local *breaker)
{
	breaker->state = TM_BREAKER_CLOSED;
	breaker->until_ms = breaker->row = 0;
}

static void count(struct tm_breaker_local *breaker, const struct tm_breaker_conf *conf,
		  int64_t now_ms, bool failed)
{
	if (now_ms - breaker->window_ms >= conf->window_ms) {
		breaker->window_ms = now_ms;
		breaker->window_calls = breaker->window_failures = 0;
	}
	if (now_ms - breaker->budget_ms >= BUDGET_MS) {
		breaker->budget_ms = now_ms;
		breaker->budget_calls = breaker->budget_retries = 0;
	}
	breaker->calls++;
	breaker->window_calls++;
	breaker->budget_calls++;
	breaker->failures += failed;
	breaker->window_failures += failed;
}

/* Failures at random come in rows, too: at 30 % of them a row of five is no rarity. Where the
 * window knows enough calls to say that most succeed, it takes twice the row. */
static bool opens(const struct tm_breaker_local *breaker, const struct tm_breaker_conf *conf)
{
	bool known = breaker->window_calls >= conf->min_calls;
	bool bad = breaker->window_failures * 100 >= conf->ratio * breaker->window_calls;

	return (known && bad) || breaker->row >= (known ? 2 * conf->threshold : conf->threshold);
}

/* True: this failure opened it. */
static bool fail(struct tm_breaker_local *breaker, const struct tm_breaker_conf *conf,
		 int64_t now_ms, int64_t recovery_ms)
{
	count(breaker, conf, now_ms, true);
	if (breaker->state == TM_BREAKER_OPEN)
		return false;
	if (breaker->state == TM_BREAKER_CLOSED) {
		breaker->row++;
		if (!opens(breaker, conf))
			return false;
	}
	open_up(breaker, now_ms + recovery_ms);
	return true;
}

static bool take_retry(struct tm_breaker_local *breaker)
{
	if (breaker->state != TM_BREAKER_CLOSED ||
	    (breaker->budget_retries - BUDGET_RESERVE) * 100 >=
		    breaker->budget_calls * BUDGET_PERCENT)
		return false;
	breaker->budget_retries++;
	breaker->retries++;
	return true;
}

static bool claim(struct tm_breaker_local *breaker, const struct tm_breaker_conf *conf,
		  int64_t now_ms, bool *probe)
{
	if (breaker->state == TM_BREAKER_CLOSED)
		return true;
	if (!probe_due(breaker, now_ms))
		return false;
	breaker->state = TM_BREAKER_HALF_OPEN;
	breaker->until_ms = now_ms + conf->probe_ms;
	return *probe = true;
}

void tm_breaker_step(struct tm_breaker_local *breaker, enum tm_breaker_op op,
		     const struct tm_breaker_conf *conf, int64_t now_ms, double unit,
		     struct tm_breaker_view *view)
{
	bool passes = false, probe = false, opened = false;

	switch (op) {
	case TM_BREAKER_LOOK:
		passes = breaker->state == TM_BREAKER_CLOSED || probe_due(breaker, now_ms);
		break;
	case TM_BREAKER_CLAIM:
		passes = claim(breaker, conf, now_ms, &probe);
		break;
	case TM_BREAKER_SUCCESS:
		count(breaker, conf, now_ms, false);
		if (breaker->state == TM_BREAKER_HALF_OPEN)
			close_up(breaker);
		else if (breaker->state == TM_BREAKER_CLOSED)
			breaker->row = 0;
		break;
	case TM_BREAKER_FAILURE:
	case TM_BREAKER_RETRY:
		opened = fail(breaker, conf, now_ms, jittered(conf, unit));
		passes = op == TM_BREAKER_RETRY && take_retry(breaker);
		break;
	case TM_BREAKER_NEUTRAL:
		if (breaker->state == TM_BREAKER_HALF_OPEN) {
			breaker->state = TM_BREAKER_OPEN;
			breaker->until_ms = now_ms;
		}
		break;
	case TM_BREAKER_RESET:
		close_up(breaker);
		breaker->window_calls = breaker->window_failures = 0;
		break;
	}
	*view = (struct tm_breaker_view){
		.state = breaker->state, .passes = passes, .probe = probe, .opened = opened,
		.calls = breaker->calls, .failures = breaker->failures,
		.retries = breaker->retries, .opens = breaker->opens,
	};
	if (breaker->state != TM_BREAKER_CLOSED && breaker->until_ms > now_ms)
		view->wait_ms = breaker->until_ms - now_ms;
}

const char *tm_breaker_state_text(enum tm_breaker_state state)
{
	static const char *const texts[] = {"closed", "open", "half_open"};

	return texts[state];
}
