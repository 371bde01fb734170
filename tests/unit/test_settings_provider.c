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
		 "a:2: provider.kind: must be openai or extractive, not "
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
	cr_expect_eq(load("provider openai { kind = extractive }", ENV("OPENAI_API_KEY=k")),
		     TM_EINVAL);
	expect_said("name taken",
		    "environment: OPENAI_API_KEY or OPENAI_BASE_URL is set, but there is "
		    "no room");
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
