/*
 * The chat completions format of OpenAI and of everything that speaks it: Azure, vLLM,
 * llama.cpp, Ollama, gateways. Asks with the oldest members (max_tokens, two messages, no
 * sampling parameters), because every server of the format knows those, and reads with
 * tolerance, because they differ most in what they answer.
 *
 * The provider's own words may quote the key or be anything at all: what goes to the log is
 * masked first, then made printable, then cut.
 */
#include "llm/provider.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/json.h"
#include "llm/retry.h"

enum {
	DEPTH = 32,		/* a response nests 6 deep; the rest is for extensions */
	MODEL_BYTES = 128,
	NAME_BYTES = 64,
	MESSAGE_BYTES = 200,
	TOKENS_MAX = 1000000000	/* a larger count is a mistake, and sums must not overflow */
};

/* What read knows all along. */
struct reading {
	const struct tm_provider_conf *conf;
	int status;
	struct tm_arena *arena;
	struct tm_llm_reply *reply;
	const char *detail;
};

/* A header value with a line break in it would be a header of somebody else's choice. */
static bool key_fits_header(const char *key)
{
	for (; *key; key++)
		if ((unsigned char)*key < 0x20 || *key == 0x7f)
			return false;
	return true;
}

static enum tm_err build_head(const struct tm_provider_conf *conf, struct tm_arena *arena,
			      struct tm_llm_wire *out)
{
	enum { HEADERS = 5 };
	const char **headers;
	size_t n = 0;

	if (!key_fits_header(conf->key))
		return TM_EINVAL;
	headers = tm_arena_alloc(arena, HEADERS * sizeof(*headers));
	out->url = tm_arena_printf(arena, "%s/chat/completions", conf->url);
	if (!headers || !out->url)
		return TM_ENOMEM;
	headers[n++] = "Content-Type: application/json";
	headers[n++] = "Accept: application/json";
	headers[n++] = "User-Agent: textmill";
	if (*conf->key) {
		headers[n] = tm_arena_printf(arena, "Authorization: Bearer %s", conf->key);
		if (!headers[n++])
			return TM_ENOMEM;
	}
	headers[n] = NULL;
	out->headers = headers;
	return TM_OK;
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
static void put_response_format(struct tm_buf *body, const struct tm_provider_conf *conf,
				const struct tm_llm_prompt *prompt)
{
	if (!prompt->schema)
		return;
	switch ((enum tm_json_mode)conf->json_mode) {
	case TM_JSON_AUTO:
	case TM_JSON_SCHEMA:
		tm_buf_puts(body, ",\"response_format\":{\"type\":\"json_schema\","
				  "\"json_schema\":{\"name\":");
		tm_json_put_cstr(body, prompt->schema_name ? prompt->schema_name : "answer");
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

static enum tm_err openai_build(const struct tm_provider_conf *conf,
				const struct tm_llm_prompt *prompt, struct tm_arena *arena,
				struct tm_llm_wire *out)
{
	struct tm_buf *body = &out->body;
	enum tm_err err = build_head(conf, arena, out);

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
		/* max_completion_tokens is the newer name; most compatible servers lack it. */
		tm_buf_puts(body, ",\"max_tokens\":");
		tm_buf_put_int(body, prompt->max_tokens);
	}
	put_response_format(body, conf, prompt);
	tm_buf_putc(body, '}');
	return tm_buf_err(body);
}

/* The string member of that name; "" when there is none. */
static const char *member_text(const struct tm_json *json, const char *name)
{
	size_t len;
	const char *text = tm_json_text(tm_json_get(json, name), &len);

	return text ? text : "";
}

static int64_t member_tokens(const struct tm_json *usage, const char *name)
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
	const char *type = member_text(error, "type");

	if (tm_json_kind(code) == TM_JSON_INT && tm_json_int(code) >= 400 &&
	    tm_json_int(code) <= 599)
		return (int)tm_json_int(code);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (!strcasecmp(type, refusals[i]))
			return 400;
	return 500;
}

/* error is an object with message, type, code, or only a string; or NULL. */
static enum tm_llm_class read_error(struct reading *reading, const struct tm_json *error,
				    int status)
{
	const char *key = reading->conf->key;
	const char *code = member_text(error, "code"), *type = member_text(error, "type");
	const char *text = member_text(error, "message");
	char name[NAME_BYTES + 1], message[MESSAGE_BYTES + 1];
	size_t len;

	if (tm_json_kind(error) == TM_JSON_STRING)
		text = tm_json_text(error, &len);
	else if (!*text)
		text = member_text(error, "detail");
	put_printable(name, sizeof(name), *code ? code : type, key);
	put_printable(message, sizeof(message), text, key);
	reading->detail = tm_arena_printf(reading->arena, "HTTP %d%s%s%s%s", reading->status,
					  *name ? ", " : "", name, *message ? ": " : "", message);
	if (is_quota(code) || is_quota(type))
		return TM_LLM_REFUSED;
	return tm_retry_status(status) ? TM_LLM_RETRY : TM_LLM_REFUSED;
}

/* Where a failure's words stand: {"error": ...}, that in an array, or at the top. */
static const struct tm_json *find_error(const struct tm_json *doc)
{
	const struct tm_json *error;

	if (tm_json_kind(doc) == TM_JSON_ARRAY)
		doc = tm_json_item(doc, 0);
	error = tm_json_get(doc, "error");
	return tm_json_kind(error) == TM_JSON_NULL ? doc : error;
}

/* The text of a content part, or NULL for a part of another kind. */
static const char *part_text(const struct tm_json *part, size_t *len)
{
	const char *type = member_text(part, "type");

	*len = 0;
	if (*type && strcmp(type, "text") && strcmp(type, "output_text"))
		return NULL;
	return tm_json_text(tm_json_get(part, "text"), len);
}

/* TM_OK and the reply's text; TM_ENOENT no text there; TM_ENOMEM. */
static enum tm_err read_content(const struct tm_json *content, struct tm_arena *arena,
				struct tm_llm_reply *reply)
{
	size_t parts = tm_json_kind(content) == TM_JSON_ARRAY ? tm_json_count(content) : 0;
	size_t total = 0, len = 0, found = 0;
	const char *text = tm_json_text(content, &len);
	char *joined;

