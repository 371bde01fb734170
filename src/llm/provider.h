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
	/* The task itself, for the extractive provider, which reads no prose. */
	const char *operation;		/* id of one of the five built in, or another */
	const char *text;
	size_t text_len;
	const char *question;
	int64_t amount;			/* words, points or questions asked for */
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
	TM_LLM_FAILED		/* out of memory here */
};

/* An HTTP request in the making. */
struct tm_llm_wire {
	const char *url;
	const char *const *headers;	/* NULL-terminated, in the arena; hold the secret key */
	struct tm_buf body;		/* caller inits and clears */
};

struct tm_provider {
	const char *name;
	/* TM_OK; TM_ENOMEM; TM_ESIZE over the body's ceiling; TM_EINVAL the key cannot stand in
	 * a header. */
	enum tm_err (*build)(const struct tm_provider_conf *conf, const struct tm_llm_prompt *prompt,
			     struct tm_arena *arena, struct tm_llm_wire *out);
	/* Reads a response with any status and body. On TM_LLM_SUCCESS reply is whole and not
	 * cut; otherwise it holds what was understood: tokens cost money all the same, and a cut
	 * text may still be of use. detail then is a short, printable cause for the log (arena
	 * or static, never NULL, without the key), never for the client. */
	enum tm_llm_class (*read)(const struct tm_provider_conf *conf, int status, const char *body,
				  size_t len, struct tm_arena *arena, struct tm_llm_reply *reply,
				  const char **detail);
	/* Providers without a network answer here instead; NULL otherwise. */
	enum tm_err (*answer)(const struct tm_llm_prompt *prompt, struct tm_arena *arena,
			      struct tm_llm_reply *reply);
};

/* By kind (enum tm_provider_kind); never NULL for a valid one. */
const struct tm_provider *tm_provider_of(int kind);

extern const struct tm_provider tm_provider_openai;
extern const struct tm_provider tm_provider_extractive;

#endif
