/* What tests of operations share: those built in, and sets made from a text. */
#ifndef TM_TEST_OPERATIONS_FIXTURE_H
#define TM_TEST_OPERATIONS_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/settings.h"
#include "text/operation.h"

static inline void operations_report(void *arg, const char *text)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", text);
}

/* Operations of a configuration file's text, besides those built in. */
static inline struct tm_operations *operations_of(struct tm_settings *from, const char *text)
{
	char path[] = "/tmp/textmill-operations-XXXXXX", *none[] = {NULL};
	struct tm_operations *made = NULL;
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
	cr_assert_eq(tm_settings_load(from, path, none, operations_report, NULL), TM_OK);
	cr_assert_eq(remove(path), 0);
	cr_assert_eq(tm_operations_new(&made, from), TM_OK);
	return made;
}

/* Those built in; they live as long as the process. */
static inline const struct tm_operations *built_in(void)
{
	static struct tm_settings from;
	static struct tm_operations *made;

	if (!made)
		made = operations_of(&from, "");
	return made;
}

static inline const struct tm_operation *built_in_operation(const char *id)
{
	return tm_operations_find(built_in(), id);
}

#endif
