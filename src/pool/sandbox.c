/*
 * Giving up privileges. The order matters: groups first, the user last, since without it the
 * others can no longer be changed; then a look whether root is really out of reach.
 */
#include "pool/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/log.h"

/* Above what the program has mapped when it starts to serve. Threads that resolve names map
 * stacks and heaps generously, so the bound is far above what a worker uses. */
enum { MEMORY_EXTRA_BYTES = 1 << 30 };

static enum tm_err find(const char *user, const char *group, struct passwd **who, gid_t *gid)
{
	struct group *found;

	errno = 0;
	*who = getpwnam(user);
	if (!*who)
		return errno && errno != ENOENT ? TM_EIO : TM_ENOENT;
	*gid = (*who)->pw_gid;
	if (!*group)
		return TM_OK;
	errno = 0;
	found = getgrnam(group);
	if (!found)
		return errno && errno != ENOENT ? TM_EIO : TM_ENOENT;
	*gid = found->gr_gid;
	return TM_OK;
}

static bool is_now(uid_t uid, gid_t gid)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) || getresgid(&rgid, &egid, &sgid))
		return false;
	if (ruid != uid || euid != uid || suid != uid || rgid != gid || egid != gid || sgid != gid)
		return false;
	return uid == 0 || setuid(0) != 0;
}

enum tm_err tm_sandbox_become(const char *user, const char *group)
{
	struct passwd *who;
	gid_t gid;
	enum tm_err err;

	if (!*user)
		return TM_OK;
	err = find(user, group, &who, &gid);
	if (err != TM_OK)
		return err;
	if (geteuid() != 0)
		return geteuid() == who->pw_uid ? TM_OK : TM_DENIED;
	tm_log_give(who->pw_uid);
	if (initgroups(who->pw_name, gid) || setresgid(gid, gid, gid) ||
	    setresuid(who->pw_uid, who->pw_uid, who->pw_uid))
		return TM_EIO;
	return is_now(who->pw_uid, gid) ? TM_OK : TM_EIO;
}

/* Measured, not a constant: sanitizers and debuggers map terabytes before main. */
static int bound_memory(void)
{
	struct rlimit limit;
	unsigned long long pages = 0;
	FILE *statm;
	rlim_t most;

	if (getrlimit(RLIMIT_AS, &limit))
		return -1;
	statm = fopen("/proc/self/statm", "re");
	if (!statm)
		return 0;	/* no /proc: a chroot; the bound is a second line of defence */
	if (fscanf(statm, "%llu", &pages) != 1)
		pages = 0;
	(void)fclose(statm);
	if (!pages)
		return 0;
	most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_EXTRA_BYTES;
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur <= most)
		return 0;
	limit.rlim_cur = most;
	return setrlimit(RLIMIT_AS, &limit);
}

/* The limit alone does not count where cores are piped to a program (core(5)). */
enum tm_err tm_sandbox_hide(void)
{
	struct rlimit none = {0, 0};

	return setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? TM_EIO : TM_OK;
}

enum tm_err tm_sandbox_worker(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || bound_memory())
		return TM_EIO;
	return tm_sandbox_hide();
}
