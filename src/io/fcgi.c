/*
 * FastCGI over libfcgi, with its waits taken away from it.
 *
 * libfcgi reads and writes in blocking calls and knows no deadline. A guard gives it one: while
 * libfcgi has the word, a timer runs, and when the time is up, its handler shuts the client's
 * connection down, so that the call under way and all later ones end at once. Interrupting the
 * call alone would not do: a peer that sends a byte now and then, or always just in time,
 * would hold the worker for ever. A body that does not come loses only the connection's reading
 * half: its client can still be told.
 *
 * Some web servers take an answer no faster than their client does. So each piece of it has a
 * deadline of its own, and progress is what counts, up to a generous bound for all of them.
 *
 * The connection is accepted here and handed to FCGX_Accept_r as one that is already open:
 * libfcgi's own accept waits two seconds for a first byte and, after a broken request, goes on
 * to the next client without a look at our signals.
 */
#include "io/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	ROLE_RESPONDER = 1,	/* FastCGI specification 1.0, 8: FCGI_RESPONDER */
	PIECE_BYTES = 8192	/* of an answer, within write_ms: what libfcgi writes at once */
};

struct tm_fcgi {
	FCGX_Request request;
	int listen_fd;
	bool local;		/* a Unix socket */
	struct tm_fcgi_times times;
	int64_t body_until_ms;	/* steady clock; 0 before the body's first piece */
	int64_t answer_left_ms;	/* what the pieces still to come may wait */
	bool open;		/* a request is in hand */
	bool broken;		/* its client can no longer be reached */
};

/*
 * The guard. One per process, as its timer is, which is set as seldom as can be: it goes on running
 * from guard to guard, and looks, when it fires, how long the present one has still to wait.
 */
static volatile sig_atomic_t guard_fd = -1;	/* the connection under guard */
static volatile sig_atomic_t guard_fired;
static volatile sig_atomic_t guard_how;	/* what is shut down: SHUT_RD, SHUT_RDWR */
static volatile int64_t guard_until_ms;	/* steady clock; read while guard_fd is set */
static int64_t guard_from_ms;		/* when it was armed */
static volatile int64_t timer_until_ms;	/* steady clock: when it fires; 0: it does not run */
static timer_t timer;

static void set_timer(int64_t until_ms, int64_t ms)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

	timer_until_ms = until_ms;
	(void)timer_settime(timer, 0, &when, NULL);
}

static void on_alarm(int signo)
{
	int saved = errno;
	int64_t left_ms;

	(void)signo;
	timer_until_ms = 0;
	if (guard_fd >= 0) {
		left_ms = guard_until_ms - tm_clock_mono_ms();
		if (left_ms > 0) {
			set_timer(guard_until_ms, left_ms);
		} else {
			guard_fired = 1;
			(void)shutdown(guard_fd, guard_how);
		}
	}
	errno = saved;
}

static void guard_arm(const struct tm_fcgi *self, int64_t ms, int how)
{
	guard_from_ms = tm_clock_mono_ms();
	guard_fired = 0;
	guard_how = how;
	guard_until_ms = guard_from_ms + ms;
	guard_fd = self->request.ipcFd;
	if (!timer_until_ms || timer_until_ms > guard_until_ms)
		set_timer(guard_until_ms, ms);
}

/* True when the deadline passed meanwhile. */
static bool guard_disarm(void)
{
	guard_fd = -1;
	return guard_fired != 0;
}

static bool is_param(const char *param, const char *name, size_t len)
{
	return strncmp(param, name, len) == 0 && param[len] == '=';
}

/* The first param of that name from at on; NULL when there is none. */
static char **find_param(char **at, const char *name, size_t len)
{
	for (; *at; at++)
		if (is_param(*at, name, len))
			return at;
	return NULL;
}

/*
 * Makes the params of first's name one, in its place. The strings are libfcgi's, from malloc, and
 * it frees as many as it made: the places behind the last one are NULL. Without memory the first
 * param is what counts.
 */
static void join_params(char **first, const char *name, size_t len)
{
	size_t bytes = strlen(*first) + 1;
	char **from = first + 1, **to = from, *joined, *end;

	for (char **at = first; (at = find_param(at + 1, name, len));)
		bytes += strlen(*at + len + 1) + 2;
	joined = realloc(*first, bytes);
	if (!joined)
		return;
	*first = joined;
	end = joined + strlen(joined);
	for (; *from; from++) {
		if (is_param(*from, name, len)) {
			size_t more = strlen(*from + len + 1);

			memcpy(end, ", ", 2);
			memcpy(end + 2, *from + len + 1, more + 1);
			end += 2 + more;
			free(*from);
		} else {
			*to++ = *from;
		}
	}
	while (to < from)
		*to++ = NULL;
}

