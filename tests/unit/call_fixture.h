/*
 * The engine with two scripted providers, as the tests of calls need it. Delays are the
 * providers'; no test waits on its own.
 */
#ifndef TM_TESTS_CALL_FIXTURE_H
#define TM_TESTS_CALL_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/http.h"
#include "llm/call.h"
#include "llm_server.h"

#define GOOD \
	"{\"choices\":[{\"message\":{\"content\":\"fine\"},\"finish_reason\":\"stop\"}]," \
	"\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}"
#define KEY "sk-canary-0123456789"

enum { FOR_EVER_MS = 60000, PLENTY_MS = 10000 };

/* Everything a test needs; two servers, a provider on each. */
static struct llm_server first, second;
static struct tm_http *http;
static struct tm_arena arena;
static char urls[2][64];
static struct tm_provider_conf confs[2];
static const struct tm_provider_conf *const providers[] = {&confs[0], &confs[1]};
static const struct tm_backoff quick = {.attempts = 3, .base_ms = 1, .min_ms = 1, .max_ms = 5};
static const struct tm_backoff slow = {
	.attempts = 3, .base_ms = 90000, .min_ms = 90000, .max_ms = 90000};
static const struct tm_llm_prompt prompt = {
	.system = "Be brief.",
	.user = "canary-of-the-text",
	.user_len = 18,
	.max_tokens = 50,
	.operation = "summarize",
	.text = "One sentence stands here. Another sentence stands here too.",
	.text_len = 59,
	.question = "",
	.amount = 20,
};
static struct tm_call_limits limits;

static inline void setup(void)
{
	cr_assert_eq(tm_http_init_main(), TM_OK);
	cr_assert_eq(tm_http_new(&http), TM_OK);
	tm_arena_init(&arena, 1 << 20);
	for (int i = 0; i < 2; i++)
		confs[i] = (struct tm_provider_conf){.name = i ? "backup" : "main",
						     .kind = TM_PROVIDER_OPENAI,
						     .url = urls[i],
						     .model = "small",
						     .key = KEY,
						     .key_file = "",
						     .ca_file = "",
						     .api_version = "",
						     .json_mode = TM_JSON_AUTO};
	limits = (struct tm_call_limits){
		.connect_ms = 2000, .answer_max = 4096, .parallel = 5, .watch_fd = -1};
}

static inline void teardown(void)
{
	tm_http_free(http);
	llm_server_stop(&first);
	llm_server_stop(&second);
	tm_arena_clear(&arena);
	tm_http_exit_main();
}

static inline void point(int provider, int port)
{
	(void)snprintf(urls[provider], sizeof(urls[provider]), "http://127.0.0.1:%d/v1", port);
}

static inline void script(int provider, const struct llm_answer *answers, size_t count)
{
	struct llm_server *server = provider ? &second : &first;

	llm_server_start(server, answers, count);
	point(provider, server->port);
}

#define SCRIPT(provider, ...) \
	static const struct llm_answer script_##provider[] = {__VA_ARGS__}; \
	script(provider, script_##provider, \
	       sizeof(script_##provider) / sizeof(script_##provider[0]))

static inline struct tm_call a_call(size_t providers_count, int64_t deadline_ms)
{
	return (struct tm_call){.prompt = &prompt,
				.providers = providers,
				.providers_count = providers_count,
				.retry = &quick,
				.deadline_ms = tm_clock_mono_ms() + deadline_ms,
				.arena = &arena};
}

/* Runs them; returns how long it took, ms. */
static inline int64_t run(struct tm_call *calls, size_t count)
{
	int64_t began = tm_clock_mono_ms();

	cr_assert_eq(tm_calls_run(http, calls, count, &limits), TM_OK);
	for (size_t i = 0; i < count; i++) {
		cr_assert_not_null(calls[i].detail);
		cr_assert_null(strstr(calls[i].detail, KEY), "%s", calls[i].detail);
		cr_assert_null(strstr(calls[i].detail, "canary"), "%s", calls[i].detail);
	}
	return tm_clock_mono_ms() - began;
}

#define ENDED(call, how) \
	cr_assert_eq((call).end, how, "%s: end %d, %s", #how, (int)(call).end, (call).detail)

#endif
