/*
 * Settings that are well formed may still name what is not there: a group, a file, a key. Only
 * the parts that use them can tell, so each is asked, and all that is wrong is told at once.
 */
#include "check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "gate/keys.h"
#include "pool/listen.h"
#include "pool/sandbox.h"

struct check {
	const struct tm_settings *settings;
	tm_check_report *report;
	void *arg;
};

/* A mistake; yields false. */
TM_PRINTF(2, 3) static bool mistake(const struct check *self, const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	self->report(self->arg, line);
	return false;
}

static bool check_listen(const struct check *self)
{
	const struct tm_settings *settings = self->settings;
	const struct tm_listen listen = {
		.address = settings->listen,
		.mode = settings->pool.socket_mode,
		.owner = settings->pool.socket_owner,
		.group = settings->pool.socket_group,
	};
	bool good = true;
	char why[128];

	if (!*listen.address)
		return true;
	if (tm_listen_check(listen.address, why, sizeof(why)) != TM_OK)
		good = mistake(self, "listen \"%s\": %s", listen.address, why);
	if (tm_listen_check_access(&listen, why, sizeof(why)) != TM_OK)
		good = mistake(self, "pool: %s", why);
	return good;
}

static bool check_names(const struct check *self)
{
	const struct tm_settings *settings = self->settings;
	bool good = true;

	if (*settings->user && !getpwnam(settings->user))
		good = mistake(self, "user \"%s\": no such user", settings->user);
	if (*settings->group && !getgrnam(settings->group))
		good = mistake(self, "group \"%s\": no such group", settings->group);
	return good;
}

static bool check_log(const struct check *self)
{
	const char *target = self->settings->log.target;

	if (tm_log_check(target) == TM_OK)
		return true;
	return mistake(self, "log.target \"%s\": cannot be opened: %s", target, strerror(errno));
}

static bool check_keys(const struct check *self)
{
	enum tm_err err = tm_keys_check(self->settings, self->report, self->arg);

	if (err == TM_ENOMEM)	/* all else is reported */
		return mistake(self, "the keys cannot be read: %s", tm_err_text(err));
	return err == TM_OK;
}

/* In a process that ends. */
static bool check_keys_as_user(const struct check *self)
{
	const struct tm_settings *settings = self->settings;

	if (tm_sandbox_become(settings->user, settings->group) != TM_OK)
		return mistake(self, "cannot become user \"%s\"", settings->user);
	if (check_keys(self))
		return true;
	return mistake(self, "the keys were read as user \"%s\", as workers do", settings->user);
}

static bool check_keys_in_child(const struct check *self)
{
	struct sigaction standard = {.sa_handler = SIG_DFL}, before;
	int status = -1;
	pid_t pid;

	/* Where our starter has it ignored, no status would be left to ask for. */
	sigemptyset(&standard.sa_mask);
	(void)sigaction(SIGCHLD, &standard, &before);
	pid = fork();
	if (pid == 0)
		_exit(check_keys_as_user(self) ? 0 : 1);
	if (pid < 0)
		(void)mistake(self, "cannot fork: %s", strerror(errno));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)sigaction(SIGCHLD, &before, NULL);
	return status == 0;
}

bool tm_check(const struct tm_settings *settings, bool becomes, tm_check_report *report, void *arg)
{
	const struct check self = {.settings = settings, .report = report, .arg = arg};
	bool good = check_listen(&self), named = check_names(&self);

	good = check_log(&self) && named && good;
	if (becomes && named && *settings->user && geteuid() == 0)
		return check_keys_in_child(&self) && good;
	return check_keys(&self) && good;
}
