/*
 * textmillctl breaker list, reset: the circuit breakers that all workers share in Redis. Which
 * providers there are is the configuration's to say.
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "io/redis.h"
#include "llm/breakers.h"

/* What the two commands work with. */
struct ctl {
	struct tm_settings settings;
	struct tm_redis *redis;
	struct tm_breakers *breakers;
	const char *file, *provider;
};

static int fail(const char *what, const char *which)
{
	(void)fprintf(stderr, "textmillctl: %s%s%s\n", what, which[0] ? ": " : "", which);
	return TM_CTL_FAILED;
}

static int read_words(const struct tm_ctl_command *command, int argc, char **argv,
		      bool wants_provider, struct ctl *ctl)
{
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":c:", command->known, NULL)) != -1) {
		if (letter != 'c')
			return tm_ctl_usage(command,
					    letter == ':' ? "a value is missing behind"
							  : "unknown option", argv[optind - 1]);
		ctl->file = optarg;
	}
	if (wants_provider && optind < argc)
		ctl->provider = argv[optind++];
	if (optind < argc)
		return tm_ctl_usage(command, "unexpected word", argv[optind]);
	if (wants_provider && !ctl->provider)
		return tm_ctl_usage(command, "the name of a provider is missing", NULL);
	return TM_CTL_DONE;
}

static int start(const struct tm_ctl_command *command, int argc, char **argv, bool wants_provider,
		 struct ctl *ctl)
{
	int status = read_words(command, argc, argv, wants_provider, ctl);
	struct tm_redis_conf redis;

	if (status == TM_CTL_DONE)
		status = tm_ctl_load(ctl->file, &ctl->settings);
	if (status != TM_CTL_DONE)
		return status;
	redis = (struct tm_redis_conf){
		.url = ctl->settings.redis.url,
		.username = ctl->settings.redis.username,
		.password = ctl->settings.redis.password,
		.timeout_ms = ctl->settings.redis.timeout_ms,
	};
	if (tm_redis_new(&ctl->redis, &redis) != TM_OK ||
	    tm_breakers_new(&ctl->breakers, &ctl->settings, ctl->redis) != TM_OK)
		return fail("cannot set up Redis", "");
	return TM_CTL_DONE;
}

static void end(struct ctl *ctl)
{
	tm_breakers_free(ctl->breakers);
	tm_redis_free(ctl->redis);
	tm_settings_clear(&ctl->settings);
}

static void print_provider(struct ctl *ctl, const struct tm_provider_conf *provider)
{
	struct tm_breaker_view view;

	tm_breakers_view(ctl->breakers, provider->name, &view);
	(void)printf("%-20s %-10s calls %lld, failures %lld, retries %lld, opened %lld times",
		     provider->name, tm_breaker_state_text(view.state), (long long)view.calls,
		     (long long)view.failures, (long long)view.retries, (long long)view.opens);
	if (view.wait_ms > 0)
		(void)printf(", next call in %.1f s", (double)view.wait_ms / 1000);
	(void)printf("\n");
}

int tm_ctl_breaker_list(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct ctl ctl = {0};
	int status = start(command, argc, argv, false, &ctl);
	size_t shown = 0;

	for (size_t i = 0; status == TM_CTL_DONE && i < ctl.settings.providers_count; i++) {
		if (ctl.settings.providers[i].kind == TM_PROVIDER_EXTRACTIVE)
			continue;
		print_provider(&ctl, &ctl.settings.providers[i]);
		shown++;
		if (!tm_redis_up(ctl.redis))
			status = fail("Redis is away", tm_redis_error(ctl.redis));
	}
	/* One of a service's environment is not in ours. */
	if (status == TM_CTL_DONE && shown == 0)
		(void)fputs("textmillctl: no provider is configured, in the file or in the "
			    "environment of this command\n", stderr);
	end(&ctl);
	return status == TM_CTL_DONE ? tm_ctl_finish_output() : status;
}

static bool is_provider(const struct ctl *ctl)
{
	for (size_t i = 0; i < ctl->settings.providers_count; i++)
		if (strcmp(ctl->settings.providers[i].name, ctl->provider) == 0)
			return true;
	return false;
}

int tm_ctl_breaker_reset(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct ctl ctl = {0};
	int status = start(command, argc, argv, true, &ctl);

	if (status == TM_CTL_DONE && !is_provider(&ctl))
		status = fail("no such provider", ctl.provider);
	if (status == TM_CTL_DONE && tm_breakers_reset(ctl.breakers, ctl.provider) != TM_OK)
		status = fail("Redis is away", tm_redis_error(ctl.redis));
	if (status == TM_CTL_DONE)
		(void)printf("%s: closed\n", ctl.provider);
	end(&ctl);
	return status == TM_CTL_DONE ? tm_ctl_finish_output() : status;
}
