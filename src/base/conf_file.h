/* Private to conf.c and conf_read.c: one configuration file taken apart. */
#ifndef TM_BASE_CONF_FILE_H
#define TM_BASE_CONF_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/err.h"

/* A value, or an include: then name is NULL and value the pattern. Strings in the arena. */
struct tm_conf_event {
	struct tm_conf_event *next;
	int line;
	unsigned instance;	/* values of one section's braces share it; never reused */
	const struct tm_conf_name *name;
	const char *title;
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

/* Adds a mistake to a list, behind those of its line. False: out of memory. */
bool tm_conf_mistake_add(struct tm_conf_mistake **list, struct tm_arena *arena, int line,
			 const char *text);

/* Takes file->text apart into events and mistakes. TM_OK, whatever the mistakes; TM_ENOMEM. */
TM_CHECK enum tm_err tm_conf_parse(struct tm_conf_file *file);

#endif
