/*
 * Bump allocator in blocks. The head of the list is the block that small pieces come from; a
 * piece larger than BLOCK_BYTES gets a block of its own behind it, so that it wastes no room
 * in the head. Reset keeps one ordinary block: a worker's steady state allocates nothing.
 * The ceiling counts what a piece really takes, padding included: a flood of one-byte pieces
 * is bounded too.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16 * 1024, ALIGN = _Alignof(max_align_t) };

struct tm_arena_block {
	struct tm_arena_block *next;
	size_t size;	/* of data */
	size_t used;
	max_align_t data[];
};

void tm_arena_init(struct tm_arena *arena, size_t max_bytes)
{
	*arena = (struct tm_arena){.max = max_bytes};
}

static struct tm_arena_block *add_block(struct tm_arena *arena, size_t bytes)
{
	size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
	struct tm_arena_block *head = arena->blocks;
	struct tm_arena_block *block = malloc(sizeof(*block) + size);

	if (!block)
		return NULL;
	block->size = size;
	block->used = 0;
	if (head && size > BLOCK_BYTES) {
		block->next = head->next;
		head->next = block;
	} else {
		block->next = head;
		arena->blocks = block;
	}
	return block;
}

void *tm_arena_alloc(struct tm_arena *arena, size_t bytes)
{
	struct tm_arena_block *block = arena->blocks;
	size_t rounded;
	char *at;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	rounded = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
	if (rounded > arena->max || arena->total > arena->max - rounded)
		return NULL;
	if (!block || block->size - block->used < rounded) {
		block = add_block(arena, rounded);
		if (!block)
			return NULL;
	}
	at = (char *)block->data + block->used;
	block->used += rounded;
	arena->total += rounded;
	return memset(at, 0, bytes);
}

char *tm_arena_dup(struct tm_arena *arena, const void *data, size_t len)
{
	char *copy = len < SIZE_MAX ? tm_arena_alloc(arena, len + 1) : NULL;

	if (copy && len)
		memcpy(copy, data, len);
	return copy;
}

char *tm_arena_strdup(struct tm_arena *arena, const char *text)
{
	return tm_arena_dup(arena, text, strlen(text));
}

char *tm_arena_printf(struct tm_arena *arena, const char *fmt, ...)
{
	va_list args;
	int len;
	char *text;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = tm_arena_alloc(arena, (size_t)len + 1);
	if (!text)
		return NULL;
	va_start(args, fmt);
	(void)vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}

void tm_arena_reset(struct tm_arena *arena)
{
	struct tm_arena_block *block = arena->blocks, *keep = NULL;

	while (block) {
		struct tm_arena_block *next = block->next;

		if (!keep && block->size == BLOCK_BYTES) {
			keep = block;
			keep->used = 0;
			keep->next = NULL;
		} else {
			free(block);
		}
		block = next;
	}
	arena->blocks = keep;
	arena->total = 0;
}

void tm_arena_clear(struct tm_arena *arena)
{
	tm_arena_reset(arena);
	free(arena->blocks);
	arena->blocks = NULL;
}
