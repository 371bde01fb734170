/*
 * Anthropic's messages format. Structured answers come as the input of a tool that the model is
 * made to use, its schema ours: the one way that every model of the format knows. A model or
 * gateway that refuses the tool is asked without: the prompt says by itself that it wants JSON.
 */
#include "llm/provider.h"

#include <string.h>

#include "llm/provider_parts.h"
#include "llm/retry.h"

enum { BARE = 1, PLAINEST = 2, MAX_TOKENS_DEFAULT = 1024 };	/* BARE: no temperature */

static const char default_version[] = "2023-06-01";

static enum tm_err build_head(const struct tm_provider_conf *conf, bool stream,
			      struct tm_arena *arena, struct tm_llm_wire *out)
{
	const char *version = conf->api_version ? conf->api_version : "";
	const struct tm_part_header headers[] = {
		{"x-api-key: ", conf->key},
		{"anthropic-version: ", *version ? version : default_version},
	};

	out->url = tm_arena_printf(arena, "%s%s/messages", conf->url,
				   tm_part_ends_in(conf->url, "/v1") ? "" : "/v1");
	return out->url ? tm_part_headers(arena, stream, headers, 2, out) : TM_ENOMEM;
}

static bool wants_tool(const struct tm_provider_conf *conf, const struct tm_llm_ask *ask)
{
	if (!ask->prompt->schema)
		return false;
	return conf->json_mode == TM_JSON_SCHEMA ||
	       (conf->json_mode == TM_JSON_AUTO && ask->plainness < PLAINEST);
}

static void put_tool(struct tm_buf *body, const struct tm_llm_prompt *prompt)
{
	const char *name = tm_part_schema_name(prompt);

	tm_buf_puts(body, ",\"tools\":[{\"name\":");
	tm_json_put_cstr(body, name);
	tm_buf_puts(body, ",\"description\":\"Takes the answer.\",\"input_schema\":");
	tm_buf_puts(body, prompt->schema);
	tm_buf_puts(body, "}],\"tool_choice\":{\"type\":\"tool\",\"name\":");
	tm_json_put_cstr(body, name);
	tm_buf_putc(body, '}');
}

static enum tm_err anthropic_build(const struct tm_provider_conf *conf,
				   const struct tm_llm_ask *ask, struct tm_arena *arena,
				   struct tm_llm_wire *out)
{
	const struct tm_llm_prompt *prompt = ask->prompt;
	struct tm_buf *body = &out->body;
	enum tm_err err = build_head(conf, ask->stream, arena, out);

	if (err != TM_OK)
		return err;
	tm_buf_puts(body, "{\"model\":");
	tm_json_put_cstr(body, conf->model);
	tm_buf_puts(body, ",\"max_tokens\":");
	tm_buf_put_int(body, prompt->max_tokens > 0 ? prompt->max_tokens : MAX_TOKENS_DEFAULT);
	if (*prompt->system) {
		tm_buf_puts(body, ",\"system\":");
		tm_json_put_cstr(body, prompt->system);
	}
	tm_buf_puts(body, ",\"messages\":[{\"role\":\"user\",\"content\":");
	tm_json_put_string(body, prompt->user, prompt->user_len);
	tm_buf_puts(body, "}]");
	if (prompt->has_temperature && ask->plainness < BARE) {
		tm_buf_puts(body, ",\"temperature\":");
		tm_json_put_double(body, prompt->temperature < 1 ? prompt->temperature : 1);
	}
	if (wants_tool(conf, ask))
		put_tool(body, prompt);
	if (ask->stream)
		tm_buf_puts(body, ",\"stream\":true");
	tm_buf_putc(body, '}');
	return tm_buf_err(body);
}

/* The documented types of errors. Their word counts more than the status: an error inside a
 * stream has none of its own. */
