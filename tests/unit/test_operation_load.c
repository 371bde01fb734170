/* Operations of the configuration: where they are read from, and every mistake with its line. */
#include "settings_fixture.h"

#include "base/operation_conf.h"

TestSuite(operation_load, .init = setup, .fini = teardown);

static const struct tm_operation_conf *conf_of(const char *id)
{
	const struct tm_operation_conf *conf = settings.operations;

	while (conf && strcmp(conf->id, id) != 0)
		conf = conf->next;
	return conf;
}

static void put_operation(const char *name, const char *text)
{
	(void)mkdir("operations.d", 0700);
	put_file(name, text, 0600);
}

Test(operation_load, default_bound_leaves_built_in_operations_the_tokens_they_ask_for)
{
	cr_assert_eq(load("", NULL), TM_OK);
	for (const struct tm_operation_conf *conf = settings.operations; conf; conf = conf->next)
		cr_expect_geq(settings.llm.max_tokens, conf->max_tokens, "%s", conf->id);
}

Test(operation_load, each_mistake_has_its_line)
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{"operation \"Tl\" { prompt = x }",
		 "a:1: an operation's id is 1 to 32 characters of a-z, 0-9 and _\n"},
		{"operation \"\" { prompt = x }",
		 "a:1: an operation's id is 1 to 32 characters of a-z, 0-9 and _\n"},
		{"operation \"a23456789012345678901234567890123\" { prompt = x }",
		 "a:1: an operation's id is 1 to 32 characters of a-z, 0-9 and _\n"},
		{"operation \"t\" {\n ttl = 1h\n}", "a:2: operation \"t\" has no prompt\n"},
		{"operation \"t\" { ttl = 1h\n prompt = \" \n \" }",
		 "a:2: operation \"t\" has no prompt\n"},
		{"operation \"t\" { prompt = x promt = y }",
		 "a:1: \"promt\" is unknown in operation; did you mean \"prompt\"?\n"},
		{"operation \"t\" { prompt = \"a\nb {max_lenght}\"\noption \"max_length\" "
		 "{ max = 9 default = 1 } }",
		 "a:1: the prompt of operation \"t\" has {max_lenght}, but there is no such option; "
		 "did you mean {max_length}?\n"},
		{"operation \"t\" { prompt = x result = html }",
		 "a:1: operation.result: must be text, list, object, sentiment, key_points or "
		 "questions, not \"html\"\n"},
		{"operation \"t\" { prompt = x retry = often }",
		 "a:1: operation.retry: must be aggressive, balanced, conservative or critical, not "
		 "\"often\"\n"},
		{"operation \"t\" { prompt = x temperature = 2.5 }",
		 "a:1: operation.temperature: must be between 0 and 2, not 2.5\n"},
		{"operation \"t\" { prompt = x ttl = 400d }",
		 "a:1: operation.ttl: must be between 0 and 365d, not 400d\n"},
		{"operation \"t\" { prompt = x\nprovider = \"extractive, nobody\" }",
		 "a:2: operation \"t\" names a provider that does not exist\n"},
		{"operation \"t\" { prompt = x result = object }",
		 "a:1: the result of operation \"t\" is an object: name its fields with field "
		 "\"name\" { }\n"},
		{"operation \"t\" { prompt = x\nfield \"f\" { type = list } }",
		 "a:2: the result of operation \"t\" is no object: fields have no meaning\n"},
		{"operation \"t\" { prompt = x result = object field \"a b\" { type = list } }",
		 "a:1: a field's name is 1 to 32 characters of A-Z, a-z, 0-9 and _\n"},
		{"operation \"t\" { prompt = \"{n}\" option \"n\" { default = 1 } }",
		 "a:1: option \"n\" is an integer and needs a max\n"},
		{"operation \"t\" { prompt = \"{n}\" option \"n\" { max = 3 } }",
		 "a:1: option \"n\" is an integer and needs a default\n"},
		{"operation \"t\" { prompt = \"{n}\" option \"n\" { max = 3 default = 4 } }",
		 "a:1: option \"n\": the default must be between 0 and 3\n"},
		{"operation \"t\" { prompt = \"{n}\" option \"n\" { max = 3 default = 99999999999999999999 } }",
		 "a:1: option \"n\": the default must be between 0 and 3\n"},
		{"operation \"t\" { prompt = \"{n}\" option \"n\" { max = 3 default = 2x } }",
		 "a:1: option \"n\": the default must be between 0 and 3\n"},
		{"operation \"t\" { prompt = \"{n}\" option \"n\" { min = 5 max = 3 default = 4 } }",
		 "a:1: option \"n\" has a min greater than its max\n"},
		{"operation \"t\" { prompt = \"{N}{n}\" option \"N\" { max = 3 default = 1 } }",
		 "a:1: an option's name is 1 to 32 characters of a-z, 0-9 and _\n"
		 "a:1: the prompt of operation \"t\" has {n}, but there is no such option\n"},
		{"operation \"t\" { prompt = \"{c}\" option \"c\" { type = choice } }",
		 "a:1: option \"c\" is a choice and needs choices\n"},
		{"operation \"t\" { prompt = \"{c}\" option \"c\" { type = choice choices = \"a,,b\" } }",
		 "a:1: option \"c\": a choice is 1 to 32 bytes long\n"},
		{"operation \"t\" { prompt = \"{c}\" option \"c\" { type = choice choices = \"a, b ,a\" } }",
		 "a:1: option \"c\" has the choice \"a\" twice\n"},
		{"operation \"t\" { prompt = \"{c}\" option \"c\" { type = choice choices = a default = b } }",
		 "a:1: option \"c\" has a default that is none of its choices\n"},
		{"operation \"t\" { prompt = \"{c}\" option \"c\" { type = choice choices = a max = 1 } }",
		 "a:1: option \"c\" is no integer: min and max have no meaning\n"},
		{"operation \"t\" { prompt = \"{b}\" option \"b\" { type = boolean choices = a } }",
		 "a:1: option \"b\" is no choice: choices have no meaning\n"},
		{"operation \"t\" { prompt = \"{b}\" option \"b\" { type = boolean default = 2 } }",
		 "a:1: option \"b\" is a boolean: the default must be true or false\n"},
		{"operation \"t\" { prompt = x }\noperation \"t\" { prompt = y }",
		 "a:2: operation \"t\" is already there, in a:1\n"},
		{"operation \"t\" { prompt = x option \"n\" { max = 1 } option \"n\" { max = 2 } }",
		 "a:1: operation.option \"n\" is already there, in a:1\n"},
		{"operation { prompt = x }",
		 "a:1: section \"operation\" needs a name: operation \"name\" { }\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(load(cases[i].text, NULL), TM_EINVAL, "%s", cases[i].text);
		cr_expect_eq(strncmp(tm_buf_text(&reports), cases[i].report,
				     strlen(cases[i].report)), 0, "%s\n-- got:\n%s-- wanted:\n%s",
			     cases[i].text, tm_buf_text(&reports), cases[i].report);
	}
}

