/* Reading a configuration file: values in order, every mistake with its line, includes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf.h"

static const struct tm_conf_name names[] = {
	{"", "listen", 0, 0},
	{"pool", "mode", 0, 0},
	{"pool", "workers_max", 0, 0},
	{"redis", "url", 0, 1},
	{"redis", "timeout", 0, 0},
	{"redis", "password", 0, 1},
	{"provider", "kind", 1, 0},
	{"provider", "model", 1, 0},
	{"task", "prompt", 1, 0},
	{"task.option", "max", 1, 0},
	{"task.option", "min", 1, 0},
	{"task.field", "type", 1, 0},
};

static char folder[64];
static struct tm_buf values, reports;

static void setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/textmill-conf-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	tm_buf_init(&values, 1 << 20);
	tm_buf_init(&reports, 1 << 20);
}

static void teardown(void)
{
	char command[128];

	tm_buf_clear(&values);
	tm_buf_clear(&reports);
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(conf, .init = setup, .fini = teardown);

static void put_file(const char *name, const char *text, size_t len)
{
	FILE *file = fopen(name, "w");

	cr_assert_not_null(file, "%s", name);
	cr_assert_eq(fwrite(text, 1, len, file), len);
	cr_assert_eq(fclose(file), 0);
}

/* Notes "file:line section[title].name=value"; refuses the value "bad". */
static enum tm_err take(void *arg, const struct tm_conf_value *value, char *why, size_t why_bytes)
{
	(void)arg;
	if (strcmp(value->value, "bad") == 0) {
		(void)snprintf(why, why_bytes, "is bad");
		return TM_EINVAL;
	}
	if (strcmp(value->value, "memory") == 0)
		return TM_ENOMEM;
	tm_buf_printf(&values, "%s:%d %s%s%s[%s].%s=%s\n", value->file, value->line, value->outer,
		      value->outer[0] ? "/" : "", value->section, value->title, value->name,
		      value->value);
	return TM_OK;
}

static void report(void *arg, const char *text)
{
	(void)arg;
	tm_buf_printf(&reports, "%s\n", text);
}

static enum tm_err read_conf(const char *path)
{
	tm_buf_reset(&values, 0);
	tm_buf_reset(&reports, 0);
	return tm_conf_read(path, &(const struct tm_conf_form){
		names, sizeof(names) / sizeof(names[0]), take, report, NULL});
}

static enum tm_err read_text(const char *text)
{
	put_file("a", text, strlen(text));
	return read_conf("a");
}

static void expect(const char *label, const struct tm_buf *got, const char *wanted)
{
	cr_expect_str_eq(tm_buf_text(got), wanted, "%s\n-- got:\n%s-- wanted:\n%s", label,
			 tm_buf_text(got), wanted);
}

Test(conf, hands_on_values_in_order_with_their_lines)
{
	cr_expect_eq(read_text("# a comment\n"
			       "listen = /run/x   // another\n"
			       "/* one\n   more */ pool { mode = static workers_max=4 }\n"
			       "redis {\n"
			       "\turl = unix:///run/r.sock # unquoted\n"
			       "\n"
			       "\tpassword = \"a # b // c { } \\\"d\\\"\"\n"
			       "}\n"
			       "provider \"one\" { kind = 'x y' }\n"
			       "provider two {\r\n  model = \"\"\r\n}\r\n"
			       "redis { timeout = 5ms }"), TM_OK);
	expect("values", &values,
	       "a:2 [].listen=/run/x\n"
	       "a:4 pool[].mode=static\n"
	       "a:4 pool[].workers_max=4\n"
	       "a:6 redis[].url=unix:///run/r.sock\n"
	       "a:8 redis[].password=a # b // c { } \"d\"\n"
	       "a:10 provider[one].kind=x y\n"
	       "a:12 provider[two].model=\n"
	       "a:14 redis[].timeout=5ms\n");
	expect("reports", &reports, "");
}

Test(conf, accepts_a_file_without_settings)
{
	static const char *const texts[] = {"", "\n", "# only this", "pool { }\n",
					    "\xef\xbb\xbf#\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_expect_eq(read_text(texts[i]), TM_OK, "%s", texts[i]);
		expect(texts[i], &reports, "");
	}
}

