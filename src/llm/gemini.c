/*
 * Google's generateContent format. The model stands in the path and the key in a header: never in
 * the query, where proxies would log it. Structured answers are held to Google's own subset of
 * JSON Schema (gemini_schema), which every model with structured answers knows; the newer member
 * that takes a whole JSON Schema is not known to the older ones.
 */
#include "llm/provider.h"

#include <string.h>

#include "llm/gemini_schema.h"
#include "llm/provider_parts.h"
#include "llm/retry.h"

enum { PLAINEST = 2 };

static enum tm_err build_head(const struct tm_provider_conf *conf, bool stream,
			      struct tm_arena *arena, struct tm_llm_wire *out)
{
	static const char prefix[] = "models/";
	const struct tm_part_header key = {"x-goog-api-key: ", conf->key};
	const char *model = conf->model;
	bool versioned = tm_part_ends_in(conf->url, "/v1beta") ||
			 tm_part_ends_in(conf->url, "/v1");

	if (!strncmp(model, prefix, sizeof(prefix) - 1))
		model += sizeof(prefix) - 1;	/* a model's full name, as lists show it */
	model = tm_part_encoded(arena, model);
	if (!model)
		return TM_ENOMEM;
	out->url = tm_arena_printf(arena, "%s%s/models/%s:%s", conf->url,
				   versioned ? "" : "/v1beta", model,
				   stream ? "streamGenerateContent?alt=sse" : "generateContent");
	return out->url ? tm_part_headers(arena, stream, &key, 1, out) : TM_ENOMEM;
}

static enum tm_json_mode mode_of(const struct tm_provider_conf *conf,
				 const struct tm_llm_ask *ask)
{
	static const enum tm_json_mode steps[] = {TM_JSON_SCHEMA, TM_JSON_OBJECT, TM_JSON_OFF};
	int index = ask->plainness < 0 ? 0 : ask->plainness;

	if (!ask->prompt->schema)
		return TM_JSON_OFF;
	if (conf->json_mode != TM_JSON_AUTO)
		return (enum tm_json_mode)conf->json_mode;
	return steps[index > PLAINEST ? PLAINEST : index];
}

static void put_parts(struct tm_buf *body, const char *text, size_t len)
{
	tm_buf_puts(body, "\"parts\":[{\"text\":");
	tm_json_put_string(body, text, len);
	tm_buf_puts(body, "}]}");
}

static enum tm_err put_config(struct tm_buf *body, const struct tm_llm_prompt *prompt,
			      enum tm_json_mode mode)
{
	const char *between = "";
	enum tm_err err = TM_OK;

	tm_buf_puts(body, ",\"generationConfig\":{");
	if (prompt->max_tokens > 0) {
		tm_buf_puts(body, "\"maxOutputTokens\":");
		tm_buf_put_int(body, prompt->max_tokens);
		between = ",";
	}
	if (prompt->has_temperature) {
		tm_buf_printf(body, "%s\"temperature\":", between);
		tm_json_put_double(body, prompt->temperature);
		between = ",";
	}
	if (mode != TM_JSON_OFF)
		tm_buf_printf(body, "%s\"responseMimeType\":\"application/json\"", between);
	if (mode == TM_JSON_SCHEMA)
		err = tm_gemini_put_schema(body, ",\"responseSchema\":", prompt->schema);
	tm_buf_putc(body, '}');
	return err;
}

static enum tm_err gemini_build(const struct tm_provider_conf *conf, const struct tm_llm_ask *ask,
				struct tm_arena *arena, struct tm_llm_wire *out)
{
	const struct tm_llm_prompt *prompt = ask->prompt;
	struct tm_buf *body = &out->body;
	enum tm_err err = build_head(conf, ask->stream, arena, out);

	if (err != TM_OK)
		return err;
	tm_buf_putc(body, '{');
	if (*prompt->system) {
		tm_buf_puts(body, "\"systemInstruction\":{");
		put_parts(body, prompt->system, strlen(prompt->system));
		tm_buf_putc(body, ',');
	}
	tm_buf_puts(body, "\"contents\":[{\"role\":\"user\",");
	put_parts(body, prompt->user, prompt->user_len);
	tm_buf_putc(body, ']');
	err = put_config(body, prompt, mode_of(conf, ask));
	tm_buf_putc(body, '}');
	return err == TM_OK ? tm_buf_err(body) : err;
}

