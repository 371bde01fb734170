/*
 * URL forms, read left to right: scheme, authority, rest. Stricter than RFC 3986 on purpose:
 * hosts are plain names or addresses, so that what is checked here is what curl and hiredis
 * connect to, and a host that only begins like a loopback one (127.evil.example) is none.
 */
#include "base/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"

enum {
	URL_MAX = 1024,
	HOST_MAX = 253,		/* RFC 1035's 255 on the wire */
	REDIS_PORT = 6379, REDIS_DB_MAX = 65535
};

/* [user@]host[:port]; user NULL and port 0 where there is none. */
struct authority {
	const char *user, *user_end;
	const char *host;
	size_t host_len;
	int64_t port;
};

static enum tm_err mistake(char *why, size_t why_bytes, const char *text)
{
	(void)snprintf(why, why_bytes, "%s", text);
	return TM_EINVAL;
}

/* Digits between at and end that make a number from min to max. */
static bool read_number(const char *at, const char *end, int64_t min, int64_t max, int64_t *out)
{
	int64_t value = 0;

	if (at == end)
		return false;
	for (; at < end; at++) {
		if (!isdigit((unsigned char)*at))
			return false;
		value = value * 10 + (*at - '0');
		if (value > max)
			return false;
	}
	*out = value;
	return value >= min;
}

static bool visible(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f || strchr("\"<>\\^`{|}", *text))
			return false;
	return true;
}

static bool ipv6(const char *text, size_t len)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1;
}

bool tm_url_loopback(const char *host, size_t len)
{
	char copy[INET_ADDRSTRLEN];
	struct in_addr address;

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len == 9 && strncasecmp(host, "localhost", len) == 0)
		return true;
	if (len == 3 && memcmp(host, "::1", len) == 0)
		return true;
	if (len >= sizeof(copy))
		return false;
	memcpy(copy, host, len);
	copy[len] = '\0';
	return inet_pton(AF_INET, copy, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static bool host_valid(const char *host, size_t len)
{
	if (len == 0 || len > HOST_MAX)
		return false;
	if (host[0] == '[')
		return len > 2 && host[len - 1] == ']' && ipv6(host + 1, len - 2);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr("-._", host[i]))
			return false;
	return host[0] != '-' && host[0] != '.';
}

/* Reads [user@]host[:port] between at and end. */
static enum tm_err read_authority(const char *at, const char *end, struct authority *out,
				  char *why, size_t why_bytes)
{
	const char *user = memrchr(at, '@', (size_t)(end - at)), *colon, *from;

	*out = (struct authority){.user = user ? at : NULL, .user_end = user};
	if (user)
		at = user + 1;
	from = at < end && *at == '[' ? memchr(at, ']', (size_t)(end - at)) : at;
	colon = from ? memchr(from, ':', (size_t)(end - from)) : NULL;
	out->host = at;
	out->host_len = (size_t)((colon ? colon : end) - at);
	if (out->host_len == 0)
		return mistake(why, why_bytes, "the URL names no host");
	if (!host_valid(out->host, out->host_len))
		return mistake(why, why_bytes, "the URL's host is neither a name nor an address");
	if (colon && !read_number(colon + 1, end, 1, 65535, &out->port))
		return mistake(why, why_bytes, "the URL's port is not a number from 1 to 65535");
	return TM_OK;
}

static enum tm_err check_text(const char *url, char *why, size_t why_bytes)
{
	if (strlen(url) > URL_MAX)
		return mistake(why, why_bytes, "the URL is longer than 1024 bytes");
	if (!visible(url))
		return mistake(why, why_bytes,
			       "the URL holds a space or another character that URLs may not hold");
	return TM_OK;
}

enum tm_err tm_url_check_provider(const char *url, bool insecure, char *why, size_t why_bytes)
{
	struct authority authority;
	const char *at, *end;
	bool plain = strncmp(url, "http://", 7) == 0;
	enum tm_err err = check_text(url, why, why_bytes);

	if (err != TM_OK)
		return err;
	if (!plain && strncmp(url, "https://", 8) != 0)
		return mistake(why, why_bytes, "the URL begins with neither https:// nor http://");
	at = url + (plain ? 7 : 8);
	end = at + strcspn(at, "/?#");
	err = read_authority(at, end, &authority, why, why_bytes);
	if (err != TM_OK)
		return err;
	if (authority.user)
		return mistake(why, why_bytes, "the URL names a user: give the secret as key_file");
	if (strpbrk(end, "?#"))
		return mistake(why, why_bytes, "the URL has a query or a fragment");
	if (plain && !insecure && !tm_url_loopback(authority.host, authority.host_len))
		return mistake(
			why, why_bytes,
			"http:// is for loopback hosts: use https://, or set insecure = true");
	return TM_OK;
}

