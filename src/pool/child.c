/*
 * From fork to the worker's own function, and the pipe between the two.
 *
 * The pipe carries one byte in its life: the first request is done. By it the master tells a
 * worker that crashed on some request (replaced at once) from workers that cannot even start,
 * which would be forked in a frenzy.
 */
#include "pool/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "pool/sandbox.h"

enum { WAIT_FIRST_MS = 1000, WAIT_MOST_MS = 60000 };

bool tm_throttle_died(struct tm_throttle *throttle, int64_t now_ms)
{
	if (tm_throttle_left_ms(throttle, now_ms) > 0)
		return false;
	throttle->wait_ms = throttle->wait_ms ? throttle->wait_ms * 2 : WAIT_FIRST_MS;
	if (throttle->wait_ms > WAIT_MOST_MS)
		throttle->wait_ms = WAIT_MOST_MS;
	throttle->until_ms = now_ms + throttle->wait_ms;
	return true;
}

void tm_throttle_served(struct tm_throttle *throttle)
{
	*throttle = (struct tm_throttle){0};
}

int64_t tm_throttle_left_ms(const struct tm_throttle *throttle, int64_t now_ms)
{
	return throttle->wait_ms && throttle->until_ms > now_ms ? throttle->until_ms - now_ms : 0;
}

void tm_child_served(struct tm_child *child)
{
	ssize_t put;

	if (child->pipe_fd < 0)
		return;
	do
		put = write(child->pipe_fd, "s", 1);
	while (put < 0 && errno == EINTR);
	close(child->pipe_fd);	/* the master left: nothing to tell anybody */
	child->pipe_fd = -1;
}

bool tm_child_heard(struct tm_slot *slot)
{
	char byte;
	ssize_t got;

	if (slot->pipe_fd < 0)
		return false;
	do
		got = read(slot->pipe_fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return false;
	close(slot->pipe_fd);	/* told, or closed without a word: it is about to be reaped */
	slot->pipe_fd = -1;
	slot->served = got == 1;
	return slot->served;
}

void tm_child_gone(struct tm_slot *slot)
{
	if (slot->pipe_fd >= 0)
		close(slot->pipe_fd);
	*slot = (struct tm_slot){.jobs = slot->jobs, .pipe_fd = -1};
}

/* Standard input and output hold nothing for a worker; errors still go where the master's go. */
static int detach_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return -1;
	if (fd > STDERR_FILENO)
		close(fd);
	return 0;
}

/* INT and HUP reach the whole group of a terminal: what they mean is the master's business. */
static int ignore_terminal(void)
{
	struct sigaction ignored = {.sa_handler = SIG_IGN};

	sigemptyset(&ignored.sa_mask);
	return sigaction(SIGINT, &ignored, NULL) || sigaction(SIGHUP, &ignored, NULL);
}

/* listen_fd -1: a job worker. */
static int live(const struct tm_pool *pool, int listen_fd, int pipe_fd, pid_t master)
{
	struct tm_child child = {.pipe_fd = pipe_fd};

	/* The kernel tells us when the master dies, unless it already had: then nobody will. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || detach_stdio() || ignore_terminal() ||
	    tm_sandbox_worker() != TM_OK) {
		tm_log(TM_LOG_ERROR, "worker cannot set itself up: errno %d", errno);
		return EXIT_FAILURE;
	}
	if (getppid() != master)
		return EXIT_SUCCESS;
	tm_random_reseed();
	return listen_fd < 0 ? pool->run_jobs(pool->arg, &child)
			     : pool->run(pool->arg, listen_fd, &child);
}

enum tm_err tm_child_start(struct tm_slot *slot, const struct tm_pool *pool, int listen_fd,
			   const struct tm_slot *slots, size_t count)
{
	pid_t master = getpid(), pid;
	int ends[2], saved;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return TM_EIO;
	pid = fork();
	if (pid < 0) {
		saved = errno;
		close(ends[0]);
		close(ends[1]);
		errno = saved;
		return TM_EIO;
	}
	if (pid == 0) {
		close(ends[0]);
		for (size_t i = 0; i < count; i++)
			if (slots[i].pipe_fd >= 0)
				close(slots[i].pipe_fd);
		if (slot->jobs) {
			close(listen_fd);
			listen_fd = -1;
		}
		exit(live(pool, listen_fd, ends[1], master));
	}
	close(ends[1]);
	*slot = (struct tm_slot){.jobs = slot->jobs, .pid = pid, .pipe_fd = ends[0]};
	return TM_OK;
}
