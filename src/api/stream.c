/*
 * Each event leaves in one write and is flushed at once: what the provider sends is with the
 * client as soon as the web server passes it on (X-Accel-Buffering: no asks nginx to).
 */
#include "api/stream.h"

#include "base/clock.h"
#include "io/json.h"

static void push(struct tm_stream *stream, struct tm_buf *bytes)
{
	struct tm_exchange *exchange = stream->context->request->exchange;

	if (stream->gone)
		return;
	if (tm_buf_err(bytes) != TM_OK ||
	    tm_exchange_write(exchange, bytes->data, bytes->len) != TM_OK ||
	    tm_exchange_flush(exchange) != TM_OK)
		stream->gone = true;
	stream->last_ms = tm_clock_mono_ms();
}

static void begin(struct tm_stream *stream)
{
	struct tm_response *response = stream->context->response;

	if (stream->begun)
		return;
	stream->begun = true;
	response->streamed = true;
	response->content_type = "text/event-stream; charset=utf-8";
	tm_response_header(response, "X-Accel-Buffering", "no");
	tm_answer_put_headers(response, stream->process->no_cache, stream->outcome);
	if (tm_response_send(response, stream->context->request) != TM_OK)
		stream->gone = true;
}

static enum tm_err delta(void *arg, const char *text, size_t len)
{
	struct tm_stream *stream = arg;
	struct tm_buf event;

	begin(stream);
	tm_buf_init(&event, 8 * len + 64);	/* an escape is six bytes at most */
	tm_buf_puts(&event, "event: delta\ndata: {\"text\":");
	tm_json_put_string(&event, text, len);
	tm_buf_puts(&event, "}\n\n");
	push(stream, &event);
	tm_buf_clear(&event);
	return stream->gone ? TM_EGONE : TM_OK;
}

/* A comment now and then keeps idle time-outs away. */
static void tick(void *arg)
{
	struct tm_stream *stream = arg;
	struct tm_buf comment;

	if (tm_clock_mono_ms() - stream->last_ms < TM_STREAM_HEARTBEAT_MS)
		return;
	begin(stream);
	tm_buf_init(&comment, 16);
	tm_buf_puts(&comment, ": waiting\n\n");
	push(stream, &comment);
	tm_buf_clear(&comment);
}

void tm_stream_open(struct tm_stream *stream, struct tm_context *context,
		    const struct tm_input *input, struct tm_process *process,
		    const struct tm_outcome *outcome)
{
	*stream = (struct tm_stream){.context = context, .input = input, .process = process,
				     .outcome = outcome, .last_ms = tm_clock_mono_ms()};
	process->delta = delta;
	process->tick = tick;
	process->arg = stream;
}

static void put_end(struct tm_stream *stream, struct tm_buf *event)
{
	const struct tm_request *request = stream->context->request;
	struct tm_response *response = stream->context->response;
	struct tm_problem_more more;
	enum tm_problem problem;

	if (stream->outcome->end == TM_PROCESS_ANSWERED) {
		tm_buf_puts(event, "event: result\ndata: ");
		tm_answer_put(event, request, stream->input, stream->outcome);
	} else {
		problem = tm_answer_problem(request, stream->outcome, &more);
		tm_problem_note(response, request, problem, &more);
		tm_buf_puts(event, "event: error\ndata: ");
		tm_problem_write(event, request->id, problem, &more);
	}
	tm_buf_puts(event, "\n\n");
}

bool tm_stream_close(struct tm_stream *stream)
{
	struct tm_response *response = stream->context->response;
	enum tm_process_end end = stream->outcome->end;

	if (!stream->begun && end != TM_PROCESS_ANSWERED)
		return false;
	begin(stream);
	if (end != TM_PROCESS_GONE) {
		put_end(stream, &response->body);
		push(stream, &response->body);
	}
	if (stream->gone || end == TM_PROCESS_GONE) {
		response->silent = true;
		response->detail = "the client left its stream";
	}
	return true;
}
