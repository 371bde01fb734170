/*
 * Wire format: an array of bulk strings per command. Written by hand into one buffer instead
 * of hiredis' formatter, which allocates per command; and a script's call keeps where its
 * arguments start, so that EVALSHA turns into EVAL without being built again.
 */
#include "io/redis_wire.h"

#include <stdint.h>
#include <string.h>

#include "io/script_text.h"

enum {
	COMMANDS_BYTES_MAX = 32 * 1024 * 1024,	/* one pipeline */
	KEEP_BYTES = 64 * 1024,
	WORDS_MAX = 64				/* of one formatted command */
};

static const struct { const char *text; size_t len; } scripts[] = {
	[TM_SCRIPT_ADMIT] = {tm_script_admit, sizeof(tm_script_admit) - 1},
	[TM_SCRIPT_BREAKER] = {tm_script_breaker, sizeof(tm_script_breaker) - 1},
	[TM_SCRIPT_CLAIM] = {tm_script_claim, sizeof(tm_script_claim) - 1},
	[TM_SCRIPT_IDEMPOTENCY] = {tm_script_idempotency, sizeof(tm_script_idempotency) - 1},
	[TM_SCRIPT_LEAD] = {tm_script_lead, sizeof(tm_script_lead) - 1},
	[TM_SCRIPT_SETTLE] = {tm_script_settle, sizeof(tm_script_settle) - 1},
	[TM_SCRIPT_JOB_SUBMIT] = {tm_script_job_submit, sizeof(tm_script_job_submit) - 1},
	[TM_SCRIPT_JOB_TAKE] = {tm_script_job_take, sizeof(tm_script_job_take) - 1},
	[TM_SCRIPT_JOB_END] = {tm_script_job_end, sizeof(tm_script_job_end) - 1},
	[TM_SCRIPT_JOB_VIEW] = {tm_script_job_view, sizeof(tm_script_job_view) - 1},
};

_Static_assert(sizeof(scripts) / sizeof(scripts[0]) == TM_SCRIPT_COUNT, "a script lacks its text");

const char *tm_redis_wire_script(enum tm_script script, size_t *len)
{
	*len = scripts[script].len;
	return scripts[script].text;
}

void tm_redis_wire_init(struct tm_redis_wire *wire)
{
	tm_buf_init(&wire->bytes, COMMANDS_BYTES_MAX);
	tm_buf_init(&wire->words, COMMANDS_BYTES_MAX);
	wire->count = 0;
	wire->broken = false;
}

void tm_redis_wire_clear(struct tm_redis_wire *wire)
{
	tm_buf_clear(&wire->bytes);
	tm_buf_clear(&wire->words);
	wire->count = 0;
	wire->broken = false;
}

void tm_redis_wire_reset(struct tm_redis_wire *wire)
{
	tm_buf_reset(&wire->bytes, KEEP_BYTES);
	tm_buf_reset(&wire->words, KEEP_BYTES);
	wire->count = 0;
	wire->broken = false;
}

static void put_header(struct tm_buf *out, char mark, size_t number)
{
	tm_buf_putc(out, mark);
	tm_buf_put_int(out, (int64_t)number);
	tm_buf_put(out, "\r\n", 2);
}

static void put_bulk(struct tm_buf *out, const char *data, size_t len)
{
	put_header(out, '$', len);
	tm_buf_put(out, data, len);
	tm_buf_put(out, "\r\n", 2);
}

/* Room for one more command, or -1. */
static int begin(struct tm_redis_wire *wire, int argc)
{
	if (wire->broken || wire->count >= TM_REDIS_PIPELINE || argc < 1) {
		wire->broken = true;
		return -1;
	}
	wire->commands[wire->count].at = wire->bytes.len;
	wire->commands[wire->count].rest = wire->bytes.len;
	wire->commands[wire->count].argc = argc;
	wire->commands[wire->count].script = -1;
	return wire->count;
}

static int finish(struct tm_redis_wire *wire, int index)
{
	if (tm_buf_err(&wire->bytes) != TM_OK) {
		wire->broken = true;
		return -1;
	}
	wire->commands[index].end = wire->bytes.len;
	wire->count++;
	return index;
}

static void put_words(struct tm_buf *out, int argc, const char *const *argv, const size_t *lens)
{
	for (int i = 0; i < argc; i++)
		put_bulk(out, argv[i], lens ? lens[i] : strlen(argv[i]));
}

