/* Settings: types, precedence, checks of the whole, printing, the sample file. */
#include "settings_fixture.h"

#include "base/log.h"
#include "base/settings_table.h"

TestSuite(settings, .init = setup, .fini = teardown);

Test(settings, has_the_defaults_of_the_specification)
{
	const struct tm_settings *s = &settings;

	cr_assert_eq(load("", NULL), TM_OK);
	expect_reports("none", "");
	cr_expect_str_eq(s->path, "a");
	cr_expect_str_eq(s->listen, "");
	cr_expect_str_eq(s->user, "");
	cr_expect_str_eq(s->group, "");
	cr_expect_eq(s->log.level, TM_LOG_INFO);
	cr_expect_str_eq(s->log.target, "stderr");
	cr_expect_eq(s->pool.workers_max, 8);
	cr_expect_eq(s->pool.requests_max, 10000);
	cr_expect_eq(s->pool.stop_timeout_ms, 55000);
	cr_expect_eq(s->pool.backlog, 511);
	cr_expect_str_eq(s->pool.socket_mode, "0660");
	cr_expect_eq(s->auth.mode, TM_AUTH_KEYS);
	cr_expect_not(s->auth.public_operations);
	cr_expect_str_eq(s->auth.admin_key, "");
	cr_expect_str_eq(s->redis.url, "redis://127.0.0.1:6379/0");
	cr_expect_str_eq(s->redis.prefix, "tm:");
	cr_expect_eq(s->redis.timeout_ms, 100);
	cr_expect_eq(s->limit.minute, 60);
	cr_expect_eq(s->limit.hour, 100);
	cr_expect_eq(s->limit.admin_hour, 1000);
	cr_expect_eq(s->limit.llm_hour, 100);
	cr_expect_eq(s->limit.login_minute, 10);
	cr_expect_eq(s->limit.on_redis_down, TM_REDIS_DOWN_ALLOW);
	cr_expect_eq(s->limits.text_min, 10);
	cr_expect_eq(s->limits.text_max, 10000);
	cr_expect_eq(s->limits.question_max, 1000);
	cr_expect_eq(s->limits.metadata_max, 4096);
	cr_expect_eq(s->limits.body, 1048576);
	cr_expect_eq(s->limits.json_depth, 32);
	cr_expect(s->cache.enabled);
	cr_expect_not(s->cache.shared);
	cr_expect_eq(s->cache.stale_ms, 86400000);
	cr_expect_eq(s->cache.ttl_default_ms, 3600000);
	cr_expect_str_eq(s->operations_dir, "");
	cr_expect_eq(s->guard.action, TM_GUARD_LOG);
	cr_expect_eq(s->guard.threshold, 60);
	cr_expect_eq(s->llm.deadline_ms, 30000);
	cr_expect_eq(s->llm.connect_timeout_ms, 5000);
	cr_expect_eq(s->llm.answer_max, 4194304);
	cr_expect_eq(s->llm.max_tokens, 4096);
	cr_expect_str_eq(s->llm.provider, "");
	cr_expect_str_eq(s->llm.model, "");
	cr_expect_str_eq(s->cors.origins, "");
}

/* The field of the setting with that environment name, as text. */
static const char *value_of(const char *env, char out[256])
{
	const struct tm_setting *row = tm_setting_by_env(env);

	cr_assert_not_null(row, "%s", env);
	return tm_setting_text(row, &settings, out, 256);
}

