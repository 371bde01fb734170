/*
 * Loading settings: defaults, then the file, then the environment, each over what was before; then
 * the checks that need more than one setting. Each setting's origin is kept until the end, so that
 * a late check can still name the line.
 */
#include "base/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/settings_load.h"
#include "base/settings_table.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

enum { MEMORY_MAX = 4 * 1024 * 1024, WHY_MAX = 512, REPORT_MAX = 1536, SECRET_MAX = 4096 };

static const char environment[] = "environment";
static const char our_names[] = "TEXTMILL_";

static void tell(struct tm_load *load, const char *origin, const char *kind, const char *fmt,
		 va_list args) TM_PRINTF(4, 0);

static void tell(struct tm_load *load, const char *origin, const char *kind, const char *fmt,
		 va_list args)
{
	char text[REPORT_MAX], line[2 * REPORT_MAX];

	(void)vsnprintf(text, sizeof(text), fmt, args);
	(void)snprintf(line, sizeof(line), "%s: %s%s", origin, kind, text);
	load->report(load->arg, line);
}

void tm_load_mistake(struct tm_load *load, const char *origin, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tell(load, origin, "", fmt, args);
	va_end(args);
	load->mistakes = true;
}

void tm_load_warning(struct tm_load *load, const char *origin, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tell(load, origin, "warning: ", fmt, args);
	va_end(args);
}

const char *tm_load_env(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return "";
}

static void wipe(const char *text)
{
	if (text && text[0])
		explicit_bzero((char *)text, strlen(text));
}

static ssize_t read_secret(const char *path, char *out, size_t out_bytes, mode_t *mode)
{
	struct stat about;
	int fd = tm_file_open(path, &about), error;
	ssize_t got;

	if (fd < 0)
		return -1;
	*mode = about.st_mode;
	got = read(fd, out, out_bytes);
	error = errno;
	(void)close(fd);
	errno = error;
	return got;
}

enum tm_err tm_load_secret(struct tm_load *load, const char *origin, const char *what,
			   const char *path, const char **out)
{
	char text[SECRET_MAX + 1];
	mode_t mode = 0;
	ssize_t len = read_secret(path, text, sizeof(text), &mode);
	enum tm_err err = TM_EINVAL;

	if (len < 0) {
		tm_load_mistake(load, origin, "%s: cannot read %s: %s", what, path,
				tm_file_error(errno));
		goto out;
	}
	if (len > SECRET_MAX) {
		tm_load_mistake(load, origin, "%s: %s is larger than %d bytes", what, path,
				SECRET_MAX);
		goto out;
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len == 0) {
		tm_load_mistake(load, origin, "%s: %s is empty", what, path);
		goto out;
	}
	for (ssize_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ') {
			tm_load_mistake(load, origin, "%s: %s holds more than one line", what,
					path);
			goto out;
		}
	}
	if (mode & S_IROTH)
		tm_load_warning(load, origin, "%s: everybody may read %s", what, path);
	*out = tm_arena_dup(&load->settings.arena, text, (size_t)len);
	err = *out ? TM_OK : TM_ENOMEM;
out:
	explicit_bzero(text, sizeof(text));
	return err;
}

/* Sets a setting from a file or the environment; a secret that it replaces leaves memory. */
static enum tm_err set(struct tm_load *load, const struct tm_setting *row, const char *value,
		       const char *origin, char *why, size_t why_bytes)
{
	const char *old = row->type == TM_SET_SECRET || row->type == TM_SET_URL ?
		tm_setting_string(row, &load->settings) : "";
	enum tm_err err = tm_setting_set(row, &load->settings, &load->settings.arena, value, why,
					 why_bytes);

	if (err == TM_OK)
		wipe(old);
	load->origins[row - tm_setting_table] = origin;
	return err;
}

static enum tm_err take(void *arg, const struct tm_conf_value *value, char *why, size_t why_bytes)
{
	struct tm_load *load = arg;
	const char *origin = tm_arena_printf(&load->settings.arena, "%s:%d", value->file,
					     value->line);

	if (!origin)
		return TM_ENOMEM;
	if (strcmp(value->section, "provider") == 0)
		return tm_load_provider_value(load, value, origin, why, why_bytes);
	if (strncmp(value->section, "operation", strlen("operation")) == 0)
		return tm_load_operation_value(load, value, origin, why, why_bytes);
	for (size_t i = 0; i < tm_setting_count; i++) {
		const struct tm_setting *row = &tm_setting_table[i];

		if (strcmp(row->section, value->section) == 0 &&
		    strcmp(row->name, value->name) == 0)
			return set(load, row, value->value, origin, why, why_bytes);
	}
	return TM_EINVAL;
}

