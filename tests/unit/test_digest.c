/* Hashes against the standard, randomness, hex. */
#include "base/digest.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *hex_of(const void *data, size_t len)
{
	static char hex[TM_SHA256_HEX_BYTES];
	uint8_t sum[TM_SHA256_BYTES];

	tm_digest_sha256(data, len, sum);
	return tm_digest_hex(sum, sizeof(sum), hex);
}

/* FIPS 180-4's examples. */
Test(digest, sha256_matches_the_standard)
{
	static char million[1000000];

	cr_assert_str_eq(hex_of("", 0),
			 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	cr_assert_str_eq(hex_of("abc", 3),
			 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(million, 'a', sizeof(million));
	cr_assert_str_eq(hex_of(million, sizeof(million)),
			 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(digest, pieces_and_reuse_give_the_same_sum)
{
	struct tm_sha256 hash;
	uint8_t whole[TM_SHA256_BYTES], pieces[TM_SHA256_BYTES];

	tm_digest_sha256("abcdef", 6, whole);
	cr_assert_eq(tm_sha256_init(&hash), TM_OK);
	for (int round = 0; round < 3; round++) {
		tm_sha256_start(&hash);
		tm_sha256_put(&hash, "ab", 2);
		tm_sha256_put(&hash, "", 0);
		tm_sha256_put(&hash, "cdef", 4);
		tm_digest_sha256("other", 5, pieces);	/* does not disturb this one */
		tm_sha256_final(&hash, pieces);
		cr_assert(tm_digest_equal(whole, pieces, sizeof(whole)));
	}
	tm_sha256_start(&hash);
	tm_sha256_put(&hash, "left", 4);		/* a start forgets what was not finished */
	tm_sha256_start(&hash);
	tm_sha256_put(&hash, "abcdef", 6);
	tm_sha256_final(&hash, pieces);
	cr_assert(tm_digest_equal(whole, pieces, sizeof(whole)));
	tm_sha256_clear(&hash);
}

Test(digest, hash_that_could_not_be_made_equals_no_other)
{
	struct tm_sha256 broken = {NULL};
	uint8_t a[TM_SHA256_BYTES], b[TM_SHA256_BYTES];

	tm_sha256_put(&broken, "x", 1);
	tm_sha256_final(&broken, a);
	tm_sha256_final(&broken, b);
	cr_assert_not(tm_digest_equal(a, b, sizeof(a)));
	tm_sha256_clear(&broken);
}

Test(digest, hex_goes_both_ways)
{
	static const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
	uint8_t back[4];
	char hex[9];

	cr_assert_str_eq(tm_digest_hex(bytes, 4, hex), "000fa5ff");
	cr_assert_str_eq(tm_digest_hex(bytes, 0, hex), "");
	cr_assert_eq(tm_digest_unhex("000FA5ff", back, 4), TM_OK);
	cr_assert_eq(memcmp(back, bytes, 4), 0);
	cr_assert_eq(tm_digest_unhex("", back, 0), TM_OK);
}

Test(digest, hex_of_another_length_or_alphabet_is_refused)
{
	static const char *const cases[] = {"", "0", "000fa5f", "000fa5ff0", "000fa5fg", " 00fa5ff",
					    "0x0fa5ff", "000fa5f\xff"};
	uint8_t back[4];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(tm_digest_unhex(cases[i], back, 4), TM_EINVAL, "%s", cases[i]);
}

Test(digest, equal_looks_at_every_byte)
{
	uint8_t a[32] = {0}, b[32] = {0};

	cr_assert(tm_digest_equal(a, b, 32));
	cr_assert(tm_digest_equal(a, b, 0));
	for (size_t i = 0; i < 32; i++) {
		b[i] = 1;
		cr_assert_not(tm_digest_equal(a, b, 32));
		b[i] = 0;
	}
}

Test(digest, base62_is_evenly_spread)
{
	static char text[62001];
	int seen[256] = {0};
	char few[4] = "zzz";

	cr_assert_eq(tm_digest_random_base62(text, 62000), TM_OK);
	cr_assert_eq(strlen(text), 62000);
	for (size_t i = 0; i < 62000; i++)
		seen[(unsigned char)text[i]]++;
	for (int c = 0; c < 256; c++) {
		bool member = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			      (c >= 'a' && c <= 'z');

		/* 1000 are expected, deviation 31: eight times that never happens */
		cr_assert_eq(seen[c] > 750 && seen[c] < 1250, member, "%d: %d", c, seen[c]);
		cr_assert(member || seen[c] == 0);
	}
	cr_assert_eq(tm_digest_random_base62(few, 0), TM_OK);
	cr_assert_str_eq(few, "");
}

Test(digest, random_bytes_differ)
{
	static uint8_t a[10000], b[10000];

	cr_assert_eq(tm_digest_random(a, sizeof(a)), TM_OK);
	cr_assert_eq(tm_digest_random(b, sizeof(b)), TM_OK);
	cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
	cr_assert_neq(memcmp(a + 9984, b + 9984, 16), 0, "the end was filled too");
}

Test(digest, wipe_overwrites)
{
	char secret[] = "secret";
	static const char zeros[sizeof(secret)];

	tm_digest_wipe(secret, sizeof(secret));
	cr_assert_eq(memcmp(secret, zeros, sizeof(secret)), 0);
}

Test(digest, random_unit_stays_below_one_and_spreads)
{
	double sum = 0;

	for (int i = 0; i < 100000; i++) {
		double unit = tm_random_unit();

		cr_assert(unit >= 0 && unit < 1);
		sum += unit;
	}
	cr_assert(sum > 49000 && sum < 51000, "%f", sum);
}

Test(digest, reseeded_child_draws_other_numbers)
{
	int ends[2], status = 0;
	uint64_t ours, theirs = 0;
	pid_t child;

	(void)tm_random_u64();
	cr_assert_eq(pipe(ends), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		tm_random_reseed();
		theirs = tm_random_u64();
		_exit(write(ends[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	ours = tm_random_u64();
	cr_assert_eq(read(ends[0], &theirs, sizeof(theirs)), (ssize_t)sizeof(theirs));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_neq(ours, theirs);
	(void)close(ends[0]);
	(void)close(ends[1]);
}
