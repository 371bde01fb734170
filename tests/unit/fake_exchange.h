/* An exchange whose params are a table; for tests that need a request but no connection. */
#ifndef TM_TEST_FAKE_EXCHANGE_H
#define TM_TEST_FAKE_EXCHANGE_H

#include <stdlib.h>
#include <string.h>

#include "io/exchange.h"

/* impl points at a NULL-terminated array of NAME=value. */
static const char *fake_param(struct tm_exchange *exchange, const char *name)
{
	const char *const *params = exchange->impl;
	size_t len = strlen(name);

	for (; *params; params++)
		if (strncmp(*params, name, len) == 0 && (*params)[len] == '=')
			return *params + len + 1;
	return NULL;
}

static const char *const *fake_params(struct tm_exchange *exchange)
{
	return exchange->impl;
}

static const struct tm_exchange_ops fake_ops = {.param = fake_param, .params = fake_params};

static inline struct tm_exchange fake_exchange(const char *const *params)
{
	return (struct tm_exchange){.ops = &fake_ops, .impl = (void *)(uintptr_t)params};
}

#endif
