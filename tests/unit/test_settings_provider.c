/* Providers: their sections, the environment's one, the built-in one, what is checked. */
#include "settings_fixture.h"

TestSuite(settings_provider, .init = setup, .fini = teardown);

Test(settings_provider, reads_providers_in_order)
{
	char text[512];

	put_file("key", "sk-canary\n", 0600);
	(void)snprintf(
		text, sizeof(text),
		"provider \"main\" {\nurl = https://h/v1/\nmodel = m\nkey_file = \"%s/key\"\n"
		"timeout = 5s\njson_mode = object\n}\n"
		"provider local { url = http://10.0.0.1:8080 model = n key = k insecure = yes }\n"
		"provider last { kind = extractive }\nllm { provider = \"local, main\" }\n",
		folder);
	cr_assert_eq(load(text, NULL), TM_OK, "%s", tm_buf_text(&reports));
	cr_assert_eq(settings.providers_count, 3);
	cr_expect_str_eq(settings.providers[0].name, "main");
	cr_expect_eq(settings.providers[0].kind, TM_PROVIDER_OPENAI);
	cr_expect_str_eq(settings.providers[0].url, "https://h/v1");
	cr_expect_str_eq(settings.providers[0].key, "sk-canary");
	cr_expect_eq(settings.providers[0].timeout_ms, 5000);
	cr_expect_eq(settings.providers[0].json_mode, TM_JSON_OBJECT);
	cr_expect_str_eq(settings.providers[1].name, "local");
	cr_expect(settings.providers[1].insecure);
	cr_expect_eq(settings.providers[1].timeout_ms, 0);
	cr_expect_eq(settings.providers[1].json_mode, TM_JSON_AUTO);
	cr_expect_eq(settings.providers[2].kind, TM_PROVIDER_EXTRACTIVE);
	cr_expect_str_eq(settings.providers[2].model, "extractive");
}

Test(settings_provider, checks_providers)
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{"provider a {\nkind = gpt }",
		 "a:2: provider.kind: must be openai, extractive, anthropic or gemini, not "
		 "\"gpt\"\n"},
		{"\nprovider a { model = m }", "a:2: provider \"a\" has no url\n"},
		{"provider a { url = https://h }", "a:1: provider \"a\" has no model\n"},
		{"provider a { model = m\nurl = http://h }",
		 "a:2: provider \"a\": http:// is for loopback "
		 "hosts: use https://, or set insecure = true\n"},
		{"provider a { model = m\nurl = \"https://canary@h\" }",
		 "a:2: provider \"a\": the URL "
		 "names a user: give the secret as key_file\n"},
		{"provider a { url = https://h model = m\nkey = \"canary x\" }",
		 "a:2: the key of provider "
		 "\"a\" holds characters that a key cannot have\n"},
		{"provider a { url = https://h model = m key = canary\nkey_file = /x }",
		 "a:2: provider "
		 "\"a\" has both key and key_file\n"},
		{"provider a { url = https://h model = m\nkey_file = /nonexistent/x }",
		 "a:2: "
		 "provider.key_file: cannot read /nonexistent/x: No such file or directory\n"},
		{"provider \"a b\" { kind = extractive }",
		 "a:1: a provider's name is 1 to 64 characters of "
		 "A-Z, a-z, 0-9, _ . and -\n"},
		{"provider a { kind = extractive\nurl = https://h }",
		 "a:1: provider \"a\" is extractive: "
		 "url, key and key_file have no meaning\n"},
		{"provider a { kind = anthropic }", "a:1: provider \"a\" has no model\n"},
		{"provider a { kind = gemini model = m\nurl = http://h }",
		 "a:2: provider \"a\": http:// is for loopback "
		 "hosts: use https://, or set insecure = true\n"},
		{"provider a { kind = openai model = m url = https://h\napi_version = \"1&x=y\" }",
		 "a:2: provider.api_version: must be at most 64 characters of A-Z, a-z, 0-9, _ . and "
		 "-\n"},
		{"provider a { model = m url = https://h\nprice_input = cheap }",
		 "a:2: provider.price_input: \"cheap\" is no number such as 2.5\n"},
		{"provider a { model = m url = https://h\nprice_output = 1000000.000001 }",
		 "a:2: provider.price_output: must be between 0 and 1000000, not 1000000.000001\n"},
		{"provider a { kind = extractive }\nprovider a { kind = extractive }",
		 "a:2: provider \"a\" is already there, in a:1\n"},
		{"provider a { kind = extractive }\nllm { provider = \"a, b\" }",
		 "a:2: llm.provider names a provider that does not exist\n"},
		{"provider a { kind = extractive }\nprovider b { kind = extractive }\n"
		 "provider c { kind = extractive }\nprovider d { kind = extractive }\n"
		 "provider e { kind = extractive }\nprovider f { kind = extractive }\n"
		 "provider g { kind = extractive }\nprovider h { kind = extractive }\n"
		 "provider i { kind = extractive model = x }",
		 "a:9: there are more than 8 providers\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(load(cases[i].text, NULL), TM_EINVAL, "%s", cases[i].text);
		expect_reports(cases[i].text, cases[i].report);
	}
}

