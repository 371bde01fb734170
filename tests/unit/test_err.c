/* Words of the error codes. */
#include "base/err.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

Test(err, every_code_has_words_of_its_own)
{
	for (int a = 0; a < TM_ERR_COUNT; a++) {
		const char *text = tm_err_text((enum tm_err)a);

		cr_assert(text && text[0], "code %d has no words", a);
		cr_assert(!isupper((unsigned char)text[0]), "%s", text);
		cr_assert_neq(text[strlen(text) - 1], '.', "%s", text);
		for (int b = 0; b < a; b++)
			cr_assert_str_neq(text, tm_err_text((enum tm_err)b));
	}
}

Test(err, number_out_of_range_has_words_too)
{
	cr_assert_str_eq(tm_err_text(TM_ERR_COUNT), "unknown error");
	cr_assert_str_eq(tm_err_text((enum tm_err)-1), "unknown error");
}
