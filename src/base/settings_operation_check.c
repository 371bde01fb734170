/*
 * An operation as a whole: what its values must be to one another. Each mistake names the line
 * where it can be mended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/operation_conf.h"
#include "base/settings_load.h"
#include "base/settings_table.h"

static const char names[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
static const char blanks[] = " \t\r\n";

static bool was_set(const struct tm_option_conf *option, const char *name)
{
	for (size_t i = 0; i < tm_option_count; i++)
		if (strcmp(tm_option_table[i].name, name) == 0)
			return option->set & 1U << i;
	return false;
}

static void wrong(struct tm_load *load, const struct tm_option_conf *option, const char *what)
{
	tm_load_mistake(load, option->origin, "option \"%s\" %s", option->name, what);
}

/* What was written for another type than the option's. */
static void check_unfit(struct tm_load *load, const struct tm_option_conf *option)
{
	if (option->type != TM_OPTION_INTEGER && (was_set(option, "min") || was_set(option, "max")))
		wrong(load, option, "is no integer: min and max have no meaning");
	if (option->type != TM_OPTION_CHOICE && was_set(option, "choices"))
		wrong(load, option, "is no choice: choices have no meaning");
}

static void check_integer(struct tm_load *load, struct tm_option_conf *option)
{
	const char *text = option->preset_text;
	size_t digits = strspn(text, "0123456789");

	if (!was_set(option, "max"))
		wrong(load, option, "is an integer and needs a max");
	else if (option->min > option->max)
		wrong(load, option, "has a min greater than its max");
	else if (!digits)
		wrong(load, option, "is an integer and needs a default");
	else if (text[digits] || digits > 10 ||
		 (option->preset = strtoll(text, NULL, 10)) < option->min ||
		 option->preset > option->max)
		tm_load_mistake(load, option->origin,
				"option \"%s\": the default must be between %lld and %lld",
				option->name, (long long)option->min, (long long)option->max);
}

static void check_boolean(struct tm_load *load, struct tm_option_conf *option)
{
	static const char words[] = "false|true|no|yes|off|on|0|1";
	int index = option->preset_text[0] ? tm_setting_choice(words, option->preset_text) : 0;

	if (index < 0)
		wrong(load, option, "is a boolean: the default must be true or false");
	option->preset = index > 0 ? index % 2 : 0;
	option->min = 0;
	option->max = 1;
}

static int choice_index(const struct tm_option_conf *option, const char *word)
{
	for (size_t i = 0; i < option->choices_count; i++)
		if (strcmp(option->choices[i], word) == 0)
			return (int)i;
	return -1;
}

/* Takes the words of "a, b, c" apart. False: out of memory. */
static bool split_choices(struct tm_load *load, struct tm_option_conf *option)
{
	for (const char *at = option->choices_text; *at;) {
		size_t len = strcspn(at, ",");
		const char *end = at + len, *word;

		at += strspn(at, blanks);
		len = at < end ? (size_t)(end - at) : 0;
		while (len && strchr(blanks, at[len - 1]))
			len--;
		word = tm_arena_dup(&load->settings.arena, at, len);
		if (!word)
			return false;
		if (len == 0 || len > TM_NAME_MAX)
			tm_load_mistake(load, option->origin, "option \"%s\": a choice is 1 to %d "
					"bytes long", option->name, TM_NAME_MAX);
		else if (choice_index(option, word) >= 0)
			tm_load_mistake(load, option->origin,
					"option \"%s\" has the choice \"%s\" twice", option->name,
					word);
		else if (option->choices_count == TM_CHOICES_MAX)
			tm_load_mistake(load, option->origin,
					"option \"%s\" has more than %d choices", option->name,
					TM_CHOICES_MAX);
		else
			option->choices[option->choices_count++] = word;
		at = *end ? end + 1 : end;
	}
	return true;
}

static enum tm_err check_choice(struct tm_load *load, struct tm_option_conf *option)
{
	int index = 0;

	if (!split_choices(load, option))
		return TM_ENOMEM;
	if (option->choices_count == 0)
		wrong(load, option, "is a choice and needs choices");
	else if (option->preset_text[0])
		index = choice_index(option, option->preset_text);
	if (index < 0)
		wrong(load, option, "has a default that is none of its choices");
	option->preset = index > 0 ? index : 0;
	option->min = 0;
	option->max = option->choices_count ? (int64_t)option->choices_count - 1 : 0;
	return TM_OK;
}

static enum tm_err check_option(struct tm_load *load, struct tm_option_conf *option)
{
	check_unfit(load, option);
	if (option->type == TM_OPTION_CHOICE)
		return check_choice(load, option);
	if (option->type == TM_OPTION_BOOLEAN)
		check_boolean(load, option);
	else
		check_integer(load, option);
	return TM_OK;
}

static bool is_option(const struct tm_operation_conf *conf, const char *name, size_t len)
{
	for (size_t i = 0; i < conf->options_count; i++)
		if (strlen(conf->options[i].name) == len &&
		    memcmp(conf->options[i].name, name, len) == 0)
			return true;
	return false;
}