Test(settings, reads_good_values_of_every_type)
{
	static const struct {
		const char *env, *value, *text;
	} cases[] = {
		{"TEXTMILL_REDIS_TIMEOUT", "5ms", "5ms"},
		{"TEXTMILL_REDIS_TIMEOUT", "2", "2s"},
		{"TEXTMILL_REDIS_TIMEOUT", "5000ms", "5s"},
		{"TEXTMILL_CACHE_STALE", "0", "0"},
		{"TEXTMILL_CACHE_STALE", "90m", "90m"},
		{"TEXTMILL_CACHE_STALE", "48h", "2d"},
		{"TEXTMILL_CACHE_STALE", "30d", "30d"},
		{"TEXTMILL_CACHE_STALE", "1001ms", "1001ms"},
		{"TEXTMILL_LIMITS_BODY", "1024", "1k"},
		{"TEXTMILL_LIMITS_BODY", "64M", "64m"},
		{"TEXTMILL_LIMITS_BODY", "1025", "1025"},
		{"TEXTMILL_LIMITS_METADATA_MAX", "0k", "0"},
		{"TEXTMILL_POOL_WORKERS_MAX", "1", "1"},
		{"TEXTMILL_POOL_WORKERS_MAX", "1000", "1000"},
		{"TEXTMILL_CACHE_SHARED", "yes", "true"},
		{"TEXTMILL_CACHE_SHARED", "on", "true"},
		{"TEXTMILL_CACHE_SHARED", "1", "true"},
		{"TEXTMILL_CACHE_ENABLED", "no", "false"},
		{"TEXTMILL_CACHE_ENABLED", "off", "false"},
		{"TEXTMILL_CACHE_ENABLED", "0", "false"},
		{"TEXTMILL_LOG_LEVEL", "error", "error"},
		{"TEXTMILL_LOG_LEVEL", "debug", "debug"},
		{"TEXTMILL_LOG_TARGET", "/var/log/x", "\"/var/log/x\""},
		{"TEXTMILL_LISTEN", "", "\"\""},
		{"TEXTMILL_LISTEN", "a \"b\" \\ ${c}", "\"a \\\"b\\\" \\\\ \\${c}\""},
		{"TEXTMILL_POOL_SOCKET_MODE", "600", "\"600\""},
		{"TEXTMILL_AUTH_KEYS_FILE", "/k", "\"/k\""},
		{"TEXTMILL_REDIS_PASSWORD", "p w", "\"***\""},
		{"ADMIN_API_KEY", "0123456789abcdef", "\"***\""},
		{"ADMIN_API_KEY", "", "\"\""},
		{"TEXTMILL_USER", "www-data", "\"www-data\""},
		{"TEXTMILL_REDIS_URL", "redis://u:secret@h:1/2", "\"redis://u:***@h:1/2\""},
		{"TEXTMILL_REDIS_URL", "redis://:se:cr@et@h", "\"redis://:***@h\""},
		{"TEXTMILL_CORS_ORIGINS", "https://a.example, http://b:81",
		 "\"https://a.example, http://b:81\""},
		{"TEXTMILL_CORS_ORIGINS", "*", "\"*\""},
	};
	char entry[128], text[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(entry, sizeof(entry), "%s=%s", cases[i].env, cases[i].value);
		cr_expect_eq(load("", ENV(entry)), TM_OK, "%s\n%s", entry, tm_buf_text(&reports));
		cr_expect_str_eq(value_of(cases[i].env, text), cases[i].text, "%s: %s", entry,
				 text);
	}
}

