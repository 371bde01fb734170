/*
 * Operations: values of operation "id" { } sections as they come, then each as a whole.
 *
 * Those built in are read first, from files like any other. The first value of the same id in a
 * sysadmin's file empties the built-in one and goes on in its place; a second file with that id
 * is a mistake, as only one of them can be meant.
 */
#include "base/operation_conf.h"

#include <stdio.h>
#include <string.h>

#include "base/settings_load.h"
#include "base/settings_table.h"

enum { WHY_MAX = 256 };

static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

static bool name_valid(const char *name, const char *allowed)
{
	size_t len = strlen(name);

	return len > 0 && len <= TM_NAME_MAX && strspn(name, allowed) == len;
}

/* Fills a zeroed section with its defaults. */
static enum tm_err set_defaults(struct tm_load *load, const struct tm_setting *rows, size_t count,
				void *base)
{
	char why[WHY_MAX];
	enum tm_err err = TM_OK;

	for (size_t i = 0; i < count && err == TM_OK; i++)
		err = tm_setting_set(&rows[i], base, &load->settings.arena, rows[i].preset, why,
				     sizeof(why));
	return err;
}

/* Empties an operation, but for its place in the list. */
static enum tm_err begin(struct tm_load *load, struct tm_operation_conf *conf, const char *id,
			 const char *origin)
{
	*conf = (struct tm_operation_conf){
		.next = conf->next, .id = tm_arena_strdup(&load->settings.arena, id),
		.origin = origin, .source = load->source,
		.prompt_origin = origin, .provider_origin = origin,
	};
	if (!conf->id)
		return TM_ENOMEM;
	if (!name_valid(id, lower))
		tm_load_mistake(load, origin, "an operation's id is 1 to %d characters of a-z, "
				"0-9 and _", TM_NAME_MAX);
	return set_defaults(load, tm_operation_table, tm_operation_count, conf);
}

static bool refused(const struct tm_load *load, const char *id)
{
	return load->refused_operation && strcmp(load->refused_operation, id) == 0;
}

static enum tm_err refuse(struct tm_load *load, const char *id)
{
	load->refused_operation = tm_arena_strdup(&load->settings.arena, id);
	return load->refused_operation ? TM_OK : TM_ENOMEM;
}

static enum tm_err append(struct tm_load *load, struct tm_operation_conf **link, const char *id,
			  const char *origin)
{
	if (load->operations_count++ == TM_OPERATIONS_MAX)
		tm_load_mistake(load, origin, "there are more than %d operations",
				TM_OPERATIONS_MAX);
	if (load->operations_count > TM_OPERATIONS_MAX)
		return refuse(load, id);
	*link = tm_arena_alloc(&load->settings.arena, sizeof(**link));
	return *link ? begin(load, *link, id, origin) : TM_ENOMEM;
}

/* The operation of that id, made where it is new; *out is NULL where it is refused. */
static enum tm_err of_id(struct tm_load *load, const char *id, const char *origin,
			 struct tm_operation_conf **out)
{
	struct tm_operation_conf **link = &load->settings.operations;
	enum tm_err err = TM_OK;

	*out = NULL;
	if (refused(load, id))
		return TM_OK;
	while (*link && strcmp((*link)->id, id) != 0)
		link = &(*link)->next;
	if (!*link) {
		err = append(load, link, id, origin);
	} else if ((*link)->source == 0 && load->source != 0) {
		err = begin(load, *link, id, origin);
	} else if ((*link)->source != load->source) {
		tm_load_mistake(load, origin, "operation \"%s\" is already there, in %s", id,
				(*link)->origin);
		err = refuse(load, id);
	}
	*out = refused(load, id) ? NULL : *link;
	return err;
}

static bool one_more(struct tm_load *load, struct tm_operation_conf *conf, bool full,
		     const char *origin, const char *what, int most)
{
	if (full && !conf->too_many)
		tm_load_mistake(load, origin, "operation \"%s\" has more than %d %s", conf->id,
				most, what);
	conf->too_many = conf->too_many || full;
	return !full;
}

