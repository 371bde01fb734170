/* Counting, and what a flush leaves in a real server. */
#include "redis_server.h"

#include "record/usage.h"

static struct redis_server server;
static struct tm_redis *redis;
static struct tm_usage *usage;

/* 2026-11-22 10:30 UTC */
static const int64_t at_ms = 1795343400000;
#define HOUR "2026112210"

static void begin(void)
{
	server_start(&server, NULL);
	redis = server_handle(&server);
	cr_assert_eq(tm_usage_new(&usage, "tm:", 8), TM_OK);
}

static void end(void)
{
	tm_usage_free(usage);
	tm_redis_free(redis);
	server_stop(&server);
}

static int64_t field(const char *key, const char *name)
{
	int64_t value = -1;

	(void)tm_redis_queuef(redis, "HGET %s %s", key, name);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	if (tm_redis_reply(redis, 0)->kind == TM_REPLY_TEXT)
		value = atoll(tm_redis_reply(redis, 0)->text);
	tm_redis_end(redis);
	return value;
}

static void add(const char *key_id, const char *operation, int64_t when_ms)
{
	const struct tm_usage_event event = {
		.key_id = key_id, .operation = operation, .at_ms = when_ms, .status = 200,
		.llm_calls = 1, .input_tokens = 100, .output_tokens = 20,
	};

	tm_usage_add(usage, &event);
}

Test(usage, counts_arrive_by_key_operation_and_hour, .init = begin, .fini = end)
{
	struct tm_usage_event event = {
		.key_id = "abc", .operation = "summarize", .at_ms = at_ms, .status = 200, .hit = 1,
	};
	uint64_t trips;

	(void)field("warm", "up");
	trips = tm_redis_trips(redis);
	tm_usage_add(usage, &event);
	event.hit = 0;
	event.guarded = 1;
	event.status = 502;
	event.llm_calls = 3;
	tm_usage_add(usage, &event);
	add("abc", "qa", at_ms);
	add("", "", at_ms + 3600000);
	tm_usage_flush(usage, redis);
	cr_assert_eq(tm_redis_trips(redis), trips, "recording waited");

	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "summarize:requests"), 2);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "summarize:hits"), 1);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "summarize:errors"), 1);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "summarize:llm_calls"), 3);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "summarize:guarded"), 1);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "summarize:input_tokens"), -1);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "qa:input_tokens"), 100);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "qa:output_tokens"), 20);
	cr_assert_eq(field("tm:usage:{-}:2026112211", "-:requests"), 1);

	tm_usage_flush(usage, redis);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "summarize:requests"), 2, "counted twice");
}

Test(usage, keys_expire_after_35_days, .init = begin, .fini = end)
{
	add("abc", "qa", at_ms);
	tm_usage_flush(usage, redis);
	(void)tm_redis_queuef(redis, "TTL tm:usage:{abc}:" HOUR);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_leq(tm_redis_reply(redis, 0)->integer, 35 * 86400);
	cr_assert_gt(tm_redis_reply(redis, 0)->integer, 35 * 86400 - 100);
	tm_redis_end(redis);
}

/* Waits for the way back as an idle worker does. */
static void await_redis(void)
{
	for (int i = 0; i < 1000 && !tm_redis_up(redis); i++) {
		server_pause();
		tm_redis_poll(redis);
	}
	cr_assert(tm_redis_up(redis));
}

Test(usage, nothing_is_lost_while_redis_is_away, .init = begin, .fini = end)
{
	(void)field("warm", "up");
	server_kill(&server);
	for (int i = 0; i < 100; i++) {
		add("abc", "qa", at_ms);
		tm_usage_flush(usage, redis);
	}
	server_run(&server, NULL);
	await_redis();
	tm_usage_flush(usage, redis);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "qa:requests"), 100);
}

Test(usage, full_table_keeps_sums_true, .init = begin, .fini = end)
{
	char id[16], key[64];
	int64_t split = 0;

	for (int i = 0; i < 50; i++) {
		(void)snprintf(id, sizeof(id), "id%d", i);
		add(id, "qa", at_ms);
	}
	for (int hour = 0; hour < 100; hour++)
		add("more", "qa", at_ms + hour * (int64_t)3600000);
	tm_usage_finish(usage, redis);
	for (int i = 0; i < 8; i++) {
		(void)snprintf(key, sizeof(key), "tm:usage:{id%d}:" HOUR, i);
		cr_assert_eq(field(key, "qa:requests"), 1);
	}
	cr_assert_eq(field("tm:usage:{overflow}:" HOUR, "overflow:requests"), 43);
	(void)tm_redis_queuef(redis, "KEYS tm:usage:{overflow}:*");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, 0)->count, 24);
	tm_redis_end(redis);
	(void)tm_redis_queuef(redis, "EVAL %s 0",
			      "local n = 0 for _, k in ipairs(redis.call('KEYS', 'tm:usage:*')) do "
			      "for _, o in ipairs({'qa', 'overflow'}) do "
			      "n = n + (redis.call('HGET', k, o .. ':requests') or 0) end end return n");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	split = tm_redis_reply(redis, 0)->integer;
	tm_redis_end(redis);
	cr_assert_eq(split, 150);
}

/* One command that must succeed. */
static void command(const char *words)
{
	int index = tm_redis_queuef(redis, words);

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_neq(tm_redis_reply(redis, index)->kind, TM_REPLY_ERROR);
	tm_redis_end(redis);
}

Test(usage, what_redis_refuses_is_sent_again, .init = begin, .fini = end)
{
	command("CONFIG SET maxmemory 1");
	for (int i = 0; i < 3; i++) {
		add("abc", "qa", at_ms);
		tm_usage_flush(usage, redis);
		command("PING");
	}
	cr_assert(tm_usage_pending(usage));
	command("CONFIG SET maxmemory 0");
	tm_usage_finish(usage, redis);
	cr_assert_not(tm_usage_pending(usage));
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "qa:requests"), 3);
	cr_assert_eq(field("tm:usage:{abc}:" HOUR, "qa:llm_calls"), 3);
}

Test(usage, large_table_leaves_in_several_flushes)
{
	char id[16];

	server_start(&server, NULL);
	redis = server_handle(&server);
	cr_assert_eq(tm_usage_new(&usage, "tm:", 1000), TM_OK);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "id%d", i);
		add(id, "qa", at_ms);
	}
	tm_usage_finish(usage, redis);
	(void)tm_redis_queuef(redis, "DBSIZE");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, 0)->integer, 1000);
	tm_redis_end(redis);
	end();
}

Test(usage, bad_sizes_are_refused)
{
	char prefix[300];

	memset(prefix, 'p', sizeof(prefix) - 1);
	prefix[sizeof(prefix) - 1] = '\0';
	cr_assert_eq(tm_usage_new(&usage, "tm:", 0), TM_EINVAL);
	cr_assert_eq(tm_usage_new(&usage, prefix, 8), TM_EINVAL);
}
