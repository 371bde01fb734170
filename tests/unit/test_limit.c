/* The local table on a clock of its own, and the script on a real server against it. */
#include "redis_server.h"

#include "base/clock.h"
#include "gate/limit.h"

static struct redis_server server;
static struct tm_redis *redis;
static struct tm_limit_local *local;

static const int64_t start_us = 1700000000000000;

static void begin(void)
{
	cr_assert_eq(tm_limit_local_new(&local, 100), TM_OK);
}

static void end(void)
{
	tm_limit_local_free(local);
	local = NULL;
}

static void begin_server(void)
{
	begin();
	server_start(&server, NULL);
	redis = server_handle(&server);
}

static void end_server(void)
{
	tm_redis_free(redis);
	server_stop(&server);
	end();
}

static struct tm_verdict take_local(const struct tm_charge *charge, int64_t now_us)
{
	struct tm_verdict verdict = {0};

	tm_limit_local_take(local, charge, now_us, &verdict);
	return verdict;
}

static struct tm_verdict take_redis(const struct tm_charge *charge)
{
	struct tm_verdict verdict = {0};
	int index = tm_limit_queue(redis, "tm:", charge);

	cr_assert_eq(tm_redis_run(redis), TM_OK, "%s", tm_redis_error(redis));
	cr_assert_eq(tm_limit_read(tm_redis_reply(redis, index), charge, &verdict), TM_OK, "%s",
		     tm_redis_reply(redis, index)->text);
	tm_redis_end(redis);
	return verdict;
}

static const struct tm_policy policies[] = {
	{"q1", 1, 1000}, {"q7", 7, 60000}, {"q60", 60, 60000}, {"q1000", 1000, 3600000},
	{"q999", 999, 1000}, {"q7777", 7777, 60000}, {"q100001", 100001, 60000},
};
enum { POLICIES = sizeof(policies) / sizeof(policies[0]) };

Test(limit, full_bucket_passes_exactly_its_quota, .init = begin, .fini = end)
{
	for (size_t p = 0; p < POLICIES; p++) {
		const struct tm_charge charge = {
			.key_id = "k", .take = &policies[p], .take_count = 1, .cost = 1,
		};
		struct tm_verdict verdict;

		for (int64_t i = 0; i < policies[p].quota; i++) {
			verdict = take_local(&charge, start_us);
			cr_assert(verdict.passed, "%s: %lld", policies[p].name, (long long)i);
			cr_assert_eq(verdict.state[0].left, policies[p].quota - 1 - i);
			cr_assert_eq(verdict.retry_ms, 0);
		}
		cr_assert_eq(verdict.state[0].reset_ms, policies[p].window_ms);
		verdict = take_local(&charge, start_us);
		cr_assert_not(verdict.passed, "%s", policies[p].name);
		cr_assert_eq(verdict.state[0].left, 0);
	}
}

Test(limit, retry_is_exact_to_the_millisecond, .init = begin, .fini = end)
{
	for (size_t p = 0; p < POLICIES; p++) {
		struct tm_charge charge = {
			.key_id = "k", .take = &policies[p], .take_count = 1, .cost = 1,
		};
		int64_t now_us = start_us;

		for (int round = 0; round < 200; round++) {
			struct tm_verdict verdict;

			charge.cost = 1 + round % (policies[p].quota < 5 ? policies[p].quota : 5);
			while ((verdict = take_local(&charge, now_us)).passed)
				continue;
			cr_assert_gt(verdict.retry_ms, 0);
			now_us += (verdict.retry_ms - 1) * 1000;
			cr_assert_not(take_local(&charge, now_us).passed, "%s %d",
				      policies[p].name, round);
			now_us += 1000;
			cr_assert(take_local(&charge, now_us).passed, "%s %d", policies[p].name,
				  round);
			now_us += 137 * round;
		}
	}
}

Test(limit, rate_over_many_windows_is_the_quota, .init = begin, .fini = end)
{
	const struct tm_charge charge = {
		.key_id = "k", .take = &policies[1], .take_count = 1, .cost = 1,	/* 7 in 60 s */
	};
	int64_t passed = 0;

	for (int64_t ms = 0; ms <= 100 * 60000; ms += 3)
		passed += take_local(&charge, start_us + ms * 1000).passed;
	cr_assert_eq(passed, 7 + 7 * 100);
}

