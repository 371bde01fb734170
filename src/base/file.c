/*
 * A FIFO makes open wait until somebody writes, and a device may never end: what is named in a
 * configuration must be a file.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int tm_file_open(const char *path, struct stat *about)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), error;

	if (fd < 0)
		return -1;
	if (fstat(fd, about) != 0)
		error = errno;
	else if (S_ISREG(about->st_mode))
		return fd;
	else
		error = S_ISDIR(about->st_mode) ? EISDIR : EINVAL;
	(void)close(fd);
	errno = error;
	return -1;
}

const char *tm_file_error(int error)
{
	return error == EINVAL ? "it is no regular file" : strerror(error);
}
