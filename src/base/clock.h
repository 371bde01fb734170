/* Time: a steady clock for waits, the wall clock for stamps, both replaceable in tests. */
#ifndef TM_BASE_CLOCK_H
#define TM_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Steady time, never set back; its zero means nothing. */
int64_t tm_clock_mono_ms(void);
int64_t tm_clock_mono_us(void);

/* Wall clock, ms since 1970-01-01 UTC. */
int64_t tm_clock_wall_ms(void);

/* Puts both clocks at fixed times until tm_clock_real; for tests. */
void tm_clock_fake(int64_t mono_us, int64_t wall_ms);
void tm_clock_real(void);

enum { TM_CLOCK_ISO_BYTES = 32 };

/* RFC 3339 in UTC with ms: 2026-11-22T10:00:00.123Z. Times outside 1970..9999 appear as the
 * nearest of them. Returns out. */
char *tm_clock_iso(int64_t wall_ms, char out[TM_CLOCK_ISO_BYTES]);

/*
 * Reads one of the three HTTP-date forms (RFC 9110 5.6.7). A two-digit year is the one within
 * 50 years of the wall clock's.
 * TM_OK and *wall_ms set; TM_EINVAL and *wall_ms untouched.
 */
TM_CHECK enum tm_err tm_clock_parse_http_date(const char *text, int64_t *wall_ms);

/*
 * Reads an RFC 3339 date or date-time in UTC: 2027-01-31, 2027-01-31T12:00:00Z, also with a
 * fraction of a second, of which ms are kept.
 * TM_OK and *wall_ms set; TM_EINVAL and *wall_ms untouched.
 */
TM_CHECK enum tm_err tm_clock_parse_iso(const char *text, int64_t *wall_ms);

#endif
