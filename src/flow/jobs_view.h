/* Asynchronous batches from outside: how one stands, its cancelling, and the list of all. */
#ifndef TM_FLOW_JOBS_VIEW_H
#define TM_FLOW_JOBS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct tm_redis;

/* One item: its result, or where it stands. */
struct tm_jobs_item_view {
	const char *result;	/* JSON; NULL: none yet */
	size_t len;
	bool running;
};

/* A batch. Texts live in the arena. */
struct tm_jobs_view {
	const char *status;	/* "pending", "processing", "completed", "cancelled" */
	const char *key_id;	/* who submitted it */
	int64_t total, completed, failed, cancelled;
	int64_t created_ms, finished_ms;	/* wall clock; finished 0: not yet */
	int64_t now_ms;				/* Redis' clock */
	const char *waiting;	/* "llm_quota", "llm_unavailable"; "" for nothing */
	int64_t waiting_until_ms;
	struct tm_jobs_item_view *items;	/* total of them */
};

/* The batch of a claim (tm_batch_key). cancel: items that nobody has in hand are over first.
 * TM_OK; TM_ENOENT no such batch; else Redis' trouble, or TM_ENOMEM. */
TM_CHECK enum tm_err tm_jobs_look(struct tm_redis *redis, const char *prefix, const char *key,
				  bool cancel, struct tm_arena *arena, struct tm_jobs_view *out);

/*
 * Claims of asynchronous batches, newest first, from the arena; those that have expired are
 * among them.
 *
 * skip, most  which part of the list; most at most 1000
 *
 * TM_OK, *count of them; else Redis' trouble, or TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_jobs_list(struct tm_redis *redis, const char *prefix, size_t skip,
				  size_t most, struct tm_arena *arena, const char ***out,
				  size_t *count);

#endif