static void on_report(void *arg, const char *text)
{
	struct tm_load *load = arg;

	load->mistakes = true;
	load->report(load->arg, text);
}

static size_t add_names(struct tm_conf_name *names, const struct tm_setting *rows, size_t count,
			int titled)
{
	size_t used = 0;

	for (size_t i = 0; i < count; i++)
		if (!(rows[i].flags & TM_SET_ENV_ONLY))
			names[used++] = (struct tm_conf_name){
				.section = rows[i].section, .name = rows[i].name, .titled = titled,
				.secret = rows[i].type == TM_SET_SECRET ||
					  rows[i].type == TM_SET_URL,
			};
	return used;
}

static enum tm_err load_file(struct tm_load *load, const char *path)
{
	struct tm_conf_name names[TM_LOAD_SETTINGS_MAX + TM_LOAD_FIELDS_MAX +
				  TM_LOAD_OPERATION_MAX];
	struct tm_conf_form form = {.names = names, .take = take, .report = on_report, .arg = load};
	enum tm_err err;

	form.count = add_names(names, tm_setting_table, tm_setting_count, 0);
	form.count += add_names(names + form.count, tm_provider_table, tm_provider_count, 1);
	form.count += tm_load_operation_names(names + form.count);
	load->source = 1;
	load->settings.path = tm_arena_strdup(&load->settings.arena, path);
	if (!load->settings.path)
		return TM_ENOMEM;
	err = tm_conf_read(path, &form);
	if (err == TM_ENOENT)
		tm_load_mistake(load, path, "cannot be read: %s", tm_file_error(errno));
	return err == TM_EINVAL ? TM_OK : err;
}

/* The file to read; NULL for none. */
static const char *choose_path(const char *path, char *const *env)
{
	static const char usual[] = SYSCONFDIR "/textmill/textmill.conf";
	const char *named = tm_load_env(env, "TEXTMILL_CONF");

	if (path)
		return path;
	if (named[0])
		return named;
	return access(usual, F_OK) == 0 || errno != ENOENT ? usual : NULL;
}

static enum tm_err set_defaults(struct tm_load *load)
{
	char why[WHY_MAX];
	enum tm_err err = TM_OK;

	for (size_t i = 0; i < tm_setting_count && err == TM_OK; i++)
		err = tm_setting_set(&tm_setting_table[i], &load->settings, &load->settings.arena,
				     tm_setting_table[i].preset, why, sizeof(why));
	return err;
}

