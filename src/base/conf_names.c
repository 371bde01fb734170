/*
 * What may stand where in a file, and which name was meant by one that is unknown; and on which
 * line a value begins.
 */
#include <string.h>

#include "base/conf_file.h"

enum { LINES_MAX = 1000 };

bool tm_conf_known_section(const struct tm_conf_file *file, const char *section)
{
	for (size_t i = 0; i < file->count; i++)
		if (strcmp(file->names[i].section, section) == 0)
			return true;
	return false;
}

const struct tm_conf_name *tm_conf_known_name(const struct tm_conf_file *file,
					      const char *section, const char *name)
{
	for (size_t i = 0; i < file->count; i++) {
		const struct tm_conf_name *known = &file->names[i];

		if (strcmp(known->section, section) == 0 && strcmp(known->name, name) == 0)
			return known;
	}
	return NULL;
}

const char *tm_conf_inside(const char *section, const char *outer)
{
	size_t len = strlen(outer);

	if (len == 0)
		return section[0] && !strchr(section, '.') ? section : NULL;
	return strncmp(section, outer, len) == 0 && section[len] == '.' ? section + len + 1 : NULL;
}

const char *tm_conf_nearest_in(const struct tm_conf_file *file, const char *section,
			       const char *wrong)
{
	const char *known[256];
	const char *near;
	size_t count = 0;

	for (size_t i = 0; i < file->count && count + 2 < 256; i++) {
		const struct tm_conf_name *name = &file->names[i];
		const char *inner = tm_conf_inside(name->section, section);

		if (strcmp(name->section, section) == 0)
			known[count++] = name->name;
		else if (inner)
			known[count++] = inner;
	}
	if (section[0] == '\0')
		known[count++] = "include";
	near = tm_conf_nearest(wrong, known, count);
	return near ? near : "";
}

const char *tm_conf_home(const struct tm_conf_file *file, const char *name)
{
	const char *home = NULL;

	for (size_t i = 0; i < file->count; i++) {
		const struct tm_conf_name *known = &file->names[i];

		if (strcmp(known->name, name) != 0)
			continue;
		if (home)
			return NULL;
		home = known->section;
	}
	return home;
}

/* Where a line of the file begins. */
static const char *line_at(const struct tm_conf_file *file, int line)
{
	const char *at = file->text;

	for (; line > 1 && at; line--) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at;
}

/* True when name = stands on the line that begins at at. */
static bool sets(const char *at, const char *name)
{
	const char *end = at + strcspn(at, "\n");
	size_t len = strlen(name);

	for (; at + len < end; at++)
		if (memcmp(at, name, len) == 0 && at[len + strspn(at + len, " \t")] == '=')
			return true;
	return false;
}

int tm_conf_first_line(const struct tm_conf_file *file, int line, const char *name,
		       const char *value)
{
	int lines = 0;
	const char *at;

	for (const char *end = value; *end && lines < LINES_MAX; end++)
		lines += *end == '\n';
	for (int back = 0; lines > 0 && back <= lines && back < line; back++) {
		at = line_at(file, line - back);
		if (at && sets(at, name))
			return line - back;
	}
	return line;
}
