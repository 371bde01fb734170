/* The queue of asynchronous batches, against a real Redis: who gets which item, what a death
 * leaves behind, and that nothing is answered twice or lost. */
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

Test(jobs, batch_goes_from_pending_to_completed_item_by_item, .init = begin, .fini = end)
{
	struct tm_jobs_view view;
	struct tm_job job;

	submit(2, 5);
	view = look(false);
	cr_assert_str_eq(view.status, "pending");
	cr_assert_eq(view.total, 2);
	cr_assert_null(view.items[0].result);
	job = take(&one);
	cr_assert_eq(job.index, 0);
	cr_assert_str_eq(job.text, "{\"i\":0}");
	cr_assert_str_eq(job.batch.key, key);
	cr_assert_str_eq(job.batch.principal.user, "ann");
	cr_assert_str_eq(job.batch.principal.id, "k1");
	cr_assert_eq(job.batch.principal.permissions, 3);
	cr_assert_eq(job.batch.principal.hour, 7);
	cr_assert_str_eq(job.batch.request_id, "r1");
	cr_assert(job.batch.no_store && !job.batch.no_cache && !job.batch.only_if_cached);
	cr_assert_arr_eq(job.batch.overrides, "A=1\0B=2", 8);
	cr_assert_eq(job.batch.overrides_len, 8);
	view = look(false);
	cr_assert_str_eq(view.status, "processing");
	cr_assert(view.items[0].running && !view.items[1].running);
	cr_assert_eq(finish(&one, &job, "{\"a\":0}"), TM_OK);
	view = look(false);
	cr_assert_str_eq(view.status, "processing");
	cr_assert_str_eq(view.items[0].result, "{\"a\":0}");
	cr_assert_not(view.items[0].running);
	cr_assert_eq(view.finished_ms, 0);
	job = take(&two);
	cr_assert_eq(tm_jobs_finish(&two, &job, false, "{\"e\":1}", 7), TM_OK);
	view = look(false);
	cr_assert_str_eq(view.status, "completed");
	cr_assert_eq(view.completed, 1);
	cr_assert_eq(view.failed, 1);
	cr_assert_gt(view.finished_ms, 0);
	take_nothing(&one);
	cr_assert_eq(ask("XLEN tm:jobs"), 0);
}

Test(jobs, an_id_is_taken_once, .init = begin, .fini = end)
{
	submit(1, 5);
	cr_assert_not(before);
	cr_assert_eq(submit_as(key, 1, 0, 5), TM_OK, "the web server has sent it again");
	cr_assert(before);
	token = "22222222222222222222222222222222";
	cr_assert_eq(submit_as(key, 1, 0, 5), TM_EEXIST);
	cr_assert_eq(submit_as("tm:batch:{bob:b1}", 1, 0, 5), TM_OK, "another user's is another");
	cr_assert_eq(ask("XLEN tm:jobs"), 2);
}

Test(jobs, a_batch_is_accepted_whole_or_not_at_all, .init = begin, .fini = end)
{
	submit(60, 5);
	cr_assert_eq(submit_as("tm:batch:{ann:b2}", 41, 0, 5), TM_DENIED);
	cr_assert_eq(ask("XLEN tm:jobs"), 60);
	cr_assert_eq(ask("EXISTS tm:batch:{ann:b2} tm:batch:{ann:b2}:state"), 0);
	cr_assert_eq(submit_as("tm:batch:{ann:b2}", 40, 0, 5), TM_OK);
}

Test(jobs, invalid_items_are_over_at_once, .init = begin, .fini = end)
{
	struct tm_jobs_view view;
	struct tm_job job;

	cr_assert_eq(submit_as(key, 2, 1, 5), TM_OK);
	view = look(false);
	cr_assert_str_eq(view.status, "pending");
	cr_assert_str_eq(view.items[1].result, "{\"wrong\":1}");
	cr_assert_eq(view.failed, 1);
	job = take(&one);
	cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	cr_assert_str_eq(look(false).status, "completed");
	cr_assert_eq(submit_as("tm:batch:{ann:b3}", 2, 2, 5), TM_OK);
	take_nothing(&one);
}

Test(jobs, item_of_a_dead_worker_goes_to_another, .init = begin, .fini = end)
{
	struct tm_job lost, job;

	submit(1, 5);
	lost = take(&one);
	take_nothing(&two);
	age(&lost, 29000);
	take_nothing(&two);
	age(&lost, 30000);
	job = take(&two);
	cr_assert_eq(job.deaths, 1);
	cr_assert_str_eq(job.entry, lost.entry);
	cr_assert_eq(finish(&two, &job, "{\"by\":2}"), TM_OK);
	cr_assert_eq(finish(&one, &lost, "{\"by\":1}"), TM_EEXIST, "it was only slow");
	cr_assert_str_eq(look(false).items[0].result, "{\"by\":2}");
	cr_assert_eq(look(false).completed, 1);
}

