/*
 * libconfuse at work on the text of one file. Every known setting is declared as a string with a
 * callback that notes value and line; the meaning of values is the caller's.
 *
 * libconfuse's CFGF_KEYSTRVAL lets an unknown name = value pass (its error callback still hears
 * of it), but at an unknown section it stops: conf_sections.c takes those away before.
 *
 * libconfuse's lexer is global and its callbacks carry no argument: hence the static pointer.
 */
#include "base/conf.h"

#include <confuse.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/conf_file.h"

enum { SECTIONS_MAX = 64, LEVELS = 2 };

struct reading {
	struct tm_conf_file *file;
	struct tm_conf_mistake *mistakes;
	struct tm_conf_event **end;
	const struct tm_conf_name *last;	/* whose value was read last */
	int last_line;
	char unknown[TM_CONF_TEXT_MAX];	/* to be told of a name, unless no = follows it; or "" */
	char unknown_name[TM_CONF_ECHO_MAX + 1];
	int unknown_line;
	cfg_t *root;
	unsigned instance[LEVELS];	/* of the braces open now: outer, and inner */
	int told_line;		/* of the last mistake; 0 before the first */
	bool ended, no_memory;
};

static struct reading *at_work;

static void tell(int line, const char *fmt, ...) TM_PRINTF(2, 3);

