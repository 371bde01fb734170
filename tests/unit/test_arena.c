/* Request memory: alignment, ceiling, reuse. */
#include "base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

Test(arena, pieces_are_zeroed_aligned_and_apart)
{
	struct tm_arena arena;
	unsigned char *pieces[200];

	tm_arena_init(&arena, 1 << 20);
	for (int round = 0; round < 2; round++) {	/* the second gets memory used before */
		for (size_t i = 0; i < 200; i++) {
			pieces[i] = tm_arena_alloc(&arena, i);
			cr_assert_not_null(pieces[i]);
			cr_assert_eq((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
			for (size_t k = 0; k < i; k++)
				cr_assert_eq(pieces[i][k], 0);
			memset(pieces[i], (int)i, i);
		}
		for (size_t i = 0; i < 200; i++)
			for (size_t k = 0; k < i; k++)
				cr_assert_eq(pieces[i][k], (unsigned char)i);
		tm_arena_reset(&arena);
		cr_assert_eq(arena.total, 0);
	}
	tm_arena_clear(&arena);
}

Test(arena, ceiling_holds_until_reset)
{
	struct tm_arena arena;

	tm_arena_init(&arena, 64);
	cr_assert_null(tm_arena_alloc(&arena, 65));
	cr_assert_not_null(tm_arena_alloc(&arena, 48));
	cr_assert_null(tm_arena_alloc(&arena, 17));
	cr_assert_not_null(tm_arena_alloc(&arena, 16));
	cr_assert_null(tm_arena_alloc(&arena, 1));
	tm_arena_reset(&arena);
	cr_assert_not_null(tm_arena_alloc(&arena, 64));
	tm_arena_clear(&arena);
}

Test(arena, many_tiny_pieces_are_bounded_by_what_they_take)
{
	struct tm_arena arena;
	int pieces = 0;

	tm_arena_init(&arena, 16 * 1000);
	while (pieces < 100000 && tm_arena_alloc(&arena, (size_t)(pieces % 2)))
		pieces++;
	cr_assert_eq(pieces, 1000);
	tm_arena_clear(&arena);
}

Test(arena, absurd_sizes_are_refused)
{
	struct tm_arena arena;

	tm_arena_init(&arena, SIZE_MAX);
	cr_assert_null(tm_arena_alloc(&arena, SIZE_MAX));
	cr_assert_null(tm_arena_alloc(&arena, SIZE_MAX - 8));
	cr_assert_null(tm_arena_alloc(&arena, SIZE_MAX / 2 + 1));
	cr_assert_null(tm_arena_dup(&arena, "", SIZE_MAX));
	tm_arena_clear(&arena);
}

Test(arena, large_piece_leaves_the_open_block_in_use)
{
	struct tm_arena arena;
	char *before, *large, *after;

	tm_arena_init(&arena, 1 << 20);
	before = tm_arena_alloc(&arena, 16);
	large = tm_arena_alloc(&arena, 100000);
	after = tm_arena_alloc(&arena, 16);
	cr_assert_not_null(large);
	memset(large, 'x', 100000);
	cr_assert_eq(after, before + 16);
	tm_arena_reset(&arena);
	cr_assert_eq(tm_arena_alloc(&arena, 16), before, "the ordinary block is kept");
	tm_arena_clear(&arena);
}

Test(arena, copies_end_in_nul)
{
	struct tm_arena arena;
	char *copy;

	tm_arena_init(&arena, 1000);
	copy = tm_arena_dup(&arena, "a\0bcdef", 4);
	cr_assert_not_null(copy);
	cr_assert_eq(memcmp(copy, "a\0bc", 5), 0);
	cr_assert_str_eq(tm_arena_dup(&arena, NULL, 0), "");
	cr_assert_str_eq(tm_arena_strdup(&arena, "text"), "text");
	cr_assert_str_eq(tm_arena_printf(&arena, "%d-%s", 42, "x"), "42-x");
	cr_assert_null(tm_arena_printf(&arena, "%2000d", 1));
	tm_arena_clear(&arena);
}

Test(arena, clear_takes_a_zeroed_one)
{
	struct tm_arena arena = {0};

	tm_arena_clear(&arena);
	cr_assert_null(tm_arena_alloc(&arena, 1));
	tm_arena_clear(&arena);
}
