/*
 * A sentiment from JSON anywhere in the answer, else from lines such as "Confidence: 87 %".
 *
 * Both label and confidence have to be there: the interface promises a number, and one that
 * nobody said would be invented. For the same reason "mixed" is no label: which of the three
 * it should be was not said. The explanation may be missing.
 */
#include "text/answer_parts.h"

#include <string.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct judgement {
	const char *label;	/* static; NULL while unknown */
	double confidence;	/* < 0 while unknown */
	struct tm_slice explanation;
};

enum field { FIELD_NONE, FIELD_LABEL, FIELD_CONFIDENCE, FIELD_SCORE, FIELD_EXPLANATION };

static enum field field_of(struct tm_slice name)
{
	static const struct {
		const char *name;
		enum field field;
	} names[] = {
		{"sentiment", FIELD_LABEL}, {"label", FIELD_LABEL}, {"polarity", FIELD_LABEL},
		{"overall_sentiment", FIELD_LABEL}, {"overall sentiment", FIELD_LABEL},
		{"classification", FIELD_LABEL}, {"stimmung", FIELD_LABEL},
		{"confidence", FIELD_CONFIDENCE}, {"confidence_score", FIELD_CONFIDENCE},
		{"confidence score", FIELD_CONFIDENCE}, {"confidence level", FIELD_CONFIDENCE},
		{"probability", FIELD_CONFIDENCE}, {"konfidenz", FIELD_CONFIDENCE},
		{"confiance", FIELD_CONFIDENCE}, {"confianza", FIELD_CONFIDENCE},
		{"score", FIELD_SCORE},
		{"explanation", FIELD_EXPLANATION}, {"reason", FIELD_EXPLANATION},
		{"reasoning", FIELD_EXPLANATION}, {"rationale", FIELD_EXPLANATION},
		{"justification", FIELD_EXPLANATION}, {"begründung", FIELD_EXPLANATION},
		{"explication", FIELD_EXPLANATION}, {"explicación", FIELD_EXPLANATION},
		{"erklärung", FIELD_EXPLANATION},
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (tm_slice_equal(name, names[i].name))
			return names[i].field;
	return FIELD_NONE;
}

static struct tm_slice bare(struct tm_slice slice)
{
	static const char around[] = "*_`'\".,;! ";

	slice = tm_slice_unquote(tm_slice_trim(slice));
	while (slice.len && strchr(around, slice.text[0]))
		slice = tm_slice_from(slice, 1);
	while (slice.len && strchr(around, slice.text[slice.len - 1]))
		slice.len--;
	return slice;
}

/* "very_positive", "somewhat negative": the degree is the confidence's business. */
static struct tm_slice without_degree(struct tm_slice slice)
{
	static const char *const degrees[] = {
		"very", "strongly", "slightly", "somewhat", "mostly", "extremely", "highly",
		"overwhelmingly", "moderately", "predominantly", "weakly", "sehr", "très", "muy",
		"leicht", "überwiegend",
	};

	for (size_t i = 0; i < COUNT(degrees); i++) {
		size_t len = strlen(degrees[i]);

		if (slice.len > len + 1 && tm_slice_starts(slice, degrees[i]) &&
		    strchr(" _-", slice.text[len]))
			return tm_slice_from(slice, len + 1);
	}
	return slice;
}

static const char *label_of(struct tm_slice slice)
{
	static const struct {
		const char *word, *label;
	} labels[] = {
		{"positive", "positive"}, {"pos", "positive"}, {"positiv", "positive"},
		{"positif", "positive"}, {"positivo", "positive"}, {"positiva", "positive"},
		{"积极", "positive"}, {"正面", "positive"}, {"肯定的", "positive"},
		{"ポジティブ", "positive"}, {"긍정적", "positive"}, {"позитивный", "positive"},
		{"положительный", "positive"}, {"إيجابي", "positive"},
		{"negative", "negative"}, {"neg", "negative"}, {"negativ", "negative"},
		{"négatif", "negative"}, {"negativo", "negative"}, {"negativa", "negative"},
		{"消极", "negative"}, {"负面", "negative"}, {"否定的", "negative"},
		{"ネガティブ", "negative"}, {"부정적", "negative"}, {"негативный", "negative"},
		{"отрицательный", "negative"}, {"سلبي", "negative"},
		{"neutral", "neutral"}, {"neu", "neutral"}, {"neutre", "neutral"},
		{"neutro", "neutral"}, {"neutrale", "neutral"}, {"中性", "neutral"},
		{"中立", "neutral"}, {"ニュートラル", "neutral"}, {"중립적", "neutral"},
		{"нейтральный", "neutral"}, {"محايد", "neutral"},
	};

	slice = without_degree(bare(slice));
	for (size_t i = 0; i < COUNT(labels); i++)
		if (tm_slice_equal(slice, labels[i].word))
			return labels[i].label;
	return NULL;
}

/* 0..1 as it stands, 2..100 as a percentage; < 0 for anything else. Between 1 and 2 it may be
 * a slip either way, so it is none. */
static double confidence_of(double value, bool percent)
{
	if (percent)
		return value >= 0 && value <= 100 ? value / 100 : -1;
	if (value >= 0 && value <= 1)
		return value;
	return value >= 2 && value <= 100 ? value / 100 : -1;
}

/* "0.87", "0,87", "87%", "87 %", "95 percent", "0.9 (high)". By hand: strtod follows the
 * locale. */
static double confidence_of_text(struct tm_slice slice)
{
	double value = 0, scale = 1;
	size_t digits = 0;
	bool fraction = false, percent;

	slice = bare(slice);
	for (; slice.len && digits < 16; slice = tm_slice_from(slice, 1)) {
		char c = slice.text[0];

		if (c >= '0' && c <= '9') {
			value = value * 10 + (c - '0');
			scale *= fraction ? 10 : 1;
			digits++;
		} else if ((c == '.' || c == ',') && digits && !fraction) {
			fraction = true;
		} else {
			break;
		}
	}
	slice = tm_slice_trim(slice);
	percent = tm_slice_starts(slice, "%") || tm_slice_starts(slice, "％") ||
		  tm_slice_equal(slice, "percent");
	if (!digits || (slice.len && !percent && slice.text[0] != '('))
		return -1;
	return confidence_of(value / scale, percent);
}

static void take_json(struct judgement *found, const struct tm_json *object, bool *has_score,
		      double *score)
{
	struct tm_json_member member = {0};

	while (tm_json_next(object, &member)) {
		struct tm_slice name = {member.name, strlen(member.name)}, text = {0};
		enum tm_json_kind kind = tm_json_kind(member.value);
		bool number = kind == TM_JSON_INT || kind == TM_JSON_DOUBLE;
		bool string = tm_slice_of_json(member.value, &text);
		enum field field = field_of(name);
		double value = -1;

		if (number)
			value = confidence_of(tm_json_double(member.value), false);
		else if (string)
			value = confidence_of_text(text);

		if (field == FIELD_LABEL && string) {
			found->label = label_of(text);
		} else if (field == FIELD_CONFIDENCE) {
			found->confidence = value;
		} else if (field == FIELD_SCORE) {
			*score = value;
			*has_score = true;
		} else if (field == FIELD_EXPLANATION && string) {
			found->explanation = text;
		}
	}
}

/* A copy of the explanation that outlives the JSON; "" for none. */
static const char *keep(struct tm_slice slice, struct tm_arena *arena)
{
	slice.len = tm_utf8_prefix_bytes(slice.text ? slice.text : "", slice.len,
					 TM_ANSWER_ITEM_BYTES);
	return tm_arena_dup(arena, slice.text, slice.len);
}

static enum tm_err finish(const struct judgement *found, struct tm_arena *arena,
			  struct tm_answer *out)
{
	const char *explanation;

