/*
 * A streamed answer. Text goes to the client from within the callback that takes it off the
 * connection: nothing lies between two tokens but this file.
 *
 * A provider that was asked for a stream may answer in one piece all the same, and always does
 * with an error: such a response is collected here and read like any other.
 */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "llm/call_job.h"

enum {
	RAW_PER_TEXT = 64,	/* bytes of events around one byte of text, at most: a token of
				 * four comes in 250 */
	LINGER_MS = 250		/* for the transfer to end after the stream's last word, so that
				 * the connection can be used again */
};

void tm_call_stream_tell(struct tm_call_job *job, const char *text, size_t len)
{
	struct tm_call *call = job->call;

	if (!call->delta || job->run->left || !len)
		return;
	job->spoken = true;
	if (call->delta(call->arg, text, len) != TM_OK)
		job->run->left = true;
}

/* A code point whose rest may come with the next event. */
static bool is_begun(const char *text, size_t len)
{
	unsigned char lead = (unsigned char)text[0];
	size_t need = lead >= 0xF0 && lead <= 0xF4 ? 4 : lead >= 0xE0 ? 3 : 2;

	if (lead < 0xC2 || lead > 0xF4 || len >= need)
		return false;
	for (size_t i = 1; i < len; i++)
		if (((unsigned char)text[i] & 0xC0) != 0x80)
			return false;
	return true;
}

/* Hands on what is new, but for a code point that is not whole yet. */
static enum tm_err pass_on(struct tm_call_job *job)
{
	struct tm_call_stream *stream = &job->stream;
	const char *text = tm_buf_text(&stream->events.text) + stream->passed;
	size_t len = stream->events.text.len - stream->passed, whole = 0, step;

	while (whole < len && (step = tm_utf8_step(text + whole, len - whole, NULL)) > 0)
		whole += step;
	stream->passed += whole;
	tm_call_stream_tell(job, text, whole);
	return whole == len || is_begun(text + whole, len - whole) ? TM_OK : TM_EUTF8;
}

static void take_event(void *arg, const char *name, const char *data, size_t len)
{
	struct tm_call_job *job = arg;
	struct tm_call_stream *stream = &job->stream;
	struct tm_llm_stream *events = &stream->events;
	const struct tm_provider_conf *conf = tm_call_job_provider(job);

	if (stream->err != TM_OK || events->failure != TM_LLM_SUCCESS)
		return;
	tm_provider_of(conf->kind)->event(conf, name, data, len, events);
	stream->err = tm_buf_err(&events->text);
	if (stream->err == TM_OK && events->failure == TM_LLM_SUCCESS)
		stream->err = pass_on(job);
	if (events->done && !job->due_ms)
		job->due_ms = tm_clock_mono_ms() + LINGER_MS;
}

enum tm_call_form tm_call_stream_form(struct tm_call_job *job)
{
	static const char type[] = "text/event-stream";
	struct tm_call_stream *stream = &job->stream;
	const char *sent;
	int status;

	if (stream->form != TM_CALL_UNSEEN)
		return stream->form;
	sent = tm_http_content_type(job->transfer);
	status = tm_http_status(job->transfer);
	if (!status)
		return TM_CALL_UNSEEN;
	stream->form = TM_CALL_WHOLE;
	if (status >= 200 && status <= 299 && sent &&
	    !strncasecmp(sent, type, sizeof(type) - 1) && strchr("; \t", sent[sizeof(type) - 1]))
		stream->form = TM_CALL_EVENTS;
	return stream->form;
}

static enum tm_err take_bytes(void *arg, const char *bytes, size_t len)
{
	struct tm_call_job *job = arg;
	struct tm_call_stream *stream = &job->stream;
	enum tm_err err;

	if (tm_call_stream_form(job) != TM_CALL_EVENTS) {
		tm_buf_put(&stream->whole, bytes, len);
		return tm_buf_err(&stream->whole);
	}
	err = tm_sse_feed(&stream->sse, bytes, len, take_event, job);
	if (stream->err == TM_OK)
		stream->err = err;
	if (stream->err == TM_OK && stream->events.failure != TM_LLM_SUCCESS)
		return TM_EPROTO;	/* what else may come is of no use */
	return stream->err;
}

void tm_call_stream_begin(struct tm_call_job *job, struct tm_http_request *request)
{
	struct tm_call_stream *stream = &job->stream;
	size_t max = request->answer_max;

	stream->asked = true;
	tm_buf_init(&stream->whole, max);
	tm_buf_init(&stream->events.text, max);
	tm_sse_init(&stream->sse, max);
	request->data = take_bytes;
	request->arg = job;
	if (max < SIZE_MAX / 2 / RAW_PER_TEXT)
		request->answer_max = max * RAW_PER_TEXT;
}

void tm_call_stream_clear(struct tm_call_job *job)
{
	struct tm_call_stream *stream = &job->stream;

	if (!stream->asked)
		return;
	tm_buf_clear(&stream->whole);
	tm_buf_clear(&stream->events.text);
	tm_sse_clear(&stream->sse);
	*stream = (struct tm_call_stream){0};
}

bool tm_call_stream_over(const struct tm_call_job *job)
{
	const struct tm_call_stream *stream = &job->stream;

	return stream->err == TM_OK &&
	       (stream->events.whole || stream->events.done || stream->events.cut ||
		stream->events.failure != TM_LLM_SUCCESS);
}

enum tm_llm_class tm_call_stream_end(struct tm_call_job *job, struct tm_llm_reply *reply,
				     const char **cause)
{
	struct tm_call_stream *stream = &job->stream;
	enum tm_llm_class class = tm_provider_stream_end(tm_call_job_provider(job), &stream->events,
							 job->call->arena, reply, cause);

	if (class == TM_LLM_SUCCESS && stream->passed != stream->events.text.len) {
		*cause = "answer ends within a character";
		class = TM_LLM_NONSENSE;
	}
	return class;
}
