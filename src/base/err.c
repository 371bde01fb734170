/* The words of the error codes. A table, so that a new code without words does not compile. */
#include "base/err.h"

static const char *const texts[] = {
	[TM_OK] = "ok",
	[TM_DENIED] = "denied",
	[TM_ENOMEM] = "out of memory",
	[TM_EINVAL] = "invalid",
	[TM_ENOENT] = "not found",
	[TM_EEXIST] = "already exists",
	[TM_ESIZE] = "too large",
	[TM_ESHORT] = "ended too early",
	[TM_EUTF8] = "not valid UTF-8",
	[TM_EIO] = "input/output error",
	[TM_ETIME] = "timed out",
	[TM_EAGAIN] = "try again",
	[TM_EPROTO] = "protocol error",
	[TM_EGONE] = "client has gone",
	[TM_EUNAVAIL] = "unavailable",
};

_Static_assert(sizeof(texts) / sizeof(texts[0]) == TM_ERR_COUNT, "an error code lacks its words");

const char *tm_err_text(enum tm_err err)
{
	if ((unsigned)err >= TM_ERR_COUNT)
		return "unknown error";
	return texts[err];
}
