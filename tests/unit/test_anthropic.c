/* What is sent in Anthropic's messages format, and how every kind of response is taken. */
#include "provider_fixture.h"

static const struct tm_provider_conf conf = {
	.name = "main",
	.kind = TM_PROVIDER_ANTHROPIC,
	.url = "https://llm.example",
	.model = "small",
	.key = CANARY,
	.ca_file = "",
	.json_mode = TM_JSON_AUTO,
	.api_version = "",
};

TestSuite(anthropic, .init = setup, .fini = teardown);

Test(anthropic, builds_a_message_with_the_system_at_the_top)
{
	struct tm_json *doc = built(&conf, &prompt, 0, false);

	cr_assert_str_eq(wire.url, "https://llm.example/v1/messages");
	cr_assert_str_eq(header("x-api-key"), CANARY);
	cr_assert_str_eq(header("anthropic-version"), "2023-06-01");
	cr_assert_str_eq(header("Content-Type"), "application/json");
	cr_assert_null(header("Authorization"));
	cr_assert_str_eq(at(doc, "model"), "small");
	cr_assert_str_eq(at(doc, "system"), prompt.system);
	cr_assert_eq(tm_json_count(tm_json_get(doc, "messages")), 1);
	cr_assert_str_eq(at(doc, "messages.0.role"), "user");
	cr_assert_str_eq(at(doc, "messages.0.content"), prompt.user);
	cr_assert_eq(tm_json_int(tm_json_get(doc, "max_tokens")), 77);
	cr_assert_null(tm_json_get(doc, "tools"));
	cr_assert_null(tm_json_get(doc, "stream"));
	tm_json_free(doc);
}

Test(anthropic, follows_what_is_configured)
{
	struct tm_provider_conf with = conf;
	struct tm_llm_prompt bare = prompt;
	struct tm_json *doc;

	with.url = "https://gate.example/anthropic/v1";
	with.api_version = "2099-01-01";
	with.key = "";
	bare.system = "";
	bare.max_tokens = 0;
	doc = built(&with, &bare, 0, true);
	cr_assert_str_eq(wire.url, "https://gate.example/anthropic/v1/messages");
	cr_assert_str_eq(header("anthropic-version"), "2099-01-01");
	cr_assert_str_eq(header("Accept"), "text/event-stream");
	cr_assert_null(header("x-api-key"));
	cr_assert_null(tm_json_get(doc, "system"));
	cr_assert_eq(tm_json_int(tm_json_get(doc, "max_tokens")), 1024);
	cr_assert(tm_json_bool(tm_json_get(doc, "stream")));
	tm_json_free(doc);
	with.api_version = NULL;
	tm_json_free(built(&with, &bare, 0, false));
	cr_assert_str_eq(header("anthropic-version"), "2023-06-01");
}

Test(anthropic, refuses_a_header_that_would_break_out)
{
	struct tm_provider_conf evil = conf;

	refuses_keys_that_break_out(&conf);
	evil.api_version = "2023\r\nX-Evil: 1";
	cr_assert_eq(build(&evil, &prompt, &arena), TM_EINVAL);
}

Test(anthropic, makes_the_model_use_a_tool_for_a_structured_answer)
{
	static const struct {
		int mode, plainness;
		bool tool;
	} rows[] = {
		{TM_JSON_AUTO, 0, true}, {TM_JSON_AUTO, 1, true}, {TM_JSON_AUTO, 2, false},
		{TM_JSON_AUTO, 9, false}, {TM_JSON_SCHEMA, 0, true}, {TM_JSON_SCHEMA, 2, true},
		{TM_JSON_OBJECT, 0, false}, {TM_JSON_OFF, 0, false},
	};
	const struct tm_llm_prompt shaped = shaped_prompt();

	cr_assert_eq(tm_provider_anthropic.plainest, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_provider_conf with = conf;
		struct tm_json *doc;

		with.json_mode = rows[i].mode;
		doc = built(&with, &shaped, rows[i].plainness, false);
		cr_assert_eq(tm_json_get(doc, "tools") != NULL, rows[i].tool, "row %zu", i);
		cr_assert_eq(tm_json_get(doc, "tool_choice") != NULL, rows[i].tool, "row %zu", i);
		if (rows[i].tool) {
			cr_assert_str_eq(at(doc, "tools.0.name"), "sentiment");
			cr_assert_str_eq(at(doc, "tools.0.input_schema.type"), "object");
			cr_assert_str_eq(at(doc, "tool_choice.type"), "tool");
			cr_assert_str_eq(at(doc, "tool_choice.name"), "sentiment");
		}
		tm_json_free(doc);
	}
}

