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
	EXPIRE_S = 35 * 24 * 3600,
	SENDS_MAX = 7		/* per flush: no flood after a long absence of Redis */
};

enum { REQUESTS, HITS, ERRORS, LLM_CALLS, INPUT_TOKENS, OUTPUT_TOKENS, GUARDED, COUNTERS };
static const char *const names[COUNTERS] = {
	"requests", "hits", "errors", "llm_calls", "input_tokens", "output_tokens", "guarded",
};

struct cell {
	int64_t hour;		/* since 1970 */
	int64_t counts[COUNTERS];
	char key_id[ID_BYTES];
	char operation[OPERATION_BYTES];
};

struct tm_usage {
	char prefix[PREFIX_BYTES];
	struct cell *cells;
	size_t count, max;	/* in use; without those of overflow */
};

enum tm_err tm_usage_new(struct tm_usage **out, const char *prefix, size_t cells_max)
{
	struct tm_usage *usage;

	if (cells_max < 1 || cells_max > 100000 || strlen(prefix) >= PREFIX_BYTES)
		return TM_EINVAL;
	usage = calloc(1, sizeof(*usage));
	if (!usage)
		return TM_ENOMEM;
	usage->cells = calloc(cells_max + OVERFLOW_HOURS, sizeof(*usage->cells));
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

/* The cell for an event, at worst the last one: with more hours behind than overflow has
 * places for, the split by hour goes too. */
static struct cell *cell_for(struct tm_usage *usage, int64_t hour, const char *key_id,
			     const char *operation)
{
	struct cell *cell = find(usage, hour, key_id, operation);

	if (!cell && usage->count >= usage->max) {
		key_id = operation = "overflow";
		cell = find(usage, hour, key_id, operation);
		if (!cell && usage->count >= usage->max + OVERFLOW_HOURS)
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
	return usage->count > 0;
}

void tm_usage_flush(struct tm_usage *usage, struct tm_redis *redis)
{
	const size_t at_once = TM_REDIS_PIPELINE / (COUNTERS + 1);

	for (int sends = 0; usage->count > 0 && sends < SENDS_MAX; sends++) {
		size_t first = usage->count > at_once ? usage->count - at_once : 0;
		enum tm_err err;

		for (size_t i = first; i < usage->count; i++)
			queue_cell(usage, &usage->cells[i], redis);
		err = tm_redis_send(redis);
		tm_redis_end(redis);
		if (err)
			return;
		usage->count = first;
	}
}