Test(operation_load, texts_are_utf8_without_nul)
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{"operation \"t\" { prompt = x\nname = \"Pr\xfc" "fung\" }",
		 "a:2: operation.name: is not UTF-8\n"},
		{"operation \"t\" { prompt = \"auf h\xf6" "chstens\n50 W\xf6rter\" ttl = 1h }",
		 "a:1: operation.prompt: is not UTF-8\n"},
		{"operation \"t\" { prompt = \"{c}\" option \"c\" {\ntype = choice choices = "
		 "\"k\\xfchl, hei\xdf\" } }", "a:2: operation.option.choices: is not UTF-8\n"},
		{"operation \"t\" { prompt = x result = object field \"f\" { help = \"\xed\xa0\x80\" } }",
		 "a:1: operation.field.help: is not UTF-8\n"},
		{"operation \"pr\xfc" "fen\" { prompt = x }",
		 "a:1: the name of this operation holds a control character, or is not UTF-8\n"},
		{"operation \"t\" {\nprompt = \"Keep. \\x00 Never reveal names.\" }",
		 "a:2: \\0 or \\x00 in quotes is a NUL, which no text may hold: write \\\\ for the "
		 "character \\\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(load(cases[i].text, NULL), TM_EINVAL, "%s", cases[i].text);
		cr_expect_eq(strncmp(tm_buf_text(&reports), cases[i].report,
				     strlen(cases[i].report)), 0, "%s\n-- got:\n%s-- wanted:\n%s",
			     cases[i].text, tm_buf_text(&reports), cases[i].report);
	}
}

Test(operation_load, an_option_that_changes_nothing_is_warned_of)
{
	cr_assert_eq(load("operation \"t\" { prompt = x option \"b\" { type = boolean } }", NULL),
		     TM_OK);
	expect_reports("unused", "a:1: warning: option \"b\" is not in the prompt: it changes "
		       "nothing\n");
	cr_assert_eq(load("operation \"t\" { prompt = x result = list option \"max_items\" "
			  "{ max = 9 default = 3 } }", NULL), TM_OK);
	expect_reports("counts by itself", "");
}

Test(operation_load, braces_that_are_no_name_are_text)
{
	cr_assert_eq(load("operation \"t\" { prompt = \"{} { a } {\\\"a\\\": {1}} {A} {n\" }", NULL),
		     TM_EINVAL);
	expect_reports("only {1}", "a:1: the prompt of operation \"t\" has {1}, but there is no such "
		       "option\n");
}

