/*
 * A small table of cells that is empty most of the time: each request adds to one cell and
 * the flush behind its answer sends it. Cells stay while Redis is away. The last places are
 * kept for "overflow", one per hour, so that a full table loses the split and not the sums.
 */
#include "record/usage.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/redis.h"

enum {
	ID_BYTES = 65, OPERATION_BYTES = 65, PREFIX_BYTES = 128,
	KEY_BYTES = PREFIX_BYTES + ID_BYTES + 64,
	OVERFLOW_HOURS = 24,
	ROOM_FIRST = 16,	/* cells; many gather only while Redis is away */
	EXPIRE_S = 35 * 24 * 3600
};

enum { REQUESTS, HITS, ERRORS, LLM_CALLS, INPUT_TOKENS, OUTPUT_TOKENS, GUARDED, COUNTERS };
static const char *const names[COUNTERS] = {
	"requests", "hits", "errors", "llm_calls", "input_tokens", "output_tokens", "guarded",
};

/* A pipeline's worth: after a long absence of Redis there is no flood. */
enum { SENT_MAX = TM_REDIS_PIPELINE / (COUNTERS + 1) };

struct cell {
	int64_t hour;		/* since 1970 */
	int64_t counts[COUNTERS];
	char key_id[ID_BYTES];
	char operation[OPERATION_BYTES];
};

struct tm_usage {
	char prefix[PREFIX_BYTES];
	struct cell *cells;
	size_t count, room, max;	/* in use; allocated; at most, without those of overflow */
	struct cell sent[SENT_MAX];	/* on their way; errors: Redis' when they left */
	size_t sent_count;
	uint64_t errors;
};

enum tm_err tm_usage_new(struct tm_usage **out, const char *prefix, size_t cells_max)
{
	struct tm_usage *usage;

	if (cells_max < 1 || cells_max > 100000 || strlen(prefix) >= PREFIX_BYTES)
		return TM_EINVAL;
	usage = calloc(1, sizeof(*usage));
	if (!usage)
		return TM_ENOMEM;
	usage->room = ROOM_FIRST;
	usage->cells = calloc(usage->room, sizeof(*usage->cells));
	if (!usage->cells) {
		free(usage);
		return TM_ENOMEM;
	}
	memcpy(usage->prefix, prefix, strlen(prefix) + 1);
	usage->max = cells_max;
	*out = usage;
	return TM_OK;
}

void tm_usage_free(struct tm_usage *usage)
{
	if (!usage)
		return;
	free(usage->cells);
	free(usage);
}

static struct cell *find(struct tm_usage *usage, int64_t hour, const char *key_id,
			 const char *operation)
{
	for (size_t i = 0; i < usage->count; i++) {
		struct cell *cell = &usage->cells[i];

		if (cell->hour == hour && strcmp(cell->key_id, key_id) == 0 &&
		    strcmp(cell->operation, operation) == 0)
			return cell;
	}
	return NULL;
}

/* Whether there is room for one cell more. */
static bool grow(struct tm_usage *usage)
{
	size_t most = usage->max + OVERFLOW_HOURS;
	size_t room = 2 * usage->room < most ? 2 * usage->room : most;
	struct cell *cells;

	if (usage->count < usage->room)
		return true;
	cells = room > usage->room ? realloc(usage->cells, room * sizeof(*cells)) : NULL;
	if (!cells)
		return false;
	usage->cells = cells;
	usage->room = room;
	return true;
}

/* The cell for an event, at worst the last one: with more hours behind than overflow has
 * places for, the split by hour goes too. */
static struct cell *cell_for(struct tm_usage *usage, int64_t hour, const char *key_id,
			     const char *operation)
{
	struct cell *cell = find(usage, hour, key_id, operation);

	if (!cell && (usage->count >= usage->max || !grow(usage))) {
		key_id = operation = "overflow";
		cell = find(usage, hour, key_id, operation);
		if (!cell && !grow(usage))
			cell = &usage->cells[usage->count - 1];
	}
	if (!cell) {
		cell = &usage->cells[usage->count++];
		*cell = (struct cell){.hour = hour};
		(void)snprintf(cell->key_id, sizeof(cell->key_id), "%s", key_id);
		(void)snprintf(cell->operation, sizeof(cell->operation), "%s", operation);
	}
	return cell;
}

