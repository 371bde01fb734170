/* Who has left, and who only has not been read. */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/peer.h"

Test(peer, is_gone_once_it_has_closed)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_not(tm_peer_gone(ends[0], 0));
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_not(tm_peer_gone(ends[0], 0), "bytes that wait are no farewell");
	close(ends[1]);
	cr_assert(tm_peer_gone(ends[0], 0));
	cr_assert(tm_peer_gone(ends[0], 60000), "and it is told at once");
	close(ends[0]);
}

Test(peer, nobody_to_watch_is_never_gone_but_the_wait_is_kept)
{
	int64_t began_ms = tm_clock_mono_ms();

	cr_assert_not(tm_peer_gone(-1, 20));
	cr_assert_geq(tm_clock_mono_ms() - began_ms, 19);
}
