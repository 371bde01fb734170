/*
 * The file of requests. All of it is looked at before anything is sent: better now than half-way.
 * Batches are read again from where they begin, so that nothing of a long file is held.
 */
#include "ctl_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "ctl.h"
#include "io/json.h"

enum { ID_HEX = 24 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next line that is not blank, without its end. False: no more, or it cannot be read. */
static bool next_line(struct tm_run_input *input, size_t *len)
{
	ssize_t got;

	while (input->place.at < input->end &&
	       (got = getline(&input->text, &input->size, input->file)) > 0) {
		size_t end = (size_t)got;

		input->place.at += got;
		input->place.line++;
		while (end > 0 && is_blank(input->text[end - 1]))
			end--;
		if (end == 0)
			continue;
		input->text[end] = '\0';
		*len = end;
		return true;
	}
	return false;
}

static int check_line(struct tm_run_input *input, size_t len)
{
	struct tm_json *json = NULL;
	const char *wrong = "no JSON object", *fault;
	enum tm_err err;
	bool good;

	if (len > TM_RUN_BYTES)
		return tm_run_say(input->screen, "%s:%zu: too long: %zu bytes, not at most %d",
				  input->path, input->place.line, len, TM_RUN_BYTES);
	err = tm_json_receive((struct tm_json_source){input->text, len, TM_RUN_DEPTH}, &json,
			      &fault);
	good = err == TM_OK && tm_json_kind(json) == TM_JSON_OBJECT_KIND;
	tm_json_free(json);
	if (good)
		return TM_CTL_DONE;
	if (fault)
		wrong = fault;
	else if (err == TM_EUTF8)
		wrong = "not UTF-8";
	else if (err == TM_ESIZE)
		wrong = "nested too deeply";
	else if (err == TM_ENOMEM)
		wrong = tm_err_text(err);
	return tm_run_say(input->screen, "%s:%zu: %s", input->path, input->place.line, wrong);
}

static int check(struct tm_run_input *input)
{
	size_t len;

	for (; next_line(input, &len); input->total++) {
		int status = check_line(input, len);

		if (status != TM_CTL_DONE)
			return status;
	}
	if (!feof(input->file))
		return tm_run_say(input->screen, "%s: %s", input->path, strerror(errno));
	if (input->total == 0)
		return tm_run_say(input->screen, "%s: no request in it", input->path);
	input->end = input->place.at;
	return TM_CTL_DONE;
}

int tm_run_input_open(struct tm_run_input *input, const char *path, struct tm_run_screen *screen)
{
	struct stat about;
	int fd = tm_file_open(path, &about);

	*input = (struct tm_run_input){.screen = screen, .path = path, .end = INT64_MAX};
	if (fd < 0 && (errno == EISDIR || errno == EINVAL))
		return tm_run_say(screen, "%s: no regular file: what was done of it could not be "
				  "found again; put the requests into a file", path);
	if (fd >= 0)
		input->file = fdopen(fd, "r");
	if (!input->file) {
		int why = errno;

		if (fd >= 0)
			(void)close(fd);
		return tm_run_say(screen, "%s: %s", path, strerror(why));
	}
	return check(input);
}

void tm_run_input_close(struct tm_run_input *input)
{
	if (input->file)
		(void)fclose(input->file);
	free(input->text);
}

/* Ends the body: its id is of all that stands before it. */
static void put_id(struct tm_run_batch *batch)
{
	uint8_t digest[TM_SHA256_BYTES];
	char hex[TM_SHA256_HEX_BYTES];

	tm_buf_puts(&batch->body, "]");
	tm_digest_sha256(tm_buf_text(&batch->body), batch->body.len, digest);
	tm_digest_hex(digest, sizeof(digest), hex);
	(void)snprintf(batch->id, sizeof(batch->id), "run-%.*s-%zu", ID_HEX, hex, batch->lines[0]);
	tm_buf_printf(&batch->body, ",\"batch_id\":\"%s\"}", batch->id);
}

int tm_run_input_batch(struct tm_run_input *input, const struct tm_run_place *from, size_t most,
		       struct tm_run_batch *batch)
{
	struct tm_buf *body = &batch->body;
	struct tm_run_place before = *from;
	size_t len;

	batch->count = 0;
	batch->from = input->place = *from;
	tm_buf_reset(body, body->size);
	tm_buf_puts(body, "{\"requests\":[");
	if (fseeko(input->file, from->at, SEEK_SET))
		return tm_run_say(input->screen, "%s: %s", input->path, strerror(errno));
	while (batch->count < most && next_line(input, &len)) {
		if (batch->count > 0 && body->len + len > TM_RUN_BYTES) {
			input->place = before;
			break;
		}
		tm_buf_puts(body, batch->count ? "," : "");
		tm_buf_put(body, input->text, len);
		batch->lines[batch->count++] = input->place.line;
		before = input->place;
	}
	batch->to = input->place;
	if (ferror(input->file) || (feof(input->file) && input->place.at < input->end))
		return tm_run_say(input->screen, "%s: cannot be read to its end any more",
				  input->path);
	if (batch->count > 0)
		put_id(batch);
	return tm_buf_err(body) == TM_OK ? TM_CTL_DONE
					 : tm_run_say(input->screen, "out of memory");
}
