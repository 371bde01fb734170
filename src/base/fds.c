/*
 * open(2) yields the lowest number that is free, and those below the one in hand are taken by
 * then: so it fills the gap it is meant for.
 */
#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum tm_err tm_fds_fill(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd)
			return TM_EIO;
	return TM_OK;
}