Test(settings, refuses_bad_values_of_every_type)
{
	static const struct {
		const char *env, *value, *report;
	} cases[] = {
		{"TEXTMILL_REDIS_TIMEOUT", "4ms", "must be between 5ms and 5s, not 4ms"},
		{"TEXTMILL_REDIS_TIMEOUT", "6s", "must be between 5ms and 5s, not 6s"},
		{"TEXTMILL_REDIS_TIMEOUT", "1x", "\"1x\" is no time"},
		{"TEXTMILL_REDIS_TIMEOUT", "1 s", "\"1 s\" is no time"},
		{"TEXTMILL_REDIS_TIMEOUT", "-1s", "\"-1s\" is no time"},
		{"TEXTMILL_REDIS_TIMEOUT", "0.1s", "is no time"},
		{"TEXTMILL_REDIS_TIMEOUT", "", "is no time"},
		{"TEXTMILL_REDIS_TIMEOUT", "1M", "is no time"},
		{"TEXTMILL_CACHE_STALE", "9223372036854775807d", "is no time"},
		{"TEXTMILL_CACHE_STALE", "99999999999999999999", "is no time"},
		{"TEXTMILL_CACHE_STALE", "31d", "must be between 0 and 30d"},
		{"TEXTMILL_LIMITS_BODY", "1kb", "is no size"},
		{"TEXTMILL_LIMITS_BODY", "m", "is no size"},
		{"TEXTMILL_LIMITS_BODY", "1023", "must be between 1k and 64m, not 1023"},
		{"TEXTMILL_POOL_WORKERS_MAX", "0", "must be between 1 and 1000, not 0"},
		{"TEXTMILL_POOL_WORKERS_MAX", "1001", "must be between 1 and 1000, not 1001"},
		{"TEXTMILL_POOL_WORKERS_MAX", "8k", "is no whole number"},
		{"TEXTMILL_POOL_WORKERS_MAX", " 8", "is no whole number"},
		{"TEXTMILL_POOL_WORKERS_MAX", "+8", "is no whole number"},
		{"TEXTMILL_CACHE_SHARED", "maybe", "must be true or false, not \"maybe\""},
		{"TEXTMILL_CACHE_SHARED", "TRUE", "must be true or false"},
		{"TEXTMILL_LOG_LEVEL", "loud", "must be error, warn, info or debug, not \"loud\""},
		{"TEXTMILL_LOG_LEVEL", "", "must be error, warn, info or debug"},
		{"TEXTMILL_LOG_LEVEL", "info|debug", "must be error, warn, info or debug"},
		{"TEXTMILL_LOG_TARGET", "file", "must be stderr, syslog or a file's absolute path"},
		{"TEXTMILL_LISTEN", "a\nb", "goes over several lines"},
		{"TEXTMILL_LISTEN", "a\tb", "control character"},
		{"TEXTMILL_LLM_MODEL", "gepr\xfc" "ft", "is not UTF-8"},
		{"TEXTMILL_POOL_SOCKET_MODE", "rw", "file mode in octal"},
		{"TEXTMILL_POOL_SOCKET_MODE", "4777", "file mode in octal"},
		{"TEXTMILL_POOL_SOCKET_MODE", "0680", "file mode in octal"},
		{"TEXTMILL_AUTH_KEYS_FILE", "keys", "must be an absolute path"},
		{"TEXTMILL_REDIS_PREFIX", "", "must be 1 to 64 visible characters"},
		{"TEXTMILL_REDIS_PREFIX", "{a}", "must be 1 to 64 visible characters"},
		{"TEXTMILL_REDIS_URL", "localhost", "begins with neither"},
		{"TEXTMILL_CORS_ORIGINS", "https://a.example/path", "must be origins"},
		{"TEXTMILL_CORS_ORIGINS", "a.example", "must be origins"},
		{"ADMIN_API_KEY", "0123456789abcde", "must be 16 to 256 visible characters"},
		{"USER_API_KEY", "0123456789abcde f", "must be 16 to 256 visible characters"},
	};
	char entry[128], wanted[160];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(entry, sizeof(entry), "%s=%s", cases[i].env, cases[i].value);
		cr_expect_eq(load("", ENV(entry)), TM_EINVAL, "%s", entry);
		(void)snprintf(wanted, sizeof(wanted), "environment: %s: ", cases[i].env);
		expect_said(entry, wanted);
		expect_said(entry, cases[i].report);
	}
}

Test(settings, bounds_the_length_of_texts_and_keys)
{
	char entry[TM_SET_TEXT_MAX + 64];
	size_t start = (size_t)snprintf(entry, sizeof(entry), "TEXTMILL_LISTEN=/");

	memset(entry + start, 'x', TM_SET_TEXT_MAX);
	entry[start + TM_SET_TEXT_MAX - 1] = '\0';
	cr_expect_eq(load("", ENV(entry)), TM_OK);
	entry[start + TM_SET_TEXT_MAX - 1] = 'x';
	entry[start + TM_SET_TEXT_MAX] = '\0';
	cr_expect_eq(load("", ENV(entry)), TM_EINVAL);
	start = (size_t)snprintf(entry, sizeof(entry), "USER_API_KEY=");
	memset(entry + start, 'k', 257);
	entry[start + 256] = '\0';
	cr_expect_eq(load("", ENV(entry)), TM_OK);
	entry[start + 256] = 'k';
	entry[start + 257] = '\0';
	cr_expect_eq(load("", ENV(entry)), TM_EINVAL);
}

Test(settings, prefers_environment_over_file_over_default)
{
	cr_assert_eq(load("limit { minute = 7 hour = 8 }\nlisten = /file\n",
			  ENV("TEXTMILL_LIMIT_HOUR=9", "TEXTMILL_LISTEN=/env", "HOME=/", "X")),
		     TM_OK);
	cr_expect_eq(settings.limit.minute, 7);
	cr_expect_eq(settings.limit.hour, 9);
	cr_expect_eq(settings.limit.llm_hour, 100);
	cr_expect_str_eq(settings.listen, "/env");
	expect_reports("none", "");
}

