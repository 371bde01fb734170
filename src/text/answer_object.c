/*
 * An object with the operation's fields, from JSON anywhere in the answer.
 *
 * Names are matched without regard to case, "_", "-" and blanks. A value of a neighbouring kind
 * is taken where it can mean one thing only: "4.5" for a number, "yes" for a boolean, one string
 * for a list. null is an empty string or list; for a number or a boolean it is no answer, as
 * whatever stood there would be made up. What was not asked for is left out.
 */
#include "text/answer_parts.h"

#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OBJECT_MAX = 16 * 1024 * 1024, WRAPPED_MAX = 2, ITEMS_MAX = 1000 };

static char plain(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static const char *skip_joints(const char *at)
{
	return at + strspn(at, "_- ");
}

static bool same_name(const char *a, const char *b)
{
	for (a = skip_joints(a), b = skip_joints(b); *a && *b;
	     a = skip_joints(a + 1), b = skip_joints(b + 1))
		if (plain(*a) != plain(*b))
			return false;
	return *a == *b;
}

/* The member of a field; false when there is none. *value is NULL for null. */
static bool member_of(const struct tm_json *object, const char *name, const struct tm_json **value)
{
	struct tm_json_member member = {0};
	bool found = false;

	while (tm_json_next(object, &member)) {
		bool exact = strcmp(member.name, name) == 0;

		if (!exact && (found || !same_name(member.name, name)))
			continue;
		*value = member.value;
		found = true;
		if (exact)
			break;
	}
	return found;
}

static bool put_string(const struct tm_json *value, struct tm_buf *out)
{
	enum tm_json_kind kind = tm_json_kind(value);
	struct tm_slice text = {"", 0};

	switch (kind) {
	case TM_JSON_NULL:
		break;
	case TM_JSON_STRING:
		text.text = tm_json_text(value, &text.len);
		if (memchr(text.text, '\0', text.len))
			return false;
		text = tm_slice_trim(text);
		break;
	case TM_JSON_INT:
	case TM_JSON_DOUBLE:
		tm_buf_putc(out, '"');
		tm_json_put(out, value);
		tm_buf_putc(out, '"');
		return true;
	case TM_JSON_BOOL:
	case TM_JSON_ARRAY:
	case TM_JSON_OBJECT_KIND:
	default:
		return false;
	}
	tm_json_put_string(out, text.text, text.len);
	return true;
}

/* A number, also one in a string. */
static bool number_of(const struct tm_json *value, double *out)
{
	struct tm_json *inner = NULL;
	struct tm_slice text;
	enum tm_json_kind kind = tm_json_kind(value);
	bool good;

	if (tm_slice_of_json(value, &text) &&
	    tm_json_parse(text.text, text.len, 1, &inner) == TM_OK)
		kind = tm_json_kind(inner);
	good = kind == TM_JSON_INT || kind == TM_JSON_DOUBLE;
	if (good)
		*out = tm_json_double(inner ? inner : value);
	tm_json_free(inner);
	return good;
}

static bool put_number(const struct tm_json *value, bool whole, struct tm_buf *out)
{
	static const double exact = 9007199254740992.0;	/* 2^53 */
	double number;

	if (tm_json_kind(value) == TM_JSON_INT) {
		tm_json_put(out, value);
		return true;
	}
	if (!number_of(value, &number))
		return false;
	if (whole && (number != floor(number) || fabs(number) > exact))
		return false;
	if (number == floor(number) && fabs(number) <= exact)
		tm_buf_put_int(out, (int64_t)number);
	else
		tm_json_put_double(out, number);
	return true;
}

static bool put_boolean(const struct tm_json *value, struct tm_buf *out)
{
	static const struct {
		const char *word;
		bool yes;
	} words[] = {
		{"true", true}, {"yes", true}, {"ja", true}, {"oui", true}, {"sí", true},
		{"是", true}, {"はい", true}, {"да", true},
		{"false", false}, {"no", false}, {"nein", false}, {"non", false}, {"não", false},
		{"否", false}, {"いいえ", false}, {"нет", false},
	};
	struct tm_slice text;
	double number;

	if (tm_json_kind(value) == TM_JSON_BOOL) {
		tm_buf_puts(out, tm_json_bool(value) ? "true" : "false");
		return true;
	}
	if (tm_slice_of_json(value, &text)) {
		for (size_t i = 0; i < COUNT(words); i++)
			if (tm_slice_equal(text, words[i].word)) {
				tm_buf_puts(out, words[i].yes ? "true" : "false");
				return true;
			}
	}
	if (!number_of(value, &number) || (number != 0 && number != 1))
		return false;
	tm_buf_puts(out, number != 0 ? "true" : "false");
	return true;
}

static bool put_list(const struct tm_json *value, struct tm_buf *out)
{
	size_t count = tm_json_count(value);
	struct tm_slice text;
	bool first = true;

	tm_buf_putc(out, '[');
	if (tm_json_kind(value) == TM_JSON_ARRAY) {
		for (size_t i = 0; i < count && i < ITEMS_MAX; i++) {
			const struct tm_json *item = tm_json_item(value, i);

			if (tm_json_kind(item) == TM_JSON_NULL)
				continue;
			tm_buf_puts(out, first ? "" : ",");
			first = false;
			if (!put_string(item, out))
				return false;
		}
	} else if (tm_slice_of_json(value, &text)) {
		tm_json_put_string(out, text.text, text.len);
	} else if (tm_json_kind(value) != TM_JSON_NULL && tm_json_kind(value) != TM_JSON_STRING) {
		return false;
	}
	tm_buf_putc(out, ']');
	return true;
}

static bool put_field(const struct tm_field *field, const struct tm_json *value,
		      struct tm_buf *out)
{
	switch (field->type) {
	case TM_FIELD_NUMBER:
	case TM_FIELD_INTEGER:
		return put_number(value, field->type == TM_FIELD_INTEGER, out);
	case TM_FIELD_BOOLEAN:
		return put_boolean(value, out);
	case TM_FIELD_LIST:
		return put_list(value, out);
	case TM_FIELD_STRING:
	default:
		return put_string(value, out);
	}
}

/* Writes the fields. False: one is missing, or of another kind. */
static bool put_object(const struct tm_operation *operation, const struct tm_json *object,
		       struct tm_buf *out)
{
	const struct tm_json *value;

	tm_buf_putc(out, '{');
	for (size_t i = 0; i < operation->fields_count; i++) {
		if (!member_of(object, operation->fields[i].name, &value))
			return false;
		tm_buf_puts(out, i ? "," : "");
		tm_json_put_cstr(out, operation->fields[i].name);
		tm_buf_putc(out, ':');
		if (!put_field(&operation->fields[i], value, out))
			return false;
	}
	tm_buf_putc(out, '}');
	return true;
}

/* The only element of an array, or the only member of an object, where that is an object. */
static const struct tm_json *unwrap(const struct tm_json *json)
{
	struct tm_json_member member = {0};
	const struct tm_json *inner = NULL;

	if (tm_json_count(json) != 1)
		return NULL;
	if (tm_json_kind(json) == TM_JSON_ARRAY)
		inner = tm_json_item(json, 0);
	else if (tm_json_next(json, &member))
		inner = member.value;
	return tm_json_kind(inner) == TM_JSON_OBJECT_KIND ? inner : NULL;
}

/* One candidate: the JSON that begins at text or soon after. */
static enum tm_err read_json(struct tm_slice text, const struct tm_operation *operation,
			     struct tm_arena *arena, struct tm_answer *out)
{
	enum tm_err err;
	struct tm_json *json = NULL;
	const struct tm_json *at;
	struct tm_buf object;

	tm_buf_init(&object, OBJECT_MAX);
	err = tm_json_find(text.text, text.len, TM_ANSWER_JSON_DEPTH, &json);
	if (err != TM_OK) {
		err = err == TM_ENOMEM ? err : TM_EPROTO;
		goto out;
	}
	err = TM_EPROTO;
	at = json;
	for (int depth = 0; at && depth <= WRAPPED_MAX; depth++, at = unwrap(at)) {
		tm_buf_reset(&object, OBJECT_MAX);
		if (tm_json_kind(at) != TM_JSON_OBJECT_KIND || !put_object(operation, at, &object))
			continue;
		err = tm_buf_err(&object) == TM_OK ? TM_OK : TM_ENOMEM;
		break;
	}
	if (err != TM_OK)
		goto out;
	out->object = tm_arena_dup(arena, tm_buf_text(&object), object.len);
	err = out->object ? TM_OK : TM_ENOMEM;
out:
	tm_buf_clear(&object);
	tm_json_free(json);
	return err;
}

enum tm_err tm_answer_read_object(struct tm_slice text, const struct tm_operation *operation,
				  struct tm_arena *arena, struct tm_answer *out)
{
	int tries = 0;

	for (; text.len && tries < TM_ANSWER_JSON_TRIES; text = tm_slice_from(text, 1)) {
		enum tm_err err;

		if (text.text[0] != '{' && text.text[0] != '[')
			continue;
		tries++;
		err = read_json(text, operation, arena, out);
		if (err != TM_EPROTO)
			return err;
	}
	return TM_EPROTO;
}
