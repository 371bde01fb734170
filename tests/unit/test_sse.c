/* Server-sent events: what makes an event, cut at every byte, and what is too large. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "llm/sse.h"

enum { EVENT_BYTES = 32 };

static struct tm_sse sse;
static struct tm_buf seen;	/* "name=data;" of each event */

static void setup(void)
{
	tm_sse_init(&sse, EVENT_BYTES);
	tm_buf_init(&seen, 1 << 20);
}

static void teardown(void)
{
	tm_sse_clear(&sse);
	tm_buf_clear(&seen);
}

TestSuite(sse, .init = setup, .fini = teardown);

static void note(void *arg, const char *name, const char *data, size_t len)
{
	cr_assert_eq(arg, &seen);
	cr_assert_eq(data[len], '\0');
	tm_buf_printf(&seen, "%s=", name);
	tm_buf_put(&seen, data, len);
	tm_buf_putc(&seen, ';');
}

static enum tm_err feed(const char *bytes, size_t len)
{
	return tm_sse_feed(&sse, bytes, len, note, &seen);
}

static void restart(size_t event_max)
{
	tm_sse_clear(&sse);
	tm_sse_init(&sse, event_max);
	tm_buf_reset(&seen, 1 << 20);
}

Test(sse, makes_events_of_lines_wherever_the_bytes_are_cut)
{
	static const struct {
		const char *bytes, *events;
	} cases[] = {
		{"data: a\n\n", "message=a;"},
		{"data:a\r\rdata: b\r\n\r\n", "message=a;message=b;"},
		{"data: a\r\n\r\ndata: b\n\ndata: c\r\r", "message=a;message=b;message=c;"},
		{"\xef\xbb\xbf" "data: a\n\n", "message=a;"},
		{"\n\n\xef\xbb\xbf" "data: a\n\ndata: b\n\n", "message=b;"},
		{"\xef\xbb" "data: a\n\ndata: b\n\n", "message=b;"},
		{": a comment\n:\ndata: a\n: another\n\n", "message=a;"},
		{"event: delta\ndata: a\n\ndata: b\n\n", "delta=a;message=b;"},
		{"data: a\nevent: late\nevent: later\n\n", "later=a;"},
		{"event: x\nevent\ndata: a\n\n", "message=a;"},
		{"data: a\ndata:  b \ndata: c\n\n", "message=a\n b \nc;"},
		{"event: x\r\ndata: a\r\ndata: b\r\n\r\n", "x=a\nb;"},
		{"event: x\rdata: a\rdata: b\r\rdata: c\r\r", "x=a\nb;message=c;"},
		{"data:\n\n", "message=;"},
		{"data\n\n", "message=;"},
		{"data\ndata\n\n", "message=\n;"},
		{"data: a\n", ""},
		{"data: a", ""},
		{"event: empty\n\ndata: a\n\n", "message=a;"},
		{"id: 7\nretry: 9\nother: x\ndata : no\nDATA: no\ndatum: no\ndata: a\n\n",
		 "message=a;"},
		{"data: a: b\n\n", "message=a: b;"},
		{"\n\r\n\r\r\n\n", ""},
		{"data: \xc3\xa9\xff\n\n", "message=\xc3\xa9\xff;"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].bytes);

		for (size_t cut = 0; cut <= len; cut++) {
			restart(EVENT_BYTES);
			cr_assert_eq(feed(cases[i].bytes, cut), TM_OK);
			cr_assert_eq(feed(cases[i].bytes + cut, len - cut), TM_OK);
			cr_assert_str_eq(tm_buf_text(&seen), cases[i].events, "case %zu cut %zu", i,
					 cut);
		}
		restart(EVENT_BYTES);
		for (size_t at = 0; at < len; at++)
			cr_assert_eq(feed(cases[i].bytes + at, 1), TM_OK);
		cr_assert_str_eq(tm_buf_text(&seen), cases[i].events, "case %zu, bytes", i);
	}
}

