/*
 * Asynchronous batches over HTTP: POST /v1/batch_process with Prefer: respond-async, and GET and
 * DELETE /v1/batch_status/{id}. A batch is its user's: another's is not there.
 *
 * The requests are charged first, in a step of their own, and given back where nothing was
 * accepted: a worker that dies in between has charged for nothing, never run for nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "api/answer.h"
#include "api/batch.h"
#include "api/problem.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/url.h"
#include "flow/jobs.h"
#include "flow/jobs_view.h"
#include "io/peer.h"
#include "io/redis.h"

enum {
	ITEMS_BYTES_MAX = 128 * 1024 * 1024,
	WAIT_MAX_S = 30,
	POLL_MIN_MS = 20, POLL_MAX_MS = 250,
	RETRY_MS = 1000, FULL_RETRY_MS = 30 * 1000
};

static void say_unavailable(struct tm_context *context, const char *detail, int64_t retry_ms)
{
	tm_problem_set(context->response, context->request, TM_PROBLEM_OVERLOADED,
		       &(struct tm_problem_more){.detail = detail, .retry_after_ms = retry_ms});
}

static void say_redis_away(struct tm_context *context)
{
	say_unavailable(context, "Asynchronous batches need Redis, which is away.", RETRY_MS);
}

static void key_of(const struct tm_context *context, const char *id, char out[TM_BATCH_KEY_BYTES])
{
	const struct tm_request *request = context->request;

	tm_batch_key(request->settings->redis.prefix, request->principal.user, id, out);
}

/* What a batch is charged. */
struct charged {
	struct tm_outcome outcome;	/* policies, verdict: as a single request's */
	struct tm_charge charge;
};

/* Whether the batch is accepted already: this is a repeat. */
static bool accepted(struct tm_context *context, const struct tm_batch *batch)
{
	struct tm_redis *redis = context->services.redis;
	const struct tm_reply *token;
	char key[TM_BATCH_KEY_BYTES];
	bool found;
	int index;

	key_of(context, batch->id, key);
	index = tm_redis_queuef(redis, "HGET %s:state token", key);
	found = tm_redis_run(redis) == TM_OK;
	token = tm_redis_reply(redis, index);
	found = found && token->kind == TM_REPLY_TEXT &&
		strcmp(token->text, context->request->claim) == 0;
	tm_redis_end(redis);
	return found;
}

/* Charges a request per item. False: the response is the 429 or 503 already. */
static bool admit(struct tm_context *context, const struct tm_batch *batch,
		  struct charged *charged)
{
	struct tm_request *request = context->request;
	struct tm_redis *redis = context->services.redis;
	struct tm_outcome *outcome = &charged->outcome;
	struct tm_problem_more more;
	enum tm_err err;
	int index;

	*charged = (struct charged){.outcome = {.end = TM_PROCESS_LIMITED, .detail = ""}};
	outcome->policies_count = tm_process_policies(request->settings, &request->principal,
						      outcome->policies);
	if (outcome->policies_count == 0)
		return true;
	charged->charge = (struct tm_charge){
		.key_id = request->principal.id, .take = outcome->policies,
		.take_count = outcome->policies_count, .cost = (int64_t)batch->count,
	};
	index = tm_limit_queue(redis, request->settings->redis.prefix, &charged->charge);
	err = tm_redis_run(redis);
	if (err == TM_OK)
		err = tm_limit_read(tm_redis_reply(redis, index), &charged->charge,
				    &outcome->verdict);
	tm_redis_end(redis);
	if (err != TM_OK) {
		say_redis_away(context);
		return false;
	}
	tm_answer_put_headers(context->response, false, outcome);
	if (outcome->verdict.passed)
		return true;
	if (accepted(context, batch)) {
		charged->charge.take_count = 0;		/* nothing was taken */
		return true;
	}
	outcome->retry_after_ms = outcome->verdict.retry_ms;
	tm_problem_set(context->response, request, tm_answer_problem(request, outcome, &more),
		       &more);
	return false;
}

