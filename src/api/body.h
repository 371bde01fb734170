/* The body of a request as JSON. */
#ifndef TM_API_BODY_H
#define TM_API_BODY_H

#include <stdbool.h>

#include "api/route.h"
#include "io/json.h"

/* Parses the body that was read; *out is to be freed (NULL for null). False: the response is the
 * 400 or 503 already. */
bool tm_body_parse(struct tm_context *context, struct tm_json **out);

/* Makes the response the 503 of a request that memory ran out for. */
void tm_body_say_nomem(struct tm_context *context);

#endif
