/* The growing buffer: ceiling, sticky error, sizes at the edge. */
#include "base/buf.h"

#include <criterion/criterion.h>
#include <string.h>

Test(buf, empty_one_is_an_empty_string)
{
	struct tm_buf buf;

	tm_buf_init(&buf, 10);
	cr_assert_str_eq(tm_buf_text(&buf), "");
	cr_assert_null(buf.data);
	tm_buf_put(&buf, NULL, 0);
	cr_assert_str_eq(tm_buf_text(&buf), "");
	cr_assert_eq(tm_buf_err(&buf), TM_OK);
	tm_buf_clear(&buf);
}

Test(buf, grows_and_ends_in_nul)
{
	struct tm_buf buf;

	tm_buf_init(&buf, 100000);
	for (int i = 0; i < 100000; i++) {
		tm_buf_putc(&buf, (char)('a' + i % 26));
		cr_assert_eq(buf.data[buf.len], '\0');
	}
	cr_assert_eq(tm_buf_err(&buf), TM_OK);
	cr_assert_eq(buf.len, 100000);
	for (int i = 0; i < 100000; i++)
		cr_assert_eq(buf.data[i], (char)('a' + i % 26));
	tm_buf_clear(&buf);
	cr_assert_eq(buf.len, 0);
	cr_assert_eq(buf.max, 100000);
}

Test(buf, ceiling_is_exact_and_error_sticks)
{
	struct tm_buf buf;

	tm_buf_init(&buf, 5);
	tm_buf_puts(&buf, "12345");
	cr_assert_eq(tm_buf_err(&buf), TM_OK);
	tm_buf_put(&buf, "", 0);
	cr_assert_eq(tm_buf_err(&buf), TM_OK);
	tm_buf_putc(&buf, '6');
	cr_assert_eq(tm_buf_err(&buf), TM_ESIZE);
	cr_assert_str_eq(tm_buf_text(&buf), "12345");

	tm_buf_put(&buf, "", 0);
	tm_buf_printf(&buf, "%s", "");
	cr_assert_null(tm_buf_reserve(&buf, 0));
	tm_buf_advance(&buf, 1);
	cr_assert_eq(buf.len, 5);
	cr_assert_eq(tm_buf_err(&buf), TM_ESIZE);

	tm_buf_reset(&buf, 1000);
	cr_assert_eq(tm_buf_err(&buf), TM_OK);
	tm_buf_puts(&buf, "abc");
	cr_assert_str_eq(tm_buf_text(&buf), "abc");
	tm_buf_clear(&buf);
}

Test(buf, failed_put_writes_nothing_of_it)
{
	struct tm_buf buf;

	tm_buf_init(&buf, 4);
	tm_buf_puts(&buf, "ab");
	tm_buf_printf(&buf, "%s-%d", "cd", 5);
	cr_assert_eq(tm_buf_err(&buf), TM_ESIZE);
	cr_assert_str_eq(tm_buf_text(&buf), "ab");
	tm_buf_clear(&buf);
}

Test(buf, sizes_near_the_end_of_the_address_space_do_not_wrap)
{
	struct tm_buf buf;

	tm_buf_init(&buf, SIZE_MAX);
	tm_buf_puts(&buf, "abc");
	cr_assert_null(tm_buf_reserve(&buf, SIZE_MAX));
	cr_assert_eq(tm_buf_err(&buf), TM_ESIZE);
	tm_buf_reset(&buf, SIZE_MAX);
	tm_buf_puts(&buf, "abc");
	cr_assert_null(tm_buf_reserve(&buf, SIZE_MAX - 3));
	cr_assert_eq(tm_buf_err(&buf), TM_ENOMEM);
	tm_buf_reset(&buf, SIZE_MAX);
	cr_assert_null(tm_buf_reserve(&buf, SIZE_MAX / 2));
	cr_assert_eq(tm_buf_err(&buf), TM_ENOMEM);
	tm_buf_clear(&buf);
}

Test(buf, reset_keeps_small_memory_and_gives_large_back)
{
	struct tm_buf buf;
	char *first;

	tm_buf_init(&buf, 1 << 20);
	tm_buf_puts(&buf, "abc");
	first = buf.data;
	tm_buf_reset(&buf, buf.size);
	cr_assert_eq(buf.data, first);
	cr_assert_str_eq(tm_buf_text(&buf), "");
	cr_assert_not_null(tm_buf_reserve(&buf, 100000));
	tm_buf_reset(&buf, 4096);
	cr_assert_null(buf.data);
	cr_assert_eq(buf.size, 0);
	tm_buf_clear(&buf);
}

Test(buf, integers_are_printed_as_printf_does)
{
	static const int64_t values[] = {0, 1, -1, 9, 10, -10, 1234567890123, INT64_MAX,
					 INT64_MIN, INT64_MIN + 1};
	struct tm_buf fast, slow;

	tm_buf_init(&fast, 1000);
	tm_buf_init(&slow, 1000);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		tm_buf_reset(&fast, 1000);
		tm_buf_reset(&slow, 1000);
		tm_buf_put_int(&fast, values[i]);
		tm_buf_printf(&slow, "%lld", (long long)values[i]);
		cr_assert_str_eq(tm_buf_text(&fast), tm_buf_text(&slow));
	}
	tm_buf_clear(&fast);
	tm_buf_clear(&slow);
}

Test(buf, reserved_room_is_filled_by_the_caller)
{
	struct tm_buf buf;
	char *room;

	tm_buf_init(&buf, 10);
	tm_buf_puts(&buf, "ab");
	room = tm_buf_reserve(&buf, 8);
	cr_assert_not_null(room);
	memcpy(room, "cde", 3);
	tm_buf_advance(&buf, 3);
	cr_assert_str_eq(tm_buf_text(&buf), "abcde");
	tm_buf_clear(&buf);
}

Test(buf, clear_takes_a_zeroed_one)
{
	struct tm_buf buf = {0};

	tm_buf_clear(&buf);
	tm_buf_reset(&buf, 0);
	tm_buf_putc(&buf, 'x');
	cr_assert_eq(tm_buf_err(&buf), TM_ESIZE);
	tm_buf_clear(&buf);
}
