/*
 * HTTP calls to LLM providers, many at a time, over curl_multi. The only file that knows curl.
 * Connections stay open between requests; every wait is the caller's.
 *
 * Where a call goes is the configuration's choice alone: redirects are not followed and proxy
 * variables of the environment (http_proxy, ALL_PROXY, ...) not honoured. Certificates are
 * checked, TLS is 1.2 or later. Names are looked up by a thread of libcurl's.
 */
#ifndef TM_IO_HTTP_H
#define TM_IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct tm_http;		/* the multi handle, one per process */
struct tm_http_call;	/* one transfer */

/* Once per program, before any fork: loads what is costly (TLS). TM_OK or TM_EIO. */
TM_CHECK enum tm_err tm_http_init_main(void);
void tm_http_exit_main(void);

/* Also before a fork, where calls will need them: reads the certificates that are the default for
 * https, once for all processes. Without it, and where it fails, each reads them when it must. */
void tm_http_preload(void);

/* Per process, after the fork. TM_OK, TM_ENOMEM. Free takes NULL; calls end before it. */
TM_CHECK enum tm_err tm_http_new(struct tm_http **out);
void tm_http_free(struct tm_http *http);

/* What a request asks for; url, headers and ca_file are copied. */
struct tm_http_request {
	const char *url;		/* http:// or https:// */
	const char *const *headers;	/* "Name: value", NULL-terminated */
	const char *body;		/* POST when not NULL; must live until the call ends */
	size_t body_len;
	const char *ca_file;		/* PEM; "" for SSL_CERT_FILE's, else the system's */
	int64_t connect_ms;		/* longest wait for a connection, TLS included */
	int64_t total_ms;		/* longest whole transfer */
	size_t answer_max;		/* bytes; a longer answer fails with TM_ESIZE */
	/* Takes body bytes as they come instead of result->body; NULL: collect. Return other than
	 * TM_OK ends the transfer with that error. Must not call tm_http_*, but status and
	 * content_type, which are known before the first byte. */
	enum tm_err (*data)(void *arg, const char *bytes, size_t len);
	void *arg;
};

/* How a transfer ended. */
struct tm_http_result {
	enum tm_err err;	/* TM_OK: a whole response came, whatever its status.
				 * TM_ETIME; TM_EIO connection, TLS, or closed without a byte;
				 * TM_DENIED the certificate is not good;
				 * TM_EPROTO cut or garbled; TM_ESIZE; TM_ENOMEM; or what data
				 * returned */
	bool sent;		/* the request may have reached the provider */
	int status;		/* HTTP status; 0 when none came */
	const char *body;	/* collected; NUL-terminated; until tm_http_end */
	size_t body_len;
	const char *retry_after;	/* header values; NULL when absent or over 255 bytes */
	const char *retry_after_ms;
	const char *ratelimit_policy;
	const char *content_type;
	const char *detail;	/* curl's words on a failure, for the log; never NULL */
	int64_t total_us;	/* start to end */
};

/* Starts a transfer; the first tm_http_wait sets it going. TM_OK and *out, to be ended with
 * tm_http_end; TM_EINVAL a URL or header breaks its form (control characters); TM_ENOMEM. */
TM_CHECK enum tm_err tm_http_start(struct tm_http *http, const struct tm_http_request *request,
				   struct tm_http_call **out);

/*
 * Moves all transfers on; unless one of them ended or brought body bytes to data at once, waits
 * for the first event, at most wait_ms. Also a plain wait while no transfer runs.
 *
 * watch_fd  the client's connection, -1 for none: the wait ends when its peer hangs up
 * watched   set to whether it has (may be NULL). Unread bytes are no hang-up; while there are
 *           any, it may be noticed up to 250 ms late
 *
 * TM_OK, whether something happened or not; TM_EIO, TM_ENOMEM: the engine itself failed.
 */
TM_CHECK enum tm_err tm_http_wait(struct tm_http *http, int64_t wait_ms, int watch_fd,
				  bool *watched);

/* Of the response whose body is coming: its status, 0 when none came yet, and the header's value,
 * NULL when absent or over 255 bytes. */
int tm_http_status(const struct tm_http_call *call);
const char *tm_http_content_type(const struct tm_http_call *call);

/* The result once the transfer is over; NULL while it runs. Until tm_http_end. */
const struct tm_http_result *tm_http_result(const struct tm_http_call *call);

/* Ends it, running or not: a running one is dropped, its connection closed. */
void tm_http_end(struct tm_http *http, struct tm_http_call *call);

#endif
