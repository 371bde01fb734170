/* Keys of the environment and of a file in a folder of the test's own. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "gate/keys.h"

static const char admin_secret[] = "an-admin-key-of-the-environment";
static const char user_secret[] = "a-user-key-of-the-environment";

static char dir[64], path[96];
static char reports[8192];
static struct tm_settings settings;
static struct tm_keys *keys;

static void note(void *arg, const char *text)
{
	size_t len = strlen(reports);

	(void)arg;
	(void)snprintf(reports + len, sizeof(reports) - len, "%s\n", text);
}

static void begin(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/textmill-test-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/keys", dir);
	settings = (struct tm_settings){0};
	settings.auth.mode = TM_AUTH_KEYS;
	settings.auth.keys_file = "";
	settings.auth.admin_key = "";
	settings.auth.user_key = "";
	settings.limit.admin_hour = 1000;
	reports[0] = '\0';
}

static void end(void)
{
	tm_keys_free(keys);
	tm_clock_real();
	(void)unlink(path);
	(void)rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
	cr_assert_eq(chmod(path, 0640), 0);
	settings.auth.keys_file = path;
}

/* A key and its line with owner's fields. */
static void make(char key[TM_KEY_BYTES], char *line, size_t size, const struct tm_principal *owner)
{
	struct tm_buf buf;

	tm_buf_init(&buf, 4096);
	cr_assert_eq(tm_key_make(key), TM_OK);
	tm_key_line(&buf, key, owner);
	(void)snprintf(line, size, "%s", tm_buf_text(&buf));
	tm_buf_clear(&buf);
}

TestSuite(keys, .init = begin, .fini = end);

Test(keys, made_key_has_the_form_and_a_checksum)
{
	char key[TM_KEY_BYTES], other[TM_KEY_BYTES];

	for (int round = 0; round < 50; round++) {
		cr_assert_eq(tm_key_make(key), TM_OK);
		cr_assert_eq(tm_key_make(other), TM_OK);
		cr_assert_str_neq(key, other);
		cr_assert_eq(strlen(key), 3 + 12 + 1 + 40 + 6);
		cr_assert(tm_key_well_formed(key));
		for (size_t i = 0; key[i]; i++) {
			memcpy(other, key, sizeof(other));
			other[i] = other[i] == 'x' ? 'y' : 'x';
			cr_assert_not(tm_key_well_formed(other), "a typo at %zu does not show", i);
		}
	}
}

Test(keys, wrong_forms_are_not_well_formed)
{
	static const char *const wrong[] = {
		"", "tm_", "tm_abcdefghijkl_", "xx_abcdefghijkl_0123456789",
		"an ordinary password that is rather long and has 62 characters",
	};
	char key[TM_KEY_BYTES + 1];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_not(tm_key_well_formed(wrong[i]), "%s", wrong[i]);
	cr_assert_eq(tm_key_make(key), TM_OK);
	key[TM_KEY_BYTES - 1] = 'x';
	key[TM_KEY_BYTES] = '\0';
	cr_assert_not(tm_key_well_formed(key));
}

Test(keys, environment_keys_open)
{
	struct tm_principal owner;

	settings.auth.admin_key = admin_secret;
	settings.auth.user_key = user_secret;
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK, "%s", reports);
	cr_assert_eq(tm_keys_find(keys, admin_secret, &owner), TM_OK);
	cr_assert_str_eq(owner.id, "env-admin");
	cr_assert_str_eq(owner.user, "admin");
	cr_assert_eq(owner.permissions, TM_PERM_READ | TM_PERM_WRITE | TM_PERM_ADMIN);
	cr_assert_eq(owner.hour, 1000);
	cr_assert_eq(tm_keys_find(keys, user_secret, &owner), TM_OK);
	cr_assert_str_eq(owner.id, "env-user");
	cr_assert_str_eq(owner.user, "user");
	cr_assert_eq(owner.permissions, TM_PERM_READ | TM_PERM_WRITE);
	cr_assert_eq(owner.hour, 0);
	cr_assert_eq(owner.expires_ms, 0);
}