Test(settings, finds_the_file_by_argument_or_environment)
{
	put_file("b", "limit { minute = 2 }", 0600);
	put_file("c", "limit { minute = 3 }", 0600);
	cr_expect_eq(load_path(NULL, ENV("TEXTMILL_CONF=b")), TM_OK);
	cr_expect_eq(settings.limit.minute, 2);
	cr_expect_str_eq(settings.path, "b");
	cr_expect_eq(load_path("c", ENV("TEXTMILL_CONF=b")), TM_OK);
	cr_expect_eq(settings.limit.minute, 3);
	expect_reports("none", "");
	cr_expect_eq(load_path("none", NULL), TM_ENOENT);
	expect_reports("none", "none: cannot be read: No such file or directory\n");
	cr_expect_eq(load_path(NULL, ENV("TEXTMILL_CONF=nowhere")), TM_ENOENT);
	expect_reports("nowhere", "nowhere: cannot be read: No such file or directory\n");
}

Test(settings, warns_of_unknown_names_in_the_environment)
{
	cr_expect_eq(load("", ENV("TEXTMILL_REDS_URL=canary", "TEXTMILL_QUITE_SOMETHING_ELSE=1",
				  "TEXTMILL_CONF=x", "TEXTMILL_AUTH_ADMIN_KEY=canary")), TM_OK);
	expect_reports(
		"warnings",
		"environment: warning: TEXTMILL_REDS_URL is no setting and is ignored; did you "
		"mean TEXTMILL_REDIS_URL?\n"
		"environment: warning: TEXTMILL_QUITE_SOMETHING_ELSE is no setting and is ignored\n"
		"environment: warning: TEXTMILL_AUTH_ADMIN_KEY is no setting and is ignored\n");
}

Test(settings, reports_every_mistake_with_its_place)
{
	cr_expect_eq(load("# c\nlisen = x\npool {\n\tworkers_max = 5000 # many\n}\n"
			  "limits { text_min = 50\n text_max = 40 }\n"
			  "auth { admin_key = canarycanarycanary }\n"
			  "llm { deadline = 1ms\nmodel = \"a\n\" }\n",
			  ENV("TEXTMILL_CACHE_SHARED=perhaps", "ADMIN_API_KEY=canary")), TM_EINVAL);
	expect_reports(
		"all",
		"a:2: \"lisen\" is unknown; did you mean \"listen\"?\n"
		"a:4: pool.workers_max: must be between 1 and 1000, not 5000\n"
		"a:8: \"admin_key\" is unknown in auth\n"
		"a:9: llm.deadline: must be between 100ms and 10m, not 1ms\n"
		"a:10: llm.model: goes over several lines: is a quote not closed?\n"
		"environment: TEXTMILL_CACHE_SHARED: must be true or false, not \"perhaps\"\n"
		"environment: ADMIN_API_KEY: must be 16 to 256 visible characters\n"
		"a:6: limits.text_min is greater than limits.text_max\n");
}

Test(settings, reads_the_password_file_unless_a_password_is_set)
{
	char text[256], name[96], wanted[256];

	put_file("secret", "canary word\r\n\n", 0600);
	(void)snprintf(text, sizeof(text), "redis {\npassword_file = \"%s/secret\"\n}\n", folder);
	cr_expect_eq(load(text, NULL), TM_OK);
	cr_expect_str_eq(settings.redis.password, "canary word");
	expect_reports("none", "");
	cr_expect_eq(load(text, ENV("TEXTMILL_REDIS_PASSWORD=other")), TM_OK);
	cr_expect_str_eq(settings.redis.password, "other");
	put_file("secret", "x", 0604);
	cr_expect_eq(load(text, NULL), TM_OK);
	(void)snprintf(name, sizeof(name), "%s/secret", folder);
	(void)snprintf(wanted, sizeof(wanted), "a:2: warning: redis.password_file: everybody may "
		       "read %s\n", name);
	expect_reports("warning", wanted);
	put_file("secret", "\n", 0600);
	cr_expect_eq(load(text, NULL), TM_EINVAL);
	expect_said("empty", "is empty");
	put_file("secret", "canary\nsecond", 0600);
	cr_expect_eq(load(text, NULL), TM_EINVAL);
	expect_said("lines", "holds more than one line");
	cr_assert_eq(unlink("secret"), 0);
	cr_assert_eq(mkfifo("secret", 0600), 0);
	cr_expect_eq(load(text, NULL), TM_EINVAL);	/* and does not wait for a writer */
	expect_said("pipe", "secret: it is no regular file\n");
	cr_assert_eq(unlink("secret"), 0);
	cr_expect_eq(load(text, NULL), TM_EINVAL);
	(void)snprintf(wanted, sizeof(wanted), "a:2: redis.password_file: cannot read %s: No such "
		       "file or directory\n", name);
	expect_reports("missing", wanted);
}

