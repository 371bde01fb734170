/*
 * The one table: a setting is a row here and a field in struct tm_settings, and nothing else needs
 * to change for it to be read from the file and the environment, checked, printed and documented.
 */
#include "base/settings_table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/url.h"

#define OF(field) offsetof(struct tm_settings, field), sizeof(((struct tm_settings *)0)->field)
#define PROVIDER(field) \
	offsetof(struct tm_provider_conf, field), sizeof(((struct tm_provider_conf *)0)->field)
#define RANGE(low, high) .min = (low), .max = (high)
#define R TM_SET_RELOADABLE
#define RL (TM_SET_RELOADABLE | TM_SET_LOCATION)

static enum tm_err wrong(char *why, size_t why_bytes, const char *text)
{
	(void)snprintf(why, why_bytes, "%s", text);
	return TM_EINVAL;
}

static enum tm_err check_log_target(const char *value, char *why, size_t why_bytes)
{
	if (strcmp(value, "stderr") == 0 || strcmp(value, "syslog") == 0 || value[0] == '/')
		return TM_OK;
	return wrong(why, why_bytes, "must be stderr, syslog or a file's absolute path");
}

static enum tm_err check_mode(const char *value, char *why, size_t why_bytes)
{
	size_t digits = strspn(value, "01234567");

	if (value[digits] == '\0' && (digits == 3 || (digits == 4 && value[0] == '0')))
		return TM_OK;
	return wrong(why, why_bytes, "must be a file mode in octal, such as 0660");
}

static bool all_visible(const char *value)
{
	for (; *value; value++)
		if (*value <= ' ' || *value >= 0x7f)
			return false;
	return true;
}

static enum tm_err check_version(const char *value, char *why, size_t why_bytes)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	size_t len = strlen(value);

	if (len <= 64 && strspn(value, allowed) == len)
		return TM_OK;
	return wrong(why, why_bytes, "must be at most 64 characters of A-Z, a-z, 0-9, _ . and -");
}

static enum tm_err check_prefix(const char *value, char *why, size_t why_bytes)
{
	if (value[0] && strlen(value) <= 64 && all_visible(value) && !strpbrk(value, "{}"))
		return TM_OK;
	return wrong(why, why_bytes, "must be 1 to 64 visible characters other than { and }");
}

static enum tm_err check_api_key(const char *value, char *why, size_t why_bytes)
{
	size_t len = strlen(value);

	if (len == 0 || (len >= 16 && len <= 256 && all_visible(value)))
		return TM_OK;
	return wrong(why, why_bytes, "must be 16 to 256 visible characters");
}

/* An Origin header's value: scheme://host[:port], without a path; or *. */
static bool origin_valid(const char *at, size_t len)
{
	size_t scheme = len > 8 && strncmp(at, "https://", 8) == 0 ? 8 :
		len > 7 && strncmp(at, "http://", 7) == 0 ? 7 : 0;

	if (len == 1 && *at == '*')
		return true;
	for (size_t i = scheme; scheme && i < len; i++)
		if (!isalnum((unsigned char)at[i]) && !strchr("-.:[]", at[i]))
			return false;
	return scheme != 0;
}

static enum tm_err check_origins(const char *value, char *why, size_t why_bytes)
{
	for (const char *at = value + strspn(value, ", "); *at; at += strspn(at, ", ")) {
		size_t len = strcspn(at, ", ");

		if (!origin_valid(at, len))
			return wrong(why, why_bytes,
				     "must be origins such as https://www.example.org "
				     "(no path), comma separated, or *");
		at += len;
	}
	return TM_OK;
}

const struct tm_setting_section tm_setting_sections[] = {
	{"", "The pool's place in the system."},
	{"log", "The error log."},
	{"pool", "The processes that work, where textmill runs as a pool of its own."},
	{"auth", "Who may call."},
	{"redis", "Redis holds the cache, the limits and what happened. textmill works without it, "
		  "and says so in its health report."},
	{"limit", "How often a key may call. 0 means no limit of that kind."},
	{"limits", "How large things may be."},
	{"cache", "How long answers are kept."},
	{"guard", "Texts that try to give the LLM orders. Nothing of a text is ever changed."},
	{"llm", "Calls to providers."},
	{"breaker",
	 "When a provider that fails is left alone. One state for all workers and hosts."},
	{"fallback", "What stands in when no LLM answers."},
	{"jobs",
	 "Asynchronous batches. They need a Redis that keeps its data (appendonly yes), and "
	 "no Redis Cluster."},
	{"batch", "Many texts in one request."},
	{"idempotency", "Requests that are sent again with the same Idempotency-Key."},
	{"cors", "Web pages of other origins."},
};
const size_t tm_setting_section_count =
	sizeof(tm_setting_sections) / sizeof(tm_setting_sections[0]);

