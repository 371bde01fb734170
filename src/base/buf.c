/*
 * Growing buffer. Doubles until its ceiling; keeps one byte behind the content for a NUL,
 * so that text handed to C interfaces needs no copy.
 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

void tm_buf_init(struct tm_buf *buf, size_t max_bytes)
{
	*buf = (struct tm_buf){.max = max_bytes};
}

void tm_buf_clear(struct tm_buf *buf)
{
	free(buf->data);
	*buf = (struct tm_buf){.max = buf->max};
}

void tm_buf_reset(struct tm_buf *buf, size_t keep_bytes)
{
	if (buf->size > keep_bytes) {
		tm_buf_clear(buf);
		return;
	}
	buf->len = 0;
	buf->err = TM_OK;
	if (buf->data)
		buf->data[0] = '\0';
}

static enum tm_err grow(struct tm_buf *buf, size_t extra)
{
	size_t need, size;
	char *data;

	if (extra > buf->max || buf->len > buf->max - extra)
		return TM_ESIZE;
	if (extra >= SIZE_MAX / 2 - buf->len)	/* neither the NUL nor doubling may overflow */
		return TM_ENOMEM;
	need = buf->len + extra + 1;
	if (need <= buf->size)
		return TM_OK;
	size = buf->size ? buf->size : FIRST_BYTES;
	while (size < need)
		size *= 2;
	if (size - 1 > buf->max)
		size = buf->max + 1;
	data = realloc(buf->data, size);
	if (!data)
		return TM_ENOMEM;
	buf->data = data;
	buf->size = size;
	return TM_OK;
}

char *tm_buf_reserve(struct tm_buf *buf, size_t extra)
{
	if (buf->err)
		return NULL;
	buf->err = grow(buf, extra);
	if (buf->err)
		return NULL;
	buf->data[buf->len] = '\0';	/* text stays text if nothing is written after all */
	return buf->data + buf->len;
}

void tm_buf_advance(struct tm_buf *buf, size_t written)
{
	if (buf->err)
		return;
	buf->len += written;
	buf->data[buf->len] = '\0';
}

void tm_buf_put(struct tm_buf *buf, const void *data, size_t len)
{
	char *room = tm_buf_reserve(buf, len);

	if (!room)
		return;
	if (len)
		memcpy(room, data, len);
	tm_buf_advance(buf, len);
}

void tm_buf_puts(struct tm_buf *buf, const char *text)
{
	tm_buf_put(buf, text, strlen(text));
}

void tm_buf_putc(struct tm_buf *buf, char c)
{
	tm_buf_put(buf, &c, 1);
}

void tm_buf_vprintf(struct tm_buf *buf, const char *fmt, va_list args)
{
	size_t spare = buf->size - buf->len;
	va_list again;
	int len;
	char *room;

	if (buf->err)
		return;
	va_copy(again, args);
	len = vsnprintf(buf->data ? buf->data + buf->len : NULL, buf->data ? spare : 0, fmt, again);
	va_end(again);
	if (len < 0) {
		buf->err = TM_ESIZE;	/* longer than an int counts */
		if (buf->data)
			buf->data[buf->len] = '\0';
		return;
	}
	if (buf->data && (size_t)len < spare) {	/* it fitted: the common case */
		tm_buf_advance(buf, (size_t)len);
		return;
	}
	if (buf->data)
		buf->data[buf->len] = '\0';
	room = tm_buf_reserve(buf, (size_t)len);
	if (!room)
		return;
	(void)vsnprintf(room, (size_t)len + 1, fmt, args);
	tm_buf_advance(buf, (size_t)len);
}

void tm_buf_printf(struct tm_buf *buf, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tm_buf_vprintf(buf, fmt, args);
	va_end(args);
}

void tm_buf_put_int(struct tm_buf *buf, int64_t value)
{
	char digits[24];
	char *end = digits + sizeof(digits), *at = end;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		*--at = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (value < 0)
		*--at = '-';
	tm_buf_put(buf, at, (size_t)(end - at));
}

enum tm_err tm_buf_err(const struct tm_buf *buf)
{
	return buf->err;
}

const char *tm_buf_text(const struct tm_buf *buf)
{
	return buf->data ? buf->data : "";
}