/* nginx before 1.23 sends a header that the client repeats as one param per line. */
static const char *fcgi_param(struct tm_exchange *exchange, const char *name)
{
	struct tm_fcgi *self = exchange->impl;
	size_t len = strlen(name);
	char **at = self->open ? find_param(self->request.envp, name, len) : NULL;

	if (!at)
		return NULL;
	if (strncmp(name, "HTTP_", 5) == 0 && find_param(at + 1, name, len))
		join_params(at, name, len);
	return *at + len + 1;
}

static const char *const *fcgi_params(struct tm_exchange *exchange)
{
	static const char *const none[] = {NULL};
	const struct tm_fcgi *self = exchange->impl;

	return self->open ? (const char *const *)self->request.envp : none;
}

/* A short piece is the only sign of the end; the stream's error tells it from a lost client. */
static enum tm_err fcgi_read(struct tm_exchange *exchange, char *into, size_t room, size_t *got)
{
	struct tm_fcgi *self = exchange->impl;
	int64_t now = tm_clock_mono_ms();
	int ask = room < INT_MAX ? (int)room : INT_MAX, count;

	*got = 0;
	if (!self->open || self->broken)
		return TM_EGONE;
	if (!self->body_until_ms)
		self->body_until_ms = now + self->times.body_ms;
	if (self->body_until_ms <= now)
		return TM_ETIME;
	guard_arm(self, self->body_until_ms - now, SHUT_RD);
	count = FCGX_GetStr(into, ask, self->request.in);
	if (guard_disarm())
		return TM_ETIME;
	if (count < ask && FCGX_GetError(self->request.in)) {
		self->broken = true;
		return TM_EGONE;
	}
	*got = (size_t)count;
	return TM_OK;
}

/* False when the answer has had all its time. */
static bool begin_piece(struct tm_fcgi *self)
{
	int64_t ms = self->times.write_ms;

	if (ms > self->answer_left_ms)
		ms = self->answer_left_ms;
	if (ms <= 0) {
		self->broken = true;
		return false;
	}
	guard_arm(self, ms, SHUT_RDWR);
	return true;
}

static void end_piece(struct tm_fcgi *self, bool failed)
{
	self->answer_left_ms -= tm_clock_mono_ms() - guard_from_ms;
	if (guard_disarm() || failed)
		self->broken = true;
}

/*
 * When the timer fires in the middle of a write, libfcgi takes the part that went out for the
 * whole. Nothing more must follow it then: the request is broken from there on.
 */
static enum tm_err fcgi_write(struct tm_exchange *exchange, const char *data, size_t len)
{
	struct tm_fcgi *self = exchange->impl;

	while (len && self->open && !self->broken) {
		int piece = len < PIECE_BYTES ? (int)len : PIECE_BYTES, put;
		bool sends = self->request.out->stop - self->request.out->wrNext <= piece;

		if (sends && !begin_piece(self))	/* else into the library's buffer only */
			break;
		put = FCGX_PutStr(data, piece, self->request.out);
		if (sends)
			end_piece(self, put != piece);
		data += piece;
		len -= (size_t)piece;
	}
	return self->open && !self->broken ? TM_OK : TM_EGONE;
}

static enum tm_err flush(struct tm_fcgi *self)
{
	if (!self->open || self->broken || !begin_piece(self))
		return TM_EGONE;
	end_piece(self, FCGX_FFlush(self->request.out) != 0);
	return self->broken ? TM_EGONE : TM_OK;
}

static enum tm_err fcgi_flush(struct tm_exchange *exchange)
{
	return flush(exchange->impl);
}

static int fcgi_fd(struct tm_exchange *exchange)
{
	const struct tm_fcgi *self = exchange->impl;

	return self->open ? self->request.ipcFd : -1;
}

/*
 * Closing reads what the client still sends, until it closes: under guard, as it may not, and with
 * the answer out of the way, which may take longer. Once the end of its body was read it sends
 * nothing more, and detached from it we need not wait.
 */
static void finish(struct tm_fcgi *self)
{
	bool ended;

	if (!self->open)
		return;
	ended = FCGX_HasSeenEOF(self->request.in) != 0;
	if (!ended)
		(void)flush(self);
	if (self->broken)
		(void)shutdown(self->request.ipcFd, SHUT_RDWR);
	else if (ended)
		(void)FCGX_Detach(&self->request);
	guard_arm(self, ended ? self->times.write_ms : self->times.head_ms, SHUT_RDWR);
	FCGX_Finish_r(&self->request);
	(void)guard_disarm();
	self->open = false;
}

static void fcgi_finish(struct tm_exchange *exchange)
{
	finish(exchange->impl);
}

static const struct tm_exchange_ops ops = {
	.param = fcgi_param,
	.params = fcgi_params,
	.read = fcgi_read,
	.write = fcgi_write,
	.flush = fcgi_flush,
	.fd = fcgi_fd,
	.finish = fcgi_finish,
};

