/*
 * textmillctl batch run: a file of any length through POST /v1/batch_process.
 *
 * The name of each batch is the hash of its lines and of where they stand. So a run that was
 * broken off finds its batches again (the id is taken: 409) instead of paying for them twice, and
 * the results file alone tells where to go on. A few batches are under way at once; results are
 * written in order, whole batches at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "ctl.h"
#include "io/http.h"
#include "io/json.h"

enum {
	BATCH_ITEMS = 50,
	BATCH_BYTES = 900 * 1024,	/* below limits.body */
	WINDOW = 4,			/* batches under way */
	ANSWER_MAX = 64 * 1024 * 1024,
	CALL_MS = 60 * 1000, CONNECT_MS = 10 * 1000,
	POLL_MIN_MS = 100, POLL_MAX_MS = 2000,
	TROUBLE_MAX_MS = 10 * 60 * 1000,	/* no answer of use for so long: given up */
	TELL_MS = 10 * 1000,			/* a line in a log */
	DEPTH = 64, KEY_MAX = 512, BAR = 30
};

/* A batch under way. */
struct chunk {
	char id[40];
	struct tm_buf body;
	size_t first, count;	/* number of its first line, and lines */
	bool sent;
};

struct run {
	const char *path, *url, *key_file, *ca_file;
	char *results_path;
	char authorization[KEY_MAX + 32];
	FILE *in, *out;
	char *line;
	size_t line_size;
	struct tm_http *http;
	struct tm_buf answer;
	struct chunk chunks[WINDOW];
	size_t begun, ended;		/* chunks: ended..begun are under way */
	size_t total, next, done, failed;	/* lines; next: to be read */
	bool at_end, terminal;
	int64_t started_ms, told_ms, trouble_ms;
	size_t skipped;
};

static int say(const char *what, const char *which)
{
	(void)fprintf(stderr, "textmillctl: %s%s%s\n", what, which[0] ? " " : "", which);
	return TM_CTL_FAILED;
}

/* A bar on a terminal, a line now and then in a log. */
static void tell(struct run *run, bool last)
{
	int64_t now_ms = tm_clock_mono_ms();
	double seconds = (double)(now_ms - run->started_ms) / 1000;
	double rate = seconds > 0 ? (double)(run->done - run->skipped) / seconds : 0;
	size_t filled = run->total ? run->done * BAR / run->total : BAR;
	char bar[BAR + 1];

	if (!last && now_ms - run->told_ms < (run->terminal ? 100 : TELL_MS))
		return;
	run->told_ms = now_ms;
	if (!run->terminal) {
		(void)fprintf(stderr, "%zu of %zu done, %zu failed, %.1f/s\n", run->done,
			      run->total, run->failed, rate);
		return;
	}
	memset(bar, '.', BAR);
	memset(bar, '#', filled);
	bar[BAR] = '\0';
	(void)fprintf(stderr, "\r[%s] %zu/%zu  %zu failed  %.1f/s%s", bar, run->done, run->total,
		      run->failed, rate, last ? "  \n" : "  ");
}

static int read_options(const struct tm_ctl_command *command, int argc, char **argv,
			struct run *run)
{
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":", command->known, NULL)) != -1) {
		if (letter == 'l')
			run->url = optarg;
		else if (letter == 'k')
			run->key_file = optarg;
		else if (letter == 'a')
			run->ca_file = optarg;
		else
			return tm_ctl_usage(command, letter == ':' ? "a value is missing behind"
					    : "unknown option", argv[optind - 1]);
	}
	if (optind < argc)
		run->path = argv[optind++];
	if (optind < argc)
		return tm_ctl_usage(command, "unexpected word", argv[optind]);
	if (!run->path || !run->url)
		return tm_ctl_usage(command, "FILE and --url are needed", NULL);
	return TM_CTL_DONE;
}

