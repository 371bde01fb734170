/*
 * textmillctl batch run: a file of any length through POST /v1/batch_process.
 *
 * Where each batch begins and ends is noted before it is sent, and its name is the hash of its
 * lines and of where they stand. So a run that was broken off finds its batches again (the id is
 * there) instead of paying for them twice. A few batches are under way at once; results are written
 * in order, whole batches at a time: what the results file holds of a batch in part is cut off and
 * fetched again.
 */
#include "ctl_run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl.h"
#include "ctl_run_call.h"
#include "io/http.h"
#include "io/json.h"
#include "llm/retry.h"

enum {
	WINDOW = 4,			/* batches under way */
	RESULTS_MAX = 64 * 1024 * 1024,	/* bytes of one batch's */
	POLL_MIN_MS = 100, POLL_MAX_MS = 2000,
	TROUBLE_MAX_MS = 10 * 60 * 1000,	/* no answer of use for so long: given up */
	STRANGE_MAX_MS = 10 * 1000,	/* the same of a server that never gave one */
	LOSSES_MAX = 5,			/* of the same batch, by the server */
	TELL_MS = 10 * 1000,		/* a line in a log */
	BAR = 30
};

struct run {
	struct tm_run_screen screen;
	struct tm_run_input input;
	struct tm_run_plan plan;
	struct tm_run_server server;
	const char *path;
	char *results_path;
	FILE *results;
	struct tm_run_batch batches[WINDOW];
	size_t begun, ended;		/* of the plan; ended..begun are under way */
	size_t most;			/* requests that the server takes at once */
	size_t skipped, done, failed;	/* requests; skipped: by earlier runs */
	bool at_end, answered;
	int losses;
	int64_t started_ms, told_ms, trouble_ms;
};

int tm_run_say(struct tm_run_screen *screen, const char *fmt, ...)
{
	va_list args;

	(void)fprintf(stderr, "%stextmillctl: ", screen->bar ? "\n" : "");
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fputc('\n', stderr);
	screen->bar = false;
	return TM_CTL_FAILED;
}

/* A bar on a terminal, a line now and then in a log. */
static void tell(struct run *run, bool last)
{
	const size_t total = run->input.total;
	int64_t now_ms = tm_clock_mono_ms();
	double seconds = (double)(now_ms - run->started_ms) / 1000;
	double rate = seconds > 0 ? (double)(run->done - run->skipped) / seconds : 0;
	char bar[BAR + 1];

	if (!last && now_ms - run->told_ms < (run->screen.terminal ? 100 : TELL_MS))
		return;
	run->told_ms = now_ms;
	if (!run->screen.terminal) {
		(void)fprintf(stderr, "%zu of %zu done, %zu failed, %.1f/s\n", run->done, total,
			      run->failed, rate);
		return;
	}
	memset(bar, '.', BAR);
	memset(bar, '#', run->done * BAR / total);
	bar[BAR] = '\0';
	(void)fprintf(stderr, "\r[%s] %zu/%zu  %zu failed  %.1f/s  %s", bar, run->done, total,
		      run->failed, rate, last ? "\n" : "");
	run->screen.bar = !last;
}

static int read_options(const struct tm_ctl_command *command, int argc, char **argv,
			struct run *run)
{
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":", command->known, NULL)) != -1) {
		if (letter == 'l')
			run->server.url = optarg;
		else if (letter == 'k')
			run->server.key_file = optarg;
		else if (letter == 'a')
			run->server.ca_file = optarg;
		else
			return tm_ctl_usage(command, letter == ':' ? "a value is missing behind"
					    : "unknown option", argv[optind - 1]);
	}
	if (optind < argc)
		run->path = argv[optind++];
	if (optind < argc)
		return tm_ctl_usage(command, "unexpected word", argv[optind]);
	if (!run->path || !run->server.url)
		return tm_ctl_usage(command, "FILE and --url are needed", NULL);
	return TM_CTL_DONE;
}

static int say_results(struct run *run, const char *why)
{
	return tm_run_say(&run->screen, "%s: %s", run->results_path, why);
}