Test(keys, unknown_keys_are_denied)
{
	static char huge[100000];
	char almost[sizeof(user_secret)];
	struct tm_principal owner = {.id = "untouched"};

	settings.auth.user_key = user_secret;
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	memset(huge, 'x', sizeof(huge) - 1);
	memcpy(almost, user_secret, sizeof(almost));
	almost[sizeof(almost) - 2]++;
	cr_assert_eq(tm_keys_find(keys, "", &owner), TM_DENIED);
	cr_assert_eq(tm_keys_find(keys, "x", &owner), TM_DENIED);
	cr_assert_eq(tm_keys_find(keys, almost, &owner), TM_DENIED);
	cr_assert_eq(tm_keys_find(keys, huge, &owner), TM_DENIED);
	cr_assert_eq(tm_keys_find(keys, admin_secret, &owner), TM_DENIED);
	cr_assert_eq(tm_keys_find(keys, "tm_abcdefghijkl_secret", &owner), TM_DENIED);
	cr_assert_str_eq(owner.id, "untouched");
}

Test(keys, bad_environment_keys_are_told_without_the_key)
{
	static const char *const bad[] = {"too-short", "sixteen or more with blanks",
					  "sixteen-or-more-\xc3\xa4"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reports[0] = '\0';
		settings.auth.user_key = bad[i];
		cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EINVAL);
		cr_assert_not_null(strstr(reports, "USER_API_KEY"));
		cr_assert_null(strstr(reports, bad[i]));
	}
	settings.auth.user_key = admin_secret;
	settings.auth.admin_key = admin_secret;
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EINVAL);
}

Test(keys, no_key_at_all_refuses_to_start)
{
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_ENOENT);
	cr_assert_not_null(strstr(reports, "ADMIN_API_KEY"));
	write_file("# nobody yet\n");
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_ENOENT);
	settings.auth.mode = TM_AUTH_OFF;
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_OK);
}

Test(keys, line_of_a_key_is_read_back)
{
	const struct tm_principal want = {
		.user = "alice@example.org", .permissions = TM_PERM_READ | TM_PERM_ADMIN, .hour = 250,
		.expires_ms = 1801396800123,
	};
	char key[TM_KEY_BYTES], line[1024];
	struct tm_principal got;

	tm_clock_fake(0, 1700000000000);
	make(key, line, sizeof(line), &want);
	cr_assert_null(strstr(line, key + 16), "the secret is in the line");
	write_file(line);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK, "%s", reports);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_OK);
	cr_assert_eq(strncmp(got.id, key + 3, 12), 0);
	cr_assert_eq(strlen(got.id), 12);
	cr_assert_str_eq(got.user, want.user);
	cr_assert_eq(got.permissions, want.permissions);
	cr_assert_eq(got.hour, want.hour);
	cr_assert_eq(got.expires_ms, want.expires_ms);
	cr_assert_str_eq(reports, "");

	key[20] = key[20] == 'a' ? 'b' : 'a';
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_DENIED);
}

Test(keys, expired_key_is_denied)
{
	const struct tm_principal owner = {
		.user = "bob", .permissions = TM_PERM_READ, .expires_ms = 1800000000000,
	};
	char key[TM_KEY_BYTES], line[1024];
	struct tm_principal got;

	make(key, line, sizeof(line), &owner);
	write_file(line);
	tm_clock_fake(0, 1799999999999);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK, "%s", reports);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_OK);
	tm_clock_fake(0, 1800000000000);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_DENIED);
}

Test(keys, each_of_many_keys_is_found)
{
	enum { COUNT = 1000 };
	static char all[COUNT][TM_KEY_BYTES], text[COUNT * 160];
	struct tm_principal owner = {.permissions = TM_PERM_WRITE};
	struct tm_principal got;
	size_t len = 0;

	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(owner.user, sizeof(owner.user), "user-%d", i);
		make(all[i], text + len, sizeof(text) - len, &owner);
		len += strlen(text + len);
	}
	write_file(text);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK, "%s", reports);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(owner.user, sizeof(owner.user), "user-%d", i);
		cr_assert_eq(tm_keys_find(keys, all[i], &got), TM_OK);
		cr_assert_str_eq(got.user, owner.user);
	}
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define GOOD "aaaaaaaaaaaa sha256=" HEX " user=u permissions=read"

