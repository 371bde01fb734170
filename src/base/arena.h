/*
 * Memory that lives as long as one request: allocated piece by piece, freed all at once.
 */
#ifndef TM_BASE_ARENA_H
#define TM_BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"

struct tm_arena_block;

struct tm_arena {
	struct tm_arena_block *blocks;	/* newest first */
	size_t total;			/* bytes handed out since the last reset, with padding */
	size_t max;			/* ceiling for total, bytes */
};

/* An empty arena that hands out at most max_bytes between two resets; a piece counts rounded
 * up to the alignment of any type (16 bytes). */
void tm_arena_init(struct tm_arena *arena, size_t max_bytes);

/* Zeroed memory aligned for any type; NULL over the ceiling or out of memory. */
void *tm_arena_alloc(struct tm_arena *arena, size_t bytes);

/* Copies of len bytes, or of a C string, with a NUL behind; NULL as above. */
char *tm_arena_dup(struct tm_arena *arena, const void *data, size_t len);
char *tm_arena_strdup(struct tm_arena *arena, const char *text);

/* Formatted text; NULL as above. */
char *tm_arena_printf(struct tm_arena *arena, const char *fmt, ...) TM_PRINTF(2, 3);

/* Everything handed out becomes invalid; one small block stays for the next request. */
void tm_arena_reset(struct tm_arena *arena);

/* As reset, and gives the last block back too. Takes a zeroed arena. */
void tm_arena_clear(struct tm_arena *arena);

#endif
