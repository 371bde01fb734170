/*
 * The chat completions format of OpenAI and of everything that speaks it: Azure, vLLM,
 * llama.cpp, Ollama, gateways. Asks with two messages and little else, because every server of
 * the format knows those, and reads with tolerance, because servers differ most in what they
 * answer. Members that some refuse are given up one step at a time (struct tm_llm_ask).
 */
#include "llm/provider.h"

#include <string.h>
#include <strings.h>

#include "llm/provider_parts.h"
#include "llm/retry.h"

/* The steps from all that is configured to the plainest. */
static const struct step {
	enum tm_json_mode format;	/* with json_mode auto */
	bool newer;			/* max_completion_tokens for max_tokens, and no temperature:
					 * the models that want the one refuse the other */
	bool usage;			/* stream_options: ask for the count of tokens */
} steps[] = {
	{TM_JSON_SCHEMA, false, true},
	{TM_JSON_SCHEMA, true, true},
	{TM_JSON_OBJECT, false, false},
	{TM_JSON_OFF, false, false},
	{TM_JSON_OFF, true, false},
};
enum { PLAINEST = sizeof(steps) / sizeof(steps[0]) - 1 };

/* Azure is another address, another header, and a version in the query. */
static enum tm_err build_head(const struct tm_provider_conf *conf, bool stream,
			      struct tm_arena *arena, struct tm_llm_wire *out)
{
	const char *version = conf->api_version ? conf->api_version : "";
	const struct tm_part_header key = {
		*version ? "api-key: " : "Authorization: Bearer ", conf->key,
	};

	if (*version) {
		version = tm_part_encoded(arena, version);
		if (!version)
			return TM_ENOMEM;
	}
	out->url = tm_arena_printf(arena, "%s/chat/completions%s%s", conf->url,
				   *version ? "?api-version=" : "", version);
	return out->url ? tm_part_headers(arena, stream, &key, 1, out) : TM_ENOMEM;
}

static void put_message(struct tm_buf *body, const char *role, const char *text, size_t len)
{
	tm_buf_puts(body, "{\"role\":");
	tm_json_put_cstr(body, role);
	tm_buf_puts(body, ",\"content\":");
	tm_json_put_string(body, text, len);
	tm_buf_putc(body, '}');
}

/* Holds the model to the shape asked for, as far as the server is said to be able to. */
static void put_response_format(struct tm_buf *body, enum tm_json_mode mode,
				const struct tm_llm_prompt *prompt)
{
	if (!prompt->schema)
		return;
	switch (mode) {
	case TM_JSON_AUTO:
	case TM_JSON_SCHEMA:
		tm_buf_puts(body, ",\"response_format\":{\"type\":\"json_schema\","
				  "\"json_schema\":{\"name\":");
		tm_json_put_cstr(body, tm_part_schema_name(prompt));
		tm_buf_puts(body, ",\"strict\":true,\"schema\":");
		tm_buf_puts(body, prompt->schema);
		tm_buf_puts(body, "}}");
		break;
	case TM_JSON_OBJECT:
		tm_buf_puts(body, ",\"response_format\":{\"type\":\"json_object\"}");
		break;
	case TM_JSON_OFF:
		break;
	}
}

static const struct step *step_of(const struct tm_llm_ask *ask)
{
	int index = ask->plainness < 0 ? 0 : ask->plainness;

	return &steps[index > PLAINEST ? PLAINEST : index];
}

static enum tm_err openai_build(const struct tm_provider_conf *conf, const struct tm_llm_ask *ask,
				struct tm_arena *arena, struct tm_llm_wire *out)
{
	const struct tm_llm_prompt *prompt = ask->prompt;
	const struct step *step = step_of(ask);
	struct tm_buf *body = &out->body;
	enum tm_err err = build_head(conf, ask->stream, arena, out);

