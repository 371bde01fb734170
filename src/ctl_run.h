/*
 * textmillctl batch run in its parts: the file of requests (ctl_run_input.c), what was sent of it
 * (ctl_run_plan.c), the run itself (ctl_run.c); its calls have a header of their own.
 *
 * Functions that return int return TM_CTL_DONE, or TM_CTL_FAILED and have said why.
 */
#ifndef TM_CTL_RUN_H
#define TM_CTL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/buf.h"

enum {
	TM_RUN_ITEMS = 50,
	TM_RUN_BYTES = 900 * 1024,	/* of a batch or a single line; below limits.body */
	TM_RUN_ID_BYTES = 56,
	TM_RUN_DEPTH = 64		/* of JSON */
};

/* Standard error. On a terminal a bar may stand there, its line not ended. */
struct tm_run_screen {
	bool terminal, bar;
};

/* A line for a person, on a line of its own. Returns TM_CTL_FAILED. */
int tm_run_say(struct tm_run_screen *screen, const char *fmt, ...) TM_PRINTF(2, 3);

/* Between two lines of the file: bytes and lines before it. */
struct tm_run_place {
	off_t at;
	size_t line;
};

/* Consecutive requests as one body. Its id is the hash of their text and the first one's line. */
struct tm_run_batch {
	struct tm_buf body;	/* initialized by its owner */
	char id[TM_RUN_ID_BYTES];
	struct tm_run_place from, to;
	size_t count, lines[TM_RUN_ITEMS];	/* requests; the number of each one's line */
	bool noted;		/* by an earlier run or attempt: it may have been sent */
};

/* The file of requests, one JSON object a line. Blank lines count as lines only. */
struct tm_run_input {
	struct tm_run_screen *screen;
	const char *path;
	FILE *file;
	char *text;		/* the line in hand, without its end */
	size_t size;
	struct tm_run_place place;	/* behind that line: place.line is its number */
	off_t end;		/* what is appended behind it is another run's */
	size_t total;		/* requests */
};

/* Opens path and looks at every line. Close takes a zeroed one. */
int tm_run_input_open(struct tm_run_input *input, const char *path,
		      struct tm_run_screen *screen);
void tm_run_input_close(struct tm_run_input *input);

/* Reads at most most requests, 1..TM_RUN_ITEMS, that follow from. count 0: none follow. */
int tm_run_input_batch(struct tm_run_input *input, const struct tm_run_place *from, size_t most,
		       struct tm_run_batch *batch);

struct tm_run_entry {
	struct tm_run_place from;
	size_t line, count;	/* number of the first request's line; requests */
	char id[TM_RUN_ID_BYTES];
};

/* Where each batch begins and ends, noted in FILE.batches.jsonl before it is sent: later runs cut
 * the file at the same lines, whatever was appended and whatever the server takes by then. */
struct tm_run_plan {
	struct tm_run_input *input;	/* borrowed */
	char *path;
	FILE *file;
	struct tm_run_entry *list;
	size_t count, room;
	struct tm_run_place end;	/* behind the last batch */
};

/* Reads what was noted and sees that the input still says so. scratch: any batch. */
int tm_run_plan_open(struct tm_run_plan *plan, struct tm_run_input *input,
		     struct tm_run_batch *scratch);
void tm_run_plan_close(struct tm_run_plan *plan);	/* takes a zeroed one */

/* Batch number index, 0..plan->count; that of plan->count has at most most requests and is noted
 * now. batch->count 0: the input is at its end. */
int tm_run_plan_get(struct tm_run_plan *plan, size_t index, size_t most,
		    struct tm_run_batch *batch);

/* Puts batches of at most most requests in the place of one that the server never took. */
int tm_run_plan_split(struct tm_run_plan *plan, size_t index, size_t most,
		      struct tm_run_batch *scratch);

#endif
