/*
 * When to connect, what to say first, and pipelines.
 *
 * FRESH is no connection and no bad news: the next use connects and waits for it. UP has been
 * greeted (login, database, PONG of a master, scripts loaded). After a failure the state is
 * DOWN until its wait is over, then TRYING: connecting and greeting without anybody waiting.
 * A connection found closed before anything was written to it only falls back to FRESH.
 */
#include "io/redis.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "io/redis_address.h"
#include "io/redis_link.h"
#include "io/redis_wire.h"

enum {
	DISCARD_MAX = 1024,	/* answers of send not yet in */
	RETRY_MIN_MS = 250, RETRY_MAX_MS = 1000,
	TRY_MS = 1000,		/* a background attempt is not given up before */
	GREETING_MAX = 4 + TM_SCRIPT_COUNT
};

enum state { FRESH, UP, DOWN, TRYING };

struct tm_redis {
	struct tm_url_redis url;
	struct tm_redis_address address;
	int64_t timeout_ms;
	int64_t bound_us;		/* tm_redis_bound; 0 for none */

	enum state state;
	struct tm_redis_link link;	/* closed in FRESH and DOWN */
	int failures;			/* in a row */
	bool unreached;			/* the last failure came before it was UP */
	int64_t next_ms;		/* DOWN: try then; TRYING: give up then */
	uint64_t trips;

	struct tm_redis_wire wire;
	struct tm_redis_sink pipeline, greeting;
	struct tm_reply replies[TM_REDIS_PIPELINE], welcomes[GREETING_MAX];
	unsigned char order[TM_REDIS_PIPELINE];

	/* A script is called by its sha while the server is believed to know it. */
	char sha[TM_SCRIPT_COUNT][TM_REDIS_SHA_BYTES];
	bool loaded[TM_SCRIPT_COUNT];
};

static const struct tm_reply nil = {.kind = TM_REPLY_NIL, .text = ""};

static void drop(struct tm_redis *redis, enum state state)
{
	tm_redis_link_close(&redis->link);
	redis->link.sink = &redis->pipeline;
	redis->pipeline.wanted = redis->pipeline.got = 0;
	tm_arena_reset(&redis->greeting.arena);
	redis->state = state;
}

/* Closes and opens the breaker. The reason stands in link.error. */
static enum tm_err lose(struct tm_redis *redis, enum tm_err err)
{
	int64_t wait_ms = RETRY_MIN_MS;

	for (int i = 0; i < redis->failures && wait_ms < RETRY_MAX_MS; i++)
		wait_ms *= 2;
	if (wait_ms > RETRY_MAX_MS)
		wait_ms = RETRY_MAX_MS;
	redis->unreached = redis->state != UP;
	if (redis->failures < 100)
		redis->failures++;
	drop(redis, DOWN);
	/* Half of the wait is random, so that workers do not come back in step. */
	redis->next_ms = tm_clock_mono_ms() + wait_ms / 2 +
			 (int64_t)((double)wait_ms / 2 * tm_random_unit());
	return err;
}

static enum tm_err blame(struct tm_redis *redis, enum tm_err err, const char *text)
{
	return tm_redis_link_blame(&redis->link, err, text);
}

static bool has_login(const struct tm_url_redis *url)
{
	return url->username[0] || url->password[0];
}

/* Login, database, is it alive, may it be written to, and our scripts. */
static enum tm_err append_greeting(struct tm_redis *redis)
{
	const struct tm_url_redis *url = &redis->url;
	struct tm_redis_wire wire;
	enum tm_err err = TM_ENOMEM;

