/* The queue of asynchronous batches, against a real Redis: who gets which item, what a death
 * leaves behind, and that nothing is answered twice or lost. */
#include "jobs_fixture.h"

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