Test(settings_provider, takes_a_provider_from_the_environment)
{
	cr_assert_eq(load("", ENV("OPENAI_API_KEY=sk-canary")), TM_OK);
	cr_assert_eq(settings.providers_count, 1);
	cr_expect_str_eq(settings.providers[0].name, "openai");
	cr_expect_str_eq(settings.providers[0].url, "https://api.openai.com/v1");
	cr_expect_str_eq(settings.providers[0].model, "gpt-4o-mini");
	cr_expect_str_eq(settings.providers[0].key, "sk-canary");
	cr_assert_eq(load("provider x { kind = extractive }",
			  ENV("OPENAI_BASE_URL=http://127.0.0.1:9/v1/", "OPENAI_MODEL=m")), TM_OK);
	cr_assert_eq(settings.providers_count, 2);
	cr_expect_str_eq(settings.providers[0].name, "openai");
	cr_expect_str_eq(settings.providers[0].url, "http://127.0.0.1:9/v1");
	cr_expect_str_eq(settings.providers[0].model, "m");
	cr_expect_str_eq(settings.providers[0].key, "");
	cr_expect_str_eq(settings.providers[1].name, "x");
	cr_expect_eq(load("", ENV("OPENAI_BASE_URL=http://h/v1")), TM_EINVAL);
	expect_said("http", "environment: provider \"openai\": http:// is for loopback hosts");
	cr_expect_eq(load("", ENV("OPENAI_API_KEY=k", "OPENAI_MODEL=gepr\xfc" "ft")), TM_EINVAL);
	expect_reports("Latin-1", "environment: OPENAI_MODEL: is not UTF-8\n");
	cr_expect_eq(load("", ENV("OPENAI_API_KEY=k", "OPENAI_BASE_URL=https://h\n")), TM_EINVAL);
	expect_said("two lines", "environment: OPENAI_BASE_URL: goes over several lines");
	cr_expect_eq(load("provider openai { kind = extractive }", ENV("OPENAI_API_KEY=k")),
		     TM_EINVAL);
	expect_said("name taken",
		    "environment: OPENAI_API_KEY or OPENAI_BASE_URL is set, but there is "
		    "no room");
}

Test(settings_provider, takes_one_of_each_kind_from_the_environment)
{
	static const struct {
		int kind;
		const char *name, *url, *model, *key;
	} wanted[] = {
		{TM_PROVIDER_OPENAI, "openai", "https://api.openai.com/v1", "gpt-4o-mini", "k1"},
		{TM_PROVIDER_ANTHROPIC, "anthropic", "https://api.anthropic.com",
		 "claude-haiku-4-5", "k2"},
		{TM_PROVIDER_GEMINI, "gemini", "https://generativelanguage.googleapis.com",
		 "gemini-flash-lite-latest", "k3"},
	};

	cr_assert_eq(load("provider x { kind = extractive }",
			  ENV("GEMINI_API_KEY=k3", "ANTHROPIC_API_KEY=k2", "OPENAI_API_KEY=k1")),
		     TM_OK, "%s", tm_buf_text(&reports));
	cr_assert_eq(settings.providers_count, 4);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_eq(settings.providers[i].kind, wanted[i].kind, "%zu", i);
		cr_expect_str_eq(settings.providers[i].name, wanted[i].name);
		cr_expect_str_eq(settings.providers[i].url, wanted[i].url);
		cr_expect_str_eq(settings.providers[i].model, wanted[i].model);
		cr_expect_str_eq(settings.providers[i].key, wanted[i].key);
	}
	cr_expect_str_eq(settings.providers[3].name, "x");
	cr_assert_eq(load("", ENV("ANTHROPIC_BASE_URL=http://127.0.0.1:9/", "ANTHROPIC_MODEL=m",
				  "GEMINI_MODEL=unused")), TM_OK);
	cr_assert_eq(settings.providers_count, 1);
	cr_expect_eq(settings.providers[0].kind, TM_PROVIDER_ANTHROPIC);
	cr_expect_str_eq(settings.providers[0].url, "http://127.0.0.1:9");
	cr_expect_str_eq(settings.providers[0].model, "m");
	cr_expect_str_eq(settings.providers[0].key, "");
	cr_assert_eq(load("provider g { kind = gemini model = m key = own }\n"
			  "provider anthropic { kind = anthropic model = n }",
			  ENV("GEMINI_API_KEY=k", "ANTHROPIC_API_KEY=k2")), TM_OK);
	cr_assert_eq(settings.providers_count, 2);
	cr_expect_str_eq(settings.providers[0].key, "own");
	cr_expect_str_eq(settings.providers[0].url, "https://generativelanguage.googleapis.com");
	cr_expect_str_eq(settings.providers[1].key, "k2");
	cr_expect_eq(load("provider gemini { kind = extractive }", ENV("GEMINI_API_KEY=canary")),
		     TM_EINVAL);
	expect_reports("name taken", "environment: GEMINI_API_KEY or GEMINI_BASE_URL is set, but "
		       "there is no room for a provider \"gemini\"\n");
}