/* The option of that name, made where it is new; NULL where there are too many. */
static enum tm_err of_option(struct tm_load *load, struct tm_operation_conf *conf,
			     const struct tm_conf_value *value, const char *origin,
			     struct tm_option_conf **out)
{
	for (size_t i = 0; i < conf->options_count; i++) {
		*out = &conf->options[i];
		if (strcmp((*out)->name, value->title) == 0)
			return TM_OK;
	}
	*out = NULL;
	if (!one_more(load, conf, conf->options_count == TM_OPTIONS_MAX, origin, "options",
		      TM_OPTIONS_MAX))
		return TM_OK;
	*out = &conf->options[conf->options_count++];
	(*out)->name = tm_arena_strdup(&load->settings.arena, value->title);
	(*out)->origin = origin;
	if (!name_valid(value->title, lower))
		tm_load_mistake(load, origin, "an option's name is 1 to %d characters of a-z, 0-9 "
				"and _", TM_NAME_MAX);
	return (*out)->name ? set_defaults(load, tm_option_table, tm_option_count, *out)
			    : TM_ENOMEM;
}

static enum tm_err of_field(struct tm_load *load, struct tm_operation_conf *conf,
			    const struct tm_conf_value *value, const char *origin,
			    struct tm_field_conf **out)
{
	for (size_t i = 0; i < conf->fields_count; i++) {
		*out = &conf->fields[i];
		if (strcmp((*out)->name, value->title) == 0)
			return TM_OK;
	}
	*out = NULL;
	if (!one_more(load, conf, conf->fields_count == TM_FIELDS_MAX, origin, "fields",
		      TM_FIELDS_MAX))
		return TM_OK;
	*out = &conf->fields[conf->fields_count++];
	(*out)->name = tm_arena_strdup(&load->settings.arena, value->title);
	(*out)->origin = origin;
	if (!name_valid(value->title, letters))
		tm_load_mistake(load, origin, "a field's name is 1 to %d characters of A-Z, a-z, "
				"0-9 and _", TM_NAME_MAX);
	return (*out)->name ? set_defaults(load, tm_field_table, tm_field_count, *out) : TM_ENOMEM;
}

/* The row of that name; its index goes into set, which may be NULL. */
static const struct tm_setting *row_of(const struct tm_setting *rows, size_t count,
				       const char *name, unsigned *set)
{
	size_t i = 0;

	while (i + 1 < count && strcmp(rows[i].name, name) != 0)
		i++;
	if (set)
		*set |= 1U << i;
	return &rows[i];
}

enum tm_err tm_load_operation_value(struct tm_load *load, const struct tm_conf_value *value,
				    const char *origin, char *why, size_t why_bytes)
{
	struct tm_arena *arena = &load->settings.arena;
	bool own = strcmp(value->section, "operation") == 0;
	struct tm_operation_conf *conf;
	struct tm_option_conf *option = NULL;
	struct tm_field_conf *field = NULL;
	const struct tm_setting *row;
	enum tm_err err = of_id(load, own ? value->title : value->outer, origin, &conf);

	if (err != TM_OK || !conf)
		return err;
	if (strcmp(value->section, "operation.option") == 0) {
		err = of_option(load, conf, value, origin, &option);
		if (err != TM_OK || !option)
			return err;
		row = row_of(tm_option_table, tm_option_count, value->name, &option->set);
		return tm_setting_set(row, option, arena, value->value, why, why_bytes);
	}
	if (!own) {
		err = of_field(load, conf, value, origin, &field);
		if (err != TM_OK || !field)
			return err;
		row = row_of(tm_field_table, tm_field_count, value->name, NULL);
		return tm_setting_set(row, field, arena, value->value, why, why_bytes);
	}
	row = row_of(tm_operation_table, tm_operation_count, value->name, &conf->set);
	if (row->offset == offsetof(struct tm_operation_conf, prompt))
		conf->prompt_origin = origin;
	if (row->offset == offsetof(struct tm_operation_conf, provider))
		conf->provider_origin = origin;
	if (row->offset == offsetof(struct tm_operation_conf, temperature))
		conf->has_temperature = true;
	return tm_setting_set(row, conf, arena, value->value, why, why_bytes);
}