const struct tm_setting tm_setting_table[] = {
	{"", "listen", TM_SET_STRING, 0, OF(listen), "",
	 .help = "Where the pool listens for the web server: the path of a Unix socket, or "
		 "127.0.0.1:port or [::1]:port. Empty: no pool; the web server starts the "
		 "workers."},
	{"", "user", TM_SET_STRING, 0, OF(user), "",
	 .help = "User that the pool becomes after binding its socket. Empty: stays who it is."},
	{"", "group", TM_SET_STRING, 0, OF(group), "",
	 .help = "Group that the pool takes. Empty: the user's own."},

	{"", "operations_dir", TM_SET_PATH, R, OF(operations_dir), "",
	 .help = "Folder whose *.conf files define operations. Empty: operations.d beside this "
		 "file, where there is one."},

	{"log", "level", TM_SET_CHOICE, R, OF(log.level), "info",
	 .choices = "error|warn|info|debug", .help = "The least severe lines that are written."},
	{"log", "target", TM_SET_STRING, R, OF(log.target), "stderr", .check = check_log_target,
	 .help = "stderr, syslog, or a file's absolute path. Below a web server, stderr is its "
		 "error log."},

	{"pool", "workers_max", TM_SET_INT, R, OF(pool.workers_max), "8", RANGE("1", "1000"),
	 .help = "Worker processes. Each serves one request at a time, mostly waiting for the "
		 "LLM."},
	{"pool", "job_workers", TM_SET_INT, R, OF(pool.job_workers), "1", RANGE("0", "64"),
	 .help = "Processes that work on asynchronous batches. 0: none here; textmill --jobs does "
		 "it."},
	{"pool", "requests_max", TM_SET_INT, R, OF(pool.requests_max), "10000",
	 RANGE("0", "1000000000"),
	 .help = "Requests after which a worker is replaced by a fresh one. 0: never."},
	{"pool", "stop_timeout", TM_SET_DURATION, R, OF(pool.stop_timeout_ms), "55s",
	 RANGE("1s", "1h"),
	 .help = "How long a graceful stop waits for requests in hand before it ends their "
		 "workers."},
	{"pool", "backlog", TM_SET_INT, 0, OF(pool.backlog), "511", RANGE("1", "65535"),
	 .help = "Connections that may wait in the socket's queue."},
	{"pool", "socket_mode", TM_SET_STRING, 0, OF(pool.socket_mode), "0660", .check = check_mode,
	 .help = "File mode of the Unix socket. Whoever may write to it may call textmill past the "
		 "web server."},
	{"pool", "socket_owner", TM_SET_STRING, 0, OF(pool.socket_owner), "",
	 .help = "Owner of the Unix socket. Empty: who binds it."},
	{"pool", "socket_group", TM_SET_STRING, 0, OF(pool.socket_group), "",
	 .help = "Group of the Unix socket, usually the web server's. Empty: who binds it."},

	{"auth", "mode", TM_SET_CHOICE, R, OF(auth.mode), "keys", .choices = "keys|off",
	 .help = "keys: callers present an API key. off: everybody may "
		 "read and process texts."},
	{"auth", "keys_file", TM_SET_PATH, R, OF(auth.keys_file), "",
	 .help = "File of API keys, one a line, as printed by textmillctl key new. It is read "
		 "again "
		 "when it changes."},
	{"auth", "public_operations", TM_SET_BOOL, RL, OF(auth.public_operations), "false",
	 .help = "Whether the list of operations needs no key."},
	{"auth", "admin_key", TM_SET_SECRET, R | TM_SET_ENV_ONLY, OF(auth.admin_key), "",
	 .env = "ADMIN_API_KEY", .check = check_api_key,
	 .help = "A key with permissions read, write and admin: 16 to 256 visible characters."},
	{"auth", "user_key", TM_SET_SECRET, R | TM_SET_ENV_ONLY, OF(auth.user_key), "",
	 .env = "USER_API_KEY", .check = check_api_key,
	 .help = "A key with permissions read and write: 16 to 256 visible characters."},

	{"redis", "url", TM_SET_URL, R, OF(redis.url), "redis://127.0.0.1:6379/0",
	 .check = tm_url_check_redis,
	 .help = "redis://[user[:password]@]host[:port][/db], or unix:///path[?db=N]."},
	{"redis", "prefix", TM_SET_STRING, R, OF(redis.prefix), "tm:", .check = check_prefix,
	 .help = "What the names of all keys in Redis begin with."},
	{"redis", "timeout", TM_SET_DURATION, R, OF(redis.timeout_ms), "100ms", RANGE("5ms", "5s"),
	 .help = "The longest wait for one round trip, and for a connection."},
	{"redis", "username", TM_SET_STRING, R, OF(redis.username), "",
	 .help = "User of Redis' access control. Counts more than the url's."},
	{"redis", "password", TM_SET_SECRET, R, OF(redis.password), "",
	 .help = "Better kept in password_file. Counts more than the url's."},
	{"redis", "password_file", TM_SET_PATH, R, OF(redis.password_file), "",
	 .help = "File that holds the password; read when password is empty."},

	{"limit", "minute", TM_SET_INT, RL, OF(limit.minute), "60", RANGE("0", "1000000"),
	 .help = "Requests per minute and key."},
	{"limit", "hour", TM_SET_INT, RL, OF(limit.hour), "100", RANGE("0", "1000000"),
	 .help = "Requests per hour and key, where the key has no number of its own."},
	{"limit", "admin_hour", TM_SET_INT, R, OF(limit.admin_hour), "1000", RANGE("0", "1000000"),
	 .help = "Requests per hour for ADMIN_API_KEY."},
	{"limit", "llm_hour", TM_SET_INT, RL, OF(limit.llm_hour), "100", RANGE("0", "1000000"),
	 .help = "Requests per hour and key that go to an LLM, each once however often it is "
		 "tried; answers from the cache do not count."},
	{"limit", "login_minute", TM_SET_INT, R, OF(limit.login_minute), "10",
	 RANGE("0", "1000000"), .help = "Failed logins per minute and client address."},
	{"limit", "on_redis_down", TM_SET_CHOICE, R, OF(limit.on_redis_down), "allow",
	 .choices = "allow|deny",
	 .help = "While Redis is away: allow counts in each worker by itself, deny refuses."},

	{"limits", "text_min", TM_SET_INT, RL, OF(limits.text_min), "10", RANGE("1", "10000"),
	 .help = "Fewest characters of a text."},
	{"limits", "text_max", TM_SET_INT, RL, OF(limits.text_max), "10000", RANGE("1", "1000000"),
	 .help = "Most characters of a text."},
	{"limits", "question_max", TM_SET_INT, R, OF(limits.question_max), "1000",
	 RANGE("1", "100000"), .help = "Most characters of a question."},
	{"limits", "metadata_max", TM_SET_SIZE, R, OF(limits.metadata_max), "4k", RANGE("0", "1m"),
	 .help = "Largest user_metadata of a request."},
	{"limits", "body", TM_SET_SIZE, R, OF(limits.body), "1m", RANGE("1k", "64m"),
	 .help = "Largest body of a request. The web server has a limit of its own."},
	{"limits", "json_depth", TM_SET_INT, R, OF(limits.json_depth), "32", RANGE("4", "64"),
	 .help = "Deepest nesting of a request's JSON."},
	{"limits", "batch_max", TM_SET_INT, RL, OF(limits.batch_max), "50", RANGE("1", "50"),
	 .help = "Most items of a batch."},

	{"cache", "enabled", TM_SET_BOOL, RL, OF(cache.enabled), "true",
	 .help = "Whether answers are kept at all."},
	{"cache", "shared", TM_SET_BOOL, RL, OF(cache.shared), "false",
	 .help = "Whether one user's answers may serve another who asks exactly the same."},
	{"cache", "stale", TM_SET_DURATION, R, OF(cache.stale_ms), "24h", RANGE("0", "30d"),
	 .help = "How much longer an answer is kept, to stand in while no LLM can be reached."},
	{"cache", "ttl_default", TM_SET_DURATION, R, OF(cache.ttl_default_ms), "1h",
	 RANGE("1s", "365d"),
	 .help = "How long answers are served of an operation that has no ttl of its own. The "
		 "built-in ones have one each; see textmillctl operations show."},

	{"guard", "action", TM_SET_CHOICE, RL, OF(guard.action), "log",
	 .choices = "off|log|reject",
	 .help = "What happens with a request whose text or question scores guard.threshold or "
		 "more: log writes a line and counts it, reject also answers 422."},
	{"guard", "threshold", TM_SET_INT, RL, OF(guard.threshold), "60", RANGE("1", "100"),
	 .help = "A clear attempt scores 60 or more, a hint less. 100 needs several."},

	{"llm", "deadline", TM_SET_DURATION, RL, OF(llm.deadline_ms), "30s", RANGE("100ms", "10m"),
	 .help = "The longest a request may take in all: attempts, waits and other providers. The "
		 "web server's own time-out must be longer."},
	{"llm", "connect_timeout", TM_SET_DURATION, R, OF(llm.connect_timeout_ms), "5s",
	 RANGE("50ms", "1m"),
	 .help = "The longest wait for a connection to a provider, TLS included."},
	{"llm", "answer_max", TM_SET_SIZE, R, OF(llm.answer_max), "4m", RANGE("1k", "64m"),
	 .help = "Largest response that is accepted from a provider."},
	{"llm", "max_tokens", TM_SET_INT, RL, OF(llm.max_tokens), "4096", RANGE("1", "1000000"),
	 .help = "Most tokens that an answer may have, whatever the operation asks for."},
	{"llm", "provider", TM_SET_STRING, RL, OF(llm.provider), "",
	 .help = "Names of the providers to ask, in order, comma separated. Empty: all, in the "
		 "order "
		 "they are written."},
	{"llm", "model", TM_SET_STRING, RL, OF(llm.model), "",
	 .help = "Model to ask for instead of the first provider's own. Empty: its own."},

	{"breaker", "threshold", TM_SET_INT, R, OF(breaker.threshold), "5", RANGE("1", "1000"),
	 .help = "Failures in a row that take a provider out of use; two or three times as many "
		 "while other calls have succeeded."},
	{"breaker", "min_calls", TM_SET_INT, R, OF(breaker.min_calls), "20", RANGE("1", "100000"),
	 .help = "Calls in breaker.window below which the ratio of failures says nothing."},
	{"breaker", "ratio", TM_SET_INT, R, OF(breaker.ratio), "50", RANGE("1", "100"),
	 .help = "Percentage of failed calls in breaker.window that takes a provider out of use, "
		 "where chance does not explain it."},
	{"breaker", "window", TM_SET_DURATION, R, OF(breaker.window_ms), "30s", RANGE("1s", "1h"),
	 .help = "How far back the ratio looks."},
	{"breaker", "recovery", TM_SET_DURATION, R, OF(breaker.recovery_ms), "8s",
	 RANGE("100ms", "1h"),
	 .help = "How long a provider stays out of use before one call probes it; a tenth more or "
		 "less, by chance. It has 5s to begin its response."},

	{"fallback", "stale", TM_SET_BOOL, RL, OF(fallback.stale), "true",
	 .help = "Whether an answer past its time stands in, flagged, when no LLM answers."},
	{"fallback", "extractive", TM_SET_BOOL, RL, OF(fallback.extractive), "false",
	 .help = "Whether the built-in extractive provider stands in, flagged, when no LLM answers "
		 "and no stale answer is there."},

	{"jobs", "claim_after", TM_SET_DURATION, R, OF(jobs.claim_after_ms), "30s",
	 RANGE("2s", "1h"),
	 .help = "How long a job worker must have been silent before another takes its item over."},
	{"jobs", "ttl", TM_SET_DURATION, R, OF(jobs.ttl_ms), "24h", RANGE("1m", "365d"),
	 .help = "How long a batch may take, and how long its results are kept after that."},
	{"jobs", "deliveries_max", TM_SET_INT, R, OF(jobs.deliveries_max), "3", RANGE("1", "100"),
	 .help = "How often an item is begun whose worker dies over it, before it fails. Once "
		 "more for each other item that was lost with its worker and completed meanwhile: "
		 "then workers die of something else. Ten times as often at most."},
	{"jobs", "max_pending", TM_SET_INT, RL, OF(jobs.max_pending), "10000",
	 RANGE("1", "10000000"),
	 .help = "Items that may wait at most, of all batches; more are refused."},

	{"batch", "concurrency", TM_SET_INT, RL, OF(batch.concurrency), "5", RANGE("1", "16"),
	 .help = "LLM calls of one batch that run at once."},
	{"batch", "deadline", TM_SET_DURATION, RL, OF(batch.deadline_ms), "50s",
	 RANGE("1s", "10m"),
	 .help = "The longest a batch may take whose client waits for it; each call has "
		 "llm.deadline from its own beginning. What is not done then has failed. The web "
		 "server's own time-out (60s in the samples) and pool.stop_timeout must be "
		 "longer."},

	{"idempotency", "ttl", TM_SET_DURATION, R, OF(idempotency.ttl_ms), "24h",
	 RANGE("1m", "7d"),
	 .help = "How long the answer to a request with an Idempotency-Key is replayed."},

	{"cors", "origins", TM_SET_STRING, R, OF(cors.origins), "", .check = check_origins,
	 .help = "Origins whose pages may call from a browser, comma separated, such as "
		 "https://www.example.org. Empty: none."},
};
const size_t tm_setting_count = sizeof(tm_setting_table) / sizeof(tm_setting_table[0]);

