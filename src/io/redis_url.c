/*
 * Redis urls. Everything is copied into fixed fields, so that the connection code never
 * allocates for an address; what does not fit is a mistake in the url.
 *
 * Addresses are resolved here and not by hiredis: with a dead name server each of its
 * lookups would block a worker for seconds, on every attempt to reconnect.
 */
#include "io/redis_url.h"

#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/digest.h"

enum { RESOLVE_MS = 60 * 1000, PORT_DEFAULT = 6379, DB_MAX = 1000000 };

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Copies [from, end) with %XX decoded. */
static enum tm_err copy_decoded(char *out, size_t size, const char *from, const char *end)
{
	size_t len = 0;

	while (from < end) {
		char c = *from++;

		if (c == '%') {
			int high = end - from >= 2 ? hex_value(from[0]) : -1;
			int low = high >= 0 ? hex_value(from[1]) : -1;

			if (low < 0 || (high == 0 && low == 0))
				return TM_EINVAL;
			c = (char)(high * 16 + low);
			from += 2;
		}
		if (len + 1 >= size)
			return TM_EINVAL;
		out[len++] = c;
	}
	out[len] = '\0';
	return TM_OK;
}

/* Digits only, up to end. */
static enum tm_err read_number(const char *from, const char *end, int64_t max, int64_t *out)
{
	int64_t value = 0;

	if (from == end)
		return TM_EINVAL;
	for (; from < end; from++) {
		if (!isdigit((unsigned char)*from))
			return TM_EINVAL;
		value = value * 10 + (*from - '0');
		if (value > max)
			return TM_EINVAL;
	}
	*out = value;
	return TM_OK;
}

static enum tm_err parse_unix(const char *at, struct tm_redis_url *out)
{
	const char *end = at + strlen(at);
	const char *query = strchr(at, '?');
	size_t len = (size_t)((query ? query : end) - at);

	if (at[0] != '/' || len < 2 || len >= sizeof(out->path))
		return TM_EINVAL;
	memcpy(out->path, at, len);
	out->path[len] = '\0';
	if (!query)
		return TM_OK;
	if (strncmp(query, "?db=", 4) != 0)
		return TM_EINVAL;
	return read_number(query + 4, end, DB_MAX, &out->db);
}

static enum tm_err parse_login(const char *at, const char *end, struct tm_redis_url *out)
{
	const char *colon = memchr(at, ':', (size_t)(end - at));
	enum tm_err err;

	err = copy_decoded(out->username, sizeof(out->username), at, colon ? colon : end);
	if (err == TM_OK && colon)
		err = copy_decoded(out->password, sizeof(out->password), colon + 1, end);
	return err;
}

/* host[:port] with an IPv6 address in brackets. */
static enum tm_err parse_host(const char *at, const char *end, struct tm_redis_url *out)
{
	const char *stop, *after;
	int64_t port = PORT_DEFAULT;

	if (at >= end)
		return TM_EINVAL;
	if (*at == '[') {
		at++;
		stop = memchr(at, ']', (size_t)(end - at));
		if (!stop)
			return TM_EINVAL;
		after = stop + 1;
	} else {
		stop = memchr(at, ':', (size_t)(end - at));
		if (!stop)
			stop = end;
		after = stop;
	}
	if (stop == at || (size_t)(stop - at) >= sizeof(out->host))
		return TM_EINVAL;
	for (const char *c = at; c < stop; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_:%", *c))
			return TM_EINVAL;
	memcpy(out->host, at, (size_t)(stop - at));
	if (after < end) {
		if (*after != ':' || read_number(after + 1, end, 65535, &port) != TM_OK ||
		    port == 0)
			return TM_EINVAL;
	}
	out->port = (int)port;
	return TM_OK;
}

static enum tm_err parse_tcp(const char *at, struct tm_redis_url *out)
{
	const char *end = at + strlen(at);
	const char *slash = strchr(at, '/');
	const char *stop = slash ? slash : end;
	const char *login = memrchr(at, '@', (size_t)(stop - at));
	enum tm_err err = TM_OK;

	if (login)
		err = parse_login(at, login, out);
	if (err == TM_OK)
		err = parse_host(login ? login + 1 : at, stop, out);
	if (err == TM_OK && slash && slash[1] != '\0')
		err = read_number(slash + 1, end, DB_MAX, &out->db);
	return err;
}

enum tm_err tm_redis_url_parse(const char *text, struct tm_redis_url *out)
{
	enum tm_err err = TM_EINVAL;

	*out = (struct tm_redis_url){0};
	if (strncmp(text, "unix://", 7) == 0)
		err = parse_unix(text + 7, out);
	else if (strncmp(text, "redis://", 8) == 0)
		err = parse_tcp(text + 8, out);
	if (err)
		tm_digest_wipe(out, sizeof(*out));
	return err;
}

static void add_addresses(struct tm_redis_url *url, const struct addrinfo *list, int family)
{
	for (; list && url->addresses_count < TM_REDIS_ADDRESSES; list = list->ai_next) {
		char *out = url->addresses[url->addresses_count];

		if (list->ai_family == family &&
		    getnameinfo(list->ai_addr, list->ai_addrlen, out, TM_REDIS_ADDRESS_BYTES, NULL,
				0, NI_NUMERICHOST) == 0)
			url->addresses_count++;
	}
}

/* Keeps the old addresses where the name server does not answer. */
static void resolve(struct tm_redis_url *url)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

	if (getaddrinfo(url->host, NULL, &hints, &list) != 0)
		return;
	url->addresses_count = 0;
	url->current = 0;
	add_addresses(url, list, AF_INET);
	add_addresses(url, list, AF_INET6);
	freeaddrinfo(list);
}

const char *tm_redis_url_address(struct tm_redis_url *url, int failed, int64_t now_ms)
{
	int stale = url->resolved_ms == 0 || now_ms - url->resolved_ms >= RESOLVE_MS;

	if (stale && (failed || url->addresses_count == 0)) {
		resolve(url);
		url->resolved_ms = now_ms > 0 ? now_ms : 1;
	} else if (failed && url->addresses_count > 0) {
		url->current = (url->current + 1) % url->addresses_count;
	}
	return url->addresses_count > 0 ? url->addresses[url->current] : NULL;
}
