/* What shares a stored answer and what must not; and that only whole entries are read. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "flow/cache.h"
#include "io/redis.h"
#include "operations_fixture.h"

struct variant {
	const char *tenant, *text, *question, *provider, *url, *model, *system, *operation;
	int64_t option;
};

static const struct variant base = {"alice", "some text", "", "main", "https://a/v1", "m",
				    "Do it.", "summarize", 100};

static void name_of(const struct variant *variant, char out[TM_CACHE_NAME_BYTES])
{
	struct tm_sha256 hash;
	const struct tm_provider_conf provider = {.name = variant->provider, .url = variant->url};
	const struct tm_prompt prompt = {.system = variant->system};
	const struct tm_task task = {
		.operation = built_in_operation(variant->operation),
		.text = variant->text, .text_len = strlen(variant->text),
		.question = variant->question, .question_len = strlen(variant->question),
		.options = {variant->option},
	};

	cr_assert_eq(tm_sha256_init(&hash), TM_OK);
	tm_cache_name(&(struct tm_cache_identity){&task, &prompt, &provider, variant->model,
						  variant->tenant}, "tm:", &hash, out);
	tm_sha256_clear(&hash);
}

Test(cache, equal_requests_share_a_name)
{
	char one[TM_CACHE_NAME_BYTES], two[TM_CACHE_NAME_BYTES];

	name_of(&base, one);
	name_of(&base, two);
	cr_assert_str_eq(one, two);
	cr_assert_eq(strncmp(one, "tm:cache:summarize:{", 20), 0, "%s", one);
}

Test(cache, whatever_shapes_the_answer_changes_the_name)
{
	struct variant others[9];
	char one[TM_CACHE_NAME_BYTES], two[TM_CACHE_NAME_BYTES];

	for (size_t i = 0; i < 9; i++)
		others[i] = base;
	others[0].tenant = "bob";
	others[1].text = "some text ";
	others[2].question = "why";
	others[3].provider = "other";
	others[4].url = "https://b/v1";
	others[5].model = "n";
	others[6].system = "Do it!";
	others[7].operation = "key_points";
	others[8].option = 101;
	name_of(&base, one);
	for (size_t i = 0; i < 9; i++) {
		name_of(&others[i], two);
		cr_assert_str_neq(one, two, "variant %zu", i);
	}
}

Test(cache, fields_do_not_run_together)
{
	static const struct variant pairs[][2] = {
		{{"a", "b:c", "", "p", "u", "m", "s", "qa", 0}, {"a:b", "c", "", "p", "u", "m", "s", "qa", 0}},
		{{"a", "bq", "", "p", "u", "m", "s", "qa", 0}, {"a", "b", "q", "p", "u", "m", "s", "qa", 0}},
		{{"a", "a:b", "", "p", "u", "m", "s", "qa", 0}, {"a", "a_b", "", "p", "u", "m", "s", "qa", 0}},
		{{"a", "t", "", "p", "u", "ms", "", "qa", 0}, {"a", "t", "", "p", "u", "m", "s", "qa", 0}},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char one[TM_CACHE_NAME_BYTES], two[TM_CACHE_NAME_BYTES];

		name_of(&pairs[i][0], one);
		name_of(&pairs[i][1], two);
		cr_assert_str_neq(one, two, "pair %zu", i);
	}
}

static enum tm_err read_text(const char *text, struct tm_cache_entry *entry)
{
	return tm_cache_read(&(struct tm_reply){.kind = TM_REPLY_TEXT, .text = text,
						.len = strlen(text)}, entry);
}

Test(cache, reads_back_what_it_wrote)
{
	struct tm_cache_entry entry;

	cr_assert_eq(read_text("tm1 1000 2000 3 2\nabcde", &entry), TM_OK);
	cr_assert_eq(entry.stored_ms, 1000);
	cr_assert_eq(entry.fresh_ms, 2000);
	cr_assert_eq(entry.answer_len, 3);
	cr_assert_eq(memcmp(entry.answer, "abc", 3), 0);
	cr_assert_eq(memcmp(entry.meta, "de", entry.meta_len), 0);
}

Test(cache, anything_else_is_a_miss)
{
	static const char *const bad[] = {
		"", "tm1", "tm1 1000 2000 3 2", "tm1 1000 2000 3 2\nabcd", "tm1 1000 2000 3 2\nabcdef",
		"tm1 1000 2000 18446744073709551615 6\nabcde", "tm2 1000 2000 3 2\nabcde",
		"tm1 1000 2000 x y\nabcde", "{\"result\":1}\n", "\n",
	};
	struct tm_cache_entry entry;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(read_text(bad[i], &entry), TM_ENOENT, "'%s'", bad[i]);
	cr_assert_eq(tm_cache_read(&(struct tm_reply){.kind = TM_REPLY_NIL}, &entry), TM_ENOENT);
	cr_assert_eq(tm_cache_read(&(struct tm_reply){.kind = TM_REPLY_ERROR, .text = "tm1 1 2 0 0\n",
						      .len = 12}, &entry), TM_ENOENT);
}
