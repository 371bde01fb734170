/*
 * Reading a configuration file (libconfuse syntax) against a description of what may stand
 * in it. Knows sections, titles and lines, not what a setting means. Sections nest once.
 * The only file that knows libconfuse.
 */
#ifndef TM_BASE_CONF_H
#define TM_BASE_CONF_H

#include <stddef.h>

#include "base/err.h"

/* One name that may stand in the file. */
struct tm_conf_name {
	const char *section;	/* "" for the top level; "outer.inner" for a section in another */
	const char *name;
	int titled;		/* the section has a title and may repeat */
	int secret;		/* reports never repeat what stands behind its value */
};

/* A value as written. All strings borrowed for the call. */
struct tm_conf_value {
	const char *file;
	int line;
	const char *section, *title;	/* title "" where the section has none */
	const char *outer;	/* title of the section around it; "" where there is none */
	const char *name, *value;
};

/* Takes one value in file order. TM_OK; TM_EINVAL: the mistake's text is in why; TM_ENOMEM. */
typedef enum tm_err tm_conf_take(void *arg, const struct tm_conf_value *value, char *why,
				 size_t why_bytes);
/* Told of each mistake, as "file:line: text". */
typedef void tm_conf_report(void *arg, const char *text);

/* What may stand in a file, and who hears of it. */
struct tm_conf_form {
	const struct tm_conf_name *names;
	size_t count;
	tm_conf_take *take;
	tm_conf_report *report;
	void *arg;
};

/*
 * Reads path; include("glob") outside sections reads the files that match, in order of their
 * names, relative to the including file's folder. A later file may set again what an earlier one
 * set; one file may not set the same thing twice, and no title may repeat.
 *
 * A mistake does not end the reading: the first 200 of a file are reported, unknown names with the
 * nearest known.
 * Only behind a mistake of syntax the rest of that one file is not read; the report says so.
 *
 * TM_OK; TM_EINVAL (mistakes); TM_ENOENT (cannot be read, errno as of tm_file_open); TM_ENOMEM; or
 * what take returned other than TM_EINVAL, which ends the reading. Not reentrant.
 */
TM_CHECK enum tm_err tm_conf_read(const char *path, const struct tm_conf_form *form);

/* The same of a text in memory; name stands for the path. */
TM_CHECK enum tm_err tm_conf_read_text(const char *name, const char *text,
				       const struct tm_conf_form *form);

/* The known name nearest to wrong, by edit distance; NULL when none is near. */
const char *tm_conf_nearest(const char *wrong, const char *const *known, size_t count);

#endif