Test(keys, every_mistake_is_told_with_its_line)
{
	static const struct { const char *line, *want; } cases[] = {
		{"short sha256=" HEX " user=u permissions=read", "public id"},
		{"aaaaaaaaaaa! sha256=" HEX " user=u permissions=read", "public id"},
		{"aaaaaaaaaaaa user=u permissions=read", "sha256 is missing"},
		{"aaaaaaaaaaaa sha256=" HEX " permissions=read", "user is missing"},
		{"aaaaaaaaaaaa sha256=" HEX " user=u", "permissions is missing"},
		{"aaaaaaaaaaaa sha256=abc user=u permissions=read", "64 hex digits"},
		{"aaaaaaaaaaaa sha256=" HEX "00 user=u permissions=read", "64 hex digits"},
		{"aaaaaaaaaaaa sha256=" HEX " user=a:b permissions=read", "user takes"},
		{"aaaaaaaaaaaa sha256=" HEX " user= permissions=read", "user takes"},
		{"aaaaaaaaaaaa sha256=" HEX " user=u permissions=root", "read, write, admin"},
		{"aaaaaaaaaaaa sha256=" HEX " user=u permissions=", "permissions is empty"},
		{GOOD " hour=0", "hour is"}, {GOOD " hour=-1", "hour is"}, {GOOD " hour=", "hour is"},
		{GOOD " hour=99999999999999999999", "hour is"}, {GOOD " hour=1h", "hour is"},
		{GOOD " expires=tomorrow", "expires takes"}, {GOOD " expires=2027-02-30", "expires takes"},
		{GOOD " user=v", "user is given twice"}, {GOOD " word", "name=value"},
		{"aaaaaaaaaaaa sha256=" HEX " user=u permission=read", "did you mean permissions?"},
		{GOOD " zzzzzzzzzz=1", "unknown field"},
		{GOOD " expire=2027-01-31", "did you mean expires?"},
	};

	settings.auth.user_key = user_secret;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2048], where[128];

		reports[0] = '\0';
		(void)snprintf(text, sizeof(text), "# comment\n\n%s\n", cases[i].line);
		(void)snprintf(where, sizeof(where), "%s:3: ", path);
		write_file(text);
		cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EINVAL, "%s",
			     cases[i].line);
		cr_assert_not_null(strstr(reports, cases[i].want), "%s: %s", cases[i].line, reports);
		cr_assert_not_null(strstr(reports, where), "%s", reports);
		cr_assert_null(strstr(reports, "00112233"), "a hash was told");
	}
}

Test(keys, all_mistakes_are_told_at_once)
{
	char want[3][160];

	write_file("bad\n" GOOD "\n" GOOD " # again\n\t\nbbbbbbbbbbbb sha256=1 user=u\n");
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EINVAL);
	(void)snprintf(want[0], sizeof(want[0]), "%s:1: ", path);
	(void)snprintf(want[1], sizeof(want[1]), "%s:3: key aaaaaaaaaaaa stands already in line 2",
		       path);
	(void)snprintf(want[2], sizeof(want[2]), "%s:5: permissions is missing", path);
	for (int i = 0; i < 3; i++)
		cr_assert_not_null(strstr(reports, want[i]), "%s not in: %s", want[i], reports);
}

Test(keys, over_long_line_is_a_mistake)
{
	char text[2048];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	write_file(text);
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EINVAL);
	cr_assert_not_null(strstr(reports, ":1: the line is longer"));
}

Test(keys, file_that_cannot_be_read_is_told)
{
	settings.auth.keys_file = path;
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EIO);
	cr_assert_not_null(strstr(reports, path));
	settings.auth.keys_file = dir;
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EIO);
}

Test(keys, world_readable_file_is_warned_about)
{
	write_file(GOOD "\n");
	cr_assert_eq(chmod(path, 0644), 0);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	cr_assert_not_null(strstr(reports, "everyone may read it"));
}

Test(keys, changed_file_is_read_again_after_five_seconds)
{
	const struct tm_principal owner = {.user = "new", .permissions = TM_PERM_READ};
	char key[TM_KEY_BYTES], line[1024];
	struct tm_principal got;

	tm_clock_fake(1000000, 1700000000000);
	make(key, line, sizeof(line), &owner);
	write_file(GOOD "\n");
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_DENIED);

	write_file(line);
	tm_clock_fake(1000000 + 4999000, 1700000000000);
	tm_keys_refresh(keys, note, NULL);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_DENIED);
	tm_clock_fake(1000000 + 5000000, 1700000000000);
	tm_keys_refresh(keys, note, NULL);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_OK);
	cr_assert_str_eq(reports, "");
}

/* Seconds on the steady clock; the time of day stays before all expiries. */
static void at_s(int64_t s)
{
	tm_clock_fake(s * 1000000, 1700000000000);
}

/* A key of a user called user, and a file with its line between two bad ones. */
static void write_spoilt(char key[TM_KEY_BYTES], const char *user)
{
	struct tm_principal owner = {.permissions = TM_PERM_READ};
	char line[1024], text[4096], rest[2048];

	(void)snprintf(owner.user, sizeof(owner.user), "%s", user);
	make(key, line, sizeof(line), &owner);
	memset(rest, 'x', sizeof(rest) - 1);
	rest[sizeof(rest) - 1] = '\0';
	(void)snprintf(text, sizeof(text), "nonsense\n%s\n%s" GOOD " hour=0\n", rest, line);
	write_file(text);
}

