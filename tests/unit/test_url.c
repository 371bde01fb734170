/* Forms of provider and Redis URLs. */
#include "base/url.h"

#include <criterion/criterion.h>
#include <string.h>

Test(url, path_is_encoded_where_it_must_be)
{
	static const struct { const char *path, *encoded; } cases[] = {
		{"", ""}, {"/ai/v1", "/ai/v1"}, {"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"},
		{"/a b", "/a%20b"}, {"/100%", "/100%25"}, {"/?#[]", "/%3F%23%5B%5D"},
		{"/caf\xc3\xa9", "/caf%C3%A9"}, {"/\r\nX: y", "/%0D%0AX:%20y"},
		{"/\"<>\\^`{|}\x7f", "/%22%3C%3E%5C%5E%60%7B%7C%7D%7F"},
	};
	struct tm_arena arena;

	tm_arena_init(&arena, 4096);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_str_eq(tm_url_encode_path(&arena, cases[i].path, strlen(cases[i].path)),
				 cases[i].encoded);
	cr_assert_str_eq(tm_url_encode_path(&arena, "/ai/v1", 3), "/ai", "and no further");
	cr_assert_null(tm_url_encode_path(&arena, cases[1].path, 1000000));
	tm_arena_clear(&arena);
}

Test(url, takes_good_provider_urls)
{
	static const char *const urls[] = {
		"https://api.openai.com/v1",   "https://h",
		"https://h:8443/a/b/",         "http://localhost:8080",
		"http://127.0.0.1/v1",         "http://127.9.8.7",
		"http://[::1]:11434/v1",       "https://[2001:db8::1]",
		"https://my_host.internal/v1",
	};
	char why[128] = "untouched";

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		cr_expect_eq(tm_url_check_provider(urls[i], false, why, sizeof(why)), TM_OK,
			     "%s: %s", urls[i], why);
	cr_expect_eq(tm_url_check_provider("http://10.0.0.1/v1", true, why, sizeof(why)), TM_OK);
	cr_expect_str_eq(why, "untouched");
}

Test(url, refuses_bad_provider_urls)
{
	static const struct {
		const char *url, *word;
	} cases[] = {
		{"", "begins with"},
		{"api.openai.com", "begins with"},
		{"ftp://h", "begins with"},
		{"HTTPS://h", "begins with"},
		{"https://", "no host"},
		{"https:///v1", "no host"},
		{"https://:80", "no host"},
		{"http://example.com", "loopback"},
		{"http://127.evil.example", "loopback"},
		{"http://127.0.0.1.evil.example", "loopback"},
		{"http://localhost.evil.example", "loopback"},
		{"http://127.0.0.1@evil.example", "user"},
		{"https://user:canary@h", "user"},
		{"https://h?canary=1", "query"},
		{"https://h/v1#f", "query"},
		{"https://h:0", "port"},
		{"https://h:65536", "port"},
		{"https://h:", "port"},
		{"https://h:8x", "port"},
		{"https://[::1", "neither a name"},
		{"https://[1.2.3.4]", "neither a name"},
		{"https://h\\@x", "another character"},
		{"https://h /v1", "another character"},
		{"https://h/\r\nX: canary", "another character"},
		{"https://h%00", "neither a name"},
		{"https://-h", "neither a name"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[128] = "";

		cr_expect_eq(tm_url_check_provider(cases[i].url, false, why, sizeof(why)),
			     TM_EINVAL, "%s", cases[i].url);
		cr_expect_not_null(strstr(why, cases[i].word), "%s: %s", cases[i].url, why);
		cr_expect_null(strstr(why, "canary"), "%s: %s", cases[i].url, why);
	}
}

Test(url, bounds_its_length)
{
	char url[1100] = "https://", why[128];

	memset(url + 8, 'h', 253);
	cr_expect_eq(tm_url_check_provider(url, false, why, sizeof(why)), TM_OK);
	url[8 + 253] = 'h';
	cr_expect_eq(tm_url_check_provider(url, false, why, sizeof(why)), TM_EINVAL);
	url[9] = '/';
	memset(url + 10, 'p', 1024 - 10);
	cr_expect_eq(tm_url_check_provider(url, false, why, sizeof(why)), TM_OK);
	url[1024] = 'p';
	cr_expect_eq(tm_url_check_provider(url, false, why, sizeof(why)), TM_EINVAL);
}

Test(url, takes_good_redis_urls)
{
	static const char *const urls[] = {
		"redis://127.0.0.1:6379/0",
		"redis://h",
		"redis://h/",
		"redis://h/15",
		"redis://[::1]:6379",
		"redis://:pass@h",
		"redis://user:p@ss@h:1",
		"redis://user@h",
		"unix:///run/redis.sock",
		"unix:///run/redis.sock?db=3",
	};
	char why[128];

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		cr_expect_eq(tm_url_check_redis(urls[i], why, sizeof(why)), TM_OK, "%s: %s",
			     urls[i], why);
}

Test(url, takes_redis_urls_apart)
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
		struct tm_url_redis url;

		cr_assert_eq(tm_url_read_redis(cases[i].text, &url, NULL, 0), TM_OK, "%s", cases[i].text);
		cr_assert_str_eq(url.path, cases[i].path, "%s", cases[i].text);
		cr_assert_str_eq(url.host, cases[i].host, "%s", cases[i].text);
		cr_assert_eq(url.port, cases[i].port, "%s", cases[i].text);
		cr_assert_eq(url.db, cases[i].db, "%s", cases[i].text);
		cr_assert_str_eq(url.username, cases[i].username, "%s", cases[i].text);
		cr_assert_str_eq(url.password, cases[i].password, "%s", cases[i].text);
	}
}

