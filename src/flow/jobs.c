/*
 * The queue's commands, as scripts' calls. A batch's state is a hash of words, written here when
 * it is submitted and read here when one of its items is taken; scripts add status and counts.
 */
#include "flow/jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "io/redis.h"

enum {
	NAME_BYTES = 128, NUMBER_BYTES = 24,
	STATE_FIELDS = 12,	/* of put_state */
	SUBMIT_KEYS = 4, SUBMIT_ARGS = 4,
	TIDY_MS = 60 * 1000
};

/* A script's words. */
struct words {
	const char **argv;
	size_t *lens;
	int count;
};

static void add(struct words *words, const char *text, size_t len)
{
	words->argv[words->count] = text;
	words->lens[words->count++] = len;
}

static void add_text(struct words *words, const char *text)
{
	add(words, text, strlen(text));
}

static void add_number(struct words *words, char room[NUMBER_BYTES], int64_t value)
{
	(void)snprintf(room, NUMBER_BYTES, "%" PRId64, value);
	add_text(words, room);
}

/* What the answer of a script's single command is; consumes the pipeline but for its texts. */
static enum tm_err run(struct tm_redis *redis, int index, const struct tm_reply **reply)
{
	enum tm_err err = tm_redis_run(redis);

	*reply = tm_redis_reply(redis, index);
	if (err == TM_OK && (*reply)->kind == TM_REPLY_ERROR)
		err = TM_EPROTO;
	return err;
}

struct names {
	char stream[NAME_BYTES], later[NAME_BYTES], batches[NAME_BYTES], survivors[NAME_BYTES];
};

static void name_all(struct names *names, const char *prefix)
{
	(void)snprintf(names->stream, NAME_BYTES, "%.64sjobs", prefix);
	(void)snprintf(names->later, NAME_BYTES, "%.64sjobs:later", prefix);
	(void)snprintf(names->batches, NAME_BYTES, "%.64sjobs:batches", prefix);
	(void)snprintf(names->survivors, NAME_BYTES, "%.64sjobs:survivors", prefix);
}

struct numbers {
	char ttl[NUMBER_BYTES], most[NUMBER_BYTES], items[NUMBER_BYTES], fields[NUMBER_BYTES];
	char permissions[NUMBER_BYTES], hour[NUMBER_BYTES], expires[NUMBER_BYTES];
	char concurrency[NUMBER_BYTES];
};

static void put_state(struct words *words, struct numbers *numbers,
		      const struct tm_job_batch *batch)
{
	const struct tm_principal *who = &batch->principal;

	add_text(words, "user");
	add_text(words, who->user);
	add_text(words, "key");
	add_text(words, who->id);
	add_text(words, "permissions");
	add_number(words, numbers->permissions, who->permissions);
	add_text(words, "hour");
	add_number(words, numbers->hour, who->hour);
	add_text(words, "expires");
	add_number(words, numbers->expires, who->expires_ms);
	add_text(words, "request");
	add_text(words, batch->request_id);
	add_text(words, "token");
	add_text(words, batch->token);
	add_text(words, "no_cache");
	add_text(words, batch->no_cache ? "1" : "0");
	add_text(words, "no_store");
	add_text(words, batch->no_store ? "1" : "0");
	add_text(words, "only_if_cached");
	add_text(words, batch->only_if_cached ? "1" : "0");
	add_text(words, "overrides");
	add(words, batch->overrides, batch->overrides_len);
	add_text(words, "concurrency");
	add_number(words, numbers->concurrency, batch->concurrency);
}

enum tm_err tm_jobs_submit(struct tm_redis *redis, const struct tm_settings *settings,
			   struct tm_arena *arena, const struct tm_job_batch *batch,
			   const struct tm_job_item *items, size_t count, bool *before)
{
	const size_t room = SUBMIT_KEYS + SUBMIT_ARGS + 2 * STATE_FIELDS + 2 * count;
	struct words words = {.argv = tm_arena_alloc(arena, room * sizeof(*words.argv)),
			      .lens = tm_arena_alloc(arena, room * sizeof(*words.lens))};
	const struct tm_reply *reply;
	struct numbers numbers;
	struct names names;
	enum tm_err err;
	int index;

	if (!words.argv || !words.lens)
		return TM_ENOMEM;
	name_all(&names, settings->redis.prefix);
	add_text(&words, batch->key);
	add_text(&words, names.stream);
	add_text(&words, names.later);
	add_text(&words, names.batches);
	add_number(&words, numbers.ttl, settings->jobs.ttl_ms);
	add_number(&words, numbers.most, settings->jobs.max_pending);
	add_number(&words, numbers.items, (int64_t)count);
	add_number(&words, numbers.fields, STATE_FIELDS);
	put_state(&words, &numbers, batch);
	for (size_t i = 0; i < count; i++) {
		add_text(&words, items[i].failed ? "failed" : "ask");
		add(&words, items[i].text, items[i].len);
	}
	index = tm_redis_queue_script(redis, TM_SCRIPT_JOB_SUBMIT, SUBMIT_KEYS, words.count,
				      words.argv, words.lens);
	err = run(redis, index, &reply);
	*before = err == TM_OK && reply->integer == 2;
	if (err == TM_OK && reply->integer < 1)
		err = reply->integer == 0 ? TM_EEXIST : TM_DENIED;
	tm_redis_end(redis);
	return err;
}

