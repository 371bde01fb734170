/* The addresses behind the host name of a Redis. Internal to io/redis. */
#ifndef TM_IO_REDIS_ADDRESS_H
#define TM_IO_REDIS_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

enum { TM_REDIS_ADDRESS_BYTES = 64, TM_REDIS_ADDRESSES = 4 };

/* What the name was last resolved to: numeric, IPv4 first. */
struct tm_redis_address {
	char found[TM_REDIS_ADDRESSES][TM_REDIS_ADDRESS_BYTES];
	int count, current;
	int64_t resolved_ms;	/* steady clock */
};

/*
 * The numeric address of host to connect to, borrowed; NULL when the name cannot be resolved.
 *
 * The system's resolver waits on its own terms, so it is asked when no address is known and
 * then at most once a minute, and only while failed is true (the last connect did not work:
 * perhaps the host has moved). Each call with failed goes on to the next address.
 */
const char *tm_redis_address_get(struct tm_redis_address *address, const char *host, bool failed,
				 int64_t now_ms);

#endif