Test(url, refuses_bad_redis_urls)
{
	static const struct {
		const char *url, *word;
	} cases[] = {
		{"", "begins with"},
		{"127.0.0.1:6379", "begins with"},
		{"http://h", "begins with"},
		{"rediss://h", "TLS"},
		{"redis://", "no host"},
		{"redis://:canary@", "no host"},
		{"redis://h:99999", "port"},
		{"redis://h/x", "database"},
		{"redis://h/1/2", "database"},
		{"redis://h?db=1", "database"},
		{"redis://h/65536", "database"},
		{"redis://h h", "space"},
		{"redis://:pass/word@h", "no host"},
		{"unix://run/redis.sock", "absolute"},
		{"", "neither"}, {"redis", "neither"}, {"http://h", "neither"},
		{"redis://:6379", "no host"}, {"redis://h:0", "port"}, {"redis://h:x", "port"},
		{"redis://h/-1", "database"}, {"redis://[::1", "host"},
		{"redis://u:%zz@h", "two hex digits"}, {"redis://u:%00@h", "two hex digits"},
		{"redis://u:%4@h", "two hex digits"}, {"redis://u:%@h", "two hex digits"},
		{"unix://", "absolute"}, {"unix:///", "absolute"}, {"unix:///s?db=", "?db="},
		{"unix:///s?database=1", "?db="},
		{"unix:///", "absolute"},
		{"unix://", "absolute"},
		{"unix:///x?db=", "?db=N"},
		{"unix:///x?canary", "?db=N"},
	};
	char path[160] = "unix:///", why[128];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why[0] = '\0';
		cr_expect_eq(tm_url_check_redis(cases[i].url, why, sizeof(why)), TM_EINVAL, "%s",
			     cases[i].url);
		cr_expect_null(strstr(why, "canary"), "%s: %s", cases[i].url, why);
		cr_expect_not_null(strstr(why, cases[i].word), "%s: %s", cases[i].url, why);
	}
	memset(path + 8, 'p', 106);
	cr_expect_eq(tm_url_check_redis(path, why, sizeof(why)), TM_OK);
	path[8 + 106] = 'p';
	cr_expect_eq(tm_url_check_redis(path, why, sizeof(why)), TM_EINVAL);
}

Test(url, knows_loopback_hosts)
{
	static const struct {
		const char *host;
		bool loopback;
	} cases[] = {
		{"localhost", true},       {"LocalHost", true},   {"127.0.0.1", true},
		{"127.255.255.254", true}, {"::1", true},         {"[::1]", true},
		{"128.0.0.1", false},      {"127.1", false},      {"", false},
		{"localhost.", false},     {"xlocalhost", false}, {"[::2]", false},
		{"0.0.0.0", false},        {"1270.0.0.1", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(tm_url_loopback(cases[i].host, strlen(cases[i].host)),
			     cases[i].loopback, "%s", cases[i].host);
}
