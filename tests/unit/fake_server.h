/*
 * Small HTTP servers for the tests of the HTTP engine: each runs in a child, on a free port of
 * the loopback, and plays one script (an answer, half of one, silence, nonsense).
 */
#ifndef TM_TESTS_FAKE_SERVER_H
#define TM_TESTS_FAKE_SERVER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/http.h"

enum { PATIENCE_MS = 20 * 1000 };	/* nothing takes that long unless it is broken */

struct server {
	pid_t pid;
	char url[64];
	int told;	/* what the script writes to its tell */
};

static struct tm_http *http;

static inline void set_up(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(tm_http_init_main(), TM_OK);
	cr_assert_eq(tm_http_new(&http), TM_OK);
}

static inline void tear_down(void)
{
	tm_http_free(http);
	tm_http_exit_main();
}

static inline int listen_on_loopback(int backlog, char *url, size_t url_bytes)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(fd, backlog), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)snprintf(url, url_bytes, "http://127.0.0.1:%d/v1/x", ntohs(address.sin_port));
	return fd;
}

static inline struct server serve(void (*script)(int listener, int tell))
{
	struct server server = {0};
	int ends[2];
	int listener = listen_on_loopback(16, server.url, sizeof(server.url));

	cr_assert_eq(pipe(ends), 0);
	server.pid = fork();
	cr_assert_geq(server.pid, 0);
	if (server.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ends[0]);
		script(listener, ends[1]);
		_exit(0);
	}
	(void)close(listener);
	(void)close(ends[1]);
	server.told = ends[0];
	return server;
}

static inline void stop(struct server *server)
{
	(void)kill(server->pid, SIGKILL);
	(void)waitpid(server->pid, NULL, 0);
	(void)close(server->told);
}

/* The script's side. */

static inline void say_bytes(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, text, len);

		if (done <= 0)
			return;
		text += done;
		len -= (size_t)done;
	}
}

static inline void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* Reads one request, head and body; its length, 0 when the peer has closed. */
static inline size_t hear(int fd, char *out, size_t out_bytes)
{
	size_t len = 0, need = 0;

	while (len < out_bytes - 1) {
		ssize_t got = read(fd, out + len, out_bytes - 1 - len);
		const char *end, *announced;

		if (got <= 0)
			return 0;
		len += (size_t)got;
		out[len] = '\0';
		end = strstr(out, "\r\n\r\n");
		if (!end)
			continue;
		announced = strcasestr(out, "\r\nContent-Length: ");
		need = (size_t)(end + 4 - out);
		if (announced && announced < end)
			need += strtoul(announced + 18, NULL, 10);
		if (len >= need)
			return len;
	}
	return len;
}

static inline int take_request(int listener)
{
	char request[8192];
	int fd = accept(listener, NULL, NULL);

	if (hear(fd, request, sizeof(request)) == 0)
		_exit(1);
	return fd;
}

/* One answer to one connection, which then is closed. */
static inline void answer_and_close(int listener, const char *answer)
{
	int fd = take_request(listener);

	say(fd, answer);
	(void)shutdown(fd, SHUT_WR);
	while (read(fd, &(char){0}, 1) > 0)
		;
	(void)close(fd);
}

/* The test's side. */

static inline struct tm_http_request post_to(const char *url)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};

	return (struct tm_http_request){
		.url = url, .headers = headers, .body = "{}", .body_len = 2, .ca_file = "",
		.connect_ms = 5000, .total_ms = PATIENCE_MS, .answer_max = 100000,
	};
}

static inline struct tm_http_call *start(const struct tm_http_request *request)
{
	struct tm_http_call *call = NULL;

	cr_assert_eq(tm_http_start(http, request, &call), TM_OK);
	cr_assert_null(tm_http_result(call));
	return call;
}

static inline const struct tm_http_result *await(struct tm_http_call *call)
{
	int64_t until = tm_clock_mono_ms() + PATIENCE_MS + 1000;

	while (!tm_http_result(call)) {
		cr_assert_lt(tm_clock_mono_ms(), until, "the transfer hangs");
		cr_assert_eq(tm_http_wait(http, 1000, -1, NULL), TM_OK);
	}
	return tm_http_result(call);
}

/* Each connection's answers carry its number; connections stay open. */
static inline void counting_script(int listener, int tell)
{
	char request[8192], answer[128];

	(void)tell;
	for (int number = 1;; number++) {
		int fd = accept(listener, NULL, NULL);

		while (hear(fd, request, sizeof(request)) > 0) {
			(void)snprintf(answer, sizeof(answer),
				       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", number);
			say(fd, answer);
		}
		(void)close(fd);
	}
}

static inline void silent_script(int listener, int tell)
{
	int fd = take_request(listener);

	(void)tell;
	while (read(fd, &(char){0}, 1) > 0)
		;
	(void)pause();
}

#endif