	if (text) {
		reply->text = tm_arena_dup(arena, text, len);
		reply->text_len = len;
		return reply->text ? TM_OK : TM_ENOMEM;
	}
	for (size_t i = 0; i < parts; i++) {
		found += part_text(tm_json_item(content, i), &len) != NULL;
		total += len;
	}
	if (!found)
		return TM_ENOENT;
	joined = tm_arena_alloc(arena, total + 1);
	if (!joined)
		return TM_ENOMEM;
	reply->text = joined;
	reply->text_len = total;
	for (size_t i = 0; i < parts; i++) {
		text = part_text(tm_json_item(content, i), &len);
		if (text)
			memcpy(joined, text, len);
		joined += text ? len : 0;
	}
	return TM_OK;
}

/* Some servers report the model as a path or a paragraph: then the configured name says more. */
static enum tm_err read_model(struct reading *reading, const struct tm_json *doc)
{
	const char *model = member_text(doc, "model");
	char printable[MODEL_BYTES + 2];

	put_printable(printable, sizeof(printable), model, reading->conf->key);
	if (!*model || strlen(model) > MODEL_BYTES || strcmp(model, printable))
		return TM_OK;
	reading->reply->model = tm_arena_strdup(reading->arena, model);
	return reading->reply->model ? TM_OK : TM_ENOMEM;
}

/* A refusal's text answers the prompt, so it is content: not for the log. */
static bool is_refusal(const struct tm_json *message)
{
	const struct tm_json *first = tm_json_item(tm_json_get(message, "content"), 0);

	return *member_text(message, "refusal") || *member_text(first, "refusal");
}

static enum tm_llm_class read_choice(struct reading *reading, const struct tm_json *choice)
{
	const struct tm_json *message = tm_json_get(choice, "message");
	const char *finish = member_text(choice, "finish_reason");
	bool filtered = !strcmp(finish, "content_filter");
	enum tm_err err;

	err = read_content(tm_json_get(message, "content"), reading->arena, reading->reply);
	if (err == TM_ENOMEM)
		return TM_LLM_FAILED;
	if (filtered || !strcmp(finish, "length")) {
		reading->reply->cut = true;
		reading->detail = filtered ? "answer cut by a content filter" :
					     "answer cut at the token limit";
		return filtered ? TM_LLM_REFUSED : TM_LLM_NONSENSE;
	}
	if (err == TM_OK && !is_refusal(message))
		return TM_LLM_SUCCESS;
	if (is_refusal(message)) {
		reading->detail = "model refused";
		return TM_LLM_REFUSED;
	}
	reading->detail = "HTTP success without choices[0].message.content";
	return TM_LLM_NONSENSE;
}

static enum tm_llm_class read_success(struct reading *reading, const struct tm_json *doc)
{
	const struct tm_json *error = tm_json_get(doc, "error"), *usage = tm_json_get(doc, "usage");
	const struct tm_json *choice = tm_json_item(tm_json_get(doc, "choices"), 0);

	reading->reply->input_tokens = member_tokens(usage, "prompt_tokens");
	reading->reply->output_tokens = member_tokens(usage, "completion_tokens");
	if (tm_json_kind(error) == TM_JSON_NULL)
		error = tm_json_get(choice, "error");
	if (tm_json_kind(error) == TM_JSON_OBJECT_KIND || tm_json_kind(error) == TM_JSON_STRING)
		return read_error(reading, error, error_status(error));
	if (read_model(reading, doc) != TM_OK)
		return TM_LLM_FAILED;
	return read_choice(reading, choice);
}

static enum tm_llm_class openai_read(const struct tm_provider_conf *conf, int status,
				     const char *body, size_t len, struct tm_arena *arena,
				     struct tm_llm_reply *reply, const char **detail)
{
	struct reading reading = {conf, status, arena, reply, ""};
	enum tm_llm_class class = TM_LLM_FAILED;
	struct tm_json *doc = NULL;
	enum tm_err err;

	*reply = (struct tm_llm_reply){.model = conf->model};
	err = tm_json_parse(body ? body : "", body ? len : 0, DEPTH, &doc);
	if (err == TM_ENOMEM)
		goto out;
	if (status < 200 || status > 299) {
		class = read_error(&reading, find_error(doc), status);
	} else if (err != TM_OK) {
		class = TM_LLM_NONSENSE;
		reading.detail = tm_arena_printf(arena, "HTTP %d, body is not JSON: %s", status,
						 tm_err_text(err));
	} else {
		class = read_success(&reading, doc);
	}
out:
	tm_json_free(doc);
	if (class == TM_LLM_FAILED || !reading.detail)
		reading.detail = tm_err_text(TM_ENOMEM);
	*detail = reading.detail;
	return class;
}

const struct tm_provider tm_provider_openai = {
	.name = "openai",
	.build = openai_build,
	.read = openai_read,
};
