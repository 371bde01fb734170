/*
 * Plain CGI: one request, its variables in the environment, its body on fd 0, the answer to
 * fd 1. Every wait has a deadline, since some servers never end a CGI that hangs.
 *
 * A client's "Proxy:" header arrives here as HTTP_PROXY (CVE-2016-5385). It is a request's
 * variable and nothing else: whoever makes HTTP calls must not take a proxy from that name
 * (curl does not).
 */
#include "io/cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	IN_FD = 0,
	OUT_FD = 1,
	BODY_MS = 30000,	/* the whole body */
	DISCARD_MS = 5000,	/* what is left of it when the answer is out */
	WRITE_MS = 30000,	/* until the server takes the next piece */
	WRITE_BYTES = 4096	/* PIPE_BUF: never blocks on a pipe that poll calls writable */
};

/* A process has one CGI request in its life. */
static struct cgi {
	char *const *env;
	int64_t left;		/* announced bytes still to read; -1 where nothing was announced */
	int64_t body_until_ms;	/* 0 before the first read */
	bool finished;
} cgi;

static const char *cgi_param(struct tm_exchange *exchange, const char *name)
{
	const struct cgi *self = exchange->impl;
	size_t len = strlen(name);

	for (char *const *at = self->env; *at && !self->finished; at++)
		if (!strncmp(*at, name, len) && (*at)[len] == '=')
			return *at + len + 1;
	return NULL;
}

static const char *const *cgi_params(struct tm_exchange *exchange)
{
	static const char *const none[] = {NULL};
	const struct cgi *self = exchange->impl;

	return self->finished ? none : (const char *const *)self->env;
}

/* Waits until fd is ready. TM_OK, TM_ETIME. */
static enum tm_err wait_for(int fd, short events, int64_t until_ms)
{
	for (;;) {
		struct pollfd watch = {.fd = fd, .events = events};
		int64_t left = until_ms - tm_clock_mono_ms();

		if (left <= 0)
			return TM_ETIME;
		if (poll(&watch, 1, (int)left) > 0)
			return TM_OK;
	}
}

/* RFC 3875, 4.2: a script must not read past CONTENT_LENGTH; the server may leave it open. */
static enum tm_err cgi_read(struct tm_exchange *exchange, char *into, size_t room, size_t *got)
{
	struct cgi *self = exchange->impl;
	enum tm_err err;
	ssize_t len;

	*got = 0;
	if (self->finished)
		return TM_EGONE;
	if (self->left >= 0 && room > (uint64_t)self->left)
		room = (size_t)self->left;
	if (!room)
		return TM_OK;
	if (!self->body_until_ms)
		self->body_until_ms = tm_clock_mono_ms() + BODY_MS;
	do {
		err = wait_for(IN_FD, POLLIN, self->body_until_ms);
		if (err != TM_OK)
			return err;
		len = read(IN_FD, into, room);
	} while (len < 0 && (errno == EINTR || errno == EAGAIN));
	if (len < 0)
		return TM_EGONE;
	*got = (size_t)len;
	if (self->left > 0)
		self->left -= len;
	return TM_OK;
}

static enum tm_err cgi_write(struct tm_exchange *exchange, const char *data, size_t len)
{
	const struct cgi *self = exchange->impl;

	if (self->finished)
		return TM_EGONE;
	while (len) {
		ssize_t put;

		if (wait_for(OUT_FD, POLLOUT, tm_clock_mono_ms() + WRITE_MS) != TM_OK)
			return TM_EGONE;
		put = write(OUT_FD, data, len < WRITE_BYTES ? len : WRITE_BYTES);
		if (put < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (put < 0)
			return TM_EGONE;
		data += put;
		len -= (size_t)put;
	}
	return TM_OK;
}

static enum tm_err cgi_flush(struct tm_exchange *exchange)
{
	const struct cgi *self = exchange->impl;

	return self->finished ? TM_EGONE : TM_OK;
}

static int cgi_fd(struct tm_exchange *exchange)
{
	(void)exchange;
	return -1;
}

/* Whether some of the body may still come. Without a length there is one when it was begun, when
 * it comes in chunks, or when something is there; else nobody may ever end the wait for it. */
static bool more_body(struct tm_exchange *exchange)
{
	const struct cgi *self = exchange->impl;
	struct pollfd in = {.fd = IN_FD, .events = POLLIN};

	if (self->left >= 0)
		return self->left > 0;
	return self->body_until_ms || cgi_param(exchange, "HTTP_TRANSFER_ENCODING") ||
	       poll(&in, 1, 0) > 0;
}

/* A server that cannot hand over the whole body may never look at the answer (mod_cgid). */
static void discard_body(struct tm_exchange *exchange)
{
	struct cgi *self = exchange->impl;
	char waste[4096];
	size_t got;

	if (!more_body(exchange))
		return;
	self->body_until_ms = tm_clock_mono_ms() + DISCARD_MS;
	do
		if (cgi_read(exchange, waste, sizeof(waste), &got) != TM_OK)
			return;
	while (got);
}

/* The server sees the end at once, though this process still has records to write. */
static void cgi_finish(struct tm_exchange *exchange)
{
	struct cgi *self = exchange->impl;
	int null_fd;

	if (self->finished)
		return;
	discard_body(exchange);
	self->finished = true;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0) {
		close(OUT_FD);
		return;
	}
	(void)dup2(null_fd, IN_FD);
	(void)dup2(null_fd, OUT_FD);
	if (null_fd > OUT_FD)
		close(null_fd);
}

static const struct tm_exchange_ops ops = {
	.param = cgi_param,
	.params = cgi_params,
	.read = cgi_read,
	.write = cgi_write,
	.flush = cgi_flush,
	.fd = cgi_fd,
	.finish = cgi_finish,
};

void tm_cgi_open(struct tm_exchange *out, char *const *env)
{
	const char *length;
	char *end;

	cgi = (struct cgi){.env = env, .left = -1};
	*out = (struct tm_exchange){.ops = &ops, .impl = &cgi};
	length = cgi_param(out, "CONTENT_LENGTH");
	if (length && *length >= '0' && *length <= '9') {
		errno = 0;
		cgi.left = strtoll(length, &end, 10);
		if (errno || *end)
			cgi.left = 0;	/* no number: refused before anything is read */
	}
}
