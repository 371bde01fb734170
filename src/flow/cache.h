/* Stored answers: what identifies one, how it lies in Redis, when it is fresh. */
#ifndef TM_FLOW_CACHE_H
#define TM_FLOW_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/settings.h"
#include "text/operation.h"
#include "text/prompt.h"

struct tm_redis;
struct tm_reply;

/* Everything that shapes an answer. */
struct tm_cache_identity {
	const struct tm_task *task;
	const struct tm_prompt *prompt;
	const struct tm_provider_conf *provider;	/* first in order */
	const char *model;
	const char *tenant;	/* owner of the entry; "" : shared by all */
};

/* A stored answer: two pieces of ready JSON. */
struct tm_cache_entry {
	int64_t stored_ms;	/* wall clock */
	int64_t fresh_ms;	/* wall clock: until then a hit; later only a stand-in */
	const char *answer;	/* members result ... questions */
	size_t answer_len;
	const char *meta;	/* members provider and model */
	size_t meta_len;
};

enum { TM_CACHE_NAME_BYTES = 192 };

/*
 * The Redis key of the entry, "<prefix>cache:<operation>:{<sha256>}": every part of the identity
 * goes into the hash with its length in front, so that no two identities run together.
 * hash is the process' reusable one.
 */
void tm_cache_name(const struct tm_cache_identity *identity, const char *prefix,
		   struct tm_sha256 *hash, char out[TM_CACHE_NAME_BYTES]);

/* Queues the read; index of the reply. */
int tm_cache_queue_get(struct tm_redis *redis, const char *name);

/* Reads it. TM_OK and *out, borrowed from the reply; TM_ENOENT nothing stored, or not in a form
 * this version wrote. */
TM_CHECK enum tm_err tm_cache_read(const struct tm_reply *reply, struct tm_cache_entry *out);

/* Writes the entry as it lies in Redis. */
void tm_cache_write(struct tm_buf *out, const struct tm_cache_entry *entry);

/* Queues the store of a written entry. Index of the reply, or -1. */
int tm_cache_queue_set(struct tm_redis *redis, const char *name, const struct tm_buf *value,
		       int64_t life_ms);

/* Time to live of an operation's answers: its own, else the settings', ms. */
int64_t tm_cache_ttl_ms(const struct tm_settings *settings, const struct tm_operation *operation);

#endif
