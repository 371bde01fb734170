/*
 * POST /v1/batch_process: the batch as sent, and the objects of API.md that a batch is answered
 * with. Shared by the answer that waits for all items and by the one that does not (api/jobs).
 */
#ifndef TM_API_BATCH_H
#define TM_API_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/route.h"
#include "api/validate.h"
#include "base/buf.h"
#include "flow/process.h"
#include "io/json.h"

enum { TM_BATCH_ID_MAX = 64 };

/* One item as sent. */
struct tm_batch_item {
	const struct tm_json *json;	/* the item itself, whatever it is: tm_json_put gives its
					 * text, and tm_validate of that text the same input */
	struct tm_input input;		/* errors_count > 0: it fails alone */
	bool guarded;			/* the guard has noticed it */
};

/* A batch as sent, lives as long as the request and its JSON. */
struct tm_batch {
	char id[TM_BATCH_ID_MAX + 1];	/* given, or the request's claim */
	struct tm_batch_item *items;
	size_t count;			/* 1..limits.batch_max */
};

/*
 * Reads the body into batch; *json owns what the items borrow, to be freed by the caller, also
 * after a failure. False: the response is the 400, 422 or 503 already.
 */
bool tm_batch_read(struct tm_context *context, struct tm_json **json, struct tm_batch *batch);

/*
 * Where batch ids are claimed: "<prefix>batch:{<user>:<id>}", a string that lives
 * jobs.ttl. Its value tells what the batch is: "sync <token> <count> <since>" one that is answered
 * by its own request and still runs, since in ms of the wall clock; "done <token> {...}" the object
 * that such a one was answered with; "job" one that api/jobs runs, with everything else in keys of
 * its own. token is the request's claim.
 */
enum { TM_BATCH_KEY_BYTES = 256 };
void tm_batch_key(const char *prefix, const char *user, const char *id,
		  char out[TM_BATCH_KEY_BYTES]);

/* Makes the response the 409 of an id that is claimed. */
void tm_batch_say_conflict(struct tm_context *context, const char *id);

/*
 * Writes the result object of one item that has ended: its answer, or the problem that a single
 * request would have got. outcome NULL: the item is invalid. Of request id, start_us, arena and
 * principal are used. True: completed; false: failed.
 */
bool tm_batch_put_result(struct tm_buf *out, const struct tm_request *request, size_t index,
			 const struct tm_input *input, const struct tm_outcome *outcome);

/* The same of an item that has not ended, or never will: status is "pending", "processing" or
 * "cancelled"; response and error are null. */
void tm_batch_put_unanswered(struct tm_buf *out, size_t index, const char *status);

/* What is said of a batch around its results. */
struct tm_batch_sum {
	const char *id;
	const char *status;		/* "pending", "processing", "completed", "cancelled" */
	size_t total, completed, failed;
	int64_t elapsed_us;		/* total_processing_time */
	int64_t wall_ms;		/* timestamp */
	const char *waiting;		/* what the batch waits for; NULL or "" for nothing */
	int64_t waiting_until_ms;	/* wall clock */
};

/* Writes the batch object: open, then the results with commas between, then close. */
void tm_batch_put_open(struct tm_buf *out, const struct tm_batch_sum *sum);
void tm_batch_put_close(struct tm_buf *out, const struct tm_batch_sum *sum);

/* Defined in api/jobs.c. Answers a batch whose request prefers not to wait (Prefer:
 * respond-async, wait=N): claims the id, hands the items over, 202. */
void tm_jobs_submit_route(struct tm_context *context, const struct tm_batch *batch);

/* Likewise: how long such a request may wait for the batch's end (Prefer: wait=N), ms. */
int64_t tm_jobs_wait_ms(const struct tm_request *request);

#endif
