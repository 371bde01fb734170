/* What is sent in the OpenAI format, and how every kind of response to it is taken. */
#include "provider_fixture.h"

static const struct tm_provider_conf conf = {
	.name = "main",
	.kind = TM_PROVIDER_OPENAI,
	.url = "https://llm.example/v1",
	.model = "small",
	.key = CANARY,
	.ca_file = "",
	.json_mode = TM_JSON_AUTO,
	.api_version = "",
};

TestSuite(openai, .init = setup, .fini = teardown);

Test(openai, builds_the_two_messages_with_the_text_unchanged)
{
	struct tm_json *doc = built(&conf, &prompt, 0, false);
	const struct tm_json *messages = tm_json_get(doc, "messages");

	cr_assert_str_eq(wire.url, "https://llm.example/v1/chat/completions");
	cr_assert_str_eq(at(doc, "model"), "small");
	cr_assert_eq(tm_json_count(messages), 2);
	cr_assert_str_eq(at(messages, "0.role"), "system");
	cr_assert_str_eq(at(messages, "0.content"), prompt.system);
	cr_assert_str_eq(at(messages, "1.role"), "user");
	cr_assert_str_eq(at(messages, "1.content"), prompt.user);
	cr_assert_eq(tm_json_int(tm_json_get(doc, "max_tokens")), 77);
	cr_assert_null(tm_json_get(doc, "response_format"));
	cr_assert_null(tm_json_get(doc, "temperature"));
	cr_assert_null(tm_json_get(doc, "stream"));
	cr_assert_null(tm_json_get(doc, "stream_options"));
	tm_json_free(doc);
}

Test(openai, sends_the_key_only_when_there_is_one)
{
	struct tm_provider_conf open = conf;

	tm_json_free(built(&conf, &prompt, 0, false));
	cr_assert_str_eq(header("Authorization"), "Bearer sk-canary-0123456789");
	cr_assert_str_eq(header("Content-Type"), "application/json");
	cr_assert_str_eq(header("Accept"), "application/json");
	cr_assert_str_eq(header("User-Agent"), "textmill");

	open.key = "";
	tm_json_free(built(&open, &prompt, 0, false));
	cr_assert_null(header("Authorization"));
}

Test(openai, refuses_a_key_that_would_break_out_of_its_header)
{
	struct tm_provider_conf azure = conf;

	refuses_keys_that_break_out(&conf);
	azure.api_version = "2024-10-21";
	refuses_keys_that_break_out(&azure);
}

Test(openai, asks_azure_in_its_own_way)
{
	struct tm_provider_conf azure = conf;

	azure.url = "https://x.openai.azure.com/openai/deployments/small";
	azure.api_version = "2024-10-21";
	tm_json_free(built(&azure, &prompt, 0, false));
	cr_assert_str_eq(wire.url, "https://x.openai.azure.com/openai/deployments/small"
				   "/chat/completions?api-version=2024-10-21");
	cr_assert_str_eq(header("api-key"), CANARY);
	cr_assert_null(header("Authorization"));
	azure.api_version = "1&model=x#";
	tm_json_free(built(&azure, &prompt, 0, false));
	cr_assert(strstr(wire.url, "?api-version=1%26model%3Dx%23"), "%s", wire.url);
}

Test(openai, asks_for_a_stream_with_its_usage)
{
	struct tm_json *doc = built(&conf, &prompt, 0, true);

	cr_assert(tm_json_bool(tm_json_get(doc, "stream")));
	cr_assert(tm_json_bool(tm_json_get(tm_json_get(doc, "stream_options"), "include_usage")));
	cr_assert_str_eq(header("Accept"), "text/event-stream");
	tm_json_free(doc);
}