Test(settings, lets_a_location_override_what_is_marked_for_it)
{
	static const char *const may[] = {
		"TEXTMILL_LLM_MODEL",       "TEXTMILL_LLM_PROVIDER",
		"TEXTMILL_LLM_DEADLINE",    "TEXTMILL_LLM_MAX_TOKENS",
		"TEXTMILL_LIMIT_MINUTE",    "TEXTMILL_LIMIT_HOUR",
		"TEXTMILL_LIMIT_LLM_HOUR",  "TEXTMILL_LIMITS_TEXT_MAX",
		"TEXTMILL_LIMITS_TEXT_MIN", "TEXTMILL_CACHE_ENABLED",
		"TEXTMILL_CACHE_SHARED",    "TEXTMILL_AUTH_PUBLIC_OPERATIONS",
		"TEXTMILL_FALLBACK_STALE",  "TEXTMILL_FALLBACK_EXTRACTIVE",
		"TEXTMILL_GUARD_ACTION",    "TEXTMILL_GUARD_THRESHOLD",
		"TEXTMILL_BATCH_DEADLINE",  "TEXTMILL_BATCH_CONCURRENCY",
		"TEXTMILL_JOBS_MAX_PENDING", "TEXTMILL_LIMITS_BATCH_MAX",
	};
	static const char *const may_not[] = {
		"TEXTMILL_REDIS_URL",
		"TEXTMILL_AUTH_MODE",
		"TEXTMILL_AUTH_KEYS_FILE",
		"TEXTMILL_LISTEN",
		"TEXTMILL_REDIS_PREFIX",
		"ADMIN_API_KEY",
		"TEXTMILL_LIMITS_BODY",
		"TEXTMILL_CONF",
		"TEXTMILL_",
		"TEXTMILL_LLM",
		"TEXTMILL_LLM_MODELS",
		"textmill_llm_model",
		"HTTP_TEXTMILL_LLM_MODEL",
		"",
	};
	size_t marked = 0;
	struct tm_settings copy;
	struct tm_arena arena;

	for (size_t i = 0; i < tm_setting_count; i++)
		marked += (tm_setting_table[i].flags & TM_SET_LOCATION) != 0;
	cr_expect_eq(marked, sizeof(may) / sizeof(may[0]));
	for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
		cr_expect(tm_settings_overridable(may[i]), "%s", may[i]);
	cr_assert_eq(load("provider a { kind = extractive }", NULL), TM_OK);
	copy = settings;
	tm_arena_init(&arena, 4096);
	for (size_t i = 0; i < sizeof(may_not) / sizeof(may_not[0]); i++) {
		cr_expect_not(tm_settings_overridable(may_not[i]), "%s", may_not[i]);
		cr_expect_eq(tm_settings_override(&copy, &arena, may_not[i], "1"), TM_ENOENT, "%s",
			     may_not[i]);
	}
	cr_expect_eq(tm_settings_override(&copy, &arena, "TEXTMILL_LLM_MODEL", "big"), TM_OK);
	cr_expect_eq(tm_settings_override(&copy, &arena, "TEXTMILL_LLM_DEADLINE", "2m"), TM_OK);
	cr_expect_eq(tm_settings_override(&copy, &arena, "TEXTMILL_LLM_PROVIDER", "a"), TM_OK);
	cr_expect_eq(tm_settings_override(&copy, &arena, "TEXTMILL_LLM_PROVIDER", "b"), TM_EINVAL);
	cr_expect_eq(tm_settings_override(&copy, &arena, "TEXTMILL_LLM_DEADLINE", "2x"), TM_EINVAL);
	cr_expect_str_eq(copy.llm.model, "big");
	cr_expect_eq(copy.llm.deadline_ms, 120000);
	cr_expect_str_eq(copy.llm.provider, "a");
	cr_expect_str_eq(settings.llm.model, "");
	cr_expect_eq(settings.llm.deadline_ms, 30000);
	tm_arena_clear(&arena);
	tm_arena_init(&arena, 2);
	cr_expect_eq(tm_settings_override(&copy, &arena, "TEXTMILL_LLM_MODEL", "big"), TM_ENOMEM);
	tm_arena_clear(&arena);
}

