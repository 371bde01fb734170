/*
 * Reads the keys file line by line and tells every mistake, so that one look at the log
 * repairs the file. What a report repeats are field names and public ids: a hash, or a key
 * pasted into the wrong place, never gets into a log.
 */
#include "gate/keys_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/file.h"

const char *const tm_keys_permissions[] = {"read", "write", "admin", NULL};

enum { FIELDS = 5, TEXT_BYTES = 512 };
static const char *const fields[FIELDS] = {"sha256", "user", "permissions", "hour", "expires"};
static const char *const needed[] = {"sha256", "user", "permissions"};

struct reader {
	const char *path;
	int line;
	int mistakes;
	tm_keys_report *report;
	void *arg;
	struct tm_keys_table *table;
	size_t size;		/* entries allocated */
};

static void tell(const struct reader *reader, const char *fmt, ...) TM_PRINTF(2, 3);
static void tell(const struct reader *reader, const char *fmt, ...)
{
	char text[TEXT_BYTES], words[TEXT_BYTES / 2];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	if (reader->line > 0)
		(void)snprintf(text, sizeof(text), "%.200s:%d: %s", reader->path, reader->line,
			       words);
	else
		(void)snprintf(text, sizeof(text), "%.200s: %s", reader->path, words);
	if (reader->report)
		reader->report(reader->arg, text);
}

/* A mistake in the line in hand; yields false. */
#define MISTAKE(reader, ...) (tell((reader), __VA_ARGS__), (reader)->mistakes++, false)

static bool all_of(const char *text, const char *more)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(more, *text))
			return false;
	return true;
}

int tm_keys_user_ok(const char *user)
{
	size_t len = strlen(user);

	return len >= 1 && len < TM_KEY_USER_BYTES && all_of(user, "_.@+-");
}

static bool read_permissions(struct reader *reader, char *value, uint8_t *out)
{
	char *at = NULL;

	*out = 0;
	for (char *word = strtok_r(value, ",", &at); word; word = strtok_r(NULL, ",", &at)) {
		int i = 0;

		while (tm_keys_permissions[i] && strcmp(tm_keys_permissions[i], word) != 0)
			i++;
		if (!tm_keys_permissions[i])
			return MISTAKE(reader,
				       "permissions are read, write, admin, with commas between");
		*out |= (uint8_t)(1u << i);
	}
	return *out ? true : MISTAKE(reader, "permissions is empty");
}

static bool read_hour(struct reader *reader, const char *value, int64_t *out)
{
	int64_t number = 0;

	for (const char *at = value; *at; at++) {
		if (!isdigit((unsigned char)*at) || number > 100000000)
			return MISTAKE(reader, "hour is a number of requests, 1 to 1000000000");
		number = number * 10 + (*at - '0');
	}
	if (number < 1 || number > 1000000000)
		return MISTAKE(reader, "hour is a number of requests, 1 to 1000000000");
	*out = number;
	return true;
}

static bool read_field(struct reader *reader, struct tm_keys_entry *entry, size_t field,
		       char *value)
{
	switch (field) {
	case 0:
		if (tm_digest_unhex(value, entry->hash, sizeof(entry->hash)) != TM_OK)
			return MISTAKE(reader, "sha256 takes 64 hex digits");
		return true;
	case 1:
		if (!tm_keys_user_ok(value))
			return MISTAKE(reader, "user takes 1 to %d of 0-9 A-Z a-z _ . @ + -",
				       TM_KEY_USER_BYTES - 1);
		memcpy(entry->user, value, strlen(value) + 1);
		return true;
	case 2:
		return read_permissions(reader, value, &entry->permissions);
	case 3:
		return read_hour(reader, value, &entry->hour);
	default:
		if (tm_clock_parse_iso(value, &entry->expires_ms) != TM_OK ||
		    entry->expires_ms < 1)
			return MISTAKE(reader,
				       "expires takes 2027-01-31 or 2027-01-31T12:00:00Z (UTC)");
		return true;
	}
}

/* name=value; seen has a bit per field. */
static bool take_word(struct reader *reader, struct tm_keys_entry *entry, char *word,
		      unsigned *seen)
{
	char *equals = strchr(word, '=');
	const char *near;

	if (!equals)
		return MISTAKE(reader, "a field is written name=value");
	*equals = '\0';
	for (size_t i = 0; i < FIELDS; i++) {
		if (strcmp(word, fields[i]) != 0)
			continue;
		if (*seen & 1u << i)
			return MISTAKE(reader, "%s is given twice", fields[i]);
		*seen |= 1u << i;
		return read_field(reader, entry, i, equals + 1);
	}
	near = tm_conf_nearest(word, fields, FIELDS);
	if (near)
		return MISTAKE(reader, "unknown field: did you mean %s?", near);
	return MISTAKE(reader, "unknown field: there are sha256, user, permissions, hour, expires");
}

