/*
 * Full jitter: tries that failed together must not come back together, so the whole span up
 * to the exponential is drawn from, not only its tail. The exponential stops growing at max,
 * which also keeps it from overflowing.
 */
#include "base/backoff.h"

int64_t tm_backoff_wait_ms(const struct tm_backoff *backoff, int done, double unit)
{
	int64_t span_ms = backoff->base_ms;
	int64_t wait_ms;

	for (int i = 0; i < done && span_ms < backoff->max_ms; i++)
		span_ms = span_ms > backoff->max_ms / 2 ? backoff->max_ms : span_ms * 2;
	if (span_ms > backoff->max_ms)
		span_ms = backoff->max_ms;
	wait_ms = (int64_t)((double)span_ms * unit);
	if (wait_ms < backoff->min_ms)
		wait_ms = backoff->min_ms;
	return wait_ms > backoff->max_ms ? backoff->max_ms : wait_ms;
}
