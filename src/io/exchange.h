/*
 * One HTTP request and its response, as a web server hands it over: FastCGI (io/fcgi) and
 * plain CGI (io/cgi) look the same from here.
 */
#ifndef TM_IO_EXCHANGE_H
#define TM_IO_EXCHANGE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct tm_exchange;

/* What a kind of connection can do; implemented by fcgi.c and cgi.c. */
struct tm_exchange_ops {
	const char *(*param)(struct tm_exchange *exchange, const char *name);
	const char *const *(*params)(struct tm_exchange *exchange);
	enum tm_err (*read)(struct tm_exchange *exchange, char *into, size_t room, size_t *got);
	enum tm_err (*write)(struct tm_exchange *exchange, const char *data, size_t len);
	enum tm_err (*flush)(struct tm_exchange *exchange);
	int (*fd)(struct tm_exchange *exchange);
	void (*finish)(struct tm_exchange *exchange);
};

struct tm_exchange {
	const struct tm_exchange_ops *ops;
	void *impl;
};

/* CGI/1.1 variable (RFC 3875), e.g. "REQUEST_METHOD", "HTTP_ACCEPT"; NULL when absent. A header
 * that the client sent more than once is one list, "a, b" (RFC 9110, 5.3). */
const char *tm_exchange_param(struct tm_exchange *exchange, const char *name);

/* All of them, NAME=value, NULL-terminated; borrowed until finish. */
const char *const *tm_exchange_params(struct tm_exchange *exchange);

/*
 * Reads the whole body into body, whose ceiling the caller set to the limit.
 *
 * TM_OK; TM_ESIZE over the ceiling (also when CONTENT_LENGTH announces it: nothing is read
 * then); TM_ESHORT less than CONTENT_LENGTH arrived; TM_EINVAL CONTENT_LENGTH is no number;
 * TM_ETIME it did not come in time, and an answer can still be written; TM_EGONE, TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_exchange_read_body(struct tm_exchange *exchange, struct tm_buf *body);

/* Queues bytes of the response (header block first). TM_EGONE: nobody listens any more. */
TM_CHECK enum tm_err tm_exchange_write(struct tm_exchange *exchange, const char *data, size_t len);

/* Pushes what is queued to the web server. TM_EGONE. */
TM_CHECK enum tm_err tm_exchange_flush(struct tm_exchange *exchange);

/* The connection, to watch for the client's leaving; -1 where there is none to watch. */
int tm_exchange_fd(struct tm_exchange *exchange);

/* Ends the response. Params are gone afterwards; the caller may go on working. */
void tm_exchange_finish(struct tm_exchange *exchange);

#endif