Test(jobs, renewed_item_is_not_claimed, .init = begin, .fini = end)
{
	struct tm_job job;
	char command[2100];

	submit(1, 5);
	job = take(&one);
	(void)snprintf(command, sizeof(command), "XCLAIM tm:jobs workers %s 0 %s IDLE 60000 JUSTID",
		       one.worker, job.entry);
	(void)ask(command);
	tm_jobs_renew(&one, &job);
	take_nothing(&two);
	age(&job, 60000);
	tm_jobs_renew(&one, &job);	/* another's by now: renews nothing */
	cr_assert_eq(take(&two).deaths, 1);
}

/* Takes the next item; what rests has rested. */
static struct tm_job take_rested(void)
{
	struct tm_job job;

	if (tm_jobs_take(&one, &arena, &job) == TM_OK) {
		tm_jobs_begin(&one, &job);
		return job;
	}
	(void)ask("ZUNIONSTORE tm:jobs:later 1 tm:jobs:later WEIGHTS 0");
	return take(&one);
}

/* Takes an item, loses its worker. */
static struct tm_job lose(void)
{
	struct tm_job job = take_rested();

	age(&job, 60000);
	return job;
}

Test(jobs, item_that_kills_its_workers_ends_as_poison, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	for (int64_t i = 0; i < 3; i++) {
		job = lose();
		cr_assert_eq(job.deaths, i);
		cr_assert_not(job.poison, "death %" PRId64, i);
	}
	job = take(&two);
	cr_assert(job.poison);
	cr_assert_eq(tm_jobs_finish(&two, &job, false, "{}", 2), TM_OK);
	cr_assert_str_eq(look(false).status, "completed");
	cr_assert_eq(ask("EXISTS tm:jobs:survivors"), 0, "a poisonous one is no survivor");
}

Test(jobs, item_rests_from_the_second_death_on_and_frees_its_place, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(2, 1);
	(void)lose();
	job = take(&one);
	cr_assert_eq(job.index, 0, "after the first death it runs at once");
	take_nothing(&two);
	age(&job, 60000);
	cr_assert_eq(take(&two).index, 1);
	cr_assert_eq(ask("ZCARD tm:jobs:later"), 1);
	cr_assert_eq(ask("ZCOUNT tm:jobs:later -inf 1"), 0);
	all_keys_expire();
}

Test(jobs, survivors_excuse_what_was_lost_with_them, .init = begin, .fini = end)
{
	struct tm_job mine, other;

	submit(1, 5);
	(void)lose();
	cr_assert_eq(submit_as("tm:batch:{bob:b1}", 2, 0, 5), TM_OK);
	mine = take(&two);
	cr_assert_str_eq(mine.batch.key, key);
	for (size_t i = 0; i < 2; i++) {
		(void)lose();
		other = take(&one);
		cr_assert_eq(other.deaths, 1);
		cr_assert_eq(other.index, i);
		cr_assert_eq(finish(&one, &other, "{}"), TM_OK);
	}
	cr_assert_eq(ask("HEXISTS tm:batch:{bob:b1}:state lost0"), 0, "what is over leaves no trace");
	cr_assert_eq(ask("HEXISTS tm:batch:{bob:b1}:state base0"), 0);
	age(&mine, 60000);
	for (int64_t deaths = 2; deaths < 5; deaths++) {
		mine = lose();
		cr_assert_eq(mine.deaths, deaths);
		cr_assert_not(mine.poison, "death %" PRId64, deaths);
	}
	cr_assert(take(&one).poison, "two survivors excuse two deaths, no more");
	all_keys_expire();
}

Test(jobs, survivors_of_before_excuse_nothing, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	(void)lose();
	job = take(&one);
	cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	cr_assert_eq(submit_as("tm:batch:{bob:b1}", 1, 0, 5), TM_OK);
	for (int i = 0; i < 3; i++)
		cr_assert_not(lose().poison);
	cr_assert(take(&one).poison);
}

Test(jobs, patience_has_an_end, .init = begin, .fini = end)
{
	submit(1, 5);
	(void)lose();
	(void)ask("SET tm:jobs:survivors 1000 PX 60000");
	for (int i = 1; i < 30; i++)
		cr_assert_not(lose().poison, "death %d", i);
	cr_assert(take(&one).poison);
}

Test(jobs, item_that_no_worker_heard_of_is_not_held_to_have_killed_any, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(tm_jobs_take(&one, &arena, &job), TM_OK);
		cr_assert_eq(job.deaths, 0);
		age(&job, 60000);	/* the answer was lost on its way */
	}
	job = take(&one);
	cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	cr_assert_eq(ask("EXISTS tm:jobs:survivors"), 0);
}

