/* The table of routes: which path and method is whose, and what it takes to call it. */
#ifndef TM_API_ROUTE_H
#define TM_API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/request.h"
#include "api/response.h"
#include "base/buf.h"
#include "flow/process.h"
#include "record/usage.h"

/* What a route works with. Borrowed from the application. */
struct tm_context {
	struct tm_services services;
	struct tm_keys *keys;
	struct tm_request *request;
	struct tm_response *response;
	const char *param;			/* what stands for {name} in the route's path */
	struct tm_buf *body;			/* read for routes that take one */
	struct tm_usage_event *usage;		/* what record will write of the request */
	struct tm_usage *record;		/* for what a request of many parts adds itself */
};

enum tm_route_flags {
	TM_ROUTE_TEXT = 1,	/* also below /v1/text_processing/ */
	TM_ROUTE_JSON = 2,	/* takes an application/json body */
	TM_ROUTE_ROOT = 4,	/* stands at the mount point itself, never below /v1 */
	TM_ROUTE_PUBLIC = 8,	/* anyone may call */
	TM_ROUTE_MAYBE_PUBLIC = 16	/* anyone, where auth.public_operations is on */
};

struct tm_route {
	const char *method;	/* "GET" stands for HEAD too */
	const char *path;	/* without mount point and /v1; {name} takes any one segment */
	unsigned permission;	/* TM_PERM_* that the caller needs; 0: any valid key */
	unsigned flags;
	void (*run)(struct tm_context *context);
};

/* All routes. */
const struct tm_route *tm_route_all(size_t *count);

/* What a path leads to. */
struct tm_route_match {
	const struct tm_route *route;	/* NULL: no such path, or not with this method */
	char allow[64];			/* methods of the path, "GET, HEAD"; "" for no such path */
	char param[65];			/* the segment that stands for {...} in the route's path */
};

/* Looks for a path below the mount point. False: there is no such path. */
bool tm_route_find(const char *method, const char *path, struct tm_route_match *out);

/* The same for a path that may begin with a mount point: its longest tail that is a route decides,
 * /ai/v1/process is process at /ai. */
bool tm_route_find_tail(const char *method, const char *path, struct tm_route_match *out);

/* The routes' functions, one file per family. */
void tm_route_health(struct tm_context *context);
void tm_route_ready(struct tm_context *context);
void tm_route_operations(struct tm_context *context);
void tm_route_process(struct tm_context *context);
void tm_route_batch_process(struct tm_context *context);
void tm_route_batch_status(struct tm_context *context);
void tm_route_batch_cancel(struct tm_context *context);
void tm_route_auth_status(struct tm_context *context);
void tm_route_resilience(struct tm_context *context);
void tm_route_resilience_reset(struct tm_context *context);
void tm_route_openapi(struct tm_context *context);

#endif
