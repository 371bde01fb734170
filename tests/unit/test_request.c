/* What is read from CGI variables, and what is refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "api/request.h"
#include "api/response.h"
#include "tests/unit/fake_exchange.h"

static struct tm_settings settings = {.cors = {.origins = ""}};

static enum tm_err open_with(struct tm_request *request, struct tm_exchange *exchange,
			     struct tm_arena *arena, const char *const *params)
{
	tm_arena_init(arena, 1 << 20);
	*exchange = fake_exchange(params);
	return tm_request_open(request, exchange, &settings, arena);
}

Test(request, takes_over_plain_request_ids_only)
{
	static const struct { const char *param; const char *id; } cases[] = {
		{"HTTP_X_REQUEST_ID=abc-1.2_3", "abc-1.2_3"},
		{"HTTP_X_REQUEST_ID=two words", NULL},
		{"HTTP_X_REQUEST_ID=", NULL},
		{"HTTP_X_REQUEST_ID=a\nb", NULL},
		{"HTTP_X_REQUEST_ID=caf\xc3\xa9", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *params[] = {"REQUEST_METHOD=GET", cases[i].param, NULL};
		struct tm_request request;
		struct tm_exchange exchange;
		struct tm_arena arena;

		cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
		if (cases[i].id)
			cr_assert_str_eq(request.id, cases[i].id);
		else
			cr_assert_eq(strlen(request.id), 32, "%s", request.id);
		tm_arena_clear(&arena);
	}
}

Test(request, web_servers_id_names_it_and_nothing_else_does)
{
	static const char id[] = "0123456789abcdef0123456789abcdef";
	static const struct { const char *param; bool taken; } cases[] = {
		{"REQUEST_ID=0123456789abcdef0123456789abcdef", true},
		{"REQUEST_ID=0123456789ABCDEF0123456789abcdef", false},
		{"REQUEST_ID=0123456789abcdef0123456789abcde", false},
		{"REQUEST_ID=0123456789abcdef0123456789abcdef0", false},
		{"REQUEST_ID=", false},
		{"HTTP_X_REQUEST_ID=0123456789abcdef0123456789abcdef", false},
		{"HTTP_REQUEST_ID=0123456789abcdef0123456789abcdef", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *params[] = {"REQUEST_METHOD=GET", cases[i].param, NULL};
		struct tm_request request;
		struct tm_exchange exchange;
		struct tm_arena arena;

		cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
		cr_assert_eq(strlen(request.token), 32);
		cr_assert_eq(strcmp(request.token, id) == 0, cases[i].taken, "%s", cases[i].param);
		if (cases[i].taken)
			cr_assert_str_eq(request.id, id, "and is its name for everybody");
		tm_arena_clear(&arena);
	}
}

Test(request, refuses_a_request_id_of_129_bytes)
{
	char param[160] = "HTTP_X_REQUEST_ID=";
	const char *params[] = {"REQUEST_METHOD=GET", param, NULL};
	size_t name = strlen(param);
	struct tm_request request;
	struct tm_exchange exchange;
	struct tm_arena arena;

	memset(param + name, 'x', 128);
	cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
	cr_assert_eq(strlen(request.id), 128);
	tm_arena_clear(&arena);
	param[name + 128] = 'x';
	cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
	cr_assert_eq(strlen(request.id), 32);
	tm_arena_clear(&arena);
}

Test(request, continues_a_valid_trace)
{
	static const char trace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
	static const struct { const char *param; int taken; } cases[] = {
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 1},
		{"HTTP_TRACEPARENT=00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", 0},
		{"HTTP_TRACEPARENT=00-00000000000000000000000000000000-00f067aa0ba902b7-01", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bg-01", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-012", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", 0},
		{"HTTP_TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7 01", 0},
		{"HTTP_TRACEPARENT=0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-012", 0},
		{"HTTP_TRACEPARENT=cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 1},
		{"HTTP_TRACEPARENT=cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", 1},
		{"HTTP_TRACEPARENT=cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.x", 0},
		{"HTTP_TRACEPARENT=ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 0},
		{"HTTP_TRACEPARENT=", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *params[] = {cases[i].param, NULL};
		struct tm_request request;
		struct tm_exchange exchange;
		struct tm_arena arena;

		cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
		cr_assert_eq(strlen(request.trace_id), 32);
		cr_assert_eq(strcmp(request.trace_id, trace) == 0, cases[i].taken, "%s",
			     cases[i].param);
		tm_arena_clear(&arena);
	}
}

Test(request, reads_the_accept_header)
{
	static const struct { const char *accept; int json; } cases[] = {
		{"", 1}, {"*/*", 1}, {"application/*", 1}, {"application/json", 1},
		{"Application/JSON; q=0.5", 1}, {"text/html, application/json;q=0.9", 1},
		{"text/html", 0}, {"text/event-stream", 0}, {"application/json;q=0", 0},
		{"*/*;q=0.1, application/json;q=0", 0}, {"application/json, */*;q=0", 1},
		{"application/jsonx", 0}, {"application/jso", 0}, {",,,", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char param[128] = "HTTP_ACCEPT=";
		const char *params[] = {param, NULL};
		struct tm_request request;
		struct tm_exchange exchange;
		struct tm_arena arena;

		memcpy(param + 12, cases[i].accept, strlen(cases[i].accept) + 1);
		cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
		cr_assert_eq(tm_request_accepts(&request, "application", "json"), cases[i].json,
			     "'%s'", cases[i].accept);
		tm_arena_clear(&arena);
	}
}

Test(request, wants_a_stream_where_it_is_named_and_json_weighs_no_more)
{
	static const struct { const char *accept; int stream; } cases[] = {
		{"text/event-stream", 1}, {"text/event-stream;q=0.1", 1},
		{"application/json, text/event-stream", 1},
		{"text/event-stream, */*", 1}, {"text/event-stream;q=0.5, */*;q=0.5", 1},
		{"application/json;q=0.9, Text/Event-Stream", 1},
		{"application/json;q=0.9, text/event-stream; q=0.900", 1},
		{"application/json;q=0, text/event-stream;q=0.001", 1},
		{"application/json, text/event-stream;q=0.1", 0},
		{"text/event-stream;q=0.5, application/json;q=0.6", 0},
		{"text/event-stream;q=0.9, */*", 0}, {"text/event-stream;q=0.9, application/*", 0},
		{"text/event-stream;q=0, application/json;q=0", 0},
		{"text/event-stream;q=0", 0}, {"text/*", 0}, {"*/*", 0}, {"", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char param[128] = "HTTP_ACCEPT=";
		const char *params[] = {param, NULL};
		struct tm_request request;
		struct tm_exchange exchange;
		struct tm_arena arena;

		memcpy(param + 12, cases[i].accept, strlen(cases[i].accept) + 1);
		cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
		cr_assert_eq(tm_request_wants_stream(&request), cases[i].stream, "'%s'",
			     cases[i].accept);
		tm_arena_clear(&arena);
	}
}

