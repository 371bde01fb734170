/*
 * The table of settings for people: the settings in force, the sample file, the manual's section.
 * The sample parses as it is, and with every "#" that no space follows taken away.
 */
#include <stdio.h>
#include <string.h>

#include "base/operation_conf.h"
#include "base/settings_table.h"

enum { VALUE_MAX = 2 * TM_SET_TEXT_MAX + 16, WIDTH = 92, TAB = 8 };

static void print_rows(FILE *out, const char *section, const struct tm_settings *settings)
{
	char value[VALUE_MAX], env[TM_SET_ENV_BYTES];

	for (size_t i = 0; i < tm_setting_count; i++) {
		const struct tm_setting *row = &tm_setting_table[i];

		if (strcmp(row->section, section) != 0)
			continue;
		tm_setting_text(row, settings, value, sizeof(value));
		if (row->flags & TM_SET_ENV_ONLY)
			(void)fprintf(out, "\t# %s = %s (environment)\n", tm_setting_env(row, env),
				      value);
		else
			(void)fprintf(out, "%s%s = %s\n", section[0] ? "\t" : "", row->name, value);
	}
}

/* Those of the main file. The others would be there twice for who reads this as a main file. */
static void print_operations(const struct tm_settings *settings, FILE *out)
{
	for (const struct tm_operation_conf *conf = settings->operations; conf; conf = conf->next) {
		(void)fputs("\n", out);
		if (conf->source == 1)
			tm_operation_print(conf, out);
		else
			(void)fprintf(out, "# operation \"%s\": %s\n", conf->id, conf->origin);
	}
}

void tm_settings_print(const struct tm_settings *settings, FILE *out)
{
	char value[VALUE_MAX];

	(void)fprintf(out, "# The settings in force, read from %s and the environment.\n",
		      settings->path[0] ? settings->path : "no file");
	for (size_t i = 0; i < tm_setting_section_count; i++) {
		const char *section = tm_setting_sections[i].name;

		if (section[0])
			(void)fprintf(out, "\n%s {\n", section);
		print_rows(out, section, settings);
		if (section[0])
			(void)fputs("}\n", out);
	}
	for (size_t i = 0; i < settings->providers_count; i++) {
		const struct tm_provider_conf *conf = &settings->providers[i];

		(void)fprintf(out, "\nprovider \"%s\" {\n", conf->name);
		for (size_t j = 0; j < tm_provider_count; j++)
			(void)fprintf(out, "\t%s = %s\n", tm_provider_table[j].name,
				      tm_setting_text(&tm_provider_table[j], conf, value,
						      sizeof(value)));
		(void)fputs("}\n", out);
	}
	print_operations(settings, out);
}

/* What there is to know besides the help: range, environment name, whether a location may. */
static const char *facts(const struct tm_setting *row, char *out, size_t out_bytes)
{
	char range[128], env[TM_SET_ENV_BYTES];
	const char *word = row->min ? "Range: " : "Values: ";
	const bool titled = strcmp(row->section, "provider") == 0 ||
			    strncmp(row->section, "operation", strlen("operation")) == 0;

	tm_setting_range(row, range, sizeof(range));
	if (titled)
		(void)snprintf(out, out_bytes, "%s%s%s", range[0] ? word : "", range,
			       range[0] ? "." : "");
	else
		(void)snprintf(out, out_bytes, "%s%s%sEnvironment: %s.%s", range[0] ? word : "",
			       range, range[0] ? ". " : "", tm_setting_env(row, env),
			       row->flags & TM_SET_LOCATION ? " A location may set it." : "");
	return out;
}

/* Writes text as comment lines of at most WIDTH columns. */
static void comment(FILE *out, const char *indent, const char *text)
{
	const size_t room = WIDTH - 2 - TAB * strlen(indent);

	while (*text) {
		size_t len = strlen(text), cut = len;

		if (len > room) {
			cut = room;
			while (cut > 0 && text[cut] != ' ')
				cut--;
		}
		(void)fprintf(out, "%s# %.*s\n", indent, (int)cut, text);
		text += cut;
		text += strspn(text, " ");
	}
}

static void sample_row(FILE *out, const struct tm_setting *row, const char *indent,
		       const char *value)
{
	char text[1024], preset[VALUE_MAX];

	comment(out, indent, row->help);
	comment(out, indent, facts(row, text, sizeof(text)));
	if (!(row->flags & TM_SET_ENV_ONLY))
		(void)fprintf(out, "%s#%s = %s\n", indent, row->name,
			      value ? value : tm_setting_preset(row, preset, sizeof(preset)));
}

/* What a provider's example says instead of the default, in the file's syntax. */
static const char *example_of(const char *name)
{
	if (strcmp(name, "url") == 0)
		return "\"https://api.openai.com/v1\"";
	return strcmp(name, "model") == 0 ? "\"gpt-4o-mini\"" : NULL;
}

