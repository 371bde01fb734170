/*
 * Reading a configuration file and what it includes. Each file is taken apart by itself (conf.c)
 * and its values are then handed on in order; an include is read when its turn comes, so that a
 * value behind it counts more than one in it. Reports come file by file, in order of lines.
 */
#include "base/conf.h"

#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf_file.h"
#include "base/conf_scan.h"
#include "base/file.h"
#include "base/utf8.h"

enum {
	FILE_MAX = 1024 * 1024, MEMORY_MAX = 64 * 1024 * 1024, FILES_MAX = 256, DEPTH_MAX = 8,
	READ_BYTES = 16 * 1024, EVENTS_MAX = 10000, WHY_MAX = 512, LINE_MAX_BYTES = 1024
};

/* A titled section that was seen. */
struct title {
	struct title *next;
	const char *section, *title, *outer, *file;
	int line;
	unsigned instance, told;
	bool wrong;
};

struct reader {
	const struct tm_conf_form *form;
	struct tm_arena arena;
	struct title *titles;
	unsigned instances;
	int files, depth;
	bool mistakes;
};

bool tm_conf_mistake_add(struct tm_conf_mistake **list, struct tm_arena *arena, int line,
			 const char *text)
{
	struct tm_conf_mistake *mistake;
	const char *copy;
	int count = 1;

	for (; *list && (*list)->line <= line; list = &(*list)->next)
		if (count++ == TM_CONF_MISTAKES_MAX)
			return true;
	mistake = tm_arena_alloc(arena, sizeof(*mistake));
	copy = tm_arena_strdup(arena, text);
	if (!mistake || !copy)
		return false;
	*mistake = (struct tm_conf_mistake){.next = *list, .line = line, .text = copy};
	*list = mistake;
	while (mistake->next && count++ < TM_CONF_MISTAKES_MAX)
		mistake = mistake->next;
	mistake->next = NULL;
	return true;
}

static enum tm_err add(struct reader *reader, struct tm_conf_file *file, int line,
		       const char *fmt, ...) TM_PRINTF(4, 5);

static enum tm_err add(struct reader *reader, struct tm_conf_file *file, int line,
		       const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return tm_conf_mistake_add(&file->mistakes, &reader->arena, line, text) ? TM_OK : TM_ENOMEM;
}

/* The file's bytes. TM_EIO with errno, TM_ESIZE, TM_EINVAL (a NUL in it), TM_ENOMEM. */
static enum tm_err read_bytes(const char *path, struct tm_buf *out)
{
	struct stat about;
	int fd = tm_file_open(path, &about), error;
	enum tm_err err = TM_EIO;
	ssize_t got = -1;

	if (fd < 0)
		return TM_EIO;
	for (;;) {
		char *room = tm_buf_reserve(out, READ_BYTES);

		if (!room) {
			err = tm_buf_err(out);
			break;
		}
		got = read(fd, room, READ_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		tm_buf_advance(out, got > 0 ? (size_t)got : 0);
		if (got <= 0)
			break;
	}
	error = errno;
	(void)close(fd);
	errno = error;
	if (got == 0)
		err = memchr(tm_buf_text(out), '\0', out->len) ? TM_EINVAL : TM_OK;
	return err;
}

static void on_scan(void *arg, int line, const char *text)
{
	struct tm_conf_file *file = arg;

	/* Out of memory shows at the next use of the arena. */
	(void)tm_conf_mistake_add(&file->mistakes, file->arena, line, text);
}

static enum tm_err open_text(struct reader *reader, const char *path, const char *text,
			     struct tm_conf_file *out)
{
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)	/* a byte order mark of some editors */
		text += 3;
	*out = (struct tm_conf_file){
		.path = tm_arena_strdup(&reader->arena, path),
		.text = tm_arena_strdup(&reader->arena, text),
		.names = reader->form->names, .count = reader->form->count,
		.arena = &reader->arena, .instances = &reader->instances,
	};
	if (!out->path || !out->text)
		return TM_ENOMEM;
	out->whole = tm_conf_scan(out->text, on_scan, out);
	return TM_OK;
}

static enum tm_err open_file(struct reader *reader, const char *path, struct tm_conf_file *out)
{
	struct tm_buf bytes;
	enum tm_err err;

	tm_buf_init(&bytes, FILE_MAX + READ_BYTES);
	err = read_bytes(path, &bytes);
	if (err != TM_OK)
		goto out;
	err = open_text(reader, path, tm_buf_text(&bytes), out);
out:
	if (bytes.data)
		explicit_bzero(bytes.data, bytes.size);
	tm_buf_clear(&bytes);
	return err;
}

