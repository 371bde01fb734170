/*
 * What may stand in an operation "id" { } section, and in the option "name" { } and
 * field "name" { } sections within it; and the same for people, as settings_print.c does it.
 */
#include <stdio.h>
#include <string.h>

#include "base/operation_conf.h"
#include "base/settings_table.h"

#define OF(field) \
	offsetof(struct tm_operation_conf, field), sizeof(((struct tm_operation_conf *)0)->field)
#define OPTION(field) \
	offsetof(struct tm_option_conf, field), sizeof(((struct tm_option_conf *)0)->field)
#define FIELD(field) \
	offsetof(struct tm_field_conf, field), sizeof(((struct tm_field_conf *)0)->field)
#define RANGE(low, high) .min = (low), .max = (high)
#define R TM_SET_RELOADABLE

enum { VALUE_MAX = 2 * TM_SET_PROSE_MAX + 16 };

const struct tm_setting tm_operation_table[] = {
	{"operation", "name", TM_SET_STRING, R, OF(name), "",
	 .help = "What people read. Empty: the id."},
	{"operation", "description", TM_SET_STRING, R, OF(description), "",
	 .help = "One sentence on what it does, for the list of operations."},
	{"operation", "enabled", TM_SET_BOOL, R, OF(enabled), "true",
	 .help = "false takes the operation, also a built-in one, off the list."},
	{"operation", "prompt", TM_SET_PROSE, R, OF(prompt), "",
	 .help = "What the LLM is to do with the text; over several lines where that reads better. "
		 "{name} stands for an option's value. How text and answer are marked is added."},
	{"operation", "result", TM_SET_CHOICE, R, OF(result), "text",
	 .choices = "text|list|object|sentiment|key_points|questions",
	 .help = "text: a string. list: an array of strings. object: exactly the fields named "
		 "below. These three stand in result of the response, the others in the member of "
		 "their name, as with the built-in operations."},
	{"operation", "requires_question", TM_SET_BOOL, R, OF(requires_question), "false",
	 .help = "Whether a request must carry a question."},
	{"operation", "version", TM_SET_STRING, R, OF(version), "",
	 .help = "A part of what finds a stored answer. Empty: made from the definition, so that a "
		 "changed one serves no old answers."},
	{"operation", "ttl", TM_SET_DURATION, R, OF(ttl_ms), "0", RANGE("0", "365d"),
	 .help = "How long answers are served from the cache. 0: cache.ttl_default."},
	{"operation", "provider", TM_SET_STRING, R, OF(provider), "",
	 .help = "Names of the providers to ask, in order, comma separated. Empty: as llm.provider "
		 "says. A location's own llm.provider counts more."},
	{"operation", "model", TM_SET_STRING, R, OF(model), "",
	 .help = "Model to ask the first provider for. Empty: as llm.model says. A location's own "
		 "llm.model counts more."},
	{"operation", "temperature", TM_SET_REAL, R, OF(temperature), "0", RANGE("0", "2"),
	 .help = "Sampling temperature. Not set: the provider's own; some models take no other."},
	{"operation", "max_tokens", TM_SET_INT, R, OF(max_tokens), "4096", RANGE("1", "1000000"),
	 .help = "Most tokens of the answer; llm.max_tokens counts where it is less."},
	{"operation", "retry", TM_SET_CHOICE, R, OF(retry), "balanced", .choices = TM_RETRY_NAMES,
	 .help = "How failed calls are tried again: 2, 3, 5 or 7 attempts, with longer waits."},
};
const size_t tm_operation_count = sizeof(tm_operation_table) / sizeof(tm_operation_table[0]);

const struct tm_setting tm_option_table[] = {
	{"operation.option", "type", TM_SET_CHOICE, R, OPTION(type), "integer",
	 .choices = "integer|boolean|choice",
	 .help = "In the prompt a boolean reads yes or no, a choice as the word itself."},
	{"operation.option", "min", TM_SET_INT, R, OPTION(min), "0", RANGE("0", "1000000000"),
	 .help = "Least value of an integer."},
	{"operation.option", "max", TM_SET_INT, R, OPTION(max), "0", RANGE("0", "1000000000"),
	 .help = "Greatest value of an integer. A list has no more items than an option max_items "
		 "says."},
	{"operation.option", "choices", TM_SET_STRING, R, OPTION(choices_text), "",
	 .help = "The words of a choice, comma separated."},
	{"operation.option", "default", TM_SET_STRING, R, OPTION(preset_text), "",
	 .help = "What counts when a request does not say. Needed for an integer; else false, or "
		 "the first choice."},
	{"operation.option", "help", TM_SET_STRING, R, OPTION(help), "",
	 .help = "What it does, for the list of operations."},
};
const size_t tm_option_count = sizeof(tm_option_table) / sizeof(tm_option_table[0]);

const struct tm_setting tm_field_table[] = {
	{"operation.field", "type", TM_SET_CHOICE, R, FIELD(type), "string",
	 .choices = "string|number|integer|boolean|list",
	 .help = "A list is an array of strings."},
	{"operation.field", "help", TM_SET_STRING, R, FIELD(help), "",
	 .help = "What belongs there; the LLM reads it."},
};
const size_t tm_field_count = sizeof(tm_field_table) / sizeof(tm_field_table[0]);

static void print_row(FILE *out, const char *indent, const struct tm_setting *row, const void *base)
{
	char value[VALUE_MAX];

	(void)fprintf(out, "%s%s = %s\n", indent, row->name,
		      tm_setting_text(row, base, value, sizeof(value)));
}

/* An option's rows that were written: most have a meaning for one type only. */
static void print_option(FILE *out, const struct tm_option_conf *option)
{
	(void)fprintf(out, "\toption \"%s\" {\n", option->name);
	print_row(out, "\t\t", &tm_option_table[0], option);
	for (size_t i = 1; i < tm_option_count; i++)
		if (option->set & 1U << i)
			print_row(out, "\t\t", &tm_option_table[i], option);
	(void)fputs("\t}\n", out);
}

void tm_operation_print(const struct tm_operation_conf *conf, FILE *out)
{
	(void)fprintf(out, "operation \"%s\" {\n", conf->id);
	for (size_t i = 0; i < tm_operation_count; i++)
		if (tm_operation_table[i].offset !=
			    offsetof(struct tm_operation_conf, temperature) ||
		    conf->has_temperature)
			print_row(out, "\t", &tm_operation_table[i], conf);
	for (size_t i = 0; i < conf->options_count; i++)
		print_option(out, &conf->options[i]);
	for (size_t i = 0; i < conf->fields_count; i++) {
		(void)fprintf(out, "\tfield \"%s\" {\n", conf->fields[i].name);
		for (size_t j = 0; j < tm_field_count; j++)
			print_row(out, "\t\t", &tm_field_table[j], &conf->fields[i]);
		(void)fputs("\t}\n", out);
	}
	(void)fputs("}\n", out);
}
