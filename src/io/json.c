/*
 * JSON. io/json_scan decides what is JSON; json-c builds the tree; a walk over the tree then
 * finds what only it can show: a name that came twice (json-c keeps the last: fewer values than
 * the scan counted) and numbers that overflowed a double.
 *
 * struct tm_json is json-c's object under another name. One tokener serves all documents of a
 * process; it is given back after a large one, because it keeps room for the longest string.
 */
#include "io/json.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "io/json_scan.h"

enum { TOKENER_KEEP_BYTES = 64 * 1024 };

static json_tokener *tokener;

static const json_object *inner(const struct tm_json *json)
{
	return (const json_object *)json;
}

/* Values in a tree; *finite turns false at a number that JSON cannot write. Bounded by the
 * depth that the scan allowed. */
static size_t count_values(const json_object *value, bool *finite)
{
	size_t count = 1;

	switch (json_object_get_type(value)) {
	case json_type_double:
		if (!isfinite(json_object_get_double(value)))
			*finite = false;
		break;
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(value); i++)
			count += count_values(json_object_array_get_idx(value, i), finite);
		break;
	case json_type_object: {
		struct lh_entry *entry = json_object_get_object(value)->head;

		for (; entry; entry = entry->next)
			count += count_values(lh_entry_v(entry), finite);
		break;
	}
	case json_type_null: case json_type_boolean: case json_type_int: case json_type_string:
		break;
	}
	return count;
}

static void release_tokener(size_t len)
{
	json_tokener_reset(tokener);
	if (len <= TOKENER_KEEP_BYTES)
		return;
	json_tokener_free(tokener);
	tokener = NULL;
}

/* Builds the tree of one value that the scan has passed, and may add a fault to it. */
static enum tm_err build(const char *text, struct tm_json_scan *scan, struct tm_json **out)
{
	const size_t len = scan->end;
	size_t values;
	enum tm_err err = TM_ENOMEM;
	enum json_tokener_error failure;
	json_object *root = NULL;
	bool finite = true;

	if (!tokener)
		tokener = json_tokener_new_ex(TM_JSON_DEPTH_MAX + 1);
	if (!tokener)
		return TM_ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	root = json_tokener_parse_ex(tokener, text, (int)len);
	failure = json_tokener_get_error(tokener);
	if (failure == json_tokener_continue) {		/* a bare number may go on for ever */
		root = json_tokener_parse_ex(tokener, " ", 1);
		failure = json_tokener_get_error(tokener);
	}
	if (failure != json_tokener_success) {
		err = TM_EINVAL;
		goto out;
	}
	if (!root && text[0] != 'n')	/* how json-c 0.16 says that memory ran out */
		goto out;
	values = count_values(root, &finite);
	if (values != scan->values || !finite) {
		scan->fault = finite ? "A member appears twice in an object." : TM_JSON_RANGE_FAULT;
		err = TM_EINVAL;
		goto out;
	}
	*out = (struct tm_json *)root;
	root = NULL;
	err = TM_OK;
out:
	(void)json_object_put(root);
	release_tokener(len);
	return err;
}

/* One document: source without the white space before it, and what the scan says of it. */
static enum tm_err scan_whole(struct tm_json_source *source, struct tm_json_scan *scan)
{
	size_t start;
	enum tm_err err;

	*scan = (struct tm_json_scan){0};
	if (source->len > INT_MAX)
		return TM_ESIZE;
	if (!tm_utf8_valid(source->text, source->len))
		return TM_EUTF8;
	start = tm_json_space(source->text, source->len);
	source->text += start;
	source->len -= start;
	err = tm_json_scan(source->text, source->len, source->depth, scan);
	if (err == TM_OK &&
	    scan->end + tm_json_space(source->text + scan->end, source->len - scan->end) !=
		    source->len)
		err = TM_EINVAL;
	return err;
}

enum tm_err tm_json_parse(const char *text, size_t len, int depth, struct tm_json **out)
{
	struct tm_json_source source = {text, len, depth};
	struct tm_json_scan scan;
	enum tm_err err = scan_whole(&source, &scan);

	*out = NULL;
	return err == TM_OK ? build(source.text, &scan, out) : err;
}

enum tm_err tm_json_receive(struct tm_json_source source, struct tm_json **out, const char **fault)
{
	struct tm_json_scan scan;
	enum tm_err err = scan_whole(&source, &scan);