Test(openai, asks_for_the_shape_the_server_can_hold)
{
	static const struct {
		int mode, plainness;
		const char *type;	/* of response_format */
		bool newer, usage;
	} rows[] = {
		{TM_JSON_AUTO, 0, "json_schema", false, true},
		{TM_JSON_AUTO, 1, "json_schema", true, true},
		{TM_JSON_AUTO, 2, "json_object", false, false},
		{TM_JSON_AUTO, 3, "(none)", false, false},
		{TM_JSON_AUTO, 4, "(none)", true, false},
		{TM_JSON_AUTO, 99, "(none)", true, false},
		{TM_JSON_SCHEMA, 0, "json_schema", false, true},
		{TM_JSON_SCHEMA, 1, "json_schema", true, true},
		{TM_JSON_SCHEMA, 2, "json_schema", false, false},
		{TM_JSON_OBJECT, 0, "json_object", false, true},
		{TM_JSON_OBJECT, 4, "json_object", true, false},
		{TM_JSON_OFF, 0, "(none)", false, true},
		{TM_JSON_OFF, 1, "(none)", true, true},
	};
	const struct tm_llm_prompt shaped = shaped_prompt();

	cr_assert_eq(tm_provider_openai.plainest, 4);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_provider_conf with = conf;
		struct tm_json *doc;
		const struct tm_json *schema;

		with.json_mode = rows[i].mode;
		doc = built(&with, &shaped, rows[i].plainness, true);
		schema = tm_json_get(tm_json_get(doc, "response_format"), "json_schema");
		cr_assert_str_eq(at(doc, "response_format.type"), rows[i].type, "row %zu", i);
		cr_assert_eq(schema != NULL, !strcmp(rows[i].type, "json_schema"), "row %zu", i);
		if (schema) {
			cr_assert_str_eq(at(schema, "name"), "sentiment");
			cr_assert(tm_json_bool(tm_json_get(schema, "strict")));
			cr_assert_str_eq(at(schema, "schema.type"), "object");
		}
		cr_assert_eq(tm_json_int(tm_json_get(doc, "max_tokens")), rows[i].newer ? 0 : 77);
		cr_assert_eq(tm_json_int(tm_json_get(doc, "max_completion_tokens")),
			     rows[i].newer ? 77 : 0, "row %zu", i);
		cr_assert_eq(tm_json_get(doc, "stream_options") != NULL, rows[i].usage, "row %zu",
			     i);
		tm_json_free(doc);
	}
}

Test(openai, sends_a_temperature_but_to_models_that_refuse_it)
{
	static const struct row refused[] = {
		{400, "{\"error\":{\"message\":\"Unsupported value: 'temperature' does not support 0.2 with this "
		      "model.\",\"param\":\"temperature\",\"code\":\"unsupported_value\"}}", TM_LLM_PLAINER, NULL,
		      NULL},
		{400, "{\"error\":{\"message\":\"temperature must be at most 1\"}}", TM_LLM_REFUSED, NULL, NULL},
	};
	struct tm_llm_prompt warm = prompt;

	warm.has_temperature = true;
	warm.temperature = 0.25;
	for (int plainness = 0; plainness <= tm_provider_openai.plainest; plainness++) {
		struct tm_json *doc = built(&conf, &warm, plainness, false);
		const struct tm_json *sent = tm_json_get(doc, "temperature");

		cr_assert_eq(sent != NULL, plainness != 1 && plainness != 4, "%d", plainness);
		if (sent)
			cr_assert_float_eq(tm_json_double(sent), 0.25, 0);
		tm_json_free(doc);
	}
	takes_rows(&conf, refused, 2);
}

Test(openai, names_a_schema_so_that_it_is_taken)
{
	static const struct {
		const char *name, *sent;
	} rows[] = {
		{"key_points", "key_points"}, {"a-b", "a-b"}, {NULL, "answer"}, {"", "answer"},
		{"a b", "answer"}, {"a.b", "answer"},
		{"0123456789012345678901234567890123456789012345678901234567890123456789", "answer"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_llm_prompt shaped = shaped_prompt();
		struct tm_json *doc;

		shaped.schema_name = rows[i].name;
		doc = built(&conf, &shaped, 0, false);
		cr_assert_str_eq(at(doc, "response_format.json_schema.name"), rows[i].sent);
		tm_json_free(doc);
	}
}

Test(openai, says_when_the_body_would_exceed_its_ceiling)
{
	tm_buf_clear(&wire.body);
	tm_buf_init(&wire.body, 20);
	cr_assert_eq(build(&conf, &prompt, &arena), TM_ESIZE);
}

#define MESSAGE(content, finish) \
	"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":" content \
	"},\"finish_reason\":" finish "}],\"model\":\"small-0125\"," \
	"\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5}}"