void tm_settings_sample(FILE *out)
{
	static const char *const head[] = {
		"textmill.conf: every setting, each with its default.",
		"A line that begins with # and no space is a setting: take the # away and change "
		"the "
		"value. What is not set here has its default; the environment counts more than "
		"this "
		"file.",
		"Write name = value. Text with spaces, or with any of # \" ' = { } ( ) + , * in "
		"it, "
		"stands in quotes. Times: 100ms, 30s, 5m, 2h, 7d. Sizes: 4k, 1m. A # behind a "
		"space "
		"begins a comment. ${NAME} stands for a variable of the environment; \\${ for the "
		"characters.",
		"Test a change with: textmillctl config test -c FILE",
		"A setting that a location may set also counts as a FastCGI param of that name, "
		"for "
		"requests of one location of the web server; for example, in nginx: "
		"fastcgi_param TEXTMILL_LLM_MODEL gpt-4o;",
	};

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		comment(out, "", head[i]);
		(void)fputs("#\n", out);
	}
	(void)fputs("# More files, relative to this one; what stands behind counts more.\n"
		    "#include(\"conf.d/*.conf\")\n", out);
	for (size_t i = 0; i < tm_setting_section_count; i++) {
		const char *section = tm_setting_sections[i].name, *between = "";

		(void)fputs("\n", out);
		comment(out, "", tm_setting_sections[i].help);
		(void)fprintf(out, "%s%s\n", section, section[0] ? " {" : "");
		for (size_t j = 0; j < tm_setting_count; j++) {
			if (strcmp(tm_setting_table[j].section, section) != 0)
				continue;
			(void)fputs(between, out);
			between = "\n";
			sample_row(out, &tm_setting_table[j], section[0] ? "\t" : "", NULL);
		}
		(void)fputs(section[0] ? "}\n" : "", out);
	}
	(void)fputs("\n", out);
	comment(out, "",
		"Who answers: up to 8 providers, asked in this order. OPENAI_API_KEY, "
		"OPENAI_BASE_URL and OPENAI_MODEL of the environment make one named \"openai\", "
		"where there is none of that kind here; so do ANTHROPIC_... and GEMINI_... With no "
		"provider at all the built-in extractive one answers.");
	(void)fputs("#provider \"main\" {\n", out);
	for (size_t i = 0; i < tm_provider_count; i++) {
		(void)fputs(i ? "\n" : "", out);
		sample_row(out, &tm_provider_table[i], "\t", example_of(tm_provider_table[i].name));
	}
	(void)fputs("#}\n", out);
	(void)fputs("\n", out);
	comment(out, "",
		"What can be done to a text, besides summarize, sentiment, key_points, questions "
		"and "
		"qa, which are built in: operation \"id\" { } sections, here or in files of "
		"operations_dir; see textmill.conf(5) and, for an example, textmillctl operations "
		"show summarize.");
}

/* Text for troff: its escapes escaped, no line that begins with a request. */
static void troff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		(void)fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			(void)fputs("\\e", out);
		else if (*text == '-')
			(void)fputs("\\-", out);
		else if (*text == '"')
			(void)fputs("\\(dq", out);
		else
			(void)fputc(*text, out);
	}
}

static void man_row(FILE *out, const struct tm_setting *row)
{
	char text[1024], preset[VALUE_MAX], env[TM_SET_ENV_BYTES];

	(void)fputs(".TP\n.B ", out);
	troff(out, row->flags & TM_SET_ENV_ONLY ? tm_setting_env(row, env) : row->name);
	if (!(row->flags & TM_SET_ENV_ONLY)) {
		(void)fputs("\\fR = ", out);
		troff(out, tm_setting_preset(row, preset, sizeof(preset)));
	}
	(void)fputs("\n", out);
	troff(out, row->help);
	(void)fputs("\n", out);
	if (facts(row, text, sizeof(text))[0]) {
		troff(out, text);
		(void)fputs("\n", out);
	}
}

static void man_operations(FILE *out)
{
	(void)fputs(".SS \"operation \\(dqid\\(dq { }\"\nUp to 64, with those built in; an id is "
		    "1 to 32 characters of a\\-z, 0\\-9 and _. One with the id of a built\\-in "
		    "operation takes its place.\n", out);
	for (size_t i = 0; i < tm_operation_count; i++)
		man_row(out, &tm_operation_table[i]);
	(void)fputs(".SS \"option \\(dqname\\(dq { } in an operation\"\nUp to 8.\n", out);
	for (size_t i = 0; i < tm_option_count; i++)
		man_row(out, &tm_option_table[i]);
	(void)fputs(".SS \"field \\(dqname\\(dq { } in an operation\"\nUp to 16, all of them in "
		    "every answer.\n", out);
	for (size_t i = 0; i < tm_field_count; i++)
		man_row(out, &tm_field_table[i]);
}

void tm_settings_man(FILE *out)
{
	(void)fputs(".SH SETTINGS\nEach with its default.\n", out);
	for (size_t i = 0; i < tm_setting_section_count; i++) {
		const char *section = tm_setting_sections[i].name;

		(void)fprintf(out, ".SS \"%s%s\"\n", section[0] ? section : "outside of sections",
			      section[0] ? " { }" : "");
		troff(out, tm_setting_sections[i].help);
		(void)fputs("\n", out);
		for (size_t j = 0; j < tm_setting_count; j++)
			if (strcmp(tm_setting_table[j].section, section) == 0)
				man_row(out, &tm_setting_table[j]);
	}
	(void)fputs(".SS \"provider \\(dqname\\(dq { }\"\nUp to 8, asked in the order they are "
		    "written, unless llm.provider says otherwise.\n", out);
	for (size_t i = 0; i < tm_provider_count; i++)
		man_row(out, &tm_provider_table[i]);
	man_operations(out);
}
