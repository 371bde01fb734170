/* The connection against a real server that is stopped, continued, restarted, and against
 * peers that talk nonsense. */
#include "redis_server.h"

#include "base/clock.h"

enum { SHORT_MS = 60 };

static struct redis_server server;
static struct tm_redis *redis;

static struct tm_redis *open_handle(const char *url, const char *username, const char *password,
				    int64_t timeout_ms)
{
	const struct tm_redis_conf conf = {
		.url = url, .username = username, .password = password, .timeout_ms = timeout_ms,
	};
	struct tm_redis *handle = NULL;

	cr_assert_eq(tm_redis_new(&handle, &conf), TM_OK);
	return handle;
}

static void start(void)
{
	server_start(&server, NULL);
	redis = server_handle(&server);
}

static void stop(void)
{
	tm_redis_free(redis);
	redis = NULL;
	server_stop(&server);
}

/* One command, its answer's text copied. */
static enum tm_err ask(struct tm_redis *handle, const char *word, char *out, size_t size)
{
	int index = tm_redis_queue(handle, 2, (const char *const[]){"ECHO", word}, NULL);
	enum tm_err err = tm_redis_run(handle);

	if (err == TM_OK)
		(void)snprintf(out, size, "%s", tm_redis_reply(handle, index)->text);
	tm_redis_end(handle);
	return err;
}

static void assert_works(struct tm_redis *handle)
{
	static int count;
	char word[32], answer[32] = "";

	(void)snprintf(word, sizeof(word), "word-%d", count++);
	cr_assert_eq(ask(handle, word, answer, sizeof(answer)), TM_OK, "%s",
		     tm_redis_error(handle));
	cr_assert_str_eq(answer, word);
}

/* What an idle worker does: waits as watch says, then polls. Ends when up or after limit_ms. */
static int64_t idle_until_up(struct tm_redis *handle, int64_t limit_ms)
{
	int64_t start_ms = tm_clock_mono_ms();

	while (!tm_redis_up(handle) && tm_clock_mono_ms() - start_ms < limit_ms) {
		struct pollfd watched;
		int64_t timeout_ms;

		watched.fd = tm_redis_watch(handle, &watched.events, &timeout_ms);
		cr_assert_geq(timeout_ms, 0, "a lost connection would never be looked after");
		(void)poll(&watched, 1, (int)timeout_ms + 1);
		tm_redis_poll(handle);
	}
	return tm_clock_mono_ms() - start_ms;
}

Test(redis, every_kind_of_answer_arrives, .init = start, .fini = stop)
{
	const struct tm_reply *reply;
	int set = tm_redis_queuef(redis, "SET %s %b", "key", "a\0b", (size_t)3);
	int get = tm_redis_queuef(redis, "GET key");
	int missing = tm_redis_queuef(redis, "GET nothing");
	int incr = tm_redis_queuef(redis, "INCRBY n-%d %lld", 7, -9000000000LL);
	int wrong = tm_redis_queuef(redis, "INCR key");
	int percent = tm_redis_queuef(redis, "ECHO 100%%");
	int empty = tm_redis_queuef(redis, "ECHO %s", "");
	int spaces = tm_redis_queuef(redis, "ECHO  %s", "two words");
	int tree = tm_redis_queuef(redis, "EVAL %s 0", "return {1, {'x', {}}, false, 'y'}");

	cr_assert_eq(tm_redis_run(redis), TM_OK, "%s", tm_redis_error(redis));
	cr_assert_str_eq(tm_redis_reply(redis, set)->text, "OK");
	reply = tm_redis_reply(redis, get);
	cr_assert(reply->kind == TM_REPLY_TEXT && reply->len == 3);
	cr_assert_arr_eq(reply->text, "a\0b\0", 4);
	cr_assert_eq(tm_redis_reply(redis, missing)->kind, TM_REPLY_NIL);
	cr_assert_eq(tm_redis_reply(redis, incr)->kind, TM_REPLY_INT);
	cr_assert_eq(tm_redis_reply(redis, incr)->integer, -9000000000LL);
	cr_assert_eq(tm_redis_reply(redis, wrong)->kind, TM_REPLY_ERROR);
	cr_assert_str_eq(tm_redis_reply(redis, percent)->text, "100%");
	cr_assert_eq(tm_redis_reply(redis, empty)->kind, TM_REPLY_TEXT);
	cr_assert_eq(tm_redis_reply(redis, empty)->len, 0);
	cr_assert_str_eq(tm_redis_reply(redis, spaces)->text, "two words");
	reply = tm_redis_reply(redis, tree);
	cr_assert(reply->kind == TM_REPLY_ARRAY && reply->count == 4);
	cr_assert_eq(reply->items[0].integer, 1);
	cr_assert_eq(reply->items[1].count, 2);
	cr_assert_str_eq(reply->items[1].items[0].text, "x");
	cr_assert_eq(reply->items[1].items[1].kind, TM_REPLY_ARRAY);
	cr_assert_eq(reply->items[1].items[1].count, 0);
	cr_assert_eq(reply->items[2].kind, TM_REPLY_NIL);
	cr_assert_str_eq(reply->items[3].text, "y");
	cr_assert_eq(tm_redis_reply(redis, -1)->kind, TM_REPLY_NIL);
	cr_assert_eq(tm_redis_reply(redis, 9)->kind, TM_REPLY_NIL);
	tm_redis_end(redis);
}

