/*
 * From CGI variables to a request. Everything a client sends is bounded or checked here:
 * an id that is not plain is replaced, a path is only ever compared, and settings change by
 * TEXTMILL_* params of the web server alone, never by headers (those arrive as HTTP_*).
 */
#include "api/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

static bool plain_id(const char *text)
{
	size_t len =
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len >= 1 && len <= TM_REQUEST_ID_MAX && text[len] == '\0';
}

static bool is_hex(const char *text, size_t len)
{
	return strspn(text, "0123456789abcdef") == len;
}

/* len digits that are not all zero, and a dash. */
static bool is_id(const char *text, size_t len)
{
	return is_hex(text, len) && text[len] == '-' && strspn(text, "0") < len;
}

/*
 * W3C Trace Context, 3.2: version 00 is 00-<32 hex>-<16 hex>-<2 hex> and no more, where neither
 * id is all zero. A later version begins likewise, and may go on behind a dash; ff is none.
 */
static bool trace_of(const char *parent, char out[TM_TRACE_ID_BYTES])
{
	enum { ID = 3, SPAN = ID + 33, FLAGS = SPAN + 17, LENGTH = FLAGS + 2 };
	size_t len = strlen(parent);

	if (len < LENGTH || !is_hex(parent, 2) || parent[2] != '-' || !is_id(parent + ID, 32) ||
	    !is_id(parent + SPAN, 16) || !is_hex(parent + FLAGS, 2))
		return false;
	if (strncmp(parent, "ff", 2) == 0 ||
	    (len > LENGTH && (strncmp(parent, "00", 2) == 0 || parent[LENGTH] != '-')))
		return false;
	memcpy(out, parent + ID, 32);
	out[32] = '\0';
	return true;
}

static void read_ids(struct tm_request *request)
{
	const char *id = tm_request_header(request, "HTTP_X_REQUEST_ID");
	const char *token = tm_request_header(request, "REQUEST_ID");

	if (strlen(token) == 32 && is_hex(token, 32))
		memcpy(request->token, token, sizeof(request->token));
	else
		tm_random_hex(request->token);
	memcpy(request->claim, request->token, sizeof(request->claim));
	if (!plain_id(id))
		id = request->token;
	memcpy(request->id, id, strlen(id) + 1);
	if (!trace_of(tm_request_header(request, "HTTP_TRACEPARENT"), request->trace_id))
		tm_random_hex(request->trace_id);
}

/* Applies "NAME=value". TM_ENOENT: nothing that a location may set. */
static enum tm_err override(struct tm_request *request, const char *pair)
{
	const char *equals = strchr(pair, '=');
	enum tm_err err;
	char *name;

	if (strncmp(pair, "TEXTMILL_", 9) != 0 || !equals)
		return TM_ENOENT;
	name = tm_arena_dup(request->arena, pair, (size_t)(equals - pair));
	if (!name)
		return TM_ENOMEM;
	if (!tm_settings_overridable(name))
		return TM_ENOENT;
	if (request->settings != &request->local) {
		request->local = *request->settings;
		request->settings = &request->local;
	}
	err = tm_settings_override(&request->local, request->arena, name, equals + 1);
	if (err == TM_EINVAL)
		tm_log(TM_LOG_ERROR, "web server configuration: param %s has a bad value", name);
	return err;
}

/* Adds a pair to the request's overrides. */
static enum tm_err note_override(struct tm_request *request, const char *pair)
{
	size_t len = strlen(pair) + 1;
	char *all = tm_arena_alloc(request->arena, request->overrides_len + len);

	if (!all)
		return TM_ENOMEM;
	if (request->overrides_len > 0)
		memcpy(all, request->overrides, request->overrides_len);
	memcpy(all + request->overrides_len, pair, len);
	request->overrides = all;
	request->overrides_len += len;
	return TM_OK;
}

static enum tm_err read_overrides(struct tm_request *request)
{
	const char *const *params = tm_exchange_params(request->exchange);
	enum tm_err err = TM_OK;

	for (; *params && (err == TM_OK || err == TM_ENOENT); params++) {
		err = override(request, *params);
		if (err == TM_OK)
			err = note_override(request, *params);
	}
	return err == TM_ENOENT ? TM_OK : err;
}