/* The entry of an error's details whose type ends in name; NULL: none. */
static const struct tm_json *detail_of(const struct tm_json *error, const char *name)
{
	const struct tm_json *details = tm_json_get(error, "details");
	size_t count = tm_json_kind(details) == TM_JSON_ARRAY ? tm_json_count(details) : 0;

	for (size_t i = 0; i < count; i++) {
		const struct tm_json *entry = tm_json_item(details, i);

		if (tm_part_ends_in(tm_part_text(entry, "@type"), name))
			return entry;
	}
	return NULL;
}

/* A quota of the day, or an empty account: no wait within a request's life helps. The message says
 * "quota" of the one per minute too. */
static bool is_spent(const struct tm_json *error, const char *message)
{
	static const char *const ids[] = {"PerDay", NULL};
	static const char *const words[] = {"per day", "per_day", "PerDay",
					    "credits are depleted", NULL};
	const struct tm_json *list =
		tm_json_get(detail_of(error, ".QuotaFailure"), "violations");
	size_t count = tm_json_kind(list) == TM_JSON_ARRAY ? tm_json_count(list) : 0;

	for (size_t i = 0; i < count; i++)
		if (tm_part_names(tm_part_text(tm_json_item(list, i), "quotaId"), ids))
			return true;
	return tm_part_names(message, words);
}

/* An error inside a stream has no status of its own but the one it names. */
static int status_of(const struct tm_part_reading *reading, const struct tm_json *error)
{
	int64_t code = tm_json_int(tm_json_get(error, "code"));

	if (reading->status < 200 || reading->status > 299)
		return reading->status;
	return code >= 400 && code <= 599 ? (int)code : 500;
}

static enum tm_llm_class read_failure(struct tm_part_reading *reading, const struct tm_json *doc)
{
	static const char *const form_words[] = {
		"response_schema", "responseSchema", "response schema", "response_mime_type",
		"responseMimeType", "JSON mode", NULL,
	};
	const struct tm_json *error = tm_part_find_error(doc);
	const char *name = tm_part_text(detail_of(error, ".ErrorInfo"), "reason");
	const char *message = tm_part_text(error, "message");
	int status = status_of(reading, error);
	size_t len;

	if (tm_json_kind(error) == TM_JSON_STRING)
		message = tm_json_text(error, &len);
	tm_part_say(reading, *name ? name : tm_part_text(error, "status"), message);
	if (status == 429 && is_spent(error, message))
		return TM_LLM_REFUSED;
	if (status == 400 && reading->conf->json_mode == TM_JSON_AUTO &&
	    tm_part_names(message, form_words))
		return TM_LLM_PLAINER;
	return tm_retry_status(status) ? TM_LLM_RETRY : TM_LLM_REFUSED;
}

/* What an end other than STOP means. OTHER, malformed calls and what is to come: no answer. */
enum ending { ENDING_NONE, ENDING_GOOD, ENDING_CUT, ENDING_FILTERED, ENDING_ODD };

static enum ending ending_of(const char *reason)
{
	static const char *const filters[] = {
		"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
	};

	if (!*reason || !strcmp(reason, "FINISH_REASON_UNSPECIFIED"))
		return ENDING_NONE;
	if (!strcmp(reason, "STOP"))
		return ENDING_GOOD;
	if (!strcmp(reason, "MAX_TOKENS"))
		return ENDING_CUT;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (!strcmp(reason, filters[i]))
			return ENDING_FILTERED;
	return ENDING_ODD;
}

/* A thought is no part of the answer. */
static const char *part_text(const struct tm_json *part, size_t *len)
{
	if (tm_json_bool(tm_json_get(part, "thought")))
		return NULL;
	return tm_json_text(tm_json_get(part, "text"), len);
}

/* Thoughts are charged as part of the answer. */
static int64_t output_tokens(const struct tm_json *usage)
{
	return tm_part_tokens(usage, "candidatesTokenCount") +
	       tm_part_tokens(usage, "thoughtsTokenCount");
}

static bool is_blocked(const struct tm_json *doc)
{
	return *tm_part_text(tm_json_get(doc, "promptFeedback"), "blockReason") != '\0';
}

