/* What becomes of items whose workers die: who takes them over, and which of them are poison. */
#include "jobs_fixture.h"

Test(jobs_lost, item_of_a_dead_worker_goes_to_another, .init = begin, .fini = end)
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

Test(jobs_lost, renewed_item_is_not_claimed, .init = begin, .fini = end)
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

Test(jobs_lost, item_that_kills_its_workers_ends_as_poison, .init = begin, .fini = end)
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

Test(jobs_lost, item_rests_from_the_second_death_on_and_frees_its_place, .init = begin, .fini = end)
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

Test(jobs_lost, survivors_excuse_what_was_lost_with_them, .init = begin, .fini = end)
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

Test(jobs_lost, survivors_of_before_excuse_nothing, .init = begin, .fini = end)
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

Test(jobs_lost, patience_has_an_end, .init = begin, .fini = end)
{
	submit(1, 5);
	(void)lose();
	(void)ask("SET tm:jobs:survivors 1000 PX 60000");
	for (int i = 1; i < 30; i++)
		cr_assert_not(lose().poison, "death %d", i);
	cr_assert(take(&one).poison);
}

Test(jobs_lost, item_that_no_worker_heard_of_is_not_held_to_have_killed_any, .init = begin, .fini = end)
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

Test(jobs_lost, item_that_is_put_back_keeps_its_excuses, .init = begin, .fini = end)
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

Test(jobs_lost, putting_back_counts_no_death_and_forgets_none, .init = begin, .fini = end)
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