Test(settings, never_prints_or_reports_a_secret)
{
	static const char good[] =
		"redis { url = \"redis://u:canary1@h\" password = canary2 }\n"
		"provider a { url = https://h model = m key = canary3 }\n";
	static const char bad[] =
		"redis { url = \"redis://u:canary1@h:x\" password = \"canary2\n\" }\n"
		"provider a { url = \"https://u:canary3@h?k=canary4\" model = m key = \"canary 5\" "
		"}\n";
	char *text;

	cr_assert_eq(load(good, ENV("ADMIN_API_KEY=canary-canary-canary",
				    "USER_API_KEY=canary-canary-canary-2")), TM_OK);
	text = printed(NULL);
	cr_expect_null(strstr(text, "canary"), "%s", text);
	cr_expect_not_null(strstr(text, "# ADMIN_API_KEY = \"***\" (environment)\n"));
	cr_expect_not_null(strstr(text, "\turl = \"redis://u:***@h\"\n"));
	cr_expect_not_null(strstr(text, "\tkey = \"***\"\n"));
	free(text);
	cr_assert_eq(load(bad, ENV("ADMIN_API_KEY=canary", "USER_API_KEY=canary canary canary",
				   "OPENAI_API_KEY=canary", "TEXTMILL_REDIS_URL=canary")),
		     TM_EINVAL);
	cr_expect_null(strstr(tm_buf_text(&reports), "canary"), "%s", tm_buf_text(&reports));
}

Test(settings, prints_a_file_that_means_the_same)
{
	char *first, *second;

	cr_assert_eq(load("listen = \"/a \\\"b\\\" \\${HOME} \\\\\"\nlog { level = debug target = "
			  "syslog }\n"
			  "redis { timeout = 1500ms prefix = \"x y\" }\nlimits { body = 3k }\n"
			  "provider a { kind = extractive }\n",
			  NULL),
		     TM_EINVAL);
	cr_assert_eq(load("listen = \"/a \\\"b\\\" \\${HOME} \\\\\"\nlog { level = debug target = "
			  "syslog }\n"
			  "redis { timeout = 1500ms prefix = \"x:\" }\nlimits { body = 3k }\n"
			  "provider a { url = https://h/v1 model = \"m n\" timeout = 90 }\n",
			  NULL),
		     TM_OK);
	first = printed(NULL);
	cr_assert_eq(load(first, NULL), TM_OK, "%s", tm_buf_text(&reports));
	second = printed(NULL);
	cr_expect_str_eq(first, second);
	cr_expect_str_eq(settings.listen, "/a \"b\" ${HOME} \\");
	free(first);
	free(second);
}

/* Takes away each # that no space follows, in place. */
static void uncomment(char *text)
{
	char *to = text;
	bool start = true;

	for (const char *from = text; *from; from++) {
		if (start && *from == '#' && from[1] != ' ' && from[1] != '\n')
			continue;
		start = *from == '\n' || (start && *from == '\t');
		*to++ = *from;
	}
	*to = '\0';
}

