/*
 * FILE.batches.jsonl: one line per batch, on disk before the batch is sent. The id alone would not
 * do: it is known only with the lines that the batch holds, and how many these were depends on
 * where the file ended and on what the server took when they were sent.
 *
 * Lines are appended; where a batch must be split the file is written anew and renamed, so that it
 * is whole at any moment.
 */
#include "ctl_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "io/json.h"

enum { ROOM = 64 };

static int say(const struct tm_run_plan *plan, const char *why)
{
	return tm_run_say(plan->input->screen, "%s: %s", plan->path, why);
}

static struct tm_run_entry entry_of(const struct tm_run_batch *batch)
{
	struct tm_run_entry entry = {.from = batch->from, .line = batch->lines[0],
				     .count = batch->count};

	memcpy(entry.id, batch->id, sizeof(entry.id));
	return entry;
}

static bool make_room(struct tm_run_plan *plan, size_t more)
{
	size_t room = plan->room;
	struct tm_run_entry *list;

	while (plan->count + more > room)
		room = room ? 2 * room : ROOM;
	if (room == plan->room)
		return true;
	list = realloc(plan->list, room * sizeof(*list));
	if (!list)
		return false;
	plan->list = list;
	plan->room = room;
	return true;
}

static void put_entry(FILE *file, const struct tm_run_entry *entry)
{
	(void)fprintf(file, "{\"line\":%zu,\"requests\":%zu,\"batch_id\":\"%s\"}\n", entry->line,
		      entry->count, entry->id);
}

