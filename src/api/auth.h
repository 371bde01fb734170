/* Who is calling: credentials of a request to a principal, and what that one may do. */
#ifndef TM_API_AUTH_H
#define TM_API_AUTH_H

#include <stdbool.h>

#include "api/route.h"

/*
 * Authenticates the caller of a route and checks its permission. False: the response is the
 * 401, 403 or 429 already. Failed logins are limited per client address.
 */
bool tm_auth_check(struct tm_context *context, const struct tm_route *route);

/* Adds RateLimit-Policy, RateLimit and X-RateLimit-* for what was charged. */
void tm_auth_put_limits(struct tm_response *response, const struct tm_policy *policies,
			size_t count, const struct tm_verdict *verdict);

#endif