Test(redis, pipeline_costs_one_trip, .init = start, .fini = stop)
{
	uint64_t before;

	assert_works(redis);
	before = tm_redis_trips(redis);
	for (int i = 0; i < TM_REDIS_PIPELINE; i++)
		cr_assert_eq(tm_redis_queuef(redis, "ECHO %d", i), i);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	for (int i = 0; i < TM_REDIS_PIPELINE; i++)
		cr_assert_eq(atoi(tm_redis_reply(redis, i)->text), i);
	tm_redis_end(redis);
	cr_assert_eq(tm_redis_trips(redis) - before, 1);
}

Test(redis, overfull_pipeline_sends_nothing, .init = start, .fini = stop)
{
	for (int i = 0; i < TM_REDIS_PIPELINE; i++)
		cr_assert_eq(tm_redis_queuef(redis, "INCR n"), i);
	cr_assert_eq(tm_redis_queuef(redis, "INCR n"), -1);
	cr_assert_eq(tm_redis_run(redis), TM_ENOMEM);
	tm_redis_end(redis);
	cr_assert_eq(tm_redis_queuef(redis, "GET n"), 0);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, 0)->kind, TM_REPLY_NIL);
	tm_redis_end(redis);
}

Test(redis, unknown_format_is_refused, .init = start, .fini = stop)
{
	cr_assert_eq(tm_redis_queuef(redis, "ECHO %x", 1), -1);
	cr_assert_eq(tm_redis_run(redis), TM_ENOMEM);
	tm_redis_end(redis);
	cr_assert_eq(tm_redis_queuef(redis, ""), -1);
	tm_redis_end(redis);
	assert_works(redis);
}

Test(redis, large_value_comes_back_whole, .init = start, .fini = stop)
{
	enum { BYTES = 1024 * 1024 };
	char *value = malloc(BYTES);
	const struct tm_reply *reply;

	for (size_t i = 0; i < BYTES; i++)
		value[i] = (char)(i * 31 >> 3);
	(void)tm_redis_queuef(redis, "SET big %b", value, (size_t)BYTES);
	(void)tm_redis_queuef(redis, "GET big");
	cr_assert_eq(tm_redis_run(redis), TM_OK, "%s", tm_redis_error(redis));
	reply = tm_redis_reply(redis, 1);
	cr_assert_eq(reply->len, BYTES);
	cr_assert(memcmp(reply->text, value, BYTES) == 0);
	tm_redis_end(redis);
	free(value);
}

/* The admit script on a bucket of 10: what is left of it. */
static int64_t admit(int *index)
{
	static const char *const argv[] = {"limit:{x}", "1", "1", "m", "10", "60000", "0", "0"};

	*index = tm_redis_queue_script(redis, TM_SCRIPT_ADMIT, 1, 8, argv, NULL);
	return *index;
}

