/* Reading a body under a ceiling, against a connection made of a string. */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/exchange.h"

struct fake {
	const char *length;	/* CONTENT_LENGTH; NULL: absent */
	const char *body;
	size_t at, piece;	/* bytes given out so far, and most per read */
	size_t asked;		/* reads so far */
	bool breaks;		/* the client leaves at the end of body */
	int fd;
};

static const char *fake_param(struct tm_exchange *exchange, const char *name)
{
	const struct fake *self = exchange->impl;

	return strcmp(name, "CONTENT_LENGTH") ? NULL : self->length;
}

static enum tm_err fake_read(struct tm_exchange *exchange, char *into, size_t room, size_t *got)
{
	struct fake *self = exchange->impl;
	size_t left = strlen(self->body) - self->at;

	self->asked++;
	*got = left < room ? left : room;
	if (*got > self->piece)
		*got = self->piece;
	memcpy(into, self->body + self->at, *got);
	self->at += *got;
	return !*got && self->breaks ? TM_EGONE : TM_OK;
}

static int fake_fd(struct tm_exchange *exchange)
{
	const struct fake *self = exchange->impl;

	return self->fd;
}

static const struct tm_exchange_ops fake_ops = {
	.param = fake_param, .read = fake_read, .fd = fake_fd,
};

TestSuite(exchange);

Test(exchange, body_is_read_to_its_ceiling_and_no_further)
{
	static const struct {
		const char *length, *body;
		size_t max;
		bool breaks;
		enum tm_err err;
		const char *got;
	} cases[] = {
		{"5", "hello", 10, false, TM_OK, "hello"},
		{"5", "hello", 5, false, TM_OK, "hello"},
		{"0", "", 5, false, TM_OK, ""},
		{"0", "", 0, false, TM_OK, ""},
		{"5", "hello and more", 10, false, TM_OK, "hello"},
		{"6", "hello", 5, false, TM_ESIZE, ""},
		{"6", "hello", 10, false, TM_ESHORT, "hello"},
		{"6", "hello", 10, true, TM_EGONE, "hello"},
		{"5", "hello", 10, true, TM_EGONE, "hello"},
		{NULL, "hello", 10, false, TM_OK, "hello"},
		{NULL, "hello", 5, false, TM_OK, "hello"},
		{NULL, "hello", 4, false, TM_ESIZE, "hell"},
		{NULL, "", 0, false, TM_OK, ""},
		{"", "hello", 10, false, TM_OK, "hello"},
		{"", "hello", 4, false, TM_ESIZE, "hell"},
		{"5x", "hello", 10, false, TM_EINVAL, ""},
		{"-5", "hello", 10, false, TM_EINVAL, ""},
		{" 5", "hello", 10, false, TM_EINVAL, ""},
		{"18446744073709551616", "hello", 10, false, TM_ESIZE, ""},
		{"18446744073709551621", "hello", 10, false, TM_ESIZE, ""},
		{"99999999999999999999999999999999", "hello", 10, false, TM_ESIZE, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t piece = 1; piece < 20; piece += 6) {
			struct fake fake = {.length = cases[i].length, .body = cases[i].body,
					    .breaks = cases[i].breaks, .piece = piece};
			struct tm_exchange exchange = {.ops = &fake_ops, .impl = &fake};
			struct tm_buf body;

			tm_buf_init(&body, cases[i].max);
			cr_assert_eq(tm_exchange_read_body(&exchange, &body), cases[i].err,
				     "case %zu, pieces of %zu", i, piece);
			cr_assert_str_eq(tm_buf_text(&body), cases[i].got, "case %zu", i);
			tm_buf_clear(&body);
		}
}

Test(exchange, nothing_is_read_of_a_body_announced_too_large)
{
	struct fake fake = {.length = "11", .body = "hello hello", .piece = 100};
	struct tm_exchange exchange = {.ops = &fake_ops, .impl = &fake};
	struct tm_buf body;

	tm_buf_init(&body, 10);
	cr_assert_eq(tm_exchange_read_body(&exchange, &body), TM_ESIZE);
	cr_assert_eq(fake.asked, 0);
	tm_buf_clear(&body);
}

Test(exchange, body_without_a_length_stops_one_byte_past_its_ceiling)
{
	struct fake fake = {.body = "0123456789abcdef", .piece = 100};
	struct tm_exchange exchange = {.ops = &fake_ops, .impl = &fake};
	struct tm_buf body;

	tm_buf_init(&body, 8);
	cr_assert_eq(tm_exchange_read_body(&exchange, &body), TM_ESIZE);
	cr_assert_eq(fake.at, 9);
	tm_buf_clear(&body);
}

Test(exchange, body_larger_than_one_piece_arrives_whole)
{
	enum { BYTES = 100 * 1000 };
	static char text[BYTES + 1];
	struct fake fake = {.body = text, .piece = BYTES};
	struct tm_exchange exchange = {.ops = &fake_ops, .impl = &fake};
	struct tm_buf body;

	for (size_t i = 0; i < BYTES; i++)
		text[i] = (char)('a' + i % 26);
	tm_buf_init(&body, BYTES);
	cr_assert_eq(tm_exchange_read_body(&exchange, &body), TM_OK);
	cr_assert_str_eq(tm_buf_text(&body), text);
	tm_buf_clear(&body);
}

Test(exchange, body_without_memory_left_is_an_error)
{
	struct fake fake = {.length = "5", .body = "hello", .piece = 100};
	struct tm_exchange exchange = {.ops = &fake_ops, .impl = &fake};
	struct tm_buf body;

	tm_buf_init(&body, 10);
	body.err = TM_ENOMEM;
	cr_assert_eq(tm_exchange_read_body(&exchange, &body), TM_ENOMEM);
	tm_buf_clear(&body);
}

