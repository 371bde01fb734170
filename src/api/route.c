/*
 * Routing compares whole path segments. A sysadmin may mount textmill anywhere: where the web
 * server does not say where the mount point ends, segments are compared from the end of the path.
 */
#include "api/route.h"

#include <stdio.h>
#include <string.h>

static const struct tm_route routes[] = {
	{"GET", "/health", 0, TM_ROUTE_TEXT | TM_ROUTE_PUBLIC, tm_route_health},
	{"GET", "/ready", 0, TM_ROUTE_PUBLIC, tm_route_ready},
	{"GET", "/operations", TM_PERM_READ, TM_ROUTE_TEXT | TM_ROUTE_MAYBE_PUBLIC,
	 tm_route_operations},
	{"POST", "/process", TM_PERM_WRITE, TM_ROUTE_TEXT | TM_ROUTE_JSON, tm_route_process},
	{"POST", "/batch_process", TM_PERM_WRITE, TM_ROUTE_TEXT | TM_ROUTE_JSON,
	 tm_route_batch_process},
	{"GET", "/batch_status/{id}", TM_PERM_READ, TM_ROUTE_TEXT, tm_route_batch_status},
	{"DELETE", "/batch_status/{id}", TM_PERM_WRITE, TM_ROUTE_TEXT, tm_route_batch_cancel},
	{"GET", "/auth/status", 0, 0, tm_route_auth_status},
	{"GET", "/resilience", TM_PERM_ADMIN, 0, tm_route_resilience},
	{"POST", "/resilience/{provider}/reset", TM_PERM_ADMIN, 0, tm_route_resilience_reset},
	{"GET", "/openapi.json", 0, TM_ROUTE_ROOT | TM_ROUTE_PUBLIC, tm_route_openapi},
};

enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

const struct tm_route *tm_route_all(size_t *count)
{
	*count = ROUTES;
	return routes;
}

/* Cuts a leading path segment, "/v1", off *path. */
static bool cut(const char **path, const char *segment)
{
	size_t len = strlen(segment);

	if (strncmp(*path, segment, len) != 0 || (*path)[len] != '/')
		return false;
	*path += len;
	return true;
}

/* Compares a path with a route's pattern; the segment that stands for {...} goes into param. */
static bool fits(const char *pattern, const char *path, char *param, size_t param_size)
{
	param[0] = '\0';
	for (; *pattern == *path || *pattern == '{'; pattern++, path++) {
		size_t len;

		if (*pattern != '{') {
			if (*pattern == '\0')
				return true;
			continue;
		}
		len = strcspn(path, "/");
		if (len == 0 || len >= param_size)
			return false;
		memcpy(param, path, len);
		param[len] = '\0';
		path += len - 1;
		pattern = strchr(pattern, '}');
	}
	return false;
}

static bool leads_to(const struct tm_route *route, const char *path, struct tm_route_match *out)
{
	if (fits(route->path, path, out->param, sizeof(out->param)))
		return true;
	if (route->flags & TM_ROUTE_ROOT)
		return false;
	(void)cut(&path, "/v1");
	if (route->flags & TM_ROUTE_TEXT)
		(void)cut(&path, "/text_processing");
	return fits(route->path, path, out->param, sizeof(out->param));
}

static void add_method(char *allow, size_t size, const char *method)
{
	size_t len = strlen(allow);
	const char *more = strcmp(method, "GET") == 0 ? "GET, HEAD" : method;

	(void)snprintf(allow + len, size - len, "%s%s", len ? ", " : "", more);
}

static bool method_fits(const struct tm_route *route, const char *method)
{
	return strcmp(method, route->method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

bool tm_route_find(const char *method, const char *path, struct tm_route_match *out)
{
	out->route = NULL;
	out->allow[0] = out->param[0] = '\0';
	for (size_t i = 0; i < ROUTES; i++) {
		struct tm_route_match match;

		if (!leads_to(&routes[i], path, &match))
			continue;
		memcpy(out->param, match.param, sizeof(out->param));
		add_method(out->allow, sizeof(out->allow), routes[i].method);
		if (method_fits(&routes[i], method))
			out->route = &routes[i];
	}
	return out->allow[0] != '\0';
}

bool tm_route_find_tail(const char *method, const char *path, struct tm_route_match *out)
{
	while (!tm_route_find(method, path, out)) {
		path = *path ? strchr(path + 1, '/') : NULL;
		if (!path)
			return false;
	}
	return true;
}
