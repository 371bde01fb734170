/* One request as the routes see it: who, what, under which settings, and how long it took. */
#ifndef TM_API_REQUEST_H
#define TM_API_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/settings.h"
#include "gate/keys.h"
#include "io/exchange.h"

enum { TM_REQUEST_ID_MAX = 128, TM_TRACE_ID_BYTES = 33, TM_REQUEST_TOKEN_BYTES = 33 };

struct tm_request {
	struct tm_exchange *exchange;
	struct tm_arena *arena;			/* lives as long as the request */
	const struct tm_settings *settings;	/* the process', or local */
	struct tm_settings local;		/* a copy with the location's overrides */
	const char *overrides;			/* these: "NAME=value" and a NUL each; arena */
	size_t overrides_len;

	const char *method;
	const char *path;			/* SCRIPT_NAME + PATH_INFO, in the arena */
	char id[TM_REQUEST_ID_MAX + 1];		/* X-Request-ID */
	char trace_id[TM_TRACE_ID_BYTES];	/* 32 hex digits */
	/* Under this name the request claims what is its own in Redis: 32 hex digits, REQUEST_ID
	 * of the web server, which is the same when it sends a request again because the worker
	 * that had it died; then the claims of the first are the second's. Else random. */
	char token[TM_REQUEST_TOKEN_BYTES];
	/* What it begins that outlives it, such as a batch, is known by this: the token or, under
	 * an Idempotency-Key, a digest of what is asked: then a repeat begins the same. */
	char claim[TM_REQUEST_TOKEN_BYTES];
	bool head;				/* answer without a body */

	struct tm_principal principal;		/* valid once authenticated */
	bool authenticated;

	int64_t start_us;			/* steady clock */
	int64_t auth_us, redis_us, llm_us;	/* Server-Timing */
};

/*
 * Fills request from the exchange: ids, path, the location's settings.
 * TM_OK; TM_EINVAL a param of the web server's configuration is wrong (logged); TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_request_open(struct tm_request *request, struct tm_exchange *exchange,
				     const struct tm_settings *settings, struct tm_arena *arena);

/* Sets what a location had set for an earlier request: pairs as in its overrides. As open. */
TM_CHECK enum tm_err tm_request_override(struct tm_request *request, const char *pairs, size_t len);

/* A request header by its CGI name, e.g. "HTTP_ACCEPT"; "" when absent. */
const char *tm_request_header(const struct tm_request *request, const char *name);

/* True when the Accept header admits type/subtype, e.g. "application", "json". */
bool tm_request_accepts(const struct tm_request *request, const char *type, const char *subtype);

/* True when the Accept header names text/event-stream itself, not only by a wildcard, and wants
 * application/json no more than that. */
bool tm_request_wants_stream(const struct tm_request *request);

/* True when the body is declared as application/json, and as UTF-8 where it names a charset. */
bool tm_request_is_json(const struct tm_request *request);

/* True when the Prefer header (RFC 7240) names the preference; *value is then what stands behind
 * "=", from the arena, "" for nothing. */
bool tm_request_prefers(const struct tm_request *request, const char *name, const char **value);

/* When the web server got the request, wall clock, ms; 0 where it does not say (REQUEST_START). */
int64_t tm_request_arrived_ms(const struct tm_request *request);

/* True when the comma-separated Cache-Control header holds this directive. */
bool tm_request_cache_control(const struct tm_request *request, const char *directive);

#endif
