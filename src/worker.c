/*
 * The loop of one worker: wait, accept, handle, and again.
 *
 * It waits with epoll for one reason, EPOLLEXCLUSIVE: of all workers that sleep on the listener
 * the kernel wakes one for a connection, where poll would wake every one. Whoever was woken
 * must try to accept, also when it was asked to stop at the same moment: nobody else was told.
 * So a stopping worker first takes what waits in the queue: all of it where no more can come,
 * since the master removes the socket's path before it stops its workers.
 */
#include "worker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/app.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "io/fcgi.h"
#include "pool/sig.h"

enum { DRAIN_MS = 1000 };	/* a stopping worker takes from a queue that does not end */

/* A web server has the whole head at hand. Body and answer may go at the client's pace: 120 s are
 * 4 KB/s for the half megabyte of a full batch. */
static const struct tm_fcgi_times times = {
	.head_ms = 5000, .body_ms = 30000, .write_ms = 30000, .answer_ms = 120000,
};

struct worker {
	struct tm_app *app;
	struct tm_fcgi *fcgi;
	struct tm_child *child;
	int listen_fd, epoll_fd;
	int watched_fd;		/* the app's descriptor in the epoll set; -1: none */
	bool alone;		/* without a master of ours */
	struct sockaddr_un path;/* the listener's; "" where it has none */
	struct stat file;	/* what was there when the worker started */
	int64_t served, share;	/* share: INT64_MAX for no end */
};

int64_t tm_worker_share(int64_t requests_max)
{
	double share = (double)requests_max * (0.9 + 0.2 * tm_random_unit());

	if (requests_max <= 0)
		return INT64_MAX;
	return share < 1 ? 1 : (int64_t)share;
}

static void find_path(struct worker *self)
{
	socklen_t len = sizeof(self->path);

	if (getsockname(self->listen_fd, (struct sockaddr *)&self->path, &len) ||
	    self->path.sun_family != AF_UNIX || lstat(self->path.sun_path, &self->file))
		self->path.sun_path[0] = '\0';
}

/* Whether nobody new can reach the listener. While it is open its file's inode is not reused. */
static bool cut_off(const struct worker *self)
{
	struct stat now;

	if (self->alone || !self->path.sun_path[0])
		return false;
	if (lstat(self->path.sun_path, &now))
		return errno == ENOENT;
	return now.st_dev != self->file.st_dev || now.st_ino != self->file.st_ino;
}

static bool start(struct worker *self, const struct tm_settings *settings)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
				    .data.fd = self->listen_fd};

	self->share = tm_worker_share(settings->pool.requests_max);
	find_path(self);
	if (tm_app_new(&self->app, settings) != TM_OK)
		return false;	/* logged */
	if (tm_fcgi_new(&self->fcgi, self->listen_fd, &times) != TM_OK ||
	    tm_sig_init_worker() != TM_OK) {
		tm_log(TM_LOG_ERROR, "worker cannot set up FastCGI: %s", strerror(errno));
		return false;
	}
	self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (self->epoll_fd < 0 ||
	    epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->listen_fd, &event)) {
		tm_log(TM_LOG_ERROR, "worker cannot wait: %s", strerror(errno));
		return false;
	}
	return true;
}

/* The app's descriptor may be another one each time, or the same number opened anew, which the
 * kernel has then forgotten: so a change is tried before an addition. */
static void watch(struct worker *self, int fd, short events)
{
	struct epoll_event event = {.events = (uint32_t)(unsigned short)events, .data.fd = fd};

	if (self->watched_fd >= 0 && self->watched_fd != fd)
		(void)epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, self->watched_fd, NULL);
	self->watched_fd = fd;
	if (fd < 0)
		return;
	if (epoll_ctl(self->epoll_fd, EPOLL_CTL_MOD, fd, &event) && errno == ENOENT)
		(void)epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Sleeps until a connection, the app's descriptor, a time or a signal. True: try to accept. */
static bool wait_for_work(struct worker *self)
{
	struct epoll_event events[2];
	short wanted = 0;
	int64_t timeout_ms = -1;
	int fd = tm_app_watch(self->app, &wanted, &timeout_ms), count;
	bool waiting = false, idle = false;

	watch(self, fd, wanted);
	if (timeout_ms > INT_MAX)
		timeout_ms = INT_MAX;
	count = epoll_pwait(self->epoll_fd, events, 2, (int)timeout_ms, tm_sig_wait_mask());
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == self->listen_fd)
			waiting = true;
		else
			idle = true;
	}
	if (idle || count == 0)
		tm_app_idle(self->app);
	return waiting;
}

/* Takes one request off the queue. TM_OK; TM_EAGAIN nothing came of it; TM_EIO. */
static enum tm_err serve(struct worker *self)
{
	struct tm_exchange exchange;
	enum tm_err err = tm_fcgi_accept(self->fcgi, &exchange);

	if (err != TM_OK)
		return err;
	tm_app_handle(self->app, &exchange);
	if (!self->served++)
		tm_child_served(self->child);
	return TM_OK;
}

/* Whatever became of one client: the next may be waiting behind it. A queue that ends is taken
 * whole; how long that may be is the master's to say (pool.stop_timeout). */
static enum tm_err drain(struct worker *self)
{
	int64_t until_ms = tm_clock_mono_ms() + DRAIN_MS;
	struct pollfd queue = {.fd = self->listen_fd, .events = POLLIN};

	while (poll(&queue, 1, 0) > 0 && (tm_clock_mono_ms() < until_ms || cut_off(self)))
		if (serve(self) == TM_EIO)
			return TM_EIO;
	return TM_OK;
}

static enum tm_err loop(struct worker *self)
{
	enum tm_err err;

	while (!tm_sig_stopping() && self->served < self->share) {
		if (!wait_for_work(self))
			continue;
		err = serve(self);
		if (err == TM_EIO)
			return TM_EIO;
	}
	/* In a pool the others take what waits when this one has merely had its share. */
	return tm_sig_stopping() || self->alone ? drain(self) : TM_OK;
}

int tm_worker_run(const struct tm_settings *settings, int listen_fd, struct tm_child *child)
{
	struct worker self = {.child = child, .listen_fd = listen_fd, .epoll_fd = -1,
			      .watched_fd = -1, .alone = child->pipe_fd < 0};
	int status = EXIT_FAILURE;

	if (!start(&self, settings))
		goto out;
	tm_log(TM_LOG_DEBUG, "worker is ready, for %lld requests", (long long)self.share);
	if (loop(&self) == TM_OK)
		status = EXIT_SUCCESS;
	else
		tm_log(TM_LOG_ERROR, "cannot accept: %s", strerror(errno));
	tm_log(TM_LOG_DEBUG, "worker ends after %lld requests", (long long)self.served);
out:
	if (self.epoll_fd >= 0)
		close(self.epoll_fd);
	tm_fcgi_free(self.fcgi);
	tm_app_free(self.app);
	return status;
}
