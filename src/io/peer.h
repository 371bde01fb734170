/* Whether the other side of a connection is still there. */
#ifndef TM_IO_PEER_H
#define TM_IO_PEER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Waits at most wait_ms for the peer of fd to hang up; true when it has. Unread bytes are no
 * hang-up. fd -1: nobody to watch, only the wait.
 */
bool tm_peer_gone(int fd, int64_t wait_ms);

#endif
