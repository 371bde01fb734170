/*
 * Sections that nobody knows, and those with a title and nothing else. libconfuse stops at the
 * first kind, so they are blanked before it reads the text.
 *
 * This follows sections, settings and includes from brace to brace. At anything else it stops
 * looking: there libconfuse stops as well, and says why.
 */
#include <stdio.h>
#include <string.h>

#include "base/conf_file.h"

enum { LEVELS = 2 };

enum token { END, TEXT, EQUAL, OPEN, CLOSE, PARENTHESIS, OTHER };

struct walk {
	struct tm_conf_file *file;
	struct tm_conf_mistake **mistakes;
	char *at;
	int line;
	char *begin;		/* of the token read last */
	int begin_line;
	char *name;		/* first text of the statement under way, as it is written */
	size_t name_len;
	int name_line;
	int texts;		/* of the statement under way */
	int unknown;		/* settings that nobody knows, so far */
	bool value_next, lost;
	const struct tm_conf_name *of[LEVELS + 1];	/* a name in each section that is open;
							 * NULL for the top level */
	bool empty[LEVELS + 1];
	int depth;
	const struct tm_conf_name *last;	/* the setting that was set last; or NULL */
	int last_line;		/* where its value ended */
};

/* The section that is open now. */
static const char *around(const struct walk *walk)
{
	return walk->of[walk->depth] ? walk->of[walk->depth]->section : "";
}

/* False: out of memory. */
static bool tell(struct walk *walk, int line, const char *text)
{
	return tm_conf_mistake_add(walk->mistakes, walk->file->arena, line, text);
}

/* Reads over a text in quotes; tm_conf_scan has seen to it that they are closed. */
static void read_quoted(struct walk *walk)
{
	const char quote = *walk->at++;

	for (; *walk->at && *walk->at != quote; walk->at++) {
		if (walk->at[0] == '\\' && walk->at[1])
			walk->at++;
		walk->line += *walk->at == '\n';
	}
	walk->at += *walk->at == quote;
}

static enum token read_mark(struct walk *walk)
{
	static const char marks[] = "={}(";
	static const enum token tokens[] = {EQUAL, OPEN, CLOSE, PARENTHESIS};
	const char *mark = strchr(marks, *walk->at++);

	return mark ? tokens[mark - marks] : OTHER;
}

static enum token next(struct walk *walk)
{
	for (; *walk->at && strchr(" \t\r\n", *walk->at); walk->at++)
		walk->line += *walk->at == '\n';
	walk->begin = walk->at;
	walk->begin_line = walk->line;
	if (!*walk->at)
		return END;
	if (*walk->at == '"' || *walk->at == '\'')
		read_quoted(walk);
	else if (walk->at[0] == '$' && walk->at[1] == '{')	/* tm_conf_scan has seen the } */
		walk->at = strchr(walk->at, '}') + 1;
	else if (strchr("={}(),+*#", *walk->at))
		return read_mark(walk);
	else
		walk->at += strcspn(walk->at, " \t\r\n#\"'={}()+,*");
	return TEXT;
}

/* The name of the statement under way, without quotes. Returns out. */
static const char *name_of(const struct walk *walk, char out[TM_CONF_ECHO_MAX + 1])
{
	const bool quoted = walk->name[0] == '"' || walk->name[0] == '\'';
	const size_t len = walk->name_len - (quoted ? 2 : 0);
	size_t i;

	for (i = 0; i < len && i < TM_CONF_ECHO_MAX; i++)
		out[i] = walk->name[i + quoted];
	out[i] = '\0';
	return out;
}

static void take_text(struct walk *walk)
{
	if (walk->value_next) {
		walk->value_next = false;
		walk->texts = 0;
		walk->last_line = walk->line;
	} else if (walk->texts++ == 0) {
		walk->name = walk->begin;
		walk->name_len = (size_t)(walk->at - walk->begin);
		walk->name_line = walk->begin_line;
	}
}

static void take_equal(struct walk *walk)
{
	char name[TM_CONF_ECHO_MAX + 1];

	walk->lost = walk->texts != 1 || walk->value_next;
	if (walk->lost)
		return;
	walk->last = tm_conf_known_name(walk->file, around(walk), name_of(walk, name));
	walk->last_line = walk->line;
	walk->empty[walk->depth] = false;
	walk->value_next = true;
	/* Enough to tell of. For libconfuse each costs more than the one before. */
	if (!walk->last && ++walk->unknown > TM_CONF_MISTAKES_MAX) {
		memset(walk->name, ' ', strlen(walk->name));
		walk->value_next = false;
	}
}

