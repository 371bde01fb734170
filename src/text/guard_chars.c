/*
 * Characters as the guard sees them. Folding is for comparison with its own table only, so it may
 * be rough: Latin letters lose their accents, full width ones their width, and within a word of
 * Latin letters the Cyrillic and Greek ones that look the same become these.
 */
#include "text/guard_chars.h"

#include <string.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MARKS_MAX = 8 };

struct range {
	uint32_t from, to;
	enum tm_guard_sort sort;
};

/* Above ASCII, in order; what is in none is a letter. */
static const struct range ranges[] = {
	{0x0080, 0x00A9, TM_GUARD_SEPARATOR}, {0x00AB, 0x00AC, TM_GUARD_SEPARATOR},
	{0x00AD, 0x00AD, TM_GUARD_JOINT},	/* soft hyphen */
	{0x00AE, 0x00B4, TM_GUARD_SEPARATOR}, {0x00B6, 0x00B9, TM_GUARD_SEPARATOR},
	{0x00BB, 0x00BF, TM_GUARD_SEPARATOR}, {0x00D7, 0x00D7, TM_GUARD_SEPARATOR},
	{0x00F7, 0x00F7, TM_GUARD_SEPARATOR}, {0x060C, 0x060C, TM_GUARD_SEPARATOR},
	{0x061B, 0x061F, TM_GUARD_SEPARATOR}, {0x180E, 0x180E, TM_GUARD_ZERO},
	{0x2000, 0x200A, TM_GUARD_SEPARATOR}, {0x200B, 0x200B, TM_GUARD_ZERO},
	{0x200C, 0x200F, TM_GUARD_JOINT},	/* joiners and marks that scripts and emoji need */
	{0x2010, 0x2018, TM_GUARD_SEPARATOR}, {0x2019, 0x2019, TM_GUARD_JOINT},
	{0x201A, 0x2029, TM_GUARD_SEPARATOR}, {0x202A, 0x202C, TM_GUARD_JOINT},
	{0x202D, 0x202E, TM_GUARD_BIDI}, {0x202F, 0x205F, TM_GUARD_SEPARATOR},
	{0x2060, 0x2064, TM_GUARD_ZERO}, {0x2066, 0x2069, TM_GUARD_JOINT},
	{0x206A, 0x206F, TM_GUARD_ZERO}, {0x2070, 0x2BFF, TM_GUARD_SEPARATOR},
	{0x3000, 0x303F, TM_GUARD_SEPARATOR}, {0x3040, 0x30FA, TM_GUARD_DENSE},
	{0x30FB, 0x30FB, TM_GUARD_SEPARATOR}, {0x30FC, 0x9FFF, TM_GUARD_DENSE},
	{0xAC00, 0xD7AF, TM_GUARD_DENSE}, {0xF900, 0xFAFF, TM_GUARD_DENSE},
	{0xFE00, 0xFE0F, TM_GUARD_JOINT}, {0xFE10, 0xFE6F, TM_GUARD_SEPARATOR},
	{0xFEFF, 0xFEFF, TM_GUARD_ZERO}, {0xFF00, 0xFF0F, TM_GUARD_SEPARATOR},
	{0xFF1A, 0xFF20, TM_GUARD_SEPARATOR}, {0xFF3B, 0xFF40, TM_GUARD_SEPARATOR},
	{0xFF5B, 0xFF65, TM_GUARD_SEPARATOR}, {0xFF66, 0xFF9F, TM_GUARD_DENSE},
	{0x1F000, 0x1FAFF, TM_GUARD_SEPARATOR}, {0x20000, 0x3134F, TM_GUARD_DENSE},
	{0xE0000, 0xE007F, TM_GUARD_TAG}, {0xE0100, 0xE01EF, TM_GUARD_SELECTOR},
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* An ASCII letter or digit. */
static bool letter(uint32_t point)
{
	return (point | 0x20) - 'a' < 26 || point - '0' < 10;
}

enum tm_guard_sort tm_guard_sort_of(uint32_t point)
{
	size_t low = 0, high = COUNT(ranges);

	if (point < 0x80) {
		if (letter(point))
			return TM_GUARD_LETTER;
		return point == '\'' ? TM_GUARD_JOINT : TM_GUARD_SEPARATOR;
	}
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (point > ranges[middle].to)
			low = middle + 1;
		else if (point < ranges[middle].from)
			high = middle;
		else
			return ranges[middle].sort;
	}
	return TM_GUARD_LETTER;
}

static bool is_in(uint32_t point, const uint32_t *set, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (set[i] == point)
			return true;
	return false;
}

bool tm_guard_is_quote(uint32_t point)
{
	static const uint32_t quotes[] = {
		0xAB, 0xBB, 0x2018, 0x201A, 0x201C, 0x201D, 0x201E, 0x2039, 0x203A,
		0x300C, 0x300E, 0x300A, 0xFF02,
	};

	if (point < 0x80)
		return point == '"' || point == '`';
	return is_in(point, quotes, COUNT(quotes));
}

bool tm_guard_is_blank(uint32_t point)
{
	static const uint32_t others[] = {0xA0, 0x202F, 0x205F, 0x3000};

	if (point < 0x80)
		return point == ' ' || point == '\t' || point == '\r' || point == '_' ||
		       point == '/';
	return (point >= 0x2000 && point <= 0x200A) || is_in(point, others, COUNT(others));
}

bool tm_guard_ends_sentence(uint32_t point)
{
	static const uint32_t ends[] = {0x3002, 0xFF01, 0xFF1F, 0x061F, 0x0964};

	if (point < 0x80)
		return point == '.' || point == '!' || point == '?';
	return is_in(point, ends, COUNT(ends));
}