Test(request, takes_json_in_utf8_only)
{
	static const struct { const char *param; int json; } cases[] = {
		{"CONTENT_TYPE=application/json", 1},
		{"CONTENT_TYPE=application/json; charset=utf-8", 1},
		{"CONTENT_TYPE=application/json;charset=\"UTF-8\"", 1},
		{"CONTENT_TYPE=application/json; charset=utf-8; foo=1", 1},
		{"CONTENT_TYPE=Application/JSON ;foo=1 ; Charset=Utf-8 ", 1},
		{"CONTENT_TYPE=application/json; foo=\"a; charset=latin1\"", 1},
		{"CONTENT_TYPE=application/json; foo=\"\\\"; charset=latin1\"; charset=utf-8", 1},
		{"CONTENT_TYPE=application/json; foo; ;", 1},
		{"CONTENT_TYPE=application/json; charset=latin1", 0},
		{"CONTENT_TYPE=application/json; foo=1; charset=latin1", 0},
		{"CONTENT_TYPE=application/json; charset=utf-8; charset=latin1", 0},
		{"CONTENT_TYPE=application/json; foo=\"a\"; charset=\"latin1\"", 0},
		{"CONTENT_TYPE=application/json; charset=\"utf-8", 0},
		{"CONTENT_TYPE=application/json; charset=utf-8x", 0},
		{"CONTENT_TYPE=application/json; charset=", 0},
		{"CONTENT_TYPE=application/json; charset", 0},
		{"CONTENT_TYPE=application/json, text/plain", 0},
		{"CONTENT_TYPE=application/jsonlines", 0},
		{"CONTENT_TYPE=text/plain", 0},
		{"CONTENT_TYPE=", 0},
		{"X=1", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *params[] = {cases[i].param, NULL};
		struct tm_request request;
		struct tm_exchange exchange;
		struct tm_arena arena;

		cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
		cr_assert_eq(tm_request_is_json(&request), cases[i].json, "%s", cases[i].param);
		tm_arena_clear(&arena);
	}
}

Test(request, reads_cache_control_directives)
{
	const char *params[] = {"HTTP_CACHE_CONTROL=max-age=0, No-Cache ,only-if-cached", NULL};
	struct tm_request request;
	struct tm_exchange exchange;
	struct tm_arena arena;

	cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
	cr_assert(tm_request_cache_control(&request, "no-cache"));
	cr_assert(tm_request_cache_control(&request, "only-if-cached"));
	cr_assert_not(tm_request_cache_control(&request, "no-store"));
	cr_assert_not(tm_request_cache_control(&request, "cache"));
	tm_arena_clear(&arena);
}

Test(response, a_value_cannot_begin_another_header)
{
	struct tm_response response;

	tm_response_init(&response, 1024);
	tm_response_header(&response, "X-A", "one\r\nX-Evil: two");
	cr_assert_str_eq(tm_buf_text(&response.headers), "X-A: one\r\n");
	tm_response_clear(&response);
}

Test(request, finds_preferences_and_their_values)
{
	static const struct { const char *prefer; const char *name; const char *value; } cases[] = {
		{"HTTP_PREFER=respond-async", "respond-async", ""},
		{"HTTP_PREFER=respond-async, wait=10", "wait", "10"},
		{"HTTP_PREFER=respond-async, wait=10", "respond-async", ""},
		{"HTTP_PREFER=Wait = \"5\" ; foo=bar , Respond-Async", "wait", "5"},
		{"HTTP_PREFER=Wait = \"5\" ; foo=bar , Respond-Async", "respond-async", ""},
		{"HTTP_PREFER=respond-async; foo", "respond-async", ""},
		{"HTTP_PREFER=wait=", "wait", ""},
		{"HTTP_PREFER=respond-asynchronously", "respond-async", NULL},
		{"HTTP_PREFER=return=minimal; wait=3", "wait", NULL},
		{"HTTP_PREFER=", "wait", NULL},
		{"HTTP_ACCEPT=wait=3", "wait", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *params[] = {"REQUEST_METHOD=POST", cases[i].prefer, NULL};
		struct tm_request request;
		struct tm_exchange exchange;
		struct tm_arena arena;
		const char *value;

		cr_assert_eq(open_with(&request, &exchange, &arena, params), TM_OK);
		cr_expect_eq(tm_request_prefers(&request, cases[i].name, &value),
			     cases[i].value != NULL, "%s: %s", cases[i].prefer, cases[i].name);
		if (cases[i].value && value)
			cr_expect_str_eq(value, cases[i].value, "%s", cases[i].prefer);
		tm_arena_clear(&arena);
	}
}