static const struct row rows[] = {
	{200, MESSAGE("\"hi\"", "\"stop\""), TM_LLM_SUCCESS, "hi", NULL},
	{201, MESSAGE("\"hi\"", "null"), TM_LLM_SUCCESS, "hi", NULL},
	{200, MESSAGE("\"\"", "\"stop\""), TM_LLM_SUCCESS, "", NULL},
	{200, MESSAGE("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\"},"
		      "{\"type\":\"text\",\"text\":\"b\"}]", "\"stop\""),
	 TM_LLM_SUCCESS, "ab", NULL},
	{200, "{\"error\":null,\"choices\":[{\"message\":{\"content\":\"x\"}}]}", TM_LLM_SUCCESS,
	 "x", NULL},
	/* Cut or refused. */
	{200, MESSAGE("\"half a\"", "\"length\""), TM_LLM_NONSENSE, "half a", "token limit"},
	{200, MESSAGE("\"half a\"", "\"content_filter\""), TM_LLM_REFUSED, "half a", "filter"},
	{200, MESSAGE("null", "\"content_filter\""), TM_LLM_REFUSED, NULL, "filter"},
	{200, MESSAGE("null,\"refusal\":\"I cannot\"", "\"stop\""), TM_LLM_REFUSED, NULL,
	 "refused"},
	{200, MESSAGE("[{\"type\":\"refusal\",\"refusal\":\"I cannot\"}]", "\"stop\""),
	 TM_LLM_REFUSED, NULL, "refused"},
	/* Not the format. */
	{200, MESSAGE("null", "\"stop\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, MESSAGE("7", "\"stop\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, MESSAGE("[]", "\"stop\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, "{\"choices\":[]}", TM_LLM_NONSENSE, NULL, NULL},
	{200, "{\"choices\":{}}", TM_LLM_NONSENSE, NULL, NULL},
	{200, "{\"choices\":[null]}", TM_LLM_NONSENSE, NULL, NULL},
	{200, "[1,2]", TM_LLM_NONSENSE, NULL, NULL},
	{200, "null", TM_LLM_NONSENSE, NULL, NULL},
	{200, "", TM_LLM_NONSENSE, NULL, "not JSON"},
	{204, "", TM_LLM_NONSENSE, NULL, NULL},
	{200, "<html>welcome</html>", TM_LLM_NONSENSE, NULL, "not JSON"},
	{200, MESSAGE("\"\xc3\x28\"", "\"stop\""), TM_LLM_NONSENSE, NULL, "UTF-8"},
	{200, MESSAGE("\"cut in the mid", "0"), TM_LLM_NONSENSE, NULL, NULL},
	/* An error under a 200. */
	{200, "{\"error\":{\"message\":\"busy\",\"code\":503}}", TM_LLM_RETRY, NULL, "busy"},
	{200, "{\"error\":\"overloaded\"}", TM_LLM_RETRY, NULL, "overloaded"},
	{200, "{\"error\":{\"message\":\"no\",\"code\":401}}", TM_LLM_REFUSED, NULL, NULL},
	{200, "{\"error\":{\"type\":\"invalid_request_error\"}}", TM_LLM_REFUSED, NULL, NULL},
	{200, "{\"error\":{\"code\":\"insufficient_quota\"}}", TM_LLM_REFUSED, NULL, NULL},
	{200, "{\"choices\":[{\"error\":{\"code\":502,\"message\":\"upstream\"}}]}", TM_LLM_RETRY,
	 NULL, "upstream"},
	/* Statuses. */
	{429, "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\"}}",
	 TM_LLM_RETRY, NULL, "HTTP 429, rate_limit_exceeded: slow down"},
	{429, "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"pay\"}}", TM_LLM_REFUSED,
	 NULL, "HTTP 429, insufficient_quota: pay"},
	{429, "{\"error\":{\"code\":null,\"type\":\"insufficient_quota\"}}", TM_LLM_REFUSED, NULL,
	 "insufficient_quota"},
	{429, "{\"error\":{\"code\":\"billing_hard_limit_reached\"}}", TM_LLM_REFUSED, NULL, NULL},
	{503, "{\"error\":{\"type\":\"quota_exceeded\"}}", TM_LLM_REFUSED, NULL, NULL},
	{429, "", TM_LLM_RETRY, NULL, "HTTP 429"},
	{503, "<html>down</html>", TM_LLM_RETRY, NULL, "HTTP 503"},
	{503, "{\"message\":\"at the top\"}", TM_LLM_RETRY, NULL, "at the top"},
	{500, "[{\"error\":{\"message\":\"in a list\"}}]", TM_LLM_RETRY, NULL, "in a list"},
	{500, "{\"error\":\"only words\"}", TM_LLM_RETRY, NULL, "HTTP 500: only words"},
	{500, "\"a string\"", TM_LLM_RETRY, NULL, "a string"},
	{408, "", TM_LLM_RETRY, NULL, NULL},
	{409, "", TM_LLM_RETRY, NULL, NULL},
	{400, "{\"error\":{\"code\":\"context_length_exceeded\"}}", TM_LLM_REFUSED, NULL, NULL},
	{401, "", TM_LLM_REFUSED, NULL, "HTTP 401"},
	{402, "", TM_LLM_REFUSED, NULL, NULL},
	{403, "", TM_LLM_REFUSED, NULL, NULL},
	{404, "{\"error\":{\"message\":\"no model\"}}", TM_LLM_REFUSED, NULL, "no model"},
	{422, "{\"detail\":\"wrong\"}", TM_LLM_REFUSED, NULL, "wrong"},
	{301, "", TM_LLM_REFUSED, NULL, "HTTP 301"},
	/* Azure. */
	{401, "{\"error\":{\"code\":\"401\",\"message\":\"Access denied due to invalid subscription key\"}}",
	 TM_LLM_REFUSED, NULL, "HTTP 401, 401: Access denied"},
	{429, "{\"error\":{\"code\":\"429\",\"message\":\"Please retry after 10 seconds.\"}}", TM_LLM_RETRY,
	 NULL, "retry after 10"},
	{404, "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"no such deployment\"}}", TM_LLM_REFUSED,
	 NULL, "DeploymentNotFound"},
	{400, "{\"error\":{\"message\":\"filtered\",\"type\":null,\"param\":\"prompt\",\"code\":\"content_filter\","
	      "\"status\":400,\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}}",
	 TM_LLM_REFUSED, NULL, "content_filter"},
	{401, "{\"statusCode\":401,\"message\":\"Unauthorized\"}", TM_LLM_REFUSED, NULL, "Unauthorized"},
	/* A member that the server does not know. */
	{400, "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens' is not supported with this model. Use "
	      "'max_completion_tokens' instead.\",\"type\":\"invalid_request_error\",\"param\":\"max_tokens\","
	      "\"code\":\"unsupported_parameter\"}}", TM_LLM_PLAINER, NULL, "unsupported_parameter"},
	{400, "{\"error\":{\"message\":\"bad\",\"param\":\"max_tokens\",\"code\":\"unsupported_parameter\"}}",
	 TM_LLM_PLAINER, NULL, NULL},
	{422, "{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"max_completion_tokens\"],"
	      "\"msg\":\"Extra inputs are not permitted\"}]}", TM_LLM_PLAINER, NULL, "Extra inputs"},
	{422, "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\"],\"msg\":\"x\"},"
	      "{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"stream_options\"],\"msg\":\"Extra inputs are not "
	      "permitted\"}]}}", TM_LLM_PLAINER, NULL, NULL},
	{400, "{\"error\":{\"message\":\"Unrecognized request argument supplied: stream_options\"}}", TM_LLM_PLAINER,
	 NULL, NULL},
	{400, "{\"error\":\"'response_format.type' must be 'json_schema' or 'text'\"}", TM_LLM_PLAINER, NULL, NULL},
	{400, "{\"error\":{\"message\":\"This response_format type is unavailable now\"}}", TM_LLM_PLAINER, NULL, NULL},
	{400, "{\"error\":{\"message\":\"invalid value: `json_schema`\",\"param\":\"response_format.type\"}}",
	 TM_LLM_PLAINER, NULL, NULL},
	{400, "{\"error\":{\"message\":\"bad value\",\"param\":\"response_format\"}}", TM_LLM_PLAINER, NULL, NULL},
	{400, "{\"error\":{\"message\":\"This model does not support response format `json_schema`.\"}}",
	 TM_LLM_PLAINER, NULL, NULL},
	{200, "{\"error\":{\"code\":400,\"message\":\"response_format is not supported\"}}", TM_LLM_PLAINER, NULL,
	 NULL},
	/* A value that no other form makes good, and other statuses. */
	{400, "{\"error\":{\"message\":\"max_tokens is too large: 99999. This model supports at most 4096\","
	      "\"param\":\"max_tokens\",\"code\":\"invalid_value\"}}", TM_LLM_REFUSED, NULL, "too large"},
	{400, "{\"message\":\"'max_tokens' or 'max_completion_tokens' is too large: 5000.\"}", TM_LLM_REFUSED, NULL,
	 NULL},
	{404, "{\"error\":{\"message\":\"response_format\"}}", TM_LLM_REFUSED, NULL, NULL},
	{500, "{\"error\":{\"message\":\"response_format\"}}", TM_LLM_RETRY, NULL, NULL},
	{422, "{\"detail\":[]}", TM_LLM_REFUSED, NULL, NULL},
	{422, "{\"detail\":[7,{\"loc\":\"x\",\"msg\":{}}]}", TM_LLM_REFUSED, NULL, NULL},
	{304, MESSAGE("\"hi\"", "\"stop\""), TM_LLM_REFUSED, NULL, NULL},
	{100, "", TM_LLM_REFUSED, NULL, NULL},
};

Test(openai, takes_every_kind_of_response)
{
	takes_rows(&conf, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(openai, keeps_a_form_that_the_configuration_insists_on)
{
	static const int modes[] = {TM_JSON_SCHEMA, TM_JSON_OBJECT, TM_JSON_OFF};
	static const struct row insisted[] = {
		{400, "{\"error\":{\"param\":\"response_format\"}}", TM_LLM_REFUSED, NULL, NULL},
		{400, "{\"error\":{\"message\":\"Use 'max_completion_tokens' instead of max_tokens.\"}}",
		 TM_LLM_PLAINER, NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct tm_provider_conf with = conf;

		with.json_mode = modes[i];
		takes_rows(&with, insisted, 2);
	}
}

Test(openai, reports_model_and_tokens_also_of_a_cut_answer)
{
	static const char *const bodies[] = {MESSAGE("\"hi\"", "\"stop\""),
					     MESSAGE("\"hi\"", "\"length\"")};
	struct tm_llm_reply reply = {0};
	const char *detail;

	for (size_t i = 0; i < 2; i++) {
		(void)tm_provider_openai.read(&conf, 200, bodies[i], strlen(bodies[i]), &arena,
					      &reply, &detail);
		cr_assert_str_eq(reply.model, "small-0125");
		cr_assert_eq(reply.input_tokens, 11);
		cr_assert_eq(reply.output_tokens, 5);
		cr_assert_eq(reply.cut, i == 1);
	}
}

Test(openai, believes_no_absurd_model_or_tokens)
{
	static const char body[] =
		"{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"model\":\"a\\nb\","
		"\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":99999999999999}}";
	struct tm_llm_reply reply = {0};
	const char *detail;

	cr_assert_eq(tm_provider_openai.read(&conf, 200, body, strlen(body), &arena, &reply,
					     &detail), TM_LLM_SUCCESS);
	cr_assert_str_eq(reply.model, "small");
	cr_assert_eq(reply.input_tokens, 0);
	cr_assert_eq(reply.output_tokens, 0);
}

Test(openai, masks_the_key_and_bounds_the_detail)
{
	struct tm_llm_reply reply;
	struct tm_buf body;
	const char *detail;

	tm_buf_init(&body, 1 << 20);
	tm_buf_puts(&body, "{\"error\":{\"code\":\"sk-canary-0123456789\",\"message\":\"bad\\u0007 "
			   "sk-canary-0123456789 ");
	/* The key once more, where the cut goes through it. */
	for (int i = 0; i < 155; i++)
		tm_buf_putc(&body, 'x');
	tm_buf_puts(&body, "sk-canary-0123456789\xc3\xa9 and the rest\"}}");
	cr_assert_eq(tm_provider_openai.read(&conf, 401, body.data, body.len, &arena, &reply,
					     &detail), TM_LLM_REFUSED);
	cr_assert_null(strstr(detail, "sk-"), "%s", detail);
	cr_assert_null(strstr(detail, "rest"), "%s", detail);
	cr_assert(strstr(detail, "HTTP 401, ***: bad? *** xxx"), "%s", detail);
	cr_assert_leq(strlen(detail), 280);
	for (const char *at = detail; *at; at++)
		cr_assert(*at >= 0x20 && *at < 0x7f);
	tm_buf_clear(&body);
}

Test(openai, reads_megabytes_in_one_go)
{
	enum { PARTS = 100000 };
	struct tm_llm_reply reply;
	struct tm_buf body;
	const char *detail;

	tm_buf_init(&body, 16 << 20);
	tm_buf_puts(&body, "{\"choices\":[{\"message\":{\"content\":[");
	for (int i = 0; i < PARTS; i++)
		tm_buf_puts(&body, i ? ",{\"type\":\"text\",\"text\":\"ab\"}" :
				       "{\"type\":\"text\",\"text\":\"ab\"}");
	tm_buf_puts(&body, "]}}]}");
	cr_assert_eq(tm_buf_err(&body), TM_OK);
	cr_assert_eq(tm_provider_openai.read(&conf, 200, body.data, body.len, &arena, &reply,
					     &detail), TM_LLM_SUCCESS);
	cr_assert_eq(reply.text_len, 2 * PARTS);
	tm_buf_clear(&body);
}

Test(openai, says_so_when_memory_runs_out)
{
	static const char body[] = MESSAGE("\"a longer answer than fits\"", "\"stop\"");
	struct tm_llm_reply reply;
	struct tm_arena tiny;
	const char *detail;

	tm_arena_init(&tiny, 16);
	cr_assert_eq(tm_provider_openai.read(&conf, 200, body, strlen(body), &tiny, &reply,
					     &detail), TM_LLM_FAILED);
	cr_assert_str_eq(detail, tm_err_text(TM_ENOMEM));
	tm_buf_reset(&wire.body, 0);
	cr_assert_eq(build(&conf, &prompt, &tiny), TM_ENOMEM);
	tm_arena_clear(&tiny);
}

#define CHUNK(delta, finish) \
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"small-0125\"," \
	"\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":" finish "}]}\n\n"
