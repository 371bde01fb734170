/*
 * One walk over the text. It is taken apart into words; each that the table knows has a class, and
 * where each class stood last is kept. A rule is a few classes near one another, so a word costs
 * a look-up and a known one a walk over the rules: no regular expression, nothing that goes back.
 *
 * "Ignore previous instructions" is an order at the beginning of a clause, behind "please" or
 * "you must". A text that tells of it ("an attacker may write ...", in quotes or not) scores half.
 *
 * Characters that nobody sees do not part words, and Cyrillic letters that look like Latin ones
 * among them are read as these: who writes so hides something, which counts by itself.
 */
#include "text/guard.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/guard_chars.h"
#include "text/guard_table.h"

enum {
	WORD_UNITS = 2, SENTENCE_UNITS = 6, FAR = -1000000, BLOB_BYTES = 40,
	CHAINS = 1024, WORDS_MAX = 1024, HIDDEN_WORD = 40, TAGS_FEW = 3, SELECTORS_FEW = 4,
	ZEROS_FEW = 10, FLAG_TAGS = 8
};

enum force { FORCE_NONE, FORCE_HALF, FORCE_FULL };

struct seen {
	long at;		/* position of the class's last word */
	enum force force;	/* as an order */
};

struct scan {
	struct tm_guard *guard;
	const char *text;
	size_t len, at;
	struct tm_guard_letters letters;	/* of the word under way */
	long position;
	struct seen seen[G_CLASSES];
	enum tm_guard_class before, before_that;
	bool clause;		/* nothing but punctuation since the last word */
	bool quoted;		/* a quote stands right before */
	bool marked;		/* the line begins with marks */
	size_t run_end;		/* base64 was looked for up to here */
	int flag_tags;		/* tags that belong to a flag's emoji */
	size_t tags, selectors, zeros, overrides, points;
};

static const char *const names[] = {
	[TM_GUARD_IGNORE] = "ignore_instructions", [TM_GUARD_NEW] = "new_instructions",
	[TM_GUARD_OTHER_TASK] = "other_task", [TM_GUARD_EXTRACT] = "prompt_extraction",
	[TM_GUARD_ROLE_PLAY] = "role_play", [TM_GUARD_ROLE_LINES] = "role_lines",
	[TM_GUARD_TOKENS] = "chat_tokens", [TM_GUARD_FENCES] = "fences",
	[TM_GUARD_ENCODED] = "encoded", [TM_GUARD_HIDDEN] = "hidden_characters",
};

static void hit(struct scan *scan, enum tm_guard_pattern pattern, int weight)
{
	if (scan->guard->weights[pattern] < weight)
		scan->guard->weights[pattern] = weight;
}

/* The words by their first two bytes: chains through next, made at first use. */
static int16_t first[CHAINS], next[WORDS_MAX];
static uint8_t lengths[WORDS_MAX];
static bool ends_rule[G_CLASSES];	/* classes that are some rule's last step */

static unsigned chain_of(const char *text, size_t len)
{
	unsigned char one = (unsigned char)text[0], two = len > 1 ? (unsigned char)text[1] : 0;

	return (one * 31U + two) % CHAINS;
}

static int last_step(const struct tm_guard_rule *rule)
{
	int last = TM_GUARD_STEPS - 1;

	while (rule->steps[last] == G_NONE)
		last--;
	return last;
}

static void make_chains(void)
{
	static bool made;

	if (made)
		return;
	memset(first, -1, sizeof(first));
	for (size_t i = tm_guard_words_count < WORDS_MAX ? tm_guard_words_count : WORDS_MAX; i > 0;
	     i--) {
		const char *text = tm_guard_words[i - 1].text;
		unsigned chain = chain_of(text, strlen(text));

		lengths[i - 1] = (uint8_t)strlen(text);
		next[i - 1] = first[chain];
		first[chain] = (int16_t)(i - 1);
	}
	for (size_t i = 0; i < tm_guard_rules_count; i++)
		ends_rule[tm_guard_rules[i].steps[last_step(&tm_guard_rules[i])]] = true;
	made = true;
}

static enum tm_guard_class class_of(const char *word, size_t len)
{
	for (int i = first[chain_of(word, len)]; i >= 0; i = next[i]) {
		const char *text = tm_guard_words[i].text;
		size_t known = lengths[i];
		bool prefix = text[known - 1] == '*';

		known -= prefix ? 1 : 0;
		if ((prefix ? len >= known : len == known) && memcmp(word, text, known) == 0)
			return tm_guard_words[i].class;
	}
	return G_NONE;
}