	*out = NULL;
	if (err == TM_OK && scan.half) {
		scan.fault = "A string holds half of a surrogate pair.";
		err = TM_EINVAL;
	}
	if (err == TM_OK)
		err = build(source.text, &scan, out);
	*fault = err == TM_EINVAL ? scan.fault : NULL;
	return err;
}

void tm_json_free(struct tm_json *json)
{
	(void)json_object_put((json_object *)json);
}

enum tm_err tm_json_find(const char *text, size_t len, int depth, struct tm_json **out)
{
	struct tm_json_scan scan;
	enum tm_err err;
	size_t at = 0;

	*out = NULL;
	if (len > INT_MAX)
		return TM_ESIZE;
	while (at < len) {
		if (text[at] != '[' && text[at] != '{') {
			at++;
			continue;
		}
		err = tm_json_scan(text + at, len - at, depth, &scan);
		if (err == TM_ESIZE)
			return err;
		if (err == TM_OK && tm_utf8_valid(text + at, scan.end)) {
			err = build(text + at, &scan, out);
			if (err != TM_EINVAL)
				return err;
		}
		at += scan.end;		/* never 0: the bracket itself was read */
	}
	return TM_ENOENT;
}

enum tm_json_kind tm_json_kind(const struct tm_json *json)
{
	switch (json_object_get_type(inner(json))) {
	case json_type_boolean:
		return TM_JSON_BOOL;
	case json_type_double:
		return TM_JSON_DOUBLE;
	case json_type_int:
		return TM_JSON_INT;
	case json_type_object:
		return TM_JSON_OBJECT_KIND;
	case json_type_array:
		return TM_JSON_ARRAY;
	case json_type_string:
		return TM_JSON_STRING;
	case json_type_null:
		break;
	}
	return TM_JSON_NULL;
}

const char *tm_json_kind_text(enum tm_json_kind kind)
{
	static const char *const texts[] = {
		[TM_JSON_NULL] = "null",
		[TM_JSON_BOOL] = "a boolean",
		[TM_JSON_INT] = "an integer",
		[TM_JSON_DOUBLE] = "a number",
		[TM_JSON_STRING] = "a string",
		[TM_JSON_ARRAY] = "an array",
		[TM_JSON_OBJECT_KIND] = "an object",
	};

	return texts[kind];
}

struct tm_json *tm_json_get(const struct tm_json *json, const char *name)
{
	json_object *value = NULL;

	if (tm_json_kind(json) == TM_JSON_OBJECT_KIND)
		(void)json_object_object_get_ex(inner(json), name, &value);
	return (struct tm_json *)value;
}

bool tm_json_next(const struct tm_json *object, struct tm_json_member *member)
{
	struct lh_entry *entry;

	if (tm_json_kind(object) != TM_JSON_OBJECT_KIND)
		return false;
	entry = member->at ? ((struct lh_entry *)member->at)->next
			   : json_object_get_object(inner(object))->head;
	if (!entry)
		return false;
	member->at = entry;
	member->name = lh_entry_k(entry);
	member->value = lh_entry_v(entry);
	return true;
}

size_t tm_json_count(const struct tm_json *json)
{
	switch (tm_json_kind(json)) {
	case TM_JSON_ARRAY:
		return json_object_array_length(inner(json));
	case TM_JSON_OBJECT_KIND:
		return (size_t)json_object_object_length(inner(json));
	default:
		return 0;
	}
}

struct tm_json *tm_json_item(const struct tm_json *array, size_t index)
{
	if (tm_json_kind(array) != TM_JSON_ARRAY)
		return NULL;
	return (struct tm_json *)json_object_array_get_idx(inner(array), index);
}

const char *tm_json_text(const struct tm_json *json, size_t *len)
{
	/* json-c declares these two for objects it may change; it does not, for strings */
	json_object *value = (json_object *)(uintptr_t)json;

	if (tm_json_kind(json) != TM_JSON_STRING)
		return NULL;
	if (len)
		*len = (size_t)json_object_get_string_len(value);
	return json_object_get_string(value);
}

int64_t tm_json_int(const struct tm_json *json)
{
	enum tm_json_kind kind = tm_json_kind(json);

	if (kind != TM_JSON_INT && kind != TM_JSON_DOUBLE)
		return 0;
	return json_object_get_int64(inner(json));
}

double tm_json_double(const struct tm_json *json)
{
	enum tm_json_kind kind = tm_json_kind(json);

	if (kind == TM_JSON_INT)
		return json_object_get_int64(inner(json)) == INT64_MAX
			       ? (double)json_object_get_uint64(inner(json))
			       : (double)json_object_get_int64(inner(json));
	return kind == TM_JSON_DOUBLE ? json_object_get_double(inner(json)) : 0;
}