Test(keys, serving_process_takes_the_good_lines_and_tells_the_others)
{
	char key[TM_KEY_BYTES];
	struct tm_principal got;

	write_spoilt(key, "good");
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EINVAL);
	reports[0] = '\0';
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	cr_assert_not_null(strstr(reports, ":1: the line starts with"), "%s", reports);
	cr_assert_not_null(strstr(reports, ":2: the line is longer"), "%s", reports);
	cr_assert_not_null(strstr(reports, ":4: hour is"), "%s", reports);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_OK);
	cr_assert_str_eq(got.user, "good");
}

Test(keys, of_two_lines_with_one_id_the_first_counts)
{
	const struct tm_principal first = {.user = "first", .permissions = TM_PERM_READ};
	const struct tm_principal admin = {.user = "admin", .permissions = TM_PERM_ADMIN};
	char key[TM_KEY_BYTES], other[TM_KEY_BYTES], text[2048];
	struct tm_principal got;
	size_t len;

	make(key, text, sizeof(text), &first);
	len = strlen(text);
	make(other, text + len, sizeof(text) - len, &admin);
	memcpy(text + len, key + 3, TM_KEY_PUBLIC);
	memcpy(other + 3, key + 3, TM_KEY_PUBLIC);
	write_file(text);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	cr_assert_not_null(strstr(reports, "stands already in line 1"), "%s", reports);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_OK);
	cr_assert_eq(got.permissions, TM_PERM_READ);
}

Test(keys, serving_process_starts_with_no_key_at_all)
{
	struct tm_principal got;

	write_file("# the last one has been withdrawn\n");
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	cr_assert_not_null(strstr(reports, "no API key is configured"));
	cr_assert_eq(tm_keys_find(keys, "", &got), TM_DENIED);
}

Test(keys, of_an_unreadable_file_only_the_environment_counts)
{
	struct tm_principal got;

	settings.auth.user_key = user_secret;
	settings.auth.keys_file = path;
	cr_assert_eq(tm_keys_check(&settings, note, NULL), TM_EIO);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	cr_assert_not_null(strstr(reports, "cannot be read: No such file"), "%s", reports);
	cr_assert_eq(tm_keys_find(keys, user_secret, &got), TM_OK);
}

Test(keys, spoilt_file_withdraws_keys_and_is_told_once)
{
	const struct tm_principal owner = {.user = "old", .permissions = TM_PERM_READ};
	char old[TM_KEY_BYTES], key[TM_KEY_BYTES], line[1024];
	struct tm_principal got;

	at_s(0);
	make(old, line, sizeof(line), &owner);
	write_file(line);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	write_spoilt(key, "new");
	for (int i = 1; i < 4; i++) {
		at_s(6 * i);
		tm_keys_refresh(keys, note, NULL);
		cr_assert_eq(tm_keys_find(keys, old, &got), TM_DENIED);
		cr_assert_eq(tm_keys_find(keys, key, &got), TM_OK);
		if (i == 1)
			cr_assert_not_null(strstr(reports, ":1: "));
		else
			cr_assert_str_eq(reports, "told");
		(void)snprintf(reports, sizeof(reports), "told");
	}
	write_file("");
	at_s(100);
	tm_keys_refresh(keys, note, NULL);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_DENIED, "an empty file withdraws");
}

Test(keys, file_that_went_away_withdraws_until_it_is_back)
{
	const struct tm_principal owner = {.user = "ann", .permissions = TM_PERM_READ};
	char key[TM_KEY_BYTES], line[1024];
	struct tm_principal got;

	at_s(0);
	make(key, line, sizeof(line), &owner);
	write_file(line);
	cr_assert_eq(tm_keys_new(&keys, &settings, note, NULL), TM_OK);
	cr_assert_eq(unlink(path), 0);
	for (int i = 1; i < 4; i++) {
		at_s(6 * i);
		tm_keys_refresh(keys, note, NULL);
		cr_assert_eq(tm_keys_find(keys, key, &got), TM_DENIED);
		cr_assert_eq(strstr(reports, "cannot be read") != NULL, i == 1, "%s", reports);
		reports[0] = '\0';
	}
	write_file(line);
	at_s(60);
	tm_keys_refresh(keys, note, NULL);
	cr_assert_eq(tm_keys_find(keys, key, &got), TM_OK);
}