Test(limit, refused_charge_takes_from_no_bucket, .init = begin, .fini = end)
{
	const struct tm_policy take[] = {{"minute", 10, 60000}, {"hour", 3, 3600000}};
	struct tm_charge charge = {.key_id = "k", .take = take, .take_count = 2, .cost = 3};
	struct tm_verdict verdict = take_local(&charge, start_us);

	cr_assert(verdict.passed);
	cr_assert_eq(verdict.tightest, 1);
	charge.cost = 1;
	for (int i = 0; i < 5; i++) {
		verdict = take_local(&charge, start_us);
		cr_assert_not(verdict.passed);
		cr_assert_eq(verdict.state[0].left, 7);
		cr_assert_eq(verdict.tightest, 1);
		cr_assert_eq(verdict.retry_ms, 1200000);
	}
}

Test(limit, batch_larger_than_the_quota_never_passes, .init = begin, .fini = end)
{
	const struct tm_policy take = {"minute", 10, 60000};
	const struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1, .cost = 11};
	struct tm_verdict verdict = take_local(&charge, start_us);

	cr_assert_not(verdict.passed);
	cr_assert_eq(verdict.retry_ms, TM_LIMIT_NEVER);
	cr_assert_eq(verdict.cost, 11);
	cr_assert_eq(verdict.state[0].left, 10);
}

Test(limit, never_is_the_longest_wait_of_all_buckets, .init = begin, .fini = end)
{
	static const struct tm_policy minute = {"minute", 10, 60000}, hour = {"hour", 50, 3600000};
	const struct tm_policy orders[][2] = {{minute, hour}, {hour, minute}};

	for (size_t i = 0; i < 2; i++) {
		struct tm_charge charge = {.key_id = i ? "b" : "a", .take = &hour, .take_count = 1,
					   .cost = 50};
		struct tm_verdict verdict = take_local(&charge, start_us);

		cr_assert(verdict.passed);
		charge.take = orders[i];
		charge.take_count = 2;
		charge.cost = 15;
		verdict = take_local(&charge, start_us);
		cr_assert_not(verdict.passed);
		cr_assert_eq(verdict.retry_ms, TM_LIMIT_NEVER);
		cr_assert_str_eq(charge.take[verdict.tightest].name, "minute");
	}
}

Test(limit, looking_changes_nothing, .init = begin, .fini = end)
{
	const struct tm_policy take = {"minute", 10, 60000};
	struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1};

	for (int i = 0; i < 20; i++) {
		struct tm_verdict verdict = take_local(&charge, start_us);

		cr_assert(verdict.passed);
		cr_assert_eq(verdict.state[0].left, 10);
		cr_assert_eq(verdict.state[0].reset_ms, 0);
	}
	charge.cost = 4;
	(void)take_local(&charge, start_us);
	charge.cost = 0;
	cr_assert_eq(take_local(&charge, start_us).state[0].left, 6);
	cr_assert_eq(take_local(&charge, start_us).state[0].reset_ms, 24000);
}

Test(limit, refusal_gives_back_what_an_earlier_charge_took, .init = begin, .fini = end)
{
	const struct tm_policy requests[] = {{"minute", 10, 60000}, {"hour", 20, 3600000}};
	const struct tm_policy calls = {"llm_hour", 1, 3600000};
	const struct tm_charge request = {
		.key_id = "k", .take = requests, .take_count = 2, .cost = 2,
	};
	const struct tm_charge call = {
		.key_id = "k", .take = &calls, .take_count = 1, .cost = 1,
		.back = requests, .back_count = 2, .back_cost = 2,
	};
	struct tm_charge look = request;

	look.cost = 0;
	(void)take_local(&request, start_us);
	cr_assert(take_local(&call, start_us).passed);
	cr_assert_eq(take_local(&look, start_us).state[0].left, 8);
	(void)take_local(&request, start_us);
	cr_assert_not(take_local(&call, start_us).passed);
	cr_assert_eq(take_local(&look, start_us).state[0].left, 8);
	cr_assert_eq(take_local(&look, start_us).state[1].left, 18);
	for (int i = 0; i < 50; i++)
		(void)take_local(&call, start_us);
	cr_assert_eq(take_local(&look, start_us).state[0].left, 10, "no fuller than full");
}