static enum tm_llm_class read_candidate(struct tm_part_reading *reading,
					const struct tm_json *candidate)
{
	const struct tm_json *content = tm_json_get(candidate, "content");
	enum ending ending = ending_of(tm_part_text(candidate, "finishReason"));
	enum tm_err err = tm_part_join(reading, tm_json_get(content, "parts"), part_text);

	if (err == TM_ENOMEM)
		return TM_LLM_FAILED;
	if (ending == ENDING_CUT || ending == ENDING_FILTERED)
		return tm_part_cut(reading, ending == ENDING_FILTERED);
	if (err == TM_OK && ending != ENDING_ODD)
		return TM_LLM_SUCCESS;
	if (ending == ENDING_ODD)
		tm_part_say(reading, tm_part_text(candidate, "finishReason"), "no answer");
	else
		tm_part_note(reading, "HTTP success without candidates[0].content.parts");
	return TM_LLM_NONSENSE;
}

static enum tm_llm_class read_success(struct tm_part_reading *reading, const struct tm_json *doc)
{
	const struct tm_json *usage = tm_json_get(doc, "usageMetadata");

	if (tm_json_kind(doc) == TM_JSON_ARRAY || tm_json_get(doc, "error"))
		return read_failure(reading, doc);
	reading->reply->input_tokens = tm_part_tokens(usage, "promptTokenCount");
	reading->reply->output_tokens = output_tokens(usage);
	if (tm_part_model(reading, tm_part_text(doc, "modelVersion")) != TM_OK)
		return TM_LLM_FAILED;
	if (is_blocked(doc)) {
		tm_part_note(reading, "prompt blocked by the provider's filter");
		return TM_LLM_REFUSED;
	}
	return read_candidate(reading, tm_json_item(tm_json_get(doc, "candidates"), 0));
}

static enum tm_llm_class gemini_read(const struct tm_provider_conf *conf, int status,
				     const char *body, size_t len, struct tm_arena *arena,
				     struct tm_llm_reply *reply, const char **detail)
{
	struct tm_part_reading reading = {
		.conf = conf, .status = status, .arena = arena, .reply = reply,
	};

	return tm_part_read(&reading, body, len, read_success, read_failure, detail);
}

static void take_candidate(const struct tm_json *candidate, struct tm_llm_stream *stream)
{
	const struct tm_json *parts = tm_json_get(tm_json_get(candidate, "content"), "parts");
	size_t count = tm_json_kind(parts) == TM_JSON_ARRAY ? tm_json_count(parts) : 0, len;
	enum ending ending = ending_of(tm_part_text(candidate, "finishReason"));

	for (size_t i = 0; i < count; i++) {
		const char *text = part_text(tm_json_item(parts, i), &len);

		if (text)
			tm_part_append(stream, text, len);
	}
	if (ending == ENDING_NONE)
		return;
	stream->whole = true;
	if (ending == ENDING_CUT || ending == ENDING_FILTERED)
		tm_part_stream_cut(stream, ending == ENDING_FILTERED);
	else if (ending == ENDING_ODD)
		tm_part_fail(stream, TM_LLM_NONSENSE, "model ended without an answer");
}

/* Every event is a whole response with the next piece of text; counts grow from one to the next.
 * The format has no end of its own but a reason to finish, so done is never set. */
static void gemini_event(const struct tm_provider_conf *conf, const char *name, const char *data,
			 size_t len, struct tm_llm_stream *stream)
{
	const struct tm_json *usage;
	struct tm_json *doc;

	(void)name;
	if (stream->failure != TM_LLM_SUCCESS)
		return;
	doc = tm_part_event(stream, data, len);
	if (!doc)
		return;
	usage = tm_json_get(doc, "usageMetadata");
	if (usage) {
		stream->input_tokens = tm_part_tokens(usage, "promptTokenCount");
		stream->output_tokens = output_tokens(usage);
	}
	tm_part_stream_model(stream, conf, tm_part_text(doc, "modelVersion"));
	if (tm_json_get(doc, "error"))
		tm_part_fail_by(stream, conf, read_failure, doc);
	else if (is_blocked(doc))
		tm_part_fail(stream, TM_LLM_REFUSED, "prompt blocked by the provider's filter");
	else
		take_candidate(tm_json_item(tm_json_get(doc, "candidates"), 0), stream);
	tm_json_free(doc);
}

const struct tm_provider tm_provider_gemini = {
	.name = "gemini",
	.plainest = PLAINEST,
	.build = gemini_build,
	.read = gemini_read,
	.event = gemini_event,
};