const struct tm_setting tm_provider_table[] = {
	{"provider", "kind", TM_SET_CHOICE, R, PROVIDER(kind), "openai",
	 .choices = "openai|extractive|anthropic|gemini",
	 .help = "openai: any server that speaks OpenAI's format. anthropic, gemini: theirs. "
		 "extractive: built in, picks sentences without an LLM."},
	{"provider", "url", TM_SET_URL, R, PROVIDER(url), "",
	 .help = "Base address, such as https://api.openai.com/v1; for Azure the one that ends in "
		 "/openai/deployments/NAME. Empty for anthropic and gemini: their own. Not for "
		 "extractive."},
	{"provider", "model", TM_SET_STRING, R, PROVIDER(model), "",
	 .help = "Model to ask for, such as gpt-4o-mini. Not for extractive."},
	{"provider", "key", TM_SET_SECRET, R, PROVIDER(key), "",
	 .help = "The provider's API key. Better kept in key_file."},
	{"provider", "key_file", TM_SET_PATH, R, PROVIDER(key_file), "",
	 .help = "File that holds the provider's API key, such as /etc/textmill/openai.key."},
	{"provider", "ca_file", TM_SET_PATH, R, PROVIDER(ca_file), "",
	 .help = "Certificates (PEM) that the server's must come from. Empty: the system's."},
	{"provider", "insecure", TM_SET_BOOL, R, PROVIDER(insecure), "false",
	 .help = "Whether http:// is allowed to a host that is not this one: key and texts then "
		 "cross "
		 "the network readable."},
	{"provider", "timeout", TM_SET_DURATION, R, PROVIDER(timeout_ms), "0", RANGE("0", "10m"),
	 .help = "The longest one attempt may take. 0: what is left of llm.deadline."},
	{"provider", "json_mode", TM_SET_CHOICE, R, PROVIDER(json_mode), "auto",
	 .choices = "auto|schema|object|off",
	 .help = "How structured answers are asked for. auto: by schema, where the server takes "
		 "it."},
	{"provider", "api_version", TM_SET_STRING, R, PROVIDER(api_version), "",
	 .check = check_version,
	 .help = "Kind openai: set it for Azure, such as 2024-10-21. Kind anthropic: the format's "
		 "version; empty: 2023-06-01."},
	{"provider", "price_input", TM_SET_REAL, R, PROVIDER(price_input), "0",
	 RANGE("0", "1000000"),
	 .help = "Price of a million tokens of a prompt, in the currency you count in. With both "
		 "prices 0 no cost is counted."},
	{"provider", "price_output", TM_SET_REAL, R, PROVIDER(price_output), "0",
	 RANGE("0", "1000000"), .help = "Price of a million tokens of an answer."},
};
const size_t tm_provider_count = sizeof(tm_provider_table) / sizeof(tm_provider_table[0]);