Test(limit, clock_set_back_locks_nobody_out, .init = begin, .fini = end)
{
	const struct tm_policy take = {"minute", 6, 60000};
	const struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1, .cost = 1};
	const int64_t back_us = start_us - 86400 * (int64_t)1000000;
	struct tm_verdict verdict;

	(void)take_local(&charge, start_us);
	verdict = take_local(&charge, back_us);
	cr_assert_not(verdict.passed);
	cr_assert_eq(verdict.retry_ms, 10000);
	cr_assert(take_local(&charge, back_us + 10000000).passed);
}

Test(limit, changed_quota_and_window_take_over, .init = begin, .fini = end)
{
	struct tm_policy take = {"minute", 100, 3600000};
	struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1, .cost = 100};
	struct tm_verdict verdict;

	cr_assert(take_local(&charge, start_us).passed);
	take = (struct tm_policy){"minute", 6, 60000};
	charge.cost = 1;
	verdict = take_local(&charge, start_us);
	cr_assert_not(verdict.passed);
	cr_assert_eq(verdict.retry_ms, 10000, "an hour's debt became a minute's");
	cr_assert(take_local(&charge, start_us + 10000000).passed);
	take.quota = 3;
	verdict = take_local(&charge, start_us + 30000000);
	cr_assert(verdict.passed);
	take.quota = 1000;
	verdict = take_local(&charge, start_us + 33000000);
	cr_assert(verdict.passed);
	cr_assert_eq(verdict.state[0].left, 49, "three seconds of sixty have come back");
}

Test(limit, least_recently_used_key_is_forgotten)
{
	const struct tm_policy take = {"minute", 10, 60000};
	struct tm_charge charge = {.take = &take, .take_count = 1, .cost = 1};
	char id[16];

	cr_assert_eq(tm_limit_local_new(&local, 8), TM_OK);
	charge.key_id = "kept";
	(void)take_local(&charge, start_us);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "id-%d", i);
		charge.key_id = id;
		cr_assert_eq(take_local(&charge, start_us).state[0].left, 9);
		if (i % 5 == 0) {
			charge.key_id = "kept";
			charge.cost = 0;
			cr_assert_eq(take_local(&charge, start_us).state[0].left, 9);
			charge.cost = 1;
		}
	}
	charge.key_id = "id-998";
	cr_assert_eq(take_local(&charge, start_us).state[0].left, 8);
	charge.key_id = "id-990";
	cr_assert_eq(take_local(&charge, start_us).state[0].left, 9);
	end();
}

Test(limit, reply_that_is_not_the_scripts_is_refused)
{
	const struct tm_policy take = {"minute", 10, 60000};
	const struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1, .cost = 1};
	const struct tm_reply numbers[4] = {
		{.kind = TM_REPLY_INT}, {.kind = TM_REPLY_INT}, {.kind = TM_REPLY_INT},
		{.kind = TM_REPLY_TEXT, .text = "1", .len = 1},
	};
	const struct tm_reply replies[] = {
		{.kind = TM_REPLY_NIL, .text = ""},
		{.kind = TM_REPLY_ERROR, .text = "ERR"},
		{.kind = TM_REPLY_ARRAY, .items = numbers, .count = 3},
		{.kind = TM_REPLY_ARRAY, .items = numbers, .count = 4},
	};
	struct tm_verdict verdict = {.retry_ms = 42};

	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		cr_assert_eq(tm_limit_read(&replies[i], &charge, &verdict), TM_EPROTO);
	cr_assert_eq(verdict.retry_ms, 42);
}

