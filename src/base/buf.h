/*
 * A growing byte buffer with a ceiling.
 *
 * Its error is sticky: a failed put leaves the content as it was and makes every later
 * put a no-op, so that a caller composes freely and looks once, at the end (tm_buf_err).
 */
#ifndef TM_BASE_BUF_H
#define TM_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tm_buf {
	char *data;	/* NUL behind the last byte once anything was put; NULL before */
	size_t len;	/* bytes in use, without the NUL */
	size_t size;	/* bytes allocated */
	size_t max;	/* ceiling for len, bytes */
	enum tm_err err;/* first failure: TM_ESIZE or TM_ENOMEM */
};

/* An empty buffer that may grow to max_bytes. Allocates nothing. */
void tm_buf_init(struct tm_buf *buf, size_t max_bytes);

/* Frees the memory; the buffer is empty and usable again. Takes a zeroed one. */
void tm_buf_clear(struct tm_buf *buf);

/* Empties it and forgets an error, but keeps the memory, unless it exceeds keep_bytes. */
void tm_buf_reset(struct tm_buf *buf, size_t keep_bytes);

void tm_buf_put(struct tm_buf *buf, const void *data, size_t len);
void tm_buf_puts(struct tm_buf *buf, const char *text);
void tm_buf_putc(struct tm_buf *buf, char c);
void tm_buf_printf(struct tm_buf *buf, const char *fmt, ...) TM_PRINTF(2, 3);
void tm_buf_vprintf(struct tm_buf *buf, const char *fmt, va_list args) TM_PRINTF(2, 0);

/* Decimal digits of value: the hot path's printf. */
void tm_buf_put_int(struct tm_buf *buf, int64_t value);

/* Makes room for extra bytes and returns where to write them; NULL on failure.
 * tm_buf_advance says how many were written. */
char *tm_buf_reserve(struct tm_buf *buf, size_t extra);
void tm_buf_advance(struct tm_buf *buf, size_t written);

/* TM_OK, or the first failure since init or reset. */
TM_CHECK enum tm_err tm_buf_err(const struct tm_buf *buf);

/* The content as a C string; "" while empty. Borrowed until the next put. */
const char *tm_buf_text(const struct tm_buf *buf);

#endif