/* Nothing was accepted: nothing is spent. */
static void give_back(struct tm_context *context, const struct charged *charged)
{
	struct tm_redis *redis = context->services.redis;
	const struct tm_charge back = {
		.key_id = charged->charge.key_id, .back = charged->charge.take,
		.back_count = charged->charge.take_count, .back_cost = charged->charge.cost,
	};
	enum tm_err err;

	if (back.back_count == 0)
		return;
	(void)tm_limit_queue(redis, context->request->settings->redis.prefix, &back);
	err = tm_redis_run(redis);
	(void)err;	/* then it is spent; a refusal goes out all the same */
	tm_redis_end(redis);
}

/* The items as the queue takes them: their text, or the result of an invalid one. */
static struct tm_job_item *make_items(struct tm_context *context, const struct tm_batch *batch)
{
	struct tm_arena *arena = context->request->arena;
	struct tm_job_item *items = tm_arena_alloc(arena, batch->count * sizeof(*items));
	struct tm_buf text;
	bool good = items != NULL;

	tm_buf_init(&text, ITEMS_BYTES_MAX);
	for (size_t i = 0; good && i < batch->count; i++) {
		items[i].failed = batch->items[i].input.errors_count > 0;
		tm_buf_reset(&text, text.size);
		if (items[i].failed)
			(void)tm_batch_put_result(&text, context->request, i,
						  &batch->items[i].input, NULL);
		else
			tm_json_put(&text, batch->items[i].json);
		items[i].text = tm_arena_dup(arena, tm_buf_text(&text), text.len);
		items[i].len = text.len;
		good = tm_buf_err(&text) == TM_OK && items[i].text;
	}
	tm_buf_clear(&text);
	return good ? items : NULL;
}

/* *before: it was accepted before, and nothing was done now. */
static enum tm_err submit(struct tm_context *context, const struct tm_batch *batch, bool *before)
{
	struct tm_request *request = context->request;
	char key[TM_BATCH_KEY_BYTES];
	const struct tm_job_batch about = {
		.key = key, .principal = request->principal, .request_id = request->id,
		.token = request->claim,
		.no_cache = tm_request_cache_control(request, "no-cache"),
		.no_store = tm_request_cache_control(request, "no-store"),
		.only_if_cached = tm_request_cache_control(request, "only-if-cached"),
		.overrides = request->overrides, .overrides_len = request->overrides_len,
		.concurrency = request->settings->batch.concurrency,
	};
	const struct tm_job_item *items = make_items(context, batch);

	if (!items)
		return TM_ENOMEM;
	key_of(context, batch->id, key);
	return tm_jobs_submit(context->services.redis, request->settings, request->arena, &about,
			      items, batch->count, before);
}

static void put_view(struct tm_buf *body, const char *id, const struct tm_jobs_view *view)
{
	const int64_t until_ms = view->finished_ms ? view->finished_ms : view->now_ms;
	const struct tm_batch_sum sum = {
		.id = id, .status = view->status, .total = (size_t)view->total,
		.completed = (size_t)view->completed, .failed = (size_t)view->failed,
		.elapsed_us = (until_ms - view->created_ms) * 1000,
		.wall_ms = tm_clock_wall_ms(),
		.waiting = view->waiting, .waiting_until_ms = view->waiting_until_ms,
	};

	tm_batch_put_open(body, &sum);
	for (size_t i = 0; i < sum.total; i++) {
		const struct tm_jobs_item_view *item = &view->items[i];

		if (i > 0)
			tm_buf_putc(body, ',');
		if (item->result)
			tm_buf_put(body, item->result, item->len);
		else
			tm_batch_put_unanswered(body, i, item->running ? "processing" : "pending");
	}
	tm_batch_put_close(body, &sum);
}

