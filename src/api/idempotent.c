/*
 * The header is looked at when caller and body are known and before anything is charged: a
 * replay costs no request. While Redis is away nobody can promise that a repeat runs once, so
 * nothing is begun under a key then.
 */
#include "api/idempotent.h"

#include <string.h>
#include <strings.h>

#include "api/problem.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/idempotency.h"

enum { LOCK_GRACE_MS = 5000, AGAIN_MS = 1000, HEADERS_MAX = 8 * 1024 };

static const char field[] = "Idempotency-Key";

static void refuse(struct tm_context *context, const char *message)
{
	const struct tm_field_error error = {field, message};

	tm_problem_set(context->response, context->request, TM_PROBLEM_INVALID,
		       &(struct tm_problem_more){
			       .detail = "Some fields are not valid; errors lists them all.",
			       .errors = &error, .errors_count = 1});
}

/* The headers that are part of the answer, such as where an accepted batch is found. */
static void pick_headers(struct tm_buf *out, const struct tm_response *response)
{
	static const char *const kept[] = {"Location:", "Preference-Applied:"};
	const char *at = tm_buf_text(&response->headers), *end;

	for (; (end = strstr(at, "\r\n")); at = end + 2)
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			if (strncasecmp(at, kept[i], strlen(kept[i])) == 0)
				tm_buf_put(out, at, (size_t)(end + 2 - at));
}

static void replay(struct tm_context *context, const struct tm_idempotency_answer *answer)
{
	struct tm_response *response = context->response;

	response->status = (int)answer->status;
	response->content_type = answer->content_type;
	response->detail = "replay of an Idempotency-Key";
	tm_buf_puts(&response->headers, answer->headers);
	tm_response_header(response, "Idempotency-Replayed", "true");
	tm_buf_put(&response->body, answer->body, answer->body_len);
}

/* True: this request is the one that runs. */
static bool begin(struct tm_context *context, const struct tm_idempotency *idempotency,
		  int64_t lock_ms)
{
	struct tm_request *request = context->request;
	enum tm_idempotency_state state = TM_IDEMPOTENCY_BEGUN;
	struct tm_idempotency_answer answer;
	int64_t start_us = tm_clock_mono_us();
	enum tm_err err = tm_idempotency_begin(context->services.redis, idempotency, lock_ms,
					       request->arena, &state, &answer);

	request->redis_us += tm_clock_mono_us() - start_us;
	if (err != TM_OK) {
		tm_problem_set(context->response, request, TM_PROBLEM_OVERLOADED,
			       &(struct tm_problem_more){
				       .detail = "An Idempotency-Key cannot be honoured at the "
						 "moment.",
				       .log = tm_err_text(err), .retry_after_ms = AGAIN_MS});
		return false;
	}
	if (state == TM_IDEMPOTENCY_RUNNING)
		tm_problem_set(context->response, request, TM_PROBLEM_CONFLICT,
			       &(struct tm_problem_more){
				       .detail = "The first request with this Idempotency-Key "
						 "still runs.",
				       .retry_after_ms = AGAIN_MS});
	else if (state == TM_IDEMPOTENCY_OTHER)
		refuse(context, "was used with another request");
	else if (state == TM_IDEMPOTENCY_DONE)
		replay(context, &answer);
	return state == TM_IDEMPOTENCY_BEGUN;
}

static void finish(struct tm_context *context, const struct tm_idempotency *idempotency)
{
	struct tm_request *request = context->request;
	const struct tm_response *response = context->response;
	struct tm_redis *redis = context->services.redis;
	int64_t start_us = tm_clock_mono_us();
	struct tm_buf headers;
	enum tm_err err;

	tm_buf_init(&headers, HEADERS_MAX);
	pick_headers(&headers, response);
	/* What is accepted is accepted, also when nobody stayed to hear it. */
	if ((response->silent && response->status != 202) ||
	    tm_buf_err(&response->body) != TM_OK || tm_buf_err(&headers) != TM_OK ||
	    !tm_idempotency_keeps(response->status, response->body.len))
		err = tm_idempotency_drop(redis, idempotency);
	else
		err = tm_idempotency_finish(redis, idempotency,
					    &(struct tm_idempotency_answer){
						    .status = response->status,
						    .content_type = response->content_type,
						    .headers = tm_buf_text(&headers),
						    .body = tm_buf_text(&response->body),
						    .body_len = response->body.len},
					    request->settings->idempotency.ttl_ms);
	if (err != TM_OK)
		tm_log(TM_LOG_WARN, "an answer is not kept for its Idempotency-Key: %s",
		       tm_err_text(err));
	tm_buf_clear(&headers);
	request->redis_us += tm_clock_mono_us() - start_us;
}

void tm_idempotent_run(struct tm_context *context, const struct tm_idempotent *what)
{
	struct tm_request *request = context->request;
	const char *key = tm_exchange_param(request->exchange, "HTTP_IDEMPOTENCY_KEY");
	struct tm_idempotency idempotency;

	if (!key) {
		what->run(context);
		return;
	}
	if (!tm_idempotency_key_valid(key)) {
		refuse(context, "must be 1 to 255 visible ASCII characters");
		return;
	}
	if (what->stream) {
		refuse(context, "does not go with a stream: ask for application/json");
		return;
	}
	tm_idempotency_init(&idempotency, &(struct tm_idempotency_ask){
			.prefix = request->settings->redis.prefix,
			.user = request->principal.user, .key = key, .route = what->route,
			.body = tm_buf_text(context->body), .body_len = context->body->len,
			.token = request->token});
	if (!begin(context, &idempotency, what->deadline_ms + LOCK_GRACE_MS))
		return;
	tm_idempotency_claim(&idempotency, request->claim);
	what->run(context);
	finish(context, &idempotency);
}
