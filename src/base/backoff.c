/*
 * Full jitter: tries that failed together must not come back together, so the whole span between
 * the least wait and the exponential is drawn from, not only its tail. With a min that the first
 * exponentials do not reach there would be no span at all; there base is the span. The
 * exponential stops growing at max, which also keeps it from overflowing.
 */
#include "base/backoff.h"

int64_t tm_backoff_wait_ms(const struct tm_backoff *backoff, int done, double unit)
{
	int64_t room_ms = backoff->max_ms - backoff->min_ms;
	int64_t end_ms = backoff->base_ms, span_ms;

	if (room_ms <= 0)
		return backoff->max_ms;
	for (int i = 0; i < done && end_ms < backoff->max_ms; i++)
		end_ms = end_ms > backoff->max_ms / 2 ? backoff->max_ms : end_ms * 2;
	span_ms = end_ms - backoff->min_ms;
	if (span_ms < backoff->base_ms)
		span_ms = backoff->base_ms;
	if (span_ms > room_ms)
		span_ms = room_ms;
	return backoff->min_ms + (int64_t)((double)span_ms * unit);
}