Test(limit, script_passes_exactly_the_quota, .init = begin_server, .fini = end_server)
{
	/* Windows so long that no request comes back while the test runs. */
	static const struct tm_policy take[] = {{"q7", 7, 60000000}, {"q1000", 1000, 3600000000}};
	struct tm_charge charge = {.key_id = "k", .take_count = 1, .cost = 1};

	for (size_t p = 0; p < 2; p++) {
		charge.take = &take[p];
		for (int64_t i = 0; i < take[p].quota; i++)
			cr_assert(take_redis(&charge).passed, "%lld", (long long)i);
		cr_assert_not(take_redis(&charge).passed);
	}
}

Test(limit, script_passes_again_after_retry, .init = begin_server, .fini = end_server)
{
	static const struct tm_policy take = {"short", 3, 120};
	const struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1, .cost = 1};
	struct tm_verdict verdict;
	struct timespec pause = {0};

	while ((verdict = take_redis(&charge)).passed)
		continue;
	cr_assert(verdict.retry_ms >= 1 && verdict.retry_ms <= 40, "%lld",
		  (long long)verdict.retry_ms);
	pause.tv_nsec = (long)verdict.retry_ms * 1000000;
	(void)nanosleep(&pause, NULL);
	cr_assert(take_redis(&charge).passed);
}

static int64_t ttl_of(const char *key)
{
	int64_t ttl;

	(void)tm_redis_queuef(redis, "PTTL %s", key);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	ttl = tm_redis_reply(redis, 0)->integer;
	tm_redis_end(redis);
	return ttl;
}

Test(limit, hash_lives_until_its_last_bucket_is_full, .init = begin_server, .fini = end_server)
{
	static const struct tm_policy hour = {"hour", 10, 3600000}, minute = {"minute", 10, 60000};
	struct tm_charge charge = {.key_id = "login:10.0.0.1", .take_count = 1};

	charge.take = &hour;
	(void)take_redis(&charge);
	cr_assert_eq(ttl_of("tm:limit:{login:10.0.0.1}"), -2, "looking wrote a key");
	charge.cost = 5;
	(void)take_redis(&charge);
	cr_assert_leq(ttl_of("tm:limit:{login:10.0.0.1}"), 1800001);
	cr_assert_gt(ttl_of("tm:limit:{login:10.0.0.1}"), 1790000);
	charge.take = &minute;
	(void)take_redis(&charge);
	cr_assert_gt(ttl_of("tm:limit:{login:10.0.0.1}"), 1790000, "the hour was cut short");
}

/* A number that looks random and is the same in every run. */
static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static int64_t server_now_us(void)
{
	int64_t now_us;

	(void)tm_redis_queuef(redis, "TIME");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	now_us = atoll(tm_redis_reply(redis, 0)->items[0].text) * 1000000 +
		 atoll(tm_redis_reply(redis, 0)->items[1].text);
	tm_redis_end(redis);
	return now_us;
}

/*
 * The same charges to both. The server's clock goes on between its TIME and the script, so
 * windows are long: what passes, what is left and what is given back is the same; times
 * differ by no more than the test takes.
 */
Test(limit, script_and_local_table_agree, .init = begin_server, .fini = end_server)
{
	static const struct tm_policy all[] = {
		{"a", 7, 600000000}, {"b", 100, 700000000}, {"c", 13, 50000000}, {"d", 41, 900000000},
	};
	static const char *const ids[] = {"one", "two", "three"};
	uint32_t random = 4711;
	int refused = 0;

	for (int i = 0; i < 600; i++) {
		struct tm_charge charge = {.key_id = ids[next(&random) % 3]};
		struct tm_verdict here, there;
		int64_t begun_us = server_now_us();

		charge.take = &all[next(&random) % 4];
		charge.take_count = 1 + next(&random) % (size_t)(all + 4 - charge.take);
		charge.cost = next(&random) % 10 ? next(&random) % 4 : 40;
		charge.back = &all[next(&random) % 4];
		charge.back_count = next(&random) % 2;
		charge.back_cost = next(&random) % 6;
		here = take_local(&charge, begun_us);
		there = take_redis(&charge);

		cr_assert_eq(here.passed, there.passed, "charge %d", i);
		cr_assert_eq(here.tightest, there.tightest, "charge %d", i);
		cr_assert_leq(llabs(here.retry_ms - there.retry_ms), 2000, "charge %d", i);
		cr_assert_eq(here.retry_ms == TM_LIMIT_NEVER, there.retry_ms == TM_LIMIT_NEVER,
			     "charge %d", i);
		cr_assert_eq(here.cost, there.cost);
		for (size_t p = 0; p < charge.take_count; p++) {
			cr_assert_eq(here.state[p].left, there.state[p].left, "charge %d", i);
			cr_assert_leq(llabs(here.state[p].reset_ms - there.state[p].reset_ms),
				      2000, "charge %d", i);
		}
		refused += !here.passed;
	}
	cr_assert(refused > 50 && refused < 550, "%d", refused);
}

