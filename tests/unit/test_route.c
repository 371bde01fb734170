/* Which path leads where, at any mount point; and that openapi.json says the same. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "api/openapi_text.h"
#include "api/route.h"
#include "io/json.h"

static const struct {
	const char *method, *path, *route, *allow;
} cases[] = {
	{"GET", "/v1/health", "/health", "GET, HEAD"},
	{"HEAD", "/health", "/health", "GET, HEAD"},
	{"POST", "/v1/process", "/process", "POST"},
	{"POST", "/process", "/process", "POST"},
	{"POST", "/ai/v1/process", "/process", "POST"},
	{"POST", "/a/b/c/process", "/process", "POST"},
	{"POST", "/v1/text_processing/process", "/process", "POST"},
	{"POST", "/ai/v1/text_processing/process", "/process", "POST"},
	{"GET", "/v1/batch_status/x.1", "/batch_status/{id}", "GET, HEAD, DELETE"},
	{"DELETE", "/ai/v1/text_processing/batch_status/x", "/batch_status/{id}",
	 "GET, HEAD, DELETE"},
	{"GET", "/v1/batch_status/", NULL, ""},
	{"GET", "/v1/batch_status/x/y", NULL, ""},
	{"GET", "/v1/auth/status", "/auth/status", "GET, HEAD"},
	{"GET", "/ai/openapi.json", "/openapi.json", "GET, HEAD"},
	{"GET", "/v1/process", NULL, "POST"},
	{"DELETE", "/v1/health", NULL, "GET, HEAD"},
	{"GET", "/v1/nothing", NULL, ""},
	{"GET", "/v1/health/", NULL, ""},
	{"GET", "/v1/health/more", NULL, ""},
	{"GET", "/v1/unhealth", NULL, ""},
	{"GET", "/status", NULL, ""},
	{"GET", "/", NULL, ""},
	{"GET", "", NULL, ""},
	{"GET", "v1/health", "/health", "GET, HEAD"},
};

Test(route, finds_paths_at_any_mount_point)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_route_match match;

		cr_assert_eq(tm_route_find_tail(cases[i].method, cases[i].path, &match),
			     cases[i].allow[0] != '\0', "%s %s", cases[i].method, cases[i].path);
		cr_assert_str_eq(match.allow, cases[i].allow, "%s %s: allow '%s'", cases[i].method,
				 cases[i].path, match.allow);
		if (!cases[i].route) {
			cr_assert_null(match.route, "%s %s", cases[i].method, cases[i].path);
			continue;
		}
		cr_assert_not_null(match.route, "%s %s", cases[i].method, cases[i].path);
		cr_assert_str_eq(match.route->path, cases[i].route);
	}
}

Test(route, finds_whole_paths_only_below_a_known_mount_point)
{
	static const struct {
		const char *path, *route;
	} rows[] = {
		{"/v1/process", "/process"}, {"/process", "/process"},
		{"/v1/text_processing/process", "/process"}, {"/text_processing/process", "/process"},
		{"/v1/batch_status/x.1", "/batch_status/{id}"}, {"/openapi.json", "/openapi.json"},
		{"/v1/nonsense/process", NULL}, {"/v3/process", NULL}, {"/ai/v1/process", NULL},
		{"/v1/v1/process", NULL}, {"//v1/process", NULL}, {"/v1/openapi.json", NULL},
		{"/", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_route_match match;

		cr_assert_eq(tm_route_find("POST", rows[i].path, &match), rows[i].route != NULL,
			     "%s", rows[i].path);
		cr_assert_eq(match.allow[0] != '\0', rows[i].route != NULL, "%s", rows[i].path);
		cr_assert(!match.route || strcmp(match.route->path, rows[i].route) == 0);
	}
}

static const struct tm_json *contract_method(const struct tm_json *paths,
					     const struct tm_route *route)
{
	char path[96], method[16];
	size_t len = strlen(route->method);

	(void)snprintf(path, sizeof(path), "%s%s", route->flags & TM_ROUTE_ROOT ? "" : "/v1",
		       route->path);
	for (size_t i = 0; i <= len && i < sizeof(method); i++)
		method[i] = (char)(route->method[i] | (route->method[i] ? 0x20 : 0));
	return tm_json_get(tm_json_get(paths, path), method);
}

Test(route, openapi_lists_every_route_and_no_other)
{
	struct tm_json *contract = NULL, *paths;
	struct tm_json_member path = {0};
	size_t count, listed = 0;
	const struct tm_route *all = tm_route_all(&count);

	cr_assert_eq(tm_json_parse((const char *)tm_openapi_text, sizeof(tm_openapi_text), 32,
				   &contract), TM_OK);
	paths = tm_json_get(contract, "paths");
	for (size_t i = 0; i < count; i++)
		cr_assert_not_null(contract_method(paths, &all[i]), "%s %s is not in openapi.json",
				   all[i].method, all[i].path);
	while (tm_json_next(paths, &path))
		listed += tm_json_count(path.value);
	cr_assert_eq(listed, count, "openapi.json has %zu operations, the route table %zu", listed,
		     count);
	tm_json_free(contract);
}

Test(route, openapi_says_which_routes_are_public)
{
	struct tm_json *contract = NULL;
	size_t count;
	const struct tm_route *all = tm_route_all(&count);

	cr_assert_eq(tm_json_parse((const char *)tm_openapi_text, sizeof(tm_openapi_text), 32,
				   &contract), TM_OK);
	for (size_t i = 0; i < count; i++) {
		const struct tm_json *method = contract_method(tm_json_get(contract, "paths"), &all[i]);
		const struct tm_json *security = tm_json_get(method, "security");

		cr_assert_eq(security && tm_json_count(security) == 0,
			     (all[i].flags & TM_ROUTE_PUBLIC) != 0, "%s", all[i].path);
	}
	tm_json_free(contract);
}
