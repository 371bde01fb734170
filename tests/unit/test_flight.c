/* Who leads, who follows, and what becomes of a flight: against a real Redis. */
#include "flow/flight.h"

#include "redis_server.h"

static const char entry[] = "tm:cache:summarize:{abc}";
static struct redis_server server;
static struct tm_redis *redis;
static struct tm_flight one, two;
static char text[64];

static void begin(void)
{
	const struct tm_redis_conf where = {.url = server.url, .username = "", .password = "",
					    .timeout_ms = 2000};

	server_start(&server, NULL);
	cr_assert_eq(tm_redis_new(&redis, &where), TM_OK);
	tm_flight_init(&one, "tm:", entry, "11111111111111111111111111111111");
	tm_flight_init(&two, "tm:", entry, "22222222222222222222222222222222");
}

static void end(void)
{
	tm_redis_free(redis);
	server_stop(&server);
}

/* Asks who leads; what came with it is in text. */
static enum tm_flight_state ask(struct tm_flight *flight)
{
	const struct tm_reply *with = NULL;
	enum tm_flight_state state;
	int index = tm_flight_queue_lead(redis, flight);

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_flight_read_lead(tm_redis_reply(redis, index), flight, &state, &with), TM_OK,
		     "%s", tm_redis_reply(redis, index)->text);
	(void)snprintf(text, sizeof(text), "%s", with ? with->text : "");
	tm_redis_end(redis);
	return state;
}

/* Runs what was queued last; its integer. */
static int64_t run(int index)
{
	int64_t answer;

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, index)->kind, TM_REPLY_INT, "%s",
		     tm_redis_reply(redis, index)->text);
	answer = tm_redis_reply(redis, index)->integer;
	tm_redis_end(redis);
	return answer;
}

static void store(const struct tm_flight *flight, const char *value)
{
	(void)run(tm_flight_queue_stored(redis, flight, value, strlen(value), 60000));
}

#define FRESH "tm1 1 99999999999999 1 1\nab"
#define STALE "tm1 1 2 1 1\nab"

Test(flight, first_leads_the_next_follows, .init = begin, .fini = end)
{
	cr_assert_eq(ask(&one), TM_FLIGHT_LEAD);
	cr_assert(one.leads);
	cr_assert_eq(ask(&two), TM_FLIGHT_FOLLOW);
	cr_assert_not(two.leads);
	cr_assert_str_eq(two.leader, one.token);
	cr_assert_eq(ask(&one), TM_FLIGHT_LEAD, "the leader stays the leader");
}

Test(flight, stored_answer_reaches_who_follows_and_who_comes, .init = begin, .fini = end)
{
	struct tm_flight three;

	(void)ask(&one);
	(void)ask(&two);
	cr_assert_eq(run(tm_flight_queue_stored(redis, &one, FRESH, strlen(FRESH), 60000)), 1);
	cr_assert_eq(ask(&two), TM_FLIGHT_ENTRY);
	cr_assert_str_eq(text, FRESH);
	tm_flight_init(&three, "tm:", entry, "33333333333333333333333333333333");
	cr_assert_eq(ask(&three), TM_FLIGHT_ENTRY);
}

Test(flight, entry_past_its_time_is_no_answer, .init = begin, .fini = end)
{
	(void)ask(&one);
	store(&one, STALE);
	cr_assert_eq(ask(&two), TM_FLIGHT_LEAD);
}

Test(flight, failure_is_told_to_those_that_followed_and_to_nobody_else, .init = begin, .fini = end)
{
	struct tm_flight later;

	(void)ask(&one);
	(void)ask(&two);
	cr_assert_eq(run(tm_flight_queue_failed(redis, &one, "8 1000 why")), 1);
	cr_assert_eq(ask(&two), TM_FLIGHT_FAILED);
	cr_assert_str_eq(text, "8 1000 why");
	tm_flight_init(&later, "tm:", entry, "33333333333333333333333333333333");
	cr_assert_eq(ask(&later), TM_FLIGHT_LEAD, "who comes later tries for himself");
}

Test(flight, dropped_lead_goes_to_the_next, .init = begin, .fini = end)
{
	(void)ask(&one);
	(void)ask(&two);
	cr_assert_eq(run(tm_flight_queue_dropped(redis, &one)), 1);
	cr_assert_eq(ask(&two), TM_FLIGHT_LEAD);
}

Test(flight, lapsed_lock_is_taken_over_and_the_late_leader_frees_nothing, .init = begin,
     .fini = end)
{
	(void)ask(&one);
	(void)ask(&two);
	(void)tm_redis_queuef(redis, "HSET %s until 1", one.name);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);
	cr_assert_eq(ask(&two), TM_FLIGHT_LEAD);
	cr_assert_eq(run(tm_flight_queue_renew(redis, &one)), 0);
	cr_assert_eq(run(tm_flight_queue_failed(redis, &one, "8 0 late")), 0);
	cr_assert_eq(ask(&two), TM_FLIGHT_LEAD, "two still leads");
	cr_assert_eq(run(tm_flight_queue_stored(redis, &one, FRESH, strlen(FRESH), 60000)), 0);
	cr_assert_eq(ask(&two), TM_FLIGHT_ENTRY, "a late answer is an answer");
}

Test(flight, request_sent_again_leads_on, .init = begin, .fini = end)
{
	struct tm_flight again;

	(void)ask(&one);
	(void)ask(&two);
	tm_flight_init(&again, "tm:", entry, one.token);
	cr_assert_eq(ask(&again), TM_FLIGHT_LEAD, "its worker has died, nobody need wait");
	cr_assert_eq(ask(&two), TM_FLIGHT_FOLLOW);
}

Test(flight, renewal_tells_whether_somebody_waits, .init = begin, .fini = end)
{
	(void)ask(&one);
	cr_assert_eq(run(tm_flight_queue_renew(redis, &one)), 1);
	(void)ask(&two);
	cr_assert_eq(run(tm_flight_queue_renew(redis, &one)), 2);
}

Test(flight, every_key_has_an_expiry, .init = begin, .fini = end)
{
	static const char *const names[] = {"tm:flight:{abc}", entry};
	int index;

	(void)ask(&one);
	(void)ask(&two);
	index = tm_redis_queuef(redis, "PTTL %s", names[0]);
	cr_assert_gt(run(index), 0);
	(void)run(tm_flight_queue_failed(redis, &one, "8 0 x"));
	index = tm_redis_queuef(redis, "PTTL %s", names[0]);
	cr_assert_gt(run(index), 0);
	(void)ask(&two);
	(void)ask(&two);
	store(&two, FRESH);
	for (size_t i = 0; i < 2; i++) {
		index = tm_redis_queuef(redis, "PTTL %s", names[i]);
		cr_assert_neq(run(index), -1, "%s", names[i]);
	}
}

Test(flight, reply_that_is_not_the_scripts_is_refused)
{
	const struct tm_reply words[] = {{.kind = TM_REPLY_TEXT, .text = "fly", .len = 3},
					 {.kind = TM_REPLY_TEXT, .text = "entry", .len = 5}};
	const struct tm_reply *with;
	enum tm_flight_state state;

	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(tm_flight_read_lead(&(struct tm_reply){.kind = TM_REPLY_ARRAY,
								    .items = &words[i], .count = 1},
						 &one, &state, &with), TM_EPROTO);
	cr_assert_eq(tm_flight_read_lead(&(struct tm_reply){.kind = TM_REPLY_NIL}, &one, &state,
					 &with), TM_EPROTO);
}