/* Includes stand outside of sections; what is wrong with one is libconfuse's to find. */
static void take_include(struct walk *walk)
{
	char name[TM_CONF_ECHO_MAX + 1];
	enum token token = PARENTHESIS;

	walk->lost = walk->texts != 1 || walk->value_next || walk->depth > 0 ||
		strcmp(name_of(walk, name), "include") != 0;
	while (!walk->lost && token != END && *walk->begin != ')')
		token = next(walk);
	walk->texts = 0;
}

/* Blanks the section that has just opened, up to its }. */
static void blank(struct walk *walk)
{
	enum token token = OPEN;

	for (int depth = 1; depth > 0 && token != END;) {
		token = next(walk);
		depth += token == OPEN ? 1 : token == CLOSE ? -1 : 0;
	}
	for (char *at = walk->name; at < walk->at; at++)
		if (*at != '\n')
			*at = ' ';
}

static bool refuse(struct walk *walk, const char *name)
{
	const struct tm_conf_name *last = walk->last;
	char text[TM_CONF_TEXT_MAX];

	if (last && last->secret && walk->last_line == walk->name_line)
		tm_conf_say_behind(last, text, sizeof(text));
	else
		tm_conf_say_unknown(walk->file, around(walk), name, text, sizeof(text));
	blank(walk);
	return tell(walk, walk->name_line, text);
}

/* A name that stands in a section of that name; NULL: there is no such section. */
static const struct tm_conf_name *section_of(const struct walk *walk, const char *name)
{
	for (size_t i = 0; i < walk->file->count; i++) {
		const struct tm_conf_name *known = &walk->file->names[i];
		const char *inside = tm_conf_inside(known->section, around(walk));

		if (inside && strcmp(inside, name) == 0)
			return known;
	}
	return NULL;
}

/* Goes into a section of one of its names. */
static void enter(struct walk *walk, const struct tm_conf_name *of, int texts)
{
	walk->lost = texts != (of->titled ? 2 : 1) || walk->depth == LEVELS;
	walk->last = NULL;
	if (walk->lost)
		return;
	walk->of[++walk->depth] = of;
	walk->empty[walk->depth] = true;
}

static bool take_open(struct walk *walk)
{
	char name[TM_CONF_ECHO_MAX + 1];
	const int texts = walk->texts;
	const struct tm_conf_name *of;

	walk->lost = walk->value_next || texts < 1 || texts > 2;
	walk->texts = 0;
	walk->empty[walk->depth] = false;
	if (walk->lost)
		return true;
	of = section_of(walk, name_of(walk, name));
	if (of) {
		enter(walk, of, texts);
		return true;
	}
	/* A setting's name, or "include": what is missing is not the section. */
	walk->lost = tm_conf_known_name(walk->file, around(walk), name) ||
		(walk->depth == 0 && strcmp(name, "include") == 0);
	return walk->lost || refuse(walk, name);
}

static bool take_close(struct walk *walk)
{
	const struct tm_conf_name *of = walk->of[walk->depth];
	const char *dot = of ? strchr(of->section, '.') : NULL;
	char text[TM_CONF_TEXT_MAX];

	walk->lost = walk->texts > 0 || walk->value_next || !of;
	walk->last = NULL;
	if (walk->lost)
		return true;
	walk->depth--;
	if (!of->titled || !walk->empty[walk->depth + 1])
		return true;
	(void)snprintf(text, sizeof(text), "section %s is empty", dot ? dot + 1 : of->section);
	return tell(walk, walk->line, text);
}

bool tm_conf_check_sections(struct tm_conf_file *file, struct tm_conf_mistake **mistakes)
{
	struct walk walk = {.file = file, .mistakes = mistakes, .at = file->text, .line = 1};
	bool memory = true;

	while (memory && !walk.lost) {
		switch (next(&walk)) {
		case END:
			return true;
		case TEXT:
			take_text(&walk);
			break;
		case EQUAL:
			take_equal(&walk);
			break;
		case OPEN:
			memory = take_open(&walk);
			break;
		case CLOSE:
			memory = take_close(&walk);
			break;
		case PARENTHESIS:
			take_include(&walk);
			break;
		case OTHER:
			walk.lost = true;
			break;
		}
	}
	return memory;
}