/* Copies [from, end) with %XX decoded. False: it is too long, or not well written. */
static bool copy_decoded(char *out, size_t size, const char *from, const char *end)
{
	size_t len = 0;

	for (; from < end; from++) {
		uint8_t byte = (uint8_t)*from;

		if (*from == '%') {
			const char digits[] = {end - from > 2 ? from[1] : '\0', from[2], '\0'};

			if (tm_digest_unhex(digits, &byte, 1) != TM_OK || byte == 0)
				return false;
			from += 2;
		}
		if (len + 1 >= size)
			return false;
		out[len++] = (char)byte;
	}
	out[len] = '\0';
	return true;
}

static enum tm_err read_unix(const char *path, struct tm_url_redis *out, char *why,
			     size_t why_bytes)
{
	const char *query = strchr(path, '?');
	size_t len = query ? (size_t)(query - path) : strlen(path);

	if (path[0] != '/' || len < 2)
		return mistake(why, why_bytes,
			       "unix:// is followed by an absolute path: unix:///run/...");
	if (len >= sizeof(out->path))
		return mistake(why, why_bytes, "the path is longer than 107 bytes");
	if (query && (strncmp(query, "?db=", 4) != 0 ||
		      !read_number(query + 4, query + strlen(query), 0, REDIS_DB_MAX, &out->db)))
		return mistake(why, why_bytes, "the path may be followed by ?db=N only");
	memcpy(out->path, path, len);
	return TM_OK;
}

static bool read_login(const struct authority *authority, struct tm_url_redis *out)
{
	const char *from = authority->user, *end = authority->user_end;
	const char *colon = from ? memchr(from, ':', (size_t)(end - from)) : NULL;

	if (!from)
		return true;
	return copy_decoded(out->username, sizeof(out->username), from, colon ? colon : end) &&
	       (!colon || copy_decoded(out->password, sizeof(out->password), colon + 1, end));
}

static enum tm_err read_tcp(const char *at, struct tm_url_redis *out, char *why, size_t why_bytes)
{
	struct authority authority;
	const char *end = at + strcspn(at, "/?#");
	enum tm_err err = read_authority(at, end, &authority, why, why_bytes);
	size_t bracket;

	if (err != TM_OK)
		return err;
	if (!read_login(&authority, out))
		return mistake(why, why_bytes, "the URL's user or password is longer than 255 "
			       "bytes or has a % that two hex digits do not follow");
	bracket = authority.host[0] == '[';
	memcpy(out->host, authority.host + bracket, authority.host_len - 2 * bracket);
	out->port = authority.port ? (int)authority.port : REDIS_PORT;
	if (*end == '\0' || strcmp(end, "/") == 0)
		return TM_OK;
	if (*end != '/' || !read_number(end + 1, end + strlen(end), 0, REDIS_DB_MAX, &out->db))
		return mistake(why, why_bytes,
			       "the host may be followed by /N, a database number, only");
	return TM_OK;
}

enum tm_err tm_url_read_redis(const char *url, struct tm_url_redis *out, char *why,
			      size_t why_bytes)
{
	enum tm_err err = check_text(url, why, why_bytes);

	*out = (struct tm_url_redis){.port = 0};
	if (err == TM_OK && strncmp(url, "unix://", 7) == 0)
		err = read_unix(url + 7, out, why, why_bytes);
	else if (err == TM_OK && strncmp(url, "redis://", 8) == 0)
		err = read_tcp(url + 8, out, why, why_bytes);
	else if (err == TM_OK && strncmp(url, "rediss://", 9) == 0)
		err = mistake(why, why_bytes, "TLS to Redis is not supported: use a Unix socket, "
			      "or a tunnel such as stunnel");
	else if (err == TM_OK)
		err = mistake(why, why_bytes, "the URL begins with neither redis:// nor unix:///");
	if (err != TM_OK)
		tm_digest_wipe(out, sizeof(*out));
	return err;
}

enum tm_err tm_url_check_redis(const char *url, char *why, size_t why_bytes)
{
	struct tm_url_redis parts;
	enum tm_err err = tm_url_read_redis(url, &parts, why, why_bytes);

	tm_digest_wipe(&parts, sizeof(parts));
	return err;
}

char *tm_url_encode_path(struct tm_arena *arena, const char *path, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~!$&'()*+,;=:@/";
	static const char hex[] = "0123456789ABCDEF";
	char *out = tm_arena_alloc(arena, 3 * len + 1), *at = out;

	for (size_t i = 0; out && i < len; i++) {
		unsigned char byte = (unsigned char)path[i];

		if (memchr(plain, byte, sizeof(plain) - 1)) {
			*at++ = (char)byte;
			continue;
		}
		*at++ = '%';
		*at++ = hex[byte >> 4];
		*at++ = hex[byte & 15];
	}
	if (out)
		*at = '\0';
	return out;
}
