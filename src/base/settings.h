/*
 * Every setting of textmill, as one struct, and the one table that describes it: name, type,
 * range, default, where it may be changed, help. The table drives the configuration file, the
 * environment, FastCGI params, -t, -T, the sample file and the man page.
 */
#ifndef TM_BASE_SETTINGS_H
#define TM_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/provider_conf.h"

struct tm_operation_conf;	/* base/operation_conf.h */

enum tm_auth_mode { TM_AUTH_KEYS, TM_AUTH_OFF };
enum tm_guard_action { TM_GUARD_OFF, TM_GUARD_LOG, TM_GUARD_REJECT };
enum tm_redis_down { TM_REDIS_DOWN_ALLOW, TM_REDIS_DOWN_DENY };

/* All settings. Times in ms, sizes in bytes. Strings belong to arena, never NULL. */
struct tm_settings {
	struct tm_arena arena;
	const char *path;	/* file it was read from; "" for none */

	const char *listen;	/* "" : no listener of its own */
	const char *user, *group;
	const char *operations_dir;	/* "" : operations.d beside path */
	struct { int64_t level; const char *target; } log;
	struct { int64_t workers_max, job_workers, requests_max, stop_timeout_ms, backlog;
		 const char *socket_mode, *socket_owner, *socket_group; } pool;
	struct { int64_t mode; const char *keys_file; bool public_operations;
		 const char *admin_key, *user_key; /* secrets, from the environment only */ } auth;
	struct { const char *url, *prefix, *username, *password, *password_file;
		 int64_t timeout_ms; } redis;
	struct { int64_t minute, hour, admin_hour, llm_hour, login_minute, on_redis_down; } limit;
	struct {
		int64_t text_min, text_max, question_max, metadata_max, body, json_depth, batch_max;
	} limits;
	struct { bool enabled, shared; int64_t stale_ms, ttl_default_ms; } cache;
	struct { int64_t action, threshold; } guard;
	struct { int64_t deadline_ms, connect_timeout_ms, answer_max, max_tokens;
		 const char *provider;	/* names in order, comma separated; "" = all, as written */
		 const char *model;	/* overrides the first provider's; "" = its own */
		 bool provider_local, model_local;	/* the location's: counts more than an
							 * operation's own */
	} llm;
	struct { int64_t threshold, min_calls, ratio, window_ms, recovery_ms; } breaker;
	struct { bool stale, extractive; } fallback;
	struct { int64_t claim_after_ms, ttl_ms, deliveries_max, max_pending; } jobs;
	struct { int64_t concurrency, deadline_ms; } batch;
	struct { int64_t ttl_ms; } idempotency;
	struct { const char *origins; } cors;

	struct tm_provider_conf providers[TM_PROVIDERS_MAX];
	size_t providers_count;

	struct tm_operation_conf *operations;	/* built in first, then as written */
};

/* Told of each mistake or warning: "file:line: text" or "environment: text", without a newline;
 * a warning's text begins with "warning: ". No secret is in it. */
typedef void tm_settings_report(void *arg, const char *text);

/*
 * Reads built-in defaults, then the file, then the environment, and checks the whole.
 *
 * path     the file; NULL: TEXTMILL_CONF of the environment, else SYSCONFDIR/textmill/textmill.conf
 *          where that exists, else none
 * env      NAME=value strings, NULL-terminated; TEXTMILL_*, ADMIN_API_KEY, USER_API_KEY,
 *          OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_MODEL, and ANTHROPIC_ and GEMINI_ likewise,
 *          count
 * report   told of every mistake, not only the first
 * out      filled on TM_OK; tm_settings_clear frees it
 *
 * TM_OK; TM_EINVAL (mistakes, all reported); TM_ENOENT (path does not exist, reported);
 * TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_settings_load(struct tm_settings *out, const char *path,
				      char *const *env, tm_settings_report *report, void *arg);

/* Wipes the secrets and frees everything. Takes a zeroed one. */
void tm_settings_clear(struct tm_settings *settings);

/*
 * Sets one setting of a request's own copy (a shallow struct copy) from a FastCGI param of
 * the location, e.g. TEXTMILL_LLM_MODEL; only settings the table marks for it.
 *
 * param  the whole name, TEXTMILL_...; value and copies live in arena, the request's
 *
 * TM_OK; TM_ENOENT (no such setting, or not settable there); TM_EINVAL (bad value); TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_settings_override(struct tm_settings *copy, struct tm_arena *arena,
					  const char *param, const char *value);

/* True when param (TEXTMILL_...) names a setting that a location may override. */
bool tm_settings_overridable(const char *param);

/* Prints an operation's section, in the file's syntax. */
void tm_operation_print(const struct tm_operation_conf *conf, FILE *out);

/* Prints all settings with defaults filled in, in the file's syntax, secrets as ***. */
void tm_settings_print(const struct tm_settings *settings, FILE *out);

/* Prints the commented sample file: every setting with help, range and default. */
void tm_settings_sample(FILE *out);

/* Prints the settings section of textmill.conf(5), troff -man. */
void tm_settings_man(FILE *out);

#endif
