/*
 * One flag per signal. They are blocked from the start and open only inside the wait, whose mask
 * changes and whose sleep begins in one step: a signal just before the wait ends it at once.
 * A child inherits the master's block, so that a signal between fork and its own set-up is kept.
 */
#include "pool/sig.h"

#include <stddef.h>

static volatile sig_atomic_t seen[NSIG];
static sigset_t wait_mask;

/* What asks a worker to stop, and which of it is not ignored. */
static const int stops[] = {SIGTERM, SIGQUIT, SIGUSR1, SIGINT, SIGHUP};
enum { STOPS = sizeof(stops) / sizeof(stops[0]) };
static bool heeded[STOPS];

static void on_signal(int signo)
{
	seen[signo] = 1;
}

/* 1, or 0 where the signal stays ignored; -1 on failure. */
static int handle(int signo, bool unless_ignored)
{
	struct sigaction old, action = {.sa_handler = on_signal};

	if (sigaction(signo, NULL, &old))
		return -1;
	if (unless_ignored && old.sa_handler == SIG_IGN)
		return 0;
	sigemptyset(&action.sa_mask);
	return sigaction(signo, &action, NULL) ? -1 : 1;
}

/* Blocks signals, and makes wait_mask the present mask without them. */
static int block(const int *signals, size_t count)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < count; i++) {
		seen[signals[i]] = 0;
		sigaddset(&set, signals[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, &wait_mask))
		return -1;
	for (size_t i = 0; i < count; i++)
		sigdelset(&wait_mask, signals[i]);
	return 0;
}

enum tm_err tm_sig_init_worker(void)
{
	static const int blocked[] = {SIGTERM, SIGQUIT, SIGUSR1, SIGINT, SIGHUP, SIGCHLD};

	if (block(blocked, sizeof(blocked) / sizeof(blocked[0])))
		return TM_EIO;
	for (size_t i = 0; i < STOPS; i++) {
		int handled = handle(stops[i], stops[i] == SIGINT || stops[i] == SIGHUP);

		if (handled < 0)
			return TM_EIO;
		heeded[i] = handled > 0;
	}
	return TM_OK;
}

enum tm_err tm_sig_init_master(void)
{
	static const int signals[] = {SIGTERM, SIGQUIT, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};

	if (block(signals, sizeof(signals) / sizeof(signals[0])))
		return TM_EIO;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (handle(signals[i], false) < 0)
			return TM_EIO;
	return TM_OK;
}

const sigset_t *tm_sig_wait_mask(void)
{
	return &wait_mask;
}

/*
 * Also looks at what is pending: a wait that finds work at once returns without letting signals
 * in, so that under constant load no handler would ever run.
 */
bool tm_sig_stopping(void)
{
	sigset_t pending;

	if (sigpending(&pending))
		sigemptyset(&pending);
	for (size_t i = 0; i < STOPS; i++)
		if (heeded[i] && (seen[stops[i]] || sigismember(&pending, stops[i]) == 1))
			return true;
	return false;
}

bool tm_sig_take(int signo)
{
	bool came = seen[signo] != 0;

	/* Handlers run only inside the wait: nothing can come between look and reset. */
	seen[signo] = 0;
	return came;
}
