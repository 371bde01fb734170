/* What the tests of settings share: a folder of their own, loading from text, reports. */
#ifndef TM_TEST_SETTINGS_FIXTURE_H
#define TM_TEST_SETTINGS_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/settings.h"

static char folder[64];		/* the test's own, and its working directory */
static char home[4096];		/* where it was before */
static struct tm_buf reports;	/* what loading said, a line each */
static struct tm_settings settings;

static inline void setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/textmill-settings-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_not_null(getcwd(home, sizeof(home)));
	cr_assert_eq(chdir(folder), 0);
	tm_buf_init(&reports, 1 << 20);
}

static inline void teardown(void)
{
	char command[128];

	tm_settings_clear(&settings);
	tm_buf_clear(&reports);
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

static inline void put_file(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(name, "w");

	cr_assert_not_null(file, "%s", name);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
	cr_assert_eq(chmod(name, mode), 0);
}

static inline void report(void *arg, const char *text)
{
	(void)arg;
	tm_buf_printf(&reports, "%s\n", text);
}

static inline enum tm_err load_path(const char *path, const char *const *env)
{
	static char *const none[] = {NULL};

	tm_settings_clear(&settings);
	tm_buf_reset(&reports, 0);
	return tm_settings_load(&settings, path, env ? (char *const *)env : none, report, NULL);
}

static inline enum tm_err load(const char *text, const char *const *env)
{
	put_file("a", text, 0600);
	return load_path("a", env);
}

#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void expect_reports(const char *label, const char *wanted)
{
	cr_expect_str_eq(tm_buf_text(&reports), wanted, "%s\n-- got:\n%s-- wanted:\n%s", label,
			 tm_buf_text(&reports), wanted);
}

static inline void expect_said(const char *label, const char *words)
{
	cr_expect_not_null(strstr(tm_buf_text(&reports), words), "%s: \"%s\" is not in:\n%s", label,
			   words, tm_buf_text(&reports));
}

/* What tm_settings_print, _sample or _man write. The caller frees it. */
static inline char *printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	cr_assert_not_null(out);
	if (print)
		print(out);
	else
		tm_settings_print(&settings, out);
	cr_assert_eq(fclose(out), 0);
	return text;
}

#endif
