/* Private to base/conf*.c: one configuration file taken apart. */
#ifndef TM_BASE_CONF_FILE_H
#define TM_BASE_CONF_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/err.h"

enum { TM_CONF_ECHO_MAX = 40, TM_CONF_TEXT_MAX = 256, TM_CONF_MISTAKES_MAX = 200 };

/* A value, or an include: then name is NULL and value the pattern. Strings in the arena. */
struct tm_conf_event {
	struct tm_conf_event *next;
	int line;
	unsigned instance;	/* values of one section's braces share it; never reused */
	unsigned outer_instance;/* of the section around that one, if there is one */
	const struct tm_conf_name *name;
	const char *title, *outer;
	char *value;
};

struct tm_conf_mistake {
	struct tm_conf_mistake *next;
	int line;
	const char *text;
};

struct tm_conf_file {
	const char *path;
	char *text;		/* comments blanked by tm_conf_scan */
	bool whole;		/* what tm_conf_scan returned */
	const struct tm_conf_name *names;
	size_t count;
	struct tm_arena *arena;
	unsigned *instances;	/* numbers used so far */
	struct tm_conf_event *events;		/* in file order */
	struct tm_conf_mistake *mistakes;	/* in order of lines */
};

/* Adds a mistake to a list, behind those of its line. Of more than TM_CONF_MISTAKES_MAX the first
 * lines' stay. False: out of memory. */
bool tm_conf_mistake_add(struct tm_conf_mistake **list, struct tm_arena *arena, int line,
			 const char *text);

/* conf_sections.c: blanks the sections in file->text that may not stand there; tells of each, and
 * of titled ones that are empty. False: out of memory. */
bool tm_conf_check_sections(struct tm_conf_file *file, struct tm_conf_mistake **mistakes);

/* Takes file->text apart into events and mistakes. TM_OK, whatever the mistakes; TM_ENOMEM. */
TM_CHECK enum tm_err tm_conf_parse(struct tm_conf_file *file);

/* conf_names.c: whether there is such a section, or such a name in it. */
bool tm_conf_known_section(const struct tm_conf_file *file, const char *section);
const struct tm_conf_name *tm_conf_known_name(const struct tm_conf_file *file,
					      const char *section, const char *name);

/* The name of a section that stands in outer ("" is the top level); NULL when it does not. */
const char *tm_conf_inside(const char *section, const char *outer);

/* A name as it may appear in a report: short, printable. Returns out. */
const char *tm_conf_echo(const char *name, char out[TM_CONF_ECHO_MAX + 1]);

/* Words about a name that may not stand in the section. */
void tm_conf_say_unknown(const struct tm_conf_file *file, const char *section, const char *name,
			 char *out, size_t out_bytes);

/* Words about text behind a setting's value on its line. Not repeated: it may be the rest of an
 * unquoted secret. */
void tm_conf_say_behind(const struct tm_conf_name *setting, char *out, size_t out_bytes);

/* The line on which name = value begins; line is that of its end, as libconfuse counts. */
int tm_conf_first_line(const struct tm_conf_file *file, int line, const char *name,
		       const char *value);

#endif