/* FCGX_Init takes these for itself, even where they are ignored: they go back to what they were. */
static int init_library(void)
{
	static const int taken[] = {SIGPIPE, SIGTERM, SIGUSR1};
	enum { TAKEN = sizeof(taken) / sizeof(taken[0]) };
	struct sigaction before[TAKEN];
	int failed;

	for (size_t i = 0; i < TAKEN; i++)
		(void)sigaction(taken[i], NULL, &before[i]);
	/* How long closing waits for a peer that stays, ms; libfcgi's 2000 would pin a worker. */
	failed = setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "150", 0) || FCGX_Init();
	for (size_t i = 0; i < TAKEN; i++)
		(void)sigaction(taken[i], &before[i], NULL);
	return failed;
}

/* SIGALRM must get through, whatever we were started with. What it interrupts goes on; what it ends
 * it ends by the shutdown. */
static int init_signals(void)
{
	struct sigaction alarmed = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct sigaction ignored = {.sa_handler = SIG_IGN};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	sigset_t set;

	sigemptyset(&alarmed.sa_mask);
	sigemptyset(&ignored.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	return sigaction(SIGPIPE, &ignored, NULL) || sigaction(SIGALRM, &alarmed, NULL) ||
	       sigprocmask(SIG_UNBLOCK, &set, NULL) ||
	       timer_create(CLOCK_MONOTONIC, &event, &timer);
}

enum tm_err tm_fcgi_new(struct tm_fcgi **out, int listen_fd, const struct tm_fcgi_times *times)
{
	struct tm_fcgi *self;
	int flags = fcntl(listen_fd, F_GETFL), domain = AF_UNSPEC;
	socklen_t len = sizeof(domain);

	if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return TM_EIO;
	self = calloc(1, sizeof(*self));
	if (!self)
		return TM_ENOMEM;
	/* No listener for libfcgi: after a broken request it must come back, not accept another. */
	if (init_library() || FCGX_InitRequest(&self->request, -1, FCGI_FAIL_ACCEPT_ON_INTR) ||
	    init_signals()) {
		free(self);
		return TM_EIO;
	}
	(void)getsockopt(listen_fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	self->local = domain == AF_UNIX;
	self->listen_fd = listen_fd;
	self->times = *times;
	*out = self;
	return TM_OK;
}

void tm_fcgi_free(struct tm_fcgi *fcgi)
{
	if (!fcgi)
		return;
	finish(fcgi);
	(void)timer_delete(timer);
	timer_until_ms = 0;
	free(fcgi);
}

/* Errors of the connection, which accept(2) reports in its place, and of nobody being there. */
static enum tm_err accept_error(int error)
{
	switch (error) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ETIMEDOUT:
	case ECONNRESET:
		return TM_EAGAIN;
	default:
		return TM_EIO;
	}
}

/* An authorizer's server reads a status other than 200 as a refusal, which is the safe answer. */
static void refuse_role(struct tm_fcgi *self)
{
	static const char answer[] = "Status: 501 Not Implemented\r\n"
				     "Content-Type: text/plain; charset=utf-8\r\n"
				     "Content-Length: 39\r\n\r\n"
				     "This FastCGI role is not served here.\r\n";

	guard_arm(self, self->times.head_ms, SHUT_RDWR);
	(void)FCGX_PutS("textmill: only the FastCGI role RESPONDER is served here\n",
			self->request.err);
	(void)FCGX_PutS(answer, self->request.out);
	self->broken = guard_disarm();
	finish(self);
}

enum tm_err tm_fcgi_accept(struct tm_fcgi *fcgi, struct tm_exchange *out)
{
	static const int on = 1;
	FCGX_Request *request = &fcgi->request;
	int fd, failed;

	finish(fcgi);	/* nothing to do, unless the caller forgot */
	fd = accept4(fcgi->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return accept_error(errno);
	if (fd >= FD_SETSIZE) {		/* libfcgi has tables of that size; and we a leak */
		close(fd);
		return TM_EIO;
	}
	if (!fcgi->local)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

	request->ipcFd = fd;
	request->keepConnection = 1;	/* "already open": accept would close it otherwise */
	guard_arm(fcgi, fcgi->times.head_ms, SHUT_RDWR);
	failed = FCGX_Accept_r(request);
	if (guard_disarm() && !failed) {
		fcgi->open = true;	/* read at the last moment, but the connection is shut */
		fcgi->broken = true;
		finish(fcgi);
		failed = 1;
	}
	if (failed)
		return TM_EAGAIN;
	/* A server that asks to keep the connection would keep this worker from all others. */
	request->keepConnection = 0;
	fcgi->open = true;
	fcgi->broken = false;
	fcgi->body_until_ms = 0;
	fcgi->answer_left_ms = fcgi->times.answer_ms;
	if (request->role != ROLE_RESPONDER) {
		refuse_role(fcgi);
		return TM_EAGAIN;
	}
	*out = (struct tm_exchange){.ops = &ops, .impl = fcgi};
	return TM_OK;
}

int tm_fcgi_is_listener(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) && listening;
}
