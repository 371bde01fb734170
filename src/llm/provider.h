/*
 * What the engine needs to know of one kind of provider: how to build its request and how to
 * read its response. Pure functions over buffers: no I/O, so they are tested and fuzzed alone.
 */
#ifndef TM_LLM_PROVIDER_H
#define TM_LLM_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/settings.h"

/* What is asked, whoever answers. Strings are UTF-8, borrowed. */
struct tm_llm_prompt {
	const char *system;
	const char *user;
	size_t user_len;
	const char *schema_name, *schema;	/* structured answer wanted; else NULL */
	int64_t max_tokens;
	double temperature;		/* sent where has_temperature */
	bool has_temperature;
	/* The task itself, for the extractive provider, which reads no prose. */
	const char *operation;		/* id of one of the five built in, or another */
	const char *text;
	size_t text_len;
	const char *question;
	int64_t amount;			/* words, points or questions asked for */
};

/* One asking of a prompt. Each TM_LLM_PLAINER takes plainness one step on: a step that does not
 * help brings another, so stepping ends at a form the server knows. (The form of structured
 * answers changes with json_mode auto only.)
 *   openai     0 json_schema; 1 max_completion_tokens for max_tokens, no temperature; 2 as 0 with
 *              json_object, no stream_options; 3 no response_format; 4 that with 1
 *   anthropic  0 forced tool; 1 no temperature; 2 prose
 *   gemini     0 responseSchema; 1 JSON without it; 2 prose */
struct tm_llm_ask {
	const struct tm_llm_prompt *prompt;
	int plainness;		/* 0..plainest of the provider */
	bool stream;		/* answer as server-sent events */
};

/* What was answered. Text lives in the arena given to read. */
struct tm_llm_reply {
	const char *text;
	size_t text_len;
	const char *model;		/* as the provider reports it; else as configured */
	int64_t input_tokens, output_tokens;	/* 0 where not reported */
	bool cut;			/* ended at a token limit or filter */
};

/* How a response other than a success is to be taken. */
enum tm_llm_class {
	TM_LLM_SUCCESS,
	TM_LLM_RETRY,		/* its own trouble: try again, counts for the breaker */
	TM_LLM_REFUSED,		/* will not work however often: key, model, quota, filter */
	TM_LLM_NONSENSE,	/* 2xx that is not the format, or is cut: once more at most */
	TM_LLM_PLAINER,		/* knows not all members; at plainest already: as REFUSED */
	TM_LLM_FAILED		/* out of memory here */
};

/* An HTTP request in the making. */
struct tm_llm_wire {
	const char *url;
	const char *const *headers;	/* NULL-terminated, in the arena; hold the secret key */
	struct tm_buf body;		/* caller inits and clears */
};

/* A streamed answer in the making. Zeroed but for text, which the owner inits with the answer's
 * ceiling and clears. */
struct tm_llm_stream {
	struct tm_buf text;		/* all of the answer so far */
	char model[129];		/* as reported; "" so far unknown */
	int64_t input_tokens, output_tokens;
	bool whole;			/* the model came to an end; counts may still follow */
	bool done;			/* the format's own end was seen: nothing is missing */
	bool cut;			/* ended at a token limit or filter */
	enum tm_llm_class failure;	/* TM_LLM_SUCCESS: none */
	char detail[256];		/* cause of a failure, printable, without the key */
};

struct tm_provider {
	const char *name;
	int plainest;			/* largest plainness of an asking */
	/* TM_OK; TM_ENOMEM; TM_ESIZE over the body's ceiling; TM_EINVAL bad key or api_version. */
	enum tm_err (*build)(const struct tm_provider_conf *conf, const struct tm_llm_ask *ask,
			     struct tm_arena *arena, struct tm_llm_wire *out);
	/* Reads a response with any status and body. Short of TM_LLM_SUCCESS reply holds what was
	 * understood (tokens cost money all the same), and detail a printable cause for the log
	 * (arena or static, never NULL, without the key), never for the client. */
	enum tm_llm_class (*read)(const struct tm_provider_conf *conf, int status, const char *body,
				  size_t len, struct tm_arena *arena, struct tm_llm_reply *reply,
				  const char **detail);
	/* Takes one event of a streamed 2xx response. After a failure events are ignored. */
	void (*event)(const struct tm_provider_conf *conf, const char *name, const char *data,
		      size_t len, struct tm_llm_stream *stream);
	/* Providers without a network answer here instead; NULL otherwise. */
	enum tm_err (*answer)(const struct tm_llm_prompt *prompt, struct tm_arena *arena,
			      struct tm_llm_reply *reply);
};

/* By enum tm_provider_kind. */
const struct tm_provider *tm_provider_of(int kind);

/* What a streamed answer came to once the transfer is over: as read does. */
enum tm_llm_class tm_provider_stream_end(const struct tm_provider_conf *conf,
					 const struct tm_llm_stream *stream,
					 struct tm_arena *arena, struct tm_llm_reply *reply,
					 const char **detail);

extern const struct tm_provider tm_provider_anthropic;
extern const struct tm_provider tm_provider_gemini;
extern const struct tm_provider tm_provider_openai;
extern const struct tm_provider tm_provider_extractive;

#endif
