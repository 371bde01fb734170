/* The queue of asynchronous batches against a real Redis: a server, two workers, and short words
 * for what they do. */
#ifndef TM_TESTS_JOBS_FIXTURE_H
#define TM_TESTS_JOBS_FIXTURE_H

#include "flow/jobs.h"

#include <inttypes.h>

#include "flow/jobs_view.h"
#include "redis_server.h"

static struct redis_server server;
static struct tm_redis *redis;
static struct tm_settings settings;
static struct tm_arena arena;
static struct tm_jobs one, two;

static const char key[] = "tm:batch:{ann:b1}";
static bool before;	/* what the last submit said */
static const char *token = "11111111111111111111111111111111";	/* of who submits */

static void begin(void)
{
	server_start(&server, NULL);
	redis = server_handle(&server);
	settings.redis.prefix = "tm:";
	settings.jobs.claim_after_ms = 30000;
	settings.jobs.ttl_ms = 3600 * 1000;
	settings.jobs.deliveries_max = 3;
	settings.jobs.max_pending = 100;
	tm_arena_init(&arena, 1 << 20);
	tm_jobs_init(&one, redis, &settings);
	tm_jobs_init(&two, redis, &settings);
}

static void end(void)
{
	tm_arena_clear(&arena);
	tm_redis_free(redis);
	server_stop(&server);
}

/* count requests {"i":0}, {"i":1}...; the last failed ones are not valid. */
static enum tm_err submit_as(const char *claim, size_t count, size_t failed, int64_t concurrency)
{
	const struct tm_job_batch batch = {
		.key = claim, .principal = {.id = "k1", .user = "ann", .permissions = 3, .hour = 7},
		.request_id = "r1", .token = token, .no_store = true,
		.overrides = "A=1\0B=2", .overrides_len = 8, .concurrency = concurrency,
	};
	struct tm_job_item *items = tm_arena_alloc(&arena, (count + 1) * sizeof(*items));

	for (size_t i = 0; i < count; i++) {
		items[i].failed = i >= count - failed;
		items[i].text = tm_arena_printf(&arena, "{\"%s\":%zu}",
						items[i].failed ? "wrong" : "i", i);
		items[i].len = strlen(items[i].text);
	}
	return tm_jobs_submit(redis, &settings, &arena, &batch, items, count, &before);
}

static void submit(size_t count, int64_t concurrency)
{
	cr_assert_eq(submit_as(key, count, 0, concurrency), TM_OK);
}

static struct tm_job take(struct tm_jobs *jobs)
{
	struct tm_job job;
	enum tm_err err = tm_jobs_take(jobs, &arena, &job);

	cr_assert_eq(err, TM_OK, "nothing taken: %s", tm_err_text(err));
	tm_jobs_begin(jobs, &job);
	return job;
}

static void take_nothing(struct tm_jobs *jobs)
{
	struct tm_job job;

	cr_assert_eq(tm_jobs_take(jobs, &arena, &job), TM_ENOENT);
}

static enum tm_err finish(struct tm_jobs *jobs, const struct tm_job *job, const char *result)
{
	return tm_jobs_finish(jobs, job, true, result, strlen(result));
}

static struct tm_jobs_view look(bool cancel)
{
	struct tm_jobs_view view;

	cr_assert_eq(tm_jobs_look(redis, "tm:", key, cancel, &arena, &view), TM_OK);
	return view;
}

/* One command's integer. */
static int64_t ask(const char *command)
{
	int64_t answer;
	int index = tm_redis_queuef(redis, command);

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_neq(tm_redis_reply(redis, index)->kind, TM_REPLY_ERROR, "%s: %s", command,
		      tm_redis_reply(redis, index)->text);
	answer = tm_redis_reply(redis, index)->integer;
	tm_redis_end(redis);
	return answer;
}

/* As if the item's worker had been silent for so long. */
static void age(const struct tm_job *job, int64_t ms)
{
	int index = tm_redis_queuef(redis, "XCLAIM tm:jobs workers dead 0 %s IDLE %lld JUSTID",
				    job->entry, (long long)ms);

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, index)->kind, TM_REPLY_ARRAY);
	tm_redis_end(redis);
}

static void all_keys_expire(void)
{
	int index = tm_redis_queuef(redis, "KEYS *");
	char names[16][128];
	size_t count;

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	count = tm_redis_reply(redis, index)->count;
	cr_assert_leq(count, 16);
	for (size_t i = 0; i < count; i++)
		(void)snprintf(names[i], sizeof(names[i]), "%s",
			       tm_redis_reply(redis, index)->items[i].text);
	tm_redis_end(redis);
	for (size_t i = 0; i < count; i++) {
		char command[2100];

		(void)snprintf(command, sizeof(command), "PTTL %s", names[i]);
		cr_assert_gt(ask(command), 0, "%s", names[i]);
	}
}

#endif