void tm_usage_add(struct tm_usage *usage, const struct tm_usage_event *event)
{
	struct cell *cell = cell_for(usage, event->at_ms / 3600000,
				     event->key_id[0] ? event->key_id : "-",
				     event->operation[0] ? event->operation : "-");

	cell->counts[REQUESTS]++;
	cell->counts[HITS] += event->hit ? 1 : 0;
	cell->counts[ERRORS] += event->status >= 400 ? 1 : 0;
	cell->counts[LLM_CALLS] += event->llm_calls;
	cell->counts[INPUT_TOKENS] += event->input_tokens;
	cell->counts[OUTPUT_TOKENS] += event->output_tokens;
	cell->counts[GUARDED] += event->guarded ? 1 : 0;
}

static void queue_cell(const struct tm_usage *usage, const struct cell *cell,
		       struct tm_redis *redis)
{
	char key[KEY_BYTES];
	time_t when = (time_t)(cell->hour * 3600);
	struct tm day;

	if (!gmtime_r(&when, &day))
		return;
	(void)snprintf(key, sizeof(key), "%susage:{%s}:%04d%02d%02d%02d", usage->prefix,
		       cell->key_id, day.tm_year + 1900, day.tm_mon + 1, day.tm_mday, day.tm_hour);
	for (int i = 0; i < COUNTERS; i++)
		if (cell->counts[i])
			tm_redis_queuef(redis, "HINCRBY %s %s:%s %lld", key, cell->operation,
					names[i], (long long)cell->counts[i]);
	tm_redis_queuef(redis, "EXPIRE %s %d", key, (int)EXPIRE_S);
}

bool tm_usage_pending(const struct tm_usage *usage)
{
	return usage->count > 0 || usage->sent_count > 0;
}

/* Puts what Redis has refused back to what gathers. */
static void take_back(struct tm_usage *usage)
{
	for (size_t i = 0; i < usage->sent_count; i++) {
		const struct cell *sent = &usage->sent[i];
		struct cell *cell = cell_for(usage, sent->hour, sent->key_id, sent->operation);

		for (int k = 0; k < COUNTERS; k++)
			cell->counts[k] += sent->counts[k];
	}
}

void tm_usage_flush(struct tm_usage *usage, struct tm_redis *redis)
{
	size_t count;
	enum tm_err err;

	if (usage->sent_count > 0) {
		tm_redis_poll(redis);
		if (!tm_redis_sent_over(redis))
			return;
		if (tm_redis_sent_errors(redis) != usage->errors)
			take_back(usage);
		usage->sent_count = 0;
	}
	count = usage->count < SENT_MAX ? usage->count : SENT_MAX;
	usage->errors = tm_redis_sent_errors(redis);
	for (size_t i = usage->count - count; i < usage->count; i++)
		queue_cell(usage, &usage->cells[i], redis);
	err = tm_redis_send(redis);
	tm_redis_end(redis);
	if (err)
		return;
	usage->count -= count;
	usage->sent_count = count;
	memcpy(usage->sent, &usage->cells[usage->count], count * sizeof(*usage->sent));
}

void tm_usage_finish(struct tm_usage *usage, struct tm_redis *redis)
{
	enum tm_err err = TM_OK;

	/* As often as there are pipelines' worths, and once more to hear of the last. */
	for (size_t left = usage->count / SENT_MAX + 2; left > 0 && err == TM_OK; left--) {
		tm_usage_flush(usage, redis);
		if (!tm_usage_pending(usage))
			return;
		(void)tm_redis_queuef(redis, "PING");	/* answered behind what was sent */
		err = tm_redis_run(redis);
		tm_redis_end(redis);
	}
}