Test(redis, script_costs_one_trip_from_the_first_call_on, .init = start, .fini = stop)
{
	uint64_t before;
	int index;

	assert_works(redis);
	before = tm_redis_trips(redis);
	for (int i = 0; i < 3; i++) {
		(void)admit(&index);
		cr_assert_eq(tm_redis_run(redis), TM_OK);
		cr_assert_eq(tm_redis_reply(redis, index)->items[1].integer, 9 - i);
		tm_redis_end(redis);
	}
	cr_assert_eq(tm_redis_trips(redis) - before, 3);
	(void)tm_redis_queuef(redis, "INFO commandstats");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_not_null(strstr(tm_redis_reply(redis, 0)->text, "cmdstat_evalsha:calls=3"));
	tm_redis_end(redis);
}

Test(redis, forgotten_script_is_sent_again_and_other_answers_kept, .init = start, .fini = stop)
{
	uint64_t before;
	int first, second, third;

	assert_works(redis);
	(void)tm_redis_queuef(redis, "SCRIPT FLUSH");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);

	before = tm_redis_trips(redis);
	(void)admit(&first);
	second = tm_redis_queuef(redis, "INCR once");
	(void)admit(&third);
	cr_assert_eq(tm_redis_run(redis), TM_OK, "%s", tm_redis_error(redis));
	cr_assert_eq(tm_redis_reply(redis, first)->items[1].integer, 9);
	cr_assert_eq(tm_redis_reply(redis, second)->integer, 1);
	cr_assert_eq(tm_redis_reply(redis, third)->items[1].integer, 8);
	tm_redis_end(redis);
	cr_assert_eq(tm_redis_trips(redis) - before, 2);

	(void)admit(&first);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);
	cr_assert_eq(tm_redis_trips(redis) - before, 3);
}

Test(redis, stopped_server_costs_one_bounded_wait, .init = start, .fini = stop)
{
	struct tm_redis *handle = open_handle(server.url, "", "", SHORT_MS);
	char answer[32];
	int64_t start_us, spent_us;

	assert_works(handle);
	(void)kill(server.pid, SIGSTOP);

	start_us = tm_clock_mono_us();
	cr_assert_eq(ask(handle, "x", answer, sizeof(answer)), TM_ETIME);
	spent_us = tm_clock_mono_us() - start_us;
	cr_assert_geq(spent_us, (SHORT_MS - 1) * 1000);
	cr_assert_lt(spent_us, (SHORT_MS + 500) * 1000);
	cr_assert_not(tm_redis_up(handle));

	start_us = tm_clock_mono_us();
	for (int i = 0; i < 10; i++)
		cr_assert_eq(ask(handle, "y", answer, sizeof(answer)), TM_EUNAVAIL);
	cr_assert_lt(tm_clock_mono_us() - start_us, SHORT_MS * 1000 / 2);

	/* Attempts that nobody waits for: two of them, without an answer. */
	(void)idle_until_up(handle, 600);
	cr_assert_not(tm_redis_up(handle));
	start_us = tm_clock_mono_us();
	cr_assert_eq(ask(handle, "z", answer, sizeof(answer)), TM_EUNAVAIL);
	cr_assert_lt(tm_clock_mono_us() - start_us, SHORT_MS * 1000 / 2);

	(void)kill(server.pid, SIGCONT);
	cr_assert_lt(idle_until_up(handle, 5000), 2000);
	cr_assert_str_eq(tm_redis_error(handle), "");
	assert_works(handle);
	tm_redis_free(handle);
}

Test(redis, bound_ends_a_wait_before_its_timeout, .init = start, .fini = stop, .timeout = 30)
{
	struct tm_redis *handle = open_handle(server.url, "", "", 60 * 1000);
	char answer[32];

	for (int round = 0; round < 2; round++) {	/* to connect, and for an answer */
		(void)kill(server.pid, SIGSTOP);
		tm_redis_bound(handle, tm_clock_mono_us() + SHORT_MS * 1000);
		cr_assert_eq(ask(handle, "x", answer, sizeof(answer)), TM_ETIME);
		tm_redis_bound(handle, 0);
		(void)kill(server.pid, SIGCONT);
		(void)idle_until_up(handle, 5000);
		assert_works(handle);
	}
	tm_redis_free(handle);
}

