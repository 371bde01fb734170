/* Standard descriptors that a starter has closed; in a child, as the tests need theirs. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fds.h"

static bool is_null(int fd)
{
	struct stat null, open_one;

	return !stat("/dev/null", &null) && !fstat(fd, &open_one) && S_ISCHR(open_one.st_mode) &&
	       open_one.st_rdev == null.st_rdev;
}

/* closed: a bit per descriptor. The exit status is 0, or tells the first wrong one. */
static int fill_in_child(unsigned closed)
{
	char byte;
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid > 0) {
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		return status;
	}
	status = open("/", O_RDONLY);
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(status, fd) != fd || (closed & 1u << fd && close(fd)))
			_exit(9);
	if (tm_fds_fill() != TM_OK)
		_exit(9);
	for (int fd = 0; fd <= 2; fd++)
		if (is_null(fd) != ((closed & 1u << fd) != 0))
			_exit(1 + fd);
	if (closed & 1u && read(0, &byte, 1) != 0)
		_exit(7);
	_exit(closed & 2u && write(1, "x", 1) != -1 ? 8 : 0);
}

TestSuite(fds);

Test(fds, closed_ones_become_null_and_open_ones_stay)
{
	for (unsigned closed = 0; closed < 8; closed++)
		cr_assert_eq(fill_in_child(closed), 0, "%u: %d", closed, fill_in_child(closed));
}