static void tell_brace(struct tm_load *load, const struct tm_operation_conf *conf, const char *name)
{
	const char *known[TM_OPTIONS_MAX], *near;

	for (size_t i = 0; i < conf->options_count; i++)
		known[i] = conf->options[i].name;
	near = tm_conf_nearest(name, known, conf->options_count);
	tm_load_mistake(load, conf->prompt_origin,
			"the prompt of operation \"%s\" has {%s}, but there is no such "
			"option%s%s%s",
			conf->id, name, near ? "; did you mean {" : "", near ? near : "",
			near ? "}?" : "");
}

/* Every {name} must be an option's; other braces are text, such as {"a": 1}. */
static void check_braces(struct tm_load *load, const struct tm_operation_conf *conf)
{
	for (const char *at = strchr(conf->prompt, '{'); at; at = strchr(at + 1, '{')) {
		size_t len = strspn(at + 1, names);
		char name[TM_NAME_MAX + 1];

		if (len == 0 || at[1 + len] != '}' || is_option(conf, at + 1, len))
			continue;
		(void)snprintf(name, sizeof(name), "%.*s",
			       len > TM_NAME_MAX ? TM_NAME_MAX : (int)len, at + 1);
		tell_brace(load, conf, name);
	}
}

/* An option that changes nothing is a slip; those of an answer's length count by themselves. */
static void check_used(struct tm_load *load, const struct tm_operation_conf *conf)
{
	static const char lengths[] = "max_items|max_points|num_questions|max_length";
	char braced[TM_NAME_MAX + 3];

	for (size_t i = 0; i < conf->options_count; i++) {
		const struct tm_option_conf *option = &conf->options[i];

		(void)snprintf(braced, sizeof(braced), "{%.*s}", TM_NAME_MAX, option->name);
		if (!strstr(conf->prompt, braced) && tm_setting_choice(lengths, option->name) < 0)
			tm_load_warning(load, option->origin,
					"option \"%s\" is not in the prompt: it changes nothing",
					option->name);
	}
}

/* The least indentation of the lines behind the first. */
static size_t indentation(const char *text)
{
	size_t least = SIZE_MAX;

	for (const char *at = strchr(text, '\n'); at; at = strchr(at + 1, '\n')) {
		size_t indent = strspn(at + 1, " \t");

		if (at[1 + indent] != '\n' && at[1 + indent] && indent < least)
			least = indent;
	}
	return least == SIZE_MAX ? 0 : least;
}

/* Takes the indentation that lines have as a part of the file away, in place. */
static void unindent(char *text)
{
	const size_t indent = indentation(text);
	char *to = text;

	for (const char *from = text; *from; from++) {
		*to++ = *from;
		for (size_t i = 0; to[-1] == '\n' && i < indent; i++)
			if (from[1] == ' ' || from[1] == '\t')
				from++;
	}
	*to = '\0';
}

static enum tm_err check_prompt(struct tm_load *load, struct tm_operation_conf *conf)
{
	const char *text = conf->prompt + strspn(conf->prompt, blanks);
	size_t len = strlen(text);
	char *copy;

	while (len && strchr(blanks, text[len - 1]))
		len--;
	if (len == 0) {
		tm_load_mistake(load, conf->prompt_origin, "operation \"%s\" has no prompt",
				conf->id);
		return TM_OK;
	}
	copy = tm_arena_dup(&load->settings.arena, text, len);
	if (!copy)
		return TM_ENOMEM;
	unindent(copy);
	conf->prompt = copy;
	check_braces(load, conf);
	check_used(load, conf);
	return TM_OK;
}

static enum tm_err check_one(struct tm_load *load, struct tm_operation_conf *conf, bool providers)
{
	enum tm_err err = TM_OK;

	if (!conf->name[0])
		conf->name = conf->id;
	for (size_t i = 0; i < conf->options_count && err == TM_OK; i++)
		err = check_option(load, &conf->options[i]);
	if (err == TM_OK)
		err = check_prompt(load, conf);
	if (conf->result == TM_RESULT_OBJECT && conf->fields_count == 0)
		tm_load_mistake(load, conf->origin, "the result of operation \"%s\" is an object: "
				"name its fields with field \"name\" { }", conf->id);
	if (conf->result != TM_RESULT_OBJECT && conf->fields_count > 0)
		tm_load_mistake(load, conf->fields[0].origin, "the result of operation \"%s\" is "
				"no object: fields have no meaning", conf->id);
	if (providers && !tm_load_providers_known(&load->settings, conf->provider))
		tm_load_mistake(load, conf->provider_origin, "operation \"%s\" names a provider "
				"that does not exist", conf->id);
	return err;
}

enum tm_err tm_load_operations(struct tm_load *load, bool providers)
{
	struct tm_operation_conf **link = &load->settings.operations;
	enum tm_err err = TM_OK;

	while (*link && err == TM_OK) {
		if (!(*link)->enabled) {
			*link = (*link)->next;
			continue;
		}
		err = check_one(load, *link, providers);
		link = &(*link)->next;
	}
	return err;
}
