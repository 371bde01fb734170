/*
 * What did you mean? The restricted Damerau-Levenshtein distance (a letter added, lost, changed,
 * or two neighbours swapped), in three rows of one table.
 */
#include "base/conf.h"

#include <string.h>

enum { NAME_MAX_BYTES = 64 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][NAME_MAX_BYTES + 1];
	size_t *before = rows[0], *above = rows[1], *here = rows[2], *spare;

	for (size_t j = 0; j <= b_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		here[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t cost = a[i - 1] != b[j - 1];

			here[j] = least(least(above[j], here[j - 1]) + 1, above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				here[j] = least(here[j], before[j - 2] + 1);
		}
		spare = before;
		before = above;
		above = here;
		here = spare;
	}
	return above[b_len];
}

const char *tm_conf_nearest(const char *wrong, const char *const *known, size_t count)
{
	const char *best = NULL;
	size_t len = strlen(wrong), best_distance;

	if (len == 0 || len > NAME_MAX_BYTES)
		return NULL;
	/* One mistake in a short word, three in a long one: beyond that it is another word. */
	best_distance = (len <= 4 ? 1 : len <= 7 ? 2 : 3) + 1;
	for (size_t i = 0; i < count; i++) {
		size_t known_len = strlen(known[i]), d;

		if (known_len == 0 || known_len > NAME_MAX_BYTES)
			continue;
		d = distance(wrong, len, known[i], known_len);
		if (d < best_distance && d < least(len, known_len)) {
			best = known[i];
			best_distance = d;
		}
	}
	return best;
}