	if (!found->label || found->confidence < 0)
		return TM_EPROTO;
	explanation = keep(found->explanation, arena);
	if (!explanation)
		return TM_ENOMEM;
	out->sentiment = found->label;
	out->confidence = found->confidence;
	out->explanation = explanation;
	return TM_OK;
}

/* One candidate: the JSON that begins at text or soon after. */
static enum tm_err read_json(struct tm_slice text, struct tm_arena *arena, struct tm_answer *out)
{
	enum tm_err err;
	struct tm_json *json = NULL;
	struct judgement found = {.confidence = -1};
	bool has_score = false;
	double score = -1;

	err = tm_json_find(text.text, text.len, TM_ANSWER_JSON_DEPTH, &json);
	if (err != TM_OK) {
		err = err == TM_ENOMEM ? err : TM_EPROTO;
		goto out;
	}
	if (tm_json_kind(json) == TM_JSON_OBJECT_KIND)
		take_json(&found, json, &has_score, &score);
	if (found.confidence < 0 && has_score)
		found.confidence = score;
	err = finish(&found, arena, out);
out:
	tm_json_free(json);
	return err;
}

/* "**Sentiment:** Positive" and so on, one field a line. */
static enum tm_err read_lines(struct tm_slice text, struct tm_arena *arena, struct tm_answer *out)
{
	struct judgement found = {.confidence = -1};
	struct tm_slice line;

	while (tm_slice_line(&text, &line)) {
		static const char wide[] = "：";
		struct tm_slice name, value;
		size_t at = 0, colon = 1;

		while (at < line.len && line.text[at] != ':' &&
		       !tm_slice_starts(tm_slice_from(line, at), wide))
			at++;
		if (at == line.len)
			continue;
		if (line.text[at] != ':')
			colon = sizeof(wide) - 1;
		name = (struct tm_slice){line.text, at};
		if (tm_slice_starts(name, "•"))
			name = tm_slice_from(name, strlen("•"));
		while (name.len && strchr("-*_# \t", name.text[0]))
			name = tm_slice_from(name, 1);
		name = bare(name);
		value = tm_slice_trim(tm_slice_from(line, at + colon));
		while (value.len && strchr("*_ ", value.text[0]))
			value = tm_slice_from(value, 1);

		switch (field_of(name)) {
		case FIELD_LABEL:
			found.label = label_of(value);
			break;
		case FIELD_CONFIDENCE:
			found.confidence = confidence_of_text(value);
			break;
		case FIELD_EXPLANATION:
			found.explanation = value;
			break;
		case FIELD_SCORE:
		case FIELD_NONE:
		default:
			break;
		}
	}
	return finish(&found, arena, out);
}

enum tm_err tm_answer_read_sentiment(struct tm_slice text, struct tm_arena *arena,
				     struct tm_answer *out)
{
	struct tm_slice rest = text;
	int tries = 0;

	for (; rest.len && tries < TM_ANSWER_JSON_TRIES; rest = tm_slice_from(rest, 1)) {
		enum tm_err err;

		if (rest.text[0] != '{')
			continue;
		tries++;
		err = read_json(rest, arena, out);
		if (err != TM_EPROTO)
			return err;
	}
	return read_lines(text, arena, out);
}