Test(jobs, item_that_is_put_back_keeps_its_excuses, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	(void)lose();
	(void)ask("SET tm:jobs:survivors 3 PX 60000");
	(void)lose();
	(void)lose();
	job = take_rested();
	cr_assert(job.deaths == 3 && !job.poison);
	cr_assert_eq(tm_jobs_put_back(&one, &job, 0, ""), TM_OK);
	job = take(&one);
	cr_assert(job.deaths == 3 && !job.poison);
}

Test(jobs, putting_back_counts_no_death_and_forgets_none, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	job = take(&one);
	age(&job, 60000);
	job = take(&one);
	cr_assert_eq(job.deaths, 1);
	cr_assert_eq(tm_jobs_put_back(&one, &job, 0, ""), TM_OK);
	job = take(&one);
	cr_assert_eq(job.deaths, 1);
}

Test(jobs, batch_has_no_more_items_at_once_than_its_share, .init = begin, .fini = end)
{
	struct tm_job first, second, other;

	submit(4, 2);
	cr_assert_eq(submit_as("tm:batch:{bob:b1}", 1, 0, 2), TM_OK);
	first = take(&one);
	second = take(&two);
	cr_assert_eq(second.index, 1);
	other = take(&one);
	cr_assert_str_eq(other.batch.key, "tm:batch:{bob:b1}", "the next batch need not wait");
	take_nothing(&one);
	cr_assert_eq(ask("ZCARD tm:jobs:later"), 2);
	cr_assert_eq(finish(&one, &first, "{}"), TM_OK);
	first = take(&one);
	cr_assert_eq(first.index, 2);
	cr_assert_eq(first.deaths, 0);
	take_nothing(&two);
	cr_assert_eq(tm_jobs_put_back(&one, &first, 60000, ""), TM_OK);
	cr_assert_eq(take(&two).index, 3, "a place given up is a place");
}

Test(jobs, batch_without_quota_waits_as_a_whole_and_says_so, .init = begin, .fini = end)
{
	struct tm_jobs_view view;
	struct tm_job job;

	submit(3, 5);
	job = take(&one);
	cr_assert_eq(tm_jobs_put_back(&one, &job, 60000, "llm_quota"), TM_OK);
	take_nothing(&one);
	view = look(false);
	cr_assert_str_eq(view.waiting, "llm_quota");
	cr_assert_eq(view.waiting_until_ms / 10000, (view.now_ms + 60000) / 10000);
	cr_assert_eq(ask("ZCARD tm:jobs:later"), 3);
	(void)ask("HSET tm:batch:{ann:b1}:state waiting_until 1");
	for (int i = 0; i < 3; i++) {
		(void)tm_redis_queuef(redis, "ZINCRBY tm:jobs:later -100000 %b",
				      tm_arena_printf(&arena, "%d %s", i, key),
				      strlen(key) + 2);
		cr_assert_eq(tm_redis_run(redis), TM_OK);
		tm_redis_end(redis);
	}
	for (int i = 0; i < 3; i++) {
		job = take(&one);
		cr_assert_eq(job.deaths, 0);
		cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	}
	view = look(false);
	cr_assert_str_eq(view.status, "completed");
	cr_assert_str_eq(view.waiting, "");
}

Test(jobs, no_wait_outlasts_the_batch, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	job = take(&one);
	cr_assert_eq(tm_jobs_put_back(&one, &job, 3600 * 1000, "llm_quota"), TM_DENIED);
	cr_assert_eq(finish(&one, &job, "{}"), TM_OK, "the item is still in hand");
}

Test(jobs, cancelling_ends_what_nobody_has_in_hand, .init = begin, .fini = end)
{
	struct tm_jobs_view view;
	struct tm_job done, running;

	submit(5, 2);
	done = take(&one);
	cr_assert_eq(finish(&one, &done, "{\"a\":0}"), TM_OK);
	running = take(&one);
	view = look(true);
	cr_assert_str_eq(view.status, "cancelled");
	cr_assert_str_eq(view.items[0].result, "{\"a\":0}");
	cr_assert(view.items[1].running);
	cr_assert_str_eq(view.items[2].result, "{\"request_index\":2,\"status\":\"cancelled\","
			 "\"response\":null,\"error\":null}");
	cr_assert_eq(view.cancelled, 3);
	cr_assert_eq(view.finished_ms, 0);
	take_nothing(&two);
	cr_assert_eq(ask("XLEN tm:jobs"), 1, "only the running one is left");
	cr_assert_eq(ask("ZCARD tm:jobs:later"), 0);
	cr_assert_eq(finish(&one, &running, "{\"a\":1}"), TM_OK);
	view = look(true);
	cr_assert_str_eq(view.status, "cancelled");
	cr_assert_eq(view.completed, 2);
	cr_assert_gt(view.finished_ms, 0);
}

