/* How fast dying workers are replaced, and the one word they say. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "pool/child.h"

TestSuite(child);

Test(child, throttle_doubles_from_one_second_to_a_minute)
{
	static const int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	struct tm_throttle throttle = {0};
	int64_t now = 5;

	cr_assert_eq(tm_throttle_left_ms(&throttle, now), 0);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		cr_assert(tm_throttle_died(&throttle, now));
		cr_assert_eq(tm_throttle_left_ms(&throttle, now), waits[i], "death %zu", i);
		now += waits[i];
		cr_assert_eq(tm_throttle_left_ms(&throttle, now), 0);
	}
}

Test(child, deaths_of_the_same_moment_lengthen_the_wait_once)
{
	struct tm_throttle throttle = {0};

	cr_assert(tm_throttle_died(&throttle, 100));
	for (int64_t now = 100; now < 1100; now += 125)
		cr_assert_not(tm_throttle_died(&throttle, now));
	cr_assert_eq(tm_throttle_left_ms(&throttle, 600), 500);
	cr_assert(tm_throttle_died(&throttle, 1100));
	cr_assert_eq(tm_throttle_left_ms(&throttle, 1100), 2000);
}

Test(child, throttle_is_forgotten_when_a_worker_serves)
{
	struct tm_throttle throttle = {0};

	cr_assert(tm_throttle_died(&throttle, 0));
	cr_assert(tm_throttle_died(&throttle, 1000));
	tm_throttle_served(&throttle);
	cr_assert_eq(tm_throttle_left_ms(&throttle, 1001), 0);
	cr_assert(tm_throttle_died(&throttle, 1001));
	cr_assert_eq(tm_throttle_left_ms(&throttle, 1001), 1000);
}

Test(child, first_request_is_told_once)
{
	int ends[2];
	struct tm_child child;
	struct tm_slot slot;

	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	child = (struct tm_child){.pipe_fd = ends[1]};
	slot = (struct tm_slot){.pid = 1, .pipe_fd = ends[0]};
	cr_assert_not(tm_child_heard(&slot), "nothing said yet");
	cr_assert_eq(slot.pipe_fd, ends[0]);

	tm_child_served(&child);
	tm_child_served(&child);
	cr_assert(tm_child_heard(&slot));
	cr_assert(slot.served);
	cr_assert_not(tm_child_heard(&slot), "old news");
	tm_child_gone(&slot);
	cr_assert_eq(slot.pid, 0);
	cr_assert_eq(slot.pipe_fd, -1);
}

Test(child, worker_that_dies_silent_has_not_served)
{
	int ends[2];
	struct tm_slot slot;

	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	slot = (struct tm_slot){.pid = 1, .pipe_fd = ends[0]};
	close(ends[1]);
	cr_assert_not(tm_child_heard(&slot));
	cr_assert_not(slot.served);
	cr_assert_eq(slot.pipe_fd, -1, "a closed pipe would end every wait at once");
}

Test(child, without_a_master_nothing_is_told)
{
	struct tm_child child = {.pipe_fd = -1};

	tm_child_served(&child);
	cr_assert_eq(child.pipe_fd, -1);
}
