/*
 * What the wire formats share. The provider's own words may quote the key or be anything at all:
 * what goes to the log is masked first, then made printable, then cut.
 */
#include "llm/provider_parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	DEPTH = 32,		/* a response nests 10 deep at most; the rest is for extensions */
	NAME_BYTES = 64,
	MESSAGE_BYTES = 170,
	MODEL_BYTES = sizeof(((struct tm_llm_stream *)0)->model),
	HEADERS_EVER = 3,
	SCHEMA_NAME_BYTES = 64,
	TOKENS_MAX = 1000000000	/* a larger count is a mistake, and sums must not overflow */
};

static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789-_.~";
static const char cut_words[] = "answer cut at the token limit";
static const char filter_words[] = "answer stopped by the provider's filter";

/* Requests. */

static bool header_safe(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			return false;
	return true;
}

enum tm_err tm_part_headers(struct tm_arena *arena, bool stream, const struct tm_part_header *more,
			    size_t count, struct tm_llm_wire *out)
{
	const char **headers;
	size_t n = HEADERS_EVER;

	for (size_t i = 0; i < count; i++)
		if (!header_safe(more[i].value))
			return TM_EINVAL;
	headers = tm_arena_alloc(arena, (HEADERS_EVER + count + 1) * sizeof(*headers));
	if (!headers)
		return TM_ENOMEM;
	headers[0] = "Content-Type: application/json";
	headers[1] = stream ? "Accept: text/event-stream" : "Accept: application/json";
	headers[2] = "User-Agent: textmill";
	for (size_t i = 0; i < count; i++) {
		if (!more[i].value[0])
			continue;
		headers[n] = tm_arena_printf(arena, "%s%s", more[i].start, more[i].value);
		if (!headers[n++])
			return TM_ENOMEM;
	}
	headers[n] = NULL;
	out->headers = headers;
	return TM_OK;
}

const char *tm_part_schema_name(const struct tm_llm_prompt *prompt)
{
	const char *name = prompt->schema_name ? prompt->schema_name : "";
	size_t len = strlen(name);

	return len > 0 && len <= SCHEMA_NAME_BYTES && strspn(name, unreserved) == len &&
	       !strpbrk(name, ".~") ? name : "answer";
}

const char *tm_part_encoded(struct tm_arena *arena, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = tm_arena_alloc(arena, 3 * strlen(text) + 1), *at = out;

	for (; out && *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (strchr(unreserved, *text)) {
			*at++ = *text;
			continue;
		}
		*at++ = '%';
		*at++ = digits[byte >> 4];
		*at++ = digits[byte & 15];
	}
	return out;
}

bool tm_part_ends_in(const char *text, const char *suffix)
{
	size_t len = strlen(text), tail = strlen(suffix);

	return len >= tail && !strcmp(text + len - tail, suffix);
}

/* Responses. */

const char *tm_part_text(const struct tm_json *json, const char *name)
{
	size_t len;
	const char *text = tm_json_text(tm_json_get(json, name), &len);

	return text ? text : "";
}

int64_t tm_part_tokens(const struct tm_json *usage, const char *name)
{
	const struct tm_json *count = tm_json_get(usage, name);
	int64_t value = tm_json_kind(count) == TM_JSON_INT ? tm_json_int(count) : 0;

	return value < 0 || value > TOKENS_MAX ? 0 : value;
}

/* Copies text for the log: the key masked, other than printable ASCII as '?', at most
 * out_bytes - 1. Masked before it is cut, so that no part of a key is left at the end. */