Test(redis, late_answer_never_answers_the_next_question, .init = start, .fini = stop)
{
	struct tm_redis *handle = open_handle(server.url, "", "", SHORT_MS);
	char answer[32];

	assert_works(handle);
	for (int round = 0; round < 3; round++) {
		(void)kill(server.pid, SIGSTOP);
		cr_assert_eq(ask(handle, "late", answer, sizeof(answer)), TM_ETIME);
		(void)kill(server.pid, SIGCONT);
		(void)idle_until_up(handle, 5000);
		assert_works(handle);
		assert_works(handle);
	}
	tm_redis_free(handle);
}

Test(redis, restarted_server_is_found_again, .init = start, .fini = stop)
{
	char answer[32];
	int index;

	assert_works(redis);
	server_kill(&server);
	cr_assert_eq(ask(redis, "x", answer, sizeof(answer)), TM_EIO);
	cr_assert_eq(ask(redis, "x", answer, sizeof(answer)), TM_EUNAVAIL);
	cr_assert_str_neq(tm_redis_error(redis), "");

	server_run(&server, NULL);
	cr_assert_lt(idle_until_up(redis, 5000), 2000);
	(void)admit(&index);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, index)->kind, TM_REPLY_ARRAY);
	tm_redis_end(redis);
}

Test(redis, absent_server_at_the_first_use, .init = start, .fini = stop)
{
	struct tm_redis *handle;
	char url[128], answer[32];

	(void)snprintf(url, sizeof(url), "%s-nothing", server.url);
	handle = open_handle(url, "", "", SHORT_MS);
	cr_assert(tm_redis_up(handle));
	cr_assert_eq(ask(handle, "x", answer, sizeof(answer)), TM_EIO);
	cr_assert_not(tm_redis_up(handle));
	cr_assert_eq(ask(handle, "x", answer, sizeof(answer)), TM_EUNAVAIL);
	tm_redis_free(handle);
}

Test(redis, idle_closed_connection_costs_nothing, .init = start, .fini = stop)
{
	struct tm_redis *killer = server_handle(&server);

	for (int polled = 0; polled < 2; polled++) {
		struct pollfd watched;
		int64_t timeout_ms;

		assert_works(redis);
		(void)tm_redis_queuef(killer, "CLIENT KILL TYPE normal SKIPME yes");
		cr_assert_eq(tm_redis_run(killer), TM_OK);
		cr_assert_eq(tm_redis_reply(killer, 0)->integer, 1);
		tm_redis_end(killer);
		watched.fd = tm_redis_watch(redis, &watched.events, &timeout_ms);
		cr_assert_eq(poll(&watched, 1, 2000), 1);	/* the end has arrived */
		if (polled)
			tm_redis_poll(redis);
		assert_works(redis);
	}
	tm_redis_free(killer);
}

Test(redis, sent_commands_keep_later_answers_in_step, .init = start, .fini = stop)
{
	uint64_t before;

	assert_works(redis);
	before = tm_redis_trips(redis);
	for (int i = 0; i < 20; i++) {
		(void)tm_redis_queuef(redis, "INCR sent");
		(void)tm_redis_queuef(redis, "EVAL %s 0", "return {1, {2, 'x'}, {}}");
		(void)tm_redis_queuef(redis, "NONSENSE");
		cr_assert_eq(tm_redis_send(redis), TM_OK);
		tm_redis_end(redis);
		if (i % 3 == 0)
			tm_redis_poll(redis);
		if (i % 2 == 0)
			assert_works(redis);
	}
	cr_assert_eq(tm_redis_trips(redis) - before, 10);
	(void)tm_redis_queuef(redis, "GET sent");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_str_eq(tm_redis_reply(redis, 0)->text, "20");
	tm_redis_end(redis);
}

