/*
 * One operation "id" { } section: as written in a file, or in one of those that are built in.
 * Checked as a whole by tm_settings_load; text/operation makes of it what a request runs.
 */
#ifndef TM_BASE_OPERATION_CONF_H
#define TM_BASE_OPERATION_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TM_OPERATIONS_MAX = 64, TM_OPTIONS_MAX = 8, TM_FIELDS_MAX = 16, TM_CHOICES_MAX = 16,
	TM_NAME_MAX = 32	/* bytes of an id, an option's, field's or choice's name */
};

/* The answer's form; of the last three, that of the built-in operation of the same name. */
enum tm_result {
	TM_RESULT_TEXT, TM_RESULT_LIST, TM_RESULT_OBJECT, TM_RESULT_SENTIMENT, TM_RESULT_KEY_POINTS,
	TM_RESULT_QUESTIONS
};
enum tm_option_type { TM_OPTION_INTEGER, TM_OPTION_BOOLEAN, TM_OPTION_CHOICE };
enum tm_field_type { TM_FIELD_STRING, TM_FIELD_NUMBER, TM_FIELD_INTEGER, TM_FIELD_BOOLEAN,
		     TM_FIELD_LIST };

/* option "name" { }. origin, here and below: "file:line" of the first value. */
struct tm_option_conf {
	const char *name, *origin;
	int type;			/* enum tm_option_type */
	const char *help;
	const char *choices_text, *preset_text;	/* as written */
	unsigned set;			/* bit i: row i of tm_option_table was written */
	/* What it came to: a boolean is 0 or 1, a choice its index. */
	int64_t min, max, preset;
	const char *choices[TM_CHOICES_MAX];
	size_t choices_count;
};

/* field "name" { } of an object. */
struct tm_field_conf {
	const char *name, *origin;
	int type;			/* enum tm_field_type */
	const char *help;
};

/* Strings belong to the settings' arena, never NULL. */
struct tm_operation_conf {
	struct tm_operation_conf *next;
	const char *id, *origin;
	int source;			/* 0: built in; 1: the main file; then one a file */
	unsigned set;			/* bit i: row i of tm_operation_table was written */

	const char *name, *description;
	const char *version;		/* "": made from the definition */
	const char *prompt, *prompt_origin;
	int result;			/* enum tm_result */
	bool enabled, requires_question;
	int64_t ttl_ms;			/* 0: cache.ttl_default */
	const char *provider, *provider_origin;	/* names, as of llm.provider; "": those */
	const char *model;		/* for the first provider; "": as llm.model says */
	double temperature;
	bool has_temperature;
	int64_t max_tokens;
	int retry;			/* index in TM_RETRY_NAMES */

	struct tm_option_conf options[TM_OPTIONS_MAX];
	size_t options_count;
	struct tm_field_conf fields[TM_FIELDS_MAX];
	size_t fields_count;
	bool too_many;			/* said already */
};

#define TM_RETRY_NAMES "aggressive|balanced|conservative|critical"

#endif
