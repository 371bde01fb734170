/*
 * FastCGI responder over libfcgi. The only file that knows libfcgi.
 *
 * The traps it closes: a peer that sends one byte, or none, cannot pin the worker (a timer
 * shuts its connection down); signals interrupt only the wait, never a request; handlers
 * survive FCGX_Init; of a header that comes as several params all count.
 */
#ifndef TM_IO_FCGI_H
#define TM_IO_FCGI_H

#include <stdint.h>

#include "base/err.h"
#include "io/exchange.h"

struct tm_fcgi;

/* How long a peer is waited for, ms, each 1..600000. */
struct tm_fcgi_times {
	int64_t head_ms;	/* for all params, and at the end for its close */
	int64_t body_ms;	/* for the whole body */
	int64_t write_ms;	/* until it takes the next 8 KiB of the answer */
	int64_t answer_ms;	/* for all pieces of the answer together */
};

/*
 * listen_fd  a listening socket, AF_UNIX or AF_INET/6; made non-blocking; borrowed
 * times      copied
 *
 * TM_OK and *out (tm_fcgi_free frees it); TM_ENOMEM, TM_EIO.
 * Takes SIGALRM, ignores SIGPIPE; other handlers stay as they are.
 */
TM_CHECK enum tm_err tm_fcgi_new(struct tm_fcgi **out, int listen_fd,
				 const struct tm_fcgi_times *times);
void tm_fcgi_free(struct tm_fcgi *fcgi);

/*
 * Accepts one waiting request; never waits for one to come (the caller ppolls listen_fd).
 * On TM_OK the exchange is ready, to be finished by the caller.
 *
 * TM_OK; TM_EAGAIN nothing there (another worker was faster), or the peer was dropped for
 * being slow or broken; TM_EIO the listener itself is broken: the worker must end.
 */
TM_CHECK enum tm_err tm_fcgi_accept(struct tm_fcgi *fcgi, struct tm_exchange *out);

/* True when fd 0 is a listening socket: the FastCGI way of being started. */
int tm_fcgi_is_listener(int fd);

#endif
