/*
 * A list of strings from what a model wrote: JSON in several customary forms, else lines with
 * numbers or bullets, else bare lines.
 *
 * In JSON and in marked lines an item is taken as it stands; a question need not end in a
 * question mark there, as Thai has none, Japanese may end in a particle, and "Explain why ..."
 * asks as well. Bare lines are weaker evidence: at least two of them make a list of points,
 * and only those that end in a question mark of some script are questions.
 */
#include "text/answer_parts.h"

#include <string.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ITEMS_MAX = 100, POINTS_MAX = 20, NESTED_MAX = 3, LINE_INDENT_MAX = 64 };

/* The list in the making. Items are copied in when they are complete. */
struct list {
	struct tm_arena *arena;
	enum tm_shape shape;
	size_t most, count;
	const char *items[ITEMS_MAX];
	enum tm_err err;
};

/* True for "-", "---", "*": a mark with nothing behind it; and for nothing at all. */
static bool only_marks(struct tm_slice item)
{
	for (size_t i = 0; i < item.len; i++)
		if (!strchr("-*_#>=~.:|+ \t", item.text[i]))
			return false;
	return true;
}

static void add(struct list *list, struct tm_slice item)
{
	char *copy;

	item = tm_slice_unbold(tm_slice_trim(item));
	if (tm_slice_ends(item, "**")) {
		struct tm_slice front = {item.text, item.len - 2};

		if (front.len && !tm_slice_holds(front, "**"))
			item = front;	/* the other half left with the marker: "**Q1: ...**" */
	}
	item = tm_slice_unquote(tm_slice_trim(item));
	if (!item.len || list->err != TM_OK)
		return;
	if (item.len > TM_ANSWER_ITEM_BYTES) {
		list->err = TM_EPROTO;
		return;
	}
	if (list->count == list->most)
		return;
	for (size_t i = 0; i < list->count; i++)
		if (tm_slice_equal(item, list->items[i]))
			return;
	copy = tm_arena_dup(list->arena, item.text, item.len);
	if (copy)
		list->items[list->count++] = copy;
	else
		list->err = TM_ENOMEM;
}

static size_t indent_of(struct tm_slice line)
{
	size_t indent = 0;

	while (indent < line.len && indent < LINE_INDENT_MAX && strchr(" \t", line.text[indent]))
		indent++;
	return indent;
}

/* Lines without content: code fences and markdown's rules. */
static bool hollow(struct tm_slice line)
{
	size_t same = 0;

	if (tm_slice_starts(line, "```") || tm_slice_starts(line, "~~~"))
		return true;
	while (same < line.len && strchr("-*_=", line.text[same]))
		same++;
	return same >= 3 && same == line.len;
}

/* Adds what was gathered of one item and begins the next. */
static void close_item(struct list *list, struct tm_buf *item)
{
	const struct tm_slice line = {tm_buf_text(item), item->len};
	enum tm_err err = tm_buf_err(item);

	if (err != TM_OK && list->err == TM_OK)
		list->err = err == TM_ESIZE ? TM_EPROTO : err;
	if (!only_marks(line))
		add(list, line);
	tm_buf_reset(item, TM_ANSWER_ITEM_BYTES);
}

/*
 * Marked lines: the outermost markers open items. What is indented, or follows directly,
 * belongs to the item before, unless that one is a complete question, behind which only an
 * answer can stand. What comes before the first marker or after a blank line is talk.
 */
static void read_marked(struct list *list, struct tm_slice text, size_t outermost)
{
	struct tm_buf item;
	struct tm_slice line;
	bool open = false, blank = false;

	tm_buf_init(&item, TM_ANSWER_ITEM_BYTES);
	while (tm_slice_line(&text, &line)) {
		struct tm_slice bare = tm_slice_trim(line), body;
		size_t indent = indent_of(line), mark = tm_slice_marker(bare);

		if (!bare.len || hollow(bare)) {
			blank = true;
			continue;
		}
		body = tm_slice_trim(tm_slice_from(bare, mark));
		if (mark && indent <= outermost) {
			close_item(list, &item);
			open = true;
		} else if (!open || bare.text[0] == '#' || (blank && !mark && !indent)) {
			open = false;
			continue;
		} else if (list->shape == TM_SHAPE_QUESTIONS &&
			   tm_slice_asks((struct tm_slice){tm_buf_text(&item), item.len})) {
			continue;
		}
		if (item.len)
			tm_buf_putc(&item, ' ');
		tm_buf_put(&item, body.text, body.len);
		blank = false;
	}
	close_item(list, &item);
	tm_buf_clear(&item);
}

