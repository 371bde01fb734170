/*
 * What FastCGI and CGI have in common: the dispatch, and reading a body under a ceiling.
 *
 * A body is read to its end, not only to its announced length: over FastCGI the end has a
 * record of its own, and left unread on the connection it would look like a client that leaves.
 * Both kinds of read say an end with no bytes, and plain CGI never waits past the length.
 */
#include "io/exchange.h"

#include <stdint.h>
#include <string.h>

enum { PIECE_BYTES = 16 * 1024 };

const char *tm_exchange_param(struct tm_exchange *exchange, const char *name)
{
	return exchange->ops->param(exchange, name);
}

const char *const *tm_exchange_params(struct tm_exchange *exchange)
{
	return exchange->ops->params(exchange);
}

/* An empty CONTENT_LENGTH is what nginx passes for a request without one. */
static enum tm_err announced(struct tm_exchange *exchange, int *known, uint64_t *length)
{
	const char *text = tm_exchange_param(exchange, "CONTENT_LENGTH");

	*known = 0;
	*length = 0;
	if (!text || !*text)
		return TM_OK;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return TM_EINVAL;
		if (*length > (UINT64_MAX - 9) / 10)
			*length = UINT64_MAX / 10;	/* beyond every ceiling, whatever follows */
		else
			*length = *length * 10 + (uint64_t)(*text - '0');
	}
	*known = 1;
	return TM_OK;
}

/* Appends up to want bytes; *ended when there were fewer. */
static enum tm_err read_up_to(struct tm_exchange *exchange, struct tm_buf *body, uint64_t want,
			      int *ended)
{
	*ended = 0;
	while (want && !*ended) {
		size_t room = want < PIECE_BYTES ? (size_t)want : PIECE_BYTES, got = 0;
		char *into = tm_buf_reserve(body, room);
		enum tm_err err;

		if (!into)
			return tm_buf_err(body);
		err = exchange->ops->read(exchange, into, room, &got);
		tm_buf_advance(body, got);	/* none after an error */
		if (err != TM_OK)
			return err;
		want -= got;
		*ended = got == 0;
	}
	return TM_OK;
}

enum tm_err tm_exchange_read_body(struct tm_exchange *exchange, struct tm_buf *body)
{
	uint64_t length, room = body->max - body->len;
	int known, ended;
	size_t got = 0;
	char extra;
	enum tm_err err = announced(exchange, &known, &length);

	if (err != TM_OK)
		return err;
	if (known && length > room)
		return TM_ESIZE;
	/* In one piece where the length is known: growing would copy. */
	if (!tm_buf_reserve(body, (size_t)length))
		return tm_buf_err(body);
	tm_buf_advance(body, 0);	/* a body of no bytes is text, too */
	err = read_up_to(exchange, body, known ? length : room, &ended);
	if (err != TM_OK)
		return err;
	if (ended)
		return known ? TM_ESHORT : TM_OK;

	err = exchange->ops->read(exchange, &extra, 1, &got);
	if (err != TM_OK)
		return err;
	return got && !known ? TM_ESIZE : TM_OK;
}

enum tm_err tm_exchange_write(struct tm_exchange *exchange, const char *data, size_t len)
{
	return exchange->ops->write(exchange, data, len);
}

enum tm_err tm_exchange_flush(struct tm_exchange *exchange)
{
	return exchange->ops->flush(exchange);
}

int tm_exchange_fd(struct tm_exchange *exchange)
{
	return exchange->ops->fd(exchange);
}

void tm_exchange_finish(struct tm_exchange *exchange)
{
	exchange->ops->finish(exchange);
}