	tm_redis_wire_init(&wire);
	if (url->username[0])
		tm_redis_wire_putf(&wire, "AUTH %s %s", url->username, url->password);
	else if (url->password[0])
		tm_redis_wire_putf(&wire, "AUTH %s", url->password);
	if (url->db > 0)
		tm_redis_wire_putf(&wire, "SELECT %lld", (long long)url->db);
	tm_redis_wire_putf(&wire, "PING");
	tm_redis_wire_putf(&wire, "ROLE");
	for (int i = 0; i < TM_SCRIPT_COUNT; i++) {
		size_t len;
		const char *text = tm_redis_wire_script((enum tm_script)i, &len);

		tm_redis_wire_putf(&wire, "SCRIPT LOAD %b", text, len);
	}
	if (!wire.broken)
		err = tm_redis_link_append(&redis->link, &wire.bytes);
	redis->greeting.got = 0;
	redis->greeting.wanted = wire.count;
	memset(redis->welcomes, 0, sizeof(redis->welcomes));
	redis->link.sink = &redis->greeting;
	tm_redis_wire_clear(&wire);
	return err;
}

/* Begins a connection: what follows is an exchange, or a few steps of poll. */
static enum tm_err start(struct tm_redis *redis)
{
	const char *address = "";
	enum tm_err err;

	if (!redis->url.path[0])
		address = tm_redis_address_get(&redis->address, redis->url.host, redis->unreached,
					       tm_clock_mono_ms());
	if (!address)
		return blame(redis, TM_EIO, "the host name has no address");
	err = tm_redis_link_open(&redis->link, &redis->url, address);
	return err ? err : append_greeting(redis);
}

static bool reply_is(const struct tm_reply *reply, const char *text)
{
	return reply->kind == TM_REPLY_TEXT && strcmp(reply->text, text) == 0;
}

static void learn_scripts(struct tm_redis *redis, const struct tm_reply *replies)
{
	for (int i = 0; i < TM_SCRIPT_COUNT; i++) {
		redis->loaded[i] = replies[i].kind == TM_REPLY_TEXT &&
				   replies[i].len == TM_REDIS_SHA_BYTES - 1;
		if (redis->loaded[i])
			memcpy(redis->sha[i], replies[i].text, TM_REDIS_SHA_BYTES);
	}
}

/* All of the greeting's answers are in: is this a server to work with? */
static enum tm_err judge(struct tm_redis *redis)
{
	const struct tm_url_redis *url = &redis->url;
	const struct tm_reply *reply = redis->welcomes;

	if (redis->link.refusal[0])
		return blame(redis, TM_EIO, redis->link.refusal);
	/* The text of a refused AUTH may repeat the password: only its meaning is told. */
	if (has_login(url) && (reply++)->kind == TM_REPLY_ERROR)
		return blame(redis, TM_EIO, "the server refuses the user name or password");
	if (url->db > 0 && (reply++)->kind == TM_REPLY_ERROR)
		return blame(redis, TM_EIO, "the server refuses the database number");
	if (reply->kind == TM_REPLY_ERROR)
		return blame(redis, TM_EIO, reply->text);
	if (!reply_is(reply++, "PONG"))
		return blame(redis, TM_EPROTO, "PING was not answered with PONG");
	/* Who may not ask for the role is taken to be at a master. */
	if (reply->kind == TM_REPLY_ARRAY && reply->count > 0 &&
	    !reply_is(&reply->items[0], "master"))
		return blame(redis, TM_EIO, "the server is a replica or a sentinel, not a master");
	learn_scripts(redis, reply + 1);
	return TM_OK;
}

/* The greeting is complete. */
static enum tm_err welcome(struct tm_redis *redis)
{
	enum tm_err err = judge(redis);

	if (err)
		return lose(redis, err);
	redis->link.sink = &redis->pipeline;
	tm_arena_reset(&redis->greeting.arena);
	redis->link.noscript = false;
	redis->state = UP;
	return TM_OK;
}

static enum tm_err connect_now(struct tm_redis *redis, int64_t deadline_us)
{
	enum tm_err err = start(redis);

	if (err == TM_OK) {
		redis->trips++;
		err = tm_redis_link_exchange(&redis->link, deadline_us);
	}
	return err ? lose(redis, err) : welcome(redis);
}

static void forget_scripts(struct tm_redis *redis)
{
	memset(redis->loaded, 0, sizeof(redis->loaded));
	redis->link.noscript = false;
}

