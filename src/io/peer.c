/*
 * A web server does not half-close a FastCGI connection: a peer that will send no more has left.
 * Unread bytes would end every poll at once; they are no longer asked for then.
 */
#include "io/peer.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

bool tm_peer_gone(int fd, int64_t wait_ms)
{
	int64_t until_ms = tm_clock_mono_ms() + wait_ms;
	struct pollfd peer = {.fd = fd, .events = POLLRDHUP};

	for (;;) {
		int64_t left_ms = until_ms - tm_clock_mono_ms();
		int ready = poll(&peer, 1, left_ms > 0 ? (int)left_ms : 0);

		if (ready > 0)
			return (peer.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) != 0;
		if (ready == 0 || errno != EINTR)
			return false;
	}
}
