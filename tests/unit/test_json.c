/* The parser's strictness, the finder's patience, the writers' round trips. */
#include "io/json.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/json_scan.h"

struct bytes {
	const char *text;
	size_t len;
};

#define BYTES(text) {text, sizeof(text) - 1}

/* What a document says after parsing and writing; static. */
static const char *rewritten(const char *text)
{
	static char out[4096];
	struct tm_json *json = NULL;
	struct tm_buf buf;

	tm_buf_init(&buf, sizeof(out) - 1);
	cr_assert_eq(tm_json_parse(text, strlen(text), 16, &json), TM_OK, "%s", text);
	tm_json_put(&buf, json);
	cr_assert_eq(tm_buf_err(&buf), TM_OK);
	memcpy(out, tm_buf_text(&buf), buf.len + 1);
	tm_buf_clear(&buf);
	tm_json_free(json);
	return out;
}

Test(json, documents_come_back_as_they_were)
{
	static const char *const cases[] = {
		"null", "true", "false", "0", "-1", "123", "1.5", "-0.25", "1e+300", "\"\"",
		"\"caf\xC3\xA9 \xF0\x9F\x98\x80\"", "\"a/b\"", "\"\x7F\"", "[]", "{}",
		"[1,[2,[3,{}]]]", "{\"a\":null,\"b\":[true,false],\"c\":{\"d\":\"e\"}}",
		"{\"\":0}", "\"\\\"\\\\\\b\\f\\n\\r\\t\"", "\"\\u0000\\u0001\\u001f\"",
		"9223372036854775807", "9223372036854775808", "18446744073709551615",
		"-9223372036854775808", "{\"z\":1,\"a\":2,\"m\":3}", "\"[{\"", "[\"{\\\"\"]",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_str_eq(rewritten(cases[i]), cases[i]);
}

Test(json, freedoms_of_the_format_end_in_one_form)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{" \t\r\n[ 1 , 2 ]\n", "[1,2]"},
		{"{ \"a\" : 1 }", "{\"a\":1}"},
		{"\"\\/\\u00e9\\u20AC\\ud83d\\ude00\"", "\"/\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
		{"\"\\u0041\\u000a\"", "\"A\\n\""},
		{"[1.0,1.50,1E2,1e-2,100e-2]", "[1,1.5,100,0.01,1]"},
		{"[0.1,0.30000000000000004,1e-999]", "[0.1,0.30000000000000004,0]"},
		{"[-0]", "[0]"},
		/* surrogates that lack their other half */
		{"\"\\ud800\"", "\"\xEF\xBF\xBD\""},
		{"\"\\udc00x\"", "\"\xEF\xBF\xBDx\""},
		{"\"\\ud800\\ud83d\\ude00\"", "\"\xEF\xBF\xBD\xF0\x9F\x98\x80\""},
		{"\"\\ud83d\\u0041\"", "\"\xEF\xBF\xBD" "A\""},
		{"\"\\ud83d\\n\"", "\"\xEF\xBF\xBD\\n\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_str_eq(rewritten(cases[i].in), cases[i].out);
}

Test(json, everything_but_the_grammar_is_refused)
{
	static const struct bytes cases[] = {
		BYTES(""), BYTES(" "), BYTES("{"), BYTES("["), BYTES("]"), BYTES("}"), BYTES("\""),
		BYTES("[1"), BYTES("{\"a\""), BYTES("{\"a\":"), BYTES("{\"a\":1"), BYTES("[1}"),
		BYTES("{\"a\":1]"), BYTES("[1]]"), BYTES("[1]x"), BYTES("[1] [2]"), BYTES("1 2"),
		BYTES("[1 2]"), BYTES("[,1]"), BYTES("[1,]"), BYTES("[1,,2]"), BYTES("{,}"),
		BYTES("{\"a\":1,}"), BYTES("{\"a\" 1}"), BYTES("{\"a\"::1}"), BYTES("{a:1}"),
		BYTES("{1:1}"), BYTES("{null:1}"), BYTES("{'a':1}"), BYTES("['a']"), BYTES("'a'"),
		/* words */
		BYTES("nul"), BYTES("nulll"), BYTES("NULL"), BYTES("True"), BYTES("tru"),
		BYTES("falsey"), BYTES("NaN"), BYTES("nan"), BYTES("[NaN]"), BYTES("Infinity"),
		BYTES("[-Infinity]"), BYTES("inf"), BYTES("undefined"),
		/* numbers */
		BYTES("-"), BYTES("[-]"), BYTES("+1"), BYTES("01"), BYTES("-01"), BYTES("00"),
		BYTES("[01]"), BYTES("[-01]"), BYTES("1."), BYTES("[1.]"), BYTES(".5"),
		BYTES("[-.5]"), BYTES("1e"), BYTES("1e+"), BYTES("1.e1"), BYTES("--1"),
		BYTES("1-2"), BYTES("1.2.3"), BYTES("1e5e5"), BYTES("1e5.5"), BYTES("0x10"),
		BYTES("1_000"), BYTES("1,5"),
		/* numbers that would not survive */
		BYTES("1e999"), BYTES("[-1e999]"), BYTES("{\"a\":[1e400]}"),
		BYTES("18446744073709551616"), BYTES("-9223372036854775809"),
		BYTES("[123456789012345678901234567890]"),
		/* strings */
		BYTES("\"a\tb\""), BYTES("\"a\nb\""), BYTES("\"\x01\""), BYTES("\"\\x41\""),
		BYTES("\"\\'\""), BYTES("\"\\a\""), BYTES("\"\\u12\""), BYTES("\"\\u00g0\""),
		BYTES("\"\\u 123\""), BYTES("\"\\U0041\""), BYTES("\"abc"), BYTES("\"abc\\\""),
		BYTES("\"\\"), BYTES("\"\\u"), BYTES("{\"a\nb\":1}"),
		/* NUL bytes */
		BYTES("\0"), BYTES("\0[1]"), BYTES("[1]\0"), BYTES("[1\0]"), BYTES("[\"a\0b\"]"),
		BYTES("{\"a\0b\":1}"), BYTES("1\0"),
		/* one name for two readers */
		BYTES("{\"a\":1,\"a\":2}"), BYTES("{\"a\":1,\"\\u0061\":1}"),
		BYTES("[{\"b\":{\"x\":[1,2],\"y\":1,\"x\":3}}]"), BYTES("{\"a\\u0000b\":1}"),
		BYTES("{\"\\u0000\":1}"),
		/* comments, marks, other white space */
		BYTES("/*c*/[1]"), BYTES("[1]//c"), BYTES("[1//x\n]"), BYTES("#\n1"),
		BYTES("\xEF\xBB\xBF[1]"), BYTES("\f[1]"), BYTES("[\v1]"), BYTES("\xC2\xA0[1]"),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_json *json = (struct tm_json *)(void *)&json;

		cr_assert_eq(tm_json_parse(cases[i].text, cases[i].len, 16, &json), TM_EINVAL,
			     "case %zu: %s", i, cases[i].text);
		cr_assert_null(json);
	}
}

Test(json, client_is_told_why_its_document_is_refused)
{
	static const char range[] = "A number is out of range.",
		twice[] = "A member appears twice in an object.",
		name[] = "A member's name holds a NUL character.",
		half[] = "A string holds half of a surrogate pair.";
	static const struct {
		const char *text, *fault;
	} cases[] = {
		{"{\"x\":123456789012345678901}", range}, {"[-9223372036854775809]", range},
		{"[{\"x\":1e400}]", range}, {"[-1e400]", range},
		{"{\"a\":1,\"a\":1}", twice}, {" [{\"b\":{\"a\":1,\"\\u0061\":2}}] ", twice},
		{"{\"a\\u0000b\":1}", name},
		{"\"\\ud800\"", half}, {"\"\\udfff\"", half}, {"\"\\uDC00\\uD800\"", half},
		{"\"\\ud83d\\u0041\"", half}, {"\"\\ud83dx\"", half}, {"\"\\ud83d\\n\"", half},
		{"[\"\\ud800\\ud83d\\ude00\"]", half}, {"{\"\\ud800\":1,\"\\udfff\":2}", half},
		{"[\"\\ud800\"", NULL}, {"[\"\\ud800\"] x", NULL}, {"\"\\ud83d\\udg00\"", NULL},
		{"[1] 2", NULL}, {"[NaN]", NULL}, {"", NULL}, {"{\"a\":1,\"a\":1", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct tm_json_source source = {cases[i].text, strlen(cases[i].text), 16};
		struct tm_json *json = (struct tm_json *)(void *)&json;
		const char *fault = "unset";

		cr_assert_eq(tm_json_receive(source, &json, &fault), TM_EINVAL, "%s",
			     cases[i].text);
		cr_assert_null(json);
		if (cases[i].fault)
			cr_assert_str_eq(fault, cases[i].fault, "%s", cases[i].text);
		else
			cr_assert_null(fault, "%s", cases[i].text);
	}
}

Test(json, client_may_send_whole_surrogate_pairs)
{
	static const char text[] = "[\"\\ud83d\\ude00\\uD83D\\uDE00\",\"\\\\ud800\"]";
	const struct tm_json_source source = {text, sizeof(text) - 1, 1};
	const char *fault = "unset";
	struct tm_json *json;
	size_t len;

	cr_assert_eq(tm_json_receive(source, &json, &fault), TM_OK);
	cr_assert_null(fault);
	cr_assert_str_eq(tm_json_text(tm_json_item(json, 0), &len),
			 "\xF0\x9F\x98\x80\xF0\x9F\x98\x80");
	cr_assert_str_eq(tm_json_text(tm_json_item(json, 1), &len), "\\ud800");
	tm_json_free(json);
}

/* Every prefix of a document but the whole is refused: nothing is read behind its length. */
Test(json, cut_document_is_refused_wherever_it_is_cut)
{
	static const char text[] =
		"{\"a\":[1,-2.5e+3,true,false,null,\"\\u00e9\\n\xC3\xA9\"],\"b\":{\"c\":{}}}";
	struct tm_json *json;

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *exact = malloc(len ? len : 1);

		cr_assert_not_null(exact);
		memcpy(exact, text, len);
		cr_assert_neq(tm_json_parse(exact, len, 8, &json), TM_OK, "%zu", len);
		free(exact);
	}
	cr_assert_eq(tm_json_parse(text, sizeof(text) - 1, 8, &json), TM_OK);
	tm_json_free(json);
}

Test(json, bad_utf8_is_told_apart)
{
	static const struct bytes cases[] = {
		BYTES("\"\xFF\""), BYTES("\"\xC3\""), BYTES("\"\xED\xA0\x80\""), BYTES("{\"\xC0\x80\":1}"),
		BYTES("[1]\x80"),
	};
	struct tm_json *json;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(tm_json_parse(cases[i].text, cases[i].len, 16, &json), TM_EUTF8,
			     "case %zu", i);
}

/* levels open brackets of both kinds around a 1. */
static size_t nest(char *out, int levels, bool objects)
{
	size_t len = 0;

	for (int i = 0; i < levels; i++) {
		const char *open = objects ? "{\"a\":" : "[";

		memcpy(out + len, open, strlen(open));
		len += strlen(open);
	}
	out[len++] = '1';
	memset(out + len, objects ? '}' : ']', (size_t)levels);
	return len + (size_t)levels;
}

Test(json, depth_is_exact)
{
	static const int depths[] = {1, 2, 16, 63, 64};
	char text[1024];
	struct tm_json *json;

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		for (int objects = 0; objects < 2; objects++) {
			size_t len = nest(text, depths[i], objects);

			cr_assert_eq(tm_json_parse(text, len, depths[i], &json), TM_OK);
			tm_json_free(json);
			len = nest(text, depths[i] + 1, objects);
			cr_assert_eq(tm_json_parse(text, len, depths[i], &json), TM_ESIZE);
			cr_assert_eq(tm_json_find(text, len, depths[i], &json), TM_ESIZE);
		}
	}
	cr_assert_eq(tm_json_parse("[[],[[]],[]]", 12, 3, &json), TM_OK);	/* siblings do not add */
	tm_json_free(json);
	cr_assert_eq(tm_json_parse("7", 1, 0, &json), TM_OK);
	tm_json_free(json);
	cr_assert_eq(tm_json_parse(text, nest(text, 65, false), 1000, &json), TM_ESIZE);
}

Test(json, document_after_a_broken_one_is_read_afresh)
{
	struct tm_json *json;

	for (int i = 0; i < 3; i++) {
		cr_assert_eq(tm_json_parse("{\"a\":[1,{\"a\":1,\"a\":2}]}", 24, 8, &json),
			     TM_EINVAL);
		cr_assert_str_eq(rewritten("[1]"), "[1]");
		cr_assert_str_eq(rewritten("12"), "12");
		cr_assert_str_eq(rewritten("[1]"), "[1]");
	}
}

Test(json, large_document_passes)
{
	size_t len = 1 << 20;
	char *text = malloc(len);
	struct tm_json *json;
	size_t got;

	cr_assert_not_null(text);
	memset(text, 'x', len);
	text[0] = text[len - 1] = '"';
	cr_assert_eq(tm_json_parse(text, len, 8, &json), TM_OK);
	cr_assert_not_null(tm_json_text(json, &got));
	cr_assert_eq(got, len - 2);
	tm_json_free(json);
	cr_assert_str_eq(rewritten("[\"after\"]"), "[\"after\"]");
	free(text);
}

Test(json, values_are_reached_by_name_index_and_walk)
{
	static const char text[] = "{\"s\":\"a\\u0000b\",\"i\":-7,\"d\":2.5,\"t\":true,\"n\":null,"
				   "\"a\":[10,20],\"u\":18446744073709551615,\"e\":1e30}";
	struct tm_json_member member = {0};
	struct tm_json *json;
	char names[16] = "";
	size_t len = 0;

	cr_assert_eq(tm_json_parse(text, sizeof(text) - 1, 4, &json), TM_OK);
	cr_assert_eq(memcmp(tm_json_text(tm_json_get(json, "s"), &len), "a\0b", 4), 0);
	cr_assert_eq(len, 3);
	cr_assert_eq(tm_json_int(tm_json_get(json, "i")), -7);
	cr_assert_eq(tm_json_double(tm_json_get(json, "i")), -7.0);
	cr_assert_eq(tm_json_double(tm_json_get(json, "d")), 2.5);
	cr_assert_eq(tm_json_int(tm_json_get(json, "d")), 2);
	cr_assert(tm_json_bool(tm_json_get(json, "t")));
	cr_assert_null(tm_json_get(json, "n"));
	cr_assert_null(tm_json_get(json, "absent"));
	cr_assert_eq(tm_json_int(tm_json_get(json, "u")), INT64_MAX);
	cr_assert_eq(tm_json_double(tm_json_get(json, "u")), 18446744073709551615.0);
	cr_assert_eq(tm_json_int(tm_json_get(json, "e")), INT64_MAX);
	cr_assert_eq(tm_json_count(json), 8);
	cr_assert_eq(tm_json_count(tm_json_get(json, "a")), 2);
	cr_assert_eq(tm_json_int(tm_json_item(tm_json_get(json, "a"), 1)), 20);
	cr_assert_null(tm_json_item(tm_json_get(json, "a"), 2));
	while (tm_json_next(json, &member))
		(void)strncat(names, member.name, 1);
	cr_assert_str_eq(names, "sidtnaue");
	cr_assert_not(tm_json_next(json, &member));
	tm_json_free(json);
}

Test(json, asking_the_wrong_kind_gives_nothing)
{
	struct tm_json_member member = {0};
	struct tm_json *json;

	cr_assert_eq(tm_json_parse("[\"12\",true]", 11, 4, &json), TM_OK);
	cr_assert_null(tm_json_get(json, "a"));
	cr_assert_null(tm_json_text(json, NULL));
	cr_assert_not(tm_json_next(json, &member));
	cr_assert_eq(tm_json_int(tm_json_item(json, 0)), 0);
	cr_assert_eq(tm_json_double(tm_json_item(json, 0)), 0);
	cr_assert_eq(tm_json_int(tm_json_item(json, 1)), 0);
	cr_assert_not(tm_json_bool(tm_json_item(json, 0)));
	cr_assert_eq(tm_json_count(tm_json_item(json, 0)), 0);
	cr_assert_null(tm_json_item(tm_json_item(json, 0), 0));
	tm_json_free(json);

	cr_assert_eq(tm_json_kind(NULL), TM_JSON_NULL);
	cr_assert_null(tm_json_get(NULL, "a"));
	cr_assert_null(tm_json_item(NULL, 0));
	cr_assert_null(tm_json_text(NULL, NULL));
	cr_assert_eq(tm_json_count(NULL), 0);
	cr_assert_not(tm_json_next(NULL, &member));
	tm_json_free(NULL);
}

Test(json, kinds_are_told_apart_and_named)
{
	static const struct {
		const char *text;
		enum tm_json_kind kind;
		const char *words;
	} cases[] = {
		{"null", TM_JSON_NULL, "null"},	     {"true", TM_JSON_BOOL, "a boolean"},
		{"1", TM_JSON_INT, "an integer"},    {"1.0", TM_JSON_DOUBLE, "a number"},
		{"1e2", TM_JSON_DOUBLE, "a number"}, {"\"\"", TM_JSON_STRING, "a string"},
		{"[]", TM_JSON_ARRAY, "an array"},   {"{}", TM_JSON_OBJECT_KIND, "an object"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_json *json;

		cr_assert_eq(tm_json_parse(cases[i].text, strlen(cases[i].text), 4, &json), TM_OK);
		cr_assert_eq(tm_json_kind(json), cases[i].kind, "%s", cases[i].text);
		cr_assert_str_eq(tm_json_kind_text(cases[i].kind), cases[i].words);
		tm_json_free(json);
	}
}

Test(json, answer_is_found_among_prose)
{
	static const struct {
		struct bytes in;
		const char *out;	/* NULL: none */
	} cases[] = {
		{BYTES("{\"a\":1}"), "{\"a\":1}"},
		{BYTES("Sure! Here it is:\n```json\n{\"a\": [1, 2]}\n```\nAnything else?"),
		 "{\"a\":[1,2]}"},
		{BYTES("[see below] {as asked}: [\"x\"]"), "[\"x\"]"},
		{BYTES("{\"a\":1} {\"b\":2}"), "{\"a\":1}"},
		{BYTES("a } ] \" ' {\"a\":\"}{][\"} trailing {"), "{\"a\":\"}{][\"}"},
		{BYTES("bytes \xFF\x80 around \0 it [1]\xFF"), "[1]"},
		{BYTES("[\"\xFF\"] [2]"), "[2]"},
		{BYTES("{\"a\":1,\"a\":2} [3]"), "[3]"},
		{BYTES("[[1]] "), "[[1]]"},
		{BYTES("[{\"a\":1}"), NULL},			/* cut short: no piece of it */
		{BYTES("{\"points\": [\"x\", \"y\"], "), NULL},
		{BYTES("[{\"a\":1}, oops]"), NULL},
		{BYTES("{\"a\":1,}"), NULL},
		{BYTES("no JSON here"), NULL},
		{BYTES("\"only a string\" 12 true null"), NULL},
		{BYTES("["), NULL},
		{BYTES(""), NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_json *json = NULL;
		struct tm_buf buf;

		tm_buf_init(&buf, 1000);
		cr_assert_eq(tm_json_find(cases[i].in.text, cases[i].in.len, 8, &json),
			     cases[i].out ? TM_OK : TM_ENOENT, "%s", cases[i].in.text);
		if (cases[i].out) {
			tm_json_put(&buf, json);
			cr_assert_str_eq(tm_buf_text(&buf), cases[i].out);
		}
		tm_json_free(json);
		tm_buf_clear(&buf);
	}
}

/* 4 MB made of units that begin like JSON: quadratic work would take minutes of CPU time. */
Test(json, finding_is_linear_in_hostile_text)
{
	static const char *const units[] = {"[", "{", "[\"", "{\"a\":", "[1,", "[],", "[1 ",
					    "{\"a\":1,\"a\":1}", "[\"[", "\"[\\"};
	size_t len = 4 << 20;
	char *text = malloc(len);
	struct tm_json *json;

	cr_assert_not_null(text);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		clock_t start = clock();
		size_t unit = strlen(units[i]);
		enum tm_err err;

		for (size_t at = 0; at < len; at++)
			text[at] = units[i][at % unit];
		err = tm_json_find(text, len, 32, &json);
		cr_assert((err != TM_OK) == (json == NULL), "%s", units[i]);
		cr_assert(err == TM_ENOENT || err == TM_ESIZE || err == TM_OK, "%s: %s", units[i],
			  tm_err_text(err));
		tm_json_free(json);
		cr_assert_lt(clock() - start, 10 * CLOCKS_PER_SEC, "%s", units[i]);
	}
	free(text);
}

Test(json, strings_get_the_escapes_they_need_and_no_others)
{
	static const struct {
		struct bytes in;
		const char *out;
	} cases[] = {
		{BYTES(""), "\"\""},
		{BYTES("plain"), "\"plain\""},
		{BYTES("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
		{BYTES("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
		{BYTES("\0\x01\x0b\x1f\x7f"), "\"\\u0000\\u0001\\u000b\\u001f\x7f\""},
		{BYTES("\xC3\xA9\xE2\x80\xA8"), "\"\xC3\xA9\xE2\x80\xA8\""},
		{BYTES("\"\""), "\"\\\"\\\"\""},
		{BYTES("end\\"), "\"end\\\\\""},
	};
	struct tm_buf buf;

	tm_buf_init(&buf, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tm_buf_reset(&buf, 1000);
		tm_json_put_string(&buf, cases[i].in.text, cases[i].in.len);
		cr_assert_str_eq(tm_buf_text(&buf), cases[i].out);
	}
	tm_buf_reset(&buf, 1000);
	tm_json_put_cstr(&buf, NULL);
	tm_json_put_cstr(&buf, "x");
	cr_assert_str_eq(tm_buf_text(&buf), "null\"x\"");
	tm_buf_clear(&buf);
}

static const struct {
	double value;
	const char *text;
} doubles[] = {
	{0, "0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"}, {0.1 + 0.2, "0.30000000000000004"},
	{1.0 / 3, "0.3333333333333333"}, {1e21, "1e+21"}, {1e-7, "1e-07"},
	{5e-324, "4.94065645841247e-324"}, {1.7976931348623157e308, "1.7976931348623157e+308"},
	{0.0001, "0.0001"}, {123456789.125, "123456789.125"},
};

Test(json, doubles_are_short_and_read_back)
{
	struct tm_buf buf;

	tm_buf_init(&buf, 1000);
	for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
		struct tm_json *json;

		tm_buf_reset(&buf, 1000);
		tm_json_put_double(&buf, doubles[i].value);
		cr_assert_str_eq(tm_buf_text(&buf), doubles[i].text);
		cr_assert_eq(tm_json_parse(tm_buf_text(&buf), buf.len, 1, &json), TM_OK);
		cr_assert_eq(tm_json_double(json), doubles[i].value);
		tm_json_free(json);
	}
	tm_buf_reset(&buf, 1000);
	tm_json_put_double(&buf, (double)NAN);
	tm_json_put_double(&buf, (double)INFINITY);
	tm_json_put_double(&buf, -(double)INFINITY);
	cr_assert_str_eq(tm_buf_text(&buf), "nullnullnull");
	tm_buf_clear(&buf);
}

/* Locales with a decimal comma are not installed everywhere; then only C is tried. */
Test(json, numbers_do_not_follow_the_locale)
{
	static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8", "C"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!setlocale(LC_ALL, names[i]))
			continue;
		cr_assert_str_eq(rewritten("[1.5,-2.25e-7]"), "[1.5,-2.25e-07]", "%s", names[i]);
	}
	cr_assert_not_null(setlocale(LC_ALL, "C"));
}

Test(json, scan_measures_only_the_value)
{
	static const struct {
		const char *text;
		enum tm_err err;
		size_t end, values;
	} cases[] = {
		{"[1,2] rest", TM_OK, 5, 3},	    {"12 rest", TM_OK, 2, 1},
		{"{\"a\":{\"b\":[]}}x", TM_OK, 14, 3}, {"[1,x", TM_EINVAL, 3, 3},
		{"[[[", TM_ESIZE, 2, 3},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_json_scan scan;

		cr_assert_eq(tm_json_scan(cases[i].text, strlen(cases[i].text),
					  cases[i].err == TM_ESIZE ? 2 : 8, &scan),
			     cases[i].err, "%s", cases[i].text);
		cr_assert_eq(scan.end, cases[i].end, "%s: %zu", cases[i].text, scan.end);
		cr_assert_eq(scan.values, cases[i].values, "%s: %zu", cases[i].text, scan.values);
	}
}