/* A letter of Latin-1 or Latin Extended-A without its accent; 0 for any other. */
static char bare(uint32_t point)
{
	static const char letters[] =
		"aaaaaaaceeeeiiiidnooooo*ouuuuyts" "aaaaaaaceeeeiiiidnooooo*ouuuuyty"
		"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
		"lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

	return point >= 0xC0 && point <= 0x17F ? letters[point - 0xC0] : '\0';
}

/* The Latin letter that a Cyrillic or Greek one, in lower case, looks like; 0 for none. */
static char look_alike(uint32_t point)
{
	static const struct {
		uint32_t point;
		char latin;
	} pairs[] = {
		{0x430, 'a'}, {0x435, 'e'}, {0x43E, 'o'}, {0x440, 'p'}, {0x441, 'c'}, {0x443, 'y'},
		{0x445, 'x'}, {0x455, 's'}, {0x456, 'i'}, {0x458, 'j'}, {0x3BF, 'o'}, {0x3B1, 'a'},
		{0x3B9, 'i'}, {0x3C1, 'p'}, {0x3BD, 'v'}, {0x501, 'd'}, {0x51B, 'q'}, {0x51D, 'w'},
	};

	for (size_t i = 0; i < COUNT(pairs); i++)
		if (pairs[i].point == point)
			return pairs[i].latin;
	return '\0';
}

/* Cyrillic and Greek capitals to small letters. */
static uint32_t small(uint32_t point)
{
	if ((point >= 0x410 && point <= 0x42F) || (point >= 0x391 && point <= 0x3A9))
		return point + 0x20;
	return point >= 0x400 && point <= 0x40F ? point + 0x50 : point;
}

static void put(struct tm_guard_letters *letters, const char *bytes, size_t len)
{
	if (letters->len + len > sizeof(letters->text))
		return;		/* count goes on, len does not: too long a word */
	memcpy(letters->text + letters->len, bytes, len);
	letters->len += len;
}

void tm_guard_letters_begin(struct tm_guard_letters *letters)
{
	letters->len = letters->count = 0;
	letters->latin = letters->alike = letters->hidden = false;
}

void tm_guard_letters_add(struct tm_guard_letters *letters, const char *bytes, size_t len,
			  uint32_t point)
{
	char latin = '\0', lowered[4];

	letters->count++;
	if (point >= 0xFF01 && point <= 0xFF5E)
		point -= 0xFEE0;
	latin = point < 0x80 ? lower((char)point) : bare(point);
	if (latin) {
		letters->latin = true;
		if (letters->len < sizeof(letters->text))
			letters->text[letters->len++] = latin;
		return;
	}
	point = small(point);
	letters->alike = letters->alike || look_alike(point);
	if (point >= 0x370 && point < 0x800) {
		put(letters, lowered, tm_utf8_put(point, lowered));
	} else {
		put(letters, bytes, len);
	}
}

/* Two bytes of UTF-8 each that look like Latin letters become these. */
static void unmask(struct tm_guard_letters *letters)
{
	size_t to = 0;

	for (size_t i = 0; i < letters->len; i++) {
		unsigned char byte = (unsigned char)letters->text[i];
		char latin = '\0';

		if ((byte & 0xE0) == 0xC0 && i + 1 < letters->len)
			latin = look_alike((uint32_t)(byte & 0x1F) << 6 |
					   ((unsigned char)letters->text[i + 1] & 0x3F));
		letters->text[to++] = latin ? latin : letters->text[i];
		i += latin ? 1 : 0;
	}
	letters->len = to;
	letters->hidden = true;
}

bool tm_guard_letters_end(struct tm_guard_letters *letters)
{
	if (letters->count > TM_GUARD_WORD_BYTES / 2)
		return false;
	if (letters->latin && letters->alike)
		unmask(letters);
	return letters->len > 0;
}

bool tm_guard_begins(const char *text, size_t len, const char *mark)
{
	size_t i = 0;

	while (mark[i] && i < len && lower(text[i]) == mark[i])
		i++;
	return mark[i] == '\0';
}

int tm_guard_role_line(const char *text, size_t len)
{
	static const struct {
		const char *word;
		int plain, marked;	/* weight of "word:", and of "### word" */
	} speakers[] = {
		{"system", 35, 45}, {"developer", 30, 40}, {"assistant", 25, 40},
		{"instructions", 0, 40}, {"instruction", 0, 45}, {"response", 0, 25},
		{"human", 15, 25},
	};
	size_t marks = 0, at;

	while (marks < len && marks < MARKS_MAX && strchr("#*> ", text[marks]))
		marks++;
	for (size_t i = 0; i < COUNT(speakers); i++) {
		if (!tm_guard_begins(text + marks, len - marks, speakers[i].word))
			continue;
		at = marks + strlen(speakers[i].word);
		while (at < len && text[at] == '*')
			at++;
		if (at < len && text[at] == ':')
			return marks && text[0] == '#' ? speakers[i].marked : speakers[i].plain;
		return marks > 2 && text[0] == '#' && text[1] == '#' &&
		       (at == len || text[at] == '\n') ? speakers[i].marked : 0;
	}
	return 0;
}

size_t tm_guard_base64_run(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && (letter((unsigned char)text[i]) ||
			   (text[i] && strchr("+/_=-", text[i]))))
		i++;
	return i;
}

bool tm_guard_looks_encoded(const char *text, size_t len)
{
	bool upper = false, small_one = false, digit = false;

	for (size_t i = 0; i < len; i++) {
		upper = upper || (text[i] >= 'A' && text[i] <= 'Z');
		small_one = small_one || (text[i] >= 'a' && text[i] <= 'z');
		digit = digit || (text[i] >= '0' && text[i] <= '9');
	}
	return upper && small_one && digit;
}