const char *tm_setting_env(const struct tm_setting *row, char out[TM_SET_ENV_BYTES])
{
	if (row->env)
		return row->env;
	(void)snprintf(out, TM_SET_ENV_BYTES, "TEXTMILL_%s%s%s", row->section,
		       row->section[0] ? "_" : "", row->name);
	for (char *at = out; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	return out;
}

/* Where env goes on behind the upper case of text; NULL when it does not begin so. */
static const char *past_upper(const char *env, const char *text)
{
	for (; *text; text++, env++)
		if (*env != (char)toupper((unsigned char)*text))
			return NULL;
	return env;
}

/* Compares piece by piece: a location's params come this way with every request. */
static bool has_env(const struct tm_setting *row, const char *env)
{
	static const char program[] = "TEXTMILL_";

	if (row->env)
		return strcmp(row->env, env) == 0;
	if (strncmp(env, program, sizeof(program) - 1) != 0)
		return false;
	env += sizeof(program) - 1;
	if (row->section[0]) {
		env = past_upper(env, row->section);
		if (!env || *env++ != '_')
			return false;
	}
	env = past_upper(env, row->name);
	return env && *env == '\0';
}

const struct tm_setting *tm_setting_by_env(const char *env)
{
	for (size_t i = 0; i < tm_setting_count; i++)
		if (has_env(&tm_setting_table[i], env))
			return &tm_setting_table[i];
	return NULL;
}