/* The longest word of a script without blanks that begins here; its bytes, 0 for none. */
static size_t longest_at(const char *text, size_t len, enum tm_guard_class *class)
{
	size_t longest = 0;

	for (int i = first[chain_of(text, len)]; i >= 0; i = next[i]) {
		size_t known = lengths[i];

		if (known > longest && known <= len &&
		    memcmp(text, tm_guard_words[i].text, known) == 0) {
			longest = known;
			*class = tm_guard_words[i].class;
		}
	}
	return longest;
}

/* How much of an order a word is, by what stands before it. */
static enum force force_of(const struct scan *scan)
{
	if (scan->before == G_NOT || scan->before_that == G_NOT)
		return FORCE_NONE;
	if (scan->quoted)
		return FORCE_HALF;
	if (scan->clause || scan->before == G_LEAD || scan->before == G_NOW ||
	    scan->before == G_INSTEAD || (scan->before == G_TO && scan->before_that == G_YOU))
		return FORCE_FULL;
	return FORCE_HALF;
}

/* Whether the rule's classes stand in their order; its last is the word in hand. */
static bool fits(const struct scan *scan, const struct tm_guard_rule *rule, int last)
{
	long behind = scan->position;

	for (int i = last - 1; i >= 0; i--) {
		long at = scan->seen[rule->steps[i]].at;

		if (at >= behind || behind - at > rule->gap)
			return false;
		behind = at;
	}
	return true;
}

static void try_rules(struct scan *scan, enum tm_guard_class class)
{
	for (size_t i = 0; i < tm_guard_rules_count; i++) {
		const struct tm_guard_rule *rule = &tm_guard_rules[i];
		int last = last_step(rule), weight = rule->weight;

		if (rule->steps[last] != class || !fits(scan, rule, last) ||
		    ((rule->flags & TM_GUARD_MARKED) && !scan->marked))
			continue;
		if (scan->seen[rule->steps[0]].force == FORCE_HALF &&
		    ((rule->flags & TM_GUARD_ORDER) || class == G_IGNORE_LAST))
			weight /= 2;
		if (scan->seen[rule->steps[0]].force != FORCE_NONE ||
		    !(rule->flags & TM_GUARD_ORDER))
			hit(scan, rule->pattern, weight);
	}
}

/* A word, known or not, that is units long. */
static void take_word(struct scan *scan, enum tm_guard_class class, int units)
{
	if (class != G_NONE) {
		scan->seen[class] = (struct seen){.at = scan->position, .force = force_of(scan)};
		/* Where the verb comes last, only quotes tell that it is told of. */
		if (class == G_PREVIOUS || class == G_ALL)
			scan->seen[class].force = scan->quoted ? FORCE_HALF : FORCE_FULL;
		if (ends_rule[class])
			try_rules(scan, class);
	}
	scan->before_that = scan->before;
	scan->before = class;
	scan->clause = scan->quoted = false;
	scan->position += units;
}

/* The word that has come to its end, if there is one. */
static void end_word(struct scan *scan)
{
	struct tm_guard_letters *letters = &scan->letters;
	enum tm_guard_class class = G_NONE;

	if (letters->count == 0)
		return;
	if (tm_guard_letters_end(letters))
		class = class_of(letters->text, letters->len);
	if (letters->hidden && (class == G_IGNORE || class == G_INSTRUCTIONS ||
				class == G_PREVIOUS || class == G_PROMPT || class == G_SYSTEM))
		hit(scan, TM_GUARD_HIDDEN, HIDDEN_WORD);
	take_word(scan, class, WORD_UNITS);
	tm_guard_letters_begin(letters);
}

static void take_invisible(struct scan *scan, enum tm_guard_sort sort)
{
	if (sort == TM_GUARD_TAG && scan->flag_tags > 0)
		scan->flag_tags--;
	else if (sort == TM_GUARD_TAG)
		scan->tags++;
	else if (sort == TM_GUARD_SELECTOR)
		scan->selectors++;
	else if (sort == TM_GUARD_BIDI)
		scan->overrides++;
	else
		scan->zeros++;
	scan->letters.hidden = scan->letters.hidden || scan->letters.count > 0;
}

static void take_mark(struct scan *scan)
{
	const char *at = scan->text + scan->at;
	size_t len = scan->len - scan->at;

	for (size_t i = 0; i < tm_guard_marks_count; i++) {
		const struct tm_guard_mark *mark = &tm_guard_marks[i];

		if (tm_guard_begins(at, len, mark->text))
			hit(scan, mark->pattern, scan->quoted ? mark->weight / 2 : mark->weight);
	}
}

static void take_separator(struct scan *scan, uint32_t point)
{
	end_word(scan);
	if (point == '<' || point == '[')
		take_mark(scan);
	if (tm_guard_is_quote(point)) {
		scan->quoted = true;
		return;
	}
	scan->quoted = false;
	if (tm_guard_is_blank(point))
		return;
	scan->clause = true;
	scan->before = scan->before_that = G_NONE;
	if (tm_guard_ends_sentence(point))
		scan->position += SENTENCE_UNITS;
}

