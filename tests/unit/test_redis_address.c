/* When the host name of a Redis is looked up, and which address is next. */
#include <criterion/criterion.h>

#include "io/redis_address.h"

Test(redis_address, name_is_looked_up_once_a_minute_and_only_after_failures)
{
	static const char host[] = "127.0.0.1";
	struct tm_redis_address address = {.count = 0};

	cr_assert_str_eq(tm_redis_address_get(&address, host, false, 1000), host);
	cr_assert_eq(address.resolved_ms, 1000);
	cr_assert_str_eq(tm_redis_address_get(&address, host, true, 60999), host);
	cr_assert_str_eq(tm_redis_address_get(&address, host, false, 99999), host);
	cr_assert_eq(address.resolved_ms, 1000);
	cr_assert_str_eq(tm_redis_address_get(&address, host, true, 61000), host);
	cr_assert_eq(address.resolved_ms, 61000);
}

Test(redis_address, failure_goes_on_to_the_next_address)
{
	struct tm_redis_address address = {
		.found = {"10.0.0.1", "10.0.0.2"}, .count = 2, .resolved_ms = 1000,
	};

	cr_assert_str_eq(tm_redis_address_get(&address, "two", false, 1100), "10.0.0.1");
	cr_assert_str_eq(tm_redis_address_get(&address, "two", true, 1200), "10.0.0.2");
	cr_assert_str_eq(tm_redis_address_get(&address, "two", false, 1300), "10.0.0.2");
	cr_assert_str_eq(tm_redis_address_get(&address, "two", true, 1400), "10.0.0.1");
}
