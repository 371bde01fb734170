/* One worker as the master sees it, and how fast dying ones are replaced. For pool/ only. */
#ifndef TM_POOL_CHILD_H
#define TM_POOL_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "pool/master.h"

/* A place in the pool. Zeroed but for pipe_fd -1 and jobs: empty. */
struct tm_slot {
	bool jobs;	/* for a job worker; stays as it is */
	pid_t pid;	/* 0: nobody there */
	int pipe_fd;	/* where the worker says that it served; -1 once it did, or when empty */
	bool served;	/* it finished a request */
	bool asked;	/* it was told to end */
	bool held;	/* empty, and to be filled only when the throttle lets it */
};

/* Pool-wide: what kills one worker at its start kills them all. */
struct tm_throttle {
	int64_t wait_ms;	/* the last wait; 0: none since a worker served */
	int64_t until_ms;	/* steady clock: held slots stay empty until then */
};

/* A worker died before it served. Waits 1 s, then twice the last wait, up to 60 s; those that
 * die while a wait is on do not lengthen it. True when a new wait began. */
bool tm_throttle_died(struct tm_throttle *throttle, int64_t now_ms);

/* A worker served: no wait, and the next one is short again. */
void tm_throttle_served(struct tm_throttle *throttle);

/* ms until held slots may be filled; 0: now. */
int64_t tm_throttle_left_ms(const struct tm_throttle *throttle, int64_t now_ms);

/*
 * Forks a worker into an empty slot; in the child it never returns.
 *
 * slots, count  all of the pool: the child closes the others' pipes
 *
 * TM_OK and the slot filled; TM_EIO, errno says why.
 */
TM_CHECK enum tm_err tm_child_start(struct tm_slot *slot, const struct tm_pool *pool,
				    int listen_fd, const struct tm_slot *slots, size_t count);

/* Looks whether the worker has served by now. True when this is news. */
bool tm_child_heard(struct tm_slot *slot);

/* The worker is gone: the slot becomes empty. */
void tm_child_gone(struct tm_slot *slot);

#endif
