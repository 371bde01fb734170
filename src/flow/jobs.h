/*
 * Asynchronous batches: accepted in one step, worked on item by item by whichever job worker is
 * free, finished whatever dies on the way.
 *
 * Items wait in a Redis stream with a consumer group. An item in a worker's hand is pending in the
 * group; its worker renews it every second, and loses it to another when silent for
 * jobs.claim_after. Whoever finishes first is the item's result; who comes later changes nothing.
 * Items that may not run yet (no LLM quota, no place) are put aside and come back.
 *
 *   <prefix>jobs             the stream: b the batch's claim, i the item's index
 *   <prefix>jobs:later       items put aside, by the time they are due
 *   <prefix>jobs:batches     claims by the time of their making, for lists
 *   <prefix>jobs:survivors   how many items completed after a worker had died over them
 *   <prefix>batch:{user:id}  the claim (api/batch); beside it
 *     :state     hash: who, when, status, counts; of an item that was given out: base<index>
 *                survivors when that was first, begun<index> while its worker is known to have it,
 *                lost<index> how often such a worker has died
 *     :items     hash: index to request, while there is no result
 *     :results   hash: index to result
 *     :running   indexes in a worker's hand, with the time their leases lapse
 *     :parked    indexes put aside for want of a place (batch.concurrency)
 *
 * An item over which workers die is poison after jobs.deliveries_max deaths, those not counted that
 * others which were lost likewise and then completed show to have another cause (job_take.lua).
 *
 * The stream and a batch's keys lie in different slots and are changed together: this needs one
 * Redis, with or without Sentinel, no Cluster. Redis 6.2 or newer.
 */
#ifndef TM_FLOW_JOBS_H
#define TM_FLOW_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/settings.h"
#include "gate/keys.h"

struct tm_redis;

enum { TM_JOB_ENTRY_BYTES = 48, TM_JOB_WORKER_BYTES = 64 };

/* What all items of a batch have in common. */
struct tm_job_batch {
	const char *key;		/* the claim: tm_batch_key's; in the arena when taken */
	struct tm_principal principal;	/* the caller as it was when it submitted */
	const char *request_id;		/* of the request that submitted it */
	const char *token;		/* likewise: its claim, 32 hex digits; not of one taken */
	bool no_cache, no_store, only_if_cached;	/* that request's Cache-Control */
	const char *overrides;		/* its location's settings: "NAME=value" and a NUL each */
	size_t overrides_len;
	int64_t concurrency;		/* items in workers' hands at once, >= 1 */
};

/* One item to submit. */
struct tm_job_item {
	const char *text;	/* its request; of an invalid one its result, both JSON */
	size_t len;
	bool failed;
};

/*
 * Accepts a batch. life and bounds are settings' (jobs.*). All borrowed.
 *
 * TM_OK accepted and safe, now or, *before, earlier with the same token; TM_EEXIST the id is taken,
 * TM_DENIED too much waits already: nothing was done. TM_ETIME, TM_EIO, TM_EPROTO Redis failed now
 * and may have accepted it; TM_EUNAVAIL Redis is away, TM_ENOMEM: nothing was done.
 */
TM_CHECK enum tm_err tm_jobs_submit(struct tm_redis *redis, const struct tm_settings *settings,
				    struct tm_arena *arena, const struct tm_job_batch *batch,
				    const struct tm_job_item *items, size_t count, bool *before);

/* A worker's side of the queue. */
struct tm_jobs {
	struct tm_redis *redis;
	const struct tm_settings *settings;
	char worker[TM_JOB_WORKER_BYTES];	/* host, pid and chance */
	int64_t tidied_ms;			/* steady clock */
};

void tm_jobs_init(struct tm_jobs *jobs, struct tm_redis *redis, const struct tm_settings *settings);

/* An item in hand; texts live in the arena it was taken with. */
struct tm_job {
	struct tm_job_batch batch;
	char entry[TM_JOB_ENTRY_BYTES];
	size_t index;
	int64_t deaths;			/* of workers that had begun it */
	bool poison;			/* they died of it */
	const char *text;		/* the request */
	size_t len;
};

/* Takes the next item. TM_OK; TM_ENOENT none to be had now; else Redis' trouble, or TM_ENOMEM. */
TM_CHECK enum tm_err tm_jobs_take(struct tm_jobs *jobs, struct tm_arena *arena, struct tm_job *out);

/* The work begins: from here on the worker's death is held against the item. And: it goes on.
 * Neither waits. */
void tm_jobs_begin(struct tm_jobs *jobs, const struct tm_job *job);
void tm_jobs_renew(struct tm_jobs *jobs, const struct tm_job *job);

/* Its result: completed, or failed. TM_OK recorded; TM_EEXIST it had one, or its batch is gone;
 * else Redis' trouble: to be tried again. */
TM_CHECK enum tm_err tm_jobs_finish(struct tm_jobs *jobs, const struct tm_job *job, bool completed,
				    const char *result, size_t len);

/*
 * It cannot run now and comes back after delay_ms.
 * why  "llm_quota", "llm_unavailable": the batch says so, and none of its items runs before;
 *      "": this item alone waits
 *
 * TM_OK; TM_EEXIST as finish; TM_DENIED the batch would not live to see it: nothing was done;
 * else Redis' trouble: to be tried again.
 */
TM_CHECK enum tm_err tm_jobs_put_back(struct tm_jobs *jobs, const struct tm_job *job,
				      int64_t delay_ms, const char *why);

#endif
