/* Log lines as they stand in the file. */
#include "base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { NOON_2026_S = 1795348800 };

static char dir[64], path[80];

static void set_up(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/textmill-log.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	tm_clock_fake(0, NOON_2026_S * INT64_C(1000) + 123);
	tm_log_set_request(NULL);
}

static void tear_down(void)
{
	char command[128];

	tm_clock_real();
	cr_assert_eq(tm_log_open("stderr", TM_LOG_INFO), TM_OK);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(log, .init = set_up, .fini = tear_down);

static const char *read_file(const char *name)
{
	static char text[64 * 1024];
	FILE *file = fopen(name, "r");
	size_t len;

	cr_assert_not_null(file, "%s", name);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	(void)fclose(file);
	return text;
}

/* The text of the only line in the file, behind "[...] ". */
static const char *only_text(void)
{
	const char *line = read_file(path);
	const char *text = strstr(line, "] ");

	cr_assert_not_null(text, "%s", line);
	cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1, "%s", line);
	return text + 2;
}

Test(log, line_has_stamp_level_pid_and_request)
{
	char expected[256];

	cr_assert_eq(tm_log_open(path, TM_LOG_DEBUG), TM_OK);
	tm_log(TM_LOG_WARN, "starting %d", 7);
	tm_log_set_request("req-1");
	tm_log(TM_LOG_ERROR, "a");
	tm_log_set_request("");
	tm_log(TM_LOG_DEBUG, "b");
	(void)snprintf(expected, sizeof(expected),
		       "2026-11-22T12:00:00.123Z warn %ld [-] starting 7\n"
		       "2026-11-22T12:00:00.123Z error %ld [req-1] a\n"
		       "2026-11-22T12:00:00.123Z debug %ld [-] b\n",
		       (long)getpid(), (long)getpid(), (long)getpid());
	cr_assert_str_eq(read_file(path), expected);
}

Test(log, lines_below_the_level_are_left_out)
{
	cr_assert_eq(tm_log_open(path, TM_LOG_WARN), TM_OK);
	cr_assert(tm_log_enabled(TM_LOG_ERROR));
	cr_assert(tm_log_enabled(TM_LOG_WARN));
	cr_assert_not(tm_log_enabled(TM_LOG_INFO));
	tm_log(TM_LOG_INFO, "unseen");
	tm_log(TM_LOG_WARN, "seen");
	cr_assert_str_eq(only_text(), "seen\n");
}

Test(log, nobody_forges_a_line_or_talks_to_a_terminal)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"a\nb", "a\\x0ab\n"},
		{"a\r\tb", "a\\x0d\\x09b\n"},
		{"\x1b[2J", "\\x1b[2J\n"},
		{"\x7f", "\\x7f\n"},
		{"caf\xC3\xA9 \xF0\x9F\x98\x80", "caf\xC3\xA9 \xF0\x9F\x98\x80\n"},
		{"\xC2\x9B" "2J", "\\xc2\\x9b2J\n"},
		{"\xC2\xA0", "\xC2\xA0\n"},
		{"\xFF\xC3", "\\xff\\xc3\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
		tm_log(TM_LOG_INFO, "%s", cases[i].in);
		cr_assert_str_eq(only_text(), cases[i].out);
		cr_assert_eq(unlink(path), 0);
	}
}

Test(log, request_id_is_escaped_and_bounded)
{
	char id[300];
	const char *line;

	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	memset(id, 'i', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	id[0] = '\n';
	tm_log_set_request(id);
	tm_log(TM_LOG_INFO, "text");
	line = read_file(path);
	cr_assert_not_null(strstr(line, " [\\x0aiii"));
	cr_assert_eq(strspn(strchr(line, 'a') + 1, "i"), 127);
	cr_assert_not_null(strstr(line, "] text\n"));
}

/* Whatever the code points' sizes, the cut falls between two of them. */
Test(log, long_line_is_cut_on_a_code_point_and_marked)
{
	static const char *const units[] = {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
					    "\n"};
	static char text[20000];

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t unit = strlen(units[i]), len;
		const char *line, *cut;

		text[0] = '\0';
		for (size_t at = 0; at + unit < sizeof(text); at += unit)
			memcpy(text + at, units[i], unit + 1);
		cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
		tm_log(TM_LOG_INFO, "%s", text);
		line = only_text();
		len = strlen(read_file(path));
		cr_assert_leq(len, 4096);
		cr_assert_geq(len, 4096 - 8);
		cut = strstr(line, "...\n");
		cr_assert_not_null(cut);
		cr_assert_eq((size_t)(cut - line) % (units[i][0] == '\n' ? 4 : unit), 0);
		cr_assert_eq(unlink(path), 0);
	}
}

Test(log, file_is_private_appended_to_and_not_inherited)
{
	struct stat info;
	bool found = false;

	(void)umask(0);
	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	tm_log(TM_LOG_INFO, "one");
	cr_assert_eq(tm_log_reopen(), TM_OK);
	tm_log(TM_LOG_INFO, "two");
	cr_assert_not_null(strstr(read_file(path), "two"));
	cr_assert_not_null(strstr(read_file(path), "one"));
	cr_assert_eq(stat(path, &info), 0);
	cr_assert_eq(info.st_mode & 0777, 0640);
	for (int fd = 3; fd < 64; fd++) {
		struct stat open_one;

		if (fstat(fd, &open_one) == 0 && open_one.st_ino == info.st_ino &&
		    open_one.st_dev == info.st_dev) {
			cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
			cr_assert_not(found, "reopening left the old file open");
			found = true;
		}
	}
	cr_assert(found);
}