#define USAGE \
	"data: {\"model\":\"small-0125\",\"choices\":[],\"usage\":{\"prompt_tokens\":11," \
	"\"completion_tokens\":5,\"total_tokens\":16}}\n\n"
#define DONE "data: [DONE]\n\n"
#define TWO CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null") \
	CHUNK("{\"content\":\"caf\xc3\xa9 \"}", "null") CHUNK("{\"content\":\"\\ud83d\\ude00\\n\"}", "null")

Test(openai, takes_streams_cut_at_any_byte)
{
	static const char text[] = "caf\xc3\xa9 \xf0\x9f\x98\x80\n";
	static const struct stream_row streams[] = {
		{TWO CHUNK("{}", "\"stop\"") USAGE DONE, TM_LLM_SUCCESS, text, "small-0125", 11, 5, false, NULL},
		{": comment\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\n"
		 "data: {\"choices\":[{\"delta\":{\"content\":\"b\"},"
		 "\"finish_reason\":\"stop\"}],\"usage\":null}\r\n\r\n"
		 "data: [DONE]\r\n\r\n", TM_LLM_SUCCESS, "ab", NULL, 0, 0, false, NULL},
		/* Azure: a first event without a choice. */
		{"data: {\"choices\":[],\"model\":\"\",\"prompt_filter_results\":[{}]}\n\n" TWO CHUNK("{}", "\"stop\"")
		 DONE, TM_LLM_SUCCESS, text, "small-0125", 0, 0, false, NULL},
		/* An end without the format's last word, and that without a reason. */
		{TWO CHUNK("{}", "\"stop\""), TM_LLM_SUCCESS, text, "small-0125", 0, 0, false, NULL},
		{TWO DONE, TM_LLM_SUCCESS, text, "small-0125", 0, 0, false, NULL},
		{TWO, TM_LLM_NONSENSE, text, "small-0125", 0, 0, false, "ended before"},
		{TWO DONE "data: nonsense\n\n", TM_LLM_SUCCESS, text, "small-0125", 0, 0, false, NULL},
		/* Cut, filtered, refused. */
		{TWO CHUNK("{}", "\"length\"") USAGE DONE, TM_LLM_NONSENSE, text, "small-0125", 11, 5, true,
		 "token limit"},
		{TWO CHUNK("{}", "\"content_filter\"") DONE, TM_LLM_REFUSED, text, "small-0125", 0, 0, true, "filter"},
		{CHUNK("{\"refusal\":\"I cannot\"}", "null") CHUNK("{}", "\"stop\"") DONE, TM_LLM_REFUSED, "",
		 "small-0125", 0, 0, false, "refused"},
		{CHUNK("{}", "\"stop\"") DONE, TM_LLM_NONSENSE, "", "small-0125", 0, 0, false, "without text"},
		/* Errors. */
		{TWO "data: {\"error\":{\"message\":\"overloaded " CANARY "\",\"code\":503}}\n\n" DONE, TM_LLM_RETRY,
		 text, "small-0125", 0, 0, false, "overloaded ***"},
		{"event: error\ndata: {\"message\":\"no key\",\"type\":\"authentication_error\"}\n\n", TM_LLM_REFUSED,
		 "", NULL, 0, 0, false, "authentication_error: no key"},
		{"data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n" TWO DONE, TM_LLM_REFUSED, "", NULL, 0, 0,
		 false, "insufficient_quota"},
		{"data: {\"error\":\"down\"}\n\n", TM_LLM_RETRY, "", NULL, 0, 0, false, "down"},
		/* Not the format. */
		{"data: hello\n\n" TWO DONE, TM_LLM_NONSENSE, "", NULL, 0, 0, false, "not a JSON object"},
		{"data: [1]\n\n" TWO DONE, TM_LLM_NONSENSE, "", NULL, 0, 0, false, "not a JSON object"},
		{"data: {\"choices\":[{\"delta\":{\"content\":\"\xc3\x28\"}}]}\n\n" DONE, TM_LLM_NONSENSE, "", NULL, 0,
		 0, false, "UTF-8"},
		{"data: {\"choices\":7}\n\ndata: {}\n\ndata: {\"choices\":[{\"delta\":\"x\"}]}\n\n", TM_LLM_NONSENSE,
		 "", NULL, 0, 0, false, NULL},
		{"<html>welcome</html>", TM_LLM_NONSENSE, "", NULL, 0, 0, false, NULL},
		{"", TM_LLM_NONSENSE, "", NULL, 0, 0, false, NULL},
	};

	takes_streams(&conf, streams, sizeof(streams) / sizeof(streams[0]));
	takes_no_part_for_the_whole(&conf, TWO CHUNK("{}", "\"stop\"") USAGE DONE, "\"stop\"");
}