/* Scripts without blanks: a known word, or one character. Bytes taken. */
static size_t take_dense(struct scan *scan, size_t step)
{
	enum tm_guard_class class = G_NONE;
	size_t bytes;

	end_word(scan);
	bytes = longest_at(scan->text + scan->at, scan->len - scan->at, &class);
	if (bytes == 0)
		bytes = step;
	take_word(scan, class, (int)((bytes + 2) / 3));
	return bytes;
}

static void begin_line(struct scan *scan)
{
	const char *at = scan->text + scan->at;
	size_t len = scan->len - scan->at;
	int weight = tm_guard_role_line(at, len);

	scan->marked = len > 2 && ((strchr("-=*#~_<", at[0]) && at[1] == at[0]) || at[0] == '[');
	scan->clause = true;
	scan->before = scan->before_that = G_NONE;
	if (weight)
		hit(scan, TM_GUARD_ROLE_LINES, weight);
}

/* A long run of base64 here: its bytes, 0 for none. No byte is looked at twice. */
static size_t blob_at(struct scan *scan)
{
	size_t len = tm_guard_base64_run(scan->text + scan->at, scan->len - scan->at);

	scan->run_end = scan->at + len;
	return len >= BLOB_BYTES &&
	       tm_guard_looks_encoded(scan->text + scan->at, len) ? len : 0;
}

/* What stands at scan->at. Bytes taken. */
static size_t take_one(struct scan *scan)
{
	uint32_t point = (unsigned char)scan->text[scan->at];
	size_t step = 1, blob;
	enum tm_guard_sort sort;

	if (point >= 0x80)
		step = tm_utf8_step(scan->text + scan->at, scan->len - scan->at, &point);
	if (step == 0)
		return 1;	/* not UTF-8: the caller has checked, so never */
	scan->points++;
	if (scan->at == 0 || scan->text[scan->at - 1] == '\n') {
		end_word(scan);
		begin_line(scan);
	}
	if (scan->at >= scan->run_end && scan->letters.count == 0) {
		blob = blob_at(scan);
		if (blob) {
			take_word(scan, G_BLOB, WORD_UNITS);
			return blob;
		}
	}
	if (point == TM_GUARD_BLACK_FLAG)
		scan->flag_tags = FLAG_TAGS;
	sort = tm_guard_sort_of(point);
	switch (sort) {
	case TM_GUARD_LETTER:
		tm_guard_letters_add(&scan->letters, scan->text + scan->at, step, point);
		break;
	case TM_GUARD_DENSE:
		return take_dense(scan, step);
	case TM_GUARD_SEPARATOR:
		take_separator(scan, point);
		break;
	case TM_GUARD_JOINT:
		break;
	case TM_GUARD_TAG:
	case TM_GUARD_SELECTOR:
	case TM_GUARD_BIDI:
	case TM_GUARD_ZERO:
	default:
		take_invisible(scan, sort);
	}
	return step;
}

/* What is not to be seen, in numbers that no ordinary text has. */
static void weigh_invisible(struct scan *scan)
{
	if (scan->tags >= TAGS_FEW)
		hit(scan, TM_GUARD_HIDDEN, 60);
	if (scan->selectors >= SELECTORS_FEW && scan->selectors * 8 > scan->points)
		hit(scan, TM_GUARD_HIDDEN, 60);
	if (scan->overrides > 0)
		hit(scan, TM_GUARD_HIDDEN, 30);
	if (scan->zeros >= ZEROS_FEW && scan->zeros * 8 > scan->points)
		hit(scan, TM_GUARD_HIDDEN, 40);
}

void tm_guard_look(struct tm_guard *guard, const char *text, size_t len)
{
	struct scan scan = {.guard = guard, .text = text, .len = len};

	make_chains();
	for (int i = 0; i < G_CLASSES; i++)
		scan.seen[i].at = FAR;
	while (scan.at < len)
		scan.at += take_one(&scan);
	end_word(&scan);
	weigh_invisible(&scan);
}

int tm_guard_score(const struct tm_guard *guard)
{
	int score = 0;

	for (int i = 0; i < TM_GUARD_PATTERNS; i++)
		score += guard->weights[i];
	return score < 100 ? score : 100;
}

const char *tm_guard_names(const struct tm_guard *guard, char out[TM_GUARD_NAMES_BYTES])
{
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < TM_GUARD_PATTERNS; i++) {
		int more;

		if (!guard->weights[i])
			continue;
		more = snprintf(out + used, TM_GUARD_NAMES_BYTES - used, "%s%s", used ? ", " : "",
				names[i]);
		used += more > 0 && used + (size_t)more < TM_GUARD_NAMES_BYTES ? (size_t)more : 0;
	}
	return out;
}