static int open_results(struct run *run)
{
	size_t size = strlen(run->path) + sizeof(".results.jsonl");
	struct stat about;

	run->results_path = malloc(size);
	if (!run->results_path)
		return tm_run_say(&run->screen, "out of memory");
	(void)snprintf(run->results_path, size, "%s.results.jsonl", run->path);
	run->results = fopen(run->results_path, "a+e");
	if (!run->results || fstat(fileno(run->results), &about))
		return say_results(run, strerror(errno));
	if (!S_ISREG(about.st_mode))
		return say_results(run, "no regular file");
	if (flock(fileno(run->results), LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return say_results(run, "another run is writing it");
	rewind(run->results);
	return TM_CTL_DONE;
}

/* The results of a whole batch, as an earlier run wrote them. *whole false: they end before. */
static int read_results(struct run *run, const struct tm_run_batch *batch, off_t *at, bool *whole)
{
	static const char open[] = "{\"line\":";
	char *text = NULL;
	size_t size = 0, failed = 0;
	int status = TM_CTL_DONE;

	*whole = true;
	for (size_t i = 0; *whole && status == TM_CTL_DONE && i < batch->count; i++) {
		ssize_t got = getline(&text, &size, run->results);

		*whole = got > 0 && text[got - 1] == '\n';
		if (!*whole)
			break;
		*at += got;
		failed += strstr(text, "\"status\":\"completed\"") == NULL;
		if (strncmp(text, open, sizeof(open) - 1) != 0 ||
		    strtoull(text + sizeof(open) - 1, NULL, 10) != batch->lines[i])
			status = tm_run_say(&run->screen, "%s:%zu: not the result of %s:%zu: it "
					    "belongs to another file, or was edited",
					    run->results_path, run->done + i + 1, run->path,
					    batch->lines[i]);
	}
	free(text);
	if (*whole)
		run->failed += failed;
	return status;
}

/* Takes over what earlier runs have written, in whole batches; what is behind them goes. */
static int take_over(struct run *run)
{
	struct tm_run_batch *batch = &run->batches[0];
	off_t kept = 0, at = 0;
	bool whole = true;
	int status = TM_CTL_DONE;

	while (status == TM_CTL_DONE && whole) {
		status = tm_run_plan_get(&run->plan, run->ended, run->most, batch);
		if (status != TM_CTL_DONE || batch->count == 0)
			break;
		status = read_results(run, batch, &at, &whole);
		if (!whole)
			break;
		kept = at;
		run->done += batch->count;
		run->ended++;
	}
	if (status == TM_CTL_DONE && batch->count == 0 && getc(run->results) != EOF)
		status = say_results(run, "has more lines than there are requests: it belongs to "
				     "another file");
	if (status == TM_CTL_DONE &&
	    (fflush(run->results) || ftruncate(fileno(run->results), kept)))
		status = say_results(run, strerror(errno));
	(void)fseeko(run->results, 0, SEEK_END);
	run->begun = run->ended;
	run->skipped = run->done;
	return status;
}

static void sleep_ms(struct run *run, int64_t ms)
{
	int64_t until_ms = tm_clock_mono_ms() + ms, left_ms;

	while ((left_ms = until_ms - tm_clock_mono_ms()) > 0) {
		if (tm_http_wait(run->server.http, left_ms < 1000 ? left_ms : 1000, -1, NULL) !=
		    TM_OK)
			return;
		tell(run, false);
	}
}

static int refuse(struct run *run, const struct tm_run_answer *answer)
{
	if (answer->status == 0)
		return tm_run_say(&run->screen, "no answer from %s: %s", run->server.url,
				  answer->detail);
	return tm_run_say(&run->screen, "refused with %d: %s", answer->status, answer->detail);
}

/* Waits, if that may help. TM_CTL_FAILED where it cannot, or has not for too long. */
static int bear(struct run *run, const struct tm_run_answer *answer)
{
	int64_t now_ms = tm_clock_mono_ms();
	int64_t wait_ms = answer->retry_ms >= 0 ? answer->retry_ms : POLL_MAX_MS;
	int64_t most_ms;

	if (answer->distrusted || (answer->status != 0 && !tm_retry_status(answer->status)))
		return refuse(run, answer);
	most_ms = run->answered ? TROUBLE_MAX_MS : STRANGE_MAX_MS;
	if (wait_ms < POLL_MIN_MS)
		wait_ms = POLL_MIN_MS;
	if (answer->status == 429 && answer->retry_ms >= 0) {	/* of the key: known to pass */
		run->trouble_ms = 0;
		if (!run->screen.terminal || wait_ms >= TELL_MS)
			(void)tm_run_say(&run->screen, "rate limit reached: going on in %lld s",
					 (long long)((wait_ms + 999) / 1000));
	} else if (!run->trouble_ms) {
		run->trouble_ms = now_ms;
		(void)refuse(run, answer);
		(void)tm_run_say(&run->screen, "trying on for %lld s", (long long)most_ms / 1000);
	} else if (now_ms - run->trouble_ms > most_ms) {
		(void)refuse(run, answer);
		return tm_run_say(&run->screen, "given up");
	}
	sleep_ms(run, wait_ms);
	return TM_CTL_DONE;
}

/* Whether a batch of so many will never be taken, however long one waits. */
static bool never_fits(const struct tm_run_answer *answer, size_t count)
{
	if (answer->status == 429)
		return answer->quota && answer->quota < (int64_t)count;
	return answer->status == 413 || answer->status == 400;
}

/* Cuts a batch that the server never takes into smaller ones; the next are smaller, too. */
static int shrink(struct run *run, const struct tm_run_answer *answer, struct tm_run_batch *batch)
{
	size_t most = (batch->count + 1) / 2;

	if (batch->count == 1)
		return tm_run_say(&run->screen, "%s:%zu: the server does not even take this one "
				  "alone: refused with %d: %s", run->path, batch->lines[0],
				  answer->status, answer->detail);
	/* Half the quota: a batch as large as all of it passes only where nobody else has used
	 * the key for as long as it takes to fill up. */
	if (answer->status == 429)
		most = ((size_t)answer->quota + 1) / 2;
	run->most = most;
	(void)tm_run_say(&run->screen, "the server takes no batch of %zu: trying %zu", batch->count,
			 most);
	return tm_run_plan_split(&run->plan, run->begun, most, batch);
}

/* Sends the next batch, unless the server has it already. */
static int begin(struct run *run)
{
	struct tm_run_batch *batch = &run->batches[run->begun % WINDOW];
	int status = tm_run_plan_get(&run->plan, run->begun, run->most, batch);
	bool look = batch->noted;

	run->at_end = status == TM_CTL_DONE && batch->count == 0;
	while (status == TM_CTL_DONE && !run->at_end) {
		struct tm_run_answer answer;

		status = look ? tm_run_server_look(&run->server, batch->id, &answer)
			      : tm_run_server_send(&run->server, batch, &answer);
		if (status != TM_CTL_DONE)
			return status;
		run->answered = run->answered || answer.status != 0;
		if (answer.status == 200 || answer.status == 202 || answer.status == 409) {
			run->trouble_ms = 0;
			run->begun++;
			return TM_CTL_DONE;
		}
		if (!look && never_fits(&answer, batch->count))
			return shrink(run, &answer, batch);
		if (look && answer.status == 404) {
			look = false;
			continue;
		}
		status = bear(run, &answer);
		look = answer.status != 429;	/* it may have been taken all the same */
	}
	return status;
}

static int write_results(struct run *run, const struct tm_run_batch *batch,
			 const struct tm_json *results)
{
	struct tm_buf text;
	size_t failed = 0;
	int status = TM_CTL_DONE;

	tm_buf_init(&text, RESULTS_MAX);
	for (size_t i = 0; i < batch->count; i++) {
		const struct tm_json *item = tm_json_item(results, i);
		const char *state;
		size_t len;

		state = tm_json_text(tm_json_get(item, "status"), &len);
		failed += !state || strcmp(state, "completed") != 0;
		tm_buf_printf(&text, "{\"line\":%zu,\"status\":", batch->lines[i]);
		tm_json_put(&text, tm_json_get(item, "status"));
		tm_buf_puts(&text, ",\"response\":");
		tm_json_put(&text, tm_json_get(item, "response"));
		tm_buf_puts(&text, ",\"error\":");
		tm_json_put(&text, tm_json_get(item, "error"));
		tm_buf_puts(&text, "}\n");
	}
	if (tm_buf_err(&text) != TM_OK)
		status = tm_run_say(&run->screen, "out of memory");
	else if (fwrite(text.data, 1, text.len, run->results) != text.len ||
		 fflush(run->results) || fsync(fileno(run->results)))
		status = say_results(run, strerror(errno));
	else
		run->failed += failed;
	tm_buf_clear(&text);
	return status;
}

/* Whether each request has its result: a cancelled batch may have some in hand still. */
static bool all_ended(const struct tm_json *results, size_t count)
{
	static const char *const ends[] = {"completed", "failed", "cancelled"};

	for (size_t i = 0; i < count; i++) {
		const struct tm_json *item = tm_json_item(results, i);
		size_t len, end = 0;
		const char *state = tm_json_text(tm_json_get(item, "status"), &len);

		while (end < 3 && state && strcmp(state, ends[end]) != 0)
			end++;
		if (end == 3 || !state)
			return false;
	}
	return true;
}

/* Reads a status. *ended: the batch is over and its results are written. */
static int take_status(struct run *run, const struct tm_run_batch *batch, bool *ended,
		       size_t *finished)
{
	const struct tm_buf *text = &run->server.text;
	struct tm_json *json = NULL;
	int64_t total = 0;
	int status = TM_CTL_DONE;

	if (tm_json_parse(tm_buf_text(text), text->len, TM_RUN_DEPTH, &json) == TM_OK)
		total = tm_json_int(tm_json_get(json, "total_requests"));
	if (total != (int64_t)batch->count) {
		tm_json_free(json);
		return tm_run_say(&run->screen, "what answers there is no textmill, or its batch "
				  "is not this one: %s", batch->id);
	}
	*finished = (size_t)(tm_json_int(tm_json_get(json, "completed")) +
			     tm_json_int(tm_json_get(json, "failed")));
	*ended = all_ended(tm_json_get(json, "results"), batch->count);
	if (*ended)
		status = write_results(run, batch, tm_json_get(json, "results"));
	tm_json_free(json);
	return status;
}

/* The oldest batch has expired, or Redis has lost it: all from it on are begun again. */
static int begin_again(struct run *run, const struct tm_run_batch *batch)
{
	if (++run->losses > LOSSES_MAX)
		return tm_run_say(&run->screen, "the server has lost batch %s %d times", batch->id,
				  run->losses);
	run->begun = run->ended;
	run->at_end = false;
	return TM_CTL_DONE;
}

/* Waits for the oldest batch and writes its results. */
static int await(struct run *run)
{
	const struct tm_run_batch *batch = &run->batches[run->ended % WINDOW];
	const size_t before = run->done;
	int64_t pause_ms = POLL_MIN_MS;
	bool ended = false;

	while (!ended) {
		struct tm_run_answer answer;
		size_t finished = 0;
		int status = tm_run_server_look(&run->server, batch->id, &answer);

		if (status == TM_CTL_DONE && answer.status == 200) {
			run->trouble_ms = 0;
			status = take_status(run, batch, &ended, &finished);
			run->done = before + (ended ? batch->count : finished);
			tell(run, false);
			if (!ended && status == TM_CTL_DONE)
				sleep_ms(run, pause_ms);
			pause_ms = pause_ms * 2 < POLL_MAX_MS ? pause_ms * 2 : POLL_MAX_MS;
		} else if (status == TM_CTL_DONE && answer.status == 404) {
			run->done = before;
			return begin_again(run, batch);
		} else if (status == TM_CTL_DONE) {
			status = bear(run, &answer);
		}
		if (status != TM_CTL_DONE) {
			run->done = before;
			return status;
		}
	}
	run->losses = 0;
	run->ended++;
	return TM_CTL_DONE;
}

static int work(struct run *run)
{
	int status = TM_CTL_DONE;

	while (status == TM_CTL_DONE) {
		while (status == TM_CTL_DONE && !run->at_end && run->begun - run->ended < WINDOW)
			status = begin(run);
		if (status != TM_CTL_DONE || run->ended == run->begun)
			return status;
		status = await(run);
	}
	return status;
}

static int open_all(struct run *run)
{
	int status = tm_run_server_open(&run->server, &run->screen);

	if (status == TM_CTL_DONE)
		status = tm_run_input_open(&run->input, run->path, &run->screen);
	if (status == TM_CTL_DONE)
		status = open_results(run);
	if (status == TM_CTL_DONE)
		status = tm_run_plan_open(&run->plan, &run->input, &run->batches[0]);
	return status == TM_CTL_DONE ? take_over(run) : status;
}

static void close_all(struct run *run)
{
	for (size_t i = 0; i < WINDOW; i++)
		tm_buf_clear(&run->batches[i].body);
	tm_run_server_close(&run->server);
	tm_run_plan_close(&run->plan);
	tm_run_input_close(&run->input);
	if (run->results)
		(void)fclose(run->results);
	free(run->results_path);
}

int tm_ctl_batch_run(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct run run = {.screen.terminal = isatty(STDERR_FILENO) == 1, .most = TM_RUN_ITEMS};
	int status = read_options(command, argc, argv, &run);

	if (status != TM_CTL_DONE)
		return status;
	if (tm_http_init_main() != TM_OK)
		return tm_run_say(&run.screen, "cannot set up HTTP");
	for (size_t i = 0; i < WINDOW; i++)
		tm_buf_init(&run.batches[i].body, 2 * TM_RUN_BYTES);
	status = open_all(&run);
	if (status == TM_CTL_DONE) {
		run.started_ms = run.told_ms = tm_clock_mono_ms();
		status = work(&run);
		tell(&run, true);
	}
	if (status == TM_CTL_DONE && run.failed > 0)
		status = tm_run_say(&run.screen, "some requests failed: see %s", run.results_path);
	close_all(&run);
	tm_http_exit_main();
	return status;
}
