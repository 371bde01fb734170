/*
 * An entry is one string: a header line of numbers, then two pieces of JSON that go into the
 * response as they are, so a hit costs no parsing:
 *
 *   tm1 <stored_ms> <fresh_ms> <answer bytes> <meta bytes>\n<answer><meta>
 *
 * The lengths must add up to the value's size: anything else is a miss, never a bad answer.
 */
#include "flow/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "io/redis.h"

enum { HEADER_BYTES = 128, ENTRY_MAX = 8 * 1024 * 1024 };

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
	uint8_t digest[TM_SHA256_BYTES];
	char hex[TM_SHA256_HEX_BYTES];

	tm_sha256_start(hash);
	put_text(hash, identity->tenant);
	put_text(hash, operation->id);
	put_text(hash, operation->version);
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

enum tm_err tm_cache_read(const struct tm_reply *reply, struct tm_cache_entry *out)
{
	struct tm_cache_entry entry;
	const char *end;
	size_t head;

	if (reply->kind != TM_REPLY_TEXT)
		return TM_ENOENT;
	end = memchr(reply->text, '\n', reply->len < HEADER_BYTES ? reply->len : HEADER_BYTES);
	if (!end)
		return TM_ENOENT;
	head = (size_t)(end + 1 - reply->text);
	if (sscanf(reply->text, "tm1 %" SCNd64 " %" SCNd64 " %zu %zu", &entry.stored_ms,
		   &entry.fresh_ms, &entry.answer_len, &entry.meta_len) != 4)
		return TM_ENOENT;
	if (entry.answer_len > reply->len || entry.meta_len > reply->len ||
	    head + entry.answer_len + entry.meta_len != reply->len)
		return TM_ENOENT;
	entry.answer = end + 1;
	entry.meta = entry.answer + entry.answer_len;
	*out = entry;
	return TM_OK;
}

int tm_cache_queue_set(struct tm_redis *redis, const char *name,
		       const struct tm_cache_entry *entry, int64_t stale_ms)
{
	int64_t life_ms = entry->fresh_ms - entry->stored_ms + stale_ms;
	struct tm_buf value;
	int index = -1;

	tm_buf_init(&value, ENTRY_MAX);
	tm_buf_printf(&value, "tm1 %" PRId64 " %" PRId64 " %zu %zu\n", entry->stored_ms,
		      entry->fresh_ms, entry->answer_len, entry->meta_len);
	tm_buf_put(&value, entry->answer, entry->answer_len);
	tm_buf_put(&value, entry->meta, entry->meta_len);
	if (tm_buf_err(&value) == TM_OK)
		index = tm_redis_queuef(redis, "SET %s %b PX %lld", name, value.data, value.len,
					(long long)(life_ms > 0 ? life_ms : 1));
	tm_buf_clear(&value);
	return index;
}

int64_t tm_cache_ttl_ms(const struct tm_settings *settings, const char *operation)
{
	const struct { const char *id; int64_t ttl_ms; } ttls[] = {
		{"summarize", settings->cache.ttl_summarize_ms},
		{"sentiment", settings->cache.ttl_sentiment_ms},
		{"key_points", settings->cache.ttl_key_points_ms},
		{"questions", settings->cache.ttl_questions_ms},
		{"qa", settings->cache.ttl_qa_ms},
	};

	for (size_t i = 0; i < sizeof(ttls) / sizeof(ttls[0]); i++)
		if (strcmp(ttls[i].id, operation) == 0)
			return ttls[i].ttl_ms;
	return settings->cache.ttl_default_ms;
}