static void read_bare(struct list *list, struct tm_slice text)
{
	struct tm_slice rest = text, line;
	size_t lines = 0;
	bool announced = false, questions = list->shape == TM_SHAPE_QUESTIONS;

	while (tm_slice_line(&rest, &line))
		lines += tm_slice_trim(line).len > 0;
	if (!questions && (lines < 2 || tm_slice_refuses(tm_slice_trim(text), true)))
		return;
	while (tm_slice_line(&text, &line)) {
		line = tm_slice_trim(line);
		if (!line.len || hollow(line) || line.text[0] == '#')
			continue;
		if (!list->count && !announced &&
		    (tm_slice_ends(line, ":") || tm_slice_ends(line, "："))) {
			announced = true;
			continue;
		}
		if (!questions && !list->count && tm_slice_refuses(line, true))
			return;
		if (!only_marks(line) && (!questions || tm_slice_asks(line)))
			add(list, line);
	}
}

/* Reads marked lines; false when no line has a marker. */
static bool read_if_marked(struct list *list, struct tm_slice text)
{
	struct tm_slice rest = text, line;
	size_t outermost = LINE_INDENT_MAX + 1;

	while (tm_slice_line(&rest, &line)) {
		size_t indent = indent_of(line);

		if (indent < outermost && tm_slice_marker(tm_slice_trim(line)))
			outermost = indent;
	}
	if (outermost > LINE_INDENT_MAX)
		return false;
	read_marked(list, text, outermost);
	return true;
}

/* The text of an array's element: a string, or the one string of {"question": "..."}. */
static bool element(const struct tm_json *json, struct tm_slice *out)
{
	static const char *const names[] = {
		"question", "key_point", "point", "text", "content", "description", "item",
	};
	struct tm_json_member member = {0};
	size_t strings = 0;

	if (tm_json_kind(json) != TM_JSON_OBJECT_KIND)
		return tm_slice_of_json(json, out);
	for (size_t i = 0; i < COUNT(names); i++)
		if (tm_slice_of_json(tm_json_get(json, names[i]), out))
			return true;
	while (tm_json_next(json, &member))
		strings += tm_slice_of_json(member.value, out);
	return strings == 1;
}

/* True when every string of the array carries its own number: "1. ...", "2. ...". One that
 * merely begins with a number ("3. Oktober") is left alone by that. */
static bool numbered(const struct tm_json *array)
{
	size_t count = tm_json_count(array);
	struct tm_slice item;

	for (size_t i = 0; i < count; i++)
		if (!element(tm_json_item(array, i), &item) || !tm_slice_numbering(item))
			return false;
	return count > 1;
}

static void read_array(struct list *list, const struct tm_json *array)
{
	size_t count = tm_json_count(array);
	bool strip = numbered(array);
	struct tm_slice item;

	for (size_t i = 0; i < count; i++)
		if (element(tm_json_item(array, i), &item))
			add(list, tm_slice_from(item, strip ? tm_slice_numbering(item) : 0));
}

/* {"1": "...", "question_2": "..."}: names that end in a digit are places in a list. */
static void read_numbered_members(struct list *list, const struct tm_json *object)
{
	struct tm_json_member member = {0};
	struct tm_slice item;

	while (tm_json_next(object, &member)) {
		size_t len = strlen(member.name);

		if (!len || !strchr("0123456789", member.name[len - 1]) ||
		    !tm_slice_of_json(member.value, &item))
			return;
	}
	member = (struct tm_json_member){0};
	while (tm_json_next(object, &member))
		if (tm_slice_of_json(member.value, &item))
			add(list, item);
}

/* The member that holds the list: named as the shape, else the only array or object. */
static const struct tm_json *member_of(const struct list *list, const struct tm_json *object)
{
	const char *name = list->shape == TM_SHAPE_QUESTIONS ? "questions"
			   : list->shape == TM_SHAPE_LIST    ? "items" : "key_points";
	const struct tm_json *named = tm_json_get(object, name), *array = NULL, *inner = NULL;
	struct tm_json_member member = {0};
	size_t arrays = 0, objects = 0;

	if (named)
		return named;
	while (tm_json_next(object, &member)) {
		if (tm_json_kind(member.value) == TM_JSON_ARRAY) {
			array = member.value;
			arrays++;
		} else if (tm_json_kind(member.value) == TM_JSON_OBJECT_KIND) {
			inner = member.value;
			objects++;
		}
	}
	if (arrays == 1)
		return array;
	return !arrays && objects == 1 ? inner : NULL;
}