Test(openai, survives_damaged_responses)
{
	survives_damage(&conf, MESSAGE("[{\"type\":\"text\",\"text\":\"a\"}]", "\"stop\""));
	survives_damage(&conf, "{\"error\":{\"code\":\"x\",\"message\":{\"detail\":[{\"loc\":[\"a\"]}]}}}");
	survives_damage(&conf, "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}");
}

Test(openai, ends_a_stream_that_is_larger_than_its_answer_may_be)
{
	struct listener listener = {.conf = &conf};
	static const char data[] = "{\"choices\":[{\"delta\":{\"content\":\"12345\"}}]}";
	struct tm_llm_reply reply;
	const char *detail;

	tm_buf_init(&listener.stream.text, 12);
	for (int i = 0; i < 3; i++)
		on_event(&listener, "message", data, strlen(data));
	cr_assert_eq(tm_provider_stream_end(&conf, &listener.stream, &arena, &reply, &detail),
		     TM_LLM_NONSENSE);
	cr_assert_str_eq(reply.text, "1234512345");
	cr_assert(strstr(detail, "larger"), "%s", detail);
	tm_buf_clear(&listener.stream.text);
}

Test(openai, says_so_when_memory_runs_out_at_a_stream_s_end)
{
	struct listener listener = {.conf = &conf};
	static const char data[] = "{\"choices\":[{\"delta\":{\"content\":\"more than fits there\"}}]}";
	struct tm_llm_reply reply;
	struct tm_arena tiny;
	const char *detail;

	tm_arena_init(&tiny, 8);
	tm_buf_init(&listener.stream.text, EVENT_MAX);
	on_event(&listener, "message", data, strlen(data));
	cr_assert_eq(tm_provider_stream_end(&conf, &listener.stream, &tiny, &reply, &detail),
		     TM_LLM_FAILED);
	cr_assert_str_eq(detail, tm_err_text(TM_ENOMEM));
	cr_assert_str_eq(reply.model, "small");
	tm_buf_clear(&listener.stream.text);
	tm_arena_clear(&tiny);
}