Test(redis, outstanding_answers_are_bounded, .init = start, .fini = stop)
{
	for (int i = 0; i < 40; i++) {
		for (int k = 0; k < 100; k++)
			(void)tm_redis_queuef(redis, "INCR sent");
		cr_assert_eq(tm_redis_send(redis), TM_OK);
		tm_redis_end(redis);
	}
	(void)tm_redis_queuef(redis, "GET sent");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_str_eq(tm_redis_reply(redis, 0)->text, "4000");
	tm_redis_end(redis);
}

Test(redis, sending_to_a_stopped_server_ends, .init = start, .fini = stop)
{
	struct tm_redis *handle = open_handle(server.url, "", "", SHORT_MS);
	static char value[64 * 1024];
	enum tm_err err = TM_OK;
	int sends = 0;

	assert_works(handle);
	(void)kill(server.pid, SIGSTOP);
	for (; err == TM_OK && sends < 100; sends++) {
		(void)tm_redis_queuef(handle, "SET k %b", value, sizeof(value));
		err = tm_redis_send(handle);
		tm_redis_end(handle);
	}
	(void)kill(server.pid, SIGCONT);
	cr_assert_eq(err, TM_ETIME, "%d sends were taken", sends);
	cr_assert_not(tm_redis_up(handle));
	tm_redis_free(handle);
}

Test(redis, sent_script_survives_a_script_flush, .init = start, .fini = stop)
{
	int index;

	assert_works(redis);
	(void)tm_redis_queuef(redis, "SCRIPT FLUSH");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);
	(void)admit(&index);
	cr_assert_eq(tm_redis_send(redis), TM_OK);	/* lost: its NOSCRIPT is thrown away */
	tm_redis_end(redis);
	assert_works(redis);
	(void)admit(&index);
	cr_assert_eq(tm_redis_send(redis), TM_OK);
	tm_redis_end(redis);
	(void)admit(&index);
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, index)->items[1].integer, 8);
	tm_redis_end(redis);
}

static const char *const with_password[] = {"--requirepass", "right-password", NULL};

static void start_locked(void)
{
	server_start(&server, with_password);
}

Test(redis, password_opens, .init = start_locked, .fini = stop)
{
	redis = open_handle(server.url, "", "right-password", 2000);
	assert_works(redis);
	tm_redis_free(redis);
	redis = open_handle(server.url, "default", "right-password", 2000);
	assert_works(redis);
}

Test(redis, wrong_password_is_told_and_not_repeated, .init = start_locked, .fini = stop)
{
	static const char *const wrong[] = {"wrong-password", ""};
	char answer[32];

	for (size_t i = 0; i < 2; i++) {
		tm_redis_free(redis);
		redis = open_handle(server.url, "", wrong[i], 2000);
		cr_assert_eq(ask(redis, "x", answer, sizeof(answer)), TM_EIO);
		cr_assert_not(tm_redis_up(redis));
		cr_assert_str_neq(tm_redis_error(redis), "");
		cr_assert_null(strstr(tm_redis_error(redis), "wrong-password"));
		cr_assert_eq(ask(redis, "x", answer, sizeof(answer)), TM_EUNAVAIL);
		(void)idle_until_up(redis, 700);
		cr_assert_not(tm_redis_up(redis), "a refused login is not the way back");
	}
}

/* A free port, perhaps gone again when it is used: nothing else asks for one meanwhile. */
static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)close(fd);
	return ntohs(address.sin_port);
}

static void start_tcp(void)
{
	server.port = free_port();
	server_start(&server, with_password);
}

Test(redis, tcp_url_with_login_and_database, .init = start_tcp, .fini = stop)
{
	char url[128];

	(void)snprintf(url, sizeof(url), "redis://default:right-password@localhost:%d/5",
		       server.port);
	redis = open_handle(url, "", "", 2000);
	assert_works(redis);
	(void)tm_redis_queuef(redis, "CLIENT INFO");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_not_null(strstr(tm_redis_reply(redis, 0)->text, " db=5 "));
	tm_redis_end(redis);
}