/* One line with something on it. */
static bool take_line(struct reader *reader, char *line, struct tm_keys_entry *entry)
{
	static const char blanks[] = " \t\r\n";
	unsigned seen = 0;
	bool ok = true;
	char *at = NULL, *word = strtok_r(line, blanks, &at);

	*entry = (struct tm_keys_entry){.line = reader->line};
	if (strlen(word) != TM_KEY_PUBLIC || !all_of(word, ""))
		ok = MISTAKE(reader, "the line starts with the %d characters of a key's public id",
			     TM_KEY_PUBLIC);
	else
		memcpy(entry->id, word, TM_KEY_PUBLIC + 1);
	while ((word = strtok_r(NULL, blanks, &at)) && word[0] != '#')
		ok = take_word(reader, entry, word, &seen) && ok;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!(seen & 1u << i))
			ok = MISTAKE(reader, "%s is missing", needed[i]);
	return ok;
}

static enum tm_err add(struct reader *reader, const struct tm_keys_entry *entry)
{
	struct tm_keys_table *table = reader->table;

	if (table->count == reader->size) {
		size_t size = reader->size ? reader->size * 2 : 16;
		struct tm_keys_entry *entries = realloc(table->entries, size * sizeof(*entries));

		if (!entries)
			return TM_ENOMEM;
		table->entries = entries;
		reader->size = size;
	}
	table->entries[table->count++] = *entry;
	return TM_OK;
}

/* The next line, without its newline. *whole: false where it is too long, or holds a NUL. */
static bool next_line(FILE *file, char line[TM_KEYS_LINE_BYTES + 1], bool *whole)
{
	size_t len = 0;
	int c;

	*whole = true;
	while ((c = getc_unlocked(file)) != EOF && c != '\n') {
		if (c == '\0' || len == TM_KEYS_LINE_BYTES)
			*whole = false;
		else
			line[len++] = (char)c;
	}
	line[len] = '\0';
	return c != EOF || len > 0;
}

static enum tm_err read_lines(struct reader *reader, FILE *file)
{
	char line[TM_KEYS_LINE_BYTES + 1];
	struct tm_keys_entry entry;
	bool whole;

	while (next_line(file, line, &whole)) {
		size_t start = strspn(line, " \t\r");

		reader->line++;
		if (!whole) {
			(void)MISTAKE(reader, "the line is longer than %d bytes, or holds a NUL",
				      TM_KEYS_LINE_BYTES);
			continue;
		}
		if (line[start] == '\0' || line[start] == '#')
			continue;
		if (!take_line(reader, line, &entry))
			continue;
		if (reader->table->count == TM_KEYS_FILE_MAX) {
			(void)MISTAKE(reader, "more than %d keys", TM_KEYS_FILE_MAX);
			return TM_OK;
		}
		if (add(reader, &entry) != TM_OK)
			return TM_ENOMEM;
	}
	return ferror(file) ? TM_EIO : TM_OK;
}

static int by_id(const void *a, const void *b)
{
	const struct tm_keys_entry *left = a, *right = b;
	int order = strcmp(left->id, right->id);

	return order ? order : left->line - right->line;
}

/* Of lines with the same id the first counts: the others are mistakes. */
static void sort(struct reader *reader)
{
	struct tm_keys_table *table = reader->table;
	struct tm_keys_entry *entries = table->entries;
	size_t kept = 0;

	if (table->count > 0)
		qsort(entries, table->count, sizeof(*entries), by_id);
	for (size_t i = 0; i < table->count; i++) {
		if (kept == 0 || strcmp(entries[i].id, entries[kept - 1].id) != 0) {
			entries[kept++] = entries[i];
			continue;
		}
		reader->line = entries[i].line;
		(void)MISTAKE(reader, "key %s stands already in line %d", entries[i].id,
			      entries[kept - 1].line);
	}
	table->count = kept;
}

static FILE *open_file(const struct reader *reader)
{
	struct stat about;
	int fd = tm_file_open(reader->path, &about);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (!file)
		tell(reader, "cannot be read: %s", tm_file_error(errno));
	if (!file && fd >= 0)
		(void)close(fd);
	if (file && about.st_mode & S_IROTH)
		tell(reader, "warning: everyone may read it (chmod o-r)");
	return file;
}

enum tm_err tm_keys_file_read(const char *path, struct tm_keys_table *out, tm_keys_report *report,
			      void *arg)
{
	struct tm_keys_table table = {0};
	struct reader reader = {.path = path, .report = report, .arg = arg, .table = &table};
	FILE *file = open_file(&reader);
	enum tm_err err = TM_EIO;

	if (!file)
		return TM_EIO;
	err = read_lines(&reader, file);
	if (err == TM_OK)
		sort(&reader);
	if (err == TM_OK && reader.mistakes > 0)
		err = TM_EINVAL;
	if (err == TM_EIO) {
		reader.line = 0;
		tell(&reader, "cannot be read");
	}
	if (err == TM_OK || err == TM_EINVAL) {
		*out = table;
		table = (struct tm_keys_table){0};
	}
	(void)fclose(file);
	tm_keys_table_clear(&table);
	return err;
}

void tm_keys_table_clear(struct tm_keys_table *table)
{
	free(table->entries);
	*table = (struct tm_keys_table){0};
}

const struct tm_keys_entry *tm_keys_table_find(const struct tm_keys_table *table, const char *id)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(table->entries[middle].id, id, TM_KEY_PUBLIC);

		if (order == 0)
			return &table->entries[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
