/* What the tests of the wire formats share: building, reading, and streams cut everywhere. */
#ifndef TM_TEST_PROVIDER_FIXTURE_H
#define TM_TEST_PROVIDER_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "llm/provider.h"
#include "llm/sse.h"

#define CANARY "sk-canary-0123456789"
#define SCHEMA \
	"{\"type\":\"object\",\"properties\":{\"sentiment\":{\"type\":\"string\"," \
	"\"enum\":[\"good\",\"bad\"]}},\"required\":[\"sentiment\"]," \
	"\"additionalProperties\":false}"

enum { ARENA_MAX = 64 * 1024 * 1024, EVENT_MAX = 1 << 20 };

static const struct tm_llm_prompt prompt = {
	.system = "Be \"brief\".",
	.user = "line\nbreak \xc3\xa9 \\",
	.user_len = 15,
	.max_tokens = 77,
};

static struct tm_arena arena;
static struct tm_llm_wire wire;

static inline void setup(void)
{
	tm_arena_init(&arena, ARENA_MAX);
	wire = (struct tm_llm_wire){0};
	tm_buf_init(&wire.body, 1 << 20);
}

static inline void teardown(void)
{
	tm_buf_clear(&wire.body);
	tm_arena_clear(&arena);
}

static inline struct tm_llm_prompt shaped_prompt(void)
{
	struct tm_llm_prompt shaped = prompt;

	shaped.schema_name = "sentiment";
	shaped.schema = SCHEMA;
	return shaped;
}

/* The body of a request, parsed. The caller frees it. */
static inline struct tm_json *built(const struct tm_provider_conf *with,
				    const struct tm_llm_prompt *what, int plainness, bool stream)
{
	const struct tm_llm_ask ask = {what, plainness, stream};
	struct tm_json *doc = NULL;

	tm_buf_reset(&wire.body, 1 << 20);
	cr_assert_eq(tm_provider_of(with->kind)->build(with, &ask, &arena, &wire), TM_OK);
	cr_assert_eq(tm_json_parse(wire.body.data, wire.body.len, 32, &doc), TM_OK, "%s",
		     tm_buf_text(&wire.body));
	return doc;
}

static inline enum tm_err build(const struct tm_provider_conf *with,
				const struct tm_llm_prompt *what, struct tm_arena *where)
{
	const struct tm_llm_ask ask = {what, 0, false};

	return tm_provider_of(with->kind)->build(with, &ask, where, &wire);
}

/* The text at a path of names and indexes, such as "messages.0.role"; "(none)". */
static inline const char *at(const struct tm_json *json, const char *path)
{
	const char *text;
	char name[64];
	size_t len;

	while (*path) {
		len = strcspn(path, ".");
		cr_assert_lt(len, sizeof(name));
		memcpy(name, path, len);
		name[len] = '\0';
		json = tm_json_kind(json) == TM_JSON_ARRAY ?
			tm_json_item(json, strtoul(name, NULL, 10)) : tm_json_get(json, name);
		path += len + (path[len] == '.');
	}
	text = tm_json_text(json, &len);
	return text ? text : "(none)";
}

static inline const char *header(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; wire.headers[i]; i++)
		if (!strncmp(wire.headers[i], name, len) && wire.headers[i][len] == ':')
			return wire.headers[i] + len + 2;
	return NULL;
}

/* A key with a line break in it would smuggle a header in. */
static inline void refuses_keys_that_break_out(const struct tm_provider_conf *conf)
{
	static const char *const keys[] = {"a\r\nX-Evil: 1", "a\n", "\ta", "a\x7f", "a\x01z"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct tm_provider_conf evil = *conf;

		evil.key = keys[i];
		cr_assert_eq(build(&evil, &prompt, &arena), TM_EINVAL, "key %zu", i);
	}
}

/* One response, and how it is to be taken. */
struct row {
	int status;
	const char *body;
	enum tm_llm_class want;
	const char *text;	/* reply's; NULL: not looked at */
	const char *detail;	/* part of it; NULL: not looked at */
};

static inline void takes_rows(const struct tm_provider_conf *conf, const struct row *rows,
			      size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct tm_llm_reply reply = {0};
		const char *detail = NULL;
		enum tm_llm_class got;

		got = tm_provider_of(conf->kind)->read(conf, row->status, row->body,
						       strlen(row->body), &arena, &reply, &detail);
		cr_assert_eq(got, row->want, "row %zu %d %s: %d, %s", i, row->status, row->body,
			     (int)got, detail);
		cr_assert_not_null(detail, "row %zu", i);
		cr_assert(got == TM_LLM_SUCCESS ? !*detail : *detail, "row %zu: %s", i, detail);
		cr_assert_not_null(reply.model, "row %zu", i);
		cr_assert_null(strstr(detail, "canary"), "row %zu: %s", i, detail);
		if (row->text) {
			cr_assert_not_null(reply.text, "row %zu", i);
			cr_assert_str_eq(reply.text, row->text, "row %zu", i);
			cr_assert_eq(reply.text_len, strlen(row->text), "row %zu", i);
		}
		if (row->detail)
			cr_assert(strstr(detail, row->detail), "row %zu: %s", i, detail);
	}
}

/* A stream, and what it comes to. */
struct stream_row {
	const char *bytes;
	enum tm_llm_class want;
	const char *text;
	const char *model;
	int64_t in, out;
	bool cut;
	const char *detail;	/* part of it; NULL: not looked at */
};

