/*
 * The breaker's two homes: queue and read speak to script/breaker.lua, step is the same machine
 * on a struct of this process. A unit test walks both through the same steps.
 */
#include "llm/breaker.h"

#include <stdio.h>

#include "io/redis.h"

enum { BUDGET_MS = 10 * 1000, BUDGET_RESERVE = 100, BUDGET_PERCENT = 20 };
enum { ARGS = 10, REPLY_ITEMS = 10 };	/* of the script */
enum change { NONE, OPENED, SHUT };

static const char *const ops[] = {
	[TM_BREAKER_LOOK] = "look",	  [TM_BREAKER_CLAIM] = "claim",
	[TM_BREAKER_ALIVE] = "alive",	  [TM_BREAKER_SUCCESS] = "success",
	[TM_BREAKER_FAILURE] = "failure", [TM_BREAKER_RETRY] = "retry",
	[TM_BREAKER_NEUTRAL] = "neutral", [TM_BREAKER_RESET] = "reset",
};

/* Give or take a tenth, so that hosts do not all probe at once. */
static int64_t jittered(const struct tm_breaker_conf *conf, double unit)
{
	return conf->recovery_ms * 9 / 10 + (int64_t)((double)conf->recovery_ms / 5 * unit);
}

int tm_breaker_queue(struct tm_redis *redis, const char *prefix, const char *provider,
		     const struct tm_breaker_conf *conf, const struct tm_breaker_ask *ask)
{
	const int64_t values[] = {
		ask->turn, conf->threshold, conf->min_calls, conf->ratio, conf->window_ms,
		jittered(conf, ask->unit), conf->probe_ms, conf->patience_ms,
	};
	char key[128], numbers[ARGS - 2][24];
	const char *argv[ARGS] = {key, ops[ask->op]};

	(void)snprintf(key, sizeof(key), "%.48sbreaker:{%.64s}", prefix, provider);
	for (int i = 0; i < ARGS - 2; i++) {
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)values[i]);
		argv[i + 2] = numbers[i];
	}
	return tm_redis_queue_script(redis, TM_SCRIPT_BREAKER, 1, ARGS, argv, NULL);
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
		.patient = item[3].integer == 2,
		.opened = item[4].integer == OPENED,
		.closed = item[4].integer == SHUT,
		.turn = item[5].integer,
		.calls = item[6].integer,
		.failures = item[7].integer,
		.retries = item[8].integer,
		.opens = item[9].integer,
	};
	return TM_OK;
}

/* One step on the machine of this process. */
struct step {
	struct tm_breaker_local *breaker;
	const struct tm_breaker_conf *conf;
	const struct tm_breaker_ask *ask;
	int64_t now_ms, recovery_ms;
	enum change change;
};

/* Open and its time is over, or the probe's has gone by without word. */
static bool probe_due(const struct step *step)
{
	return step->breaker->state != TM_BREAKER_CLOSED &&
	       step->now_ms >= step->breaker->until_ms;
}

static bool is_probe(const struct step *step)
{
	return step->breaker->state == TM_BREAKER_HALF_OPEN &&
	       step->ask->turn == step->breaker->turn;
}

static bool is_patient(const struct step *step)
{
	return step->breaker->state != TM_BREAKER_CLOSED && step->ask->turn > 0 &&
	       step->ask->turn == step->breaker->patient;
}

/* The probe whose first sign has closed it, with nothing known since. */
static bool is_early(const struct step *step)
{
	return step->breaker->state == TM_BREAKER_CLOSED && step->ask->turn > 0 &&
	       step->ask->turn == step->breaker->early;
}

/* Begun since it closed, as far as is known: the record may have been lost, and with it turns. */
static bool is_current(const struct step *step)
{
	return step->breaker->state == TM_BREAKER_CLOSED &&
	       (step->ask->turn < 0 || step->ask->turn >= step->breaker->turn);
}

static void change(struct tm_breaker_local *breaker, enum tm_breaker_state state, int64_t until_ms)
{
	breaker->state = state;
	breaker->until_ms = until_ms;
	breaker->early = breaker->row = 0;
	breaker->window_calls = breaker->window_failures = breaker->good_before = 0;
	breaker->turn++;
}

static void open_up(struct step *step, int64_t until_ms)
{
	change(step->breaker, TM_BREAKER_OPEN, until_ms > step->now_ms ? until_ms : step->now_ms);
	step->breaker->opens++;
	step->change = OPENED;
}

static void close_up(struct step *step)
{
	change(step->breaker, TM_BREAKER_CLOSED, 0);
	step->breaker->patient = step->breaker->patient_until_ms = 0;
	step->change = SHUT;
}

static void part_with_patient(struct step *step)
{
	if (is_patient(step))
		step->breaker->patient = step->breaker->patient_until_ms = 0;
}

static void count(struct step *step)
{
	struct tm_breaker_local *breaker = step->breaker;

	if (step->now_ms - breaker->budget_ms >= BUDGET_MS) {
		breaker->budget_ms = step->now_ms;
		breaker->budget_calls = breaker->budget_retries = 0;
	}
	breaker->calls++;
	breaker->budget_calls++;
}

static int64_t good(const struct tm_breaker_local *breaker)
{
	return breaker->window_calls - breaker->window_failures;
}