Test(anthropic, sends_a_temperature_but_to_models_that_refuse_it)
{
	static const struct {
		double wanted, sent;
		int plainness;		/* 1: none is sent */
	} rows[] = {{0, 0, 0}, {0.25, 0.25, 0}, {1.5, 1, 0}, {0.25, 0, 1}, {0.25, 0, 2}};
	struct tm_llm_prompt warm = prompt;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_json *doc;
		const struct tm_json *sent;

		warm.has_temperature = true;
		warm.temperature = rows[i].wanted;
		doc = built(&conf, &warm, rows[i].plainness, false);
		sent = tm_json_get(doc, "temperature");
		cr_assert_eq(sent != NULL, rows[i].plainness == 0, "row %zu", i);
		cr_assert_float_eq(tm_json_double(sent), rows[i].sent, 0, "row %zu", i);
		tm_json_free(doc);
	}
}

Test(anthropic, says_when_body_or_memory_run_out)
{
	struct tm_arena tiny;

	tm_arena_init(&tiny, 16);
	cr_assert_eq(build(&conf, &prompt, &tiny), TM_ENOMEM);
	tm_buf_clear(&wire.body);
	tm_buf_init(&wire.body, 20);
	cr_assert_eq(build(&conf, &prompt, &arena), TM_ESIZE);
	tm_arena_clear(&tiny);
}

#define MESSAGE(content, stop) \
	"{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"small-0125\"," \
	"\"content\":" content ",\"stop_reason\":" stop ",\"stop_sequence\":null," \
	"\"usage\":{\"input_tokens\":8,\"cache_creation_input_tokens\":1," \
	"\"cache_read_input_tokens\":2,\"output_tokens\":5}}"
#define TEXT(text) "{\"type\":\"text\",\"text\":" text "}"
#define TOOL(input) "{\"type\":\"tool_use\",\"id\":\"tu_1\",\"name\":\"sentiment\",\"input\":" input "}"
#define THINKING "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"}"
#define ERROR(type, message) \
	"{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"}," \
	"\"request_id\":\"req_1\"}"

