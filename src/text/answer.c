/*
 * Reading and writing answers: the plain text ones here, sentiments, lists and objects in their
 * own files. Reading is tolerant of wrapping and strict about content: a wrapping is removed only
 * where it is one for certain, and what the model did not say is not made up. An apology
 * instead of an answer is no answer: the caller asks once more.
 */
#include "text/answer.h"

#include <string.h>

#include "base/utf8.h"
#include "io/json.h"
#include "text/answer_parts.h"

enum { WRAPPINGS = 4 };	/* one in another: announcement, fence, announcement, quotes */

/* The one string of {"summary": "..."}, whatever its name; numbers beside it do not count.
 * TM_OK and *out set or untouched; TM_EPROTO when the object reports a failure. */
static enum tm_err string_of_object(const struct tm_json *object, struct tm_slice *out)
{
	struct tm_json_member member = {0};
	struct tm_slice found = {0}, text;
	size_t strings = 0;

	while (tm_json_next(object, &member)) {
		enum tm_json_kind kind = tm_json_kind(member.value);

		if (kind == TM_JSON_ARRAY || kind == TM_JSON_OBJECT_KIND)
			return TM_OK;
		if (kind != TM_JSON_STRING)
			continue;
		if (strcmp(member.name, "error") == 0 || strcmp(member.name, "refusal") == 0)
			return TM_EPROTO;
		if (!tm_slice_of_json(member.value, &text))
			return TM_EPROTO;
		found = text;
		strings++;
	}
	if (strings == 1)
		*out = found;
	return TM_OK;
}

static struct tm_slice unwrap(struct tm_slice text)
{
	for (int i = 0; i < WRAPPINGS; i++) {
		struct tm_slice rest = text, line;

		if (tm_slice_line(&rest, &line) && tm_slice_trim(rest).len &&
		    tm_slice_announces(line))
			text = tm_slice_trim(rest);
		text = tm_slice_unfence(text);
	}
	return text;
}

static enum tm_err keep_result(struct tm_slice text, struct tm_arena *arena,
			       struct tm_answer *out)
{
	out->result = tm_arena_dup(arena, text.text, text.len);
	return out->result ? TM_OK : TM_ENOMEM;
}

static enum tm_err read_result(struct tm_slice text, struct tm_arena *arena,
			       struct tm_answer *out)
{
	enum tm_err err;
	struct tm_json *json = NULL;

	text = unwrap(tm_slice_unthink(text));
	if (text.len && strchr("{\"", text.text[0])) {
		err = tm_json_parse(text.text, text.len, TM_ANSWER_JSON_DEPTH, &json);
		if (err == TM_ENOMEM)
			goto out;
	}
	err = TM_EPROTO;
	if (tm_json_kind(json) == TM_JSON_STRING) {
		if (!tm_slice_of_json(json, &text))
			goto out;
	} else if (json) {
		err = string_of_object(json, &text);
		if (err != TM_OK)
			goto out;
		err = TM_EPROTO;
		text = unwrap(text);
	}
	text = tm_slice_unquote(text);
	if (!text.len || tm_slice_refuses(text, false))
		goto out;
	err = keep_result(text, arena, out);
out:
	tm_json_free(json);
	return err;
}

enum tm_err tm_answer_read(const struct tm_task *task, const char *text, size_t len,
			   struct tm_arena *arena, struct tm_answer *out)
{
	enum tm_err err;
	struct tm_answer answer = {.shape = task->operation->shape};
	struct tm_slice slice = {text, len}, source = {task->text, task->text_len};

	if (!tm_utf8_valid(text, len))
		return TM_EUTF8;
	if (!len || memchr(text, '\0', len))
		return TM_EPROTO;
	if (tm_slice_starts(slice, "\xEF\xBB\xBF"))
		slice = tm_slice_from(slice, 3);
	slice = tm_slice_trim(slice);
	if (!slice.len)
		return TM_EPROTO;

	switch (answer.shape) {
	case TM_SHAPE_SENTIMENT:
		err = tm_answer_read_sentiment(tm_slice_unthink(slice), arena, &answer);
		break;
	case TM_SHAPE_KEY_POINTS:
	case TM_SHAPE_QUESTIONS:
	case TM_SHAPE_LIST:
		err = tm_answer_read_list(slice, task, arena, &answer);
		break;
	case TM_SHAPE_OBJECT:
		err = tm_answer_read_object(tm_slice_unthink(slice), task->operation, arena,
					    &answer);
		break;
	case TM_SHAPE_RESULT:
	default:
		if (tm_slice_quotes(slice, source))
			err = keep_result(slice, arena, &answer);
		else
			err = read_result(slice, arena, &answer);
		break;
	}
	if (err == TM_OK)
		*out = answer;
	return err;
}

static void write_items(const struct tm_answer *answer, struct tm_buf *out)
{
	tm_buf_putc(out, '[');
	for (size_t i = 0; i < answer->count; i++) {
		if (i)
			tm_buf_putc(out, ',');
		tm_json_put_cstr(out, answer->items[i]);
	}
	tm_buf_putc(out, ']');
}

void tm_answer_write(const struct tm_answer *answer, struct tm_buf *out)
{
	tm_buf_puts(out, "\"result\":");
	if (answer->shape == TM_SHAPE_LIST)
		write_items(answer, out);
	else if (answer->shape == TM_SHAPE_OBJECT)
		tm_buf_puts(out, answer->object);
	else
		tm_json_put_cstr(out, answer->shape == TM_SHAPE_RESULT ? answer->result : NULL);

	tm_buf_puts(out, ",\"sentiment\":");
	if (answer->shape == TM_SHAPE_SENTIMENT) {
		tm_buf_puts(out, "{\"sentiment\":");
		tm_json_put_cstr(out, answer->sentiment);
		tm_buf_puts(out, ",\"confidence\":");
		tm_json_put_double(out, answer->confidence);
		tm_buf_puts(out, ",\"explanation\":");
		tm_json_put_cstr(out, answer->explanation);
		tm_buf_putc(out, '}');
	} else {
		tm_buf_puts(out, "null");
	}

	tm_buf_puts(out, ",\"key_points\":");
	if (answer->shape == TM_SHAPE_KEY_POINTS)
		write_items(answer, out);
	else
		tm_buf_puts(out, "null");

	tm_buf_puts(out, ",\"questions\":");
	if (answer->shape == TM_SHAPE_QUESTIONS)
		write_items(answer, out);
	else
		tm_buf_puts(out, "null");
}