static void warn_unknown(struct tm_load *load, const char *name)
{
	char texts[TM_LOAD_SETTINGS_MAX][TM_SET_ENV_BYTES];
	const char *known[TM_LOAD_SETTINGS_MAX + 1], *near;
	size_t count = 0;

	for (; count < tm_setting_count; count++)
		known[count] = tm_setting_env(&tm_setting_table[count], texts[count]);
	known[count++] = "TEXTMILL_CONF";
	near = tm_conf_nearest(name, known, count);
	tm_load_warning(load, environment, "%s is no setting and is ignored%s%s%s", name,
			near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* One NAME=value of the environment. */
static enum tm_err take_env(struct tm_load *load, const char *entry)
{
	const char *equal = strchr(entry, '=');
	const struct tm_setting *row;
	char name[TM_SET_ENV_BYTES], why[WHY_MAX] = "";
	size_t len = equal ? (size_t)(equal - entry) : 0;
	enum tm_err err;

	if (len == 0 || len >= sizeof(name))
		return TM_OK;
	memcpy(name, entry, len);
	name[len] = '\0';
	row = tm_setting_by_env(name);
	if (!row) {
		if (strncmp(name, our_names, sizeof(our_names) - 1) == 0 &&
		    strcmp(name, "TEXTMILL_CONF") != 0)
			warn_unknown(load, name);
		return TM_OK;
	}
	err = set(load, row, equal + 1, environment, why, sizeof(why));
	if (err == TM_EINVAL) {
		tm_load_mistake(load, environment, "%s: %s", name, why);
		err = TM_OK;
	}
	return err;
}

/* Where the setting with that environment name was set; NULL where it is the default. */
static const char *origin_of(const struct tm_load *load, const char *name)
{
	return load->origins[tm_setting_by_env(name) - tm_setting_table];
}

/* Settings that are fine by themselves, but not together. */
static enum tm_err check_whole(struct tm_load *load, bool file_whole)
{
	struct tm_settings *settings = &load->settings;
	const char *origin = origin_of(load, "TEXTMILL_LIMITS_TEXT_MIN");
	enum tm_err err = TM_OK;

	if (settings->limits.text_min > settings->limits.text_max)
		tm_load_mistake(load, origin ? origin : origin_of(load, "TEXTMILL_LIMITS_TEXT_MAX"),
				"limits.text_min is greater than limits.text_max");
	/* Behind a mistake of syntax a provider may not have been read. */
	if (file_whole && !tm_load_providers_known(settings, settings->llm.provider))
		tm_load_mistake(load, origin_of(load, "TEXTMILL_LLM_PROVIDER"),
				"llm.provider names a provider that does not exist");
	if (settings->redis.password_file[0] && !settings->redis.password[0])
		err = tm_load_secret(load, origin_of(load, "TEXTMILL_REDIS_PASSWORD_FILE"),
				     "redis.password_file", settings->redis.password_file,
				     &settings->redis.password);
	return err == TM_ENOMEM ? err : TM_OK;
}

enum tm_err tm_settings_load(struct tm_settings *out, const char *path, char *const *env,
			     tm_settings_report *report, void *arg)
{
	struct tm_load load = {.report = report, .arg = arg, .settings = {.path = ""}};
	bool file_whole;
	enum tm_err err;

	tm_arena_init(&load.settings.arena, MEMORY_MAX);
	err = set_defaults(&load);
	if (err == TM_OK)
		err = tm_load_operations_built_in(&load);
	path = choose_path(path, env);
	if (err == TM_OK && path)
		err = load_file(&load, path);
	file_whole = !load.mistakes;
	for (char *const *at = env; *at && err == TM_OK; at++)
		err = take_env(&load, *at);
	if (err == TM_OK)
		err = tm_load_operations_dir(&load, origin_of(&load, "TEXTMILL_OPERATIONS_DIR"));
	if (err == TM_OK)
		err = tm_load_providers(&load, env);
	if (err == TM_OK)
		err = tm_load_operations(&load, file_whole);
	if (err == TM_OK)
		err = check_whole(&load, file_whole);
	if (err == TM_OK && load.mistakes)
		err = TM_EINVAL;
	if (err == TM_OK)
		*out = load.settings;
	else
		tm_settings_clear(&load.settings);
	return err;
}

static void wipe_secrets(const struct tm_setting *rows, size_t count, const void *base)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].type == TM_SET_SECRET || rows[i].type == TM_SET_URL)
			wipe(tm_setting_string(&rows[i], base));
}

void tm_settings_clear(struct tm_settings *settings)
{
	if (settings->arena.blocks) {
		wipe_secrets(tm_setting_table, tm_setting_count, settings);
		for (size_t i = 0; i < settings->providers_count; i++)
			wipe_secrets(tm_provider_table, tm_provider_count, &settings->providers[i]);
	}
	tm_arena_clear(&settings->arena);
	*settings = (struct tm_settings){0};
}

static const struct tm_setting *of_location(const char *param)
{
	const struct tm_setting *row = tm_setting_by_env(param);

	return row && (row->flags & TM_SET_LOCATION) ? row : NULL;
}

bool tm_settings_overridable(const char *param)
{
	return of_location(param) != NULL;
}

enum tm_err tm_settings_override(struct tm_settings *copy, struct tm_arena *arena,
				 const char *param, const char *value)
{
	const struct tm_setting *row = of_location(param);
	enum tm_err err;
	char why[WHY_MAX];

	if (!row)
		return TM_ENOENT;
	if (row->offset == offsetof(struct tm_settings, llm.provider) &&
	    !tm_load_providers_known(copy, value))
		return TM_EINVAL;
	err = tm_setting_set(row, copy, arena, value, why, sizeof(why));
	if (err == TM_OK && row->offset == offsetof(struct tm_settings, llm.provider))
		copy->llm.provider_local = true;
	if (err == TM_OK && row->offset == offsetof(struct tm_settings, llm.model))
		copy->llm.model_local = true;
	return err;
}