static const struct row rows[] = {
	{200, MESSAGE("[" TEXT("\"hi\"") "]", "\"end_turn\""), TM_LLM_SUCCESS, "hi", NULL},
	{200, MESSAGE("[" TEXT("\"hi\"") "]", "\"stop_sequence\""), TM_LLM_SUCCESS, "hi", NULL},
	{200, MESSAGE("[" THINKING "," TEXT("\"a\"") "," TEXT("\"b\"") "]", "\"end_turn\""),
	 TM_LLM_SUCCESS, "ab", NULL},
	{200, MESSAGE("[" TEXT("\"\"") "]", "\"end_turn\""), TM_LLM_SUCCESS, "", NULL},
	{200, MESSAGE("[" TOOL("{\"sentiment\":\"good\",\"n\":0.5}") "]", "\"tool_use\""),
	 TM_LLM_SUCCESS, "{\"sentiment\":\"good\",\"n\":0.5}", NULL},
	{200, MESSAGE("[" TEXT("\"Here:\"") "," TOOL("{\"a\":1}") "]", "\"tool_use\""),
	 TM_LLM_SUCCESS, "{\"a\":1}", NULL},
	{200, MESSAGE("[" TEXT("\"{\\\"sentiment\\\":\\\"good\\\"}\"") "]", "\"end_turn\""),
	 TM_LLM_SUCCESS, "{\"sentiment\":\"good\"}", NULL},
	{200, "{\"content\":[{\"type\":\"text\",\"text\":\"bare\"}]}", TM_LLM_SUCCESS, "bare", NULL},
	/* Cut or refused. */
	{200, MESSAGE("[" TEXT("\"half a\"") "]", "\"max_tokens\""), TM_LLM_NONSENSE, "half a", "token limit"},
	{200, MESSAGE("[" TEXT("\"half\"") "]", "\"model_context_window_exceeded\""), TM_LLM_NONSENSE, "half",
	 "token limit"},
	{200, MESSAGE("[" TOOL("{\"a\":1}") "]", "\"max_tokens\""), TM_LLM_NONSENSE, "{\"a\":1}", "token limit"},
	{200, MESSAGE("[" TEXT("\"I\"") "]", "\"refusal\""), TM_LLM_REFUSED, "I", "filter"},
	{200, MESSAGE("[]", "\"refusal\""), TM_LLM_REFUSED, NULL, "filter"},
	/* Not the format. */
	{200, MESSAGE("[]", "\"end_turn\""), TM_LLM_NONSENSE, NULL, "without text"},
	{200, MESSAGE("null", "\"end_turn\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, MESSAGE("\"hi\"", "\"end_turn\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, MESSAGE("[" THINKING "]", "\"end_turn\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, MESSAGE("[" TEXT("7") "]", "\"end_turn\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, MESSAGE("[" TOOL("null") "]", "\"tool_use\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, MESSAGE("[null,7,\"x\"]", "7"), TM_LLM_NONSENSE, NULL, NULL},
	{200, "{}", TM_LLM_NONSENSE, NULL, NULL},
	{200, "[1]", TM_LLM_NONSENSE, NULL, NULL},
	{200, "null", TM_LLM_NONSENSE, NULL, NULL},
	{200, "", TM_LLM_NONSENSE, NULL, "not JSON"},
	{200, "<html>welcome</html>", TM_LLM_NONSENSE, NULL, "not JSON"},
	{200, MESSAGE("[" TEXT("\"\xc3\x28\"") "]", "\"end_turn\""), TM_LLM_NONSENSE, NULL, "UTF-8"},
	/* The documented errors. */
	{400, ERROR("invalid_request_error", "messages: too long"), TM_LLM_REFUSED, NULL,
	 "HTTP 400, invalid_request_error: messages: too long"},
	{400, ERROR("invalid_request_error", "Your credit balance is too low"), TM_LLM_REFUSED, NULL, "credit"},
	{401, ERROR("authentication_error", "invalid x-api-key " CANARY), TM_LLM_REFUSED, NULL, "x-api-key ***"},
	{402, ERROR("billing_error", "pay"), TM_LLM_REFUSED, NULL, "billing_error"},
	{403, ERROR("permission_error", "no"), TM_LLM_REFUSED, NULL, NULL},
	{404, ERROR("not_found_error", "model: small"), TM_LLM_REFUSED, NULL, "model: small"},
	{413, ERROR("request_too_large", "too large"), TM_LLM_REFUSED, NULL, NULL},
	{429, ERROR("rate_limit_error", "slow down"), TM_LLM_RETRY, NULL, "HTTP 429, rate_limit_error: slow down"},
	{500, ERROR("api_error", "oops"), TM_LLM_RETRY, NULL, NULL},
	{504, ERROR("timeout_error", "late"), TM_LLM_RETRY, NULL, NULL},
	{529, ERROR("overloaded_error", "Overloaded"), TM_LLM_RETRY, NULL, "HTTP 529, overloaded_error: Overloaded"},
	/* A gateway's status says less than the type. */
	{500, ERROR("invalid_request_error", "no"), TM_LLM_REFUSED, NULL, NULL},
	{400, ERROR("overloaded_error", "busy"), TM_LLM_RETRY, NULL, NULL},
	{200, ERROR("overloaded_error", "busy"), TM_LLM_RETRY, NULL, "busy"},
	{200, ERROR("authentication_error", "no"), TM_LLM_REFUSED, NULL, NULL},
	{200, ERROR("new_error", "what"), TM_LLM_RETRY, NULL, "new_error"},
	{503, ERROR("new_error", "what"), TM_LLM_RETRY, NULL, NULL},
	{418, ERROR("new_error", "what"), TM_LLM_REFUSED, NULL, NULL},
	{503, "<html>down</html>", TM_LLM_RETRY, NULL, "HTTP 503"},
	{429, "", TM_LLM_RETRY, NULL, "HTTP 429"},
	{401, "", TM_LLM_REFUSED, NULL, "HTTP 401"},
	{500, "{\"error\":\"only words\"}", TM_LLM_RETRY, NULL, "only words"},
	{502, "[7]", TM_LLM_RETRY, NULL, NULL},
	{301, "", TM_LLM_REFUSED, NULL, NULL},
	/* A tool that the model or gateway does not take. */
	{400, ERROR("invalid_request_error", "Thinking may not be enabled when tool_choice forces tool use."),
	 TM_LLM_PLAINER, NULL, "tool_choice"},
	{400, ERROR("invalid_request_error", "tools.0.input_schema: unknown keyword"), TM_LLM_PLAINER, NULL, NULL},
	{422, ERROR("invalid_request_error", "tools: not permitted"), TM_LLM_PLAINER, NULL, NULL},
	{400, ERROR("invalid_request_error", "`temperature` is deprecated for this model."), TM_LLM_PLAINER, NULL,
	 NULL},
	{404, ERROR("not_found_error", "tools"), TM_LLM_REFUSED, NULL, NULL},
};

Test(anthropic, takes_every_kind_of_response)
{
	takes_rows(&conf, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(anthropic, keeps_a_tool_that_the_configuration_insists_on)
{
	static const struct row insisted[] = {
		{400, ERROR("invalid_request_error", "tool_choice"), TM_LLM_REFUSED, NULL, NULL},
	};
	struct tm_provider_conf with = conf;

	with.json_mode = TM_JSON_SCHEMA;
	takes_rows(&with, insisted, 1);
}

Test(anthropic, reports_model_and_tokens_also_of_a_cut_answer)
{
	static const char *const bodies[] = {MESSAGE("[" TEXT("\"hi\"") "]", "\"end_turn\""),
					     MESSAGE("[" TEXT("\"hi\"") "]", "\"max_tokens\"")};
	struct tm_llm_reply reply = {0};
	const char *detail;

	for (size_t i = 0; i < 2; i++) {
		(void)tm_provider_anthropic.read(&conf, 200, bodies[i], strlen(bodies[i]), &arena,
						 &reply, &detail);
		cr_assert_str_eq(reply.model, "small-0125");
		cr_assert_eq(reply.input_tokens, 11);
		cr_assert_eq(reply.output_tokens, 5);
		cr_assert_eq(reply.cut, i == 1);
	}
}

Test(anthropic, says_so_when_memory_runs_out)
{
	static const char *const bodies[] = {
		MESSAGE("[" TEXT("\"a longer answer than fits\"") "]", "\"end_turn\""),
		MESSAGE("[" TOOL("{\"a\":\"a longer answer than fits\"}") "]", "\"tool_use\""),
		"{\"content\":[" TOOL("{\"a\":\"a longer answer than fits\"}") "]}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct tm_llm_reply reply;
		struct tm_arena tiny;
		const char *detail;

		tm_arena_init(&tiny, 16);
		cr_assert_eq(tm_provider_anthropic.read(&conf, 200, bodies[i], strlen(bodies[i]),
							&tiny, &reply, &detail), TM_LLM_FAILED);
		cr_assert_str_eq(detail, tm_err_text(TM_ENOMEM));
		tm_arena_clear(&tiny);
	}
}

#define EVENT(name, data) "event: " name "\ndata: {\"type\":\"" name "\"" data "}\n\n"
#define START \
	EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\"," \
	      "\"model\":\"small-0125\",\"content\":[],\"stop_reason\":null," \
	      "\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":2,\"output_tokens\":1}}")
#define TEXT_BLOCK \
	EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
#define TEXT_DELTA(text) \
	EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define TOOL_BLOCK \
	EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\"," \
	      "\"name\":\"sentiment\",\"input\":{}}")
#define TOOL_DELTA(json) \
	EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"" json \
	 "\"}")
