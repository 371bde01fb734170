/*
 * Authentication comes before the body is read: an unknown caller costs no parsing. The
 * presented key is compared in gate/keys and goes nowhere else: not into a log, not into an
 * error.
 */
#include "api/auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/problem.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/json.h"
#include "io/redis.h"

static const char realm[] = "Bearer realm=\"textmill\"";

/* The key a request presents: the Bearer value wins over X-API-Key. NULL: none. */
static const char *presented_key(const struct tm_request *request)
{
	const char *authorization = tm_request_header(request, "HTTP_AUTHORIZATION");
	const char *key = tm_request_header(request, "HTTP_X_API_KEY");

	if (strncasecmp(authorization, "Bearer ", 7) == 0) {
		authorization += 7;
		return authorization + strspn(authorization, " ");
	}
	return *key ? key : NULL;
}

/* Takes one failed login from the client address' bucket; false when it was empty. */
static bool login_admitted(struct tm_context *context, int64_t *retry_ms)
{
	const struct tm_settings *settings = context->request->settings;
	const char *address = tm_request_header(context->request, "REMOTE_ADDR");
	const struct tm_policy policy = {"login", settings->limit.login_minute, 60 * 1000};
	char id[80];
	const struct tm_charge charge = {.key_id = id, .take = &policy, .take_count = 1, .cost = 1};
	struct tm_redis *redis = context->services.redis;
	struct tm_verdict verdict;
	int64_t start_us = tm_clock_mono_us();
	int index;

	if (policy.quota <= 0)
		return true;
	(void)snprintf(id, sizeof(id), "login:%.64s",
		       strpbrk(address, "{}") ? "unknown" : address);
	index = tm_limit_queue(redis, settings->redis.prefix, &charge);
	if (tm_redis_run(redis) != TM_OK ||
	    tm_limit_read(tm_redis_reply(redis, index), &charge, &verdict) != TM_OK)
		tm_limit_local_take(context->services.local_limits, &charge, tm_clock_mono_us(),
				    &verdict);
	tm_redis_end(redis);
	context->request->redis_us += tm_clock_mono_us() - start_us;
	*retry_ms = verdict.retry_ms;
	return verdict.passed;
}

static void refuse_login(struct tm_context *context)
{
	struct tm_response *response = context->response;
	int64_t retry_ms = 0;

	if (!login_admitted(context, &retry_ms)) {
		tm_problem_set(response, context->request, TM_PROBLEM_RATE_LIMITED,
			       &(struct tm_problem_more){
				       .detail = "Too many failed logins from this address.",
				       .retry_after_ms = retry_ms > 0 ? retry_ms : 1});
		return;
	}
	tm_response_headerf(response, "WWW-Authenticate", "%s, error=\"invalid_token\"", realm);
	tm_problem_say(response, context->request, TM_PROBLEM_UNAUTHENTICATED,
		       "The API key is unknown, revoked or expired.");
}

static void log_report(void *arg, const char *text)
{
	(void)arg;
	tm_log(TM_LOG_ERROR, "%s", text);
}

static bool authenticate(struct tm_context *context, bool required)
{
	struct tm_request *request = context->request;
	const char *key = presented_key(request);

	if (request->settings->auth.mode == TM_AUTH_OFF) {
		request->principal = (struct tm_principal){.id = "anonymous", .user = "anonymous",
			.permissions = TM_PERM_READ | TM_PERM_WRITE};
		request->authenticated = true;
		return true;
	}
	if (!key && !required)
		return true;
	if (!key) {
		tm_response_header(context->response, "WWW-Authenticate", realm);
		tm_problem_say(
			context->response, request, TM_PROBLEM_UNAUTHENTICATED,
			"Send an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.");
		return false;
	}
	tm_keys_refresh(context->keys, log_report, NULL);
	if (tm_keys_find(context->keys, key, &request->principal) != TM_OK) {
		refuse_login(context);
		return false;
	}
	request->authenticated = true;
	return true;
}

static const char *permission_name(unsigned permission)
{
	return permission == TM_PERM_READ    ? "read"
	       : permission == TM_PERM_WRITE ? "write"
					     : "admin";
}