static void tell(int line, const char *fmt, ...)
{
	char text[TM_CONF_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	at_work->told_line = line;
	if (!tm_conf_mistake_add(&at_work->mistakes, at_work->file->arena, line, text))
		at_work->no_memory = true;
}

/* True when the section of that name below the root holds inner; *outer then is its. A section
 * knows not what it stands in. It is the one read last, but for a title that is there twice. */
static bool find_outer(const char *name, const cfg_t *inner, cfg_t **outer)
{
	cfg_opt_t *around = cfg_getopt(at_work->root, name);
	cfg_opt_t *within;

	for (unsigned i = around ? cfg_opt_size(around) : 0; i > 0; i--) {
		*outer = cfg_opt_getnsec(around, i - 1);
		within = cfg_getopt(*outer, cfg_name((cfg_t *)inner));
		for (unsigned j = within ? cfg_opt_size(within) : 0; j > 0; j--)
			if (cfg_opt_getnsec(within, j - 1) == inner)
				return true;
	}
	return false;
}

/* The name of what is described as standing in another section, and that section; else NULL. */
static const char *nested_name(cfg_t *cfg, cfg_t **outer)
{
	const char *name = cfg_name(cfg);

	for (size_t i = 0; i < at_work->file->count; i++) {
		const char *section = at_work->file->names[i].section;
		const char *dot = strchr(section, '.');
		char around[TM_CONF_ECHO_MAX + 1];

		if (!dot || strcmp(dot + 1, name) != 0 || dot - section > TM_CONF_ECHO_MAX)
			continue;
		(void)snprintf(around, sizeof(around), "%.*s", (int)(dot - section), section);
		if (find_outer(around, cfg, outer))
			return section;
	}
	return NULL;
}

static const char *section_of(cfg_t *cfg)
{
	const char *name = cfg_name(cfg), *nested;
	cfg_t *outer;

	if (cfg == at_work->root)
		return "";
	nested = nested_name(cfg, &outer);
	return nested ? nested : name;
}

static void tell_behind(const struct tm_conf_name *setting, int line)
{
	char text[TM_CONF_TEXT_MAX];

	tm_conf_say_behind(setting, text, sizeof(text));
	tell(line, "%s", text);
}

/* Text that is neither a setting nor a section. */
static void tell_stray(const char *name, int line)
{
	char printed[TM_CONF_ECHO_MAX + 1];
	const struct tm_conf_name *last = at_work->last;

	if (last && (last->secret || at_work->last_line == line))
		tell_behind(last, line);
	else
		tell(line, "\"%s\" is neither a setting (name = value) nor a section (name { })",
		     tm_conf_echo(name, printed));
}

/* Tells of the unknown name that was met last. */
static void tell_unknown(void)
{
	if (at_work->unknown[0])
		tell(at_work->unknown_line, "%s", at_work->unknown);
	at_work->unknown[0] = '\0';
}

static void note_unknown(cfg_t *cfg, const char *name)
{
	const struct tm_conf_name *last = at_work->last;

	tell_unknown();
	tm_conf_echo(name, at_work->unknown_name);
	at_work->unknown_line = cfg->line;
	if (last && last->secret && at_work->last_line == cfg->line)
		tm_conf_say_behind(last, at_work->unknown, sizeof(at_work->unknown));
	else
		tm_conf_say_unknown(at_work->file, section_of(cfg), name, at_work->unknown,
				    sizeof(at_work->unknown));
}

/* A name without = that is no setting's: libconfuse takes any for one, and may have just told that
 * it does not know it. */
static void note_stray(cfg_t *cfg, const char *name)
{
	char printed[TM_CONF_ECHO_MAX + 1];

	if (strcmp(tm_conf_echo(name, printed), at_work->unknown_name) == 0) {
		at_work->unknown[0] = '\0';
		tell_stray(name, at_work->unknown_line);
	} else {		/* "redis|url": a path, which libconfuse understands */
		tell_stray(name, cfg->line);
	}
}

static void note_no_equal_sign(cfg_t *cfg, const char *name)
{
	if (tm_conf_known_name(at_work->file, section_of(cfg), name))
		tell(cfg->line, "\"%s\" is not followed by = and a value", name);
	else
		note_stray(cfg, name);
}

static void note_append(cfg_t *cfg, const char *name)
{
	if (tm_conf_known_name(at_work->file, section_of(cfg), name))
		tell(cfg->line, "\"%s\" takes one value: write = instead of +=", name);
	else
		note_stray(cfg, name);
}

static void note_no_brace(cfg_t *cfg, const char *name)
{
	tell(cfg->line, "section \"%s\" is not followed by {", name);
}

static void note_no_title(cfg_t *cfg, const char *name)
{
	tell(cfg->line, "section \"%s\" needs a name: %s \"name\" { }", name, name);
}

static void note_token(cfg_t *cfg, const char *token)
{
	const char *last = at_work->last && at_work->last_line == cfg->line ?
		at_work->last->name : NULL;

	if (!token || !token[0] || !strchr("{}()=,+", token[0]))
		tell(cfg->line, "text is out of place here");
	else if (last)
		tell(cfg->line,
		     "\"%c\" is out of place behind the value of \"%s\": a value that holds "
		     "it stands in quotes",
		     token[0], last);
	else
		tell(cfg->line,
		     "\"%c\" is out of place here: a setting is name = value, a section is "
		     "name { }",
		     token[0]);
}

static void note_end(cfg_t *cfg, const char *name)
{
	(void)name;
	if (at_work->file->whole)
		tell(cfg->line, "the file ends where a value should stand");
}

static void note_closing(cfg_t *cfg, const char *name)
{
	(void)name;
	tell(cfg->line, "} closes nothing");
}

static void note_function(cfg_t *cfg, const char *name)
{
	(void)name;
	tell(cfg->line, "an include is written include(\"file\")");
}

static void note_escape(cfg_t *cfg, const char *name)
{
	(void)name;
	tell(cfg->line,
	     "a \\ in quotes is followed by something unknown: write \\\\ for the character");
}

/* libconfuse's messages; all but those of unknown names end its reading. */
static const struct {
	const char *fmt;
	void (*note)(cfg_t *cfg, const char *name);
} messages[] = {
	{"no such option '%s'", note_unknown},
	{"no sub-section '%s' in '%s'", note_unknown},	/* of a path: "provider=x|url" */
	{"no sub-section title/index for '%s'", note_unknown},
	{"missing equal sign after option '%s'", note_no_equal_sign},
	{"missing opening brace for section '%s'", note_no_brace},
	{"missing title for section '%s'", note_no_title},
	{"unexpected token '%s'", note_token},
	{"premature end of file", note_end},
	{"unexpected closing brace", note_closing},
	{"missing parenthesis for function '%s'", note_function},
	{"syntax error in call of function '%s'", note_function},
	{"attempt to append to non-list option '%s'", note_append},
	{"bad escape sequence '%s'", note_escape},
	{"invalid octal number '%s'", note_escape},
};

static void end_reading(void)
{
	at_work->ended = true;
	if (at_work->told_line)
		tell(at_work->told_line, "what stands behind this mistake was not read");
}

/* Its own words are never passed on: they may repeat a secret. */
static void on_error(cfg_t *cfg, const char *fmt, va_list args)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (strcmp(messages[i].fmt, fmt) != 0)
			continue;
		messages[i].note(cfg, strchr(fmt, '%') ? va_arg(args, const char *) : "");
		if (messages[i].note != note_unknown)
			end_reading();
		return;
	}
	tell(cfg->line, "the syntax is wrong here");
	end_reading();
}