static const struct {
	const char *type;
	enum tm_llm_class class;
} error_types[] = {
	{"invalid_request_error", TM_LLM_REFUSED},
	{"authentication_error", TM_LLM_REFUSED},
	{"billing_error", TM_LLM_REFUSED},
	{"permission_error", TM_LLM_REFUSED},
	{"not_found_error", TM_LLM_REFUSED},
	{"request_too_large", TM_LLM_REFUSED},
	{"rate_limit_error", TM_LLM_RETRY},
	{"timeout_error", TM_LLM_RETRY},
	{"api_error", TM_LLM_RETRY},
	{"overloaded_error", TM_LLM_RETRY},
};

static enum tm_llm_class class_of(const char *type, int status)
{
	for (size_t i = 0; i < sizeof(error_types) / sizeof(error_types[0]); i++)
		if (!strcmp(type, error_types[i].type))
			return error_types[i].class;
	return tm_retry_status(status) || (status >= 200 && status <= 299) ? TM_LLM_RETRY :
									     TM_LLM_REFUSED;
}

static enum tm_llm_class read_failure(struct tm_part_reading *reading, const struct tm_json *doc)
{
	static const char *const tool_words[] = {"tool_choice", "tools", "input_schema", "tool use",
						 NULL};
	static const char *const other_words[] = {"temperature", NULL};
	const struct tm_json *error = tm_part_find_error(doc);
	const char *type = tm_part_text(error, "type"), *message = tm_part_text(error, "message");
	size_t len;

	if (tm_json_kind(error) == TM_JSON_STRING)
		message = tm_json_text(error, &len);
	tm_part_say(reading, type, message);
	if ((reading->status == 400 || reading->status == 422) &&
	    (tm_part_names(message, other_words) ||
	     (reading->conf->json_mode == TM_JSON_AUTO && tm_part_names(message, tool_words))))
		return TM_LLM_PLAINER;
	return class_of(type, reading->status);
}

static const char *block_text(const struct tm_json *block, size_t *len)
{
	if (strcmp(tm_part_text(block, "type"), "text"))
		return NULL;	/* thinking, and what is to come */
	return tm_json_text(tm_json_get(block, "text"), len);
}

/* The first tool's input as JSON, which is the answer where a tool was used; NULL: none was. */
static const struct tm_json *tool_input(const struct tm_json *blocks)
{
	size_t count = tm_json_kind(blocks) == TM_JSON_ARRAY ? tm_json_count(blocks) : 0;

	for (size_t i = 0; i < count; i++) {
		const struct tm_json *block = tm_json_item(blocks, i);

		if (!strcmp(tm_part_text(block, "type"), "tool_use"))
			return tm_json_get(block, "input");
	}
	return NULL;
}

static enum tm_err write_input(struct tm_part_reading *reading, const struct tm_json *input)
{
	struct tm_buf text;
	enum tm_err err;

	tm_buf_init(&text, reading->arena->max);
	tm_json_put(&text, input);
	err = tm_buf_err(&text);
	if (err == TM_OK) {
		reading->reply->text = tm_arena_dup(reading->arena, text.data, text.len);
		reading->reply->text_len = text.len;
	}
	tm_buf_clear(&text);
	return err == TM_OK && reading->reply->text ? TM_OK : TM_ENOMEM;
}

/* What the prompt cost: parts of it read from or written to the provider's cache count apart. */
static int64_t input_tokens(const struct tm_json *usage)
{
	return tm_part_tokens(usage, "input_tokens") +
	       tm_part_tokens(usage, "cache_creation_input_tokens") +
	       tm_part_tokens(usage, "cache_read_input_tokens");
}

static bool is_cut(const char *stop)
{
	return !strcmp(stop, "max_tokens") || !strcmp(stop, "model_context_window_exceeded");
}

static enum tm_llm_class read_success(struct tm_part_reading *reading, const struct tm_json *doc)
{
	const struct tm_json *usage = tm_json_get(doc, "usage");
	const struct tm_json *blocks = tm_json_get(doc, "content"), *input = tool_input(blocks);
	const char *stop = tm_part_text(doc, "stop_reason");
	enum tm_err err;

