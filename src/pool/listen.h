/* The listening socket: bound with the mode and owner asked for; never stolen from the living. */
#ifndef TM_POOL_LISTEN_H
#define TM_POOL_LISTEN_H

#include <stdint.h>

#include "base/err.h"

struct tm_listen {
	const char *address;	/* /path, 127.0.0.1:port, [::1]:port, localhost:port */
	const char *mode;	/* octal for a path; "0660" */
	const char *owner, *group;	/* names for a path; "" to leave */
	int64_t backlog;
};

/* Checks the form of an address. why receives the mistake. TM_OK or TM_EINVAL. */
TM_CHECK enum tm_err tm_listen_check(const char *address, char *why, unsigned long why_bytes);

/* Checks mode, owner and group. why receives the mistake. TM_OK or TM_EINVAL. */
TM_CHECK enum tm_err tm_listen_check_access(const struct tm_listen *listen, char *why,
					    unsigned long why_bytes);

/*
 * Binds and listens; CLOEXEC and non-blocking. A path whose listener is dead is replaced, a live
 * one is left alone. TM_OK and *fd; TM_EINVAL; TM_EEXIST in use; TM_EIO, errno says why.
 */
TM_CHECK enum tm_err tm_listen_open(const struct tm_listen *listen, int *fd);

/* Removes the socket's path, if it is still the one this process bound. TM_OK; TM_EIO it stays,
 * errno says why: who became another user may have lost the right to its folder. */
TM_CHECK enum tm_err tm_listen_remove(const struct tm_listen *listen, int fd);

#endif