bool tm_auth_check(struct tm_context *context, const struct tm_route *route)
{
	struct tm_request *request = context->request;
	bool required = !(route->flags & TM_ROUTE_MAYBE_PUBLIC) ||
			!request->settings->auth.public_operations;
	char detail[96];

	if (route->flags & TM_ROUTE_PUBLIC)
		return true;
	if (!authenticate(context, required))
		return false;
	if (!request->authenticated ||
	    (request->principal.permissions & route->permission) == route->permission)
		return true;
	tm_response_headerf(context->response, "WWW-Authenticate",
			    "%s, error=\"insufficient_scope\", scope=\"%s\"", realm,
			    permission_name(route->permission));
	(void)snprintf(detail, sizeof(detail), "This key lacks the permission '%s'.",
		       permission_name(route->permission));
	tm_problem_say(context->response, request, TM_PROBLEM_FORBIDDEN, detail);
	return false;
}

static long long seconds_up(int64_t ms)
{
	return (long long)((ms + 999) / 1000);
}

void tm_auth_put_limits(struct tm_response *response, const struct tm_policy *policies,
			size_t count, const struct tm_verdict *verdict)
{
	struct tm_buf line, state;
	size_t tight = verdict->tightest;

	if (count == 0)
		return;
	tm_buf_init(&line, 512);
	tm_buf_init(&state, 512);
	for (size_t i = 0; i < count; i++) {
		tm_buf_printf(&line, "%s\"%s\";q=%lld;w=%lld", i ? "," : "", policies[i].name,
			      (long long)policies[i].quota, seconds_up(policies[i].window_ms));
		tm_buf_printf(&state, "%s\"%s\";r=%lld;t=%lld", i ? "," : "", policies[i].name,
			      (long long)verdict->state[i].left,
			      seconds_up(verdict->state[i].reset_ms));
	}
	tm_response_header(response, "RateLimit-Policy", tm_buf_text(&line));
	tm_response_header(response, "RateLimit", tm_buf_text(&state));
	tm_buf_clear(&line);
	tm_buf_clear(&state);
	tm_response_headerf(response, "X-RateLimit-Limit", "%lld",
			    (long long)policies[tight].quota);
	tm_response_headerf(response, "X-RateLimit-Remaining", "%lld",
			    (long long)verdict->state[tight].left);
	tm_response_headerf(response, "X-RateLimit-Reset", "%lld",
			    seconds_up(tm_clock_wall_ms() + verdict->state[tight].reset_ms));
}

/* The limits of the caller and what is left of them, without spending anything. */
static void put_limit_state(struct tm_context *context, struct tm_buf *body)
{
	struct tm_request *request = context->request;
	struct tm_redis *redis = context->services.redis;
	struct tm_policy policies[TM_POLICIES_MAX];
	size_t count = tm_process_policies(request->settings, &request->principal, policies);
	struct tm_charge charge = {.key_id = request->principal.id, .take = policies};
	struct tm_verdict verdict = {0};
	int64_t start_us = tm_clock_mono_us();
	int index;

	count += tm_process_llm_policy(request->settings, policies + count);
	charge.take_count = count;
	tm_buf_puts(body, "{");
	if (count == 0)
		goto out;
	index = tm_limit_queue(redis, request->settings->redis.prefix, &charge);
	if (tm_redis_run(redis) != TM_OK ||
	    tm_limit_read(tm_redis_reply(redis, index), &charge, &verdict) != TM_OK)
		tm_limit_local_take(context->services.local_limits, &charge, tm_clock_mono_us(),
				    &verdict);
	tm_redis_end(redis);
	request->redis_us += tm_clock_mono_us() - start_us;
	for (size_t i = 0; i < count; i++)
		tm_buf_printf(body, "%s\"%s\":{\"limit\":%lld,\"remaining\":%lld,\"reset\":%lld}",
			      i ? "," : "", policies[i].name, (long long)policies[i].quota,
			      (long long)verdict.state[i].left,
			      seconds_up(verdict.state[i].reset_ms));
out:
	tm_buf_puts(body, "}");
}

void tm_route_auth_status(struct tm_context *context)
{
	const struct tm_principal *who = &context->request->principal;
	static const unsigned all[] = {TM_PERM_READ, TM_PERM_WRITE, TM_PERM_ADMIN};
	struct tm_buf *body = &context->response->body;
	const char *comma = "";

	tm_buf_puts(body, "{\"authenticated\":true,\"user\":");
	tm_json_put_cstr(body, who->user);
	tm_buf_puts(body, ",\"key_id\":");
	tm_json_put_cstr(body, who->id);
	tm_buf_puts(body, ",\"permissions\":[");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (who->permissions & all[i]) {
			tm_buf_printf(body, "%s\"%s\"", comma, permission_name(all[i]));
			comma = ",";
		}
	tm_buf_puts(body, "],\"limits\":");
	put_limit_state(context, body);
	tm_buf_putc(body, '}');
}
