/*
 * Private to llm/{openai,anthropic,gemini,provider}.c: what the three wire formats have in common.
 * Foreign words reach a detail through tm_part_say only, which masks the key.
 */
#ifndef TM_LLM_PROVIDER_PARTS_H
#define TM_LLM_PROVIDER_PARTS_H

#include "io/json.h"
#include "llm/provider.h"

enum { TM_PART_DETAIL_BYTES = sizeof(((struct tm_llm_stream *)0)->detail) };

/* What reading a response, or an event with an error in it, knows all along. */
struct tm_part_reading {
	const struct tm_provider_conf *conf;
	int status;
	struct tm_arena *arena;		/* NULL in an event */
	struct tm_llm_reply *reply;	/* NULL in an event */
	char detail[TM_PART_DETAIL_BYTES];
};

/* How a format reads a parsed body or part of one; doc may be NULL. */
typedef enum tm_llm_class tm_part_reader(struct tm_part_reading *reading,
					 const struct tm_json *doc);

/* The frame of every tm_provider.read. failure reads a body under a status other than 2xx.
 * reading holds what is known; its reply is set here. */
enum tm_llm_class tm_part_read(struct tm_part_reading *reading, const char *body, size_t len,
			       tm_part_reader *success, tm_part_reader *failure,
			       const char **detail);

/* Requests. */

struct tm_part_header {
	const char *start;	/* "Name: " */
	const char *value;	/* "": the header is left out */
};

/* The headers of every request, and count more. TM_OK; TM_ENOMEM; TM_EINVAL: a value holds a line
 * break or its like, behind which would stand a header of somebody else's choice. */
TM_CHECK enum tm_err tm_part_headers(struct tm_arena *arena, bool stream,
				     const struct tm_part_header *more, size_t count,
				     struct tm_llm_wire *out);

/* The schema's name where it is 1..64 of [A-Za-z0-9_-], as providers want it; else "answer". */
const char *tm_part_schema_name(const struct tm_llm_prompt *prompt);

/* Text as one segment of a path or one value of a query: all but unreserved characters (RFC 3986)
 * as %XX. NULL: out of memory. */
const char *tm_part_encoded(struct tm_arena *arena, const char *text);

/* True when text ends in suffix. */
bool tm_part_ends_in(const char *text, const char *suffix);

/* Responses. */

/* The string member of that name; "" when there is none. */
const char *tm_part_text(const struct tm_json *json, const char *name);

/* A count of tokens; 0 for what cannot be one. */
int64_t tm_part_tokens(const struct tm_json *usage, const char *name);

/* The detail of a failure: "HTTP 429, name: message", or less where they are "". */
void tm_part_say(struct tm_part_reading *reading, const char *name, const char *message);

/* A detail of our own words. */
void tm_part_note(struct tm_part_reading *reading, const char *words);

/* Where a failure's words stand: {"error": ...}, that in an array, or at the top. */
const struct tm_json *tm_part_find_error(const struct tm_json *doc);

/* True when one of the words, which end in NULL, stands in text, in whatever case. */
bool tm_part_names(const char *text, const char *const *words);

/* The reply's model; the configured one stays where the reported is no short, printable name.
 * TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_part_model(struct tm_part_reading *reading, const char *model);

/* The text of one item of a list; NULL where it has none that counts. */
typedef const char *tm_part_item(const struct tm_json *item, size_t *len);

/* The reply's text, joined from a list. TM_OK; TM_ENOENT: no item has one; TM_ENOMEM. */
TM_CHECK enum tm_err tm_part_join(struct tm_part_reading *reading, const struct tm_json *list,
				  tm_part_item *text);

/* An answer that ended early: at the token limit, or filtered. Returns the class. */
enum tm_llm_class tm_part_cut(struct tm_part_reading *reading, bool filtered);

/* Streams. A stream that has failed stays as it is. */

/* An event's data as JSON; NULL: it is no object, which is noted as a failure. To be freed. */
struct tm_json *tm_part_event(struct tm_llm_stream *stream, const char *data, size_t len);

/* Appends to the text; a failure is noted. */
void tm_part_append(struct tm_llm_stream *stream, const char *text, size_t len);

/* Notes a failure in words of our own, or an error that came as an event. */
void tm_part_fail(struct tm_llm_stream *stream, enum tm_llm_class class, const char *words);
void tm_part_fail_by(struct tm_llm_stream *stream, const struct tm_provider_conf *conf,
		     tm_part_reader *failure, const struct tm_json *doc);

/* Notes that the answer ended early, as tm_part_cut. */
void tm_part_stream_cut(struct tm_llm_stream *stream, bool filtered);

/* Notes the model, as tm_part_model. */
void tm_part_stream_model(struct tm_llm_stream *stream, const struct tm_provider_conf *conf,
			  const char *model);

#endif