	if (err != TM_OK)
		return err;
	tm_buf_puts(body, "{\"model\":");
	tm_json_put_cstr(body, conf->model);
	tm_buf_puts(body, ",\"messages\":[");
	put_message(body, "system", prompt->system, strlen(prompt->system));
	tm_buf_putc(body, ',');
	put_message(body, "user", prompt->user, prompt->user_len);
	tm_buf_putc(body, ']');
	if (prompt->max_tokens > 0) {
		tm_buf_puts(body, step->newer ? ",\"max_completion_tokens\":" :
						",\"max_tokens\":");
		tm_buf_put_int(body, prompt->max_tokens);
	}
	if (prompt->has_temperature && !step->newer) {
		tm_buf_puts(body, ",\"temperature\":");
		tm_json_put_double(body, prompt->temperature);
	}
	put_response_format(body, conf->json_mode == TM_JSON_AUTO ?
			    step->format : (enum tm_json_mode)conf->json_mode, prompt);
	if (ask->stream)
		tm_buf_puts(body, ",\"stream\":true");
	if (ask->stream && step->usage)
		tm_buf_puts(body, ",\"stream_options\":{\"include_usage\":true}");
	tm_buf_putc(body, '}');
	return tm_buf_err(body);
}

/* Codes that say the account is empty: no wait within a request's life helps. */
static bool is_quota(const char *code)
{
	static const char *const codes[] = {
		"insufficient_quota",	"quota_exceeded",
		"billing_hard_limit_reached", "billing_not_active",
		"insufficient_balance",	"insufficient_credits",
		"account_deactivated",	"access_terminated",
		"exceeded_current_quota_error",
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcasecmp(code, codes[i]))
			return true;
	return false;
}

/* An error object under a 200, as gateways send it: the status it should have had. */
static int error_status(const struct tm_json *error)
{
	static const char *const refusals[] = {
		"invalid_request_error", "authentication_error", "permission_error",
		"not_found_error", "content_filter",
	};
	const struct tm_json *code = tm_json_get(error, "code");
	const char *type = tm_part_text(error, "type");

	if (tm_json_kind(code) == TM_JSON_INT && tm_json_int(code) >= 400 &&
	    tm_json_int(code) <= 599)
		return (int)tm_json_int(code);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (!strcasecmp(type, refusals[i]))
			return 400;
	return 500;
}

/* One complaint's words: does another form of asking help? A number of tokens that is too large
 * names the member too, but no other name makes it smaller. */
static bool plainer_helps(const struct tm_provider_conf *conf, const char *text)
{
	static const char *const formats[] = {"response_format", "response format", "json_schema",
					      "json_object", NULL};
	static const char *const others[] = {"max_tokens", "max_completion_tokens",
					     "stream_options", "temperature", NULL};
	static const char *const unknown[] = {
		"unsupported", "not support", "instead", "unknown", "unrecognized", "unexpected",
		"not permitted", "not allowed", "forbidden", "additional properties", "deprecated",
		NULL,
	};

	if (conf->json_mode == TM_JSON_AUTO && tm_part_names(text, formats))
		return true;
	return tm_part_names(text, others) && tm_part_names(text, unknown);
}

/* What a validator says, as an array: of places and messages. Some wrap it in the message. */
static const struct tm_json *complaints_of(const struct tm_json *error)
{
	const struct tm_json *list = tm_json_get(error, "detail");

	if (tm_json_kind(list) != TM_JSON_ARRAY)
		list = tm_json_get(tm_json_get(error, "message"), "detail");
	return tm_json_kind(list) == TM_JSON_ARRAY ? list : NULL;
}

static void put_complaint(struct tm_buf *words, const struct tm_json *complaint)
{
	const struct tm_json *places = tm_json_get(complaint, "loc");
	size_t count = tm_json_kind(places) == TM_JSON_ARRAY ? tm_json_count(places) : 0, len;

	for (size_t i = 0; i < count; i++) {
		const char *place = tm_json_text(tm_json_item(places, i), &len);

		tm_buf_printf(words, "%s ", place ? place : "");
	}
	tm_buf_printf(words, "%s %s ", tm_part_text(complaint, "type"),
		      tm_part_text(complaint, "msg"));
}

