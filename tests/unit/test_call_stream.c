/* Answers as streams: pieces, cuts, and what still can be done before and after the first delta. */
#include "call_fixture.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "llm/call_job.h"

#define SSE_HEAD \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n" \
	"Connection: close\r\n\r\n"
/* As SSE_HEAD, for a transfer that breaks when the connection ends. */
#define SSE_LONG_HEAD \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000000\r\n\r\n"
#define SAY(text) \
	"data: {\"model\":\"small\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text \
	"\"},\"finish_reason\":null}]}\n\n"
#define FINISH(reason) \
	"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n\n"
#define USAGE "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n"
#define DONE "data: [DONE]\n\n"
#define END FINISH("stop") USAGE DONE
#define RAW(text) {LLM_RAW, NULL, text, 0, true}

/* What the client of a stream saw. */
struct seen {
	char text[64 * 1024 + 1];
	size_t len;
	int deltas;
	enum tm_err says;	/* what delta returns from call number fails_at on */
	int fails_at;
	bool releases;		/* each delta lets the server go on */
	enum tm_err accepts;
	char accepted[64];
};

static struct seen seen;

static enum tm_err see(void *arg, const char *text, size_t len)
{
	struct seen *s = arg;

	cr_assert_gt(len, 0);
	cr_assert(tm_utf8_valid(text, len), "delta %d cuts a character", s->deltas);
	cr_assert_lt(s->len + len, sizeof(s->text));
	memcpy(s->text + s->len, text, len);
	s->len += len;
	s->text[s->len] = '\0';
	s->deltas++;
	if (s->releases)
		llm_server_release(&first);
	return s->fails_at && s->deltas >= s->fails_at ? s->says : TM_OK;
}

static enum tm_err accept_whole(void *arg, const struct tm_llm_reply *reply)
{
	struct seen *s = arg;

	(void)snprintf(s->accepted, sizeof(s->accepted), "%s", reply->text);
	return s->accepts;
}

static struct tm_call a_stream(size_t providers_count, int64_t deadline_ms)
{
	struct tm_call call = a_call(providers_count, deadline_ms);

	seen = (struct seen){0};
	call.delta = see;
	call.accept = accept_whole;
	call.arg = &seen;
	return call;
}

static void stream_setup(void)
{
	setup();
	limits.answer_max = 128 * 1024;
}

TestSuite(call_stream, .init = stream_setup, .fini = teardown, .timeout = 30);