Test(sse, waits_for_no_byte_behind_the_end_of_an_event)
{
	cr_assert_eq(feed("data: a\r\n\r", 10), TM_OK);
	cr_assert_str_eq(tm_buf_text(&seen), "message=a;");
	cr_assert_eq(feed("\ndata: b\r\r", 10), TM_OK);
	cr_assert_str_eq(tm_buf_text(&seen), "message=a;message=b;");
}

Test(sse, keeps_a_nul_in_the_data)
{
	cr_assert_eq(feed("data: a\0b\n\n", 11), TM_OK);
	cr_assert_eq(seen.len, strlen("message=") + 4);
	cr_assert_eq(memcmp(seen.data, "message=a\0b;", 12), 0);
}

Test(sse, cuts_a_long_name)
{
	cr_assert_eq(feed("event: ", 7), TM_OK);
	for (int i = 0; i < 70; i++)
		cr_assert_eq(feed("n", 1), TM_OK);
	cr_assert_eq(feed("\ndata: a\n\n", 10), TM_OK);
	cr_assert_eq(strspn(tm_buf_text(&seen), "n"), sizeof(sse.event) - 1);
	cr_assert_str_eq(tm_buf_text(&seen) + sizeof(sse.event) - 1, "=a;");
}

/* One event of bytes, in lines of that many each; 0: all in one. */
static enum tm_err feed_event(size_t bytes, size_t each)
{
	enum tm_err err = feed("data:", 5);

	for (size_t i = 0; i < bytes && err == TM_OK; i++) {
		if (each && i && i % each == 0) {	/* the line break counts too */
			err = feed("\ndata:", 6);
			continue;
		}
		err = feed("x", 1);
	}
	return err == TM_OK ? feed("\n\n", 2) : err;
}

Test(sse, refuses_an_event_over_its_ceiling)
{
	cr_assert_eq(feed_event(EVENT_BYTES, 0), TM_OK);
	cr_assert_eq(seen.len, strlen("message=;") + EVENT_BYTES);
	restart(EVENT_BYTES);
	cr_assert_eq(feed_event(EVENT_BYTES, 4), TM_OK);
	cr_assert_eq(seen.len, strlen("message=;") + EVENT_BYTES);
	restart(EVENT_BYTES);
	cr_assert_eq(feed_event(EVENT_BYTES + 1, 0), TM_ESIZE);
	cr_assert_eq(seen.len, 0);
	restart(EVENT_BYTES);
	cr_assert_eq(feed_event(EVENT_BYTES + 1, 4), TM_ESIZE);
	cr_assert_eq(seen.len, 0);
}

Test(sse, stays_refused_once_it_was)
{
	cr_assert_eq(feed_event(EVENT_BYTES + 1, 0), TM_ESIZE);
	cr_assert_eq(feed("\n\ndata: a\n\n", 11), TM_ESIZE);
	restart(EVENT_BYTES);
	cr_assert_eq(feed_event(EVENT_BYTES + 1, 4), TM_ESIZE);
	cr_assert_eq(feed("\n\ndata: a\n\n", 11), TM_ESIZE);
	cr_assert_eq(seen.len, 0);
}

Test(sse, bounds_a_line_that_never_ends)
{
	static char flood[1 << 16];
	enum tm_err err = TM_OK;

	memset(flood, ':', sizeof(flood));
	err = feed(flood, sizeof(flood));
	cr_assert_eq(err, TM_ESIZE);
	cr_assert_leq(sse.line.size, 1024);
}

Test(sse, takes_megabytes_in_one_go)
{
	enum { EVENTS = 100000 };
	struct tm_buf bytes;

	restart(1 << 20);
	tm_buf_init(&bytes, 16 << 20);
	tm_buf_clear(&seen);
	tm_buf_init(&seen, 16 << 20);
	for (int i = 0; i < EVENTS; i++)
		tm_buf_puts(&bytes, "data: ab\n\n");
	cr_assert_eq(tm_buf_err(&bytes), TM_OK);
	cr_assert_eq(feed(bytes.data, bytes.len), TM_OK);
	cr_assert_eq(seen.len, EVENTS * strlen("message=ab;"));
	tm_buf_clear(&bytes);
}
