/* One call: what is sent, and every way an answer can end. */
#include "fake_server.h"

TestSuite(http, .init = set_up, .fini = tear_down, .timeout = 60);

static void plain_script(int listener, int tell)
{
	(void)tell;
	answer_and_close(listener, "HTTP/1.1 200 OK\r\nContent-Type: application/json; x=1\r\n"
				   "Content-Length: 8\r\n\r\n{\"a\":12}");
}

Test(http, whole_response_comes_back)
{
	struct server server = serve(plain_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call = start(&request);
	const struct tm_http_result *result = await(call);

	cr_assert_eq(result->err, TM_OK, "%s", result->detail);
	cr_assert_eq(result->status, 200);
	cr_assert_str_eq(result->body, "{\"a\":12}");
	cr_assert_eq(result->body_len, 8);
	cr_assert_str_eq(result->content_type, "application/json; x=1");
	cr_assert_null(result->retry_after);
	cr_assert_null(result->retry_after_ms);
	cr_assert(result->sent);
	cr_assert_str_eq(result->detail, "");
	cr_assert_gt(result->total_us, 0);
	tm_http_end(http, call);
	stop(&server);
}

Test(http, connection_is_kept_between_calls)
{
	struct server server = serve(counting_script);
	struct tm_http_request request = post_to(server.url);

	for (int i = 0; i < 5; i++) {
		struct tm_http_call *call = start(&request);

		cr_assert_str_eq(await(call)->body, "1");
		tm_http_end(http, call);
	}
	stop(&server);
}

static void echo_script(int listener, int tell)
{
	static char request[4 << 20];
	char head[128];

	(void)tell;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		size_t len;

		while ((len = hear(fd, request, sizeof(request))) > 0) {
			(void)snprintf(head, sizeof(head),
				       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
			say(fd, head);
			say_bytes(fd, request, len);
		}
		(void)close(fd);
	}
}

Test(http, request_is_sent_as_asked)
{
	static const char *const headers[] = {"Content-Type: application/json",
					      "Authorization: Bearer x", NULL};
	struct server server = serve(echo_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call;
	const char *body;

	request.headers = headers;
	request.body = "{\"a\":\0 1}";
	request.body_len = 9;
	call = start(&request);
	cr_assert_eq(await(call)->err, TM_OK);
	body = tm_http_result(call)->body;
	cr_assert_eq(strncmp(body, "POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:", 37), 0, "%s", body);
	cr_assert_not_null(strstr(body, "\r\nContent-Type: application/json\r\n"), "%s", body);
	cr_assert_not_null(strstr(body, "\r\nAuthorization: Bearer x\r\n"));
	cr_assert_not_null(strstr(body, "\r\nContent-Length: 9\r\n"));
	cr_assert_null(strstr(body, "x-www-form-urlencoded"));
	cr_assert_eq(memcmp(body + tm_http_result(call)->body_len - 9, "{\"a\":\0 1}", 9), 0);
	tm_http_end(http, call);

	request.body = NULL;	/* the handle made a POST before */
	request.headers = NULL;
	call = start(&request);
	body = await(call)->body;
	cr_assert_eq(strncmp(body, "GET /v1/x HTTP/1.1\r\n", 20), 0, "%s", body);
	cr_assert_null(strstr(body, "Authorization"));
	cr_assert_null(strcasestr(body, "Content-"));
	tm_http_end(http, call);
	stop(&server);
}

Test(http, large_body_goes_out_without_asking_first)
{
	size_t len = 2 << 20;
	char *body = malloc(len + 1);
	struct server server = serve(echo_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call;
	const struct tm_http_result *result;

	cr_assert_not_null(body);
	memset(body, 'b', len);
	body[len] = '\0';
	request.body = body;
	request.body_len = len;
	request.answer_max = 3 << 20;
	call = start(&request);
	result = await(call);
	cr_assert_eq(result->err, TM_OK, "%s", result->detail);
	cr_assert_null(strstr(result->body, "Expect"));
	cr_assert_str_eq(strstr(result->body, "\r\n\r\n") + 4, body);
	tm_http_end(http, call);
	free(body);
	stop(&server);
}

Test(http, proxies_of_the_environment_are_not_asked)
{
	struct server server = serve(counting_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call;

	cr_assert_eq(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
	cr_assert_eq(setenv("all_proxy", "http://127.0.0.1:1/", 1), 0);
	cr_assert_eq(setenv("ALL_PROXY", "http://127.0.0.1:1/", 1), 0);
	call = start(&request);
	cr_assert_eq(await(call)->err, TM_OK, "%s", tm_http_result(call)->detail);
	tm_http_end(http, call);
	stop(&server);
}

/* Answers that are given once, and what the engine makes of them. */
static const struct answer {
	const char *name, *text;
	enum tm_err err;
	int status;
	const char *body, *retry_after, *retry_after_ms;	/* NULL: absent, or not looked at */
} answers[] = {
	{"throttled",
	 "HTTP/1.1 429 Too Many\r\nRetry-After:  7 \r\nretry-after-MS: 250\r\n"
	 "Content-Length: 2\r\n\r\n{}", TM_OK, 429, "{}", "7", "250"},
	{"failure", "HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\nno!\n", TM_OK, 500, "no!\n", NULL, NULL},
	{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
	 TM_OK, 302, "", NULL, NULL},
	{"no content", "HTTP/1.1 204 No Content\r\n\r\n", TM_OK, 204, "", NULL, NULL},
	{"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", TM_OK, 200, "all of it", NULL, NULL},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
	 TM_OK, 200, "abcde", NULL, NULL},
	{"interim",
	 "HTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\n"
	 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", TM_OK, 200, "x", NULL, NULL},
	{"cut body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", TM_EPROTO, 200, "half", NULL, NULL},
	{"cut chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
	 TM_EPROTO, 200, "abc", NULL, NULL},
	{"bad chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
	 TM_EPROTO, 200, NULL, NULL, NULL},
	{"cut head", "HTTP/1.1 200 OK\r\nContent-Le", TM_EPROTO, 200, "", NULL, NULL},
	{"garbage", "\x16\x03\x01 what is this?\r\n\r\n", TM_EPROTO, 0, "", NULL, NULL},
	{"nothing", "", TM_EIO, 0, "", NULL, NULL},
	{"too long by its own word", "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n",
	 TM_ESIZE, 200, "", NULL, NULL},
	{"too long unannounced", "HTTP/1.1 200 OK\r\n\r\n123456789012345678901",
	 TM_ESIZE, 200, NULL, NULL, NULL},
	{"just long enough", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n12345678901234567890",
	 TM_OK, 200, "12345678901234567890", NULL, NULL},
};

static const struct answer *answer;

static void table_script(int listener, int tell)
{
	(void)tell;
	answer_and_close(listener, answer->text);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

Test(http, every_way_an_answer_can_end_has_its_result)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct server server;
		struct tm_http_request request;
		struct tm_http_call *call;
		const struct tm_http_result *result;

		answer = &answers[i];
		server = serve(table_script);
		request = post_to(server.url);
		request.answer_max = 20;
		call = start(&request);
		result = await(call);
		cr_assert_eq(result->err, answer->err, "%s: %s (%s)", answer->name,
			     tm_err_text(result->err), result->detail);
		cr_assert_eq(result->status, answer->status, "%s: %d", answer->name, result->status);
		cr_assert(!answer->body || same(result->body, answer->body), "%s: %s",
			  answer->name, result->body);
		cr_assert(same(result->retry_after, answer->retry_after), "%s", answer->name);
		cr_assert(same(result->retry_after_ms, answer->retry_after_ms), "%s", answer->name);
		cr_assert(result->sent, "%s", answer->name);
		cr_assert_eq(result->detail[0] == '\0', result->err == TM_OK, "%s", answer->name);
		tm_http_end(http, call);
		stop(&server);
	}
}

Test(http, the_limits_of_an_answer_are_kept)
{
	static const struct answer limited = {
		"limited", "HTTP/1.1 429 Too Many\r\nratelimit-policy: \"minute\";q=60;w=60\r\n"
		"Content-Length: 0\r\n\r\n", TM_OK, 429, "", NULL, NULL};
	struct server server;
	struct tm_http_request request;
	struct tm_http_call *call;

	answer = &limited;
	server = serve(table_script);
	request = post_to(server.url);
	call = start(&request);
	cr_assert(same(await(call)->ratelimit_policy, "\"minute\";q=60;w=60"));
	tm_http_end(http, call);
	stop(&server);
}

static void long_header_script(int listener, int tell)
{
	static char value[400], head[600];

	(void)tell;
	memset(value, '9', sizeof(value) - 1);
	(void)snprintf(head, sizeof(head),
		       "HTTP/1.1 200 OK\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", value);
	answer_and_close(listener, head);
}

static void many_headers_script(int listener, int tell)
{
	int fd = take_request(listener);

	(void)tell;
	say(fd, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 100000; i++)
		say(fd, "X-Filler: 0123456789012345678901234567890123456789\r\n");
}

Test(http, headers_of_any_length_are_survived)
{
	struct server server = serve(long_header_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call = start(&request);

	cr_assert_eq(await(call)->err, TM_OK);
	cr_assert_null(tm_http_result(call)->retry_after);
	tm_http_end(http, call);
	stop(&server);

	server = serve(many_headers_script);
	request.url = server.url;
	call = start(&request);
	cr_assert_eq(await(call)->err, TM_EPROTO);
	tm_http_end(http, call);
	stop(&server);
}

Test(http, silence_ends_at_the_deadline)
{
	struct server server = serve(silent_script);
	struct tm_http_request request = post_to(server.url);
	struct tm_http_call *call;
	int64_t began = tm_clock_mono_ms();

	request.total_ms = 200;
	call = start(&request);
	cr_assert_eq(await(call)->err, TM_ETIME);
	cr_assert_geq(tm_clock_mono_ms() - began, 190);
	cr_assert_lt(tm_clock_mono_ms() - began, 5000);
	cr_assert(tm_http_result(call)->sent);
	cr_assert_eq(tm_http_result(call)->status, 0);
	tm_http_end(http, call);
	stop(&server);
}

/* With a full queue the kernel drops further connection attempts. */
Test(http, connection_that_does_not_come_about_has_its_own_deadline)
{
	char url[64];
	int listener = listen_on_loopback(0, url, sizeof(url));
	struct tm_http_request request = post_to(url);
	struct tm_http_call *calls[4];
	int late = 0;

	request.connect_ms = 150;
	request.total_ms = 1500;
	for (int i = 0; i < 4; i++)
		calls[i] = start(&request);
	for (int i = 0; i < 4; i++) {
		const struct tm_http_result *result = await(calls[i]);

		cr_assert_eq(result->err, TM_ETIME, "%s", result->detail);
		if (!result->sent) {
			cr_assert_lt(result->total_us, 1000 * 1000);
			late++;
		}
		tm_http_end(http, calls[i]);
	}
	cr_assert_gt(late, 0);
	(void)close(listener);
}

Test(http, refused_connection_sent_nothing)
{
	char url[64];
	struct tm_http_request request = post_to(url);
	struct tm_http_call *call;

	(void)close(listen_on_loopback(1, url, sizeof(url)));
	call = start(&request);
	cr_assert_eq(await(call)->err, TM_EIO);
	cr_assert_not(tm_http_result(call)->sent);
	cr_assert_neq(tm_http_result(call)->detail[0], '\0');
	tm_http_end(http, call);
}

Test(http, server_without_tls_is_no_https_server)
{
	struct server server = serve(plain_script);
	char url[80];
	struct tm_http_request request = post_to(url);
	struct tm_http_call *call;

	(void)snprintf(url, sizeof(url), "https%s", server.url + 4);
	request.total_ms = 3000;
	call = start(&request);
	cr_assert_neq(await(call)->err, TM_OK);
	cr_assert_eq(tm_http_result(call)->status, 0);
	cr_assert_not(tm_http_result(call)->sent);
	tm_http_end(http, call);
	stop(&server);
}

Test(http, request_that_breaks_its_form_is_not_started)
{
	static const char *const urls[] = {
		"", "x", "ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1/", "//127.0.0.1/",
		"http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/\t",
		" http://127.0.0.1/",
	};
	static const char *const bad[] = {"X: a\r\nY: b", "X: a\n", "X\r: a", "no colon", "X: \x7f"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct tm_http_request request = post_to(urls[i]);
		struct tm_http_call *call = NULL;

		cr_assert_eq(tm_http_start(http, &request, &call), TM_EINVAL, "%s", urls[i]);
		cr_assert_null(call);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *const headers[] = {bad[i], NULL};
		struct tm_http_request request = post_to("http://127.0.0.1:1/");
		struct tm_http_call *call = NULL;

		request.headers = headers;
		cr_assert_eq(tm_http_start(http, &request, &call), TM_EINVAL, "%s", bad[i]);
		cr_assert_null(call);
	}
}