Test(call_stream, text_arrives_as_deltas)
{
	SCRIPT(0, RAW(SSE_HEAD SAY("fi") SAY("") SAY("n") SAY("e") END));
	struct tm_call call = a_stream(1, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_str_eq(seen.text, "fine");
	cr_assert_eq(seen.deltas, 3);
	cr_assert_str_eq(seen.accepted, "fine");
	cr_assert_str_eq(call.reply.text, "fine");
	cr_assert_eq(call.input_tokens, 7);
	cr_assert_eq(call.output_tokens, 3);
	cr_assert_eq(call.attempts, 1);
	cr_assert_str_empty(call.detail);
	cr_assert(strstr(first.request, "\"stream\":true"), "%s", first.request);
}

/* The server sends the next event only once the one before has become a delta. */
Test(call_stream, each_event_is_passed_on_before_the_next_one_comes)
{
	SCRIPT(0, RAW(SSE_HEAD SAY("f") LLM_HOLD SAY("i") LLM_HOLD SAY("ne") LLM_HOLD END));
	struct tm_call call = a_stream(1, PLENTY_MS);

	seen.releases = true;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(seen.deltas, 3);
}

Test(call_stream, events_may_come_byte_by_byte)
{
	static const char events[] = ": hello\r\n\r\n" SAY("fi\xc3\xa4") SAY("ne") END;
	static char body[4096];
	struct llm_answer answer = RAW(body);
	struct tm_call call;
	int n = snprintf(body, sizeof(body), "%s", SSE_HEAD);

	for (size_t i = 0; i < sizeof(events) - 1; i++)
		n += snprintf(body + n, sizeof(body) - (size_t)n, "%c" LLM_PAUSE, events[i]);
	cr_assert_lt((size_t)n, sizeof(body) - 1);
	script(0, &answer, 1);
	call = a_stream(1, PLENTY_MS);
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_str_eq(seen.text, "fi\xc3\xa4ne");
	cr_assert_eq(seen.deltas, 2);
}

Test(call_stream, an_event_of_64_kib_is_one_delta)
{
	enum { BYTES = 64 * 1024 };
	static char text[BYTES + 1], body[BYTES + 1024];
	struct llm_answer answer = RAW(body);
	struct tm_call call;

	memset(text, 'x', BYTES);
	cr_assert_gt(snprintf(body, sizeof(body), SSE_HEAD SAY("%s") END, text), BYTES);
	script(0, &answer, 1);
	call = a_stream(1, PLENTY_MS);
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(seen.deltas, 1);
	cr_assert_eq(seen.len, BYTES);
	cr_assert_eq(call.reply.text_len, BYTES);
}

Test(call_stream, a_whole_answer_is_one_delta)
{
	SCRIPT(0, {200, "Content-Type: application/json\r\n", GOOD, 0, false});
	struct tm_call call = a_stream(1, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_str_eq(seen.text, "fine");
	cr_assert_eq(seen.deltas, 1);
	cr_assert_eq(call.input_tokens, 7);
}

Test(call_stream, a_provider_without_network_answers_in_one_delta)
{
	struct tm_call call = a_stream(1, PLENTY_MS);

	confs[0].kind = TM_PROVIDER_EXTRACTIVE;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(seen.deltas, 1);
	cr_assert_str_eq(seen.text, call.reply.text);
}

Test(call_stream, errors_before_the_first_delta_are_tried_again)
{
	static const struct llm_answer stream = RAW(SSE_HEAD SAY("fine") END);
	static const struct {
		struct llm_answer answer;
		size_t served;
	} rows[] = {
		{{503, NULL, "", 0, false}, 2},
		{{429, "retry-after-ms: 1\r\n", "{\"error\":{\"message\":\"slow\"}}", 0, false}, 2},
		{RAW("HTTP/1.1 200 OK\r\n"), 2},
		{RAW(SSE_LONG_HEAD), 2},
		{RAW(SSE_HEAD), 2},
		{RAW(SSE_LONG_HEAD SAY("")), 2},
		{RAW(SSE_HEAD "data: {\"choices\":[{\"del"), 2},
		{RAW(SSE_HEAD "data: {\"error\":{\"type\":\"server_error\",\"message\":\"x\"}}\n\n"),
		 2},
		{RAW(SSE_HEAD "data: nonsense\n\n"), 2},
		{RAW(SSE_HEAD SAY("\xff")), 2},
		{{200, "Content-Type: text/html\r\n", "<html>", 0, false}, 2},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct llm_answer answers[] = {rows[i].answer, stream};
		struct tm_call call = a_stream(1, PLENTY_MS);

		script(0, answers, 2);
		run(&call, 1);
		cr_assert_eq(call.end, TM_CALL_ANSWERED, "row %zu: %s", i, call.detail);
		cr_assert_str_eq(seen.text, "fine", "row %zu", i);
		cr_assert_eq(first.served, rows[i].served, "row %zu", i);
		llm_server_stop(&first);
	}
}

/* Streams that go wrong once text has left: one request, no other provider, nothing said twice. */
Test(call_stream, nothing_is_asked_again_after_the_first_delta)
{
	static const struct {
		const char *body;
		enum tm_call_end end;
	} rows[] = {
		{SSE_LONG_HEAD SAY("fi"), TM_CALL_UNAVAILABLE},
		{SSE_HEAD SAY("fi"), TM_CALL_UNAVAILABLE},
		{SSE_HEAD SAY("fi") "data: {\"choi", TM_CALL_UNAVAILABLE},
		{SSE_HEAD SAY("fi") "data: {\"error\":{\"type\":\"server_error\"}}\n\n",
		 TM_CALL_UNAVAILABLE},
		{SSE_HEAD SAY("fi") "data: nonsense\n\n", TM_CALL_NONSENSE},
		{SSE_HEAD SAY("fi") SAY("\xff") END, TM_CALL_NONSENSE},
		{SSE_HEAD SAY("fi") FINISH("length") USAGE DONE, TM_CALL_NONSENSE},
		{SSE_HEAD SAY("fi") FINISH("content_filter") USAGE DONE, TM_CALL_REFUSED},
	};
	SCRIPT(1, {200, NULL, GOOD, 0, false});

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct llm_answer answer = RAW(rows[i].body);
		struct tm_call call = a_stream(2, PLENTY_MS);

		script(0, &answer, 1);
		run(&call, 1);
		cr_assert_eq(call.end, rows[i].end, "row %zu: end %d, %s", i, (int)call.end,
			     call.detail);
		cr_assert_str_eq(seen.text, "fi", "row %zu", i);
		cr_assert_str_empty(seen.accepted, "row %zu", i);
		cr_assert_eq(call.attempts, 1, "row %zu", i);
		cr_assert_eq(first.served, 1, "row %zu", i);
		cr_assert_eq(call.provider, &confs[0], "row %zu", i);
		cr_assert_eq(call.retry_after_ms >= 1000, rows[i].end == TM_CALL_UNAVAILABLE);
		llm_server_stop(&first);
	}
	cr_assert_eq(second.served, 0);
}

Test(call_stream, silence_after_the_first_delta_ends_at_the_deadline)
{
	SCRIPT(0, {LLM_RAW, NULL, SSE_HEAD SAY("fi") LLM_PAUSE END, FOR_EVER_MS, true});
	struct tm_call call = a_stream(2, 300);
	int64_t took = run(&call, 1);

	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_str_eq(seen.text, "fi");
	cr_assert_geq(took, 270);
	cr_assert_lt(took, 2000);
}

Test(call_stream, silence_longer_than_an_attempt_may_take_ends_a_begun_stream)
{
	SCRIPT(0, {LLM_RAW, NULL, SSE_HEAD SAY("fi") LLM_PAUSE END, FOR_EVER_MS, true});
	struct tm_call call = a_stream(2, PLENTY_MS);

	confs[0].timeout_ms = 200;
	cr_assert_lt(run(&call, 1), 3000);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_eq(first.served, 1);
}

Test(call_stream, a_drip_ends_at_the_deadline)
{
	SCRIPT(0, {LLM_RAW, NULL,
		   SSE_HEAD "d" LLM_PAUSE "a" LLM_PAUSE "t" LLM_PAUSE "a" LLM_PAUSE ":" LLM_PAUSE
		   " " LLM_PAUSE "{" LLM_PAUSE "\"" LLM_PAUSE "c" LLM_PAUSE "h" LLM_PAUSE, 100,
		   true});
	struct tm_call call = a_stream(1, 400);
	int64_t took = run(&call, 1);

	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_eq(seen.deltas, 0);
	cr_assert_lt(took, 2000);
}

Test(call_stream, an_answer_of_no_use_after_deltas_is_nonsense)
{
	SCRIPT(0, RAW(SSE_HEAD SAY("fine") END));
	struct tm_call call = a_stream(2, PLENTY_MS);

	seen.accepts = TM_EPROTO;
	run(&call, 1);
	ENDED(call, TM_CALL_NONSENSE);
	cr_assert_eq(first.served, 1);
	cr_assert_str_eq(seen.accepted, "fine");
}

Test(call_stream, a_whole_answer_of_no_use_is_asked_for_again_unsaid)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_stream(1, PLENTY_MS);

	seen.accepts = TM_EPROTO;
	run(&call, 1);
	ENDED(call, TM_CALL_NONSENSE);
	cr_assert_eq(first.served, 2);
	cr_assert_eq(seen.deltas, 0);
}

