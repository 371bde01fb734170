/* Whether and when to ask again. */
#ifndef TM_LLM_RETRY_H
#define TM_LLM_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"

/* Preset by name: aggressive, balanced, conservative, critical; NULL when unknown. Static. */
const struct tm_backoff *tm_retry_preset(const char *name);

/* True for a status worth another try: 408, 409, 425, 429, 5xx. */
bool tm_retry_status(int status);

enum { TM_RETRY_AFTER_MAX_MS = 24 * 60 * 60 * 1000 };

/*
 * The wait a response asks for: retry-after-ms first, else Retry-After in seconds or as a date
 * (RFC 9110 10.2.3). Numbers may have a fraction: servers send it, though the RFC knows none.
 *
 * Both may be NULL. now_ms is the wall clock. ms, 0..TM_RETRY_AFTER_MAX_MS (longer waits count
 * as that), or -1 where neither header says anything sane: garbage, negative, a date gone by.
 */
int64_t tm_retry_after_ms(const char *retry_after_ms, const char *retry_after, int64_t now_ms);

#endif