Test(settings, samples_a_file_of_all_defaults)
{
	char *text = printed(tm_settings_sample), *defaults, *all;

	cr_assert_eq(load("", NULL), TM_OK);
	defaults = printed(NULL);
	cr_assert_eq(load(text, NULL), TM_OK, "%s", tm_buf_text(&reports));
	all = printed(NULL);
	cr_expect_str_eq(all, defaults);
	free(all);
	for (size_t i = 0; i < tm_setting_count; i++) {
		char line[128];

		(void)snprintf(line, sizeof(line), "#%s = ", tm_setting_table[i].name);
		cr_expect((strstr(text, line) == NULL) ==
			  ((tm_setting_table[i].flags & TM_SET_ENV_ONLY) != 0), "%s", line);
	}

	uncomment(text);
	cr_expect_not_null(strstr(text, "\nlisten = \"\"\n"));
	cr_expect_not_null(strstr(text, "\nprovider \"main\" {\n"));
	cr_assert_eq(load(text, NULL), TM_OK, "%s", tm_buf_text(&reports));
	expect_reports("uncommented", "");
	all = printed(NULL);
	/* The same but for the provider at the end. */
	cr_expect_eq(strncmp(all, defaults, (size_t)(strstr(defaults, "provider \"") - defaults)),
		     0);
	cr_expect_not_null(strstr(all, "provider \"main\" {\n\tkind = openai\n"));
	free(all);
	free(defaults);
	free(text);
}

#ifndef TEST_SRCDIR
#define TEST_SRCDIR home	/* built by hand: run from the source tree */
#endif

/* A file of the source tree. The caller frees it. */
static char *tree_file(const char *name)
{
	char path[4352];
	char *text = calloc(1, 1 << 17);
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", TEST_SRCDIR, name);
	file = fopen(path, "r");
	cr_assert(file && text, "%s", path);
	cr_assert_gt(fread(text, 1, (1 << 17) - 1, file), 0);
	cr_assert_eq(fclose(file), 0);
	return text;
}

Test(settings, keeps_the_sample_file_up_to_date)
{
	char *wanted = printed(tm_settings_sample), *got = tree_file("etc/textmill.conf");

	cr_expect(strcmp(wanted, got) == 0,
		  "write it anew: textmillctl config sample >etc/textmill.conf");
	free(wanted);
	free(got);
}

Test(settings, accepts_the_minimal_file_but_for_its_key)
{
	char *text = tree_file("etc/textmill-minimal.conf");
	char *key = strstr(text, "/etc/textmill/openai.key");

	cr_assert_not_null(key);
	(void)memcpy(key, "/nonexistent/openai.key ", 24);
	cr_expect_eq(load(text, NULL), TM_EINVAL);
	expect_said("key", "cannot read /nonexistent/openai.key : No such file or directory\n");
	cr_expect_eq(strchr(tm_buf_text(&reports), '\n')[1], '\0', "%s", tm_buf_text(&reports));
	free(text);
}

Test(settings, documents_every_setting_in_the_manual)
{
	char *text = printed(tm_settings_man), env[TM_SET_ENV_BYTES], line[128];

	for (size_t i = 0; i < tm_setting_count; i++)
		cr_expect_not_null(strstr(text, tm_setting_env(&tm_setting_table[i], env)), "%s",
				   env);
	for (size_t i = 0; i < tm_provider_count; i++) {
		(void)snprintf(line, sizeof(line), "\n.B %s\\fR = ", tm_provider_table[i].name);
		cr_expect_not_null(strstr(text, line), "%s", line);
	}
	free(text);
}

Test(settings, has_a_sound_table)
{
	char env[TM_SET_ENV_BYTES];

	for (size_t i = 0; i < tm_setting_count; i++) {
		const struct tm_setting *row = &tm_setting_table[i];
		size_t section = 0;

		cr_expect_eq(tm_setting_by_env(tm_setting_env(row, env)), row, "%s", env);
		while (section < tm_setting_section_count &&
		       strcmp(tm_setting_sections[section].name, row->section) != 0)
			section++;
		cr_expect_lt(section, tm_setting_section_count, "%s has no section", row->name);
		cr_expect(row->help && row->help[strlen(row->help) - 1] == '.', "%s", row->name);
		cr_expect_eq(row->type == TM_SET_CHOICE, row->choices != NULL, "%s", row->name);
		cr_expect_eq(row->type == TM_SET_INT || row->type == TM_SET_DURATION ||
			     row->type == TM_SET_SIZE, row->min && row->max, "%s", row->name);
	}
}

Test(settings, clears_twice)
{
	struct tm_settings empty = {0};

	tm_settings_clear(&empty);
	cr_assert_eq(load("", NULL), TM_OK);
	tm_settings_clear(&settings);
	tm_settings_clear(&settings);
	cr_expect_eq(settings.providers_count, 0);
}