struct listener {
	const struct tm_provider_conf *conf;
	struct tm_llm_stream stream;
};

static inline void on_event(void *arg, const char *name, const char *data, size_t len)
{
	struct listener *listener = arg;

	tm_provider_of(listener->conf->kind)->event(listener->conf, name, data, len,
						    &listener->stream);
}

/* Feeds bytes in pieces that end at each of the cuts. */
static inline enum tm_llm_class listened(const struct tm_provider_conf *conf, const char *bytes,
					 const size_t *cuts, size_t count,
					 struct tm_llm_reply *reply, const char **detail)
{
	struct listener listener = {.conf = conf};
	enum tm_llm_class class;
	size_t from = 0, len = strlen(bytes);
	struct tm_sse sse;

	tm_buf_init(&listener.stream.text, EVENT_MAX);
	tm_sse_init(&sse, EVENT_MAX);
	for (size_t i = 0; i <= count; i++) {
		size_t to = i < count ? cuts[i] : len;

		cr_assert_eq(tm_sse_feed(&sse, bytes + from, to - from, on_event, &listener),
			     TM_OK);
		from = to;
	}
	class = tm_provider_stream_end(conf, &listener.stream, &arena, reply, detail);
	tm_sse_clear(&sse);
	tm_buf_clear(&listener.stream.text);
	return class;
}

static inline void expect_stream(const struct tm_provider_conf *conf, const struct stream_row *row,
				 const size_t *cuts, size_t count)
{
	struct tm_llm_reply reply;
	const char *detail;
	enum tm_llm_class got = listened(conf, row->bytes, cuts, count, &reply, &detail);

	cr_assert_eq(got, row->want, "%s: %d, %s", row->bytes, (int)got, detail);
	cr_assert_str_eq(reply.text, row->text, "%s", row->bytes);
	cr_assert_eq(reply.text_len, strlen(row->text));
	cr_assert_str_eq(reply.model, row->model ? row->model : conf->model, "%s", row->bytes);
	cr_assert_eq(reply.input_tokens, row->in, "%s", row->bytes);
	cr_assert_eq(reply.output_tokens, row->out, "%s", row->bytes);
	cr_assert_eq(reply.cut, row->cut, "%s", row->bytes);
	cr_assert(got == TM_LLM_SUCCESS ? !*detail : *detail, "%s: %s", row->bytes, detail);
	cr_assert_null(strstr(detail, "canary"), "%s", detail);
	if (row->detail)
		cr_assert(strstr(detail, row->detail), "%s: %s", row->bytes, detail);
}

/* Every row whole, byte by byte, and cut in two at every position. */
static inline void takes_streams(const struct tm_provider_conf *conf,
				 const struct stream_row *rows, size_t count)
{
	static size_t every[64 * 1024];

	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(rows[i].bytes);

		cr_assert_lt(len, sizeof(every) / sizeof(every[0]));
		for (size_t cut = 0; cut <= len; cut++) {
			tm_arena_reset(&arena);
			expect_stream(conf, &rows[i], &cut, 1);
			every[cut] = cut;
		}
		expect_stream(conf, &rows[i], every, len + 1);
	}
}

/* Every prefix of a good stream: none crashes, none is taken for the whole before the first of the
 * words that say so has come. */
static inline void takes_no_part_for_the_whole(const struct tm_provider_conf *conf,
					       const char *bytes, const char *whole_at)
{
	const char *word = strstr(bytes, whole_at);

	cr_assert_not_null(word);
	for (size_t len = 0; len < strlen(bytes); len++) {
		char *part = strndup(bytes, len);
		struct tm_llm_reply reply;
		const char *detail;
		enum tm_llm_class got = listened(conf, part, NULL, 0, &reply, &detail);

		if (bytes + len <= word)
			cr_assert_eq(got, TM_LLM_NONSENSE, "%zu bytes: %s", len, detail);
		free(part);
		tm_arena_reset(&arena);
	}
}

/* A row's body with bytes changed or gone: read must say something, and stay in bounds. */
static inline void survives_damage(const struct tm_provider_conf *conf, const char *body)
{
	static const char odd[] = {0, '{', '}', '[', '"', '\\', ':', ',', '0', '-', (char)0xff};
	const struct tm_provider *kind = tm_provider_of(conf->kind);
	size_t len = strlen(body);
	char *copy = malloc(len + 1);

	cr_assert_not_null(copy);
	for (size_t i = 0; i < len; i++) {
		for (size_t j = 0; j < sizeof(odd); j++) {
			struct tm_llm_reply reply;
			struct listener listener = {.conf = conf};
			const char *detail = NULL;

			memcpy(copy, body, len + 1);
			copy[i] = odd[j];
			(void)kind->read(conf, j % 2 ? 200 : 400, copy, len, &arena, &reply,
					 &detail);
			cr_assert_not_null(detail);
			tm_buf_init(&listener.stream.text, EVENT_MAX);
			on_event(&listener, "message", copy, len);
			tm_buf_clear(&listener.stream.text);
			tm_arena_reset(&arena);
		}
		(void)kind->read(conf, 200, body, i, &arena, &(struct tm_llm_reply){0},
				 &(const char *){NULL});
	}
	free(copy);
}

#endif
