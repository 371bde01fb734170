/* What is sent in Google's generateContent format, and how every kind of response is taken. */
#include "llm/gemini_schema.h"
#include "provider_fixture.h"

static const struct tm_provider_conf conf = {
	.name = "main",
	.kind = TM_PROVIDER_GEMINI,
	.url = "https://llm.example",
	.model = "small-1.5",
	.key = CANARY,
	.ca_file = "",
	.json_mode = TM_JSON_AUTO,
	.api_version = "",
};

TestSuite(gemini, .init = setup, .fini = teardown);

Test(gemini, builds_contents_with_the_system_beside_them)
{
	struct tm_json *doc = built(&conf, &prompt, 0, false);
	const struct tm_json *config = tm_json_get(doc, "generationConfig");

	cr_assert_str_eq(wire.url, "https://llm.example/v1beta/models/small-1.5:generateContent");
	cr_assert_str_eq(header("x-goog-api-key"), CANARY);
	cr_assert_null(strstr(wire.url, "canary"));
	cr_assert_null(header("Authorization"));
	cr_assert_str_eq(at(doc, "systemInstruction.parts.0.text"), prompt.system);
	cr_assert_eq(tm_json_count(tm_json_get(doc, "contents")), 1);
	cr_assert_str_eq(at(doc, "contents.0.role"), "user");
	cr_assert_str_eq(at(doc, "contents.0.parts.0.text"), prompt.user);
	cr_assert_eq(tm_json_int(tm_json_get(config, "maxOutputTokens")), 77);
	cr_assert_eq(tm_json_count(config), 1);
	tm_json_free(doc);
}

Test(gemini, asks_for_a_stream_of_events)
{
	tm_json_free(built(&conf, &prompt, 0, true));
	cr_assert_str_eq(wire.url, "https://llm.example/v1beta/models/small-1.5:"
				   "streamGenerateContent?alt=sse");
	cr_assert_str_eq(header("Accept"), "text/event-stream");
}

