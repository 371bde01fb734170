/*
 * An entry is one string: a header line of numbers, then two pieces of JSON that go into the
 * response as they are, so a hit costs no parsing:
 *
 *   tm1 <stored_ms> <fresh_ms> <answer bytes> <meta bytes>\n<answer><meta>
 *
 * The lengths must add up to the value's size: anything else is a miss, never a bad answer.
 */
#include "flow/cache.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis.h"

#define MAGIC "tm1 "

enum { HEADER_BYTES = 128, NUMBERS = 4 };

static void put_piece(struct tm_sha256 *hash, const char *data, size_t len)
{
	uint64_t size = len;

	tm_sha256_put(hash, &size, sizeof(size));
	tm_sha256_put(hash, data, len);
}

static void put_text(struct tm_sha256 *hash, const char *text)
{
	put_piece(hash, text, strlen(text));
}

void tm_cache_name(const struct tm_cache_identity *identity, const char *prefix,
		   struct tm_sha256 *hash, char out[TM_CACHE_NAME_BYTES])
{
	const struct tm_task *task = identity->task;
	const struct tm_operation *operation = task->operation;
	const double temperature = operation->has_temperature ? operation->temperature : -1;
	uint8_t digest[TM_SHA256_BYTES];
	char hex[TM_SHA256_HEX_BYTES];

	tm_sha256_start(hash);
	put_text(hash, identity->tenant);
	put_text(hash, operation->id);
	put_text(hash, operation->version);
	put_piece(hash, (const char *)&temperature, sizeof(temperature));
	put_piece(hash, task->text, task->text_len);
	put_piece(hash, task->question, task->question_len);
	put_piece(hash, (const char *)task->options,
		  operation->options_count * sizeof(task->options[0]));
	put_text(hash, identity->provider->name);
	put_text(hash, identity->provider->url);
	put_text(hash, identity->model);
	put_text(hash, identity->prompt->system);
	put_text(hash, identity->prompt->schema ? identity->prompt->schema : "");
	tm_sha256_final(hash, digest);
	tm_digest_hex(digest, sizeof(digest), hex);
	(void)snprintf(out, TM_CACHE_NAME_BYTES, "%.48scache:%.48s:{%s}", prefix, operation->id,
		       hex);
}

int tm_cache_queue_get(struct tm_redis *redis, const char *name)
{
	return tm_redis_queuef(redis, "GET %s", name);
}

/* The header line's numbers, none of them negative, with single characters between them. */
static bool read_numbers(const char *line, int64_t number[NUMBERS])
{
	char *at;

	if (strncmp(line, MAGIC, sizeof(MAGIC) - 1) != 0)
		return false;
	line += sizeof(MAGIC) - 1;
	for (int i = 0; i < NUMBERS; i++) {
		errno = 0;
		number[i] = strtoll(line, &at, 10);
		if (at == line || errno || number[i] < 0 || *at != (i < NUMBERS - 1 ? ' ' : '\n'))
			return false;
		line = at + 1;
	}
	return true;
}

enum tm_err tm_cache_read(const struct tm_reply *reply, struct tm_cache_entry *out)
{
	struct tm_cache_entry entry;
	int64_t number[NUMBERS];
	const char *end;
	size_t head;

	if (reply->kind != TM_REPLY_TEXT)
		return TM_ENOENT;
	end = memchr(reply->text, '\n', reply->len < HEADER_BYTES ? reply->len : HEADER_BYTES);
	if (!end)
		return TM_ENOENT;
	head = (size_t)(end + 1 - reply->text);
	if (!read_numbers(reply->text, number))
		return TM_ENOENT;
	entry.stored_ms = number[0];
	entry.fresh_ms = number[1];
	entry.answer_len = (size_t)number[2];
	entry.meta_len = (size_t)number[3];
	if (entry.answer_len > reply->len || entry.meta_len > reply->len ||
	    head + entry.answer_len + entry.meta_len != reply->len)
		return TM_ENOENT;
	entry.answer = end + 1;
	entry.meta = entry.answer + entry.answer_len;
	*out = entry;
	return TM_OK;
}

void tm_cache_write(struct tm_buf *out, const struct tm_cache_entry *entry)
{
	tm_buf_printf(out, MAGIC "%" PRId64 " %" PRId64 " %zu %zu\n", entry->stored_ms,
		      entry->fresh_ms, entry->answer_len, entry->meta_len);
	tm_buf_put(out, entry->answer, entry->answer_len);
	tm_buf_put(out, entry->meta, entry->meta_len);
}

int tm_cache_queue_set(struct tm_redis *redis, const char *name, const struct tm_buf *value,
		       int64_t life_ms)
{
	return tm_redis_queuef(redis, "SET %s %b PX %lld", name, value->data, value->len,
			       (long long)life_ms);
}

int64_t tm_cache_ttl_ms(const struct tm_settings *settings, const struct tm_operation *operation)
{
	return operation->ttl_ms > 0 ? operation->ttl_ms : settings->cache.ttl_default_ms;
}