struct place {
	const char *section, *title, *outer;
	unsigned instance;
	int line;
};

/* Reports and lists repeat titles and names of files. */
static bool is_one_line(const char *text)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	return tm_utf8_valid(text, strlen(text));
}

/* A titled section belongs to the braces where its title was seen first. */
static enum tm_err check_title(struct reader *reader, struct tm_conf_file *file,
			       const struct place *at, bool *refused)
{
	struct title *title = reader->titles;

	*refused = false;
	while (title && (strcmp(title->section, at->section) != 0 ||
			 strcmp(title->title, at->title) != 0 ||
			 strcmp(title->outer, at->outer) != 0))
		title = title->next;
	if (title) {
		*refused = title->wrong || title->instance != at->instance;
		if (title->wrong || !*refused || title->told == at->instance)
			return TM_OK;
		title->told = at->instance;
		return add(reader, file, at->line, "%s \"%.64s\" is already there, in %s:%d",
			   title->section, title->title, title->file, title->line);
	}
	title = tm_arena_alloc(&reader->arena, sizeof(*title));
	if (!title)
		return TM_ENOMEM;
	*title = (struct title){
		.next = reader->titles, .section = at->section, .title = at->title,
		.outer = at->outer, .file = file->path, .line = at->line,
		.instance = at->instance, .wrong = !is_one_line(at->title),
	};
	reader->titles = title;
	*refused = title->wrong;
	if (!title->wrong)
		return TM_OK;
	return add(reader, file, at->line,
		   "the name of this %s holds a control character, or is not UTF-8", at->section);
}

/* The titles of the sections that a value stands in, the outer one first. */
static enum tm_err check_titles(struct reader *reader, struct tm_conf_file *file,
				const struct tm_conf_event *event, bool *refused)
{
	const char *section = event->name->section, *dot = strchr(section, '.');
	struct place at = {.line = event->line, .outer = ""};
	enum tm_err err;

	*refused = false;
	if (!event->name->titled)
		return TM_OK;
	if (dot) {
		at.section = tm_arena_dup(&reader->arena, section, (size_t)(dot - section));
		at.title = event->outer;
		at.instance = event->outer_instance;
		if (!at.section)
			return TM_ENOMEM;
		err = check_title(reader, file, &at, refused);
		if (err != TM_OK || *refused)
			return err;
	}
	at.section = section;
	at.title = event->title;
	at.outer = event->outer;
	at.instance = event->instance;
	return check_title(reader, file, &at, refused);
}

/* The line where the same file has set the same thing before; 0 when it has not. */
static int set_before(const struct tm_conf_file *file, const struct tm_conf_event *event)
{
	for (const struct tm_conf_event *at = file->events; at != event; at = at->next)
		if (at->name == event->name && strcmp(at->title, event->title) == 0 &&
		    strcmp(at->outer, event->outer) == 0)
			return at->line;
	return 0;
}

static enum tm_err take_value(struct reader *reader, struct tm_conf_file *file,
			      const struct tm_conf_event *event)
{
	char why[WHY_MAX] = "";
	const struct tm_conf_value value = {
		.file = file->path, .line = event->line, .section = event->name->section,
		.title = event->title, .outer = event->outer, .name = event->name->name,
		.value = event->value,
	};
	bool refused;
	int before;
	enum tm_err err = check_titles(reader, file, event, &refused);

	if (err != TM_OK || refused)
		return err;
	before = set_before(file, event);
	if (before)
		return add(reader, file, event->line, "\"%s\" was already set on line %d",
			   value.name, before);
	err = reader->form->take(reader->form->arg, &value, why, sizeof(why));
	if (err == TM_EINVAL)
		err = add(reader, file, event->line, "%s%s%s: %s", value.section,
			  value.section[0] ? "." : "", value.name, why);
	return err;
}

static enum tm_err read_file(struct reader *reader, const char *path);

/* The including file's folder, with what glob would read as a pattern escaped, and the pattern. */
static const char *full_pattern(struct reader *reader, const char *path, const char *pattern)
{
	const char *slash = strrchr(path, '/');
	char *out, *at;

	if (pattern[0] == '/' || !slash)
		return pattern;
	out = tm_arena_alloc(&reader->arena, 2 * (size_t)(slash - path) + strlen(pattern) + 2);
	if (!out)
		return NULL;
	at = out;
	for (const char *from = path; from <= slash; from++) {
		if (strchr("*?[]\\", *from))
			*at++ = '\\';
		*at++ = *from;
	}
	(void)memcpy(at, pattern, strlen(pattern));
	return out;
}