static int read_key(struct run *run)
{
	const char *from = getenv("TEXTMILL_API_KEY");
	char key[KEY_MAX] = "";
	FILE *file = NULL;
	int status = TM_CTL_DONE;

	if (run->key_file) {
		file = fopen(run->key_file, "re");
		if (!file || !fgets(key, sizeof(key), file)) {
			(void)fprintf(stderr, "textmillctl: %s: cannot read the key\n",
				      run->key_file);
			status = TM_CTL_FAILED;
		}
		key[strcspn(key, "\r\n")] = '\0';
		from = key;
	}
	if (file)
		(void)fclose(file);
	if (status == TM_CTL_DONE && from && from[0] &&
	    snprintf(run->authorization, sizeof(run->authorization), "Authorization: Bearer %s",
		     from) >= (int)sizeof(run->authorization))
		status = say("the key is too long", "");
	tm_digest_wipe(key, sizeof(key));
	return status;
}

/* The next line without its end; blank ones are passed over. False: the end. */
static bool next_line(struct run *run, FILE *file, size_t *len)
{
	ssize_t got;

	while ((got = getline(&run->line, &run->line_size, file)) >= 0) {
		size_t end = (size_t)got;

		while (end > 0 && strchr(" \t\r\n", run->line[end - 1]))
			end--;
		if (end == 0)
			continue;
		run->line[end] = '\0';
		*len = end;
		return true;
	}
	return false;
}

/* Counts the lines and sees that each is an object: better now than half-way. */
static int check_input(struct run *run)
{
	char where[64];
	size_t len;

	while (next_line(run, run->in, &len)) {
		struct tm_json *json = NULL;
		bool good = tm_json_parse(run->line, len, DEPTH, &json) == TM_OK &&
			    tm_json_kind(json) == TM_JSON_OBJECT_KIND;

		tm_json_free(json);
		run->total++;
		if (!good || len > BATCH_BYTES) {
			(void)snprintf(where, sizeof(where), "request %zu is %s", run->total,
				       good ? "too large" : "no JSON object");
			return say(where, "");
		}
	}
	if (ferror(run->in))
		return say("cannot read", run->path);
	rewind(run->in);
	return TM_CTL_DONE;
}

/* What an earlier run has written: whole lines count, a torn one goes. */
static int open_results(struct run *run)
{
	size_t len = strlen(run->path) + sizeof(".results.jsonl");
	off_t whole = 0;

	run->results_path = malloc(len);
	if (!run->results_path)
		return say("out of memory", "");
	(void)snprintf(run->results_path, len, "%s.results.jsonl", run->path);
	run->out = fopen(run->results_path, "a+e");
	if (!run->out)
		return say(strerror(errno), run->results_path);
	rewind(run->out);
	for (ssize_t got; (got = getline(&run->line, &run->line_size, run->out)) > 0;) {
		if (run->line[got - 1] != '\n')
			break;
		whole += got;
		run->skipped++;
		run->failed += strstr(run->line, "\"status\":\"completed\"") == NULL;
	}
	if (fflush(run->out) || ftruncate(fileno(run->out), whole))
		return say(strerror(errno), run->results_path);
	if (run->skipped > run->total)
		return say("has more lines than there are requests: it belongs to another file:",
			   run->results_path);
	(void)fseeko(run->out, 0, SEEK_END);
	return TM_CTL_DONE;
}

/* Skips the lines whose results are there. */
static void skip(struct run *run)
{
	size_t len;

	while (run->next < run->skipped && next_line(run, run->in, &len))
		run->next++;
	run->done = run->skipped;
}