/* Looked at together, because one member may hold the name and another what is wrong with it. */
static bool complains_of_form(const struct tm_provider_conf *conf, const struct tm_json *error,
			      const char *message)
{
	enum { LOOKED_AT = 16 * 1024 };
	const struct tm_json *complaints = complaints_of(error);
	struct tm_buf words;
	bool helps;

	tm_buf_init(&words, LOOKED_AT);
	tm_buf_printf(&words, "%s %s ", tm_part_text(error, "param"), tm_part_text(error, "code"));
	for (size_t i = 0; i < tm_json_count(complaints); i++)
		put_complaint(&words, tm_json_item(complaints, i));
	tm_buf_puts(&words, message);
	helps = plainer_helps(conf, tm_buf_text(&words));
	tm_buf_clear(&words);
	return helps;
}

/* error is an object with message, type, code, or only a string; or NULL. */
static enum tm_llm_class read_error(struct tm_part_reading *reading, const struct tm_json *error,
				    int status)
{
	const char *code = tm_part_text(error, "code"), *type = tm_part_text(error, "type");
	const char *text = tm_part_text(error, "message");
	size_t len;

	if (tm_json_kind(error) == TM_JSON_STRING)
		text = tm_json_text(error, &len);
	if (!*text)
		text = tm_part_text(error, "detail");
	if (!*text)
		text = tm_part_text(tm_json_item(complaints_of(error), 0), "msg");
	tm_part_say(reading, *code ? code : type, text);
	if (is_quota(code) || is_quota(type))
		return TM_LLM_REFUSED;
	if ((status == 400 || status == 422) && complains_of_form(reading->conf, error, text))
		return TM_LLM_PLAINER;
	return tm_retry_status(status) ? TM_LLM_RETRY : TM_LLM_REFUSED;
}

static enum tm_llm_class read_failure(struct tm_part_reading *reading, const struct tm_json *doc)
{
	return read_error(reading, tm_part_find_error(doc), reading->status);
}

/* An error inside what began as a success. */
static enum tm_llm_class read_late_error(struct tm_part_reading *reading,
					 const struct tm_json *error)
{
	return read_error(reading, error, error_status(error));
}

/* The error in a 200's body or in an event; NULL: none. */
static const struct tm_json *late_error(const struct tm_json *doc, const struct tm_json *choice)
{
	const struct tm_json *error = tm_json_get(doc, "error");

	if (tm_json_kind(error) == TM_JSON_NULL)
		error = tm_json_get(choice, "error");
	if (tm_json_kind(error) == TM_JSON_OBJECT_KIND || tm_json_kind(error) == TM_JSON_STRING)
		return error;
	return NULL;
}

static const char *part_text(const struct tm_json *part, size_t *len)
{
	const char *type = tm_part_text(part, "type");

	if (*type && strcmp(type, "text") && strcmp(type, "output_text"))
		return NULL;
	return tm_json_text(tm_json_get(part, "text"), len);
}

/* TM_OK and the reply's text; TM_ENOENT no text there; TM_ENOMEM. */
static enum tm_err read_content(struct tm_part_reading *reading, const struct tm_json *content)
{
	size_t len = 0;
	const char *text = tm_json_text(content, &len);

	if (!text)
		return tm_part_join(reading, content, part_text);
	reading->reply->text = tm_arena_dup(reading->arena, text, len);
	reading->reply->text_len = len;
	return reading->reply->text ? TM_OK : TM_ENOMEM;
}

/* A refusal's text answers the prompt, so it is content: not for the log. */
static bool is_refusal(const struct tm_json *message)
{
	const struct tm_json *first = tm_json_item(tm_json_get(message, "content"), 0);

	return *tm_part_text(message, "refusal") || *tm_part_text(first, "refusal");
}

