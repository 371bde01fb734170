/*
 * One thread accepts, one more serves each connection. A delay is a poll on the connection and
 * on a pipe, so that a client that leaves is seen at once and stopping never waits a delay out.
 */
#include "llm_server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
	struct llm_server *server;
	int fd;
};

/* True when fd has something, or its end. Waits at most wait_ms, or until the server stops. */
static bool wait_for(struct llm_server *server, int fd, int wait_ms, bool *stopped)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			       {.fd = server->stop[0], .events = POLLIN}};
	int n = poll(fds, 2, wait_ms);

	*stopped = n > 0 && fds[1].revents;
	return n > 0 && fds[0].revents;
}

/* One whole request into text. False at the end of the connection. */
static bool read_request(struct connection *connection, char *text)
{
	size_t len = 0, need = 0;
	bool stopped;

	while (!need || len < need) {
		ssize_t n;
		char *end, *length;

		if (!wait_for(connection->server, connection->fd, -1, &stopped))
			return false;
		n = read(connection->fd, text + len, LLM_SERVER_REQUEST - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
		length = strcasestr(text, "\r\ncontent-length:");
		if (end && length)
			need = (size_t)(end + 4 - text) + strtoul(length + 17, NULL, 10);
	}
	return true;
}

static const struct llm_answer *next_answer(struct llm_server *server, const char *request)
{
	size_t at;

	pthread_mutex_lock(&server->lock);
	at = server->served < server->count ? server->served : server->count - 1;
	server->served++;
	if (++server->now > server->peak)
		server->peak = server->now;
	memcpy(server->request, request, strlen(request) + 1);
	if (server->close_fd >= 0)
		close(server->close_fd);
	server->close_fd = -1;
	pthread_mutex_unlock(&server->lock);
	return &server->script[at];
}

/* False when the client has closed its end. */
static bool send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_answer(int fd, const struct llm_answer *answer)
{
	size_t len = strlen(answer->body), part = answer->cut ? len / 2 : len;
	char head[512];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n",
			 answer->status, len, answer->headers ? answer->headers : "");

	return n > 0 && send_all(fd, head, (size_t)n) && send_all(fd, answer->body, part) &&
	       !answer->cut;
}

/* Waits for a release. False when the client has left or the server stops. */
static bool hold(struct llm_server *server, int fd)
{
	struct pollfd fds[] = {{.fd = server->go[0], .events = POLLIN},
			       {.fd = fd, .events = POLLIN},
			       {.fd = server->stop[0], .events = POLLIN}};
	char byte;

	return poll(fds, 3, -1) > 0 && !fds[1].revents && !fds[2].revents &&
	       read(server->go[0], &byte, 1) == 1;
}

static bool send_raw(struct llm_server *server, int fd, const struct llm_answer *answer)
{
	const char *at = answer->body;
	bool stopped = false, there = true;

	while (there && *at) {
		size_t len = strcspn(at, LLM_PAUSE LLM_HOLD);

		there = send_all(fd, at, len);
		at += len;
		if (there && *at == LLM_PAUSE[0])
			there = !wait_for(server, fd, answer->delay_ms, &stopped) && !stopped;
		else if (there && *at)
			there = hold(server, fd);
		at += *at != '\0';
	}
	if (!there) {
		pthread_mutex_lock(&server->lock);
		server->dropped++;
		pthread_mutex_unlock(&server->lock);
	}
	return there && !answer->cut;
}

static void *serve_connection(void *arg)
{
	struct connection *connection = arg;
	struct llm_server *server = connection->server;
	char *request = malloc(LLM_SERVER_REQUEST);
	bool go_on = request != NULL;

	while (go_on && read_request(connection, request)) {
		const struct llm_answer *answer = next_answer(server, request);
		bool raw = answer->status == LLM_RAW, stopped, left;

		left = wait_for(server, connection->fd, raw ? 0 : answer->delay_ms, &stopped);
		pthread_mutex_lock(&server->lock);
		server->now--;
		server->dropped += left;
		pthread_mutex_unlock(&server->lock);
		go_on = !left && !stopped &&
			(raw ? send_raw(server, connection->fd, answer) :
			       send_answer(connection->fd, answer));
	}
	close(connection->fd);
	free(request);
	free(connection);
	return NULL;
}

static void *serve(void *arg)
{
	struct llm_server *server = arg;
	bool stopped;
	int on = 1;

	while (wait_for(server, server->fd, -1, &stopped) &&
	       server->connected < LLM_SERVER_CONNECTIONS) {
		struct connection *connection = malloc(sizeof(*connection));

		*connection = (struct connection){server, accept(server->fd, NULL, NULL)};
		(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		pthread_create(&server->connections[server->connected++], NULL, serve_connection,
			       connection);
	}
	return NULL;
}

int llm_listener(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

void llm_server_start(struct llm_server *server, const struct llm_answer *script, size_t count)
{
	*server = (struct llm_server){.script = script, .count = count, .close_fd = -1};
	pthread_mutex_init(&server->lock, NULL);
	server->fd = llm_listener(&server->port);
	cr_assert_eq(listen(server->fd, 16), 0);
	cr_assert_eq(pipe(server->stop), 0);
	cr_assert_eq(pipe(server->go), 0);
	cr_assert_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

void llm_server_release(struct llm_server *server)
{
	cr_assert_eq(write(server->go[1], "", 1), 1);
}

void llm_server_stop(struct llm_server *server)
{
	if (!server->count)
		return;
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	for (size_t i = 0; i < server->connected; i++)
		pthread_join(server->connections[i], NULL);
	close(server->stop[0]);
	close(server->go[0]);
	close(server->go[1]);
	close(server->fd);
	pthread_mutex_destroy(&server->lock);
	server->count = 0;
}
