/*
 * The error log: one line per event, written with one write(2), so that lines of many
 * workers never mix. A line is
 *
 *   2026-11-22T10:00:00.123Z warn 4711 [request-id] text
 *
 * with [-] outside of a request. Control characters and malformed UTF-8 in the text appear as
 * \xNN: nobody forges a line or talks to a terminal. A line longer than 4 KiB ends in "...".
 * To syslog go only [request-id] and text. Secrets never reach here; that is the caller's
 * promise. The program ignores SIGPIPE, else a closed pipe would end it.
 */
#ifndef TM_BASE_LOG_H
#define TM_BASE_LOG_H

#include <sys/types.h>

#include "base/err.h"

enum tm_log_level { TM_LOG_ERROR, TM_LOG_WARN, TM_LOG_INFO, TM_LOG_DEBUG };

/*
 * Where lines go from now on: "stderr", "syslog", or a file's absolute path (opened for
 * append, mode 0640, O_CLOEXEC). A FIFO needs a reader. TM_EIO: it cannot be opened, errno says
 * why, and lines keep going where they went. Before the first call: stderr, level info.
 */
TM_CHECK enum tm_err tm_log_open(const char *target, enum tm_log_level level);

/* Whether tm_log_open would take the target; makes no file. TM_OK; TM_EIO, errno says why. */
TM_CHECK enum tm_err tm_log_check(const char *target);

/*
 * Gives the log file to the user that the process is about to become, who could not open it
 * again otherwise. Only a file that tm_log_open made: whatever else the name leads to, such as a
 * link in a folder of that user's, is not ours to give away.
 */
void tm_log_give(uid_t uid);

/* Opens the same target again, after logrotate moved it. As tm_log_open. */
TM_CHECK enum tm_err tm_log_reopen(void);

/* The id that the lines of the request in hand carry; NULL or "" for none. Copied. */
void tm_log_set_request(const char *request_id);

/* True when a line of this level would be written: guards costly arguments. */
int tm_log_enabled(enum tm_log_level level);

/* Writes one line; a full disk, a full or closed pipe loses the line, never the request. */
void tm_log(enum tm_log_level level, const char *fmt, ...) TM_PRINTF(2, 3);

#endif