#define BLOCK_STOP EVENT("content_block_stop", ",\"index\":0")
#define STOP(reason) \
	EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason "\",\"stop_sequence\":null}," \
	      "\"usage\":{\"output_tokens\":5}") \
	EVENT("message_stop", "")
#define PING EVENT("ping", "")
#define WORDS START PING TEXT_BLOCK TEXT_DELTA("caf\xc3\xa9 ") PING TEXT_DELTA("\\ud83d\\ude00\\n") BLOCK_STOP
#define FAILURE(type, message) \
	"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"}}\n\n"

Test(anthropic, takes_streams_cut_at_any_byte)
{
	static const char text[] = "caf\xc3\xa9 \xf0\x9f\x98\x80\n";
	static const struct stream_row streams[] = {
		{WORDS STOP("end_turn"), TM_LLM_SUCCESS, text, "small-0125", 11, 5, false, NULL},
		{START TOOL_BLOCK TOOL_DELTA("") TOOL_DELTA("{\\\"senti") TOOL_DELTA("ment\\\":\\\"good\\\"}")
		 BLOCK_STOP
		 STOP("tool_use"), TM_LLM_SUCCESS, "{\"sentiment\":\"good\"}", "small-0125", 11, 5, false, NULL},
		/* Thoughts, and kinds of events and deltas that are yet to come. */
		{START EVENT("content_block_start", ",\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}")
		 EVENT("content_block_delta", ",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}")
		 EVENT("content_block_delta", ",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}")
		 EVENT("brand_new", ",\"delta\":{\"type\":\"text_delta\",\"text\":\"no\"}")
		 TEXT_DELTA("hi") STOP("end_turn"), TM_LLM_SUCCESS, "hi", "small-0125", 11, 5, false, NULL},
		/* Carriage returns, no names, text in a block's start, counts in the last event only. */
		{"data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"a\"}}\r\n\r\n"
		 "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"b\"}}\r\r"
		 "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
		 "\"usage\":{\"input_tokens\":3,"
		 "\"output_tokens\":4}}\r\n\r\ndata: {\"type\":\"message_stop\"}\n\n",
		 TM_LLM_SUCCESS, "ab", NULL, 3, 4, false, NULL},
		{"event: message_stop\ndata: {}\n\n", TM_LLM_NONSENSE, "", NULL, 0, 0, false, "without text"},
		{"event: ping\ndata: not JSON\n\n" TEXT_DELTA("a") STOP("end_turn"), TM_LLM_SUCCESS, "a", NULL, 0, 5,
		 false, NULL},
		/* Ends too early. */
		{WORDS, TM_LLM_NONSENSE, text, "small-0125", 11, 1, false, "ended before"},
		{START, TM_LLM_NONSENSE, "", "small-0125", 11, 1, false, "ended before"},
		{WORDS EVENT("message_delta",
		 ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}"),
		 TM_LLM_SUCCESS, text, "small-0125", 11, 5, false, NULL},
		/* Cut, refused. */
		{WORDS STOP("max_tokens"), TM_LLM_NONSENSE, text, "small-0125", 11, 5, true, "token limit"},
		{WORDS STOP("refusal"), TM_LLM_REFUSED, text, "small-0125", 11, 5, true, "filter"},
		/* Errors. */
		{FAILURE("overloaded_error", "Overloaded " CANARY), TM_LLM_RETRY, "", NULL, 0, 0, false,
		 "Overloaded ***"},
		{WORDS FAILURE("api_error", "oops") STOP("end_turn"), TM_LLM_RETRY, text, "small-0125", 11, 1, false,
		 "api_error: oops"},
		{FAILURE("authentication_error", "no"), TM_LLM_REFUSED, "", NULL, 0, 0, false, NULL},
		{FAILURE("rate_limit_error", "slow"), TM_LLM_RETRY, "", NULL, 0, 0, false, NULL},
		/* Not the format. */
		{"data: hello\n\n" WORDS, TM_LLM_NONSENSE, "", NULL, 0, 0, false, "not a JSON object"},
		{"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"\xff\"}}\n\n",
		 TM_LLM_NONSENSE, "", NULL, 0, 0, false, "UTF-8"},
		{"data: {\"type\":\"content_block_delta\"}\n\n"
		 "data: {\"type\":\"message_delta\",\"delta\":7}\n\ndata: {}\n\n"
		 "data: {\"type\":\"message_start\",\"message\":[]}\n\ndata: {\"type\":7}\n\n",
		 TM_LLM_NONSENSE, "", NULL, 0, 0, false, NULL},
		{"", TM_LLM_NONSENSE, "", NULL, 0, 0, false, NULL},
	};

	takes_streams(&conf, streams, sizeof(streams) / sizeof(streams[0]));
	takes_no_part_for_the_whole(&conf, WORDS STOP("end_turn"), "event: message_delta");
}

Test(anthropic, survives_damaged_responses)
{
	survives_damage(&conf, MESSAGE("[" TEXT("\"a\"") "," TOOL("{\"a\":[1]}") "]", "\"end_turn\""));
	survives_damage(&conf, ERROR("api_error", "oops"));
	survives_damage(&conf, "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
			"\"usage\":{\"output_tokens\":5}}");
	survives_damage(&conf, "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}");
}