Test(settings_provider, reads_and_prints_prices)
{
	static const struct {
		const char *text;
		double value;
		const char *printed;	/* NULL: refused */
	} cases[] = {
		{"0", 0, "0"}, {"2.5", 2.5, "2.5"}, {"15", 15, "15"}, {"0.150000", 0.15, "0.15"},
		{"0.000001", 0.000001, "0.000001"}, {"10.050", 10.05, "10.05"},
		{"1000000.0", 1e6, "1000000"}, {"007", 7, "7"}, {"1e3", 0, NULL}, {"-1", 0, NULL},
		{"1.", 0, NULL}, {".5", 0, NULL}, {"1.2.3", 0, NULL}, {"0.0000001", 0, NULL},
		{"inf", 0, NULL}, {"nan", 0, NULL}, {"1 2", 0, NULL}, {"", 0, NULL},
		{"2,5", 0, NULL}, {"99999999999999999999", 0, NULL}, {"1000001", 0, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[160], line[64], *all;

		(void)snprintf(text, sizeof(text), "provider a { kind = anthropic model = m "
			       "price_output = \"%s\" }", cases[i].text);
		if (!cases[i].printed) {
			cr_expect_eq(load(text, NULL), TM_EINVAL, "%s", cases[i].text);
			continue;
		}
		cr_assert_eq(load(text, NULL), TM_OK, "%s", tm_buf_text(&reports));
		cr_expect_float_eq(settings.providers[0].price_output, cases[i].value, 1e-9);
		cr_expect_float_eq(settings.providers[0].price_input, 0, 0);
		all = printed(NULL);
		(void)snprintf(line, sizeof(line), "\tprice_output = %s\n", cases[i].printed);
		cr_expect_not_null(strstr(all, line), "%s:\n%s", cases[i].text, all);
		free(all);
	}
}

Test(settings_provider, leaves_a_file_s_providers_to_the_file)
{
	cr_assert_eq(load("provider main { url = https://h model = m }",
			  ENV("OPENAI_API_KEY=k", "OPENAI_BASE_URL=https://other")), TM_OK);
	cr_assert_eq(settings.providers_count, 1);
	cr_expect_str_eq(settings.providers[0].key, "");
	cr_expect_str_eq(settings.providers[0].url, "https://h");
	cr_assert_eq(load("provider openai { url = https://h model = m }", ENV("OPENAI_API_KEY=k")),
		     TM_OK);
	cr_expect_str_eq(settings.providers[0].key, "k");
	cr_assert_eq(load("provider openai { url = https://h model = m key = own }",
			  ENV("OPENAI_API_KEY=k")), TM_OK);
	cr_expect_str_eq(settings.providers[0].key, "own");
}

Test(settings_provider, falls_back_to_the_built_in_provider)
{
	cr_assert_eq(load("", ENV("OPENAI_API_KEY=", "OPENAI_MODEL=m")), TM_OK);
	cr_assert_eq(settings.providers_count, 1);
	cr_expect_str_eq(settings.providers[0].name, "extractive");
	cr_expect_eq(settings.providers[0].kind, TM_PROVIDER_EXTRACTIVE);
	cr_expect_str_eq(settings.providers[0].model, "extractive");
	cr_expect_str_eq(settings.providers[0].url, "");
}