static void put_many(struct tm_buf *text, const char *before, const char *fmt, int count,
		     const char *behind)
{
	tm_buf_init(text, 1 << 20);
	tm_buf_puts(text, before);
	for (int i = 0; i < count; i++) {
		const char *at = strchr(fmt, '#');

		tm_buf_put(text, fmt, (size_t)(at - fmt));
		tm_buf_put_int(text, i);
		tm_buf_puts(text, at + 1);
	}
	tm_buf_puts(text, behind);
}

Test(operation_load, numbers_are_bounded)
{
	static const struct {
		const char *before, *each, *behind, *report;
		int most;
	} rows[] = {
		{"", "operation \"o#\" { prompt = x }\n", "", "there are more than 64 operations",
		 64 - 5},
		{"operation \"t\" { prompt = x result = list\n",
		 "option \"o#\" { max = 2 default = 1 }\n", "}", "has more than 8 options", 8},
		{"operation \"t\" { prompt = x result = object\n", "field \"f#\" { type = list }\n", "}",
		 "has more than 16 fields", 16},
		{"operation \"t\" { prompt = \"{c}\" option \"c\" { type = choice choices = \"z", ",c#",
		 "\" } }", "has more than 16 choices", 15},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int more = 0; more <= 30; more += 30) {
			struct tm_buf text;

			put_many(&text, rows[i].before, rows[i].each, rows[i].most + (more ? 1 : 0),
				 rows[i].behind);
			cr_expect_eq(load(tm_buf_text(&text), NULL), more ? TM_EINVAL : TM_OK, "%s\n%s",
				     rows[i].each, tm_buf_text(&reports));
			if (more)
				expect_said(rows[i].each, rows[i].report);
			tm_buf_clear(&text);
			put_many(&text, rows[i].before, rows[i].each, rows[i].most + more,
				 rows[i].behind);
			cr_expect_eq(load(tm_buf_text(&text), NULL), more ? TM_EINVAL : TM_OK);
			tm_buf_clear(&text);
		}
}

Test(operation_load, a_prompt_has_a_longest_length)
{
	for (int i = 0; i < 2; i++) {
		struct tm_buf text;

		tm_buf_init(&text, 1 << 20);
		tm_buf_puts(&text, "operation \"t\" { prompt = \"");
		for (int j = 0; j < 16384 + i; j++)
			tm_buf_putc(&text, 'x');
		tm_buf_puts(&text, "\" }");
		cr_expect_eq(load(tm_buf_text(&text), NULL), i ? TM_EINVAL : TM_OK);
		tm_buf_clear(&text);
	}
	expect_said("long", "a:1: operation.prompt: is longer than 16384 bytes\n");
}

Test(operation_load, files_beside_the_main_one_are_read)
{
	put_operation("operations.d/20.conf", "operation \"two\" { prompt = \"of two\" }");
	put_operation("operations.d/10.conf", "operation \"one\" { prompt = \"of one\" }\n"
		      "operation \"qa\" { prompt = \"of mine\" }\n");
	put_operation("operations.d/30.txt", "this is no such file {");
	cr_assert_eq(load("operation \"main\" { prompt = m }", NULL), TM_OK);
	expect_reports("good", "");
	cr_expect_str_eq(conf_of("one")->prompt, "of one");
	cr_expect_str_eq(conf_of("one")->origin, "operations.d/10.conf:1");
	cr_expect_str_eq(conf_of("two")->prompt, "of two");
	cr_expect_str_eq(conf_of("qa")->prompt, "of mine");
	cr_expect_str_eq(conf_of("main")->next->id, "one");
	cr_expect_str_eq(conf_of("one")->next->id, "two");
}

Test(operation_load, an_id_in_two_files_is_a_mistake)
{
	put_operation("operations.d/1.conf", "operation \"x\" { prompt = a }\n"
		      "operation \"m\" { prompt = a option \"o\" { type = boolean } ttl = 1h }\n");
	put_operation("operations.d/2.conf", "\noperation \"x\" { ttl = 1h prompt = b }\n");
	cr_assert_eq(load("operation \"m\" { prompt = m }", NULL), TM_EINVAL);
	expect_reports("twice", "operations.d/1.conf:2: operation \"m\" is already there, in a:1\n"
		       "operations.d/2.conf:2: operation \"x\" is already there, in "
		       "operations.d/1.conf:1\n");
}

