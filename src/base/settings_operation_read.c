/*
 * Where operations are read from besides the main file: those built in, as the files of
 * etc/operations.d were when this was built, and the folder of the sysadmin's own.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/operation_conf.h"
#include "base/operations_text.h"
#include "base/settings_load.h"
#include "base/settings_table.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

size_t tm_load_operation_names(struct tm_conf_name names[TM_LOAD_OPERATION_MAX])
{
	const struct {
		const struct tm_setting *rows;
		size_t count;
	} tables[] = {
		{tm_operation_table, tm_operation_count},
		{tm_option_table, tm_option_count},
		{tm_field_table, tm_field_count},
	};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (size_t j = 0; j < tables[i].count && used < TM_LOAD_OPERATION_MAX; j++)
			names[used++] = (struct tm_conf_name){
				.section = tables[i].rows[j].section,
				.name = tables[i].rows[j].name, .titled = 1,
			};
	return used;
}

static enum tm_err take(void *arg, const struct tm_conf_value *value, char *why, size_t why_bytes)
{
	struct tm_load *load = arg;
	const char *origin = tm_arena_printf(&load->settings.arena, "%s:%d", value->file,
					     value->line);

	return origin ? tm_load_operation_value(load, value, origin, why, why_bytes) : TM_ENOMEM;
}

static void on_report(void *arg, const char *text)
{
	struct tm_load *load = arg;

	load->mistakes = true;
	load->report(load->arg, text);
}

enum tm_err tm_load_operations_built_in(struct tm_load *load)
{
	struct tm_conf_name names[TM_LOAD_OPERATION_MAX];
	const struct tm_conf_form form = {
		.names = names, .count = tm_load_operation_names(names),
		.take = take, .report = on_report, .arg = load,
	};
	static const struct { const char *name, *text; } files[] = {
		{"built-in summarize.conf", operation_summarize},
		{"built-in sentiment.conf", operation_sentiment},
		{"built-in key_points.conf", operation_key_points},
		{"built-in questions.conf", operation_questions},
		{"built-in qa.conf", operation_qa},
	};
	enum tm_err err = TM_OK;

	load->source = 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && err == TM_OK; i++)
		err = tm_conf_read_text(files[i].name, files[i].text, &form);
	return err == TM_EINVAL ? TM_OK : err;	/* told */
}

/* The folder to read: operations_dir, else operations.d beside the main file. NULL: none there;
 * *err is TM_OK, unless out of memory. */
static const char *choose_folder(struct tm_load *load, const char *origin, enum tm_err *err)
{
	struct tm_settings *settings = &load->settings;
	const char *slash = strrchr(settings->path, '/'), *folder;
	struct stat about;

	*err = TM_OK;
	if (settings->operations_dir[0]) {
		if (stat(settings->operations_dir, &about) == 0 && S_ISDIR(about.st_mode))
			return settings->operations_dir;
		tm_load_mistake(load, origin, "operations_dir: %s is no folder",
				settings->operations_dir);
		return NULL;
	}
	if (!settings->path[0])
		folder = SYSCONFDIR "/textmill/operations.d";
	else
		folder = tm_arena_printf(&settings->arena, "%.*soperations.d",
					 slash ? (int)(slash + 1 - settings->path) : 0,
					 settings->path);
	if (!folder)
		*err = TM_ENOMEM;
	return folder && stat(folder, &about) == 0 && S_ISDIR(about.st_mode) ? folder : NULL;
}

/* The pattern of a folder's files, whatever characters its name has. NULL out of memory. */
static const char *pattern_of(struct tm_arena *arena, const char *folder)
{
	static const char files[] = "/*.conf";
	char *out = tm_arena_alloc(arena, 2 * strlen(folder) + sizeof(files)), *at = out;

	if (!out)
		return NULL;
	for (; *folder; folder++) {
		if (strchr("*?[]\\", *folder))
			*at++ = '\\';
		*at++ = *folder;
	}
	memcpy(at, files, sizeof(files));
	return out;
}

enum tm_err tm_load_operations_dir(struct tm_load *load, const char *origin)
{
	struct tm_conf_name names[TM_LOAD_OPERATION_MAX];
	const struct tm_conf_form form = {
		.names = names, .count = tm_load_operation_names(names),
		.take = take, .report = on_report, .arg = load,
	};
	enum tm_err err;
	const char *folder = choose_folder(load, origin, &err);
	const char *pattern = folder ? pattern_of(&load->settings.arena, folder) : NULL;
	glob_t found = {0};
	int rc;

	if (!pattern)
		return folder ? TM_ENOMEM : err;
	rc = glob(pattern, 0, NULL, &found);
	if (rc == GLOB_NOSPACE)
		err = TM_ENOMEM;
	else if (rc == GLOB_ABORTED)
		tm_load_mistake(load, folder, "cannot be read: %s", strerror(errno));
	load->source = 1;
	for (size_t i = 0; rc == 0 && err == TM_OK && i < found.gl_pathc; i++) {
		load->source++;
		err = tm_conf_read(found.gl_pathv[i], &form);
		if (err == TM_ENOENT)
			tm_load_mistake(load, found.gl_pathv[i], "cannot be read: %s",
					tm_file_error(errno));
		if (err == TM_ENOENT || err == TM_EINVAL)
			err = TM_OK;
	}
	globfree(&found);
	return err;
}
