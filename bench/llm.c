/*
 * An LLM that costs next to nothing, for bench/run: answers every request on a connection with the
 * same completion of the OpenAI format, after a while. One thread, one epoll.
 *
 *   llm PORT DELAY_MS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 2048, REQUEST_BYTES = 64 * 1024 };

static struct connection {
	char in[REQUEST_BYTES];
	size_t len;
	int64_t due_ms;		/* of the answer; 0: no request is whole yet */
} connections[CONNECTIONS];

static int waiting[CONNECTIONS], waiting_count;		/* in the order they are due */

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

static void answer(int fd)
{
	static const char body[] =
		"{\"id\":\"1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"bench\","
		"\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":"
		"\"assistant\",\"content\":\"The mill ground the grain of the valley.\"}}],"
		"\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":8,\"total_tokens\":108}}";
	char text[sizeof(body) + 128];
	int len = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
			   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			   sizeof(body) - 1, body);

	connections[fd].len = 0;
	connections[fd].due_ms = 0;
	if (write(fd, text, (size_t)len) != len)
		(void)shutdown(fd, SHUT_RDWR);
}

/* True when head and body are there. */
static bool whole(const struct connection *connection)
{
	const char *end = strstr(connection->in, "\r\n\r\n");
	const char *length = strcasestr(connection->in, "\r\nContent-Length:");
	size_t body = length ? strtoul(length + 17, NULL, 10) : 0;

	return end && connection->len >= (size_t)(end + 4 - connection->in) + body;
}

static void take(int fd, int delay_ms)
{
	struct connection *connection = &connections[fd];
	ssize_t got = read(fd, connection->in + connection->len,
			   REQUEST_BYTES - 1 - connection->len);

	if (got <= 0) {
		for (int i = 0; i < waiting_count; i++)
			if (waiting[i] == fd)
				waiting[i] = -1;
		connection->len = 0;
		(void)close(fd);
		return;
	}
	connection->len += (size_t)got;
	connection->in[connection->len] = '\0';
	if (connection->due_ms || !whole(connection))
		return;
	connection->due_ms = now_ms() + delay_ms;
	if (delay_ms == 0)
		answer(fd);
	else
		waiting[waiting_count++] = fd;
}

/* Answers what is due; ms until the next, -1: none. */
static int serve(void)
{
	int64_t now = now_ms();
	int done = 0, next = -1;

	for (; done < waiting_count; done++) {
		int fd = waiting[done];

		if (fd >= 0 && connections[fd].due_ms > now) {
			next = (int)(connections[fd].due_ms - now);
			break;
		}
		if (fd >= 0)
			answer(fd);
	}
	waiting_count -= done;
	memmove(waiting, waiting + done, (size_t)waiting_count * sizeof(*waiting));
	return next;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN}, events[64];
	int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), on = 1;

	if (argc != 3)
		return EXIT_FAILURE;
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	event.data.fd = listener;
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1024) || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event)) {
		perror("llm");
		return EXIT_FAILURE;
	}
	for (;;) {
		int count = epoll_wait(epoll, events, 64, serve());

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd != listener) {
				take(fd, atoi(argv[2]));
				continue;
			}
			fd = accept(listener, NULL, NULL);
			event.data.fd = fd;
			if (fd >= CONNECTIONS || (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
								       &event)))
				(void)close(fd);
		}
		if (count < 0 && errno != EINTR)
			return EXIT_FAILURE;
	}
}
