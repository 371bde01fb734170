/*
 * The master sleeps in one ppoll until a signal, a worker's word or a time comes, and then goes
 * through the same few steps. All it knows is its slots; it reads nothing that a client sent.
 *
 * When it stops, the socket's path goes first: from then on web servers are refused at once,
 * and what is already in the listen queue is what the workers finish before they end.
 */
#include "pool/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/child.h"
#include "pool/listen.h"
#include "pool/sandbox.h"
#include "pool/sig.h"

struct master {
	const struct tm_pool *pool;
	struct tm_listen listen;
	int listen_fd;
	struct tm_slot *slots;
	struct pollfd *polls;
	size_t count;		/* of slots, and of polls */
	struct tm_throttle throttle;
	bool stopping;
	int64_t kill_at_ms;	/* steady clock; 0: all killed already */
};

static size_t living(const struct master *self)
{
	size_t sum = 0;

	for (size_t i = 0; i < self->count; i++)
		sum += self->slots[i].pid != 0;
	return sum;
}

/* The worker may be gone already; reaping it tells. */
static void signal_all(struct master *self, int signo)
{
	for (size_t i = 0; i < self->count; i++) {
		if (!self->slots[i].pid)
			continue;
		self->slots[i].asked = true;
		(void)kill(self->slots[i].pid, signo);
	}
}

static void hold(struct master *self, struct tm_slot *slot, int64_t now)
{
	slot->held = true;
	if (tm_throttle_died(&self->throttle, now))
		tm_log(TM_LOG_WARN, "workers end before their first request: next start in %lld s",
		       (long long)(self->throttle.wait_ms / 1000));
}

static void fill(struct master *self)
{
	int64_t now = tm_clock_mono_ms();
	int64_t left = tm_throttle_left_ms(&self->throttle, now);

	for (size_t i = 0; i < self->count && !self->stopping; i++) {
		struct tm_slot *slot = &self->slots[i];

		if (slot->pid || (slot->held && left > 0))
			continue;
		if (tm_child_start(slot, self->pool, self->listen_fd, self->slots, self->count) !=
		    TM_OK) {
			tm_log(TM_LOG_ERROR, "cannot fork a worker: %s", strerror(errno));
			hold(self, slot, now);
			return;
		}
		tm_log(TM_LOG_DEBUG, "worker %d has started", (int)slot->pid);
	}
}

static void hear(struct master *self)
{
	for (size_t i = 0; i < self->count; i++)
		if (tm_child_heard(&self->slots[i]))
			tm_throttle_served(&self->throttle);
}

/* A worker that ends with status 0 unasked has had its share of requests; before the first one
 * that is as strange as a crash, and throttled like one. */
static void ended(struct master *self, struct tm_slot *slot, int status)
{
	int pid = (int)slot->pid;
	bool served, asked, good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (tm_child_heard(slot))	/* its last word may still be in the pipe */
		tm_throttle_served(&self->throttle);
	served = slot->served;
	asked = slot->asked;
	tm_child_gone(slot);

	if (WIFSIGNALED(status))
		tm_log(self->stopping ? TM_LOG_INFO : TM_LOG_ERROR,
		       "worker %d was killed by signal %d (%s)%s", pid, WTERMSIG(status),
		       strsignal(WTERMSIG(status)), served ? "" : " before its first request");
	else if (!good)
		tm_log(TM_LOG_ERROR, "worker %d ended with status %d%s", pid, WEXITSTATUS(status),
		       served ? "" : " before its first request");
	else
		tm_log(TM_LOG_DEBUG, "worker %d has ended", pid);
	if (!served && !self->stopping && !(good && asked))
		hold(self, slot, tm_clock_mono_ms());
}

static void reap(struct master *self)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < self->count; i++)
			if (self->slots[i].pid == pid)
				ended(self, &self->slots[i], status);
}

/* Its path may stay, where root made it in a folder of root's: refused all the same. */
static void close_socket(struct master *self)
{
	if (tm_listen_remove(&self->listen, self->listen_fd) != TM_OK)
		tm_log(TM_LOG_WARN, "the socket %s stays behind, unused until the next start: %s",
		       self->pool->listen, strerror(errno));
	close(self->listen_fd);
	self->listen_fd = -1;
}

static void stop(struct master *self, int64_t patience_ms, const char *word)
{
	int64_t kill_at_ms = tm_clock_mono_ms() + patience_ms;

	if (!self->stopping) {
		tm_log(TM_LOG_INFO, "%s: stopping, %zu workers", word, living(self));
		close_socket(self);
		self->kill_at_ms = kill_at_ms;
		self->stopping = true;
		if (patience_ms)
			signal_all(self, SIGTERM);
	} else if (self->kill_at_ms > kill_at_ms) {
		self->kill_at_ms = kill_at_ms;
	}
}

static void take_signals(struct master *self)
{
	if (tm_sig_take(SIGINT))
		stop(self, 0, "SIGINT");
	if (tm_sig_take(SIGTERM))
		stop(self, self->pool->stop_timeout_ms, "SIGTERM");
	if (tm_sig_take(SIGQUIT))
		stop(self, self->pool->stop_timeout_ms, "SIGQUIT");
	if (tm_sig_take(SIGHUP))
		tm_log(TM_LOG_WARN, "SIGHUP ignored: a changed configuration needs a restart");
	if (tm_sig_take(SIGUSR1) && !self->stopping) {
		if (tm_log_reopen() == TM_OK)
			tm_log(TM_LOG_INFO, "SIGUSR1: log opened again, workers are replaced");
		else
			tm_log(TM_LOG_ERROR, "SIGUSR1: cannot open the log again: %s; workers are "
			       "replaced", strerror(errno));
		signal_all(self, SIGUSR1);
	}
	(void)tm_sig_take(SIGCHLD);	/* workers are looked for in every round */
}