Test(call_stream, a_stream_that_is_done_need_not_close_its_connection)
{
	SCRIPT(0, {LLM_RAW, NULL, SSE_LONG_HEAD SAY("fine") END LLM_PAUSE, FOR_EVER_MS, true});
	struct tm_call call = a_stream(1, PLENTY_MS);

	cr_assert_lt(run(&call, 1), 3000);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.output_tokens, 3);
}

Test(call_stream, a_connection_that_breaks_after_the_last_word_loses_nothing)
{
	SCRIPT(0, RAW(SSE_LONG_HEAD SAY("fine") END));
	struct tm_call call = a_stream(1, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(first.served, 1);
}

Test(call_stream, an_answer_over_its_ceiling_is_not_fetched_twice)
{
	static char body[16 * 1024];
	static const char *const heads[] = {
		SSE_HEAD "data: ",
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		"Content-Length: 10485760\r\n\r\n",
	};

	limits.answer_max = 4096;
	for (size_t i = 0; i < 2; i++) {
		struct llm_answer answer = {LLM_RAW, NULL, body, FOR_EVER_MS, true};
		struct tm_call call = a_stream(1, PLENTY_MS);
		size_t n = strlen(heads[i]);

		memset(body, ' ', sizeof(body) - 2);
		memcpy(body, heads[i], n);
		body[sizeof(body) - 2] = LLM_PAUSE[0];
		script(0, &answer, 1);
		cr_assert_lt(run(&call, 1), 3000);
		ENDED(call, TM_CALL_NONSENSE);
		cr_assert_eq(first.served, 1);
		llm_server_stop(&first);
	}
}

Test(call_stream, text_over_its_ceiling_ends_the_stream)
{
	static char body[16 * 1024];
	struct llm_answer answer = RAW(body);
	struct tm_call call = a_stream(1, PLENTY_MS);
	int n = snprintf(body, sizeof(body), SSE_HEAD);

	limits.answer_max = 400;
	for (int i = 0; i < 50; i++)
		n += snprintf(body + n, sizeof(body) - (size_t)n, SAY("ten bytes "));
	cr_assert_lt((size_t)n, sizeof(body));
	script(0, &answer, 1);
	run(&call, 1);
	ENDED(call, TM_CALL_NONSENSE);
	cr_assert_eq(seen.len, 400);
}

static bool let_go(void *arg)
{
	++*(int *)arg;
	return true;
}

static bool keep(void *arg)
{
	++*(int *)arg;
	return false;
}

Test(call_stream, a_client_that_reads_no_more_ends_it)
{
	SCRIPT(0, {LLM_RAW, NULL, SSE_HEAD SAY("fi") LLM_PAUSE END, FOR_EVER_MS, true});
	static bool (*const drops[])(void *) = {NULL, let_go};

	for (size_t i = 0; i < 2; i++) {
		struct tm_call call = a_stream(1, PLENTY_MS);
		int asked = 0;

		seen.fails_at = 1;
		seen.says = TM_EIO;
		limits.may_drop = drops[i];
		limits.arg = &asked;
		cr_assert_lt(run(&call, 1), 3000);
		ENDED(call, TM_CALL_GONE);
		cr_assert_eq(asked, (int)i);
	}
	llm_server_stop(&first);
	cr_assert_eq(first.dropped, 2);
}

Test(call_stream, goes_on_unheard_while_others_wait)
{
	SCRIPT(0, RAW(SSE_HEAD SAY("fi") LLM_HOLD SAY("ne") END));
	struct tm_call call = a_stream(1, PLENTY_MS);
	int asked = 0;

	seen.fails_at = 1;
	seen.says = TM_EIO;
	seen.releases = true;
	limits.may_drop = keep;
	limits.arg = &asked;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_str_eq(call.reply.text, "fine");
	cr_assert_eq(seen.deltas, 1);
	cr_assert_eq(asked, 1);
}

Test(call_stream, two_streams_run_side_by_side)
{
	static struct seen other;
	SCRIPT(0, RAW(SSE_HEAD SAY("fi") LLM_PAUSE SAY("ne") END));
	struct tm_call calls[] = {a_stream(1, PLENTY_MS), a_stream(1, PLENTY_MS)};

	calls[1].arg = &other;
	run(calls, 2);
	ENDED(calls[0], TM_CALL_ANSWERED);
	ENDED(calls[1], TM_CALL_ANSWERED);
	cr_assert_str_eq(seen.text, "fine");
	cr_assert_str_eq(other.text, "fine");
}

static void count_tick(void *arg)
{
	++*(int *)arg;
}

Test(call_stream, ticks_while_it_streams)
{
	SCRIPT(0, {LLM_RAW, NULL,
		   SSE_HEAD SAY("a") LLM_PAUSE SAY("b") LLM_PAUSE SAY("c") LLM_PAUSE SAY("d")
		   LLM_PAUSE END, 300, true});
	struct tm_call call = a_stream(1, PLENTY_MS);
	int ticks = 0;

	limits.tick = count_tick;
	limits.arg = &ticks;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_geq(ticks, 1);
}

Test(call_stream, what_a_broken_stream_used_is_counted)
{
	SCRIPT(0, RAW(SSE_HEAD SAY("fi") USAGE));
	struct tm_call call = a_stream(1, PLENTY_MS);

	confs[0].price_input = 1;
	run(&call, 1);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_eq(call.input_tokens, 7);
	cr_assert_eq(call.output_tokens, 3);
	cr_assert_float_eq(call.cost, 7e-6, 1e-9);
}

/* No format of today can carry half a character; so the text is put in by hand. */
Test(call_stream, a_character_in_halves_is_passed_on_whole)
{
	static const struct {
		const char *parts[4];
		const char *text;
		int deltas;
		enum tm_err err;
	} rows[] = {
		{{"\xf0\x9f", "\x98\x80"}, "\xf0\x9f\x98\x80", 1, TM_OK},
		{{"a\xf0", "\x9f", "\x98", "\x80z"}, "a\xf0\x9f\x98\x80z", 2, TM_OK},
		{{"\xc3", "\xa4\xe2\x82", "\xac"}, "\xc3\xa4\xe2\x82\xac", 2, TM_OK},
		{{"ok\xc3", "z"}, "ok", 1, TM_EUTF8},
		{{"ok", "\x80"}, "ok", 1, TM_EUTF8},
		{{"\xc3\xa4", "\xed\xa0\x80"}, "\xc3\xa4", 1, TM_EUTF8},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_call call = a_stream(1, PLENTY_MS);
		struct tm_call_run no_run = {.limits = &limits};
		struct tm_call_job job = {.run = &no_run, .call = &call};
		struct tm_http_request request = {.answer_max = 4096};
		enum tm_err err = TM_OK;

		tm_call_stream_begin(&job, &request);
		job.stream.form = TM_CALL_EVENTS;
		for (size_t part = 0; part < 4 && rows[i].parts[part] && err == TM_OK; part++) {
			tm_buf_puts(&job.stream.events.text, rows[i].parts[part]);
			err = request.data(request.arg, SAY(""), strlen(SAY("")));
		}
		cr_assert_eq(err, rows[i].err, "row %zu", i);
		cr_assert_str_eq(seen.text, rows[i].text, "row %zu", i);
		cr_assert_eq(seen.deltas, rows[i].deltas, "row %zu", i);
		tm_call_stream_clear(&job);
	}
}
