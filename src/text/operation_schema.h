/* Private to text/operation.c: the answer's form, for machines and in words. */
#ifndef TM_TEXT_OPERATION_SCHEMA_H
#define TM_TEXT_OPERATION_SCHEMA_H

#include "base/arena.h"
#include "base/err.h"
#include "text/operation.h"

/* Fills in schema_name, schema and form by shape and fields. TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_operation_schema(struct tm_operation *operation, struct tm_arena *arena);

#endif