static const char *title_of(cfg_t *cfg)
{
	const char *title = cfg ? cfg_title(cfg) : NULL;

	return title ? title : "";
}

/* Notes what stands in cfg; outer is around that, or NULL. */
static bool add_event(const struct tm_conf_name *name, cfg_t *cfg, cfg_t *outer, const char *value)
{
	struct tm_arena *arena = at_work->file->arena;
	struct tm_conf_event *event = tm_arena_alloc(arena, sizeof(*event));

	if (event) {
		*event = (struct tm_conf_event){
			.line = name ? tm_conf_first_line(at_work->file, cfg->line, name->name,
							  value) : cfg->line,
			.instance = at_work->instance[outer ? 1 : 0],
			.outer_instance = at_work->instance[0],
			.name = name,
			.title = tm_arena_strdup(arena, title_of(cfg)),
			.outer = tm_arena_strdup(arena, title_of(outer)),
			.value = tm_arena_strdup(arena, value),
		};
		*at_work->end = event;
		at_work->end = &event->next;
	}
	if (!event || !event->title || !event->outer || !event->value)
		at_work->no_memory = true;
	return !at_work->no_memory;
}

/* A value that tm_conf_scan has replaced by a stand-in. */
static bool spoilt(const char *value, int line)
{
	const struct tm_conf_mistake *mistake = at_work->file->mistakes;

	if (value[strspn(value, "x")] != '\0')
		return false;
	while (mistake && mistake->line != line)
		mistake = mistake->next;
	return mistake != NULL;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct tm_conf_name *name = tm_conf_known_name(at_work->file, section_of(cfg),
							     opt->name);
	cfg_t *outer = NULL;

	*(const char **)result = "";	/* libconfuse keeps no copy of what may be a secret */
	if (!name) {			/* a path, as above */
		note_unknown(cfg, opt->name);
		return 0;
	}
	at_work->last = name;
	at_work->last_line = cfg->line;
	if (cfg == at_work->root || !nested_name(cfg, &outer))
		outer = NULL;
	if (spoilt(value, cfg->line))
		return 0;
	return add_event(name, cfg, outer, value) ? 0 : -1;
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	(void)opt;
	if (argc != 1) {
		tell(cfg->line, "include takes one file name");
		return 0;
	}
	return spoilt(argv[0], cfg->line) || add_event(NULL, cfg, NULL, argv[0]) ? 0 : -1;
}