/* Fills a chunk with the next lines. False: none are left. */
static bool fill(struct run *run, struct chunk *chunk)
{
	uint8_t digest[TM_SHA256_BYTES];
	char hex[TM_SHA256_HEX_BYTES];
	size_t len;

	tm_buf_reset(&chunk->body, 0);
	*chunk = (struct chunk){.body = chunk->body, .first = run->next};
	tm_buf_printf(&chunk->body, "{\"requests\":[");
	while (chunk->count < BATCH_ITEMS) {
		long at = ftell(run->in);

		if (!next_line(run, run->in, &len))
			break;
		if (chunk->count > 0 && chunk->body.len + len > BATCH_BYTES) {
			(void)fseek(run->in, at, SEEK_SET);
			break;
		}
		tm_buf_puts(&chunk->body, chunk->count ? "," : "");
		tm_buf_put(&chunk->body, run->line, len);
		chunk->count++;
	}
	run->next += chunk->count;
	tm_buf_printf(&chunk->body, "]");
	tm_digest_sha256(tm_buf_text(&chunk->body), chunk->body.len, digest);
	tm_digest_hex(digest, sizeof(digest), hex);
	(void)snprintf(chunk->id, sizeof(chunk->id), "run-%.24s-%zu", hex, chunk->first + 1);
	tm_buf_printf(&chunk->body, ",\"batch_id\":\"%s\"}", chunk->id);
	return chunk->count > 0;
}

/* One request. *status 0: no answer. The body is in run->answer. */
static int exchange(struct run *run, const char *tail, const struct tm_buf *body, int *status,
		    int64_t *wait_ms)
{
	const char *headers[] = {"Content-Type: application/json", "Prefer: respond-async",
				 run->authorization, NULL};
	char url[2048];
	const struct tm_http_request request = {
		.url = url, .headers = headers, .ca_file = run->ca_file ? run->ca_file : "",
		.body = body ? body->data : NULL, .body_len = body ? body->len : 0,
		.connect_ms = CONNECT_MS, .total_ms = CALL_MS, .answer_max = ANSWER_MAX,
	};
	const struct tm_http_result *result = NULL;
	struct tm_http_call *call;

	*status = 0;
	*wait_ms = POLL_MAX_MS;
	if (!run->authorization[0])
		headers[2] = NULL;
	if (snprintf(url, sizeof(url), "%s/v1/%s", run->url, tail) >= (int)sizeof(url) ||
	    tm_http_start(run->http, &request, &call) != TM_OK)
		return say("not an address to call:", run->url);
	while (!(result = tm_http_result(call)))
		if (tm_http_wait(run->http, 1000, -1, NULL) != TM_OK)
			break;
	tm_buf_reset(&run->answer, 0);
	if (result && result->err == TM_OK) {
		*status = result->status;
		tm_buf_put(&run->answer, result->body, result->body_len);
		if (result->retry_after)
			*wait_ms = strtoll(result->retry_after, NULL, 10) * 1000;
	} else if (!run->trouble_ms) {
		(void)fprintf(stderr, "%stextmillctl: no answer: %s\n", run->terminal ? "\n" : "",
			      result ? result->detail : "out of memory");
	}
	tm_http_end(run->http, call);
	if (*wait_ms < POLL_MIN_MS)
		*wait_ms = POLL_MIN_MS;
	return tm_buf_err(&run->answer) == TM_OK ? TM_CTL_DONE : say("out of memory", "");
}

static void sleep_ms(struct run *run, int64_t ms)
{
	int64_t until_ms = tm_clock_mono_ms() + ms, left_ms;

	while ((left_ms = until_ms - tm_clock_mono_ms()) > 0) {
		if (tm_http_wait(run->http, left_ms < 1000 ? left_ms : 1000, -1, NULL) != TM_OK)
			return;
		tell(run, false);
	}
}

/* The words of a problem object, for a person. */
static int refuse(struct run *run, int status)
{
	struct tm_json *json = NULL;
	const char *detail = NULL;
	size_t len;

	if (tm_json_parse(tm_buf_text(&run->answer), run->answer.len, DEPTH, &json) == TM_OK)
		detail = tm_json_text(tm_json_get(json, "detail"), &len);
	(void)fprintf(stderr, "%stextmillctl: refused with %d: %s\n", run->terminal ? "\n" : "",
		      status, detail ? detail : "no textmill there?");
	tm_json_free(json);
	return TM_CTL_FAILED;
}