static void kill_late(struct master *self)
{
	if (!self->stopping || !self->kill_at_ms || tm_clock_mono_ms() < self->kill_at_ms)
		return;
	self->kill_at_ms = 0;
	if (living(self)) {
		tm_log(TM_LOG_WARN, "%zu workers still at work are killed", living(self));
		signal_all(self, SIGKILL);
	}
}

/* ms until something is due; -1: only events count. */
static int64_t due_ms(const struct master *self)
{
	int64_t now = tm_clock_mono_ms();

	if (self->stopping && self->kill_at_ms)
		return self->kill_at_ms > now ? self->kill_at_ms - now : 0;
	if (!self->stopping && living(self) < self->count)
		return tm_throttle_left_ms(&self->throttle, now);
	return -1;
}

static void sleep_until_something(struct master *self)
{
	int64_t wait = due_ms(self);
	struct timespec timeout = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};

	for (size_t i = 0; i < self->count; i++)	/* poll passes over -1 */
		self->polls[i] = (struct pollfd){.fd = self->slots[i].pipe_fd, .events = POLLIN};
	/* EINTR is the ordinary case: a signal. What came is looked for in any case. */
	(void)ppoll(self->polls, self->count, wait < 0 ? NULL : &timeout, tm_sig_wait_mask());
}

static void keep(struct master *self)
{
	while (!self->stopping || living(self)) {
		fill(self);
		sleep_until_something(self);
		take_signals(self);
		hear(self);
		reap(self);
		kill_late(self);
	}
}

static enum tm_err give_up_rights(const struct tm_pool *pool)
{
	enum tm_err err = tm_sandbox_become(pool->user, pool->group);

	if (err != TM_OK) {
		tm_log(TM_LOG_ERROR, "cannot become user \"%s\", group \"%s\": %s", pool->user,
		       pool->group, err == TM_DENIED ? "only root can" : tm_err_text(err));
		return err;
	}
	if (tm_sandbox_hide() != TM_OK) {
		tm_log(TM_LOG_ERROR, "cannot forbid core dumps: %s", strerror(errno));
		return TM_EIO;
	}
	if (*pool->user && tm_log_reopen() != TM_OK)
		tm_log(TM_LOG_WARN, "user \"%s\" cannot open the log again after SIGUSR1: %s",
		       pool->user, strerror(errno));
	return TM_OK;
}

/* Binds and gives up root; each failure has its own words, as this is what a sysadmin reads. */
static enum tm_err open_up(struct master *self)
{
	const struct tm_pool *pool = self->pool;
	enum tm_err err = tm_listen_open(&self->listen, &self->listen_fd);

	if (err == TM_EEXIST)
		tm_log(TM_LOG_ERROR, "%s is in use by another process", pool->listen);
	else if (err == TM_EINVAL)
		tm_log(TM_LOG_ERROR, "cannot listen on %s: bad address, or no such mode \"%s\", "
		       "owner \"%s\" or group \"%s\"", pool->listen, pool->socket_mode,
		       pool->socket_owner, pool->socket_group);
	else if (err != TM_OK)
		tm_log(TM_LOG_ERROR, "cannot listen on %s: %s", pool->listen, strerror(errno));
	if (err != TM_OK)
		return err == TM_EEXIST ? TM_EEXIST : TM_EIO;

	if (give_up_rights(pool) == TM_OK)
		return TM_OK;
	close_socket(self);
	return TM_EIO;
}

enum tm_err tm_master_run(const struct tm_pool *pool)
{
	struct master self = {
		.pool = pool,
		.listen = {.address = pool->listen, .mode = pool->socket_mode,
			   .owner = pool->socket_owner, .group = pool->socket_group,
			   .backlog = pool->backlog},
		.listen_fd = -1,
		.count = (size_t)(pool->workers + pool->job_workers),
	};
	enum tm_err err = TM_EIO;

	self.slots = calloc(self.count, sizeof(*self.slots));
	self.polls = calloc(self.count, sizeof(*self.polls));
	if (!self.slots || !self.polls || tm_sig_init_master() != TM_OK) {
		tm_log(TM_LOG_ERROR, "cannot start: %s", strerror(errno));
		goto out;
	}
	for (size_t i = 0; i < self.count; i++)
		self.slots[i] = (struct tm_slot){.pipe_fd = -1,
						 .jobs = i >= (size_t)pool->workers};
	err = open_up(&self);
	if (err != TM_OK)
		goto out;
	tm_log(TM_LOG_INFO, "textmill %s, master %d, listening on %s, %lld workers, %lld job "
	       "workers", pool->version, (int)getpid(), pool->listen, (long long)pool->workers,
	       (long long)pool->job_workers);
	if (!geteuid())
		tm_log(TM_LOG_WARN, "running as root: set user in the configuration");
	keep(&self);
	tm_log(TM_LOG_INFO, "stopped");
out:
	free(self.polls);
	free(self.slots);
	return err;
}