	if (!strcmp(tm_part_text(doc, "type"), "error"))
		return read_failure(reading, doc);
	reading->reply->input_tokens = input_tokens(usage);
	reading->reply->output_tokens = tm_part_tokens(usage, "output_tokens");
	if (tm_part_model(reading, tm_part_text(doc, "model")) != TM_OK)
		return TM_LLM_FAILED;
	err = input ? write_input(reading, input) : tm_part_join(reading, blocks, block_text);
	if (err == TM_ENOMEM)
		return TM_LLM_FAILED;
	if (is_cut(stop) || !strcmp(stop, "refusal"))
		return tm_part_cut(reading, !is_cut(stop));
	if (err == TM_OK)
		return TM_LLM_SUCCESS;
	tm_part_note(reading, "HTTP success without text or tool input");
	return TM_LLM_NONSENSE;
}

static enum tm_llm_class anthropic_read(const struct tm_provider_conf *conf, int status,
					const char *body, size_t len, struct tm_arena *arena,
					struct tm_llm_reply *reply, const char **detail)
{
	struct tm_part_reading reading = {
		.conf = conf, .status = status, .arena = arena, .reply = reply,
	};

	return tm_part_read(&reading, body, len, read_success, read_failure, detail);
}

/* Counts come twice: the first of the prompt, the last of the answer, and it may repeat both. */
static void take_usage(const struct tm_json *usage, struct tm_llm_stream *stream)
{
	int64_t in = input_tokens(usage), out = tm_part_tokens(usage, "output_tokens");

	if (in > stream->input_tokens)
		stream->input_tokens = in;
	if (out > stream->output_tokens)
		stream->output_tokens = out;
}

static void take_delta(const struct tm_json *delta, struct tm_llm_stream *stream)
{
	const char *type = tm_part_text(delta, "type"), *text = NULL;
	size_t len = 0;

	if (!strcmp(type, "text_delta"))
		text = tm_json_text(tm_json_get(delta, "text"), &len);
	else if (!strcmp(type, "input_json_delta"))
		text = tm_json_text(tm_json_get(delta, "partial_json"), &len);
	if (text)
		tm_part_append(stream, text, len);
}

static void take_stop(const char *stop, struct tm_llm_stream *stream)
{
	if (!*stop)
		return;
	stream->whole = true;
	if (is_cut(stop) || !strcmp(stop, "refusal"))
		tm_part_stream_cut(stream, !is_cut(stop));
}

/* The data repeat the event's name as their type. Kinds that are not known are passed over, as
 * the format asks of its clients: there will be more. */
static void anthropic_event(const struct tm_provider_conf *conf, const char *name,
			    const char *data, size_t len, struct tm_llm_stream *stream)
{
	const struct tm_json *message;
	const char *type;
	struct tm_json *doc;

	if (stream->failure != TM_LLM_SUCCESS || stream->done || !strcmp(name, "ping"))
		return;
	doc = tm_part_event(stream, data, len);
	if (!doc)
		return;
	type = tm_part_text(doc, "type");
	if (!*type)
		type = name;
	if (!strcmp(type, "message_start")) {
		message = tm_json_get(doc, "message");
		tm_part_stream_model(stream, conf, tm_part_text(message, "model"));
		take_usage(tm_json_get(message, "usage"), stream);
	} else if (!strcmp(type, "content_block_start")) {
		const char *text = block_text(tm_json_get(doc, "content_block"), &len);

		if (text)
			tm_part_append(stream, text, len);
	} else if (!strcmp(type, "content_block_delta")) {
		take_delta(tm_json_get(doc, "delta"), stream);
	} else if (!strcmp(type, "message_delta")) {
		take_usage(tm_json_get(doc, "usage"), stream);
		take_stop(tm_part_text(tm_json_get(doc, "delta"), "stop_reason"), stream);
	} else if (!strcmp(type, "message_stop")) {
		stream->done = true;
	} else if (!strcmp(type, "error")) {
		tm_part_fail_by(stream, conf, read_failure, doc);
	}
	tm_json_free(doc);
}

const struct tm_provider tm_provider_anthropic = {
	.name = "anthropic",
	.plainest = PLAINEST,
	.build = anthropic_build,
	.read = anthropic_read,
	.event = anthropic_event,
};
