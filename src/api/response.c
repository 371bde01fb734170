/*
 * Responses leave as a CGI header block (RFC 3875 6.3) and a body, in one write where they are
 * small. Headers that every response carries are added here, so no route can forget one.
 */
#include "api/response.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { HEADERS_MAX = 8 * 1024, HEADERS_KEEP = 4 * 1024, BODY_KEEP = 64 * 1024,
       HEAD_MAX = HEADERS_MAX + 4 * 1024, ONE_WRITE = 16 * 1024 };

void tm_response_init(struct tm_response *response, size_t body_max)
{
	*response = (struct tm_response){0};
	tm_buf_init(&response->headers, HEADERS_MAX);
	tm_buf_init(&response->body, body_max);
	tm_response_reset(response);
}

void tm_response_clear(struct tm_response *response)
{
	tm_buf_clear(&response->headers);
	tm_buf_clear(&response->body);
}

void tm_response_reset(struct tm_response *response)
{
	response->status = 200;
	response->content_type = "application/json; charset=utf-8";
	response->code = "";
	response->detail = "";
	response->silent = response->streamed = response->expected = false;
	tm_buf_reset(&response->headers, HEADERS_KEEP);
	tm_buf_reset(&response->body, BODY_KEEP);
}

void tm_response_header(struct tm_response *response, const char *name, const char *value)
{
	size_t len = 0;

	while ((unsigned char)value[len] >= ' ' && value[len] != 0x7f)
		len++;
	tm_buf_puts(&response->headers, name);
	tm_buf_put(&response->headers, ": ", 2);
	tm_buf_put(&response->headers, value, len);
	tm_buf_put(&response->headers, "\r\n", 2);
}

void tm_response_headerf(struct tm_response *response, const char *name, const char *fmt, ...)
{
	char value[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	tm_response_header(response, name, value);
}

static const char *reason(int status)
{
	static const struct { int status; const char *text; } reasons[] = {
		{200, "OK"}, {202, "Accepted"}, {204, "No Content"}, {400, "Bad Request"},
		{401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
		{405, "Method Not Allowed"}, {406, "Not Acceptable"}, {409, "Conflict"},
		{413, "Content Too Large"}, {415, "Unsupported Media Type"},
		{422, "Unprocessable Content"}, {429, "Too Many Requests"},
		{500, "Internal Server Error"}, {502, "Bad Gateway"},
		{503, "Service Unavailable"}, {504, "Gateway Timeout"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Unknown";
}

/* A configured origin may read the answer in a browser (Fetch standard, CORS). */
static void put_cors(struct tm_buf *head, const struct tm_request *request)
{
	const char *origin = tm_request_header(request, "HTTP_ORIGIN");
	const char *at = request->settings->cors.origins;
	size_t len = strlen(origin);

	if (*at == '\0')
		return;
	tm_buf_puts(head, "Vary: Origin\r\n");
	if (len == 0 || strcspn(origin, ", \t\r\n") != len)
		return;
	while (*at) {
		size_t have;

		at += strspn(at, ", \t");
		have = strcspn(at, ", \t");
		if ((have == 1 && *at == '*') || (have == len && memcmp(at, origin, len) == 0)) {
			tm_buf_puts(head, "Access-Control-Allow-Origin: ");
			tm_buf_put(head, at, have);
			tm_buf_puts(head,
				    "\r\nAccess-Control-Expose-Headers: X-Request-ID, X-Trace-ID, "
				    "RateLimit, RateLimit-Policy, Retry-After, Cache-Status, "
				    "Server-Timing\r\n");
			return;
		}
		at += have;
	}
}

static void put_ms(struct tm_buf *head, const char *name, int64_t us)
{
	tm_buf_puts(head, name);
	tm_buf_puts(head, ";dur=");
	tm_buf_put_int(head, us / 1000);
	tm_buf_putc(head, '.');
	tm_buf_putc(head, (char)('0' + us % 1000 / 100));
	tm_buf_putc(head, (char)('0' + us % 100 / 10));
	tm_buf_putc(head, (char)('0' + us % 10));
}

static void put_timing(struct tm_buf *head, const struct tm_request *request)
{
	tm_buf_puts(head, "Server-Timing: ");
	put_ms(head, "auth", request->auth_us);
	put_ms(head, ", redis", request->redis_us);
	put_ms(head, ", llm", request->llm_us);
	put_ms(head, ", total", tm_clock_mono_us() - request->start_us);
	tm_buf_puts(head, "\r\n");
}

static void put_head(struct tm_buf *head, const struct tm_response *response,
		     const struct tm_request *request)
{
	tm_buf_puts(head, "Status: ");
	tm_buf_put_int(head, response->status);
	tm_buf_putc(head, ' ');
	tm_buf_puts(head, reason(response->status));
	tm_buf_puts(head, "\r\nX-Request-ID: ");
	tm_buf_puts(head, request->id);
	tm_buf_puts(head, "\r\nX-Trace-ID: ");
	tm_buf_puts(head, request->trace_id);
	tm_buf_puts(head, "\r\nX-Content-Type-Options: nosniff\r\n");
	if (response->status != 204) {
		tm_buf_puts(head, "Content-Type: ");
		tm_buf_puts(head, response->content_type);
		if (!response->streamed) {
			tm_buf_puts(head, "\r\nContent-Length: ");
			tm_buf_put_int(head, (int64_t)response->body.len);
		}
		tm_buf_puts(head, "\r\n");
	}
	put_cors(head, request);
	put_timing(head, request);
	tm_buf_put(head, tm_buf_text(&response->headers), response->headers.len);
	tm_buf_put(head, "\r\n", 2);
}

enum tm_err tm_response_send(struct tm_response *response, const struct tm_request *request)
{
	struct tm_buf head;
	enum tm_err err;
	bool body = !request->head && response->status != 204 && response->body.len > 0;

	tm_buf_init(&head, HEAD_MAX + ONE_WRITE);
	put_head(&head, response, request);
	if (body && response->body.len <= ONE_WRITE) {
		tm_buf_put(&head, response->body.data, response->body.len);
		body = false;
	}
	err = tm_buf_err(&head);
	if (err == TM_OK)
		err = tm_buf_err(&response->headers);
	if (err == TM_OK)
		err = tm_exchange_write(request->exchange, head.data, head.len);
	if (err == TM_OK && body)
		err = tm_exchange_write(request->exchange, response->body.data, response->body.len);
	tm_buf_clear(&head);
	return err;
}