/* An accepted batch of which nothing more is known. */
static void put_pending(struct tm_buf *body, const struct tm_batch *batch)
{
	const struct tm_batch_sum sum = {.id = batch->id, .status = "pending",
					 .total = batch->count, .wall_ms = tm_clock_wall_ms()};

	tm_batch_put_open(body, &sum);
	for (size_t i = 0; i < batch->count; i++) {
		if (i > 0)
			tm_buf_putc(body, ',');
		tm_batch_put_unanswered(body, i, "pending");
	}
	tm_batch_put_close(body, &sum);
}

static enum tm_err look(struct tm_context *context, const char *id, bool cancel,
			struct tm_jobs_view *view)
{
	char key[TM_BATCH_KEY_BYTES];

	key_of(context, id, key);
	return tm_jobs_look(context->services.redis, context->request->settings->redis.prefix, key,
			    cancel, context->request->arena, view);
}

/* s that the caller would wait (Prefer: wait=N); 0: not at all. */
static int64_t wait_seconds(const struct tm_request *request)
{
	const char *value;
	char *end;
	long seconds;

	if (!tm_request_prefers(request, "wait", &value))
		return 0;
	seconds = strtol(value, &end, 10);
	if (end == value || *end || seconds < 0)
		return 0;
	return seconds < WAIT_MAX_S ? seconds : WAIT_MAX_S;
}

int64_t tm_jobs_wait_ms(const struct tm_request *request)
{
	return wait_seconds(request) * 1000;
}

/* Waits for the end of a batch. True: view is of the ended batch. */
static bool wait_for_end(struct tm_context *context, const struct tm_batch *batch, int64_t seconds,
			 struct tm_jobs_view *view)
{
	struct tm_request *request = context->request;
	int64_t until_ms = tm_clock_mono_ms() + seconds * 1000, pause_ms = POLL_MIN_MS;

	while (!view->finished_ms) {
		int64_t left_ms = until_ms - tm_clock_mono_ms();

		if (left_ms <= 0)
			return false;
		if (tm_peer_gone(tm_exchange_fd(request->exchange),
				 pause_ms < left_ms ? pause_ms : left_ms)) {
			context->response->silent = true;
			context->response->detail = "the client left; its batch goes on";
			return false;
		}
		if (look(context, batch->id, false, view) != TM_OK)
			return false;
		pause_ms = pause_ms * 2 < POLL_MAX_MS ? pause_ms * 2 : POLL_MAX_MS;
	}
	return true;
}

/*
 * Where the status stands: the path of this request, its last segment replaced. Said relative to
 * it (RFC 9110 10.2.2) where the headers would overflow, or the path would read as a host.
 */
static void put_location(struct tm_context *context, const char *id)
{
	enum { FOLDER_MAX = 4096 };
	struct tm_arena *arena = context->request->arena;
	const char *path = context->request->path, *last = strrchr(path, '/');
	const char *folder = tm_url_encode_path(arena, path, last ? (size_t)(last - path) : 0);
	const char *location = NULL;

	if (folder && strlen(folder) <= FOLDER_MAX && strncmp(folder, "//", 2) != 0)
		location = tm_arena_printf(arena, "%s/batch_status/%s", folder, id);
	if (location)
		tm_response_header(context->response, "Location", location);
	else
		tm_response_headerf(context->response, "Location", "batch_status/%s", id);
}

/* Not beside 200: with that, Location is a redirect that web servers follow themselves (RFC 3875,
 * 6.3.2). */
static void accept(struct tm_context *context, const struct tm_batch *batch)
{
	context->response->status = 202;
	put_location(context, batch->id);
	tm_response_header(context->response, "Preference-Applied", "respond-async");
}

static void respond(struct tm_context *context, const struct tm_batch *batch)
{
	struct tm_response *response = context->response;
	int64_t seconds = wait_seconds(context->request);
	struct tm_jobs_view view = {.items = NULL};

	if (look(context, batch->id, false, &view) == TM_OK && seconds > 0 &&
	    wait_for_end(context, batch, seconds, &view))
		tm_response_headerf(response, "Preference-Applied", "wait=%lld",
				    (long long)seconds);
	else
		accept(context, batch);
	if (view.items)
		put_view(&response->body, batch->id, &view);
	else
		put_pending(&response->body, batch);
}

