/*
 * Bytes become lines, lines become fields, an empty line sends what the fields made. Nothing looks
 * ahead: a line that ends in a carriage return counts at once, and the line feed that may follow is
 * passed over when it comes, so that no event waits for a byte that belongs to the next one.
 */
#include "llm/sse.h"

#include <string.h>

enum {
	FIELD_ROOM = 128,		/* of a line, beyond the data in it: its field's name */
	KEEP_BYTES = 64 * 1024
};

static const char default_event[] = "message";

void tm_sse_init(struct tm_sse *sse, size_t event_max)
{
	*sse = (struct tm_sse){0};
	tm_buf_init(&sse->line, event_max + FIELD_ROOM);
	tm_buf_init(&sse->data, event_max + 1);	/* each line of data ends in one byte more */
}

void tm_sse_clear(struct tm_sse *sse)
{
	tm_buf_clear(&sse->line);
	tm_buf_clear(&sse->data);
}

static void send_event(struct tm_sse *sse, tm_sse_event *event, void *arg)
{
	if (sse->data.len) {
		sse->data.data[--sse->data.len] = '\0';
		event(arg, sse->event[0] ? sse->event : default_event, sse->data.data,
		      sse->data.len);
	}
	sse->event[0] = '\0';
	tm_buf_reset(&sse->data, KEEP_BYTES);
}

static bool is_field(const char *line, size_t name_len, const char *name)
{
	return strlen(name) == name_len && !memcmp(line, name, name_len);
}

static void take_line(struct tm_sse *sse, tm_sse_event *event, void *arg)
{
	const char *line = tm_buf_text(&sse->line), *colon, *value;
	size_t len = sse->line.len, name_len, value_len;

	if (!sse->begun && len >= 3 && !memcmp(line, "\xef\xbb\xbf", 3)) {
		line += 3;
		len -= 3;
	}
	sse->begun = true;
	if (!len) {
		send_event(sse, event, arg);
		return;
	}
	colon = memchr(line, ':', len);
	name_len = colon ? (size_t)(colon - line) : len;
	value = line + name_len + (colon ? 1 : 0);
	value_len = len - (size_t)(value - line);
	if (value_len && *value == ' ') {
		value++;
		value_len--;
	}
	if (is_field(line, name_len, "data")) {
		tm_buf_put(&sse->data, value, value_len);
		tm_buf_putc(&sse->data, '\n');
	} else if (is_field(line, name_len, "event")) {
		if (value_len >= sizeof(sse->event))
			value_len = sizeof(sse->event) - 1;
		memcpy(sse->event, value, value_len);
		sse->event[value_len] = '\0';
	}
}

enum tm_err tm_sse_feed(struct tm_sse *sse, const char *bytes, size_t len, tm_sse_event *event,
			void *arg)
{
	const char *end = bytes + len;

	if (tm_buf_err(&sse->data) != TM_OK)
		return tm_buf_err(&sse->data);
	while (bytes < end) {
		size_t run = 0, left = (size_t)(end - bytes);

		if (sse->after_cr && *bytes == '\n') {
			sse->after_cr = false;
			bytes++;
			continue;
		}
		sse->after_cr = false;
		while (run < left && bytes[run] != '\n' && bytes[run] != '\r')
			run++;
		tm_buf_put(&sse->line, bytes, run);
		if (tm_buf_err(&sse->line) != TM_OK)
			return tm_buf_err(&sse->line);
		bytes += run;
		if (run == left)
			break;
		sse->after_cr = *bytes++ == '\r';
		take_line(sse, event, arg);
		tm_buf_reset(&sse->line, KEEP_BYTES);
		if (tm_buf_err(&sse->data) != TM_OK)
			return tm_buf_err(&sse->data);
	}
	return TM_OK;
}