static void count_in_window(struct step *step)
{
	struct tm_breaker_local *breaker = step->breaker;
	int64_t age_ms = step->now_ms - breaker->window_ms;

	if (age_ms >= step->conf->window_ms) {
		breaker->good_before = age_ms < 2 * step->conf->window_ms ? good(breaker) : 0;
		breaker->window_ms = step->now_ms;
		breaker->window_calls = breaker->window_failures = 0;
	}
	breaker->window_calls++;
}

/*
 * A provider may fail three fifths of the ratio at random (30 % of its calls, where 50 % open),
 * and of twenty calls it then fails ten now and again. So the failures must also be four standard
 * deviations more than such a provider's. In units of a five hundredth of a call: exact in Lua's
 * numbers, too.
 */
static bool ratio_is_bad(const struct step *step)
{
	const struct tm_breaker_local *breaker = step->breaker;
	double calls = (double)breaker->window_calls, failures = (double)breaker->window_failures;
	double ratio = (double)step->conf->ratio, noise = 3 * ratio;
	double excess = failures * 500 - noise * calls;

	return breaker->window_calls >= step->conf->min_calls && failures * 100 >= ratio * calls &&
	       excess * excess >= 16 * noise * (500 - noise) * calls;
}

/*
 * Failures at random come in rows, too: at 30 % of them a row of five is no rarity. It says that
 * the provider is down where nothing else is known. Where this window and the one before know of
 * calls that went well, it takes twice the row, and three times where they know of many: the more
 * calls, the longer the rows that chance brings about.
 */
static bool row_is_bad(const struct step *step)
{
	int64_t known = step->breaker->good_before + good(step->breaker);
	int64_t threshold = step->conf->threshold, needed = threshold;

	if (known * 2 > threshold)
		needed += threshold;
	if (known > 20 * threshold)
		needed += threshold;
	return step->breaker->row >= needed;
}

static void fail(struct step *step)
{
	struct tm_breaker_local *breaker = step->breaker;

	count(step);
	breaker->failures++;
	part_with_patient(step);
	if (is_probe(step)) {
		open_up(step, breaker->until_ms - step->conf->probe_ms + step->recovery_ms);
	} else if (is_early(step)) {
		open_up(step, step->now_ms + step->recovery_ms);
	} else if (is_current(step)) {
		count_in_window(step);
		breaker->window_failures++;
		breaker->row++;
		if (ratio_is_bad(step) || row_is_bad(step))
			open_up(step, step->now_ms + step->recovery_ms);
	}
}

static void succeed(struct step *step)
{
	count(step);
	if (is_probe(step) || is_patient(step)) {
		close_up(step);
	} else if (is_current(step) || is_early(step)) {
		count_in_window(step);
		step->breaker->row = step->breaker->early = 0;
	}
}

static void come_alive(struct step *step)
{
	if (is_probe(step) || is_patient(step)) {
		close_up(step);
		step->breaker->early = step->ask->turn;
	}
}

static void hand_back(struct step *step)
{
	part_with_patient(step);
	if (is_probe(step))
		change(step->breaker, TM_BREAKER_OPEN, step->now_ms);
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

static void claim(struct step *step, struct tm_breaker_view *view)
{
	struct tm_breaker_local *breaker = step->breaker;

	view->passes = breaker->state == TM_BREAKER_CLOSED || probe_due(step);
	view->probe = view->passes && breaker->state != TM_BREAKER_CLOSED;
	if (!view->probe)
		return;
	change(breaker, TM_BREAKER_HALF_OPEN, step->now_ms + step->conf->probe_ms);
	view->patient = step->now_ms >= breaker->patient_until_ms;
	if (view->patient) {
		breaker->patient = breaker->turn;
		breaker->patient_until_ms = step->now_ms + step->conf->patience_ms;
	}
}

static void take(struct step *step, struct tm_breaker_view *view)
{
	switch (step->ask->op) {
	case TM_BREAKER_LOOK:
		view->passes = step->breaker->state == TM_BREAKER_CLOSED || probe_due(step);
		break;
	case TM_BREAKER_CLAIM:
		claim(step, view);
		break;
	case TM_BREAKER_ALIVE:
		come_alive(step);
		break;
	case TM_BREAKER_SUCCESS:
		succeed(step);
		break;
	case TM_BREAKER_FAILURE:
		fail(step);
		break;
	case TM_BREAKER_RETRY:
		fail(step);
		view->passes = take_retry(step->breaker);
		break;
	case TM_BREAKER_NEUTRAL:
		hand_back(step);
		break;
	case TM_BREAKER_RESET:
		close_up(step);
		break;
	}
}

void tm_breaker_step(struct tm_breaker_local *breaker, const struct tm_breaker_conf *conf,
		     const struct tm_breaker_ask *ask, int64_t now_ms,
		     struct tm_breaker_view *view)
{
	struct step step = {.breaker = breaker, .conf = conf, .ask = ask, .now_ms = now_ms,
			    .recovery_ms = jittered(conf, ask->unit)};

	*view = (struct tm_breaker_view){0};
	take(&step, view);
	view->state = breaker->state;
	view->opened = step.change == OPENED;
	view->closed = step.change == SHUT;
	view->turn = breaker->turn;
	view->calls = breaker->calls;
	view->failures = breaker->failures;
	view->retries = breaker->retries;
	view->opens = breaker->opens;
	if (breaker->state != TM_BREAKER_CLOSED && breaker->until_ms > now_ms)
		view->wait_ms = breaker->until_ms - now_ms;
}

const char *tm_breaker_state_text(enum tm_breaker_state state)
{
	static const char *const texts[] = {"closed", "open", "half_open"};

	return texts[state];
}
