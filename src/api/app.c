/*
 * One process' application: built after the fork, it owns the connections and buffers that all
 * its requests use, and takes each request from the exchange to the record.
 */
#include "api/app.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/job.h"
#include "api/problem.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/http.h"
#include "io/redis.h"
#include "llm/breakers.h"

enum {
	ARENA_MAX = 64 * 1024 * 1024,	/* one request's, texts of an LLM answer included */
	BODY_KEEP = 64 * 1024,
	ANSWER_MAX = 16 * 1024 * 1024,
	TRIM_BYTES = 256 * 1024,	/* larger requests give their memory back at once */
	LOCAL_KEYS = 1024,
	USAGE_PAUSE_MS = 200,
	USAGE_CELLS = 1024
};

struct tm_app {
	const struct tm_settings *settings;
	struct tm_keys *keys;
	struct tm_usage *usage;
	int64_t written_ms;		/* steady clock: when usage was last written */
	struct tm_services services;
	struct tm_operations *operations;
	struct tm_call_memory memory;
	struct tm_jobs jobs;		/* a job worker's; worker "" until its first item */
	struct tm_arena arena;
	struct tm_buf body;
	struct tm_response response;
	struct tm_request request;
};

static void log_report(void *arg, const char *text)
{
	(void)arg;
	tm_log(TM_LOG_ERROR, "%s", text);
}

enum tm_err tm_app_new(struct tm_app **out, const struct tm_settings *settings)
{
	const struct tm_redis_conf redis = {
		.url = settings->redis.url,
		.username = settings->redis.username,
		.password = settings->redis.password,
		.timeout_ms = settings->redis.timeout_ms,
	};
	struct tm_app *app = calloc(1, sizeof(*app));
	enum tm_err err;

	if (!app)
		return TM_ENOMEM;
	app->settings = settings;
	app->services.memory = &app->memory;
	tm_random_reseed();
	tm_arena_init(&app->arena, ARENA_MAX);
	tm_buf_init(&app->body, (size_t)settings->limits.body);
	tm_response_init(&app->response, ANSWER_MAX);
	err = tm_keys_new(&app->keys, settings, log_report, NULL);
	if (err == TM_OK)
		err = tm_operations_new(&app->operations, settings);
	app->services.operations = app->operations;
	if (err == TM_OK)
		err = tm_redis_new(&app->services.redis, &redis);
	if (err == TM_OK)
		err = tm_breakers_new(&app->services.breakers, settings, app->services.redis);
	if (err == TM_OK)
		err = tm_http_new(&app->services.http);
	if (err == TM_OK)
		err = tm_limit_local_new(&app->services.local_limits, LOCAL_KEYS);
	if (err == TM_OK)
		err = tm_sha256_init(&app->services.hash);
	if (err == TM_OK)
		err = tm_usage_new(&app->usage, settings->redis.prefix, USAGE_CELLS);
	if (err != TM_OK) {
		tm_app_free(app);
		return err;
	}
	*out = app;
	return TM_OK;
}

void tm_app_free(struct tm_app *app)
{
	if (!app)
		return;
	if (app->usage && app->services.redis)
		tm_usage_finish(app->usage, app->services.redis);
	tm_usage_free(app->usage);
	tm_sha256_clear(&app->services.hash);
	tm_limit_local_free(app->services.local_limits);
	tm_http_free(app->services.http);
	tm_breakers_free(app->services.breakers);
	tm_redis_free(app->services.redis);
	tm_keys_free(app->keys);
	tm_operations_free(app->operations);
	tm_response_clear(&app->response);
	tm_buf_clear(&app->body);
	tm_arena_clear(&app->arena);
	free(app);
}

/* CORS preflight (Fetch standard) and the plain question which methods there are. */
static void answer_options(struct tm_context *context, const char *allow)
{
	struct tm_response *response = context->response;

	response->status = 204;
	tm_response_headerf(response, "Allow", "%s, OPTIONS", allow);
	if (context->request->settings->cors.origins[0] == '\0')
		return;
	tm_response_headerf(response, "Access-Control-Allow-Methods", "%s, OPTIONS", allow);
	tm_response_header(response, "Access-Control-Allow-Headers",
			   "Authorization, X-API-Key, Content-Type, X-Request-ID, Cache-Control, "
			   "Idempotency-Key, Prefer, traceparent");
	tm_response_header(response, "Access-Control-Max-Age", "600");
}