void tm_jobs_submit_route(struct tm_context *context, const struct tm_batch *batch)
{
	struct charged charged;
	bool before;

	if (!admit(context, batch, &charged))
		return;
	switch (submit(context, batch, &before)) {
	case TM_OK:
		if (before)
			give_back(context, &charged);
		respond(context, batch);
		return;
	case TM_EEXIST:
		give_back(context, &charged);
		tm_batch_say_conflict(context, batch->id);
		return;
	case TM_DENIED:
		give_back(context, &charged);
		say_unavailable(context, "Too many items of other batches wait already.",
				FULL_RETRY_MS);
		return;
	case TM_ENOMEM:
		give_back(context, &charged);
		say_unavailable(context, "Out of memory.", RETRY_MS);
		return;
	default:
		say_redis_away(context);
	}
}

static bool id_valid(const char *id)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";
	size_t len = strlen(id);

	return len >= 1 && len <= TM_BATCH_ID_MAX && strspn(id, allowed) == len;
}

static void say_unknown(struct tm_context *context)
{
	tm_problem_say(context->response, context->request, TM_PROBLEM_NOT_FOUND,
		       "No such batch, or its results have expired.");
}

/* A batch that its own request is still answering: "sync <token> <count> <since>". */
static void put_running(struct tm_buf *body, const char *id, const char *numbers)
{
	char *rest;
	struct tm_batch_sum sum = {.id = id, .status = "processing",
				   .wall_ms = tm_clock_wall_ms()};

	sum.total = (size_t)strtoul(numbers, &rest, 10);
	sum.elapsed_us = (sum.wall_ms - strtoll(rest, NULL, 10)) * 1000;
	tm_batch_put_open(body, &sum);
	for (size_t i = 0; i < sum.total; i++) {
		if (i > 0)
			tm_buf_putc(body, ',');
		tm_batch_put_unanswered(body, i, "processing");
	}
	tm_batch_put_close(body, &sum);
}

/* A batch that its own request answers: still at it, or "done <token> {the answer}". */
static void put_synchronous(struct tm_buf *body, const char *id, const struct tm_reply *claim)
{
	const char *rest = strchr(claim->text, ' ');

	rest = rest ? strchr(rest + 1, ' ') : NULL;
	if (rest && strncmp(claim->text, "done ", 5) == 0)
		tm_buf_put(body, rest + 1, claim->len - (size_t)(rest + 1 - claim->text));
	else
		put_running(body, id, rest ? rest : "0");
}

static void answer_status(struct tm_context *context, bool cancel)
{
	struct tm_redis *redis = context->services.redis;
	const char *id = context->param;
	const struct tm_reply *claim;
	char key[TM_BATCH_KEY_BYTES];
	struct tm_jobs_view view;
	bool asynchronous = false;
	enum tm_err err;
	int index;

	if (!id_valid(id)) {
		say_unknown(context);
		return;
	}
	key_of(context, id, key);
	index = tm_redis_queuef(redis, "GET %s", key);
	err = tm_redis_run(redis);
	claim = tm_redis_reply(redis, index);
	if (err == TM_OK && claim->kind == TM_REPLY_TEXT)
		asynchronous = strcmp(claim->text, "job") == 0;
	else if (err == TM_OK)
		err = TM_ENOENT;
	if (err == TM_OK && !asynchronous)
		put_synchronous(&context->response->body, id, claim);
	tm_redis_end(redis);
	if (err == TM_OK && asynchronous)
		err = look(context, id, cancel, &view);
	if (err == TM_OK && asynchronous)
		put_view(&context->response->body, id, &view);
	else if (err == TM_ENOENT)
		say_unknown(context);
	else if (err != TM_OK)
		say_redis_away(context);
}

void tm_route_batch_status(struct tm_context *context)
{
	answer_status(context, false);
}

void tm_route_batch_cancel(struct tm_context *context)
{
	answer_status(context, true);
}