static bool on_disk(FILE *file)
{
	return !ferror(file) && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

/* A batch that is noted, read again; it must be what it was. */
static int read_noted(struct tm_run_plan *plan, const struct tm_run_entry *entry,
		      struct tm_run_batch *batch)
{
	int status = tm_run_input_batch(plan->input, &entry->from, entry->count, batch);

	batch->noted = true;
	if (status != TM_CTL_DONE ||
	    (batch->count == entry->count && strcmp(batch->id, entry->id) == 0))
		return status;
	return tm_run_say(plan->input->screen,
			  "%s:%zu: changed, here or in the %zu requests from here, since it was "
			  "sent; nothing is sent now. Lines may be appended only: put others into "
			  "a file of their own, or change these back (%s tells what was sent)",
			  plan->input->path, entry->line, entry->count, plan->path);
}

static int take_line(struct tm_run_plan *plan, const char *text, size_t text_len,
		     struct tm_run_batch *scratch)
{
	struct tm_run_entry entry = {.from = plan->end};
	struct tm_json *json = NULL;
	const char *id = NULL;
	size_t len = 0;
	int64_t count = 0, line = 0;

	if (tm_json_parse(text, text_len, TM_RUN_DEPTH, &json) == TM_OK) {
		id = tm_json_text(tm_json_get(json, "batch_id"), &len);
		count = tm_json_int(tm_json_get(json, "requests"));
		line = tm_json_int(tm_json_get(json, "line"));
	}
	if (id && len < sizeof(entry.id))
		memcpy(entry.id, id, len + 1);
	tm_json_free(json);
	if (!entry.id[0] || count < 1 || count > TM_RUN_ITEMS || line < 1)
		return tm_run_say(plan->input->screen, "%s:%zu: not as this command wrote it",
				  plan->path, plan->count + 1);
	entry.count = (size_t)count;
	entry.line = (size_t)line;
	if (!make_room(plan, 1))
		return say(plan, "out of memory");
	plan->list[plan->count++] = entry;
	return read_noted(plan, &entry, scratch);
}

/* A torn line at the end is of a batch that was not sent. */
static int load(struct tm_run_plan *plan, struct tm_run_batch *scratch)
{
	int status = TM_CTL_DONE;
	char *text = NULL;
	size_t size = 0;
	off_t whole = 0;
	ssize_t got;

	while (status == TM_CTL_DONE && (got = getline(&text, &size, plan->file)) > 0 &&
	       text[got - 1] == '\n') {
		status = take_line(plan, text, (size_t)got, scratch);
		plan->end = scratch->to;
		whole += got;
	}
	free(text);
	if (status == TM_CTL_DONE && (fflush(plan->file) || ftruncate(fileno(plan->file), whole)))
		status = say(plan, strerror(errno));
	(void)fseeko(plan->file, 0, SEEK_END);
	return status;
}

int tm_run_plan_open(struct tm_run_plan *plan, struct tm_run_input *input,
		     struct tm_run_batch *scratch)
{
	size_t size = strlen(input->path) + sizeof(".batches.jsonl");
	struct stat about;

	*plan = (struct tm_run_plan){.input = input, .path = malloc(size)};
	if (!plan->path)
		return tm_run_say(input->screen, "out of memory");
	(void)snprintf(plan->path, size, "%s.batches.jsonl", input->path);
	plan->file = fopen(plan->path, "a+e");
	if (!plan->file || fstat(fileno(plan->file), &about))
		return say(plan, strerror(errno));
	if (!S_ISREG(about.st_mode))
		return say(plan, "no regular file");
	rewind(plan->file);
	return load(plan, scratch);
}

void tm_run_plan_close(struct tm_run_plan *plan)
{
	if (plan->file)
		(void)fclose(plan->file);
	free(plan->path);
	free(plan->list);
}

int tm_run_plan_get(struct tm_run_plan *plan, size_t index, size_t most,
		    struct tm_run_batch *batch)
{
	int status;

	if (index < plan->count)
		return read_noted(plan, &plan->list[index], batch);
	status = tm_run_input_batch(plan->input, &plan->end, most, batch);
	batch->noted = false;
	if (status != TM_CTL_DONE || batch->count == 0)
		return status;
	if (!make_room(plan, 1))
		return say(plan, "out of memory");
	plan->list[plan->count] = entry_of(batch);
	put_entry(plan->file, &plan->list[plan->count]);
	if (!on_disk(plan->file))
		return say(plan, strerror(errno));
	plan->count++;
	plan->end = batch->to;
	return TM_CTL_DONE;
}

static int write_anew(struct tm_run_plan *plan)
{
	size_t size = strlen(plan->path) + sizeof(".new");
	char *path = malloc(size);
	int status = TM_CTL_FAILED;
	FILE *file = NULL;

	if (!path)
		return say(plan, "out of memory");
	(void)snprintf(path, size, "%s.new", plan->path);
	file = fopen(path, "we");
	for (size_t i = 0; file && i < plan->count; i++)
		put_entry(file, &plan->list[i]);
	if (!file || !on_disk(file) || rename(path, plan->path)) {
		(void)tm_run_say(plan->input->screen, "%s: %s", path, strerror(errno));
		(void)unlink(path);
		goto out;
	}
	(void)fclose(plan->file);
	plan->file = file;
	file = NULL;
	status = TM_CTL_DONE;
out:
	if (file)
		(void)fclose(file);
	free(path);
	return status;
}

int tm_run_plan_split(struct tm_run_plan *plan, size_t index, size_t most,
		      struct tm_run_batch *scratch)
{
	struct tm_run_entry parts[TM_RUN_ITEMS];
	struct tm_run_place from = plan->list[index].from;
	size_t left = plan->list[index].count, count = 0;

	while (left > 0) {
		int status = tm_run_input_batch(plan->input, &from, left < most ? left : most,
						scratch);

		if (status == TM_CTL_DONE && scratch->count == 0)
			status = tm_run_say(plan->input->screen, "%s: changed meanwhile",
					    plan->input->path);
		if (status != TM_CTL_DONE)
			return status;
		parts[count++] = entry_of(scratch);
		left -= scratch->count;
		from = scratch->to;
	}
	if (!make_room(plan, count))
		return say(plan, "out of memory");
	memmove(plan->list + index + count, plan->list + index + 1,
		(plan->count - index - 1) * sizeof(*plan->list));
	memcpy(plan->list + index, parts, count * sizeof(*parts));
	plan->count += count - 1;
	return write_anew(plan);
}
