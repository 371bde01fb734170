/*
 * Many texts at once, by one worker, for a client that waits: the way of flow/process with its
 * round trips shared. All lookups are one, all starts of misses are one, and the calls run
 * side by side in one engine. Equal texts are done once.
 */
#ifndef TM_FLOW_BATCH_H
#define TM_FLOW_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/settings.h"
#include "flow/process.h"
#include "gate/keys.h"
#include "text/operation.h"

enum { TM_BATCH_ITEMS_MAX = 50 };	/* all questions of a batch go into one pipeline */

struct tm_batch_entry {
	const struct tm_task *task;	/* NULL: not valid; costs a request, and nothing is done */
	struct tm_outcome outcome;	/* of an entry with a task */
};

enum tm_batch_end {
	TM_BATCH_DONE,			/* every entry has its outcome */
	TM_BATCH_LIMITED,		/* 429 for the whole; nothing was run or spent */
	TM_BATCH_CONFLICT,		/* the id is another's; nothing was run or spent */
	TM_BATCH_ANSWERED,		/* it was answered before, with object; likewise */
	TM_BATCH_REDIS_DOWN,		/* 503; nothing was run */
	TM_BATCH_GONE,			/* the client has left */
	TM_BATCH_NOMEM
};

struct tm_batch_work {
	/* In. All borrowed. */
	const struct tm_settings *settings;
	const struct tm_principal *principal;
	struct tm_arena *arena;		/* outcomes' texts live here */
	const char *token;		/* the request's name in Redis: 32 hex digits */
	const char *id_claim;		/* where in Redis the batch's id is claimed, */
	const char *claim;		/* and by whom: 32 hex digits */
	bool no_cache, no_store, only_if_cached;	/* as struct tm_process */
	int64_t deadline_ms;		/* steady clock; of the whole */
	int64_t arrived_ms;		/* as struct tm_process */
	int watch_fd;			/* client's connection; -1 for none */
	/* Told as soon as an entry with a task has its outcome; may use Redis. NULL: nobody. */
	void (*ended)(void *arg, size_t index);
	void *arg;
	struct tm_batch_entry *entries;
	size_t count;			/* 1..TM_BATCH_ITEMS_MAX */
	/* Out. */
	enum tm_batch_end end;
	const char *object;		/* ANSWERED: in the arena */
	size_t object_len;
	struct tm_policy policies[TM_POLICIES_MAX];	/* what admission charged */
	size_t policies_count;
	struct tm_verdict verdict;	/* of those, if any; valid when DONE or LIMITED */
	int64_t redis_us, llm_us;
};

/*
 * Runs it. The claim stays until the deadline, and until tm_batch_keep on TM_BATCH_DONE; at every
 * other end it is gone, unless it is another's or had been answered.
 */
void tm_batch_run(struct tm_services *services, struct tm_batch_work *work);

/* Keeps what a batch that is done was answered with, for those who ask how it stands, for
 * life_ms; is not waited for. False: it is not kept. */
bool tm_batch_keep(struct tm_services *services, const struct tm_batch_work *work,
		   const char *object, size_t len, int64_t life_ms);

/* Sets first[i] to the first entry that has the same name as entry i (i itself where there is
 * none before it); names that are NULL are equal to none. */
void tm_batch_pair(const char *const *names, size_t count, size_t *first);

#endif
