/* Requests under an Idempotency-Key: which keys and answers count, and, against a real Redis, who
 * runs and who gets what. */
#include "flow/idempotency.h"

#include "redis_server.h"

static struct redis_server server;
static struct tm_redis *redis;
static struct tm_arena arena;
static struct tm_idempotency_answer got;

static const struct tm_idempotency_ask ask = {
	.prefix = "tm:", .user = "ann", .key = "k-1", .route = "process", .body = "{}",
	.body_len = 2, .token = "11111111111111111111111111111111",
};
static const struct tm_idempotency_answer answer = {
	.status = 202, .content_type = "application/json; charset=utf-8",
	.headers = "Location: /x\r\n", .body = "{\"a\":1}", .body_len = 7,
};

static void begin(void)
{
	const struct tm_redis_conf where = {.url = server.url, .username = "", .password = "",
					    .timeout_ms = 2000};

	server_start(&server, NULL);
	cr_assert_eq(tm_redis_new(&redis, &where), TM_OK);
	tm_arena_init(&arena, 1 << 20);
}

static void end(void)
{
	tm_arena_clear(&arena);
	tm_redis_free(redis);
	server_stop(&server);
}

static struct tm_idempotency made(struct tm_idempotency_ask of)
{
	struct tm_idempotency idempotency;

	tm_idempotency_init(&idempotency, &of);
	return idempotency;
}

/* The same request, sent by somebody else. */
static struct tm_idempotency again(struct tm_idempotency_ask of)
{
	of.token = "22222222222222222222222222222222";
	return made(of);
}

static enum tm_idempotency_state state_of(const struct tm_idempotency *idempotency,
					  int64_t lock_ms)
{
	enum tm_idempotency_state state = TM_IDEMPOTENCY_BEGUN;

	cr_assert_eq(tm_idempotency_begin(redis, idempotency, lock_ms, &arena, &state, &got),
		     TM_OK);
	return state;
}

static int64_t life_of(const struct tm_idempotency *idempotency)
{
	int index = tm_redis_queuef(redis, "PTTL %s", idempotency->name);
	int64_t life;

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	life = tm_redis_reply(redis, index)->integer;
	tm_redis_end(redis);
	return life;
}