/* UP: reads what has come; a connection that was closed while idle is FRESH again, since
 * nothing of the next pipeline can have been executed on it. */
static enum tm_err look(struct tm_redis *redis)
{
	enum tm_err err = tm_redis_link_fill(&redis->link);

	if (err == TM_OK)
		err = tm_redis_link_flush(&redis->link);
	if (redis->link.noscript)
		forget_scripts(redis);
	if (err == TM_OK && redis->link.refusal[0]) {
		err = blame(redis, TM_EIO, redis->link.refusal);
	} else if (err == TM_EIO) {
		drop(redis, FRESH);
		err = TM_OK;
	}
	return err ? lose(redis, err) : TM_OK;
}

/* TRYING: whatever of the greeting can be done now. */
static void step(struct tm_redis *redis, int64_t now_ms)
{
	enum tm_err err = tm_redis_link_flush(&redis->link);

	if (err == TM_OK)
		err = tm_redis_link_fill(&redis->link);
	if (err == TM_OK && tm_redis_link_complete(&redis->link))
		err = welcome(redis);
	else if (err == TM_OK && now_ms >= redis->next_ms)
		err = lose(redis, blame(redis, TM_ETIME, "no answer to a new connection"));
	else if (err)
		err = lose(redis, err);
	(void)err;	/* nobody waits for it; tm_redis_error tells */
}

void tm_redis_poll(struct tm_redis *redis)
{
	int64_t now_ms = tm_clock_mono_ms();
	enum tm_err err;

	if (redis->state == UP) {
		err = look(redis);
		(void)err;	/* the next use tells */
		return;
	}
	if (redis->state == DOWN && now_ms >= redis->next_ms) {
		err = start(redis);
		if (err) {
			err = lose(redis, err);
			return;
		}
		redis->state = TRYING;
		redis->next_ms = now_ms + (redis->timeout_ms > TRY_MS ? redis->timeout_ms : TRY_MS);
	}
	if (redis->state == TRYING)
		step(redis, now_ms);
}

int tm_redis_watch(struct tm_redis *redis, short *events, int64_t *timeout_ms)
{
	int64_t left_ms = redis->next_ms - tm_clock_mono_ms();

	*events = 0;
	*timeout_ms = -1;
	if (redis->state == DOWN || redis->state == TRYING)
		*timeout_ms = left_ms > 0 ? left_ms : 0;
	if (redis->state == UP || redis->state == TRYING)
		*events = redis->link.unsent ? POLLIN | POLLOUT : POLLIN;
	return tm_redis_link_fd(&redis->link);
}

/* A command of this index was queued: no answer yet. */
static int queued(struct tm_redis *redis, int index)
{
	if (index >= 0)
		redis->replies[index] = nil;
	return index;
}

int tm_redis_queue(struct tm_redis *redis, int argc, const char *const *argv, const size_t *lens)
{
	return queued(redis, tm_redis_wire_put(&redis->wire, argc, argv, lens));
}

int tm_redis_queuef(struct tm_redis *redis, const char *fmt, ...)
{
	va_list args;
	int index;

	va_start(args, fmt);
	index = tm_redis_wire_vputf(&redis->wire, fmt, args);
	va_end(args);
	return queued(redis, index);
}

int tm_redis_queue_script(struct tm_redis *redis, enum tm_script script, int keys_count, int argc,
			  const char *const *argv, const size_t *lens)
{
	struct tm_redis_call call = {
		.script = script, .sha = redis->loaded[script] ? redis->sha[script] : "",
		.keys_count = keys_count, .argc = argc, .argv = argv, .lens = lens,
	};

	/* EVAL leaves the script behind: the next call goes by its sha again. */
	redis->loaded[script] = redis->sha[script][0] != '\0';
	return queued(redis, tm_redis_wire_put_script(&redis->wire, &call));
}