static enum tm_err include_one(struct reader *reader, struct tm_conf_file *file, int line,
			       const char *path)
{
	enum tm_err err;

	if (reader->files == FILES_MAX || reader->depth == DEPTH_MAX)
		return add(reader, file, line, "includes are nested too deeply, or too many");
	reader->depth++;
	err = read_file(reader, path);
	reader->depth--;
	if (err == TM_ENOENT)
		err = add(reader, file, line, "cannot read %s: %s", path, tm_file_error(errno));
	return err;
}

static enum tm_err take_include(struct reader *reader, struct tm_conf_file *file,
				const struct tm_conf_event *event)
{
	const char *pattern = full_pattern(reader, file->path, event->value);
	glob_t found = {0};
	enum tm_err err = TM_OK;
	int rc;

	if (!pattern)
		return TM_ENOMEM;
	if (!is_one_line(event->value))
		return add(reader, file, event->line, "the name of the file to include holds a "
			   "control character, or is not UTF-8");
	rc = glob(pattern, 0, NULL, &found);
	if (rc == GLOB_NOSPACE)
		err = TM_ENOMEM;
	else if (rc != 0 && !strpbrk(event->value, "*?["))
		err = add(reader, file, event->line, "there is no file %s to include", pattern);
	for (size_t i = 0; rc == 0 && err == TM_OK && i < found.gl_pathc; i++)
		err = include_one(reader, file, event->line, found.gl_pathv[i]);
	globfree(&found);
	return err;
}

static void report_all(struct reader *reader, const struct tm_conf_file *file)
{
	char text[LINE_MAX_BYTES + 256];
	int count = 0;

	for (const struct tm_conf_mistake *at = file->mistakes; at; at = at->next) {
		(void)snprintf(text, sizeof(text), "%s:%d: %s%s", file->path, at->line, at->text,
			       ++count < TM_CONF_MISTAKES_MAX ? "" :
			       " (what else is wrong behind this is not told)");
		reader->form->report(reader->form->arg, text);
		reader->mistakes = true;
	}
}

static enum tm_err take_events(struct reader *reader, struct tm_conf_file *file)
{
	enum tm_err err = TM_OK;
	int taken = 0;

	for (const struct tm_conf_event *at = file->events; at && err == TM_OK; at = at->next) {
		if (++taken > EVENTS_MAX)
			return add(reader, file, at->line, "more than %d settings in one file",
				   EVENTS_MAX);
		err = at->name ? take_value(reader, file, at) : take_include(reader, file, at);
	}
	return err;
}

static void wipe(struct tm_conf_file *file)
{
	for (struct tm_conf_event *at = file->events; at; at = at->next)
		explicit_bzero(at->value, strlen(at->value));
	if (file->text)
		explicit_bzero(file->text, strlen(file->text));
}

static enum tm_err parse_file(struct reader *reader, struct tm_conf_file *file)
{
	enum tm_err err = tm_conf_parse(file);

	return err == TM_OK ? take_events(reader, file) : err;
}

/* TM_OK whatever the mistakes; TM_ENOENT with errno: cannot be read; TM_ENOMEM. */
static enum tm_err read_file(struct reader *reader, const char *path)
{
	struct tm_conf_file file = {.path = path};
	enum tm_err err = open_file(reader, path, &file);

	reader->files++;
	switch (err) {
	case TM_OK:
		err = parse_file(reader, &file);
		break;
	case TM_EIO:
		return TM_ENOENT;
	case TM_ESIZE:
		err = add(reader, &file, 1, "the file is larger than 1 MiB");
		break;
	case TM_EINVAL:
		err = add(reader, &file, 1, "the file holds a NUL byte: it is no text");
		break;
	default:
		break;
	}
	report_all(reader, &file);
	wipe(&file);
	return err;
}

enum tm_err tm_conf_read(const char *path, const struct tm_conf_form *form)
{
	struct reader reader = {.form = form};
	enum tm_err err;
	int error;

	tm_arena_init(&reader.arena, MEMORY_MAX);
	err = read_file(&reader, path);
	error = errno;
	tm_arena_clear(&reader.arena);
	errno = error;
	return err == TM_OK && reader.mistakes ? TM_EINVAL : err;
}

enum tm_err tm_conf_read_text(const char *name, const char *text, const struct tm_conf_form *form)
{
	struct reader reader = {.form = form, .files = 1};
	struct tm_conf_file file = {.path = name};
	enum tm_err err;

	tm_arena_init(&reader.arena, MEMORY_MAX);
	err = open_text(&reader, name, text, &file);
	if (err == TM_OK)
		err = parse_file(&reader, &file);
	report_all(&reader, &file);
	wipe(&file);
	tm_arena_clear(&reader.arena);
	return err == TM_OK && reader.mistakes ? TM_EINVAL : err;
}
