/* How long to wait before trying again: exponential back-off with full jitter. */
#ifndef TM_BASE_BACKOFF_H
#define TM_BASE_BACKOFF_H

#include <stdint.h>

struct tm_backoff {
	int attempts;		/* tries in all, >= 1 */
	int64_t base_ms;	/* the exponential's first step, and the least span */
	int64_t min_ms;		/* no wait is shorter */
	int64_t max_ms;		/* no wait is longer */
};

/*
 * The wait before the try that follows try number done (1 = the first has failed): random between
 * min and base * 2^done, but with at least base to draw from, and never beyond max. The limits go
 * before the draw: early tries do not all wait min, nor late ones max.
 *
 * unit  a random number in [0, 1), the caller's, so that tests choose it
 *
 * Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS, 2015.
 */
int64_t tm_backoff_wait_ms(const struct tm_backoff *backoff, int done, double unit);

#endif