Test(redis, database_that_does_not_exist_is_told, .init = start, .fini = stop)
{
	char url[128], answer[32];
	struct tm_redis *handle;

	(void)snprintf(url, sizeof(url), "%s?db=9999", server.url);
	handle = open_handle(url, "", "", 2000);
	cr_assert_eq(ask(handle, "x", answer, sizeof(answer)), TM_EIO);
	cr_assert_not_null(strstr(tm_redis_error(handle), "database"));
	tm_redis_free(handle);
}

Test(redis, replica_is_not_taken_for_a_master, .init = start, .fini = stop)
{
	char answer[32];
	struct tm_redis *handle;

	assert_works(redis);
	(void)tm_redis_queuef(redis, "REPLICAOF 127.0.0.1 1");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	tm_redis_end(redis);
	(void)tm_redis_queuef(redis, "SET k v");
	cr_assert_eq(tm_redis_run(redis), TM_EIO);
	tm_redis_end(redis);
	cr_assert_not_null(strstr(tm_redis_error(redis), "READONLY"));

	handle = open_handle(server.url, "", "", 2000);
	cr_assert_eq(ask(handle, "x", answer, sizeof(answer)), TM_EIO);
	cr_assert_not(tm_redis_up(handle));
	tm_redis_free(handle);
}

/* One round against a peer that says text; what run came to. */
static enum tm_err meet(const char *text, size_t len, int closes)
{
	char answer[32];
	enum tm_err err;
	struct tm_redis *handle;

	peer_start(&server, text, len, closes);
	handle = open_handle(server.url, "", "", SHORT_MS);
	err = ask(handle, "x", answer, sizeof(answer));
	cr_assert_not(tm_redis_up(handle));
	cr_assert_eq(ask(handle, "x", answer, sizeof(answer)), TM_EUNAVAIL);
	tm_redis_free(handle);
	server_stop(&server);
	return err;
}

Test(redis, peer_that_talks_nonsense_is_left)
{
	static const struct {
		const char *text;
		size_t len;	/* 0: a C string */
		int closes;
		enum tm_err err;
		const char *rest;	/* follows once per script: the greeting's answers */
	} cases[] = {
		{"HTTP/1.1 400 Bad Request\r\n\r\n", 0, 0, TM_EPROTO, NULL},
		{"\0\1\2\3", 4, 0, TM_EPROTO, NULL},
		{"+PONG\r\n", 0, 0, TM_ETIME, NULL},
		{"+PONG\r\n", 0, 1, TM_EIO, NULL},
		{"", 0, 1, TM_EIO, NULL},
		{"+OK\r\n+OK\r\n", 0, 0, TM_EPROTO, "+OK\r\n"},
		{"+PONG\r\n:1\r\n:1\r\n", 0, 0, TM_EPROTO, ":1\r\n"},
		{"$99999999999\r\n", 0, 0, TM_ETIME, NULL},
		{"$-5\r\n", 0, 0, TM_EPROTO, NULL},
		{"+PONG\r\n*2000000000\r\n", 0, 0, TM_ENOMEM, NULL},
		{"+PONG\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", 0, 0, TM_EPROTO, NULL},
		{"-LOADING Redis is loading the dataset in memory\r\n-LOADING x\r\n", 0, 0, TM_EIO,
		 "-LOADING x\r\n"},
		{"-MASTERDOWN Link with MASTER is down\r\n-x\r\n", 0, 0, TM_EIO, "-x\r\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
		char text[1024];

		memcpy(text, cases[i].text, len);
		for (int n = 0; cases[i].rest && n < TM_SCRIPT_COUNT; n++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
						cases[i].rest);
		cr_assert_eq(meet(text, len, cases[i].closes), cases[i].err, "case %zu", i);
	}
}

Test(redis, many_handles_leave_no_descriptor, .init = start, .fini = stop)
{
	int before = dup(0);

	(void)close(before);
	for (int i = 0; i < 50; i++) {
		struct tm_redis *handle = server_handle(&server);

		assert_works(handle);
		tm_redis_free(handle);
	}
	cr_assert_eq(dup(0), before);
	(void)close(before);
}
