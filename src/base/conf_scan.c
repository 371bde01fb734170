/*
 * What libconfuse's lexer does without a word, said aloud: it ends an unquoted value at a "#" or
 * a "=", drops a lone "*" and what stands behind a NUL in quotes, and takes the next line's first
 * word as the value when a comment stands in the value's place. It also counts the line of a
 * comment more than once (3.3), so that every line number behind it is wrong: comments are blanked
 * here and never reach it.
 */
#include "base/conf_scan.h"

#include <stddef.h>
#include <string.h>

enum { OPEN_MAX = 16 };

struct scan {
	char *at;
	int line;
	bool value_next;	/* the last thing of meaning was "=" */
	bool whole;		/* everything so far was closed */
	int open[OPEN_MAX];	/* lines of the { that no } has met */
	int depth;
	tm_conf_scan_report *report;
	void *arg;
};

static const char spaces[] = " \t\r\n";
static const char word_ends[] = " \t\r\n#\"'={}()+,*";
static const char cuts[] = "#\"'*+,={(";

static void tell(struct scan *scan, int line, const char *text)
{
	scan->report(scan->arg, line, text);
}

/* Overwrites what stands up to end; newlines stay. */
static void blank(struct scan *scan, const char *end)
{
	for (; scan->at < end; scan->at++) {
		if (*scan->at == '\n')
			scan->line++;
		else
			*scan->at = ' ';
	}
}

/* As blank, but leaves a stand-in where a value was due. */
static void replace(struct scan *scan, const char *end)
{
	char *from = scan->at;

	blank(scan, end);
	if (scan->value_next)
		*from = 'x';
	scan->value_next = false;
}

static void line_comment(struct scan *scan)
{
	if (scan->value_next)
		tell(scan, scan->line,
		     *scan->at == '#' ? "the value is missing: # begins a comment; put a value "
					"that begins so in quotes"
				      : "the value is missing: // begins a comment; put a value "
					"that begins so in quotes");
	replace(scan, scan->at + strcspn(scan->at, "\n"));
}

static void block_comment(struct scan *scan)
{
	const char *end = strstr(scan->at + 2, "*/");

	if (!end) {
		tell(scan, scan->line,
		     "the comment that begins here is never closed: */ is missing");
		scan->whole = false;
		replace(scan, scan->at + strlen(scan->at));
		return;
	}
	blank(scan, end + 2);
}

/* libconfuse looks for the } of a ${ beyond the end of the value: it must be within. */
static bool variables_closed(const char *at, const char *end)
{
	for (; at + 1 < end; at++) {
		if (*at == '\\')
			at++;
		else if (at[0] == '$' && at[1] == '{' && !memchr(at, '}', (size_t)(end - at)))
			return false;
	}
	return true;
}

static const char open_variable[] =
	"${ begins the name of a variable, and no } ends it: write \\${ in double quotes for the "
	"characters";

/* Length of the escape at at when it makes a NUL, as libconfuse reads them; otherwise 0. */
static size_t nul_escape(const char *at)
{
	const bool hex = at[1] == 'x';
	const char *digits = at + (hex ? 2 : 1);
	size_t count = strspn(digits, hex ? "0123456789ABCDEFabcdef" : "0123456789");

	if (hex && count > 2)
		count = 2;
	if (count == 0 || count > 3 || strspn(digits, "0") < count)
		return 0;
	return (size_t)(digits - at) + count;
}

static void refuse_nul(struct scan *scan, char *at, int line)
{
	size_t len = nul_escape(at);

	if (len)
		tell(scan, line, "\\0 or \\x00 in quotes is a NUL, which no text may hold: write "
		     "\\\\ for the character \\");
	memset(at, ' ', len);
}

static void quoted(struct scan *scan)
{
	const char quote = *scan->at;
	char *end = scan->at + 1;
	int line = scan->line;

	while (*end && *end != quote) {
		if (*end == '\\' && quote == '"')
			refuse_nul(scan, end, line);
		if (*end == '\\' && end[1])
			end++;
		if (*end == '\n')
			line++;
		end++;
	}
	if (!*end) {
		tell(scan, scan->line, "the quote that opens here is never closed");
		scan->whole = false;
		replace(scan, end);
	} else if (quote == '"' && !variables_closed(scan->at, end)) {
		tell(scan, scan->line, open_variable);
		replace(scan, end + 1);
	} else {
		scan->at = end + 1;
		scan->line = line;
		scan->value_next = false;
	}
}

/* ${NAME} without quotes: libconfuse puts the environment's value here. */
static void variable(struct scan *scan)
{
	char *end = scan->at + strcspn(scan->at, "}\n");

	if (*end == '}') {
		scan->at = end + 1;
		scan->value_next = false;
		return;
	}
	tell(scan, scan->line, open_variable);
	replace(scan, end);
}

static void word(struct scan *scan)
{
	char *end = scan->at + strcspn(scan->at, word_ends);

	if (scan->value_next && *end && strchr(cuts, *end)) {
		tell(scan, scan->line, "an unquoted value ends at any of # \" ' * + , = { ( : "
		     "put the value in quotes, or a space behind it");
		end += strcspn(end, spaces);
		memset(scan->at, 'x', (size_t)(end - scan->at));
	}
	scan->at = end;
	scan->value_next = false;
}

/* One of = { } ( ) , + */
static void mark(struct scan *scan)
{
	const char c = *scan->at++;

	scan->value_next = c == '=';
	if (c == '{' && scan->depth < OPEN_MAX)
		scan->open[scan->depth++] = scan->line;
	else if (c == '}' && scan->depth > 0)
		scan->depth--;
}

static void one(struct scan *scan)
{
	const char *at = scan->at;

	if (*at == '\n') {
		scan->line++;
		scan->at++;
	} else if (strchr(spaces, *at)) {
		*scan->at++ = ' ';
	} else if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
		line_comment(scan);
	} else if (at[0] == '/' && at[1] == '*') {
		block_comment(scan);
	} else if (*at == '"' || *at == '\'') {
		quoted(scan);
	} else if (at[0] == '$' && at[1] == '{') {
		variable(scan);
	} else if (*at == '*' || (at[0] == '+' && at[1] != '=')) {
		tell(scan, scan->line, "a * or + outside quotes: put the value in quotes");
		replace(scan, at + 1 + strcspn(at + 1, spaces));
	} else if (strchr("={}(),+", *at)) {
		mark(scan);
	} else {
		word(scan);
	}
}

bool tm_conf_scan(char *text, tm_conf_scan_report *report, void *arg)
{
	struct scan scan = {.at = text, .line = 1, .whole = true, .report = report, .arg = arg};

	while (*scan.at)
		one(&scan);
	/* libconfuse takes the end of the file for the end of the section. */
	if (scan.whole && scan.depth > 0) {
		tell(&scan, scan.open[scan.depth - 1], "the { that opens here is never closed");
		scan.whole = false;
	}
	return scan.whole;
}
