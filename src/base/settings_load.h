/* Private to base/settings*.c: what loading keeps in mind besides the settings. */
#ifndef TM_BASE_SETTINGS_LOAD_H
#define TM_BASE_SETTINGS_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/settings.h"

enum { TM_LOAD_SETTINGS_MAX = 128, TM_LOAD_FIELDS_MAX = 16, TM_LOAD_OPERATION_MAX = 32 };

/* Where a provider's fields were set: "file:line" or "environment"; NULL where nowhere. */
struct tm_load_provider {
	const char *at;
	const char *fields[TM_LOAD_FIELDS_MAX];	/* as tm_provider_table */
	bool bad;		/* a field's mistake was told: do not ask for it again */
};

struct tm_load {
	struct tm_settings settings;	/* in the making */
	tm_settings_report *report;
	void *arg;
	const char *origins[TM_LOAD_SETTINGS_MAX];	/* as tm_setting_table; NULL: the default */
	struct tm_load_provider providers[TM_PROVIDERS_MAX];
	const char *refused;	/* title of the provider that was one too many */
	int source;		/* as of struct tm_operation_conf */
	const char *refused_operation;	/* id of the one that was said to be there already */
	size_t operations_count;
	bool mistakes;
};

/* Reports "origin: text" as a mistake, or as a warning. */
void tm_load_mistake(struct tm_load *load, const char *origin, const char *fmt, ...)
	TM_PRINTF(3, 4);
void tm_load_warning(struct tm_load *load, const char *origin, const char *fmt, ...)
	TM_PRINTF(3, 4);

/* The value of NAME in env; "" when it is not set. */
const char *tm_load_env(char *const *env, const char *name);

/*
 * Reads a file that holds one secret, without the line break at its end. Mistakes are reported.
 * what names the setting. TM_OK and *out, in the settings' arena; TM_EINVAL; TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_load_secret(struct tm_load *load, const char *origin, const char *what,
				    const char *path, const char **out);

/* settings_provider.c: takes one value of a provider section, as tm_conf_take. */
TM_CHECK enum tm_err tm_load_provider_value(struct tm_load *load,
					    const struct tm_conf_value *value, const char *origin,
					    char *why, size_t why_bytes);

/* settings_provider.c: adds what the environment says, then checks all; mistakes are reported.
 * TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_load_providers(struct tm_load *load, char *const *env);

/* settings_operation.c: takes one value of an operation section or of one within. */
TM_CHECK enum tm_err tm_load_operation_value(struct tm_load *load,
					     const struct tm_conf_value *value, const char *origin,
					     char *why, size_t why_bytes);

/* settings_operation_read.c: the names of all three sections. How many. */
size_t tm_load_operation_names(struct tm_conf_name names[TM_LOAD_OPERATION_MAX]);

/* settings_operation_read.c: reads those built in, and those of operations_dir; origin is where
 * that was set, or NULL. Mistakes are reported. TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_load_operations_built_in(struct tm_load *load);
TM_CHECK enum tm_err tm_load_operations_dir(struct tm_load *load, const char *origin);

/* settings_operation_check.c: checks each operation as a whole; mistakes are reported. Takes those
 * off the list that are not enabled. providers: whether all providers are known. TM_OK, TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_load_operations(struct tm_load *load, bool providers);

/* True when every name of a comma separated list is a provider's. */
bool tm_load_providers_known(const struct tm_settings *settings, const char *names);

#endif