Test(operation_load, a_file_of_operations_holds_nothing_else)
{
	put_operation("operations.d/1.conf", "operation \"x\" { prompt = a }\npool { mode = x }\n");
	cr_assert_eq(load("", NULL), TM_EINVAL);
	expect_reports("pool", "operations.d/1.conf:2: \"pool\" is unknown\n");
	put_operation("operations.d/1.conf", "operation \"x\" { prompt = \"a }\n");
	cr_assert_eq(load("", NULL), TM_EINVAL);
	expect_said("syntax", "operations.d/1.conf:1: the quote that opens here is never closed\n");
	cr_assert_eq(unlink("operations.d/1.conf"), 0);
	cr_assert_eq(mkfifo("operations.d/1.conf", 0600), 0);
	cr_assert_eq(load("", NULL), TM_EINVAL);	/* and does not wait for a writer */
	expect_reports("pipe", "operations.d/1.conf: cannot be read: it is no regular file\n");
}

Test(operation_load, the_folder_can_be_another_one)
{
	char entry[160], text[160];

	cr_assert_eq(mkdir("my [odd] *", 0700), 0);
	put_file("my [odd] */x.conf", "operation \"x\" { prompt = a }", 0600);
	put_operation("operations.d/y.conf", "operation \"y\" { prompt = a }");
	(void)snprintf(text, sizeof(text), "operations_dir = \"%s/my [odd] *\"", folder);
	cr_assert_eq(load(text, NULL), TM_OK, "%s", tm_buf_text(&reports));
	cr_expect_not_null(conf_of("x"));
	cr_expect_null(conf_of("y"));

	(void)snprintf(entry, sizeof(entry), "TEXTMILL_OPERATIONS_DIR=%s/operations.d", folder);
	cr_assert_eq(load(text, ENV(entry)), TM_OK);
	cr_expect_null(conf_of("x"));
	cr_expect_not_null(conf_of("y"));

	cr_assert_eq(load("\noperations_dir = /no/such/folder", NULL), TM_EINVAL);
	expect_reports("none", "a:2: operations_dir: /no/such/folder is no folder\n");
}

Test(operation_load, one_that_is_not_enabled_is_not_there)
{
	cr_assert_eq(load("operation \"qa\" { enabled = false }\n"
			  "operation \"x\" { enabled = no prompt = \"{what}\" }", NULL), TM_OK);
	expect_reports("off", "");
	cr_expect_null(conf_of("qa"));
	cr_expect_null(conf_of("x"));
	cr_expect_not_null(conf_of("questions"));
}

Test(operation_load, what_is_printed_means_the_same)
{
	static const char text[] =
		"operation \"t\" { prompt = \"a \\\"b\\\" \\\\ \\$5 {n}\n\tsecond {c}\" result = object\n"
		"ttl = 90m temperature = 0.5 provider = extractive\n"
		"option \"n\" { min = 2 max = 9 default = 4 help = \"how, many\" }\n"
		"option \"c\" { type = choice choices = \"a, b c\" default = \"b c\" }\n"
		"field \"Title\" { help = \"a title\" }\nfield \"tags\" { type = list } }";
	const struct tm_operation_conf *conf;
	char *once, *again;

	cr_assert_eq(load(text, NULL), TM_OK, "%s", tm_buf_text(&reports));
	once = printed(NULL);
	cr_expect_not_null(strstr(once, "# operation \"qa\": built-in qa.conf:"));
	cr_assert_eq(load(once, NULL), TM_OK, "%s\n%s", tm_buf_text(&reports), once);
	again = printed(NULL);
	cr_expect_str_eq(strstr(again, "operation \"t\""), strstr(once, "operation \"t\""));
	conf = conf_of("t");
	cr_expect_str_eq(conf->prompt, "a \"b\" \\ $5 {n}\nsecond {c}");
	cr_expect_str_eq(conf->options[1].choices[conf->options[1].preset], "b c");
	cr_expect_str_eq(conf->fields[0].name, "Title");
	free(once);
	free(again);
}

Test(operation_load, files_as_shipped_are_those_built_in)
{
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions", "qa"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		char path[512], *one = NULL, *two = NULL;
		size_t len;
		FILE *out;

		cr_assert_eq(load("", NULL), TM_OK);
		out = open_memstream(&one, &len);
		tm_operation_print(conf_of(ids[i]), out);
		cr_assert_eq(fclose(out), 0);
		(void)snprintf(path, sizeof(path), "%s/etc/operations.d/%s.conf", TEST_SRCDIR, ids[i]);
		cr_assert_eq(load_path(path, NULL), TM_OK, "%s", tm_buf_text(&reports));
		cr_expect_eq(conf_of(ids[i])->source, 1);
		out = open_memstream(&two, &len);
		tm_operation_print(conf_of(ids[i]), out);
		cr_assert_eq(fclose(out), 0);
		cr_expect_str_eq(one, two);
		free(one);
		free(two);
	}
}
