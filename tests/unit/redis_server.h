/*
 * A private redis-server for one test: a folder of its own, a Unix socket and, where asked
 * for, a port. Ends with the test, whatever happens to it. Also a scripted peer that says
 * what it is told.
 */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/redis.h"

struct redis_server {
	pid_t pid;
	int port;		/* 0: none */
	char dir[64], path[80], url[96];
};

static inline int server_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static inline void server_pause(void)
{
	const struct timespec time = {.tv_nsec = 2 * 1000 * 1000};

	(void)nanosleep(&time, NULL);
}

/* Waits until the server answers PING (or refuses it for want of a login). */
static inline void server_wait(const struct redis_server *server)
{
	for (int tries = 0; tries < 2500; tries++) {
		char answer[64] = "";
		int fd = server_connect(server->path);

		if (fd >= 0) {
			struct pollfd watched = {.fd = fd, .events = POLLIN};
			ssize_t got = -1;

			if (write(fd, "PING\r\n", 6) == 6 && poll(&watched, 1, 1000) == 1)
				got = read(fd, answer, sizeof(answer) - 1);
			(void)close(fd);
			if (got > 0 && strncmp(answer, "-LOADING", 8) != 0)
				return;
		}
		server_pause();
	}
	cr_assert_fail(
		"redis-server does not start: is it installed (apt-get install redis-server)?");
}

/* more: further arguments, NULL-terminated, at most 8; NULL for none. */
static inline void server_run(struct redis_server *server, const char *const *more)
{
	char port[8];
	const char *argv[24] = {"redis-server", "--port", port, "--bind", "127.0.0.1",
				"--unixsocket", server->path, "--dir", server->dir, "--save", "",
				"--appendonly", "no", "--loglevel", "warning"};
	int argc = 15;

	(void)snprintf(port, sizeof(port), "%d", server->port);
	for (; more && *more; more++)
		argv[argc++] = *more;
	server->pid = fork();
	cr_assert(server->pid >= 0);
	if (server->pid == 0) {
		int null = open("/dev/null", O_RDWR);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	server_wait(server);
}

static inline void server_start(struct redis_server *server, const char *const *more)
{
	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(server->dir, sizeof(server->dir), "/tmp/textmill-test-XXXXXX");
	cr_assert_not_null(mkdtemp(server->dir));
	(void)snprintf(server->path, sizeof(server->path), "%s/redis.sock", server->dir);
	(void)snprintf(server->url, sizeof(server->url), "unix://%s", server->path);
	server_run(server, more);
}

static inline void server_kill(struct redis_server *server)
{
	if (server->pid <= 0)
		return;
	(void)kill(server->pid, SIGKILL);
	(void)waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

static inline void server_stop(struct redis_server *server)
{
	server_kill(server);
	(void)unlink(server->path);
	cr_assert_eq(rmdir(server->dir), 0, "%s is not empty", server->dir);
}

/* A handle with a time-out that a busy machine keeps. */
static inline struct tm_redis *server_handle(const struct redis_server *server)
{
	const struct tm_redis_conf conf = {
		.url = server->url, .username = "", .password = "", .timeout_ms = 2000,
	};
	struct tm_redis *redis = NULL;

	cr_assert_eq(tm_redis_new(&redis, &conf), TM_OK);
	return redis;
}

/* A peer that accepts, reads something, writes text, and closes if told so; again for each
 * connection. Its folder and socket look like a server's. */
static inline void peer_start(struct redis_server *server, const char *text, size_t len,
			      int closes)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(server->dir, sizeof(server->dir), "/tmp/textmill-test-XXXXXX");
	cr_assert_not_null(mkdtemp(server->dir));
	(void)snprintf(server->path, sizeof(server->path), "%s/redis.sock", server->dir);
	(void)snprintf(server->url, sizeof(server->url), "unix://%s", server->path);
	memcpy(address.sun_path, server->path, sizeof(server->path));
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 16), 0);
	server->pid = fork();
	cr_assert(server->pid >= 0);
	if (server->pid == 0) {
		char bytes[4096];

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int fd = accept(listener, NULL, NULL);
			ssize_t done = read(fd, bytes, sizeof(bytes));

			if (done > 0)
				done = write(fd, text, len);
			if (closes || done < 0)
				(void)close(fd);
		}
	}
	(void)close(listener);
}

#endif