static enum tm_llm_class read_choice(struct tm_part_reading *reading,
				     const struct tm_json *choice)
{
	const struct tm_json *message = tm_json_get(choice, "message");
	const char *finish = tm_part_text(choice, "finish_reason");
	bool filtered = !strcmp(finish, "content_filter");
	enum tm_err err = read_content(reading, tm_json_get(message, "content"));

	if (err == TM_ENOMEM)
		return TM_LLM_FAILED;
	if (filtered || !strcmp(finish, "length"))
		return tm_part_cut(reading, filtered);
	if (is_refusal(message)) {
		tm_part_note(reading, "model refused");
		return TM_LLM_REFUSED;
	}
	if (err == TM_OK)
		return TM_LLM_SUCCESS;
	tm_part_note(reading, "HTTP success without choices[0].message.content");
	return TM_LLM_NONSENSE;
}

static enum tm_llm_class read_success(struct tm_part_reading *reading, const struct tm_json *doc)
{
	const struct tm_json *choice = tm_json_item(tm_json_get(doc, "choices"), 0);
	const struct tm_json *error = late_error(doc, choice), *usage = tm_json_get(doc, "usage");

	reading->reply->input_tokens = tm_part_tokens(usage, "prompt_tokens");
	reading->reply->output_tokens = tm_part_tokens(usage, "completion_tokens");
	if (error)
		return read_late_error(reading, error);
	if (tm_part_model(reading, tm_part_text(doc, "model")) != TM_OK)
		return TM_LLM_FAILED;
	return read_choice(reading, choice);
}

static enum tm_llm_class openai_read(const struct tm_provider_conf *conf, int status,
				     const char *body, size_t len, struct tm_arena *arena,
				     struct tm_llm_reply *reply, const char **detail)
{
	struct tm_part_reading reading = {
		.conf = conf, .status = status, .arena = arena, .reply = reply,
	};

	return tm_part_read(&reading, body, len, read_success, read_failure, detail);
}

static void take_choice(const struct tm_json *choice, struct tm_llm_stream *stream)
{
	const struct tm_json *delta = tm_json_get(choice, "delta");
	const char *finish = tm_part_text(choice, "finish_reason");
	size_t len = 0;
	const char *text = tm_json_text(tm_json_get(delta, "content"), &len);

	if (text)
		tm_part_append(stream, text, len);
	if (is_refusal(delta))
		tm_part_fail(stream, TM_LLM_REFUSED, "model refused");
	if (*finish)
		stream->whole = true;
	if (!strcmp(finish, "length") || !strcmp(finish, "content_filter"))
		tm_part_stream_cut(stream, !strcmp(finish, "content_filter"));
}

/* Servers name events differently or not at all, so what they hold decides; but for errors, whose
 * object some send bare. */
static void openai_event(const struct tm_provider_conf *conf, const char *name, const char *data,
			 size_t len, struct tm_llm_stream *stream)
{
	static const char end[] = "[DONE]";
	const struct tm_json *choice, *error, *usage;
	struct tm_json *doc;

	if (stream->failure != TM_LLM_SUCCESS || stream->done || !len)
		return;
	if (len >= sizeof(end) - 1 && !memcmp(data, end, sizeof(end) - 1)) {
		stream->done = true;
		return;
	}
	doc = tm_part_event(stream, data, len);
	if (!doc)
		return;
	choice = tm_json_item(tm_json_get(doc, "choices"), 0);
	usage = tm_json_get(doc, "usage");
	if (usage) {
		stream->input_tokens = tm_part_tokens(usage, "prompt_tokens");
		stream->output_tokens = tm_part_tokens(usage, "completion_tokens");
	}
	tm_part_stream_model(stream, conf, tm_part_text(doc, "model"));
	error = late_error(doc, choice);
	if (!error && !strcmp(name, "error"))
		error = doc;
	if (error)
		tm_part_fail_by(stream, conf, read_late_error, error);
	else
		take_choice(choice, stream);
	tm_json_free(doc);
}

const struct tm_provider tm_provider_openai = {
	.name = "openai",
	.plainest = PLAINEST,
	.build = openai_build,
	.read = openai_read,
	.event = openai_event,
};
