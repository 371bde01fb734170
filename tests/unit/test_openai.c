/* What is sent in the OpenAI format, and how every kind of response to it is taken. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "llm/provider.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

static const struct tm_provider_conf conf = {
	.name = "main",
	.kind = TM_PROVIDER_OPENAI,
	.url = "https://llm.example/v1",
	.model = "small",
	.key = "sk-canary-0123456789",
	.ca_file = "",
	.json_mode = TM_JSON_AUTO,
};

static const struct tm_llm_prompt prompt = {
	.system = "Be \"brief\".",
	.user = "line\nbreak \xc3\xa9 \\",
	.user_len = 15,
	.max_tokens = 77,
};

static struct tm_arena arena;
static struct tm_llm_wire wire;

static void setup(void)
{
	tm_arena_init(&arena, ARENA_MAX);
	wire = (struct tm_llm_wire){0};
	tm_buf_init(&wire.body, 1 << 20);
}

static void teardown(void)
{
	tm_buf_clear(&wire.body);
	tm_arena_clear(&arena);
}

TestSuite(openai, .init = setup, .fini = teardown);

static struct tm_json *built(const struct tm_provider_conf *with, const struct tm_llm_prompt *what)
{
	struct tm_json *doc = NULL;

	tm_buf_reset(&wire.body, 1 << 20);
	cr_assert_eq(tm_provider_openai.build(with, what, &arena, &wire), TM_OK);
	cr_assert_eq(tm_json_parse(wire.body.data, wire.body.len, 32, &doc), TM_OK, "%s",
		     tm_buf_text(&wire.body));
	return doc;
}

static const char *text_of(const struct tm_json *json)
{
	size_t len;
	const char *text = tm_json_text(json, &len);

	return text ? text : "(none)";
}

static const char *header(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; wire.headers[i]; i++)
		if (!strncmp(wire.headers[i], name, len) && wire.headers[i][len] == ':')
			return wire.headers[i] + len + 2;
	return NULL;
}

Test(openai, builds_the_two_messages_with_the_text_unchanged)
{
	struct tm_json *doc = built(&conf, &prompt);
	const struct tm_json *messages = tm_json_get(doc, "messages");

	cr_assert_str_eq(wire.url, "https://llm.example/v1/chat/completions");
	cr_assert_str_eq(text_of(tm_json_get(doc, "model")), "small");
	cr_assert_eq(tm_json_count(messages), 2);
	cr_assert_str_eq(text_of(tm_json_get(tm_json_item(messages, 0), "role")), "system");
	cr_assert_str_eq(text_of(tm_json_get(tm_json_item(messages, 0), "content")),
			 prompt.system);
	cr_assert_str_eq(text_of(tm_json_get(tm_json_item(messages, 1), "role")), "user");
	cr_assert_str_eq(text_of(tm_json_get(tm_json_item(messages, 1), "content")), prompt.user);
	cr_assert_eq(tm_json_int(tm_json_get(doc, "max_tokens")), 77);
	cr_assert_null(tm_json_get(doc, "response_format"));
	cr_assert_null(tm_json_get(doc, "temperature"));
	tm_json_free(doc);
}

Test(openai, sends_the_key_only_when_there_is_one)
{
	struct tm_provider_conf open = conf;

	tm_json_free(built(&conf, &prompt));
	cr_assert_str_eq(header("Authorization"), "Bearer sk-canary-0123456789");
	cr_assert_str_eq(header("Content-Type"), "application/json");
	cr_assert_str_eq(header("Accept"), "application/json");
	cr_assert_str_eq(header("User-Agent"), "textmill");

	open.key = "";
	tm_json_free(built(&open, &prompt));
	cr_assert_null(header("Authorization"));
}

Test(openai, refuses_a_key_that_would_break_out_of_its_header)
{
	static const char *const keys[] = {"a\r\nX-Evil: 1", "a\n", "\ta", "a\x7f", "a\x01z"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct tm_provider_conf evil = conf;

		evil.key = keys[i];
		cr_assert_eq(tm_provider_openai.build(&evil, &prompt, &arena, &wire), TM_EINVAL,
			     "key %zu", i);
	}
}

Test(openai, asks_for_the_shape_the_server_can_hold)
{
	static const struct {
		int mode;
		const char *type;	/* of response_format; NULL: absent */
	} rows[] = {
		{TM_JSON_AUTO, "json_schema"},
		{TM_JSON_SCHEMA, "json_schema"},
		{TM_JSON_OBJECT, "json_object"},
		{TM_JSON_OFF, NULL},
	};
	struct tm_llm_prompt shaped = prompt;

	shaped.schema_name = "sentiment";
	shaped.schema = "{\"type\":\"object\"}";
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_provider_conf with = conf;
		struct tm_json *doc;
		const struct tm_json *format, *schema;

		with.json_mode = rows[i].mode;
		doc = built(&with, &shaped);
		format = tm_json_get(doc, "response_format");
		schema = tm_json_get(format, "json_schema");
		cr_assert_str_eq(text_of(tm_json_get(format, "type")),
				 rows[i].type ? rows[i].type : "(none)", "row %zu", i);
		if (schema) {
			cr_assert_str_eq(text_of(tm_json_get(schema, "name")), "sentiment");
			cr_assert(tm_json_bool(tm_json_get(schema, "strict")));
			cr_assert_eq(tm_json_kind(tm_json_get(schema, "schema")),
				     TM_JSON_OBJECT_KIND);
		}
		tm_json_free(doc);
	}
}

Test(openai, says_when_the_body_would_exceed_its_ceiling)
{
	tm_buf_clear(&wire.body);
	tm_buf_init(&wire.body, 20);
	cr_assert_eq(tm_provider_openai.build(&conf, &prompt, &arena, &wire), TM_ESIZE);
}

#define MESSAGE(content, finish) \
	"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":" content \
	"},\"finish_reason\":" finish "}],\"model\":\"small-0125\"," \
	"\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5}}"

struct row {
	int status;
	const char *body;
	enum tm_llm_class want;
	const char *text;	/* reply's; NULL: not looked at */
	const char *detail;	/* part of it; NULL: not looked at */
};

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
	{304, MESSAGE("\"hi\"", "\"stop\""), TM_LLM_REFUSED, NULL, NULL},
	{100, "", TM_LLM_REFUSED, NULL, NULL},
};

Test(openai, takes_every_kind_of_response)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct tm_llm_reply reply = {0};
		const char *detail = NULL;
		enum tm_llm_class got;

		got = tm_provider_openai.read(&conf, row->status, row->body, strlen(row->body),
					      &arena, &reply, &detail);
		cr_assert_eq(got, row->want, "row %zu %d %s: %d, %s", i, row->status, row->body,
			     (int)got, detail);
		cr_assert_not_null(detail, "row %zu", i);
		if (row->text) {
			cr_assert_not_null(reply.text, "row %zu", i);
			cr_assert_str_eq(reply.text, row->text, "row %zu", i);
			cr_assert_eq(reply.text_len, strlen(row->text), "row %zu", i);
		}
		if (row->detail)
			cr_assert(strstr(detail, row->detail), "row %zu: %s", i, detail);
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
	for (int i = 0; i < 180; i++)
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
	cr_assert_eq(tm_provider_openai.build(&conf, &prompt, &tiny, &wire), TM_ENOMEM);
	tm_arena_clear(&tiny);
}