Test(conf, puts_the_environment_where_a_variable_stands)
{
	cr_assert_eq(setenv("TM_TEST_NAME", "value", 1), 0);
	cr_expect_eq(read_text("listen = ${TM_TEST_NAME}\nredis { url = \"x-${TM_TEST_NAME}-y\" "
			       "password = \"\\${TM_TEST_NAME}\" }\n"), TM_OK);
	expect("values", &values, "a:1 [].listen=value\na:2 redis[].url=x-value-y\n"
	       "a:2 redis[].password=${TM_TEST_NAME}\n");
}

Test(conf, reports_each_mistake_with_its_line)
{
	static const struct {
		const char *text, *reports;
	} cases[] = {
		{"lisen = x\n", "a:1: \"lisen\" is unknown; did you mean \"listen\"?\n"},
		{"\n\n# c\npool { workers_mx = 3 }",
		 "a:4: \"workers_mx\" is unknown in pool; did you "
		 "mean \"workers_max\"?\n"},
		{"quite_other = 1", "a:1: \"quite_other\" is unknown\n"},
		{"timeout = 1", "a:1: \"timeout\" is unknown: it belongs into redis { }\n"},
		{"pool { listen = x }", "a:1: \"listen\" is unknown in pool: it stands outside of "
					"sections\n"},
		{"redis|url = x", "a:1: \"url\" is unknown: it belongs into redis { }\n"},
		{"# c\nlisten = bad", "a:2: listen: is bad\n"},
		{"pool {\n/* c\n */ mode = bad }", "a:3: pool.mode: is bad\n"},
		{"listen = x\nlisten = y", "a:2: \"listen\" was already set on line 1\n"},
		{"pool { mode = a }\npool { mode = b }",
		 "a:2: \"mode\" was already set on line 1\n"},
		{"provider a { kind = x }\nprovider a { model = y\nkind = z }",
		 "a:2: provider \"a\" is already there, in a:1\n"},
		{"listen = # nothing\npool { mode = x }",
		 "a:1: the value is missing: # begins a comment; "
		 "put a value that begins so in quotes\n"},
		{"listen = //x\n",
		 "a:1: the value is missing: // begins a comment; put a value that "
		 "begins so in quotes\n"},
		{"listen = *:80\n", "a:1: a * or + outside quotes: put the value in quotes\n"},
		{"listen = a#b\n",
		 "a:1: an unquoted value ends at any of # \" ' * + , = { ( : put the "
		 "value in quotes, or a space behind it\n"},
		{"\nlisten = \"x\n\n", "a:2: the quote that opens here is never closed\n"},
		{"listen = x\n/* never closed",
		 "a:2: the comment that begins here is never closed: */ is "
		 "missing\n"},
		{"listen = \"a${b\"\n}",
		 "a:1: ${ begins the name of a variable, and no } ends it: write "
		 "\\${ in double quotes for the characters\na:2: } closes nothing\na:2: what "
		 "stands "
		 "behind this mistake was not read\n"},
		{"pool {\nmode = x\n", "a:1: the { that opens here is never closed\n"},
		{"pool { mode = x }\nlisten =\n",
		 "a:3: the file ends where a value should stand\na:3: "
		 "what stands behind this mistake was not read\n"},
		{"listen x\n",
		 "a:1: \"listen\" is not followed by = and a value\na:1: what stands behind "
		 "this mistake was not read\n"},
		{"pool = 5\n",
		 "a:1: section \"pool\" is not followed by {\na:1: what stands behind this "
		 "mistake was not read\n"},
		{"provider {\nkind = x }\n",
		 "a:1: section \"provider\" needs a name: provider \"name\" { }"
		 "\na:1: what stands behind this mistake was not read\n"},
		{"pool { mode = a b }\n",
		 "a:1: there is more text behind the value of \"mode\": put a "
		 "value with spaces in quotes\na:1: what stands behind this mistake was not "
		 "read\n"},
		{"redis|nope = x\npool|mode x",
		 "a:1: \"nope\" is unknown\n"
		 "a:2: \"mode\" is neither a setting (name = value) nor a section (name { })\n"
		 "a:2: what stands behind this mistake was not read\n"},
		{"word\n\nlisten = x",
		 "a:1: \"word\" is neither a setting (name = value) nor a section "
		 "(name { })\na:1: what stands behind this mistake was not read\n"},
		{"listen += x",
		 "a:1: \"listen\" takes one value: write = instead of +=\na:1: what stands "
		 "behind this mistake was not read\n"},
		{"\"\\x01\" += x", "a:1: \"?\" is neither a setting (name = value) nor a section "
				   "(name { })\na:1: what stands behind this mistake was not read\n"},
		{"include \"x\"",
		 "a:1: an include is written include(\"file\")\na:1: what stands behind "
		 "this mistake was not read\n"},
		{"pool { include(\"x\") }",
		 "a:1: \"include\" is neither a setting (name = value) nor a "
		 "section (name { })\na:1: what stands behind this mistake was not read\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(read_text(cases[i].text), TM_EINVAL, "%s", cases[i].text);
		expect(cases[i].text, &reports, cases[i].reports);
	}
}

Test(conf, reports_sections_that_may_not_be)
{
	static const struct {
		const char *text, *reports;
	} cases[] = {
		{"reddis {\n url = x\n}\n",
		 "a:1: \"reddis\" is unknown; did you mean \"redis\"?\n"},
		{"foo \"t\" { a = 1 b = 2 }", "a:1: \"foo\" is unknown\n"},
		{"redis { tls { cert = x } }", "a:1: \"tls\" is unknown in redis\n"},
		{"provider a { }", "a:1: section provider is empty\n"},
		{"pool {\nredis {\n}\ntask {\ntask {\n",
		 "a:2: \"redis\" is unknown in pool: it stands outside of sections\n"
		 "a:4: \"task\" is unknown in pool: it stands outside of sections\n"
		 "a:5: the { that opens here is never closed\n"},
		{"foo { bar { a = {1, 2} }\nbaz \"}\" }\npool { pool { pool { } } mode = bad }",
		 "a:1: \"foo\" is unknown\na:3: \"pool\" is unknown in pool: it stands outside of "
		 "sections\na:3: pool.mode: is bad\n"},
		{"task a { foo { } }\nprovider b { knd = x }", "a:1: \"foo\" is unknown in task\n"
		 "a:2: \"knd\" is unknown in provider; did you mean \"kind\"?\n"},
		{"' x = y' = 1\n\"provider=x|url\" = 2",
		 "a:1: \"?x?\" is unknown\na:2: \"x\" is unknown\n"},
		{"listen { }", "a:1: \"listen\" is not followed by = and a value\na:1: what stands "
			       "behind this mistake was not read\n"},
		{"include { }", "a:1: an include is written include(\"file\")\na:1: what stands "
				"behind this mistake was not read\n"},
		{"\"\" { }", "a:1: \"\" is unknown\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(read_text(cases[i].text), TM_EINVAL, "%s", cases[i].text);
		expect(cases[i].text, &reports, cases[i].reports);
	}
}

Test(conf, refuses_an_escape_that_makes_a_nul)
{
	static const char *const wrong[] = {
		"listen = \"\n a \\x00 b\"", "listen =\n\"\\x0\"", "listen =\n\"\\x0g\"",
		"listen =\n\"a\\0\"", "listen =\n\"\\00b\"", "listen =\n\"\\\\\\000\"",
		"\nprovider \"a\\0\" { model = x }", "\ninclude(\"b\\0\")",
		"\nlisten = \"\\x001\"",
	};
	static const char *const right[] = {
		"listen = \"\\\\0\"", "listen = '\\0'", "listen = \"\\x0a\"", "listen = \"\\012\"",
		"listen = \"\\x30\"", "listen = \\0",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		static const char said[] = "a:2: \\0 or \\x00 in quotes is a NUL, which no text may "
					   "hold: write \\\\ for the character \\\n";

		cr_expect_eq(read_text(wrong[i]), TM_EINVAL, "%s", wrong[i]);
		cr_expect_eq(strncmp(tm_buf_text(&reports), said, sizeof(said) - 1), 0, "%s\n%s",
			     wrong[i], tm_buf_text(&reports));
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		cr_expect_eq(read_text(right[i]), TM_OK, "%s\n%s", right[i], tm_buf_text(&reports));
}

Test(conf, refuses_names_that_no_report_could_repeat)
{
	static const struct {
		const char *text, *reports;
	} cases[] = {
		{"provider \"Pr\xfc" "fung\" {\n kind = x\nmodel = y }\n",
		 "a:2: the name of this provider holds a control character, or is not UTF-8\n"},
		{"provider \"a\nb\" { kind = x }\nprovider \"a\nb\" { kind = x }\n",
		 "a:2: the name of this provider holds a control character, or is not UTF-8\n"},
		{"task \"a\" { option \"\\xfc\" {\n max = 1 min = 2 }\n}\n",
		 "a:2: the name of this task.option holds a control character, or is not UTF-8\n"},
		{"include(\"b\\nc\")\n", "a:1: the name of the file to include holds a control "
					   "character, or is not UTF-8\n"},
		{"\xfclisten = x\n", "a:1: \"?listen\" is unknown; did you mean \"listen\"?\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(read_text(cases[i].text), TM_EINVAL, "%s", cases[i].text);
		expect(cases[i].text, &reports, cases[i].reports);
		expect(cases[i].text, &values, "");
	}
	cr_expect_eq(read_text("provider \"Pr\xc3\xbc" "fung\" { kind = x }\n"), TM_OK);
}

Test(conf, goes_on_behind_a_mistake)
{
	cr_expect_eq(read_text("lisen = x\nfoo { a = 1 }\nbar \"t\" { }\nlisten = a+b\n"
			       "pool { mode = bad\nworkers_max = 3 }\nlisten = y\n"), TM_EINVAL);
	expect("values", &values, "a:6 pool[].workers_max=3\na:7 [].listen=y\n");
	expect("reports", &reports,
	       "a:1: \"lisen\" is unknown; did you mean \"listen\"?\n"
	       "a:2: \"foo\" is unknown\n"
	       "a:3: \"bar\" is unknown\n"
	       "a:4: an unquoted value ends at any of # \" ' * + , = { ( : put the value in "
	       "quotes, or "
	       "a space behind it\n"
	       "a:5: pool.mode: is bad\n");
}

Test(conf, never_repeats_what_may_be_a_secret)
{
	static const char *const texts[] = {
		"password = a canary",
		"password = canary canary = x",
		"password = a canary { x = 1 }",
		"password = a canary \"t\" { x = 1 }",
		"password = a#canary",
		"password = canary=x",
		"password = #canary",
		"password = //canary",
		"password = /*canary*/",
		"password = a+canary",
		"password = canary, canary",
		"password = (canary)",
		"password = \"a\" canary",
		"password = \"a\"canary",
		"password = \"canary",
		"password = 'a\\'canary",
		"password = \"\\z\\999canary\"",
		"password = \"\\777canary\"",
		"password = ${canary",
		"password = \"${canary\"",
		"password \"canary\"",
		"password == canary",
		"password = { canary }",
		"password += canary",
		"password = a canary += x",
		"password = a\ncanary",
		"password = canary canary canary\ntimeout = 1",
		"url = redis://u:a canary@h",
		"password = bad canary = 5",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text), "redis {\n%s\n}\n", texts[i]);
		cr_expect_eq(read_text(text), TM_EINVAL, "%s", texts[i]);
		cr_expect_null(strstr(tm_buf_text(&reports), "canary"), "%s\n%s", texts[i],
			       tm_buf_text(&reports));
	}
}

Test(conf, reads_included_files_where_they_stand)
{
	static const char main_text[] = "# c\ninclude(\"conf.d/*.conf\")\npool { mode = main }\n"
					"include('last')\n";

	cr_assert_eq(mkdir("sub[1]", 0700), 0);
	cr_assert_eq(mkdir("sub[1]/conf.d", 0700), 0);
	put_file("sub[1]/a", main_text, strlen(main_text));
	put_file("sub[1]/conf.d/2.conf", "# x\n\nlisten = two\n", 18);
	put_file("sub[1]/conf.d/1.conf", "listen = one\ninclude(\"more\")", 28);
	put_file("sub[1]/conf.d/more", "redis { timeout = 1s }", 22);
	put_file("sub[1]/conf.d/3.txt", "not = read", 10);
	put_file("sub[1]/last", "\nlisten = last\nlistn = x", 24);
	cr_expect_eq(read_conf("sub[1]/a"), TM_EINVAL);
	expect("values", &values,
	       "sub[1]/conf.d/1.conf:1 [].listen=one\n"
	       "sub[1]/conf.d/more:1 redis[].timeout=1s\n"
	       "sub[1]/conf.d/2.conf:3 [].listen=two\n"
	       "sub[1]/a:3 pool[].mode=main\n"
	       "sub[1]/last:2 [].listen=last\n");
	expect("reports", &reports,
	       "sub[1]/last:3: \"listn\" is unknown; did you mean \"listen\"?\n");
}

Test(conf, reports_includes_that_cannot_be)
{
	char wanted[256];

	cr_expect_eq(read_text("include(\"none/*.conf\")\n"),
		     TM_OK); /* a pattern may match nothing */
	cr_expect_eq(read_text("\ninclude(\"none.conf\")\ninclude(\"/tmp\")\ninclude()\n"),
		     TM_EINVAL);
	(void)snprintf(wanted, sizeof(wanted), "a:2: there is no file none.conf to include\n"
		       "a:3: cannot read /tmp: %s\na:4: include takes one file name\n",
		       strerror(EISDIR));
	expect("reports", &reports, wanted);
	cr_assert_eq(mkfifo("fifo", 0600), 0);	/* and does not wait for a writer */
	cr_expect_eq(read_text("\ninclude(\"fif?\")\n"), TM_EINVAL);
	expect("a pipe", &reports, "a:2: cannot read fifo: it is no regular file\n");
	cr_expect_eq(read_text("include(\"a\")\n"), TM_EINVAL);
	expect("a loop", &reports, "a:1: includes are nested too deeply, or too many\n");
}

Test(conf, finds_a_repeated_title_across_files)
{
	put_file("b", "provider \"x\" { kind = y }\n", 26);
	cr_expect_eq(read_text("include(\"b\")\n\nprovider \"x\" { kind = z }\n"), TM_EINVAL);
	expect("values", &values, "b:1 provider[x].kind=y\n");
	expect("reports", &reports, "a:3: provider \"x\" is already there, in b:1\n");
}

Test(conf, says_why_a_file_cannot_be_read)
{
	char *big = malloc(2 << 20);

	errno = 0;
	cr_expect_eq(read_conf("none"), TM_ENOENT);
	cr_expect_eq(errno, ENOENT);
	cr_expect_eq(read_conf("/tmp"), TM_ENOENT);
	cr_expect_eq(errno, EISDIR);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_expect_eq(read_conf("fifo"), TM_ENOENT);
	cr_expect_eq(errno, EINVAL);
	put_file("nul", "listen = \0x\n", 12);
	cr_expect_eq(read_conf("nul"), TM_EINVAL);
	expect("NUL", &reports, "nul:1: the file holds a NUL byte: it is no text\n");
	cr_assert_not_null(big);
	memset(big, '\n', 2 << 20);
	put_file("big", big, 2 << 20);
	free(big);
	cr_expect_eq(read_conf("big"), TM_EINVAL);
	expect("big", &reports, "big:1: the file is larger than 1 MiB\n");
}

Test(conf, ends_when_the_taker_is_out_of_memory)
{
	cr_expect_eq(read_text("listen = memory\npool { mode = x }\n"), TM_ENOMEM);
	expect("values", &values, "");
}

Test(conf, survives_any_number_of_mistakes)
{
	struct tm_buf text;

	tm_buf_init(&text, 1 << 20);
	for (int i = 0; i < 500; i++)
		tm_buf_printf(&text, "unknown%d = %d\nsection%d \"t\" { x = 1 }\n", i, i, i);
	cr_expect_eq(read_text(tm_buf_text(&text)), TM_EINVAL);
	for (int i = 0; i < 100; i++) {
		char wanted[160];

		(void)snprintf(wanted, sizeof(wanted), "a:%d: \"unknown%d\" is unknown\n"
			       "a:%d: \"section%d\" is unknown%s\n", 2 * i + 1, i, 2 * i + 2, i,
			       i < 99 ? "" : " (what else is wrong behind this is not told)");
		cr_expect_not_null(strstr(tm_buf_text(&reports), wanted), "%s", wanted);
	}
	cr_expect_null(strstr(tm_buf_text(&reports), "a:201:"));
	tm_buf_clear(&text);
}

Test(conf, finds_the_nearest_name)
{
	static const char *const known[] = {"listen", "log", "redis", "requests_max",
					    "workers_max"};
	static const struct {
		const char *wrong, *nearest;
	} cases[] = {
		{"lisen", "listen"}, {"listne", "listen"}, {"llisten", "listen"}, {"lost", NULL},
		{"lgo", "log"}, {"foo", NULL}, {"worker_max", "workers_max"}, {"max_workers", NULL},
		{"Redis", "redis"}, {"", NULL}, {"x", NULL},
		{"an_unreasonably_long_name_that_nobody_would_ever_think_of_writing_here", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = tm_conf_nearest(cases[i].wrong, known, 5);

		cr_expect(got == cases[i].nearest ||
			  (got && cases[i].nearest && strcmp(got, cases[i].nearest) == 0),
			  "%s: got %s", cases[i].wrong, got ? got : "none");
	}
}

Test(conf, reads_sections_in_sections)
{
	cr_expect_eq(read_text("task \"a\" {\n"
			       "option \"n\" { min = 1\nmax = 2 }\n"
			       "prompt = \"one\n  two = 3\n  three\" \n"
			       "option \"m\" { max = 4 }\n"
			       "field \"f\" { type = x }\n"
			       "}\n"
			       "task \"b\" { option \"n\" { max = 5 } }\n"
			       "pool { mode = x }\n"
			       "task \"c\" { prompt = \"1\\n2\\n3\" }\n"), TM_OK);
	expect("reports", &reports, "");
	expect("values", &values,
	       "a:2 a/task.option[n].min=1\n"
	       "a:3 a/task.option[n].max=2\n"
	       "a:4 task[a].prompt=one\n  two = 3\n  three\n"
	       "a:7 a/task.option[m].max=4\n"
	       "a:8 a/task.field[f].type=x\n"
	       "a:10 b/task.option[n].max=5\n"
	       "a:11 pool[].mode=x\n"
	       "a:12 task[c].prompt=1\n2\n3\n");
}

Test(conf, reports_mistakes_in_sections_in_sections)
{
	static const struct {
		const char *text, *report;
	} cases[] = {
		{"task \"a\" { option \"n\" { maxx = 1 } }",
		 "a:1: \"maxx\" is unknown in task.option; did you mean \"max\"?\n"},
		{"task \"a\" {\noption \"n\" { prompt = 1 } }",
		 "a:2: \"prompt\" is unknown in task.option: it belongs into task { }\n"},
		{"task \"a\" { min = 1 }",
		 "a:1: \"min\" is unknown in task: it belongs into task.option { }\n"},
		{"option \"n\" { max = 1 }", "a:1: \"option\" is unknown\n"},
		{"task \"a\" { optoin \"n\" { max = 1 } }",
		 "a:1: \"optoin\" is unknown in task; did you mean \"option\"?\n"},
		{"task \"a\" { option \"n\" { } }", "a:1: section option is empty\n"},
		{"task \"a\" { }", "a:1: section task is empty\n"},
		{"task \"a\" { option \"n\" { max = 1 }\noption \"n\" { min = 1 } }",
		 "a:2: task.option \"n\" is already there, in a:1\n"},
		{"task \"a\" { option \"n\" { max = 1 } }\ntask \"a\" { option \"m\" { max = 1 } }",
		 "a:2: task \"a\" is already there, in a:1\n"},
		{"task \"a\" { option \"n\" { max = bad } }", "a:1: task.option.max: is bad\n"},
		{"task \"a\" { option \"n\" { max = 1\nmax = 2 } }",
		 "a:2: \"max\" was already set on line 1\n"},
		{"task \"a\" { option \"n\" { max = 1 }",
		 "a:1: the { that opens here is never closed\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(read_text(cases[i].text), TM_EINVAL, "%s", cases[i].text);
		cr_expect_eq(strncmp(tm_buf_text(&reports), cases[i].report,
				     strlen(cases[i].report)), 0,
			     "%s\n-- got:\n%s-- wanted:\n%s", cases[i].text,
			     tm_buf_text(&reports), cases[i].report);
	}
}

Test(conf, reads_a_text_in_memory_as_a_file)
{
	const struct tm_conf_form form = {names, sizeof(names) / sizeof(names[0]), take, report,
					  NULL};

	cr_expect_eq(tm_conf_read_text("built in", "listen = x\npool { mode = y }", &form), TM_OK);
	expect("values", &values, "built in:1 [].listen=x\nbuilt in:2 pool[].mode=y\n");
	cr_expect_eq(tm_conf_read_text("built in", "lisen = x", &form), TM_EINVAL);
	expect("reports", &reports, "built in:1: \"lisen\" is unknown; did you mean \"listen\"?\n");
}