static void read_json(struct list *list, const struct tm_json *json)
{
	struct tm_slice text;

	for (int depth = 0; depth < NESTED_MAX && json; depth++) {
		if (tm_json_kind(json) == TM_JSON_ARRAY) {
			read_array(list, json);
			return;
		}
		if (tm_json_kind(json) == TM_JSON_OBJECT_KIND) {
			const struct tm_json *inner = member_of(list, json);

			if (!inner)
				read_numbered_members(list, json);
			json = inner;
			continue;
		}
		/* {"key_points": "- one\n- two"} */
		if (tm_slice_of_json(json, &text) && !read_if_marked(list, text))
			read_bare(list, text);
		return;
	}
}

/* Tries the JSON at each '{' or '[' that begins a line, or at any with everywhere set. */
static void find_json(struct list *list, struct tm_slice text, bool everywhere)
{
	struct tm_slice rest = text;
	bool fresh = true;
	int tries = 0;

	for (; rest.len && tries < TM_ANSWER_JSON_TRIES; rest = tm_slice_from(rest, 1)) {
		struct tm_json *json = NULL;
		enum tm_err err;
		char c = rest.text[0];

		if ((c != '{' && c != '[') || !(fresh || everywhere)) {
			fresh = c == '\n' || (fresh && strchr(" \t\r", c));
			continue;
		}
		fresh = false;
		tries++;
		err = tm_json_find(rest.text, rest.len, TM_ANSWER_JSON_DEPTH, &json);
		if (err == TM_OK)
			read_json(list, json);
		else if (err == TM_ENOMEM)
			list->err = err;
		tm_json_free(json);
		if (list->count || list->err != TM_OK)
			return;
	}
}

/* True when the text set out to be JSON: if it then does not parse, it was cut off. */
static bool meant_json(struct tm_slice text)
{
	char first = text.text[0];
	struct tm_slice rest = tm_slice_trim(tm_slice_from(text, 1));

	return (first == '{' || first == '[') && (!rest.len || strchr("{[\"]}", rest.text[0]));
}

static size_t items_asked(const struct tm_task *task)
{
	const int most = task->operation->shape == TM_SHAPE_LIST ? ITEMS_MAX : POINTS_MAX;
	int64_t asked = tm_task_option(task, "num_questions", most);

	if (task->operation->shape != TM_SHAPE_QUESTIONS)
		asked = tm_task_option(task, "max_points", most);
	asked = tm_task_option(task, "max_items", asked);
	return asked < 1 || asked > most ? (size_t)most : (size_t)asked;
}

/* True for a list of one apology that is not the source's own. */
static bool apology(const struct list *list, const struct tm_task *task)
{
	struct tm_slice only = {list->items[0], strlen(list->items[0])};
	struct tm_slice source = {task->text, task->text_len};

	return list->count == 1 && tm_slice_refuses(only, true) && !tm_slice_quotes(only, source);
}

enum tm_err tm_answer_read_list(struct tm_slice text, const struct tm_task *task,
				struct tm_arena *arena, struct tm_answer *out)
{
	struct list list = {.arena = arena, .shape = out->shape, .most = items_asked(task)};
	const char **items;

	text = tm_slice_unfence(tm_slice_unthink(text));
	if (!text.len)
		return TM_EPROTO;
	find_json(&list, text, false);
	if (!list.count && list.err == TM_OK && meant_json(text))
		return TM_EPROTO;
	if (!list.count && list.err == TM_OK && !read_if_marked(&list, text)) {
		find_json(&list, text, true);
		if (!list.count && list.err == TM_OK)
			read_bare(&list, text);
	}
	if (list.err != TM_OK)
		return list.err;
	if (!list.count || apology(&list, task))
		return TM_EPROTO;

	items = tm_arena_alloc(arena, list.count * sizeof(*items));
	if (!items)
		return TM_ENOMEM;
	memcpy(items, list.items, list.count * sizeof(*items));
	out->items = items;
	out->count = list.count;
	return TM_OK;
}
