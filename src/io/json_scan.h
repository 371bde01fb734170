/* The grammar of RFC 8259 to the letter, without building anything: what json-c is too kind for. */
#ifndef TM_IO_JSON_SCAN_H
#define TM_IO_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { TM_JSON_DEPTH_MAX = 64 };

#define TM_JSON_RANGE_FAULT "A number is out of range."

struct tm_json_scan {
	size_t end;	/* bytes the value takes; after a failure, where it broke off */
	size_t values;	/* values seen: the outermost, members, items */
	bool half;	/* a string holds an escaped surrogate without its other half */
	const char *fault;	/* why it is refused though the RFC allows it; static; NULL */
};

/* Length of the white space that text starts with. */
size_t tm_json_space(const char *text, size_t len);

/*
 * Measures the one value that text starts with; what stands behind it is not looked at.
 * Strings are not checked for UTF-8.
 *
 * depth  arrays and objects allowed inside one another, 1..TM_JSON_DEPTH_MAX
 *
 * TM_OK; TM_EINVAL no JSON; TM_ESIZE too deep. *out is set in any case.
 */
TM_CHECK enum tm_err tm_json_scan(const char *text, size_t len, int depth,
				  struct tm_json_scan *out);

#endif
