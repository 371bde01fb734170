/*
 * The master: binds the socket, forks workers, replaces those that end, stops them all.
 * It never parses input and runs no core code: a worker's work is a function it is handed, and
 * so is that of a job worker, which has no part in the socket.
 */
#ifndef TM_POOL_MASTER_H
#define TM_POOL_MASTER_H

#include <stdint.h>

#include "base/err.h"

/* Told to the master by a worker, through its pipe. */
struct tm_child {
	int pipe_fd;		/* -1 where no master runs */
};

/* A worker says that it has finished its first request: it is no crash loop. */
void tm_child_served(struct tm_child *child);

struct tm_pool {
	const char *version;	/* for the first log line */
	const char *listen;	/* /path of a Unix socket, or 127.0.0.1:port, [::1]:port */
	const char *socket_mode;	/* octal, "0660" */
	const char *socket_owner, *socket_group;	/* "" to leave */
	const char *user, *group;	/* to become after binding; "" to stay */
	int64_t workers, job_workers, backlog;
	int64_t stop_timeout_ms;	/* TERM: workers that still work after this get KILL */
	/* A worker's life, in the child; its return value is the exit status. */
	int (*run)(void *arg, int listen_fd, struct tm_child *child);
	int (*run_jobs)(void *arg, struct tm_child *child);	/* a job worker's, likewise */
	void *arg;
};

/* Binds, forks and keeps the pool until TERM, QUIT (graceful) or INT (now). Logs its own
 * events. TM_OK after a stop that was asked for; TM_EIO, TM_EEXIST (the socket is another live
 * process') when it could not start, logged. */
TM_CHECK enum tm_err tm_master_run(const struct tm_pool *pool);

#endif
