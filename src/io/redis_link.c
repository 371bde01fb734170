/*
 * The connection. hiredis connects and parses; waiting is ours, so that one deadline covers
 * a whole pipeline and a connect in the background costs nobody anything.
 *
 * Answers become tm_reply trees in an arena while they are parsed, without hiredis' own
 * objects between; answers to throw away become nothing at all.
 *
 * The program has to ignore SIGPIPE: the library writes without MSG_NOSIGNAL.
 */
#include "io/redis_link.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

enum tm_err tm_redis_link_blame(struct tm_redis_link *link, enum tm_err err, const char *text)
{
	(void)snprintf(link->error, sizeof(link->error), "%.*s", TM_REDIS_ERROR_BYTES - 1, text);
	return err;
}

/* What hiredis calls wrong, in our codes. */
static enum tm_err context_err(struct tm_redis_link *link)
{
	switch (link->ctx->err) {
	case REDIS_ERR_PROTOCOL:
		return tm_redis_link_blame(link, TM_EPROTO,
					   "the peer does not speak Redis' protocol");
	case REDIS_ERR_OOM:
		return tm_redis_link_blame(link, TM_ENOMEM, "out of memory for an answer");
	default:
		return tm_redis_link_blame(link, TM_EIO, link->ctx->errstr);
	}
}

/* Stands for every answer that is thrown away; never written. */
static struct tm_reply nowhere;

/* Errors after which no command can be expected to work on this connection. */
static bool is_refusal(const char *text, size_t len)
{
	static const char *const codes[] = {
		"LOADING ", "READONLY ", "MASTERDOWN ", "NOAUTH ", "MISCONF ", "CLUSTERDOWN ",
		"BUSY ", "DENIED ",
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		size_t code_len = strlen(codes[i]);

		if (len >= code_len && memcmp(text, codes[i], code_len) == 0)
			return true;
	}
	return false;
}

static void note_error(struct tm_redis_link *link, const char *text, size_t len)
{
	static const char noscript[] = "NOSCRIPT ";

	if (len >= sizeof(noscript) - 1 && memcmp(text, noscript, sizeof(noscript) - 1) == 0) {
		link->noscript = true;
	} else if (is_refusal(text, len) && !link->refusal[0]) {
		(void)snprintf(link->refusal, sizeof(link->refusal), "%.*s",
			       (int)(len < TM_REDIS_ERROR_BYTES ? len : TM_REDIS_ERROR_BYTES),
			       text);
	}
}

static struct tm_reply *place(const redisReadTask *task)
{
	struct tm_redis_link *link = task->privdata;
	struct tm_redis_sink *sink = link->sink;
	int slot;

	if (task->parent) {
		struct tm_reply *parent = task->parent->obj;

		return parent == &nowhere ? parent : (struct tm_reply *)parent->items + task->idx;
	}
	if (link->discard > 0 || sink->got >= sink->wanted)
		return &nowhere;
	slot = sink->order ? sink->order[sink->got] : sink->got;
	return &sink->slots[slot];
}

static void *make_text(const redisReadTask *task, char *text, size_t len)
{
	struct tm_redis_link *link = task->privdata;
	struct tm_reply *reply = place(task);

	if (task->type == REDIS_REPLY_ERROR && !task->parent) {
		note_error(link, text, len);
		link->discarded_errors += link->discard > 0 ? 1 : 0;
	}
	if (reply == &nowhere)
		return reply;
	reply->kind = task->type == REDIS_REPLY_ERROR ? TM_REPLY_ERROR : TM_REPLY_TEXT;
	reply->text = tm_arena_dup(&link->sink->arena, text, len);
	reply->len = len;
	return reply->text ? reply : NULL;
}

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void *make_array(const redisReadTask *task, element_count elements)
{
	struct tm_redis_link *link = task->privdata;
	struct tm_reply *reply = place(task);
	size_t count = (size_t)elements;

	if (reply == &nowhere)
		return reply;
	if (count > TM_REDIS_ANSWERS_BYTES_MAX / sizeof(*reply))
		return NULL;
	reply->kind = TM_REPLY_ARRAY;
	reply->text = "";
	reply->items = tm_arena_alloc(&link->sink->arena, count * sizeof(*reply));
	reply->count = count;
	return reply->items ? reply : NULL;
}

static void *make_integer(const redisReadTask *task, long long value)
{
	struct tm_reply *reply = place(task);

	if (reply != &nowhere)
		*reply = (struct tm_reply){.kind = TM_REPLY_INT, .integer = value, .text = ""};
	return reply;
}