bool tm_json_bool(const struct tm_json *json)
{
	return tm_json_kind(json) == TM_JSON_BOOL && json_object_get_boolean(inner(json));
}

static bool needs_escape(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void put_escape(struct tm_buf *buf, char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char brief[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
					 ['\r'] = 'r'};
	char escape[6] = {'\\', c};
	size_t len = 2;

	if ((unsigned char)c < 0x20) {
		escape[1] = brief[(unsigned char)c];
		if (!escape[1]) {
			memcpy(escape + 1, "u00", 3);
			escape[4] = hex[(unsigned char)c >> 4];
			escape[5] = hex[(unsigned char)c & 15];
			len = 6;
		}
	}
	tm_buf_put(buf, escape, len);
}

void tm_json_put_string(struct tm_buf *buf, const char *text, size_t len)
{
	size_t start = 0;

	tm_buf_putc(buf, '"');
	for (size_t at = 0; at < len; at++) {
		if (!needs_escape(text[at]))
			continue;
		if (at > start)
			tm_buf_put(buf, text + start, at - start);
		put_escape(buf, text[at]);
		start = at + 1;
	}
	if (len > start)
		tm_buf_put(buf, text + start, len - start);
	tm_buf_putc(buf, '"');
}

void tm_json_put_cstr(struct tm_buf *buf, const char *text)
{
	if (text)
		tm_json_put_string(buf, text, strlen(text));
	else
		tm_buf_puts(buf, "null");
}

void tm_json_put_double(struct tm_buf *buf, double value)
{
	const char *point = localeconv()->decimal_point;
	char digits[40];
	char *comma;

	if (!isfinite(value)) {
		tm_buf_puts(buf, "null");
		return;
	}
	if (value == 0 && !signbit(value)) {	/* the common one: what a cached answer costs */
		tm_buf_putc(buf, '0');
		return;
	}
	for (int precision = 15; precision <= 17; precision++) {
		(void)snprintf(digits, sizeof(digits), "%.*g", precision, value);
		if (strtod(digits, NULL) == value)
			break;
	}
	comma = strstr(digits, point);
	if (!comma) {
		tm_buf_puts(buf, digits);
		return;
	}
	tm_buf_put(buf, digits, (size_t)(comma - digits));
	tm_buf_putc(buf, '.');
	tm_buf_puts(buf, comma + strlen(point));
}

static void put_int(struct tm_buf *buf, const struct tm_json *json)
{
	int64_t value = json_object_get_int64(inner(json));

	if (value == INT64_MAX)		/* or one of those above, up to 2^64 - 1 */
		tm_buf_printf(buf, "%" PRIu64, json_object_get_uint64(inner(json)));
	else
		tm_buf_put_int(buf, value);
}

static void put_array(struct tm_buf *buf, const struct tm_json *json)
{
	size_t count = tm_json_count(json);

	tm_buf_putc(buf, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			tm_buf_putc(buf, ',');
		tm_json_put(buf, tm_json_item(json, i));
	}
	tm_buf_putc(buf, ']');
}

static void put_object(struct tm_buf *buf, const struct tm_json *json)
{
	struct tm_json_member member = {0};
	bool first = true;

	tm_buf_putc(buf, '{');
	while (tm_json_next(json, &member)) {
		if (!first)
			tm_buf_putc(buf, ',');
		first = false;
		tm_json_put_cstr(buf, member.name);
		tm_buf_putc(buf, ':');
		tm_json_put(buf, member.value);
	}
	tm_buf_putc(buf, '}');
}

void tm_json_put(struct tm_buf *buf, const struct tm_json *json)
{
	const char *text;
	size_t len = 0;

	switch (tm_json_kind(json)) {
	case TM_JSON_NULL:
		tm_buf_puts(buf, "null");
		break;
	case TM_JSON_BOOL:
		tm_buf_puts(buf, tm_json_bool(json) ? "true" : "false");
		break;
	case TM_JSON_INT:
		put_int(buf, json);
		break;
	case TM_JSON_DOUBLE:
		tm_json_put_double(buf, tm_json_double(json));
		break;
	case TM_JSON_STRING:
		text = tm_json_text(json, &len);
		tm_json_put_string(buf, text, len);
		break;
	case TM_JSON_ARRAY:
		put_array(buf, json);
		break;
	case TM_JSON_OBJECT_KIND:
		put_object(buf, json);
		break;
	}
}