/* The only bucket of a key as the server keeps it, moved by us. */
static void move_bucket(const char *key, int64_t us)
{
	const struct tm_reply *reply;
	char value[64];
	size_t len, at;
	double tat;

	(void)tm_redis_queuef(redis, "GET %s", key);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	reply = tm_redis_reply(redis, 0);
	len = reply->len;
	at = 1 + (size_t)reply->text[0];	/* behind the name */
	cr_assert_eq(len, at + 2 * sizeof(tat));
	memcpy(value, reply->text, len);
	tm_redis_end(redis);
	memcpy(&tat, value + at, sizeof(tat));
	tat += (double)us;
	memcpy(value + at, &tat, sizeof(tat));
	(void)tm_redis_queuef(redis, "SET %s %b", key, value, len);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);
}

Test(limit, script_locks_nobody_out_when_the_clock_was_set_back, .init = begin_server,
     .fini = end_server)
{
	static const struct tm_policy take = {"m", 4, 200};
	const struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1, .cost = 1};
	struct tm_verdict verdict;
	const struct timespec pause = {.tv_nsec = 50 * 1000000};

	(void)take_redis(&charge);
	move_bucket("tm:limit:{k}", 86400 * (int64_t)1000000);
	verdict = take_redis(&charge);
	cr_assert_not(verdict.passed);
	cr_assert_leq(verdict.retry_ms, 50);
	(void)nanosleep(&pause, NULL);
	cr_assert(take_redis(&charge).passed);
	cr_assert_leq(ttl_of("tm:limit:{k}"), 201);
}

Test(limit, script_survives_a_spoilt_value, .init = begin_server, .fini = end_server)
{
	static const struct tm_policy take = {"m", 4, 60000};
	const struct tm_charge charge = {.key_id = "k", .take = &take, .take_count = 1, .cost = 1};

	(void)tm_redis_queuef(redis, "SET tm:limit:{k} nonsense");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);
	cr_assert_eq(take_redis(&charge).state[0].left, 3);
	cr_assert_gt(ttl_of("tm:limit:{k}"), 0);
}

Test(limit, over_long_key_is_not_queued, .init = begin_server, .fini = end_server)
{
	static const struct tm_policy take = {"m", 4, 60000};
	char id[1024];
	const struct tm_charge charge = {.key_id = id, .take = &take, .take_count = 1, .cost = 1};

	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	cr_assert_eq(tm_limit_queue(redis, "tm:", &charge), -1);
	tm_redis_end(redis);
}

Test(limit, charge_that_takes_nothing_only_gives_back, .init = begin_server, .fini = end_server)
{
	const struct tm_policy llm = {"llm_hour", 10, 3600000};
	const struct tm_charge take = {.key_id = "k", .take = &llm, .take_count = 1, .cost = 3};
	const struct tm_charge back = {.key_id = "k", .back = &llm, .back_count = 1, .back_cost = 1};

	cr_assert_eq(take_redis(&take).state[0].left, 7);
	(void)take_redis(&back);
	cr_assert_eq(take_redis(&take).state[0].left, 5);
	cr_assert_eq(take_local(&take, start_us).state[0].left, 7);
	(void)take_local(&back, start_us);
	cr_assert_eq(take_local(&take, start_us).state[0].left, 5);
}