static void put_printable(char *out, size_t out_bytes, const char *text, const char *key)
{
	size_t key_len = strlen(key), n = 0;

	while (*text && n + 1 < out_bytes) {
		if (key_len && !strncmp(text, key, key_len)) {
			for (int i = 0; i < 3 && n + 1 < out_bytes; i++)
				out[n++] = '*';
			text += key_len;
			continue;
		}
		out[n++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
		text++;
	}
	out[n] = '\0';
}

void tm_part_say(struct tm_part_reading *reading, const char *name, const char *message)
{
	char called[NAME_BYTES + 1], said[MESSAGE_BYTES + 1];

	put_printable(called, sizeof(called), name, reading->conf->key);
	put_printable(said, sizeof(said), message, reading->conf->key);
	(void)snprintf(reading->detail, sizeof(reading->detail), "HTTP %d%s%s%s%s",
		       reading->status, *called ? ", " : "", called, *said ? ": " : "", said);
}

void tm_part_note(struct tm_part_reading *reading, const char *words)
{
	(void)snprintf(reading->detail, sizeof(reading->detail), "%s", words);
}

const struct tm_json *tm_part_find_error(const struct tm_json *doc)
{
	const struct tm_json *error;

	if (tm_json_kind(doc) == TM_JSON_ARRAY)
		doc = tm_json_item(doc, 0);
	error = tm_json_get(doc, "error");
	return tm_json_kind(error) == TM_JSON_NULL ? doc : error;
}

bool tm_part_names(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcasestr(text, *words))
			return true;
	return false;
}

static bool model_fits(const struct tm_provider_conf *conf, const char *model)
{
	char printable[MODEL_BYTES + 1];

	put_printable(printable, sizeof(printable), model, conf->key);
	return *model && strlen(model) < MODEL_BYTES && !strcmp(model, printable);
}

enum tm_err tm_part_model(struct tm_part_reading *reading, const char *model)
{
	if (!model_fits(reading->conf, model))
		return TM_OK;
	reading->reply->model = tm_arena_strdup(reading->arena, model);
	return reading->reply->model ? TM_OK : TM_ENOMEM;
}

enum tm_err tm_part_join(struct tm_part_reading *reading, const struct tm_json *list,
			 tm_part_item *text)
{
	size_t items = tm_json_kind(list) == TM_JSON_ARRAY ? tm_json_count(list) : 0;
	size_t total = 0, found = 0, len;
	const char *piece;
	char *joined;

	for (size_t i = 0; i < items; i++) {
		len = 0;
		found += text(tm_json_item(list, i), &len) != NULL;
		total += len;
	}
	if (!found)
		return TM_ENOENT;
	joined = tm_arena_alloc(reading->arena, total + 1);
	if (!joined)
		return TM_ENOMEM;
	reading->reply->text = joined;
	reading->reply->text_len = total;
	for (size_t i = 0; i < items; i++) {
		len = 0;
		piece = text(tm_json_item(list, i), &len);
		if (piece)
			memcpy(joined, piece, len);
		joined += len;
	}
	return TM_OK;
}

enum tm_llm_class tm_part_cut(struct tm_part_reading *reading, bool filtered)
{
	reading->reply->cut = true;
	tm_part_note(reading, filtered ? filter_words : cut_words);
	return filtered ? TM_LLM_REFUSED : TM_LLM_NONSENSE;
}

enum tm_llm_class tm_part_read(struct tm_part_reading *reading, const char *body, size_t len,
			       tm_part_reader *success, tm_part_reader *failure,
			       const char **detail)
{
	enum tm_llm_class class = TM_LLM_FAILED;
	struct tm_json *doc = NULL;
	enum tm_err err;

	*reading->reply = (struct tm_llm_reply){.model = reading->conf->model};
	err = tm_json_parse(body ? body : "", body ? len : 0, DEPTH, &doc);
	if (err == TM_ENOMEM)
		goto out;
	if (reading->status < 200 || reading->status > 299) {
		class = failure(reading, doc);
	} else if (err != TM_OK) {
		class = TM_LLM_NONSENSE;
		(void)snprintf(reading->detail, sizeof(reading->detail),
			       "HTTP %d, body is not JSON: %s", reading->status, tm_err_text(err));
	} else {
		class = success(reading, doc);
	}
out:
	tm_json_free(doc);
	*detail = class == TM_LLM_FAILED ? tm_err_text(TM_ENOMEM) : "";
	if (class != TM_LLM_FAILED && reading->detail[0])
		*detail = tm_arena_strdup(reading->arena, reading->detail);
	if (!*detail)
		*detail = tm_err_text(TM_ENOMEM);	/* the class is known all the same */
	return class;
}

