/* Which urls of Redis are taken, and what they mean. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "io/redis.h"
#include "io/redis_url.h"

Test(redis_url, url_is_taken_apart)
{
	static const struct {
		const char *text, *path, *host;
		int port;
		int64_t db;
		const char *username, *password;
	} cases[] = {
		{"unix:///run/redis.sock", "/run/redis.sock", "", 0, 0, "", ""},
		{"unix:///run/redis.sock?db=3", "/run/redis.sock", "", 0, 3, "", ""},
		{"redis://localhost", "", "localhost", 6379, 0, "", ""},
		{"redis://localhost/", "", "localhost", 6379, 0, "", ""},
		{"redis://10.0.0.1:7000/15", "", "10.0.0.1", 7000, 15, "", ""},
		{"redis://[::1]:7000", "", "::1", 7000, 0, "", ""},
		{"redis://:pass@h", "", "h", 6379, 0, "", "pass"},
		{"redis://user:p%40ss%2f@h:1/2", "", "h", 1, 2, "user", "p@ss/"},
		{"redis://user:a@b@h", "", "h", 6379, 0, "user", "a@b"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_redis_url url;

		cr_assert_eq(tm_redis_url_parse(cases[i].text, &url), TM_OK, "%s", cases[i].text);
		cr_assert_str_eq(url.path, cases[i].path, "%s", cases[i].text);
		cr_assert_str_eq(url.host, cases[i].host, "%s", cases[i].text);
		cr_assert_eq(url.port, cases[i].port, "%s", cases[i].text);
		cr_assert_eq(url.db, cases[i].db, "%s", cases[i].text);
		cr_assert_str_eq(url.username, cases[i].username, "%s", cases[i].text);
		cr_assert_str_eq(url.password, cases[i].password, "%s", cases[i].text);
	}
}

Test(redis_url, bad_url_is_refused)
{
	static const char *const cases[] = {
		"", "redis", "redis://", "redis://:6379", "redis://h:0", "redis://h:65536",
		"redis://h:x", "redis://h/x", "redis://h/-1", "redis://[::1", "redis://a b",
		"redis://u:%zz@h", "redis://u:%00@h", "rediss://h", "http://h", "unix://", "unix:///",
		"unix://relative", "unix:///s?db=", "unix:///s?database=1",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct tm_redis_conf conf = {
			.url = cases[i], .username = "", .password = "", .timeout_ms = 100,
		};
		struct tm_redis *handle = NULL;

		cr_assert_eq(tm_redis_new(&handle, &conf), TM_EINVAL, "%s", cases[i]);
		cr_assert_null(handle);
	}
}

Test(redis_url, socket_path_is_as_long_as_an_address_holds)
{
	char text[256];
	struct tm_redis_url url;

	(void)snprintf(text, sizeof(text), "unix:///%0106d", 0);
	cr_assert_eq(tm_redis_url_parse(text, &url), TM_OK);
	(void)snprintf(text, sizeof(text), "unix:///%0107d", 0);
	cr_assert_eq(tm_redis_url_parse(text, &url), TM_EINVAL);
}

Test(redis_url, address_is_looked_up_once_a_minute_and_only_after_failures)
{
	struct tm_redis_url url;

	cr_assert_eq(tm_redis_url_parse("redis://127.0.0.1", &url), TM_OK);
	cr_assert_str_eq(tm_redis_url_address(&url, 0, 1000), "127.0.0.1");
	cr_assert_eq(url.resolved_ms, 1000);
	cr_assert_str_eq(tm_redis_url_address(&url, 1, 60999), "127.0.0.1");
	cr_assert_str_eq(tm_redis_url_address(&url, 0, 99999), "127.0.0.1");
	cr_assert_eq(url.resolved_ms, 1000);
	cr_assert_str_eq(tm_redis_url_address(&url, 1, 61000), "127.0.0.1");
	cr_assert_eq(url.resolved_ms, 61000);
}

Test(redis_url, failure_goes_on_to_the_next_address)
{
	struct tm_redis_url url = {
		.host = "two", .addresses = {"10.0.0.1", "10.0.0.2"}, .addresses_count = 2,
		.resolved_ms = 1000,
	};

	cr_assert_str_eq(tm_redis_url_address(&url, 0, 1100), "10.0.0.1");
	cr_assert_str_eq(tm_redis_url_address(&url, 1, 1200), "10.0.0.2");
	cr_assert_str_eq(tm_redis_url_address(&url, 0, 1300), "10.0.0.2");
	cr_assert_str_eq(tm_redis_url_address(&url, 1, 1400), "10.0.0.1");
}
