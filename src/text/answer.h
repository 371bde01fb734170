/* Reading what an LLM answered, tolerantly, into the operation's shape; and writing it out. */
#ifndef TM_TEXT_ANSWER_H
#define TM_TEXT_ANSWER_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "text/operation.h"

struct tm_answer {
	enum tm_shape shape;
	const char *result;		/* TM_SHAPE_RESULT */
	const char *sentiment;		/* "positive", "negative", "neutral" */
	double confidence;		/* 0..1 */
	const char *explanation;
	const char *const *items;	/* key points, questions, a list's items */
	size_t count;
	const char *object;		/* TM_SHAPE_OBJECT: JSON with exactly the named fields */
};

/*
 * Reads one answer. Code fences, numbering, bullets, prose around JSON, single quotes around
 * labels, confidence as a percentage are understood; what is not there is not invented.
 *
 * text   any bytes the provider sent; validated as UTF-8 here
 * arena  holds the answer's strings
 *
 * TM_OK; TM_EPROTO the answer does not have the operation's shape, or is empty; TM_EUTF8;
 * TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_answer_read(const struct tm_task *task, const char *text, size_t len,
				    struct tm_arena *arena, struct tm_answer *out);

/* Writes the members result, sentiment, key_points, questions, each value or null, without
 * braces around them. */
void tm_answer_write(const struct tm_answer *answer, struct tm_buf *out);

#endif