/* The closing brace of a section. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)opt;
	for (int i = cfg == at_work->root ? 0 : 1; i < LEVELS; i++)
		at_work->instance[i] = ++*at_work->file->instances;
	at_work->last = NULL;
	return 0;
}

static bool declared(const cfg_opt_t *opts, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(opts[i].name, name) == 0)
			return true;
	return false;
}

/* The settings of one section, in the arena, with room for sections; NULL out of memory. */
static cfg_opt_t *section_options(const char *section, size_t *used)
{
	const struct tm_conf_file *file = at_work->file;
	size_t room = file->count + SECTIONS_MAX + 2, count = 0;
	cfg_opt_t *opts = tm_arena_alloc(file->arena, room * sizeof(*opts));

	if (!opts)
		return NULL;
	for (size_t i = 0; i < file->count; i++)
		if (strcmp(file->names[i].section, section) == 0)
			opts[count++] = (cfg_opt_t)CFG_STR_CB(file->names[i].name, NULL, CFGF_NONE,
							      on_value);
	*used = count;
	return opts;
}

/* Adds the section that a name describes. False: inner is NULL, out of memory. */
static bool add_section(cfg_opt_t *opts, size_t *count, const struct tm_conf_name *name,
			cfg_opt_t *inner)
{
	const char *dot = strchr(name->section, '.');
	const char *own = dot ? dot + 1 : name->section;

	if (!inner)
		return false;
	opts[*count] = (cfg_opt_t)CFG_SEC(own, inner, name->titled ?
					  CFGF_MULTI | CFGF_TITLE | CFGF_KEYSTRVAL :
					  CFGF_KEYSTRVAL);
	opts[(*count)++].validcb = on_section;
	return true;
}

/* A section's options with those of the sections in it; NULL out of memory. */
static cfg_opt_t *deep_options(const char *section)
{
	const struct tm_conf_file *file = at_work->file;
	size_t count, settings;
	cfg_opt_t *opts = section_options(section, &count), *inner;

	for (size_t i = 0; opts && i < file->count; i++) {
		const char *name = tm_conf_inside(file->names[i].section, section);

		if (!name || declared(opts, count, name))
			continue;
		inner = section_options(file->names[i].section, &settings);
		if (inner)
			inner[settings] = (cfg_opt_t)CFG_END();
		if (!add_section(opts, &count, &file->names[i], inner))
			return NULL;
	}
	if (opts)
		opts[count] = (cfg_opt_t)CFG_END();
	return opts;
}

/* Everything that may stand in the file, as libconfuse wants it. */
static cfg_opt_t *all_options(void)
{
	const struct tm_conf_file *file = at_work->file;
	size_t count;
	cfg_opt_t *opts = section_options("", &count);

	for (size_t i = 0; opts && i < file->count; i++) {
		const char *name = tm_conf_inside(file->names[i].section, "");

		if (name && !declared(opts, count, name) &&
		    !add_section(opts, &count, &file->names[i], deep_options(name)))
			return NULL;
	}
	if (opts) {
		opts[count++] = (cfg_opt_t)CFG_FUNC("include", on_include);
		opts[count] = (cfg_opt_t)CFG_END();
	}
	return opts;
}

/* False: out of memory. */
static bool read_text(struct reading *reading)
{
	cfg_opt_t *opts = all_options();
	cfg_t *cfg = opts ? cfg_init(opts, CFGF_KEYSTRVAL) : NULL;

	if (!cfg)
		return false;
	reading->root = cfg;
	cfg_set_error_function(cfg, on_error);
	if (cfg_parse_buf(cfg, reading->file->text) != CFG_SUCCESS && !reading->ended)
		reading->no_memory = true;
	cfg_free(cfg);
	tell_unknown();
	return !reading->no_memory;
}

enum tm_err tm_conf_parse(struct tm_conf_file *file)
{
	struct reading reading = {.file = file, .end = &file->events};

	at_work = &reading;
	for (int i = 0; i < LEVELS; i++)
		reading.instance[i] = ++*file->instances;
	if (!tm_conf_check_sections(file, &reading.mistakes) || !read_text(&reading))
		return TM_ENOMEM;
	for (const struct tm_conf_mistake *at = reading.mistakes; at; at = at->next)
		if (!tm_conf_mistake_add(&file->mistakes, file->arena, at->line, at->text))
			return TM_ENOMEM;
	at_work = NULL;
	return TM_OK;
}