static bool read_body(struct tm_context *context)
{
	const struct tm_request *request = context->request;
	struct tm_response *response = context->response;
	char detail[80];

	context->body->max = (size_t)request->settings->limits.body;
	switch (tm_exchange_read_body(request->exchange, context->body)) {
	case TM_OK:
		return true;
	case TM_ESIZE:
		(void)snprintf(detail, sizeof(detail), "The body is larger than %lld bytes.",
			       (long long)request->settings->limits.body);
		tm_problem_say(response, request, TM_PROBLEM_TOO_LARGE, detail);
		return false;
	case TM_ESHORT:
		tm_problem_say(response, request, TM_PROBLEM_BAD_REQUEST,
			       "The body is shorter than its Content-Length.");
		return false;
	case TM_EINVAL:
		tm_problem_say(response, request, TM_PROBLEM_BAD_REQUEST,
			       "The Content-Length is not a number.");
		return false;
	case TM_ETIME:
		tm_problem_say(response, request, TM_PROBLEM_BAD_REQUEST,
			       "The body did not come in time.");
		return false;
	case TM_EGONE:
		response->silent = true;
		response->detail = "the client left while its body was read";
		return false;
	default:
		tm_problem_set(response, request, TM_PROBLEM_OVERLOADED,
			       &(struct tm_problem_more){.detail = "Out of memory.",
							 .retry_after_ms = 1000});
		return false;
	}
}

/* PATH_INFO is what the web server has left behind the mount point (RFC 3875 4.1.5). One that
 * cannot tell leaves it empty: then SCRIPT_NAME is all of the path, and any mount point fits. */
static bool find_route(const struct tm_request *request, struct tm_route_match *match)
{
	const char *info = tm_request_header(request, "PATH_INFO");

	return *info ? tm_route_find(request->method, info, match)
		     : tm_route_find_tail(request->method, request->path, match);
}

/* Route, caller, body: each may already be the answer. */
static void dispatch(struct tm_context *context)
{
	struct tm_request *request = context->request;
	struct tm_route_match match;
	bool authenticated;

	if (!find_route(request, &match)) {
		tm_problem_say(context->response, request, TM_PROBLEM_NOT_FOUND, "No such path.");
		return;
	}
	if (strcmp(request->method, "OPTIONS") == 0) {
		answer_options(context, match.allow);
		return;
	}
	if (!match.route) {
		tm_response_headerf(context->response, "Allow", "%s, OPTIONS", match.allow);
		tm_problem_say(context->response, request, TM_PROBLEM_METHOD_NOT_ALLOWED,
			       "This path does not take that method.");
		return;
	}
	if (!(match.route->flags & TM_ROUTE_PUBLIC))
		tm_response_header(context->response, "Cache-Control", "no-store");
	authenticated = tm_auth_check(context, match.route);
	request->auth_us = tm_clock_mono_us() - request->start_us;
	if (!authenticated)
		return;
	context->usage->key_id = request->principal.id;
	if (match.route->flags & TM_ROUTE_JSON) {
		if (!tm_request_is_json(request)) {
			tm_problem_say(context->response, request,
				       TM_PROBLEM_UNSUPPORTED_MEDIA_TYPE,
				       "Send the body as Content-Type: application/json in UTF-8.");
			return;
		}
		if (!read_body(context))
			return;
	}
	context->param = match.param;
	match.route->run(context);
}

static void log_outcome(const struct tm_request *request, const struct tm_response *response)
{
	enum tm_log_level level = TM_LOG_DEBUG;
	int64_t us = tm_clock_mono_us() - request->start_us;

	if (response->silent)
		level = TM_LOG_INFO;
	else if (response->status >= 500 && !response->expected)
		level = TM_LOG_ERROR;
	else if (response->status >= 400)
		level = TM_LOG_INFO;
	if (!tm_log_enabled(level))
		return;
	tm_log(level, "%s %s %d%s%s%s%s key=%s %lld.%03lld ms", request->method, request->path,
	       response->silent ? 499 : response->status, response->code[0] ? " " : "",
	       response->code, response->detail && response->detail[0] ? ": " : "",
	       response->detail ? response->detail : "",
	       request->authenticated ? request->principal.id : "-", (long long)(us / 1000),
	       (long long)(us % 1000));
}

