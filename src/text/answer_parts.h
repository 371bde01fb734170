/* Private to the files that read answers: pieces of text and what models wrap around them. */
#ifndef TM_TEXT_ANSWER_PARTS_H
#define TM_TEXT_ANSWER_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "io/json.h"
#include "text/answer.h"

enum {
	TM_ANSWER_JSON_DEPTH = 16,
	TM_ANSWER_JSON_TRIES = 16,	/* places in prose where JSON may begin */
	TM_ANSWER_ITEM_BYTES = 8192	/* longer is no item, and no explanation */
};

/* A piece of text, borrowed. */
struct tm_slice {
	const char *text;
	size_t len;
};

/* Comparisons ignore the case of ASCII letters; others have to be equal. */
bool tm_slice_equal(struct tm_slice slice, const char *word);
bool tm_slice_starts(struct tm_slice slice, const char *word);
bool tm_slice_ends(struct tm_slice slice, const char *word);
bool tm_slice_holds(struct tm_slice slice, const char *word);

struct tm_slice tm_slice_from(struct tm_slice slice, size_t offset);
struct tm_slice tm_slice_trim(struct tm_slice slice);

/* Takes the next line off rest, without its end; false when nothing is left. */
bool tm_slice_line(struct tm_slice *rest, struct tm_slice *line);

/* Without the code fence around the whole, without quotes (of any script) around the whole
 * unless the same stand inside, without markdown's ** around the whole. Unchanged otherwise,
 * and when nothing would be left. */
struct tm_slice tm_slice_unfence(struct tm_slice slice);
struct tm_slice tm_slice_unquote(struct tm_slice slice);
struct tm_slice tm_slice_unbold(struct tm_slice slice);

/* Without <think>...</think> in front; empty when the thought does not end. */
struct tm_slice tm_slice_unthink(struct tm_slice slice);

/* True for a line that only announces what follows: "Here is a summary:", "## Summary". */
bool tm_slice_announces(struct tm_slice line);

/*
 * True when slice begins with words of the source. Then it is a quotation: its quotes, braces
 * and apologies are the source's own.
 */
bool tm_slice_quotes(struct tm_slice slice, struct tm_slice source);

/*
 * True for "I'm sorry, but I can't help with that." and kin.
 *
 * loose  an apology with any refusal counts; otherwise it has to refuse the work itself, as
 *        "I'm sorry, the text cannot tell" may be an honest answer
 */
bool tm_slice_refuses(struct tm_slice slice, bool loose);

/* Length of the mark in front of a list's item, "- ", "1.", "**Q1:**", "- (2)"; 0 for none. */
size_t tm_slice_marker(struct tm_slice line);
size_t tm_slice_numbering(struct tm_slice line);	/* numbers only */

/* True when it ends in a question mark, of any script, quotes and brackets behind it aside. */
bool tm_slice_asks(struct tm_slice item);

/* The string of a JSON value, trimmed; false for other kinds, NUL inside, or nothing left. */
bool tm_slice_of_json(const struct tm_json *json, struct tm_slice *out);

/* Each reads its shape. text is valid UTF-8 without NUL, thoughts and outer fence removed.
 * TM_OK, TM_EPROTO, TM_ENOMEM. */
TM_CHECK enum tm_err tm_answer_read_sentiment(struct tm_slice text, struct tm_arena *arena,
					      struct tm_answer *out);

/* Reads the fields of the operation. */
TM_CHECK enum tm_err tm_answer_read_object(struct tm_slice text,
					   const struct tm_operation *operation,
					   struct tm_arena *arena, struct tm_answer *out);

/* No more items than the task asks for. out->shape is set. */
TM_CHECK enum tm_err tm_answer_read_list(struct tm_slice text, const struct tm_task *task,
					 struct tm_arena *arena, struct tm_answer *out);

#endif