Test(idempotency, keys_are_visible_and_bounded)
{
	static const struct { const char *key; bool valid; } cases[] = {
		{"x", true}, {"~!\"", true}, {"", false}, {"a b", false}, {"a\tb", false},
		{"\x7f", false}, {"caf\xc3\xa9", false},
	};
	char key[TM_IDEMPOTENCY_KEY_MAX + 2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(tm_idempotency_key_valid(cases[i].key), cases[i].valid, "%s",
			     cases[i].key);
	memset(key, 'k', sizeof(key));
	key[TM_IDEMPOTENCY_KEY_MAX + 1] = '\0';
	cr_expect_not(tm_idempotency_key_valid(key));
	key[TM_IDEMPOTENCY_KEY_MAX] = '\0';
	cr_expect(tm_idempotency_key_valid(key));
}

Test(idempotency, keeps_what_a_repeat_would_get_again)
{
	static const struct { int status; bool keeps; } cases[] = {
		{200, true}, {202, true}, {400, true}, {413, true}, {422, true}, {406, false},
		{409, false}, {429, false}, {500, false}, {502, false}, {503, false}, {504, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(tm_idempotency_keeps(cases[i].status, 10), cases[i].keeps, "%d",
			     cases[i].status);
	cr_expect(tm_idempotency_keeps(200, TM_IDEMPOTENCY_ANSWER_MAX));
	cr_expect_not(tm_idempotency_keeps(200, TM_IDEMPOTENCY_ANSWER_MAX + 1));
}

Test(idempotency, names_tell_users_apart_and_requests_tell_bodies_and_routes_apart)
{
	struct tm_idempotency_ask other = ask;
	struct tm_idempotency one = made(ask), two = again(ask);

	cr_assert_str_eq(one.name, two.name);
	cr_assert_str_eq(one.request, two.request);
	cr_assert_null(strstr(one.name, "k-1"), "a key may be a secret");
	other.user = "bob";
	two = made(other);
	cr_assert_str_neq(one.name, two.name);
	other = ask;
	other.body = "{ }";
	other.body_len = 3;
	two = made(other);
	cr_assert_str_eq(one.name, two.name);
	cr_assert_str_neq(one.request, two.request);
	other = ask;
	other.route = "batch_process";
	two = made(other);
	cr_assert_str_neq(one.request, two.request);
}

Test(idempotency, a_repeat_waits_and_then_gets_the_answer, .init = begin, .fini = end)
{
	struct tm_idempotency_ask changed = ask;
	struct tm_idempotency one = made(ask), two = again(ask), other;
	int64_t life;

	changed.body = "[]";
	other = again(changed);
	cr_assert_eq(state_of(&one, 5000), TM_IDEMPOTENCY_BEGUN);
	life = life_of(&one);
	cr_assert(life > 0 && life <= 5000, "%lld", (long long)life);
	cr_assert_eq(state_of(&two, 5000), TM_IDEMPOTENCY_RUNNING);
	cr_assert_eq(state_of(&other, 5000), TM_IDEMPOTENCY_OTHER);
	cr_assert_eq(tm_idempotency_finish(redis, &one, &answer, 60000), TM_OK);
	life = life_of(&one);
	cr_assert(life > 5000 && life <= 60000, "%lld", (long long)life);
	cr_assert_eq(state_of(&two, 5000), TM_IDEMPOTENCY_DONE);
	cr_assert_eq(got.status, 202);
	cr_assert_str_eq(got.content_type, answer.content_type);
	cr_assert_str_eq(got.headers, answer.headers);
	cr_assert_eq(got.body_len, 7);
	cr_assert_str_eq(got.body, answer.body);
	cr_assert_eq(state_of(&other, 5000), TM_IDEMPOTENCY_OTHER);
}

Test(idempotency, one_that_drops_lets_the_next_run, .init = begin, .fini = end)
{
	struct tm_idempotency one = made(ask), two = again(ask);

	cr_assert_eq(state_of(&one, 5000), TM_IDEMPOTENCY_BEGUN);
	cr_assert_eq(tm_idempotency_drop(redis, &one), TM_OK);
	cr_assert_eq(state_of(&two, 5000), TM_IDEMPOTENCY_BEGUN);
	cr_assert_eq(tm_idempotency_drop(redis, &one), TM_EEXIST, "it is another's now");
	cr_assert_eq(state_of(&one, 5000), TM_IDEMPOTENCY_RUNNING);
}

Test(idempotency, the_same_request_sent_again_by_the_web_server_runs, .init = begin, .fini = end)
{
	struct tm_idempotency one = made(ask), two = made(ask);
	struct tm_idempotency_ask changed = ask;

	cr_assert_eq(state_of(&one, 5000), TM_IDEMPOTENCY_BEGUN);
	cr_assert_eq(state_of(&two, 60000), TM_IDEMPOTENCY_BEGUN);
	cr_assert_gt(life_of(&one), 5000, "the lock is the second's");
	changed.body = "[]";
	two = made(changed);
	cr_assert_eq(state_of(&two, 5000), TM_IDEMPOTENCY_OTHER);
	two = made(ask);
	cr_assert_eq(tm_idempotency_finish(redis, &two, &answer, 60000), TM_OK);
	cr_assert_eq(state_of(&one, 5000), TM_IDEMPOTENCY_DONE);
}

Test(idempotency, a_late_one_keeps_its_answer_only_where_nobody_came, .init = begin, .fini = end)
{
	struct tm_idempotency one = made(ask), two = again(ask);
	int64_t until_ms;

	cr_assert_eq(state_of(&one, 1), TM_IDEMPOTENCY_BEGUN);
	for (until_ms = 0; life_of(&one) != -2; until_ms++)
		cr_assert_lt(until_ms, 2500, "the lock does not lapse");
	cr_assert_eq(state_of(&two, 5000), TM_IDEMPOTENCY_BEGUN);
	cr_assert_eq(tm_idempotency_finish(redis, &one, &answer, 60000), TM_EEXIST);
	cr_assert_eq(tm_idempotency_drop(redis, &two), TM_OK);
	cr_assert_eq(tm_idempotency_finish(redis, &one, &answer, 60000), TM_OK);
	cr_assert_eq(state_of(&two, 5000), TM_IDEMPOTENCY_DONE);
}

Test(idempotency, without_redis_nothing_is_known, .init = begin, .fini = end)
{
	struct tm_idempotency one = made(ask);
	enum tm_idempotency_state state;

	server_kill(&server);
	cr_assert_neq(tm_idempotency_begin(redis, &one, 5000, &arena, &state, &got), TM_OK);
	cr_assert_neq(tm_idempotency_finish(redis, &one, &answer, 60000), TM_OK);
}