/* A response whose body could not be composed is no response: say 500 or 503 instead. */
static void check_response(struct tm_context *context)
{
	struct tm_response *response = context->response;
	enum tm_err err = tm_buf_err(&response->body);

	if (err == TM_OK || response->silent || response->streamed)
		return;
	tm_buf_reset(&response->headers, response->headers.size);
	if (err == TM_ENOMEM)
		tm_problem_set(response, context->request, TM_PROBLEM_OVERLOADED,
			       &(struct tm_problem_more){.detail = "Out of memory.",
							 .retry_after_ms = 1000});
	else
		tm_problem_set(
			response, context->request, TM_PROBLEM_INTERNAL,
			&(struct tm_problem_more){.detail = "The answer could not be written.",
						  .log = "response body over its bound"});
}

static void answer(struct tm_app *app, struct tm_context *context, struct tm_exchange *exchange)
{
	struct tm_request *request = context->request;

	if (tm_request_open(request, exchange, app->settings, &app->arena) == TM_OK)
		dispatch(context);
	else
		tm_problem_say(context->response, request, TM_PROBLEM_INTERNAL,
			       "The server is misconfigured or out of memory.");
	check_response(context);
	if (!context->response->silent && !context->response->streamed &&
	    tm_response_send(context->response, request) != TM_OK) {
		context->response->silent = true;
		context->response->detail = "the client left before the answer was written";
	}
}

static size_t memory_used(const struct tm_app *app)
{
	return app->body.len + app->response.body.len + app->arena.total;
}

static struct tm_context context_of(struct tm_app *app, struct tm_usage_event *usage)
{
	return (struct tm_context){
		.services = app->services,
		.keys = app->keys,
		.request = &app->request,
		.response = &app->response,
		.body = &app->body,
		.usage = usage,
		.record = app->usage,
	};
}

/* Usage leaves in bundles: a busy worker would else spend as much of Redis on what it counts as on
 * what it answers. */
static void write_usage(struct tm_app *app)
{
	int64_t now_ms = tm_clock_mono_ms();

	if (now_ms - app->written_ms < USAGE_PAUSE_MS || !tm_usage_pending(app->usage))
		return;
	app->written_ms = now_ms;
	tm_usage_flush(app->usage, app->services.redis);
}

/* The request is over: logs, records, and makes ready for the next one. */
static void conclude(struct tm_app *app, struct tm_usage_event *usage)
{
	bool large;

	log_outcome(&app->request, &app->response);
	if (usage->operation[0]) {
		usage->at_ms = tm_clock_wall_ms();
		usage->status = app->response.silent ? 499 : app->response.status;
		tm_usage_add(app->usage, usage);
	}
	write_usage(app);
	tm_log_set_request(NULL);
	large = memory_used(app) > TRIM_BYTES;
	tm_arena_reset(&app->arena);
	tm_buf_reset(&app->body, BODY_KEEP);
	tm_response_reset(&app->response);
	if (large)
		(void)malloc_trim(0);
}

void tm_app_handle(struct tm_app *app, struct tm_exchange *exchange)
{
	struct tm_usage_event usage = {.key_id = "", .operation = ""};
	struct tm_context context = context_of(app, &usage);

	if (!tm_redis_up(app->services.redis))	/* a connection that is up is looked at when used */
		tm_redis_poll(app->services.redis);
	answer(app, &context, exchange);
	tm_exchange_finish(exchange);
	conclude(app, &usage);
}

enum tm_err tm_app_work(struct tm_app *app, const struct tm_job_wait *wait)
{
	struct tm_usage_event usage = {.key_id = "", .operation = ""};
	struct tm_context context = context_of(app, &usage);
	enum tm_err err;

	if (!app->jobs.worker[0])
		tm_jobs_init(&app->jobs, app->services.redis, app->settings);
	app->request.arena = &app->arena;
	app->request.settings = app->settings;
	tm_redis_poll(app->services.redis);
	err = tm_job_work(&context, &app->jobs, wait);
	if (err == TM_OK)
		conclude(app, &usage);
	else
		tm_arena_reset(&app->arena);
	return err;
}

int tm_app_watch(struct tm_app *app, short *events, int64_t *timeout_ms)
{
	int fd = tm_redis_watch(app->services.redis, events, timeout_ms);
	int64_t left_ms;

	if (tm_usage_pending(app->usage)) {
		left_ms = app->written_ms + USAGE_PAUSE_MS - tm_clock_mono_ms();
		if (left_ms < 0)
			left_ms = USAGE_PAUSE_MS;	/* Redis is away */
		if (*timeout_ms < 0 || left_ms < *timeout_ms)
			*timeout_ms = left_ms;
	}
	return fd;
}

void tm_app_idle(struct tm_app *app)
{
	tm_redis_poll(app->services.redis);
	write_usage(app);
}