void tm_jobs_init(struct tm_jobs *jobs, struct tm_redis *redis, const struct tm_settings *settings)
{
	char host[32] = "";

	*jobs = (struct tm_jobs){.redis = redis, .settings = settings};
	if (gethostname(host, sizeof(host) - 1))
		host[0] = '\0';
	(void)snprintf(jobs->worker, sizeof(jobs->worker), "%.31s:%d:%08" PRIx32, host,
		       (int)getpid(), (uint32_t)tm_random_u64());
}

static int64_t number(const struct tm_reply *reply)
{
	return strtoll(reply->text, NULL, 10);
}

static enum tm_err read_text(const struct tm_reply *reply, struct tm_arena *arena,
			     const char **out)
{
	*out = tm_arena_dup(arena, reply->text, reply->len);
	return *out ? TM_OK : TM_ENOMEM;
}

static enum tm_err read_bytes(const struct tm_reply *reply, struct tm_arena *arena,
			      const char **out, size_t *len)
{
	*len = reply->len;
	return read_text(reply, arena, out);
}

static void copy(char *into, size_t size, const struct tm_reply *reply)
{
	(void)snprintf(into, size, "%s", reply->text);
}

/* One word of a batch's state. */
static enum tm_err read_field(struct tm_job_batch *batch, const char *name,
			      const struct tm_reply *value, struct tm_arena *arena)
{
	struct tm_principal *who = &batch->principal;

	if (strcmp(name, "user") == 0)
		copy(who->user, sizeof(who->user), value);
	else if (strcmp(name, "key") == 0)
		copy(who->id, sizeof(who->id), value);
	else if (strcmp(name, "permissions") == 0)
		who->permissions = (unsigned)number(value);
	else if (strcmp(name, "hour") == 0)
		who->hour = number(value);
	else if (strcmp(name, "expires") == 0)
		who->expires_ms = number(value);
	else if (strcmp(name, "request") == 0)
		return read_text(value, arena, &batch->request_id);
	else if (strcmp(name, "no_cache") == 0)
		batch->no_cache = number(value) != 0;
	else if (strcmp(name, "no_store") == 0)
		batch->no_store = number(value) != 0;
	else if (strcmp(name, "only_if_cached") == 0)
		batch->only_if_cached = number(value) != 0;
	else if (strcmp(name, "overrides") == 0)
		return read_bytes(value, arena, &batch->overrides, &batch->overrides_len);
	else if (strcmp(name, "concurrency") == 0)
		batch->concurrency = number(value);
	return TM_OK;
}

enum { TAKEN_FIXED = 6 };

/* {"none"}, or what job_take.lua says of an item. */
static enum tm_err read_taken(const struct tm_reply *reply, struct tm_arena *arena,
			      struct tm_job *out)
{
	const struct tm_reply *items = reply->items;
	enum tm_err err;

	if (reply->kind != TM_REPLY_ARRAY || reply->count < 1)
		return TM_EPROTO;
	if (reply->count == 1 && items[0].kind == TM_REPLY_TEXT)
		return TM_ENOENT;
	if (reply->count < TAKEN_FIXED || reply->count % 2 != 0)
		return TM_EPROTO;
	for (size_t i = 0; i < reply->count; i++)
		if (items[i].kind != TM_REPLY_TEXT)
			return TM_EPROTO;
	out->poison = strcmp(items[0].text, "poison") == 0;
	copy(out->entry, sizeof(out->entry), &items[1]);
	out->index = (size_t)number(&items[3]);
	out->deaths = number(&items[4]);
	out->len = items[5].len;
	out->batch.request_id = "";
	err = read_text(&items[2], arena, &out->batch.key);
	if (err == TM_OK)
		err = read_text(&items[5], arena, &out->text);
	for (size_t i = TAKEN_FIXED; err == TM_OK && i < reply->count; i += 2)
		err = read_field(&out->batch, items[i].text, &items[i + 1], arena);
	return err;
}