enum tm_err tm_request_override(struct tm_request *request, const char *pairs, size_t len)
{
	enum tm_err err = TM_OK;

	for (size_t at = 0; at < len && (err == TM_OK || err == TM_ENOENT);
	     at += strlen(pairs + at) + 1)
		err = override(request, pairs + at);
	return err == TM_ENOENT ? TM_OK : err;
}

static const char *whole_path(const struct tm_request *request)
{
	const char *script = tm_request_header(request, "SCRIPT_NAME");
	const char *info = tm_request_header(request, "PATH_INFO");

	return tm_arena_printf(request->arena, "%s%s", script, info);
}

enum tm_err tm_request_open(struct tm_request *request, struct tm_exchange *exchange,
			    const struct tm_settings *settings, struct tm_arena *arena)
{
	request->exchange = exchange;
	request->path = "";
	request->id[0] = request->trace_id[0] = request->token[0] = request->claim[0] = '\0';
	request->arena = arena;
	request->start_us = tm_clock_mono_us();
	request->auth_us = request->redis_us = request->llm_us = 0;
	request->authenticated = false;
	request->settings = settings;
	request->overrides = "";
	request->overrides_len = 0;
	request->method = tm_arena_strdup(arena, tm_request_header(request, "REQUEST_METHOD"));
	if (!request->method) {
		request->method = "";
		return TM_ENOMEM;
	}
	request->head = strcmp(request->method, "HEAD") == 0;
	read_ids(request);
	tm_log_set_request(request->id);
	request->path = whole_path(request);
	if (!request->path) {
		request->path = "";
		return TM_ENOMEM;
	}
	return read_overrides(request);
}

const char *tm_request_header(const struct tm_request *request, const char *name)
{
	const char *value = tm_exchange_param(request->exchange, name);

	return value ? value : "";
}

/* Narrows [*at, *end) to the next comma-separated element; false at the end. */
static bool next_element(const char **at, const char **end)
{
	const char *from = *at + strspn(*at, ", \t");
	size_t len = strcspn(from, ",");

	if (len == 0)
		return false;
	*at = from;
	*end = from + len;
	return true;
}

static size_t range_length(const char *from, const char *end)
{
	size_t len = 0;

	while (from + len < end && !strchr("; \t", from[len]))
		len++;
	return len;
}

/* The weight of a range, 0 for "not this one" to 1 (RFC 9110 12.4.2). */
static double weight(const char *from, const char *end)
{
	for (const char *at = from; at + 3 < end; at++)
		if (*at == ';') {
			const char *name = at + 1 + strspn(at + 1, " \t");
			double q;

			if (name + 2 >= end || strncasecmp(name, "q=", 2) != 0)
				continue;
			q = strtod(name + 2, NULL);
			return q > 1.0 ? 1.0 : q > 0.0 ? q : 0.0;
		}
	return 1.0;
}

/* How closely one range of Accept fits: 3 the type itself, 2 type/star, 1 star/star, 0 not. */
static int range_rank(const char *at, size_t len, const char *type, const char *subtype)
{
	size_t type_len = strlen(type), sub_len = strlen(subtype), rest;
	const char *sub;

	if (len == 3 && memcmp(at, "*/*", 3) == 0)
		return 1;
	if (len <= type_len || strncasecmp(at, type, type_len) != 0 || at[type_len] != '/')
		return 0;
	sub = at + type_len + 1;
	rest = len - type_len - 1;
	if (rest == 1 && *sub == '*')
		return 2;
	return rest == sub_len && strncasecmp(sub, subtype, sub_len) == 0 ? 3 : 0;
}

/* What the Accept header says of a type: the most specific range that fits decides (RFC 9110
 * 12.5.1). rank as above. */
struct acceptance { int rank; double weight; };

static struct acceptance acceptance_of(const struct tm_request *request, const char *type,
				       const char *subtype)
{
	const char *at = tm_request_header(request, "HTTP_ACCEPT"), *end;
	struct acceptance best = {0};

	if (*at == '\0')
		return (struct acceptance){.rank = 1, .weight = 1.0};
	for (; next_element(&at, &end); at = end) {
		size_t len = range_length(at, end);
		int rank = range_rank(at, len, type, subtype);

		if (rank > best.rank)
			best = (struct acceptance){rank, weight(at + len, end)};
	}
	return best;
}

