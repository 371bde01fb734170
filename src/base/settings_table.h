/* Private to base/settings*.c: the table of settings, and values as text. */
#ifndef TM_BASE_SETTINGS_TABLE_H
#define TM_BASE_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/settings.h"

enum tm_setting_type {
	TM_SET_STRING,
	TM_SET_PROSE,		/* a text that may go over several lines */
	TM_SET_BOOL,		/* true, yes, on, 1, false, no, off, 0 */
	TM_SET_INT,
	TM_SET_REAL,		/* digits, and up to six more behind a point */
	TM_SET_DURATION,	/* ms, s, m, h, d; a bare number is seconds; kept in ms */
	TM_SET_SIZE,		/* k, m, g; kept in bytes */
	TM_SET_CHOICE,		/* kept as the index in choices */
	TM_SET_SECRET,
	TM_SET_PATH,		/* absolute, or "" */
	TM_SET_URL		/* may hold a password behind a user's name */
};

enum {
	TM_SET_RELOADABLE = 1,	/* a reload takes it up; otherwise read at the start only */
	TM_SET_LOCATION = 2,	/* a FastCGI param of a location may change it */
	TM_SET_ENV_ONLY = 4	/* never in the file */
};

/* One setting: of struct tm_settings, or of struct tm_provider_conf. */
struct tm_setting {
	const char *section;	/* "" for the top level */
	const char *name;
	enum tm_setting_type type;
	unsigned flags;
	size_t offset, bytes;	/* of the field */
	const char *preset;	/* the default as one would write it, without quotes */
	const char *min, *max;	/* range, written likewise; NULL where the type has none */
	const char *choices;	/* "keys|off" */
	const char *env;	/* environment name; NULL: TEXTMILL_<SECTION>_<NAME> */
	/* The form of a text: TM_OK, or TM_EINVAL and words that do not repeat it. NULL: any. */
	enum tm_err (*check)(const char *value, char *why, size_t why_bytes);
	const char *help;	/* sentences */
};

struct tm_setting_section {
	const char *name, *help;
};

extern const struct tm_setting tm_setting_table[];
extern const size_t tm_setting_count;
extern const struct tm_setting tm_provider_table[];	/* section "provider" */
extern const size_t tm_provider_count;
extern const struct tm_setting tm_operation_table[];	/* section "operation" */
extern const size_t tm_operation_count;
extern const struct tm_setting tm_option_table[];	/* section "operation.option" */
extern const size_t tm_option_count;
extern const struct tm_setting tm_field_table[];	/* section "operation.field" */
extern const size_t tm_field_count;
extern const struct tm_setting_section tm_setting_sections[];	/* in the order they are shown */
extern const size_t tm_setting_section_count;

enum { TM_SET_TEXT_MAX = 4096, TM_SET_PROSE_MAX = 16384, TM_SET_ENV_BYTES = 64 };

/* The setting's environment name. Returns out. */
const char *tm_setting_env(const struct tm_setting *row, char out[TM_SET_ENV_BYTES]);

/* The setting with that environment name; NULL when there is none. */
const struct tm_setting *tm_setting_by_env(const char *env);

/*
 * Reads text into the field of base (a struct tm_settings, tm_provider_conf, tm_operation_conf...).
 *
 * arena  holds the copy of a text
 * why    receives the mistake's words; they repeat the text of no secret or URL
 *
 * TM_OK; TM_EINVAL, the field untouched; TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_setting_set(const struct tm_setting *row, void *base,
				    struct tm_arena *arena, const char *text, char *why,
				    size_t why_bytes);

/* The field's value in the file's syntax, quoted where it must be; secrets as ***. Returns out. */
const char *tm_setting_text(const struct tm_setting *row, const void *base, char *out,
			    size_t out_bytes);

/* The default in the file's syntax. Returns out. */
const char *tm_setting_preset(const struct tm_setting *row, char *out, size_t out_bytes);

/* What it may be: "1 to 1000", "a, b or c"; "" for a text. Returns out. */
const char *tm_setting_range(const struct tm_setting *row, char *out, size_t out_bytes);

/* The field of a row that is a text. */
const char *tm_setting_string(const struct tm_setting *row, const void *base);

/* Index in choices; -1 when text is none of them. */
int tm_setting_choice(const char *choices, const char *text);

#endif
