/* Private to llm/gemini.c: a JSON Schema in Google's subset of it. */
#ifndef TM_LLM_GEMINI_SCHEMA_H
#define TM_LLM_GEMINI_SCHEMA_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Writes lead and the schema, with the members that Google does not know left out; nothing where
 * it is no schema or nested too deeply: an answer of free form is better than none.
 *
 * TM_OK (look at the buffer's own error too); TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_gemini_put_schema(struct tm_buf *body, const char *lead,
					  const char *schema);

#endif