Test(gemini, keeps_the_model_within_its_place_in_the_path)
{
	static const struct {
		const char *url, *model, *wanted;
	} rows[] = {
		{"https://h", "models/m", "https://h/v1beta/models/m:generateContent"},
		{"https://h/v1beta", "m", "https://h/v1beta/models/m:generateContent"},
		{"https://h/x/v1", "m", "https://h/x/v1/models/m:generateContent"},
		{"https://h", "../../v1/files", "https://h/v1beta/models/..%2F..%2Fv1%2Ffiles:generateContent"},
		{"https://h", "m:countTokens?x=", "https://h/v1beta/models/m%3AcountTokens%3Fx%3D:generateContent"},
		{"https://h", "m#", "https://h/v1beta/models/m%23:generateContent"},
		{"https://h", "m%2f\xc3\xa9 \n", "https://h/v1beta/models/m%252f%C3%A9%20%0A:generateContent"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_provider_conf with = conf;

		with.url = rows[i].url;
		with.model = rows[i].model;
		tm_json_free(built(&with, &prompt, 0, false));
		cr_assert_str_eq(wire.url, rows[i].wanted);
	}
}

Test(gemini, leaves_out_what_is_not_there)
{
	struct tm_provider_conf with = conf;
	struct tm_llm_prompt bare = prompt;
	struct tm_json *doc;

	with.key = "";
	bare.system = "";
	bare.max_tokens = 0;
	doc = built(&with, &bare, 0, false);
	cr_assert_null(header("x-goog-api-key"));
	cr_assert_null(tm_json_get(doc, "systemInstruction"));
	cr_assert_eq(tm_json_count(tm_json_get(doc, "generationConfig")), 0);
	tm_json_free(doc);
	bare.schema = SCHEMA;
	doc = built(&with, &bare, 0, false);
	cr_assert_eq(tm_json_count(tm_json_get(doc, "generationConfig")), 2);
	tm_json_free(doc);
	bare.has_temperature = true;
	bare.temperature = 1.5;
	doc = built(&with, &bare, 0, false);
	cr_assert_eq(tm_json_count(tm_json_get(doc, "generationConfig")), 3);
	cr_assert_float_eq(tm_json_double(tm_json_get(tm_json_get(doc, "generationConfig"),
						      "temperature")), 1.5, 0);
	tm_json_free(doc);
}

Test(gemini, refuses_a_key_that_would_break_out_of_its_header)
{
	refuses_keys_that_break_out(&conf);
}

Test(gemini, asks_for_the_shape_the_model_can_hold)
{
	static const struct {
		int mode, plainness;
		bool mime, schema;
	} rows[] = {
		{TM_JSON_AUTO, 0, true, true}, {TM_JSON_AUTO, 1, true, false},
		{TM_JSON_AUTO, 2, false, false}, {TM_JSON_AUTO, 9, false, false},
		{TM_JSON_SCHEMA, 2, true, true}, {TM_JSON_OBJECT, 0, true, false},
		{TM_JSON_OFF, 0, false, false},
	};
	const struct tm_llm_prompt shaped = shaped_prompt();

	cr_assert_eq(tm_provider_gemini.plainest, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_provider_conf with = conf;
		struct tm_json *doc;

		with.json_mode = rows[i].mode;
		doc = built(&with, &shaped, rows[i].plainness, false);
		cr_assert_str_eq(at(doc, "generationConfig.responseMimeType"),
				 rows[i].mime ? "application/json" : "(none)", "row %zu", i);
		cr_assert_str_eq(at(doc, "generationConfig.responseSchema.type"),
				 rows[i].schema ? "OBJECT" : "(none)", "row %zu", i);
		tm_json_free(doc);
	}
}

Test(gemini, writes_schemas_in_google_s_subset)
{
	static const struct {
		const char *schema, *written;
	} rows[] = {
		{SCHEMA, "S{\"type\":\"OBJECT\",\"properties\":{\"sentiment\":{\"type\":\"STRING\","
			 "\"enum\":[\"good\",\"bad\"]}},\"required\":[\"sentiment\"]}"},
		{"{\"$schema\":\"x\",\"title\":\"t\",\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"integer\","
		 "\"minimum\":0,\"exclusiveMaximum\":9,\"description\":\"n\"}}",
		 "S{\"type\":\"ARRAY\",\"minItems\":1,"
		 "\"items\":{\"type\":\"INTEGER\",\"minimum\":0,\"description\":\"n\"}}"},
		{"{\"type\":[\"string\",\"null\"]}", "S{\"type\":\"STRING\",\"nullable\":true}"},
		{"{\"type\":[\"null\",\"number\"],\"enum\":[1,2]}", "S{\"type\":\"NUMBER\",\"nullable\":true}"},
		{"{\"anyOf\":[{\"type\":\"string\",\"const\":\"x\"},{\"type\":\"boolean\"}]}",
		 "S{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"BOOLEAN\"}]}"},
		/* A property may be called as a keyword that is left out is. */
		{"{\"type\":\"object\","
		 "\"properties\":{\"additionalProperties\":{\"type\":\"string\"},\"type\":{\"type\":"
		 "\"string\"}},\"additionalProperties\":{\"type\":\"string\"}}",
		 "S{\"type\":\"OBJECT\","
		 "\"properties\":{\"additionalProperties\":{\"type\":\"STRING\"},\"type\":{\"type\":"
		 "\"STRING\"}}}"},
		{"{\"properties\":7,\"items\":[{}],\"anyOf\":{},\"enum\":[],\"type\":{\"a\":1}}",
		 "S{\"type\":\"STRING\"}"},
		{"{\"type\":\"a\\\"b\"}", "S{\"type\":\"A\"}"},
		{"{\"items\":{\"properties\":{\"a\":7,\"b\":null}}}",
		 "S{\"items\":{\"properties\":{\"a\":{},\"b\":{}}}}"},
		{"{}", "S{}"},
		{"[]", ""},
		{"7", ""},
		{"no schema", ""},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tm_buf_reset(&wire.body, 1 << 20);
		cr_assert_eq(tm_gemini_put_schema(&wire.body, "S", rows[i].schema), TM_OK);
		cr_assert_str_eq(tm_buf_text(&wire.body), rows[i].written);
	}
}

Test(gemini, says_when_body_or_memory_run_out)
{
	struct tm_arena tiny;

	tm_arena_init(&tiny, 16);
	cr_assert_eq(build(&conf, &prompt, &tiny), TM_ENOMEM);
	tm_buf_clear(&wire.body);
	tm_buf_init(&wire.body, 20);
	cr_assert_eq(build(&conf, &prompt, &arena), TM_ESIZE);
	tm_arena_clear(&tiny);
}

#define CANDIDATE(parts, finish) \
	"{\"candidates\":[{\"content\":{\"parts\":" parts ",\"role\":\"model\"},\"finishReason\":" finish \
	",\"index\":0,\"safetyRatings\":[]}]," USAGE(5) ",\"modelVersion\":\"small-0125\",\"responseId\":\"r\"}"
#define USAGE(out) \
	"\"usageMetadata\":{\"promptTokenCount\":11,\"candidatesTokenCount\":" #out \
	",\"thoughtsTokenCount\":2,\"totalTokenCount\":18}"
#define ERROR(code, status, message, details) \
	"{\"error\":{\"code\":" #code ",\"message\":\"" message "\",\"status\":\"" status "\",\"details\":[" details \
	"]}}"
#define INFO(reason) \
	"{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"" reason \
	"\",\"domain\":\"googleapis.com\"}"
#define QUOTA(id) \
	"{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaMetric\":\"m\"," \
	"\"quotaId\":\"" id "\"}]}"
#define RETRY "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"23s\"}"
#define PLAN "You exceeded your current quota, please check your plan and billing details."

static const struct row rows[] = {
	{200, CANDIDATE("[{\"text\":\"hi\"}]", "\"STOP\""), TM_LLM_SUCCESS, "hi", NULL},
	{200, CANDIDATE("[{\"text\":\"a\"},{\"text\":\"b\"}]", "\"STOP\""), TM_LLM_SUCCESS, "ab", NULL},
	{200, CANDIDATE("[{\"text\":\"hm\",\"thought\":true},{\"text\":\"hi\"}]", "\"STOP\""), TM_LLM_SUCCESS, "hi",
	 NULL},
	{200, CANDIDATE("[{\"text\":\"hi\"},{\"functionCall\":{}}]", "\"FINISH_REASON_UNSPECIFIED\""), TM_LLM_SUCCESS,
	 "hi", NULL},
	{200, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"bare\"}]}}]}", TM_LLM_SUCCESS, "bare", NULL},
	/* Cut, filtered, blocked. */
	{200, CANDIDATE("[{\"text\":\"half a\"}]", "\"MAX_TOKENS\""), TM_LLM_NONSENSE, "half a", "token limit"},
	{200, "{\"candidates\":[{\"content\":{\"role\":\"model\"},\"finishReason\":\"MAX_TOKENS\"}]}", TM_LLM_NONSENSE,
	 NULL, "token limit"},
	{200, CANDIDATE("[{\"text\":\"half a\"}]", "\"SAFETY\""), TM_LLM_REFUSED, "half a", "filter"},
	{200, "{\"candidates\":[{\"finishReason\":\"RECITATION\"}]}", TM_LLM_REFUSED, NULL, "filter"},
	{200, "{\"candidates\":[{\"finishReason\":\"BLOCKLIST\"}]}", TM_LLM_REFUSED, NULL, NULL},
	{200, "{\"candidates\":[{\"finishReason\":\"PROHIBITED_CONTENT\"}]}", TM_LLM_REFUSED, NULL, NULL},
	{200, "{\"candidates\":[{\"finishReason\":\"SPII\"}]}", TM_LLM_REFUSED, NULL, NULL},
	{200, "{\"candidates\":[{\"finishReason\":\"LANGUAGE\"}]}", TM_LLM_REFUSED, NULL, NULL},
	{200, CANDIDATE("[{\"text\":\"a\"}]", "\"OTHER\""), TM_LLM_NONSENSE, "a", "OTHER"},
	{200, "{\"candidates\":[{\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}]}", TM_LLM_NONSENSE, NULL, "MALFORMED"},
	{200, "{\"candidates\":[{\"finishReason\":\"NEW " CANARY "\"}]}", TM_LLM_NONSENSE, NULL, "NEW ***"},
	{200, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}," USAGE(0) "}", TM_LLM_REFUSED, NULL, "blocked"},
	{200, "{\"promptFeedback\":{\"safetyRatings\":[]}}", TM_LLM_NONSENSE, NULL, NULL},
	/* Not the format. */
	{200, CANDIDATE("[]", "\"STOP\""), TM_LLM_NONSENSE, NULL, "without candidates"},
	{200, CANDIDATE("{}", "\"STOP\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, CANDIDATE("[{\"text\":7},null,\"x\"]", "7"), TM_LLM_NONSENSE, NULL, NULL},
	{200, CANDIDATE("[{\"text\":\"hm\",\"thought\":true}]", "\"STOP\""), TM_LLM_NONSENSE, NULL, NULL},
	{200, "{\"candidates\":[]}", TM_LLM_NONSENSE, NULL, NULL},
	{200, "{\"candidates\":{}}", TM_LLM_NONSENSE, NULL, NULL},
	{200, "{}", TM_LLM_NONSENSE, NULL, NULL},
	{200, "null", TM_LLM_NONSENSE, NULL, NULL},
	{200, "", TM_LLM_NONSENSE, NULL, "not JSON"},
	{200, "<html>welcome</html>", TM_LLM_NONSENSE, NULL, "not JSON"},
	{200, CANDIDATE("[{\"text\":\"\xc3\x28\"}]", "\"STOP\""), TM_LLM_NONSENSE, NULL, "UTF-8"},
	/* The documented errors. */
	{400, ERROR(400, "INVALID_ARGUMENT", "Invalid value", ""), TM_LLM_REFUSED, NULL,
	 "HTTP 400, INVALID_ARGUMENT: Invalid value"},
	{400, ERROR(400, "INVALID_ARGUMENT", "API key not valid: " CANARY, INFO("API_KEY_INVALID")), TM_LLM_REFUSED,
	 NULL, "HTTP 400, API_KEY_INVALID: API key not valid: ***"},
	{400, ERROR(400, "FAILED_PRECONDITION", "User location is not supported", ""), TM_LLM_REFUSED, NULL,
	 "location"},
	{401, ERROR(401, "UNAUTHENTICATED", "no", ""), TM_LLM_REFUSED, NULL, NULL},
	{403, ERROR(403, "PERMISSION_DENIED", "no", INFO("SERVICE_DISABLED")), TM_LLM_REFUSED, NULL,
	 "SERVICE_DISABLED"},
	{404, ERROR(404, "NOT_FOUND", "models/x is not found", ""), TM_LLM_REFUSED, NULL, "models/x"},
	{429, ERROR(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", ""), TM_LLM_RETRY,
	 NULL,
	 "HTTP 429, RESOURCE_EXHAUSTED"},
	{429, ERROR(429, "RESOURCE_EXHAUSTED", PLAN, QUOTA("GenerateRequestsPerMinutePerProjectPerModel-FreeTier") ","
		    RETRY), TM_LLM_RETRY, NULL, NULL},
	{429, ERROR(429, "RESOURCE_EXHAUSTED", PLAN, QUOTA("GenerateRequestsPerDayPerProjectPerModel-FreeTier") ","
	 RETRY),
	 TM_LLM_REFUSED, NULL, "quota"},
	{429,
	 "{\"error\":{\"code\":429,\"message\":\"m\","
	 "\"details\":[{\"@type\":\"x/google.rpc.QuotaFailure\",\"violations\":["
	      "{\"quotaId\":\"InputTokensPerMinute\"},{\"quotaId\":\"RequestsPerDay\"}]}]}}", TM_LLM_REFUSED, NULL,
	      NULL},
	{429, ERROR(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric requests_per_day", ""), TM_LLM_REFUSED, NULL,
	 NULL},
	{429, ERROR(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", ""), TM_LLM_REFUSED, NULL,
	 NULL},
	{500, ERROR(500, "INTERNAL", "oops", ""), TM_LLM_RETRY, NULL, NULL},
	{503, ERROR(503, "UNAVAILABLE", "The model is overloaded.", ""), TM_LLM_RETRY, NULL, "UNAVAILABLE: The model"},
	{504, ERROR(504, "DEADLINE_EXCEEDED", "late", ""), TM_LLM_RETRY, NULL, NULL},
	{499, ERROR(499, "CANCELLED", "gone", ""), TM_LLM_REFUSED, NULL, NULL},
	{503, "[" ERROR(503, "UNAVAILABLE", "in a list", "") "]", TM_LLM_RETRY, NULL, "in a list"},
	{200, ERROR(503, "UNAVAILABLE", "late news", ""), TM_LLM_RETRY, NULL, "late news"},
	{200, ERROR(400, "INVALID_ARGUMENT", "no", ""), TM_LLM_REFUSED, NULL, NULL},
	{200, "{\"error\":{}}", TM_LLM_RETRY, NULL, NULL},
	{200, "[" ERROR(403, "PERMISSION_DENIED", "no", "") "]", TM_LLM_REFUSED, NULL, NULL},
	{503, "<html>down</html>", TM_LLM_RETRY, NULL, "HTTP 503"},
	{429, "", TM_LLM_RETRY, NULL, "HTTP 429"},
	{500, "{\"error\":\"only words\"}", TM_LLM_RETRY, NULL, "only words"},
	{500, "{\"error\":{\"details\":[7,{\"@type\":7},{\"@type\":\"x.ErrorInfo\",\"reason\":[]}]}}", TM_LLM_RETRY,
	 NULL, NULL},
	{301, "", TM_LLM_REFUSED, NULL, NULL},
	/* A form that the model does not know. */
	{400, ERROR(400, "INVALID_ARGUMENT", "JSON mode is not enabled for models/x", ""), TM_LLM_PLAINER, NULL, NULL},
	{400, ERROR(400, "INVALID_ARGUMENT", "Unknown name \\\"x\\\" at 'generation_config.response_schema'", ""),
	 TM_LLM_PLAINER, NULL, NULL},
	{400, ERROR(400, "INVALID_ARGUMENT", "responseMimeType: unknown", ""), TM_LLM_PLAINER, NULL, NULL},
	{403, ERROR(403, "PERMISSION_DENIED", "JSON mode", ""), TM_LLM_REFUSED, NULL, NULL},
};

Test(gemini, takes_every_kind_of_response)
{
	takes_rows(&conf, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(gemini, keeps_a_form_that_the_configuration_insists_on)
{
	static const struct row insisted[] = {
		{400, ERROR(400, "INVALID_ARGUMENT", "JSON mode is not enabled", ""), TM_LLM_REFUSED, NULL, NULL},
	};
	struct tm_provider_conf with = conf;

	with.json_mode = TM_JSON_SCHEMA;
	takes_rows(&with, insisted, 1);
}

Test(gemini, reports_model_and_tokens_also_of_a_cut_answer)
{
	static const char *const bodies[] = {CANDIDATE("[{\"text\":\"hi\"}]", "\"STOP\""),
					     CANDIDATE("[{\"text\":\"hi\"}]", "\"MAX_TOKENS\"")};
	struct tm_llm_reply reply = {0};
	const char *detail;

	for (size_t i = 0; i < 2; i++) {
		(void)tm_provider_gemini.read(&conf, 200, bodies[i], strlen(bodies[i]), &arena,
					      &reply, &detail);
		cr_assert_str_eq(reply.model, "small-0125");
		cr_assert_eq(reply.input_tokens, 11);
		cr_assert_eq(reply.output_tokens, 7);
		cr_assert_eq(reply.cut, i == 1);
	}
}

#define CHUNK(text, rest) \
	"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text "\"}],\"role\":\"model\"}" rest \
	",\"index\":0}]," USAGE(5) ",\"modelVersion\":\"small-0125\"}\r\n\r\n"
#define END(reason) ",\"finishReason\":\"" reason "\""
#define WORDS CHUNK("caf\xc3\xa9 ", "") CHUNK("\\ud83d\\ude00", "")

Test(gemini, takes_streams_cut_at_any_byte)
{
	static const char text[] = "caf\xc3\xa9 \xf0\x9f\x98\x80\n";
	static const char most[] = "caf\xc3\xa9 \xf0\x9f\x98\x80";
	static const struct stream_row streams[] = {
		{WORDS CHUNK("\\n", END("STOP")), TM_LLM_SUCCESS, text, "small-0125", 11, 7, false, NULL},
		{"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true}]}}]," USAGE(0)
		 "}\n\n"
		 CHUNK("hi", END("STOP")), TM_LLM_SUCCESS, "hi", "small-0125", 11, 7, false, NULL},
		{"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n"
		 "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\ndata: {" USAGE(1) "}\n\n",
		 TM_LLM_SUCCESS, "a", NULL, 11, 3, false, NULL},
		/* Ends too early, cut, filtered, blocked, odd. */
		{WORDS, TM_LLM_NONSENSE, most, "small-0125", 11, 7, false, "ended before"},
		{WORDS CHUNK("\\n", END("MAX_TOKENS")), TM_LLM_NONSENSE, text, "small-0125", 11, 7, true,
		 "token limit"},
		{WORDS CHUNK("\\n", END("SAFETY")), TM_LLM_REFUSED, text, "small-0125", 11, 7, true, "filter"},
		{"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}," USAGE(0) "}\n\n", TM_LLM_REFUSED, "", NULL,
		 11, 2,
		 false, "blocked"},
		{WORDS CHUNK("\\n", END("OTHER")), TM_LLM_NONSENSE, text, "small-0125", 11, 7, false,
		 "without an answer"},
		{CHUNK("", END("STOP")), TM_LLM_NONSENSE, "", "small-0125", 11, 7, false, "without text"},
		/* Errors. */
		{WORDS "data: " ERROR(503, "UNAVAILABLE", "overloaded " CANARY, "") "\n\n" CHUNK("x", END("STOP")),
		 TM_LLM_RETRY, most, "small-0125", 11, 7, false, "UNAVAILABLE: overloaded ***"},
		{"data: " ERROR(429, "RESOURCE_EXHAUSTED", "m", QUOTA("RequestsPerDay")) "\n\n", TM_LLM_REFUSED, "",
		 NULL, 0,
		 0, false, NULL},
		/* Not the format. */
		{"data: hello\n\n" WORDS, TM_LLM_NONSENSE, "", NULL, 0, 0, false, "not a JSON object"},
		{"data: [DONE]\n\n", TM_LLM_NONSENSE, "", NULL, 0, 0, false, "not a JSON object"},
		{"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\xff\"}]}}]}\n\n", TM_LLM_NONSENSE, "",
		 NULL, 0, 0,
		 false, "UTF-8"},
		{"data: {\"candidates\":7}\n\ndata: {\"candidates\":[{\"content\":{\"parts\":{}}}]}\n\ndata: {}\n\n",
		 TM_LLM_NONSENSE, "", NULL, 0, 0, false, NULL},
		{"", TM_LLM_NONSENSE, "", NULL, 0, 0, false, NULL},
	};

	takes_streams(&conf, streams, sizeof(streams) / sizeof(streams[0]));
	takes_no_part_for_the_whole(&conf, WORDS CHUNK("\\n", END("STOP")), "\"STOP\"");
}

Test(gemini, survives_damaged_responses)
{
	survives_damage(&conf, CANDIDATE("[{\"text\":\"a\",\"thought\":false}]", "\"STOP\""));
	survives_damage(&conf, ERROR(429, "RESOURCE_EXHAUSTED", PLAN, QUOTA("PerDay") "," RETRY));
	survives_damage(&conf, "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}");
}