bool tm_request_accepts(const struct tm_request *request, const char *type, const char *subtype)
{
	return acceptance_of(request, type, subtype).weight > 0;
}

bool tm_request_wants_stream(const struct tm_request *request)
{
	struct acceptance stream = acceptance_of(request, "text", "event-stream");
	struct acceptance json = acceptance_of(request, "application", "json");

	return stream.rank == 3 && stream.weight > 0 && stream.weight >= json.weight;
}

/* Takes the value of a parameter, a token or a quoted string (RFC 9110 5.6); false where its
 * quotes stay open. *value is without them. */
static bool take_value(const char **at, const char **value, size_t *len)
{
	*value = *at;
	if (**at != '"') {
		*len = strcspn(*at, "; \t");
		*at += *len;
		return true;
	}
	for (*value = ++*at; **at && **at != '"'; ++*at)
		if (**at == '\\' && (*at)[1])
			++*at;
	*len = (size_t)(*at - *value);
	if (**at == '\0')
		return false;
	++*at;
	return true;
}

/* Takes one parameter of a media type, or nothing; false where it is malformed, or a charset
 * other than UTF-8. */
static bool take_parameter(const char **at)
{
	size_t name_len = strcspn(*at, "=;\" \t"), len;
	bool charset = name_len == 7 && strncasecmp(*at, "charset", 7) == 0;
	const char *value;

	*at += name_len;
	if (**at != '=')
		return !charset;
	++*at;
	return take_value(at, &value, &len) &&
	       (!charset || (len == 5 && strncasecmp(value, "utf-8", 5) == 0));
}

bool tm_request_is_json(const struct tm_request *request)
{
	static const char json[] = "application/json";
	const char *at = tm_request_header(request, "CONTENT_TYPE");

	if (strncasecmp(at, json, sizeof(json) - 1) != 0)
		return false;
	at += sizeof(json) - 1;
	for (;;) {
		at += strspn(at, " \t");
		if (*at == '\0')
			return true;
		if (*at != ';')
			return false;
		at += 1 + strspn(at + 1, " \t");
		if (!take_parameter(&at))
			return false;
	}
}

bool tm_request_cache_control(const struct tm_request *request, const char *directive)
{
	const char *at = tm_request_header(request, "HTTP_CACHE_CONTROL"), *end;
	size_t len = strlen(directive);

	for (; next_element(&at, &end); at = end) {
		size_t have = (size_t)(end - at);

		while (have > 0 && strchr(" \t", at[have - 1]))
			have--;
		if (have == len && strncasecmp(at, directive, len) == 0)
			return true;
	}
	return false;
}

/* One preference: name [= value] [; parameters]. */
static const char *preference(struct tm_arena *arena, const char *at, size_t len, const char *name)
{
	size_t have = strcspn(at, "=; \t,"), name_len = strlen(name), end;

	if (have > len || have != name_len || strncasecmp(at, name, name_len) != 0)
		return NULL;
	at += have;
	len -= have;
	end = strspn(at, " \t");
	if (end >= len || at[end] != '=')
		return "";
	end++;
	at += end;
	len -= end;
	end = strspn(at, " \t\"");
	if (end > len)
		end = len;
	at += end;
	len -= end;
	end = strcspn(at, " \t\";,");
	return tm_arena_dup(arena, at, end < len ? end : len);
}

bool tm_request_prefers(const struct tm_request *request, const char *name, const char **value)
{
	const char *at = tm_request_header(request, "HTTP_PREFER"), *end;

	*value = NULL;
	for (; !*value && next_element(&at, &end); at = end)
		*value = preference(request->arena, at, (size_t)(end - at), name);
	return *value;
}

int64_t tm_request_arrived_ms(const struct tm_request *request)
{
	const char *text = tm_request_header(request, "REQUEST_START");
	char *end;
	double seconds = strtod(text, &end);

	return end != text && *end == '\0' && seconds > 0 && seconds < 1e11
		? (int64_t)(seconds * 1000) : 0;
}