/* A connection that is greeted and, as far as can be seen without waiting, alive. */
static enum tm_err ready(struct tm_redis *redis, int64_t deadline_us)
{
	enum tm_err err;

	if (redis->state == DOWN || redis->state == TRYING) {
		tm_redis_poll(redis);
		return redis->state == UP ? TM_OK : TM_EUNAVAIL;
	}
	if (redis->state == UP) {
		err = look(redis);
		if (err)
			return err;
	}
	return redis->state == UP ? TM_OK : connect_now(redis, deadline_us);
}

/* Hands the queue to the socket. Where the very first byte finds the connection gone, nothing
 * was executed and a new connection may have it. */
static enum tm_err post(struct tm_redis *redis, int64_t deadline_us)
{
	enum tm_err err = ready(redis, deadline_us);
	bool first;

	if (err)
		return err;
	first = !redis->link.unsent;
	err = tm_redis_link_append(&redis->link, &redis->wire.bytes);
	if (err == TM_OK)
		err = tm_redis_link_flush(&redis->link);
	if (err == TM_EIO && first) {
		drop(redis, FRESH);
		err = connect_now(redis, deadline_us);
		if (err)
			return err;
		err = tm_redis_link_append(&redis->link, &redis->wire.bytes);
		if (err == TM_OK)
			err = tm_redis_link_flush(&redis->link);
	}
	return err ? lose(redis, err) : TM_OK;
}

/* The scripts that the server has forgotten, once more and with their text. */
static enum tm_err repeat_scripts(struct tm_redis *redis, int64_t deadline_us)
{
	struct tm_redis_sink *sink = &redis->pipeline;
	struct tm_buf bytes;
	enum tm_err err;

	tm_buf_init(&bytes, redis->wire.bytes.max);
	sink->wanted = sink->got = 0;
	for (int i = 0; i < redis->wire.count; i++) {
		if (redis->wire.commands[i].script < 0 ||
		    redis->replies[i].kind != TM_REPLY_ERROR ||
		    strncmp(redis->replies[i].text, "NOSCRIPT ", 9) != 0)
			continue;
		redis->replies[i] = nil;
		redis->order[sink->wanted++] = (unsigned char)i;
		tm_redis_wire_put_eval(&redis->wire, i, &bytes);
		redis->loaded[redis->wire.commands[i].script] = true;
	}
	err = tm_buf_err(&bytes);
	if (err == TM_OK && sink->wanted > 0) {
		err = tm_redis_link_append(&redis->link, &bytes);
		redis->trips++;
		if (err == TM_OK)
			err = tm_redis_link_exchange(&redis->link, deadline_us);
	}
	tm_buf_clear(&bytes);
	return err;
}

static int64_t deadline_of(const struct tm_redis *redis)
{
	int64_t deadline_us = tm_clock_mono_us() + redis->timeout_ms * 1000;

	return redis->bound_us && redis->bound_us < deadline_us ? redis->bound_us : deadline_us;
}

void tm_redis_bound(struct tm_redis *redis, int64_t until_us)
{
	redis->bound_us = until_us;
}

enum tm_err tm_redis_run(struct tm_redis *redis)
{
	struct tm_redis_sink *sink = &redis->pipeline;
	int64_t deadline_us = deadline_of(redis);
	enum tm_err err;

	if (redis->wire.broken)
		return TM_ENOMEM;
	if (redis->wire.count == 0)
		return TM_OK;
	err = post(redis, deadline_us);
	if (err)
		return err;
	sink->got = 0;
	sink->wanted = redis->wire.count;
	for (int i = 0; i < redis->wire.count; i++)
		redis->order[i] = (unsigned char)i;
	redis->link.noscript = false;
	redis->trips++;
	err = tm_redis_link_exchange(&redis->link, deadline_us);
	if (err == TM_OK && redis->link.noscript && !redis->link.refusal[0]) {
		forget_scripts(redis);
		err = repeat_scripts(redis, deadline_us);
	}
	if (err == TM_OK && redis->link.refusal[0])
		err = blame(redis, TM_EIO, redis->link.refusal);
	sink->wanted = sink->got = 0;
	if (err)
		return lose(redis, err);
	redis->failures = 0;
	return TM_OK;
}

