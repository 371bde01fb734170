/* The parts of a Redis url, and the addresses behind its host name. Internal to io/redis. */
#ifndef TM_IO_REDIS_URL_H
#define TM_IO_REDIS_URL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	TM_REDIS_HOST_BYTES = 256,
	TM_REDIS_WORD_BYTES = 256,	/* user and password */
	TM_REDIS_ADDRESS_BYTES = 64,
	TM_REDIS_ADDRESSES = 4
};

struct tm_redis_url {
	char path[108];		/* of a Unix socket; "" for TCP */
	char host[TM_REDIS_HOST_BYTES];
	int port;
	int64_t db;
	char username[TM_REDIS_WORD_BYTES];
	char password[TM_REDIS_WORD_BYTES];	/* secret */

	/* What host was last resolved to: numeric, IPv4 first. */
	char addresses[TM_REDIS_ADDRESSES][TM_REDIS_ADDRESS_BYTES];
	int addresses_count, current;
	int64_t resolved_ms;	/* steady clock */
};

/* Reads redis://[user[:password]@]host[:port][/db] or unix:///path[?db=N]; user and password
 * may hold %XX. TM_OK, or TM_EINVAL and out wiped. */
TM_CHECK enum tm_err tm_redis_url_parse(const char *text, struct tm_redis_url *out);

/*
 * The numeric address to connect to, borrowed; NULL when the name cannot be resolved.
 *
 * The system's resolver waits on its own terms, so it is asked when no address is known and
 * then at most once a minute, and only while failed is true (the last connect did not work:
 * perhaps the host has moved). Each call with failed goes on to the next address.
 */
const char *tm_redis_url_address(struct tm_redis_url *url, int failed, int64_t now_ms);

#endif