/* Streams. */

struct tm_json *tm_part_event(struct tm_llm_stream *stream, const char *data, size_t len)
{
	struct tm_json *doc = NULL;
	enum tm_err err = tm_json_parse(data, len, DEPTH, &doc);
	char words[TM_PART_DETAIL_BYTES];

	if (err == TM_OK && tm_json_kind(doc) == TM_JSON_OBJECT_KIND)
		return doc;
	tm_json_free(doc);
	(void)snprintf(words, sizeof(words), "event is not a JSON object: %s",
		       err == TM_OK ? "another value" : tm_err_text(err));
	tm_part_fail(stream, err == TM_ENOMEM ? TM_LLM_FAILED : TM_LLM_NONSENSE, words);
	return NULL;
}

void tm_part_append(struct tm_llm_stream *stream, const char *text, size_t len)
{
	if (stream->failure != TM_LLM_SUCCESS || !len)
		return;
	tm_buf_put(&stream->text, text, len);
	switch (tm_buf_err(&stream->text)) {
	case TM_OK:
		break;
	case TM_ESIZE:
		tm_part_fail(stream, TM_LLM_NONSENSE, "answer is larger than its ceiling");
		break;
	default:
		tm_part_fail(stream, TM_LLM_FAILED, tm_err_text(TM_ENOMEM));
		break;
	}
}

void tm_part_fail(struct tm_llm_stream *stream, enum tm_llm_class class, const char *words)
{
	if (stream->failure != TM_LLM_SUCCESS)
		return;
	stream->failure = class;
	(void)snprintf(stream->detail, sizeof(stream->detail), "%s", words);
}

void tm_part_fail_by(struct tm_llm_stream *stream, const struct tm_provider_conf *conf,
		     tm_part_reader *failure, const struct tm_json *doc)
{
	struct tm_part_reading reading = {.conf = conf, .status = 200};
	enum tm_llm_class class = failure(&reading, doc);

	tm_part_fail(stream, class, reading.detail);
}

void tm_part_stream_cut(struct tm_llm_stream *stream, bool filtered)
{
	stream->cut = true;
	if (filtered)
		tm_part_fail(stream, TM_LLM_REFUSED, filter_words);
}

void tm_part_stream_model(struct tm_llm_stream *stream, const struct tm_provider_conf *conf,
			  const char *model)
{
	if (model_fits(conf, model))
		(void)snprintf(stream->model, sizeof(stream->model), "%s", model);
}

/* The end of a stream belongs here, beside the words of a body that ended the same way. */
enum tm_llm_class tm_provider_stream_end(const struct tm_provider_conf *conf,
					 const struct tm_llm_stream *stream,
					 struct tm_arena *arena, struct tm_llm_reply *reply,
					 const char **detail)
{
	const char *text = tm_arena_dup(arena, tm_buf_text(&stream->text), stream->text.len);

	*reply = (struct tm_llm_reply){
		.text = text,
		.text_len = text ? stream->text.len : 0,
		.model = stream->model[0] ? tm_arena_strdup(arena, stream->model) : conf->model,
		.input_tokens = stream->input_tokens,
		.output_tokens = stream->output_tokens,
		.cut = stream->cut,
	};
	*detail = "";
	if (!text || !reply->model) {
		reply->model = conf->model;
		*detail = tm_err_text(TM_ENOMEM);
		return TM_LLM_FAILED;
	}
	if (stream->failure != TM_LLM_SUCCESS) {
		*detail = tm_arena_strdup(arena, stream->detail);
		if (!*detail)
			*detail = tm_err_text(TM_ENOMEM);
		return stream->failure;
	}
	if (stream->cut)
		*detail = cut_words;
	else if (!stream->whole && !stream->done)
		*detail = "stream ended before the answer did";
	else if (!stream->text.len)
		*detail = "stream without text";
	return **detail ? TM_LLM_NONSENSE : TM_LLM_SUCCESS;
}