enum tm_err tm_redis_send(struct tm_redis *redis)
{
	int64_t deadline_us = deadline_of(redis);
	enum tm_err err;

	if (redis->wire.broken)
		return TM_ENOMEM;
	if (redis->wire.count == 0)
		return TM_OK;
	/* A server that has stopped reading must not fill our memory. */
	if (redis->state == UP &&
	    (redis->link.unsent || redis->link.discard + redis->wire.count > DISCARD_MAX)) {
		redis->trips++;
		err = tm_redis_link_exchange(&redis->link, deadline_us);
		if (err)
			return lose(redis, err);
	}
	err = post(redis, deadline_us);
	if (err == TM_OK)
		redis->link.discard += redis->wire.count;
	return err;
}

bool tm_redis_sent_over(const struct tm_redis *redis)
{
	return redis->state != UP || redis->link.discard == 0;
}

uint64_t tm_redis_sent_errors(const struct tm_redis *redis)
{
	return redis->link.discarded_errors;
}

const struct tm_reply *tm_redis_reply(const struct tm_redis *redis, int index)
{
	if (index < 0 || index >= redis->wire.count)
		return &nil;
	return &redis->replies[index];
}

void tm_redis_end(struct tm_redis *redis)
{
	tm_arena_reset(&redis->pipeline.arena);
	tm_redis_wire_reset(&redis->wire);
}

static enum tm_err configure(struct tm_redis *redis, const struct tm_redis_conf *conf)
{
	struct tm_url_redis *url = &redis->url;
	const char *username = conf->username ? conf->username : "";
	const char *password = conf->password ? conf->password : "";

	if (!conf->url || tm_url_read_redis(conf->url, url, NULL, 0) != TM_OK ||
	    conf->timeout_ms < 1 || strlen(username) >= sizeof(url->username) ||
	    strlen(password) >= sizeof(url->password))
		return TM_EINVAL;
	if (username[0])
		memcpy(url->username, username, strlen(username) + 1);
	if (password[0])
		memcpy(url->password, password, strlen(password) + 1);
	redis->timeout_ms = conf->timeout_ms;
	return TM_OK;
}

enum tm_err tm_redis_new(struct tm_redis **out, const struct tm_redis_conf *conf)
{
	struct tm_redis *redis = calloc(1, sizeof(*redis));
	enum tm_err err;

	if (!redis)
		return TM_ENOMEM;
	redis->pipeline = (struct tm_redis_sink){.slots = redis->replies, .order = redis->order};
	redis->greeting = (struct tm_redis_sink){.slots = redis->welcomes};
	redis->link.sink = &redis->pipeline;
	tm_arena_init(&redis->pipeline.arena, TM_REDIS_ANSWERS_BYTES_MAX);
	tm_arena_init(&redis->greeting.arena, TM_REDIS_ANSWERS_BYTES_MAX);
	tm_redis_wire_init(&redis->wire);
	err = configure(redis, conf);
	if (err) {
		tm_redis_free(redis);
		return err;
	}
	*out = redis;
	return TM_OK;
}

void tm_redis_free(struct tm_redis *redis)
{
	if (!redis)
		return;
	drop(redis, FRESH);
	tm_arena_clear(&redis->pipeline.arena);
	tm_arena_clear(&redis->greeting.arena);
	tm_redis_wire_clear(&redis->wire);
	tm_digest_wipe(&redis->url, sizeof(redis->url));
	free(redis);
}

bool tm_redis_up(const struct tm_redis *redis)
{
	return redis->state == FRESH || redis->state == UP;
}

uint64_t tm_redis_trips(const struct tm_redis *redis)
{
	return redis->trips;
}

const char *tm_redis_error(const struct tm_redis *redis)
{
	return tm_redis_up(redis) ? "" : redis->link.error;
}
