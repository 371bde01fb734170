/*
 * Addresses are resolved here and not by hiredis: with a dead name server each of its
 * lookups would block a worker for seconds, on every attempt to reconnect.
 */
#include "io/redis_address.h"

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

enum { RESOLVE_MS = 60 * 1000 };

static void add_addresses(struct tm_redis_address *address, const struct addrinfo *list, int family)
{
	for (; list && address->count < TM_REDIS_ADDRESSES; list = list->ai_next) {
		char *out = address->found[address->count];

		if (list->ai_family == family &&
		    getnameinfo(list->ai_addr, list->ai_addrlen, out, TM_REDIS_ADDRESS_BYTES, NULL,
				0, NI_NUMERICHOST) == 0)
			address->count++;
	}
}

/* Keeps the old addresses where the name server does not answer. */
static void resolve(struct tm_redis_address *address, const char *host)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return;
	address->count = 0;
	address->current = 0;
	add_addresses(address, list, AF_INET);
	add_addresses(address, list, AF_INET6);
	freeaddrinfo(list);
}

const char *tm_redis_address_get(struct tm_redis_address *address, const char *host, bool failed,
				 int64_t now_ms)
{
	bool old = address->resolved_ms == 0 || now_ms - address->resolved_ms >= RESOLVE_MS;

	if (old && (failed || address->count == 0)) {
		resolve(address, host);
		address->resolved_ms = now_ms > 0 ? now_ms : 1;
	} else if (failed && address->count > 0) {
		address->current = (address->current + 1) % address->count;
	}
	return address->count > 0 ? address->found[address->current] : NULL;
}
