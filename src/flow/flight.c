/*
 * Flights live in Redis as one hash beside their cache entry (script/lead.lua, settle.lua).
 * The token makes a late leader harmless: whoever's lock has lapsed frees nobody else's.
 */
#include "flow/flight.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/redis.h"

void tm_flight_init(struct tm_flight *flight, const char *prefix, const char *entry,
		    const char *token)
{
	const char *hash = strchr(entry, '{');

	*flight = (struct tm_flight){.entry = entry, .token = token};
	(void)snprintf(flight->name, sizeof(flight->name), "%.48sflight:%.96s", prefix,
		       hash ? hash : entry);
}

int tm_flight_queue_lead(struct tm_redis *redis, const struct tm_flight *flight)
{
	char lock[16];
	const char *argv[] = {flight->name, flight->entry, flight->token, lock, flight->leader};

	(void)snprintf(lock, sizeof(lock), "%d", TM_FLIGHT_LOCK_MS);
	return tm_redis_queue_script(redis, TM_SCRIPT_LEAD, 2, 5, argv, NULL);
}

enum tm_err tm_flight_read_lead(const struct tm_reply *reply, struct tm_flight *flight,
				enum tm_flight_state *state, const struct tm_reply **text)
{
	static const struct {
		const char *word;
		size_t count;
	} words[] = {
		[TM_FLIGHT_ENTRY] = {"entry", 2},
		[TM_FLIGHT_FAILED] = {"failed", 2},
		[TM_FLIGHT_LEAD] = {"lead", 1},
		[TM_FLIGHT_FOLLOW] = {"follow", 2},
	};
	size_t at = 0;

	if (reply->kind != TM_REPLY_ARRAY || reply->count < 1 ||
	    reply->items[0].kind != TM_REPLY_TEXT)
		return TM_EPROTO;
	while (at < 4 && strcmp(words[at].word, reply->items[0].text) != 0)
		at++;
	if (at == 4 || reply->count != words[at].count)
		return TM_EPROTO;
	*state = (enum tm_flight_state)at;
	*text = reply->count == 2 ? &reply->items[1] : NULL;
	flight->leads = *state == TM_FLIGHT_LEAD;
	flight->leader[0] = '\0';
	if (*state == TM_FLIGHT_FOLLOW)
		(void)snprintf(flight->leader, sizeof(flight->leader), "%s", (*text)->text);
	return TM_OK;
}

static int queue_settle(struct tm_redis *redis, const struct tm_flight *flight, int argc,
			const char *op, const char *value, size_t len, int64_t number)
{
	char digits[24];
	int digits_len = snprintf(digits, sizeof(digits), "%" PRId64, number);
	const char *argv[] = {flight->name, flight->entry, flight->token, op, value, digits};
	const size_t lens[] = {strlen(flight->name), strlen(flight->entry), strlen(flight->token),
			       strlen(op), len, (size_t)digits_len};

	return tm_redis_queue_script(redis, TM_SCRIPT_SETTLE, 2, argc, argv, lens);
}

int tm_flight_queue_stored(struct tm_redis *redis, const struct tm_flight *flight,
			   const char *value, size_t len, int64_t life_ms)
{
	return queue_settle(redis, flight, 6, "stored", value, len, life_ms > 0 ? life_ms : 1);
}

int tm_flight_queue_failed(struct tm_redis *redis, const struct tm_flight *flight,
			   const char *failure)
{
	return queue_settle(redis, flight, 5, "failed", failure, strlen(failure), 0);
}

int tm_flight_queue_dropped(struct tm_redis *redis, const struct tm_flight *flight)
{
	return queue_settle(redis, flight, 4, "dropped", "", 0, 0);
}

int tm_flight_queue_renew(struct tm_redis *redis, const struct tm_flight *flight)
{
	char lock[16];

	(void)snprintf(lock, sizeof(lock), "%d", TM_FLIGHT_LOCK_MS);
	return queue_settle(redis, flight, 5, "renew", lock, strlen(lock), 0);
}