static bool tidy_due(struct tm_jobs *jobs)
{
	int64_t now_ms = tm_clock_mono_ms();

	if (jobs->tidied_ms && now_ms - jobs->tidied_ms < TIDY_MS)
		return false;
	jobs->tidied_ms = now_ms;
	return true;
}

enum tm_err tm_jobs_take(struct tm_jobs *jobs, struct tm_arena *arena, struct tm_job *out)
{
	const struct tm_settings *settings = jobs->settings;
	char claim_after[NUMBER_BYTES], most[NUMBER_BYTES], keep[NUMBER_BYTES];
	const char *argv[8];
	size_t lens[8];
	struct words words = {.argv = argv, .lens = lens};
	const struct tm_reply *reply;
	struct names names;
	enum tm_err err;
	int index;

	*out = (struct tm_job){0};
	name_all(&names, settings->redis.prefix);
	add_text(&words, names.stream);
	add_text(&words, names.later);
	add_text(&words, names.survivors);
	add_text(&words, jobs->worker);
	add_number(&words, claim_after, settings->jobs.claim_after_ms);
	add_number(&words, most, settings->jobs.deliveries_max);
	add_number(&words, keep, 2 * settings->jobs.ttl_ms);
	add_text(&words, tidy_due(jobs) ? "1" : "0");
	index = tm_redis_queue_script(jobs->redis, TM_SCRIPT_JOB_TAKE, 3, words.count, argv, lens);
	err = run(jobs->redis, index, &reply);
	if (err == TM_OK)
		err = read_taken(reply, arena, out);
	tm_redis_end(jobs->redis);
	return err;
}

/* The start of a job_end.lua call; more words may follow. */
struct end_call {
	const char *argv[10];
	size_t lens[10];
	struct words words;
	struct names names;
	char index[NUMBER_BYTES], keep[NUMBER_BYTES];
};

static void begin_end(struct end_call *call, const struct tm_jobs *jobs, const struct tm_job *job,
		      const char *op)
{
	call->words = (struct words){.argv = call->argv, .lens = call->lens};
	name_all(&call->names, jobs->settings->redis.prefix);
	add_text(&call->words, call->names.stream);
	add_text(&call->words, call->names.later);
	add_text(&call->words, job->batch.key);
	add_text(&call->words, call->names.survivors);
	add_text(&call->words, job->entry);
	add_number(&call->words, call->index, (int64_t)job->index);
	add_text(&call->words, op);
}

static int queue_end(struct tm_jobs *jobs, const struct end_call *call)
{
	return tm_redis_queue_script(jobs->redis, TM_SCRIPT_JOB_END, 4, call->words.count,
				     call->argv, call->lens);
}

static void tell(struct tm_jobs *jobs, const struct tm_job *job, const char *op)
{
	char claim_after[NUMBER_BYTES];
	struct end_call call;
	enum tm_err err;

	begin_end(&call, jobs, job, op);
	add_text(&call.words, jobs->worker);
	add_number(&call.words, claim_after, jobs->settings->jobs.claim_after_ms);
	(void)queue_end(jobs, &call);
	err = tm_redis_send(jobs->redis);
	(void)err;	/* the next one may get through; finish tells in any case */
	tm_redis_end(jobs->redis);
}

void tm_jobs_begin(struct tm_jobs *jobs, const struct tm_job *job)
{
	tell(jobs, job, "begin");
}

void tm_jobs_renew(struct tm_jobs *jobs, const struct tm_job *job)
{
	tell(jobs, job, "renew");
}

/* Runs a job_end.lua call that tells how long what lies beside batches is kept. */
static enum tm_err end(struct tm_jobs *jobs, struct end_call *call)
{
	const struct tm_reply *reply;
	enum tm_err err;

	add_number(&call->words, call->keep, 2 * jobs->settings->jobs.ttl_ms);
	err = run(jobs->redis, queue_end(jobs, call), &reply);
	if (err == TM_OK && reply->integer != 1)
		err = reply->integer == 0 ? TM_EEXIST : TM_DENIED;
	tm_redis_end(jobs->redis);
	return err;
}

enum tm_err tm_jobs_finish(struct tm_jobs *jobs, const struct tm_job *job, bool completed,
			   const char *result, size_t len)
{
	struct end_call call;

	begin_end(&call, jobs, job, "finish");
	add_text(&call.words, completed ? "completed" : "failed");
	add(&call.words, result, len);
	return end(jobs, &call);
}

enum tm_err tm_jobs_put_back(struct tm_jobs *jobs, const struct tm_job *job, int64_t delay_ms,
			     const char *why)
{
	char delay[NUMBER_BYTES];
	struct end_call call;

	begin_end(&call, jobs, job, "back");
	add_number(&call.words, delay, delay_ms);
	add_text(&call.words, why);
	return end(jobs, &call);
}