Test(log, reopen_follows_a_moved_file)
{
	char moved[96];

	(void)snprintf(moved, sizeof(moved), "%s/log.1", dir);
	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	tm_log(TM_LOG_INFO, "old");
	cr_assert_eq(rename(path, moved), 0);
	tm_log(TM_LOG_INFO, "still old");
	cr_assert_eq(tm_log_reopen(), TM_OK);
	tm_log(TM_LOG_INFO, "new");
	cr_assert_str_eq(only_text(), "new\n");
	cr_assert_not_null(strstr(read_file(moved), "still old\n"));
}

Test(log, failed_open_leaves_the_lines_where_they_went)
{
	char longer[5000];

	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	errno = 0;
	cr_assert_eq(tm_log_open("/nonexistent/dir/log", TM_LOG_DEBUG), TM_EIO);
	cr_assert_eq(errno, ENOENT);
	cr_assert_eq(tm_log_open("relative/log", TM_LOG_DEBUG), TM_EIO);
	cr_assert_eq(errno, EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	cr_assert_eq(tm_log_open(longer, TM_LOG_DEBUG), TM_EIO);
	cr_assert_eq(errno, ENAMETOOLONG);
	tm_log(TM_LOG_DEBUG, "unseen");
	tm_log(TM_LOG_INFO, "seen");
	cr_assert_str_eq(only_text(), "seen\n");
	cr_assert_eq(tm_log_reopen(), TM_OK);
	tm_log(TM_LOG_INFO, "again");
	cr_assert_not_null(strstr(read_file(path), "again"));
}

/* What a test of the configuration is told is what a start is told, and it leaves no file. */
Test(log, check_says_what_open_says)
{
	static const struct {
		const char *name;	/* below the folder, or all of it */
		int error;		/* 0: good */
	} cases[] = {
		{"stderr", 0}, {"syslog", 0}, {"relative/log", EINVAL}, {"/log", 0}, {"/there", 0},
		{"/no/log", ENOENT}, {"/folder", EISDIR}, {"/folder/", EISDIR}, {"/fifo", ENXIO},
		{"/there/log", ENOTDIR},
	};
	char name[128];

	(void)snprintf(name, sizeof(name), "%s/there", dir);
	(void)fclose(fopen(name, "w"));
	(void)snprintf(name, sizeof(name), "%s/folder", dir);
	cr_assert_eq(mkdir(name, 0700), 0);
	(void)snprintf(name, sizeof(name), "%s/fifo", dir);
	cr_assert_eq(mkfifo(name, 0600), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum tm_err want = cases[i].error ? TM_EIO : TM_OK;

		(void)snprintf(name, sizeof(name), "%s%s", cases[i].name[0] == '/' ? dir : "",
			       cases[i].name);
		errno = 0;
		cr_assert_eq(tm_log_check(name), want, "%s", name);
		if (want != TM_OK)
			cr_assert_eq(errno, cases[i].error, "%s: %s", name, strerror(errno));
		cr_assert(strcmp(cases[i].name, "/log") != 0 || access(name, F_OK) != 0);
		cr_assert_eq(tm_log_open(name, TM_LOG_INFO), want, "%s", name);
		if (want != TM_OK)
			cr_assert_eq(errno, cases[i].error, "%s: %s", name, strerror(errno));
	}
}

Test(log, full_fifo_loses_lines_and_holds_nobody)
{
	char text[1024];
	int reader;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	cr_assert_geq(reader, 0);
	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	for (int i = 0; i < 200; i++)	/* above what a pipe holds */
		tm_log(TM_LOG_INFO, "%s", text);
	(void)close(reader);
}

Test(log, only_a_file_of_our_own_making_is_given_away)
{
	struct stat info;
	FILE *file;

	if (geteuid() != 0)
		cr_skip_test("only root gives files away");
	file = fopen(path, "w");
	cr_assert_not_null(file);
	(void)fclose(file);
	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	tm_log_give(1);
	cr_assert_eq(stat(path, &info), 0);
	cr_assert_eq(info.st_uid, 0, "it may be anybody's");

	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(tm_log_reopen(), TM_OK);
	tm_log_give(1);
	cr_assert_eq(stat(path, &info), 0);
	cr_assert_eq(info.st_uid, 1);
}

Test(log, child_logs_its_own_pid)
{
	char expected[64];
	int status = 0;
	pid_t child;

	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		tm_log(TM_LOG_INFO, "text");
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	(void)snprintf(expected, sizeof(expected), "info %ld [-] text\n", (long)child);
	cr_assert_not_null(strstr(read_file(path), expected));
}

Test(log, lost_line_does_no_harm)
{
	int ends[2], saved = dup(STDERR_FILENO);

	(void)signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe(ends), 0);
	(void)close(ends[0]);
	cr_assert_eq(tm_log_open("stderr", TM_LOG_INFO), TM_OK);
	cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	errno = 42;
	tm_log(TM_LOG_INFO, "into nothing");
	cr_assert_eq(errno, 42, "errno is the caller's");
	cr_assert_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	(void)close(ends[1]);
}

Test(log, syslog_is_a_target)
{
	cr_assert_eq(tm_log_open(path, TM_LOG_INFO), TM_OK);
	cr_assert_eq(tm_log_open("syslog", TM_LOG_INFO), TM_OK);
	tm_log(TM_LOG_INFO, "to syslog");
	cr_assert_str_eq(read_file(path), "");
	cr_assert_eq(tm_log_reopen(), TM_OK);
}