static void *make_nil(const redisReadTask *task)
{
	struct tm_reply *reply = place(task);

	if (reply != &nowhere)
		*reply = (struct tm_reply){.kind = TM_REPLY_NIL, .text = ""};
	return reply;
}

/* Pieces belong to the arena. */
static void forget(void *reply)
{
	(void)reply;
}

static redisReplyObjectFunctions functions = {
	.createString = make_text, .createArray = make_array, .createInteger = make_integer,
	.createNil = make_nil, .freeObject = forget,
};

/* Takes every complete answer out of the parser. */
static enum tm_err take(struct tm_redis_link *link)
{
	for (;;) {
		void *reply = NULL;

		if (redisGetReplyFromReader(link->ctx, &reply) != REDIS_OK)
			return context_err(link);
		if (!reply)
			return TM_OK;
		if (link->discard > 0)
			link->discard--;
		else if (link->sink->got < link->sink->wanted)
			link->sink->got++;
		else
			return tm_redis_link_blame(link, TM_EPROTO,
						   "an answer that nobody asked for");
	}
}

bool tm_redis_link_complete(const struct tm_redis_link *link)
{
	return link->discard == 0 && link->sink->got == link->sink->wanted;
}

enum tm_err tm_redis_link_flush(struct tm_redis_link *link)
{
	int done = 0;

	if (!link->unsent)
		return TM_OK;
	if (redisBufferWrite(link->ctx, &done) != REDIS_OK)
		return context_err(link);
	link->unsent = !done;
	return TM_OK;
}

enum tm_err tm_redis_link_fill(struct tm_redis_link *link)
{
	if (redisBufferRead(link->ctx) != REDIS_OK)
		return context_err(link);
	if (link->ctx->reader->len > TM_REDIS_ANSWERS_BYTES_MAX)
		return tm_redis_link_blame(link, TM_EPROTO, "the answer is too large");
	return take(link);
}

static enum tm_err wait_ready(struct tm_redis_link *link, int64_t deadline_us)
{
	struct pollfd watched = {.fd = link->ctx->fd, .events = POLLIN};

	if (link->unsent)
		watched.events |= POLLOUT;
	for (;;) {
		int64_t left_ms = (deadline_us - tm_clock_mono_us() + 999) / 1000;
		int ready;

		if (left_ms > INT_MAX)
			left_ms = INT_MAX;
		ready = left_ms > 0 ? poll(&watched, 1, (int)left_ms) : 0;
		if (ready > 0)
			return TM_OK;
		if (ready == 0)
			break;
		if (errno != EINTR)
			return tm_redis_link_blame(link, TM_EIO, "poll failed");
	}
	return tm_redis_link_blame(link, TM_ETIME, "no answer in time");
}

enum tm_err tm_redis_link_exchange(struct tm_redis_link *link, int64_t deadline_us)
{
	enum tm_err err = tm_redis_link_flush(link);

	while (err == TM_OK && !tm_redis_link_complete(link)) {
		err = wait_ready(link, deadline_us);
		if (err == TM_OK)
			err = tm_redis_link_flush(link);
		if (err == TM_OK)
			err = tm_redis_link_fill(link);
	}
	return err;
}

enum tm_err tm_redis_link_append(struct tm_redis_link *link, const struct tm_buf *bytes)
{
	if (redisAppendFormattedCommand(link->ctx, bytes->data, bytes->len) != REDIS_OK)
		return context_err(link);
	link->unsent = true;
	return TM_OK;
}

int tm_redis_link_fd(const struct tm_redis_link *link)
{
	return link->ctx ? link->ctx->fd : -1;
}

void tm_redis_link_close(struct tm_redis_link *link)
{
	if (link->ctx)
		redisFree(link->ctx);
	link->ctx = NULL;
	link->discard = 0;
	link->unsent = false;
	link->noscript = false;
	link->refusal[0] = '\0';
}

enum tm_err tm_redis_link_open(struct tm_redis_link *link, const struct tm_url_redis *url,
			       const char *address)
{
	bool local = url->path[0] != '\0';
	int on = 1;

	link->ctx = local ? redisConnectUnixNonBlock(url->path)
			  : redisConnectNonBlock(address, url->port);
	if (!link->ctx)
		return tm_redis_link_blame(link, TM_ENOMEM, "out of memory");
	if (link->ctx->err)
		return context_err(link);
	(void)fcntl(link->ctx->fd, F_SETFD, FD_CLOEXEC);
	if (!local)
		(void)setsockopt(link->ctx->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	link->ctx->reader->fn = &functions;
	link->ctx->reader->privdata = link;
	return TM_OK;
}
