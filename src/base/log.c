/*
 * The log. A line is built in a stack buffer and leaves with one write: on a file opened for
 * append, and on a pipe up to 4096 bytes (PIPE_BUF), the kernel keeps such lines whole. Nothing
 * is allocated, so that running out of memory can be logged too.
 *
 * Text is escaped after formatting: it may carry bytes of a client or a provider.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

enum { LINE_BYTES = 4096, REQUEST_BYTES = 129, TARGET_BYTES = 4096 };

static const char mark[] = "...";

static const struct {
	const char *name;
	int syslog;
} levels[] = {
	[TM_LOG_ERROR] = {"error", LOG_ERR},
	[TM_LOG_WARN] = {"warn", LOG_WARNING},
	[TM_LOG_INFO] = {"info", LOG_INFO},
	[TM_LOG_DEBUG] = {"debug", LOG_DEBUG},
};

static struct {
	enum tm_log_level level;
	bool syslog;
	bool made;		/* the file was not there before */
	int fd;
	char target[TARGET_BYTES];
	char request[REQUEST_BYTES];
} state = {.level = TM_LOG_INFO, .fd = STDERR_FILENO, .target = "stderr"};

struct line {
	char text[LINE_BYTES];
	size_t len;
	bool cut;
};

static void use(int fd, bool to_syslog)
{
	if (state.fd != STDERR_FILENO)
		(void)close(state.fd);
	state.fd = fd;
	state.syslog = to_syslog;
	state.made = false;
}

/* O_NONBLOCK: a FIFO that nobody reads must not hold a start, nor a full one a request. */
static const int open_flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

static bool is_file(const char *target)
{
	return strcmp(target, "stderr") != 0 && strcmp(target, "syslog") != 0;
}

static enum tm_err check_name(const char *target)
{
	if (strlen(target) < TARGET_BYTES && (target[0] == '/' || !is_file(target)))
		return TM_OK;
	errno = target[0] == '/' ? ENAMETOOLONG : EINVAL;
	return TM_EIO;
}

static enum tm_err open_target(const char *target)
{
	bool made;
	int fd;

	if (!is_file(target)) {
		bool to_syslog = strcmp(target, "syslog") == 0;

		if (to_syslog)
			openlog("textmill", LOG_PID, LOG_DAEMON);
		use(STDERR_FILENO, to_syslog);
		return TM_OK;
	}
	fd = open(target, open_flags | O_CREAT | O_EXCL, 0640);
	made = fd >= 0;
	if (!made && errno == EEXIST)
		fd = open(target, open_flags | O_CREAT, 0640);
	if (fd < 0)
		return TM_EIO;
	use(fd, false);
	state.made = made;
	return TM_OK;
}

enum tm_err tm_log_open(const char *target, enum tm_log_level level)
{
	if (check_name(target) != TM_OK || open_target(target) != TM_OK)
		return TM_EIO;
	memmove(state.target, target, strlen(target) + 1);
	state.level = level;
	return TM_OK;
}

/* A file that is not there yet can be made where its folder can be written to. */
enum tm_err tm_log_check(const char *target)
{
	char folder[TARGET_BYTES];
	int fd;

	if (check_name(target) != TM_OK)
		return TM_EIO;
	if (!is_file(target))
		return TM_OK;
	fd = open(target, open_flags);
	if (fd >= 0) {
		(void)close(fd);
		return TM_OK;
	}
	if (errno != ENOENT)
		return TM_EIO;
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(target, '/') - target + 1),
		       target);
	return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) ? TM_EIO : TM_OK;
}

void tm_log_give(uid_t uid)
{
	/* Where it fails, the new user's own try to open it again will tell. */
	if (state.made && fchown(state.fd, uid, (gid_t)-1) == 0)
		state.made = false;
}

enum tm_err tm_log_reopen(void)
{
	return open_target(state.target);
}

void tm_log_set_request(const char *request_id)
{
	size_t len = request_id ? strlen(request_id) : 0;

	len = tm_utf8_prefix_bytes(request_id, len, sizeof(state.request) - 1);
	if (len > 0)
		memcpy(state.request, request_id, len);
	state.request[len] = '\0';
}

int tm_log_enabled(enum tm_log_level level)
{
	return level <= state.level;
}

/* Appends, unless the mark and the line's end would no longer fit behind it. */
static void put(struct line *line, const char *text, size_t len)
{
	if (line->cut || line->len + len > sizeof(line->text) - sizeof(mark) - 1) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void put_escaped(struct line *line, const char *text, size_t len)
{
	char escape[5];
	uint32_t point = 0;
	size_t step;

	for (size_t at = 0; at < len && !line->cut; at += step) {
		step = tm_utf8_step(text + at, len - at, &point);
		if (step > 0 && point >= 0x20 && (point < 0x7F || point > 0x9F)) {
			put(line, text + at, step);
			continue;
		}
		step = 1;	/* of a C1 control's two bytes the second is malformed alone */
		(void)snprintf(escape, sizeof(escape), "\\x%02x", (unsigned char)text[at]);
		put(line, escape, 4);
	}
}

/* Text that vsnprintf cut is longer than the line has room for: put cuts before its end. */
TM_PRINTF(2, 0) static void put_text(struct line *line, const char *fmt, va_list args)
{
	char text[LINE_BYTES];
	int full = vsnprintf(text, sizeof(text), fmt, args);

	if (full < 0)
		return;
	put_escaped(line, text, (size_t)full < sizeof(text) ? (size_t)full : sizeof(text) - 1);
}

static void put_head(struct line *line, enum tm_log_level level)
{
	char stamp[TM_CLOCK_ISO_BYTES];
	char head[96];
	int len = snprintf(head, sizeof(head), "%s %s %ld ",
			   tm_clock_iso(tm_clock_wall_ms(), stamp), levels[level].name,
			   (long)getpid());

	if (len > 0 && (size_t)len < sizeof(head))
		put(line, head, (size_t)len);
}

static void put_request(struct line *line)
{
	put(line, "[", 1);
	if (state.request[0])
		put_escaped(line, state.request, strlen(state.request));
	else
		put(line, "-", 1);
	put(line, "] ", 2);
}

static void write_line(struct line *line)
{
	ssize_t done;

	line->text[line->len++] = '\n';
	do {
		done = write(state.fd, line->text, line->len);
	} while (done < 0 && errno == EINTR);
}

void tm_log(enum tm_log_level level, const char *fmt, ...)
{
	struct line line;
	va_list args;
	int saved = errno;

	if (!tm_log_enabled(level))
		return;
	line.len = 0;
	line.cut = false;
	if (!state.syslog)
		put_head(&line, level);
	put_request(&line);
	va_start(args, fmt);
	errno = saved;		/* for %m */
	put_text(&line, fmt, args);
	va_end(args);
	if (line.cut) {
		memcpy(line.text + line.len, mark, sizeof(mark) - 1);
		line.len += sizeof(mark) - 1;
	}
	if (state.syslog)
		syslog(levels[level].syslog, "%.*s", (int)line.len, line.text);
	else
		write_line(&line);
	errno = saved;
}
