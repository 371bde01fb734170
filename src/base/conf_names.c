/*
 * What may stand where in a file, and what to say of a name that may not; and on which line a value
 * begins.
 */
#include <stdio.h>
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

/* The nearest name that may stand in the section; "" when none is near. */
static const char *nearest_in(const struct tm_conf_file *file, const char *section,
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

/* The section in which a name is known, when just one has it; NULL otherwise. */
static const char *home_of(const struct tm_conf_file *file, const char *name)
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

const char *tm_conf_echo(const char *name, char out[TM_CONF_ECHO_MAX + 1])
{
	size_t i;

	for (i = 0; name[i] && i < TM_CONF_ECHO_MAX; i++)
		out[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	out[i] = '\0';
	return out;
}

void tm_conf_say_unknown(const struct tm_conf_file *file, const char *section, const char *name,
			 char *out, size_t out_bytes)
{
	char printed[TM_CONF_ECHO_MAX + 1];
	const char *near = nearest_in(file, section, name);
	const bool outside = section[0] && name[0] && tm_conf_known_section(file, name);
	const char *home = outside ? "" : home_of(file, name);
	const char *in = section[0] ? " in " : "";

	tm_conf_echo(name, printed);
	if (strcmp(name, "include") == 0)
		(void)snprintf(out, out_bytes, "include stands outside of sections only");
	else if (home && home[0])
		(void)snprintf(out, out_bytes, "\"%s\" is unknown%s%s: it belongs into %s { }",
			       printed, in, section, home);
	else if (home)
		(void)snprintf(out, out_bytes, "\"%s\" is unknown%s%s: it stands outside of "
			       "sections", printed, in, section);
	else
		(void)snprintf(out, out_bytes, "\"%s\" is unknown%s%s%s%s%s", printed, in, section,
			       near[0] ? "; did you mean \"" : "", near, near[0] ? "\"?" : "");
}

void tm_conf_say_behind(const struct tm_conf_name *setting, char *out, size_t out_bytes)
{
	(void)snprintf(out, out_bytes, "there is more text behind the value of \"%s\": put a value "
		       "with spaces in quotes", setting->name);
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
