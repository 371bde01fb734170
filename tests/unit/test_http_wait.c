/* Many calls, dropped calls, bodies in pieces, and the client that leaves meanwhile. */
#include <poll.h>

#include "fake_server.h"

TestSuite(http_wait, .init = set_up, .fini = tear_down, .timeout = 60);

/* Answers nobody before all five have asked. */
static void five_script(int listener, int tell)
{
	int fds[5];

	(void)tell;
	for (int i = 0; i < 5; i++)
		fds[i] = take_request(listener);
	for (int i = 0; i < 5; i++)
		say(fds[i], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	(void)pause();
}

Test(http_wait, five_calls_run_at_once)
{
	struct server server = serve(five_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *calls[5];

	for (int i = 0; i < 5; i++)
		calls[i] = start(&request);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(await(calls[i])->err, TM_OK);
	for (int i = 0; i < 5; i++)
		tm_http_end(http, calls[i]);
	stop(&server);
}

/* Tells when it has a request, and when the peer has left without its answer. */
static void telling_script(int listener, int tell)
{
	int fd = take_request(listener);

	say(tell, "r");
	if (read(fd, &(char){0}, 1) <= 0)
		say(tell, "g");
	(void)close(fd);
	counting_script(listener, tell);
}

static char hear_told(const struct server *server, struct tm_http *moving)
{
	int64_t until = tm_clock_mono_ms() + PATIENCE_MS;
	struct pollfd watch = {.fd = server->told, .events = POLLIN};
	char byte = '?';

	while (poll(&watch, 1, 10) == 0) {
		cr_assert_lt(tm_clock_mono_ms(), until, "the server tells nothing");
		if (moving)
			cr_assert_eq(tm_http_wait(moving, 10, -1, NULL), TM_OK);
	}
	cr_assert_eq(read(server->told, &byte, 1), 1);
	return byte;
}

Test(http_wait, dropped_call_closes_its_connection_and_harms_no_other)
{
	struct server server = serve(telling_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call = start(&request);

	cr_assert_eq(hear_told(&server, http), 'r');
	cr_assert_null(tm_http_result(call));
	tm_http_end(http, call);
	cr_assert_eq(hear_told(&server, NULL), 'g');
	call = start(&request);
	cr_assert_str_eq(await(call)->body, "1");
	tm_http_end(http, call);
	call = start(&request);		/* and one that never began */
	tm_http_end(http, call);
	stop(&server);
}

struct collected {
	char text[64];
	size_t len;
	int calls;
	enum tm_err err;	/* to return from the second call on */
};

static enum tm_err collect(void *arg, const char *bytes, size_t len)
{
	struct collected *collected = arg;

	cr_assert_lt(collected->len + len, sizeof(collected->text));
	memcpy(collected->text + collected->len, bytes, len);
	collected->len += len;
	return collected->calls++ > 0 ? collected->err : TM_OK;
}

/* The second half follows when the test has knocked with a connection of its own. */
static void halves_script(int listener, int tell)
{
	int fd = take_request(listener);

	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nfirst-");
	say(tell, "h");
	(void)close(accept(listener, NULL, NULL));
	say(fd, "second");
	(void)pause();
}

static void knock(const char *url)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
}

Test(http_wait, body_is_handed_on_as_it_comes)
{
	struct server server = serve(halves_script);
	struct tm_http_request request = post_to(server.url);
	struct collected collected = {.err = TM_OK};
	struct tm_http_call *call;
	int64_t until = tm_clock_mono_ms() + PATIENCE_MS;

	request.data = collect;
	request.arg = &collected;
	call = start(&request);
	while (collected.len < 6 && tm_clock_mono_ms() < until)
		cr_assert_eq(tm_http_wait(http, 1000, -1, NULL), TM_OK);
	cr_assert_eq(memcmp(collected.text, "first-", 6), 0);
	cr_assert_null(tm_http_result(call));
	knock(server.url);
	cr_assert_eq(await(call)->err, TM_OK);
	cr_assert_str_eq(collected.text, "first-second");
	cr_assert_eq(tm_http_result(call)->body_len, 0);
	tm_http_end(http, call);
	stop(&server);
}

Test(http_wait, taker_of_the_body_may_end_the_transfer)
{
	struct server server = serve(halves_script);
	struct tm_http_request request = post_to(server.url);
	struct collected collected = {.err = TM_EGONE};
	struct tm_http_call *call;

	request.data = collect;
	request.arg = &collected;
	call = start(&request);
	cr_assert_eq(hear_told(&server, http), 'h');
	while (collected.len < 6)
		cr_assert_eq(tm_http_wait(http, 1000, -1, NULL), TM_OK);
	knock(server.url);
	cr_assert_eq(await(call)->err, TM_EGONE);
	cr_assert_eq(collected.calls, 2);
	tm_http_end(http, call);
	stop(&server);
}

/* Two ends of a connection, of the kinds that web servers use. */
static void connect_pair(bool tcp, int ends[2])
{
	char url[64];
	int listener;
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	if (!tcp) {
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		return;
	}
	listener = listen_on_loopback(1, url, sizeof(url));
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	ends[1] = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(ends[1], (struct sockaddr *)&address, len), 0);
	ends[0] = accept(listener, NULL, NULL);
	cr_assert_geq(ends[0], 0);
	(void)close(listener);
}

/* Closes the peer's end from a child, after the wait has most likely begun. */
static pid_t close_soon(int ends[2])
{
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0) {
		(void)close(ends[0]);
		(void)poll(NULL, 0, 100);
		_exit(0);	/* closes the last copy of ends[1] */
	}
	(void)close(ends[1]);
	return child;
}