Test(jobs, cancelling_an_ended_batch_changes_nothing, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	job = take(&one);
	cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	cr_assert_str_eq(look(true).status, "completed");
}

Test(jobs, cancelled_item_does_not_come_back, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(1, 5);
	job = take(&one);
	(void)look(true);
	cr_assert_eq(tm_jobs_put_back(&one, &job, 1000, "llm_quota"), TM_EEXIST);
	cr_assert_eq(look(false).cancelled, 1);
	cr_assert_gt(look(false).finished_ms, 0);
	take_nothing(&one);
}

Test(jobs, items_of_an_expired_batch_are_dropped, .init = begin, .fini = end)
{
	struct tm_jobs_view view;

	submit(3, 5);
	(void)ask("DEL tm:batch:{ann:b1} tm:batch:{ann:b1}:state tm:batch:{ann:b1}:items");
	take_nothing(&one);
	cr_assert_eq(ask("XLEN tm:jobs"), 0);
	cr_assert_eq(tm_jobs_look(redis, "tm:", key, true, &arena, &view), TM_ENOENT);
	submit(1, 5);
	cr_assert_eq(take(&one).index, 0);
}

Test(jobs, queue_without_its_group_is_mended, .init = begin, .fini = end)
{
	take_nothing(&one);
	submit(1, 5);
	(void)ask("XGROUP DESTROY tm:jobs workers");
	cr_assert_eq(take(&one).index, 0);
	(void)ask("DEL tm:jobs");
	take_nothing(&one);
	cr_assert_eq(submit_as("tm:batch:{ann:b2}", 1, 0, 5), TM_OK);
	cr_assert_str_eq(take(&one).batch.key, "tm:batch:{ann:b2}");
}

Test(jobs, every_key_expires_and_results_live_on_from_the_end, .init = begin, .fini = end)
{
	struct tm_job job;

	submit(4, 1);
	all_keys_expire();
	job = take(&one);
	take_nothing(&two);
	all_keys_expire();
	cr_assert_eq(tm_jobs_put_back(&one, &job, 0, "llm_quota"), TM_OK);
	all_keys_expire();
	job = take(&one);
	cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	all_keys_expire();
	for (int i = 0; i < 2; i++) {
		job = take(&one);
		cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	}
	job = take(&one);
	(void)ask("PEXPIRE tm:batch:{ann:b1}:state 60000");
	(void)ask("PEXPIRE tm:batch:{ann:b1}:results 60000");
	(void)ask("PEXPIRE tm:batch:{ann:b1} 60000");
	cr_assert_eq(finish(&one, &job, "{}"), TM_OK);
	all_keys_expire();
	cr_assert_gt(ask("PTTL tm:batch:{ann:b1}:state"), 3000 * 1000);
	cr_assert_gt(ask("PTTL tm:batch:{ann:b1}:results"), 3000 * 1000);
	cr_assert_gt(ask("PTTL tm:batch:{ann:b1}"), 3000 * 1000);
}

Test(jobs, list_is_newest_first, .init = begin, .fini = end)
{
	static const char other[] = "tm:batch:{bob:b9}";
	const char **keys;
	size_t count;

	submit(1, 5);
	cr_assert_eq(submit_as(other, 1, 0, 5), TM_OK);
	(void)tm_redis_queuef(redis, "ZADD tm:jobs:batches 5 %s", key);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);
	cr_assert_eq(tm_jobs_list(redis, "tm:", 0, 10, &arena, &keys, &count), TM_OK);
	cr_assert_eq(count, 2);
	cr_assert_str_eq(keys[0], other);
	cr_assert_str_eq(keys[1], key);
	cr_assert_eq(tm_jobs_list(redis, "tm:", 1, 1, &arena, &keys, &count), TM_OK);
	cr_assert_eq(count, 1);
	cr_assert_str_eq(keys[0], key);
}

Test(jobs, redis_away_is_told)
{
	const struct tm_redis_conf nowhere = {.url = "unix:///nowhere/redis.sock", .username = "",
					      .password = "", .timeout_ms = 100};
	struct tm_job job;

	settings.redis.prefix = "tm:";
	tm_arena_init(&arena, 1 << 20);
	cr_assert_eq(tm_redis_new(&redis, &nowhere), TM_OK);
	tm_jobs_init(&one, redis, &settings);
	cr_assert_eq(submit_as(key, 1, 0, 1), TM_EIO);
	cr_assert_eq(submit_as(key, 1, 0, 1), TM_EUNAVAIL);
	cr_assert_eq(tm_jobs_take(&one, &arena, &job), TM_EUNAVAIL);
	tm_redis_free(redis);
	tm_arena_clear(&arena);
}
