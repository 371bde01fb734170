/*
 * The state of a key is one hash in Redis (script/idempotency.lua). While a request runs, the
 * hash carries its token and lapses soon: a worker that dies locks nobody out for long. The
 * token makes a late one harmless, which finishes after its lock has lapsed.
 */
#include "flow/idempotency.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "io/redis.h"

bool tm_idempotency_key_valid(const char *key)
{
	size_t len = 0;

	while (key[len] > ' ' && key[len] < 0x7f)
		len++;
	return len >= 1 && len <= TM_IDEMPOTENCY_KEY_MAX && key[len] == '\0';
}

bool tm_idempotency_keeps(int status, size_t bytes)
{
	if (bytes > TM_IDEMPOTENCY_ANSWER_MAX)
		return false;
	if (status >= 200 && status < 300)
		return true;
	return status >= 400 && status < 500 && status != 406 && status != 409 && status != 429;
}

void tm_idempotency_init(struct tm_idempotency *idempotency, const struct tm_idempotency_ask *ask)
{
	uint8_t parts[2 * TM_SHA256_BYTES], digest[TM_SHA256_BYTES];
	char hex[TM_SHA256_HEX_BYTES];

	tm_digest_sha256(ask->key, strlen(ask->key), digest);
	tm_digest_hex(digest, sizeof(digest), hex);
	(void)snprintf(idempotency->name, sizeof(idempotency->name), "%.48sidem:{%.64s:%s}",
		       ask->prefix, ask->user, hex);
	tm_digest_sha256(ask->route, strlen(ask->route), parts);
	tm_digest_sha256(ask->body, ask->body_len, parts + TM_SHA256_BYTES);
	tm_digest_sha256(parts, sizeof(parts), digest);
	tm_digest_hex(digest, sizeof(digest), idempotency->request);
	idempotency->token = ask->token;
}

void tm_idempotency_claim(const struct tm_idempotency *idempotency, char out[33])
{
	uint8_t parts[2 * TM_SHA256_BYTES], digest[TM_SHA256_BYTES];

	tm_digest_sha256(idempotency->name, strlen(idempotency->name), parts);
	tm_digest_sha256(idempotency->request, strlen(idempotency->request),
			 parts + TM_SHA256_BYTES);
	tm_digest_sha256(parts, sizeof(parts), digest);
	tm_digest_hex(digest, 16, out);
}

static bool is(const struct tm_reply *reply, const char *text)
{
	return reply->kind == TM_REPLY_TEXT && strcmp(reply->text, text) == 0;
}

/* One field of a kept answer. */
static enum tm_err take(const struct tm_reply *name, const struct tm_reply *value,
			struct tm_arena *arena, struct tm_idempotency_answer *answer)
{
	const char *copy;

	if (name->kind != TM_REPLY_TEXT || value->kind != TM_REPLY_TEXT)
		return TM_EPROTO;
	copy = tm_arena_dup(arena, value->text, value->len);
	if (!copy)
		return TM_ENOMEM;
	if (is(name, "status")) {
		answer->status = strtol(copy, NULL, 10);
	} else if (is(name, "type")) {
		answer->content_type = copy;
	} else if (is(name, "headers")) {
		answer->headers = copy;
	} else if (is(name, "body")) {
		answer->body = copy;
		answer->body_len = value->len;
	}
	return TM_OK;
}

static enum tm_err read_begin(const struct tm_reply *reply, struct tm_arena *arena,
			      enum tm_idempotency_state *state,
			      struct tm_idempotency_answer *answer)
{
	static const char *const words[] = {
		[TM_IDEMPOTENCY_BEGUN] = "begun", [TM_IDEMPOTENCY_RUNNING] = "running",
		[TM_IDEMPOTENCY_OTHER] = "other", [TM_IDEMPOTENCY_DONE] = "done",
	};
	enum tm_err err = TM_OK;
	size_t at = 0;

	if (reply->kind != TM_REPLY_ARRAY || reply->count < 1)
		return TM_EPROTO;
	while (at < 4 && !is(&reply->items[0], words[at]))
		at++;
	if (at == 4)
		return TM_EPROTO;
	*state = (enum tm_idempotency_state)at;
	if (*state != TM_IDEMPOTENCY_DONE)
		return TM_OK;
	*answer = (struct tm_idempotency_answer){.headers = ""};
	for (size_t i = 1; err == TM_OK && i + 1 < reply->count; i += 2)
		err = take(&reply->items[i], &reply->items[i + 1], arena, answer);
	if (err == TM_OK && (!answer->status || !answer->content_type || !answer->body))
		err = TM_EPROTO;
	return err;
}

enum tm_err tm_idempotency_begin(struct tm_redis *redis, const struct tm_idempotency *idempotency,
				 int64_t lock_ms, struct tm_arena *arena,
				 enum tm_idempotency_state *state,
				 struct tm_idempotency_answer *answer)
{
	char lock[24];
	const char *argv[] = {idempotency->name, "begin", idempotency->token,
			      idempotency->request, lock};
	enum tm_err err;
	int at;

	(void)snprintf(lock, sizeof(lock), "%" PRId64, lock_ms);
	at = tm_redis_queue_script(redis, TM_SCRIPT_IDEMPOTENCY, 1, 5, argv, NULL);
	err = tm_redis_run(redis);
	if (err == TM_OK)
		err = read_begin(tm_redis_reply(redis, at), arena, state, answer);
	tm_redis_end(redis);
	return err;
}

static enum tm_err end(struct tm_redis *redis, int argc, const char *const *argv,
		       const size_t *lens)
{
	int at = tm_redis_queue_script(redis, TM_SCRIPT_IDEMPOTENCY, 1, argc, argv, lens);
	enum tm_err err = tm_redis_run(redis);

	if (err == TM_OK) {
		const struct tm_reply *reply = tm_redis_reply(redis, at);

		if (reply->kind != TM_REPLY_INT)
			err = TM_EPROTO;
		else if (reply->integer != 1)
			err = TM_EEXIST;
	}
	tm_redis_end(redis);
	return err;
}

enum tm_err tm_idempotency_finish(struct tm_redis *redis, const struct tm_idempotency *idempotency,
				  const struct tm_idempotency_answer *answer, int64_t ttl_ms)
{
	char ttl[24], status[24];
	const char *argv[] = {idempotency->name, "done", idempotency->token, ttl,
			      "request", idempotency->request, "status", status,
			      "type", answer->content_type, "headers", answer->headers,
			      "body", answer->body};
	size_t lens[sizeof(argv) / sizeof(argv[0])];

	(void)snprintf(ttl, sizeof(ttl), "%" PRId64, ttl_ms);
	(void)snprintf(status, sizeof(status), "%" PRId64, answer->status);
	for (size_t i = 0; i + 1 < sizeof(argv) / sizeof(argv[0]); i++)
		lens[i] = strlen(argv[i]);
	lens[sizeof(argv) / sizeof(argv[0]) - 1] = answer->body_len;
	return end(redis, (int)(sizeof(argv) / sizeof(argv[0])), argv, lens);
}

enum tm_err tm_idempotency_drop(struct tm_redis *redis, const struct tm_idempotency *idempotency)
{
	const char *argv[] = {idempotency->name, "drop", idempotency->token};

	return end(redis, 3, argv, NULL);
}