Test(http_wait, client_that_leaves_is_noticed_at_once)
{
	for (int kind = 0; kind < 4; kind++) {	/* Unix or TCP; with and without unread bytes */
		struct server server = serve(silent_script);
		struct tm_http_request request = post_to(server.url);
		struct tm_http_call *call = start(&request);
		int64_t began = tm_clock_mono_ms();
		bool watched = false;
		int ends[2];
		pid_t child;

		connect_pair(kind & 1, ends);
		if (kind & 2)
			say(ends[1], "unread");
		child = close_soon(ends);
		while (!watched && tm_clock_mono_ms() - began < PATIENCE_MS)
			cr_assert_eq(tm_http_wait(http, PATIENCE_MS, ends[0], &watched), TM_OK);
		cr_assert(watched, "kind %d", kind);
		cr_assert_lt(tm_clock_mono_ms() - began, 2000, "kind %d", kind);
		cr_assert_null(tm_http_result(call));
		(void)waitpid(child, NULL, 0);
		cr_assert_eq(tm_http_wait(http, PATIENCE_MS, ends[0], &watched), TM_OK);
		cr_assert(watched, "it stays noticed");
		(void)close(ends[0]);
		tm_http_end(http, call);
		stop(&server);
	}
}

Test(http_wait, unread_bytes_are_no_hangup_and_make_no_wait_spin)
{
	struct server server = serve(silent_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call = start(&request);
	int64_t began;
	bool watched = true;
	int ends[2], waits = 0;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	say(ends[1], "\x01\x05");
	began = tm_clock_mono_ms();
	while (tm_clock_mono_ms() - began < 300 && waits < 1000) {
		cr_assert_eq(tm_http_wait(http, 100, ends[0], &watched), TM_OK);
		cr_assert_not(watched);
		waits++;
	}
	cr_assert_lt(waits, 30, "%d waits", waits);
	(void)close(ends[0]);
	(void)close(ends[1]);
	tm_http_end(http, call);
	stop(&server);
}

Test(http_wait, wait_works_without_a_transfer)
{
	int64_t began = tm_clock_mono_ms();
	bool watched = true;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(tm_http_wait(http, 60, ends[0], &watched), TM_OK);
	cr_assert_geq(tm_clock_mono_ms() - began, 50);
	cr_assert_not(watched);
	(void)close(ends[1]);
	cr_assert_eq(tm_http_wait(http, PATIENCE_MS, ends[0], &watched), TM_OK);
	cr_assert(watched);
	cr_assert_lt(tm_clock_mono_ms() - began, 5000);
	(void)close(ends[0]);
	cr_assert_eq(tm_http_wait(http, 0, -1, &watched), TM_OK);
	cr_assert_not(watched);
}

Test(http_wait, more_calls_than_kept_handles_come_and_go)
{
	struct server server = serve(counting_script);
	struct tm_http_request request = post_to(server.url);

	for (int round = 0; round < 2; round++) {
		struct tm_http_call *calls[12];

		for (int i = 0; i < 12; i++)
			calls[i] = start(&request);
		for (int i = 0; i < 12; i++)
			tm_http_end(http, calls[i]);
	}
	for (int i = 0; i < 20; i++) {
		struct tm_http_call *call = start(&request);

		cr_assert_eq(await(call)->err, TM_OK);
		tm_http_end(http, call);
	}
	tm_http_end(http, NULL);
	stop(&server);
}
