/* A look is one script, so that counts, results and what runs belong to the same moment. */
#include "flow/jobs_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis.h"

enum { NAME_BYTES = 128, ITEMS_MAX = 100000, LIST_MAX = 1000 };

static int64_t number(const struct tm_reply *reply)
{
	return reply->kind == TM_REPLY_TEXT ? strtoll(reply->text, NULL, 10) : 0;
}

static enum tm_err read_text(const struct tm_reply *reply, struct tm_arena *arena,
			     const char **out)
{
	*out = tm_arena_dup(arena, reply->text, reply->len);
	return *out ? TM_OK : TM_ENOMEM;
}

static enum tm_err read_field(const char *name, const struct tm_reply *value,
			      struct tm_arena *arena, struct tm_jobs_view *out)
{
	const struct {
		const char *name;
		int64_t *number;
		const char **text;
	} fields[] = {
		{"status", NULL, &out->status}, {"key", NULL, &out->key_id},
		{"waiting", NULL, &out->waiting}, {"total", &out->total, NULL},
		{"completed", &out->completed, NULL}, {"failed", &out->failed, NULL},
		{"cancelled", &out->cancelled, NULL}, {"created", &out->created_ms, NULL},
		{"finished", &out->finished_ms, NULL},
		{"waiting_until", &out->waiting_until_ms, NULL},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(fields[i].name, name) != 0)
			continue;
		if (fields[i].text)
			return read_text(value, arena, fields[i].text);
		*fields[i].number = number(value);
	}
	return TM_OK;
}

static enum tm_err read_state(const struct tm_reply *state, struct tm_arena *arena,
			      struct tm_jobs_view *out)
{
	enum tm_err err = state->kind == TM_REPLY_ARRAY ? TM_OK : TM_EPROTO;

	out->status = "pending";
	out->waiting = out->key_id = "";
	for (size_t i = 0; err == TM_OK && i + 1 < state->count; i += 2)
		err = read_field(state->items[i].text, &state->items[i + 1], arena, out);
	if (err == TM_OK && (out->total < 1 || out->total > ITEMS_MAX))
		err = TM_EPROTO;
	/* What a wait was for is over with it. */
	if (out->waiting_until_ms <= out->now_ms || out->finished_ms) {
		out->waiting = "";
		out->waiting_until_ms = 0;
	}
	return err;
}

static enum tm_err read_items(const struct tm_reply *results, const struct tm_reply *running,
			      struct tm_arena *arena, struct tm_jobs_view *out)
{
	size_t total = (size_t)out->total;
	enum tm_err err = TM_OK;

	out->items = tm_arena_alloc(arena, total * sizeof(*out->items));
	if (!out->items)
		return TM_ENOMEM;
	for (size_t i = 0; err == TM_OK && i < total && i < results->count; i++) {
		if (results->items[i].kind != TM_REPLY_TEXT)
			continue;
		out->items[i].len = results->items[i].len;
		err = read_text(&results->items[i], arena, &out->items[i].result);
	}
	for (size_t i = 0; i < running->count; i++) {
		int64_t index = number(&running->items[i]);

		if (index >= 0 && index < out->total)
			out->items[index].running = true;
	}
	return err;
}

static enum tm_err read_view(const struct tm_reply *reply, struct tm_arena *arena,
			     struct tm_jobs_view *out)
{
	enum tm_err err;

	if (reply->kind != TM_REPLY_ARRAY)
		return TM_EPROTO;
	if (reply->count == 0)
		return TM_ENOENT;
	if (reply->count != 4)
		return TM_EPROTO;
	out->now_ms = number(&reply->items[3]);
	err = read_state(&reply->items[0], arena, out);
	if (err == TM_OK)
		err = read_items(&reply->items[1], &reply->items[2], arena, out);
	return err;
}

enum tm_err tm_jobs_look(struct tm_redis *redis, const char *prefix, const char *key, bool cancel,
			 struct tm_arena *arena, struct tm_jobs_view *out)
{
	char later[NAME_BYTES];
	const char *argv[] = {key, later, cancel ? "cancel" : "look"};
	size_t lens[3];
	enum tm_err err;
	int index;

	*out = (struct tm_jobs_view){0};
	(void)snprintf(later, sizeof(later), "%.64sjobs:later", prefix);
	for (size_t i = 0; i < 3; i++)
		lens[i] = strlen(argv[i]);
	index = tm_redis_queue_script(redis, TM_SCRIPT_JOB_VIEW, 2, 3, argv, lens);
	err = tm_redis_run(redis);
	if (err == TM_OK)
		err = read_view(tm_redis_reply(redis, index), arena, out);
	tm_redis_end(redis);
	return err;
}

enum tm_err tm_jobs_list(struct tm_redis *redis, const char *prefix, size_t skip, size_t most,
			 struct tm_arena *arena, const char ***out, size_t *count)
{
	const struct tm_reply *reply;
	const char **keys = NULL;
	enum tm_err err;
	int index;

	if (most < 1 || most > LIST_MAX)
		return TM_EINVAL;
	index = tm_redis_queuef(redis, "ZREVRANGE %sjobs:batches %lld %lld", prefix,
				(long long)skip, (long long)(skip + most - 1));
	err = tm_redis_run(redis);
	reply = tm_redis_reply(redis, index);
	if (err == TM_OK && reply->kind != TM_REPLY_ARRAY)
		err = TM_EPROTO;
	if (err == TM_OK) {
		keys = tm_arena_alloc(arena, (reply->count + 1) * sizeof(*keys));
		err = keys ? TM_OK : TM_ENOMEM;
	}
	for (size_t i = 0; err == TM_OK && i < reply->count; i++)
		err = read_text(&reply->items[i], arena, &keys[i]);
	if (err == TM_OK) {
		*out = keys;
		*count = reply->count;
	}
	tm_redis_end(redis);
	return err;
}