int tm_redis_wire_put(struct tm_redis_wire *wire, int argc, const char *const *argv,
		      const size_t *lens)
{
	int index = begin(wire, argc);

	if (index < 0)
		return -1;
	put_header(&wire->bytes, '*', (size_t)argc);
	put_words(&wire->bytes, argc, argv, lens);
	return finish(wire, index);
}

static void put_eval_head(struct tm_buf *out, enum tm_script script, int argc)
{
	put_header(out, '*', (size_t)argc + 3);
	put_bulk(out, "EVAL", 4);
	put_bulk(out, scripts[script].text, scripts[script].len);
}

int tm_redis_wire_put_script(struct tm_redis_wire *wire, const struct tm_redis_call *call)
{
	int index = begin(wire, call->argc + 1);
	struct tm_buf *out = &wire->bytes;

	if (index < 0)
		return -1;
	wire->commands[index].argc = call->argc;
	wire->commands[index].script = (int)call->script;
	if (call->sha[0]) {
		put_header(out, '*', (size_t)call->argc + 3);
		put_bulk(out, "EVALSHA", 7);
		put_bulk(out, call->sha, TM_REDIS_SHA_BYTES - 1);
	} else {
		put_eval_head(out, call->script, call->argc);
	}
	wire->commands[index].rest = out->len;

	/* Keys are a handful: a number of two digits at most. */
	put_header(out, '$', call->keys_count > 9 ? 2 : 1);
	tm_buf_put_int(out, call->keys_count);
	tm_buf_put(out, "\r\n", 2);
	put_words(out, call->argc, call->argv, call->lens);
	return finish(wire, index);
}

void tm_redis_wire_put_eval(const struct tm_redis_wire *wire, int index, struct tm_buf *out)
{
	size_t rest = wire->commands[index].rest, end = wire->commands[index].end;

	put_eval_head(out, (enum tm_script)wire->commands[index].script,
		      wire->commands[index].argc);
	tm_buf_put(out, wire->bytes.data + rest, end - rest);
}

/* One conversion after the '%' at fmt; returns how many characters of fmt it took, or 0. */
static size_t put_conversion(struct tm_buf *out, const char *fmt, va_list *args)
{
	if (fmt[0] == '%') {
		tm_buf_putc(out, '%');
		return 1;
	}
	if (fmt[0] == 's') {
		tm_buf_puts(out, va_arg(*args, const char *));
		return 1;
	}
	if (fmt[0] == 'd') {
		tm_buf_put_int(out, va_arg(*args, int));
		return 1;
	}
	if (fmt[0] == 'b') {
		const char *data = va_arg(*args, const char *);

		tm_buf_put(out, data, va_arg(*args, size_t));
		return 1;
	}
	if (strncmp(fmt, "lld", 3) == 0) {
		tm_buf_put_int(out, va_arg(*args, long long));
		return 3;
	}
	return 0;
}

/* Appends the word that starts at *fmt and moves *fmt behind it; false for a conversion that
 * does not exist. */
static bool put_word(struct tm_buf *out, const char **fmt, va_list *args)
{
	while (**fmt && **fmt != ' ') {
		size_t took;

		if (**fmt != '%') {
			tm_buf_putc(out, *(*fmt)++);
			continue;
		}
		took = put_conversion(out, *fmt + 1, args);
		if (took == 0)
			return false;
		*fmt += 1 + took;
	}
	return true;
}

int tm_redis_wire_vputf(struct tm_redis_wire *wire, const char *fmt, va_list args)
{
	size_t starts[WORDS_MAX + 1], lens[WORDS_MAX];
	const char *argv[WORDS_MAX];
	int argc = 0;
	bool known = true;
	va_list own;

	va_copy(own, args);
	tm_buf_reset(&wire->words, KEEP_BYTES);
	for (fmt += strspn(fmt, " "); known && *fmt; fmt += strspn(fmt, " ")) {
		known = argc < WORDS_MAX;
		if (!known)
			break;
		starts[argc++] = wire->words.len;
		known = put_word(&wire->words, &fmt, &own);
	}
	va_end(own);
	if (!known || tm_buf_err(&wire->words) != TM_OK) {
		wire->broken = true;
		return -1;
	}
	starts[argc] = wire->words.len;
	for (int i = 0; i < argc; i++) {
		argv[i] = tm_buf_text(&wire->words) + starts[i];
		lens[i] = starts[i + 1] - starts[i];
	}
	return tm_redis_wire_put(wire, argc, argv, lens);
}

int tm_redis_wire_putf(struct tm_redis_wire *wire, const char *fmt, ...)
{
	va_list args;
	int index;

	va_start(args, fmt);
	index = tm_redis_wire_vputf(wire, fmt, args);
	va_end(args);
	return index;
}