/* Trouble that may pass: waits. TM_CTL_FAILED once it has lasted too long. */
static int bear(struct run *run, int status, int64_t wait_ms)
{
	int64_t now_ms = tm_clock_mono_ms();

	if (status == 429) {	/* the limit of the key: known to pass */
		run->trouble_ms = now_ms;
		if (!run->terminal || wait_ms >= TELL_MS)
			(void)fprintf(stderr, "%srate limit reached: going on in %lld s\n",
				      run->terminal ? "\n" : "", (long long)(wait_ms / 1000));
	} else if (!run->trouble_ms) {
		run->trouble_ms = now_ms;
	} else if (now_ms - run->trouble_ms > TROUBLE_MAX_MS) {
		return status ? refuse(run, status) : say("given up", "");
	}
	sleep_ms(run, wait_ms);
	return TM_CTL_DONE;
}

static bool may_pass(int status)
{
	return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static int submit(struct run *run, struct chunk *chunk)
{
	while (!chunk->sent) {
		int status, outcome;
		int64_t wait_ms;

		outcome = exchange(run, "batch_process", &chunk->body, &status, &wait_ms);
		if (outcome != TM_CTL_DONE)
			return outcome;
		if (status == 202 || status == 200 || status == 409) {
			chunk->sent = true;
			run->trouble_ms = 0;
		} else if (!may_pass(status)) {
			return refuse(run, status);
		} else if (bear(run, status, wait_ms) != TM_CTL_DONE) {
			return TM_CTL_FAILED;
		}
	}
	return TM_CTL_DONE;
}

static int write_results(struct run *run, const struct chunk *chunk, const struct tm_json *results)
{
	struct tm_buf text;
	int status = TM_CTL_FAILED;

	tm_buf_init(&text, ANSWER_MAX);
	for (size_t i = 0; i < chunk->count; i++) {
		const struct tm_json *item = tm_json_item(results, i);
		const char *state;
		size_t len;

		state = tm_json_text(tm_json_get(item, "status"), &len);
		run->failed += !state || strcmp(state, "completed") != 0;
		tm_buf_printf(&text, "{\"line\":%zu,\"status\":", chunk->first + i + 1);
		tm_json_put(&text, tm_json_get(item, "status"));
		tm_buf_puts(&text, ",\"response\":");
		tm_json_put(&text, tm_json_get(item, "response"));
		tm_buf_puts(&text, ",\"error\":");
		tm_json_put(&text, tm_json_get(item, "error"));
		tm_buf_puts(&text, "}\n");
	}
	if (tm_buf_err(&text) != TM_OK)
		(void)say("out of memory", "");
	else if (fwrite(text.data, 1, text.len, run->out) != text.len || fflush(run->out) ||
		 fsync(fileno(run->out)))
		(void)say(strerror(errno), run->results_path);
	else
		status = TM_CTL_DONE;
	tm_buf_clear(&text);
	return status;
}

/* Reads a status. *ended: the batch is over and its results are written. */
static int take_status(struct run *run, struct chunk *chunk, bool *ended, size_t *finished)
{
	struct tm_json *json = NULL;
	const char *state = NULL;
	int status = TM_CTL_DONE;
	size_t len;

	*ended = false;
	if (tm_json_parse(tm_buf_text(&run->answer), run->answer.len, DEPTH, &json) == TM_OK)
		state = tm_json_text(tm_json_get(json, "status"), &len);
	if (!state || tm_json_int(tm_json_get(json, "total_requests")) != (int64_t)chunk->count) {
		tm_json_free(json);
		return say("what answers there is no textmill, or its batch is not this one:",
			   chunk->id);
	}
	*finished = (size_t)(tm_json_int(tm_json_get(json, "completed")) +
			     tm_json_int(tm_json_get(json, "failed")));
	if (strcmp(state, "completed") == 0 || strcmp(state, "cancelled") == 0) {
		status = write_results(run, chunk, tm_json_get(json, "results"));
		*ended = true;
	}
	tm_json_free(json);
	return status;
}

/* Waits for the oldest batch and writes its results. */
static int await(struct run *run, struct chunk *chunk)
{
	const size_t before = run->done;
	int64_t pause_ms = POLL_MIN_MS;
	bool ended = false;
	char tail[64];

	(void)snprintf(tail, sizeof(tail), "batch_status/%s", chunk->id);
	while (!ended) {
		int status, outcome;
		size_t finished = 0;
		int64_t wait_ms;

		outcome = exchange(run, tail, NULL, &status, &wait_ms);
		if (outcome == TM_CTL_DONE && status == 200) {
			run->trouble_ms = 0;
			outcome = take_status(run, chunk, &ended, &finished);
			run->done = before + (ended ? chunk->count : finished);
			tell(run, false);
			if (!ended && outcome == TM_CTL_DONE)
				sleep_ms(run, pause_ms);
			pause_ms = pause_ms * 2 < POLL_MAX_MS ? pause_ms * 2 : POLL_MAX_MS;
		} else if (outcome == TM_CTL_DONE && status == 404) {
			chunk->sent = false;	/* it has expired, or Redis has lost it */
			outcome = submit(run, chunk);
		} else if (outcome == TM_CTL_DONE) {
			outcome = may_pass(status) ? bear(run, status, wait_ms)
						   : refuse(run, status);
		}
		if (outcome != TM_CTL_DONE)
			return outcome;
	}
	return TM_CTL_DONE;
}

static int work(struct run *run)
{
	int status = TM_CTL_DONE;

	while (status == TM_CTL_DONE) {
		struct chunk *oldest = &run->chunks[run->ended % WINDOW];

		while (status == TM_CTL_DONE && !run->at_end && run->begun - run->ended < WINDOW) {
			struct chunk *chunk = &run->chunks[run->begun % WINDOW];

			run->at_end = !fill(run, chunk);
			if (!run->at_end) {
				status = tm_buf_err(&chunk->body) == TM_OK ? submit(run, chunk)
					: say("out of memory", "");
				run->begun++;
			}
		}
		if (status != TM_CTL_DONE || run->ended == run->begun)
			return status;
		status = await(run, oldest);
		run->ended++;
	}
	return status;
}

static int open_all(const struct tm_ctl_command *command, int argc, char **argv, struct run *run)
{
	int status = read_options(command, argc, argv, run);

	if (status == TM_CTL_DONE)
		status = read_key(run);
	if (status != TM_CTL_DONE)
		return status;
	run->in = fopen(run->path, "re");
	if (!run->in)
		return say(strerror(errno), run->path);
	status = check_input(run);
	if (status == TM_CTL_DONE)
		status = open_results(run);
	if (status == TM_CTL_DONE && tm_http_new(&run->http) != TM_OK)
		status = say("cannot set up HTTP", "");
	return status;
}

int tm_ctl_batch_run(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct run run = {.terminal = isatty(STDERR_FILENO) == 1};
	int status = tm_http_init_main() == TM_OK ? TM_CTL_DONE : say("cannot set up HTTP", "");

	tm_buf_init(&run.answer, ANSWER_MAX);
	for (size_t i = 0; i < WINDOW; i++)
		tm_buf_init(&run.chunks[i].body, 2 * BATCH_BYTES);
	if (status == TM_CTL_DONE)
		status = open_all(command, argc, argv, &run);
	if (status == TM_CTL_DONE) {
		skip(&run);
		run.started_ms = run.told_ms = tm_clock_mono_ms();
		status = work(&run);
		tell(&run, true);
	}
	if (status == TM_CTL_DONE && run.failed > 0)
		status = say("some requests failed: see", run.results_path);
	for (size_t i = 0; i < WINDOW; i++)
		tm_buf_clear(&run.chunks[i].body);
	tm_buf_clear(&run.answer);
	tm_http_free(run.http);
	if (run.in)
		(void)fclose(run.in);
	if (run.out)
		(void)fclose(run.out);
	free(run.results_path);
	free(run.line);
	tm_digest_wipe(run.authorization, sizeof(run.authorization));
	tm_http_exit_main();
	return status;
}
