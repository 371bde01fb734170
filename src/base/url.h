/* The form of the two kinds of URL in the configuration, and of paths in answers. Words about a
 * mistake never repeat the URL: it may hold a password. */
#ifndef TM_BASE_URL_H
#define TM_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/*
 * A provider's base URL: https://host[:port][/path], or http:// where the host is loopback or
 * insecure is true; no user, query or fragment.
 *
 * why  receives the mistake's words, without a full stop; untouched on TM_OK
 *
 * TM_OK or TM_EINVAL.
 */
TM_CHECK enum tm_err tm_url_check_provider(const char *url, bool insecure, char *why,
					   size_t why_bytes);

/* What the URL of a Redis says. */
struct tm_url_redis {
	char path[108];		/* of a Unix socket, as sun_path; "" for TCP */
	char host[256];		/* without brackets */
	int port;
	int64_t db;
	char username[256], password[256];	/* secret */
};

/* Takes redis://[user[:password]@]host[:port][/db] or unix:///path[?db=N] apart; user and password
 * may hold %XX. why as above. TM_OK, or TM_EINVAL and out wiped. */
TM_CHECK enum tm_err tm_url_read_redis(const char *url, struct tm_url_redis *out, char *why,
				       size_t why_bytes);

/* The same for its mistakes alone. */
TM_CHECK enum tm_err tm_url_check_redis(const char *url, char *why, size_t why_bytes);

/* True for localhost, 127.0.0.0/8 and ::1 (in brackets or not); host need not end in a NUL. */
bool tm_url_loopback(const char *host, size_t len);

/* The path as it stands in a URL: a byte other than "/" and RFC 3986's pchar becomes %XX. From
 * the arena; NULL: out of memory. */
char *tm_url_encode_path(struct tm_arena *arena, const char *path, size_t len);

#endif
