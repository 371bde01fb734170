/*
 * FastCGI against a client that has sent all it will before the worker looks: one process plays
 * both, as a socket holds what a request needs. Deadlines are real but short.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fcgi.h"
#include "io/peer.h"

enum { WAIT_MS = 100, BEGIN = 1, PARAMS = 4, STDIN = 5, RESPONDER = 1, AUTHORIZER = 2 };

static const struct tm_fcgi_times short_times = {WAIT_MS, WAIT_MS, WAIT_MS, 10 * WAIT_MS};

struct bench {
	struct sockaddr_un addr;
	int listen_fd, client;
	struct tm_fcgi *fcgi;
	struct tm_exchange exchange;
};

/* The socket's name is abstract: no file to remove. */
static void set_up_with(struct bench *bench, const struct tm_fcgi_times *times)
{
	socklen_t len = sizeof(sa_family_t);	/* autobind: the kernel picks a free name */

	*bench = (struct bench){.addr.sun_family = AF_UNIX, .client = -1};
	bench->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(bench->listen_fd, (struct sockaddr *)&bench->addr, len), 0);
	cr_assert_eq(listen(bench->listen_fd, 8), 0);
	len = sizeof(bench->addr);
	cr_assert_eq(getsockname(bench->listen_fd, (struct sockaddr *)&bench->addr, &len), 0);
	bench->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(bench->client, (struct sockaddr *)&bench->addr, len), 0);
	cr_assert_eq(tm_fcgi_new(&bench->fcgi, bench->listen_fd, times), TM_OK);
}

static void set_up(struct bench *bench)
{
	set_up_with(bench, &short_times);
}

static void tear_down(struct bench *bench)
{
	tm_fcgi_free(bench->fcgi);
	close(bench->client);
	close(bench->listen_fd);
}

static void send_record(int fd, int type, const void *content, size_t len)
{
	unsigned char head[8] = {1, (unsigned char)type, 0, 1, (unsigned char)(len >> 8),
				 (unsigned char)len, 0, 0};

	cr_assert_eq(write(fd, head, sizeof(head)), (ssize_t)sizeof(head));
	if (len)
		cr_assert_eq(write(fd, content, len), (ssize_t)len);
}

static void send_params(int fd, unsigned char role, unsigned char flags, const char *pairs)
{
	const unsigned char begin[8] = {0, role, flags};

	send_record(fd, BEGIN, begin, sizeof(begin));
	send_record(fd, PARAMS, pairs, strlen(pairs));
	send_record(fd, PARAMS, "", 0);
}

static void send_head(int fd, unsigned char role, unsigned char flags)
{
	send_params(fd, role, flags, "\016\001CONTENT_LENGTH5");
}

static void send_request(int fd, unsigned char role, unsigned char flags)
{
	send_head(fd, role, flags);
	send_record(fd, STDIN, "hello", 5);
	send_record(fd, STDIN, "", 0);
}

/* The time that accept took, in ms, which must end as expected. */
static int64_t accept_ms(struct bench *bench, enum tm_err expected)
{
	int64_t start_ms = tm_clock_mono_ms();

	cr_assert_eq(tm_fcgi_accept(bench->fcgi, &bench->exchange), expected);
	return tm_clock_mono_ms() - start_ms;
}

/* Everything the server sends until it closes. */
static size_t receive(const struct bench *bench, char *into, size_t room)
{
	size_t len = 0;
	ssize_t got;

	while ((got = read(bench->client, into + len, room - len)) > 0)
		len += (size_t)got;
	return len;
}

TestSuite(fcgi, .timeout = 20);

Test(fcgi, request_goes_in_and_its_answer_comes_out)
{
	struct bench bench;
	struct tm_buf body;
	char answer[256];
	size_t len;

	set_up(&bench);
	send_request(bench.client, RESPONDER, 0);
	(void)accept_ms(&bench, TM_OK);
	cr_assert_str_eq(tm_exchange_param(&bench.exchange, "CONTENT_LENGTH"), "5");
	tm_buf_init(&body, 100);
	cr_assert_eq(tm_exchange_read_body(&bench.exchange, &body), TM_OK);
	cr_assert_str_eq(tm_buf_text(&body), "hello");
	tm_buf_clear(&body);
	cr_assert_not(tm_peer_gone(tm_exchange_fd(&bench.exchange), 0));
	cr_assert_geq(tm_exchange_fd(&bench.exchange), 0);
	cr_assert_eq(tm_exchange_write(&bench.exchange, "Status: 204\r\n\r\n", 15), TM_OK);
	tm_exchange_finish(&bench.exchange);
	cr_assert_null(tm_exchange_param(&bench.exchange, "CONTENT_LENGTH"));
	cr_assert_eq(tm_exchange_write(&bench.exchange, "x", 1), TM_EGONE);
	cr_assert_eq(tm_exchange_fd(&bench.exchange), -1);
	tm_exchange_finish(&bench.exchange);

	len = receive(&bench, answer, sizeof(answer));
	cr_assert_gt(len, 8 + 15);
	cr_assert_eq(memcmp(answer + 8, "Status: 204\r\n\r\n", 15), 0);
	tear_down(&bench);
}

Test(fcgi, nobody_waiting_is_no_wait)
{
	struct bench bench;

	set_up(&bench);
	send_request(bench.client, RESPONDER, 0);
	(void)accept_ms(&bench, TM_OK);
	tm_exchange_finish(&bench.exchange);
	cr_assert_lt(accept_ms(&bench, TM_EAGAIN), WAIT_MS);
	tear_down(&bench);
}

Test(fcgi, silent_and_one_byte_clients_are_dropped_in_time)
{
	for (size_t bytes = 0; bytes < 2; bytes++) {
		struct bench bench;
		int64_t took;

		set_up(&bench);
		cr_assert_eq(write(bench.client, "\001", bytes), (ssize_t)bytes);
		took = accept_ms(&bench, TM_EAGAIN);
		cr_assert_geq(took, WAIT_MS - 1);
		cr_assert_lt(took, 10 * WAIT_MS);
		tear_down(&bench);
	}
}

Test(fcgi, header_that_came_in_several_params_is_one_list)
{
	static const struct { const char *name, *value; } cases[] = {
		{"HTTP_ACCEPT", "a, , b, c"}, {"HTTP_ACC", "x"}, {"HTTP_ACCEPT_X", "y"},
		{"HTTP_LAST", "z, z"}, {"REMOTE_USER", "r"}, {"HTTP_NONE", NULL},
		{"HTTP_ACCEPT", "a, , b, c"},
	};
	struct bench bench;
	size_t count = 0;

	set_up(&bench);
	send_params(bench.client, RESPONDER, 0,
		    "\013\001HTTP_ACCEPTa" "\010\001HTTP_ACCx" "\013\001REMOTE_USERr"
		    "\015\001HTTP_ACCEPT_Xy" "\011\001HTTP_LASTz" "\013\001REMOTE_USERs"
		    "\013\003HTTP_ACCEPT, b" "\013\001HTTP_ACCEPTc" "\011\001HTTP_LASTz");
	(void)accept_ms(&bench, TM_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *value = tm_exchange_param(&bench.exchange, cases[i].name);

		if (cases[i].value)
			cr_assert_str_eq(value, cases[i].value, "%s", cases[i].name);
		else
			cr_assert_null(value, "%s", cases[i].name);
	}
	while (tm_exchange_params(&bench.exchange)[count])
		count++;
	cr_assert_eq(count, 6 + 1, "joined ones are gone; libfcgi adds FCGI_ROLE");
	tm_exchange_finish(&bench.exchange);
	tear_down(&bench);
}

Test(fcgi, body_that_never_comes_is_given_up_and_its_client_told)
{
	struct bench bench;
	struct tm_buf body;
	char answer[256] = "";
	size_t len;

	set_up(&bench);
	send_head(bench.client, RESPONDER, 0);
	send_record(bench.client, STDIN, "he", 2);
	(void)accept_ms(&bench, TM_OK);
	tm_buf_init(&body, 100);
	cr_assert_eq(tm_exchange_read_body(&bench.exchange, &body), TM_ETIME);
	cr_assert_eq(tm_exchange_read_body(&bench.exchange, &body), TM_ETIME);
	cr_assert_eq(tm_exchange_write(&bench.exchange, "Status: 400\r\n\r\n", 15), TM_OK);
	tm_exchange_finish(&bench.exchange);
	tm_buf_clear(&body);
	len = receive(&bench, answer, sizeof(answer));
	cr_assert_not_null(memmem(answer, len, "Status: 400\r\n\r\n", 15));
	tear_down(&bench);
}

Test(fcgi, client_that_leaves_in_mid_body_is_gone)
{
	struct bench bench;
	struct tm_buf body;

	set_up(&bench);
	send_head(bench.client, RESPONDER, 0);
	send_record(bench.client, STDIN, "he", 2);
	close(bench.client);
	bench.client = -1;
	(void)accept_ms(&bench, TM_OK);
	tm_buf_init(&body, 100);
	cr_assert_eq(tm_exchange_read_body(&bench.exchange, &body), TM_EGONE);
	cr_assert_eq(tm_exchange_write(&bench.exchange, "x", 1), TM_EGONE);
	tm_exchange_finish(&bench.exchange);
	tm_buf_clear(&body);
	tear_down(&bench);
}

/* In a process of its own: takes a piece now and then, to the end. */
static void read_slowly(int fd)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	static char piece[16 * 1024];

	while (read(fd, piece, sizeof(piece)) > 0)
		(void)nanosleep(&pause, NULL);
}

Test(fcgi, client_that_reads_slowly_gets_it_all)
{
	enum { BYTES = 2 * 1024 * 1024 };	/* at that pace more than twice write_ms */
	const struct tm_fcgi_times times = {1000, 1000, 1000, 600 * 1000};
	struct bench bench;
	char *data = calloc(1, BYTES);
	pid_t reader;

	cr_assert_not_null(data);
	set_up_with(&bench, &times);
	send_request(bench.client, RESPONDER, 0);
	(void)accept_ms(&bench, TM_OK);
	reader = fork();
	cr_assert_geq(reader, 0);
	if (reader == 0) {
		free(data);
		close(tm_exchange_fd(&bench.exchange));
		read_slowly(bench.client);
		_exit(EXIT_SUCCESS);
	}
	cr_assert_eq(tm_exchange_write(&bench.exchange, data, BYTES), TM_OK);
	cr_assert_eq(tm_exchange_flush(&bench.exchange), TM_OK);
	tm_exchange_finish(&bench.exchange);
	cr_assert_eq(waitpid(reader, NULL, 0), reader);
	free(data);
	tear_down(&bench);
}

Test(fcgi, client_that_does_not_read_is_given_up)
{
	enum { BYTES = 4 * 1024 * 1024 };	/* more than a socket holds */
	static const struct tm_fcgi_times cases[] = {
		{WAIT_MS, WAIT_MS, WAIT_MS, 600 * 1000},
		{WAIT_MS, WAIT_MS, 600 * 1000, WAIT_MS},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench bench;
		char *data = calloc(1, BYTES);

		cr_assert_not_null(data);
		set_up_with(&bench, &cases[i]);
		send_request(bench.client, RESPONDER, 0);
		(void)accept_ms(&bench, TM_OK);
		cr_assert_eq(tm_exchange_write(&bench.exchange, data, BYTES), TM_EGONE);
		cr_assert_eq(tm_exchange_flush(&bench.exchange), TM_EGONE);
		tm_exchange_finish(&bench.exchange);
		free(data);
		tear_down(&bench);
	}
}

Test(fcgi, client_that_left_is_gone_and_writing_to_it_survives)
{
	struct bench bench;
	char data[64 * 1024] = "";

	set_up(&bench);
	send_request(bench.client, RESPONDER, 0);
	(void)accept_ms(&bench, TM_OK);
	close(bench.client);
	bench.client = -1;
	cr_assert(tm_peer_gone(tm_exchange_fd(&bench.exchange), 0));
	cr_assert_eq(tm_exchange_write(&bench.exchange, data, sizeof(data)), TM_EGONE);
	tm_exchange_finish(&bench.exchange);
	tear_down(&bench);
}

Test(fcgi, kept_connection_is_closed_all_the_same)
{
	enum { KEEP_CONN = 1 };
	struct bench bench;
	char answer[256];

	set_up(&bench);
	send_request(bench.client, RESPONDER, KEEP_CONN);
	(void)accept_ms(&bench, TM_OK);
	tm_exchange_finish(&bench.exchange);
	cr_assert_gt(receive(&bench, answer, sizeof(answer)), 0, "ends with the server's close");
	tear_down(&bench);
}

Test(fcgi, other_roles_are_refused_with_an_answer)
{
	struct bench bench;
	char answer[512] = "";

	set_up(&bench);
	send_request(bench.client, AUTHORIZER, 0);
	(void)accept_ms(&bench, TM_EAGAIN);
	cr_assert_gt(receive(&bench, answer, sizeof(answer)), 0);
	cr_assert_not_null(memmem(answer, sizeof(answer), "Status: 501 ", 12));
	tear_down(&bench);
}

static void on_term(int signo)
{
	(void)signo;
}

Test(fcgi, handlers_are_what_they_were)
{
	struct sigaction now;
	struct bench bench;

	cr_assert_neq(signal(SIGTERM, on_term), SIG_ERR);
	cr_assert_neq(signal(SIGUSR1, SIG_IGN), SIG_ERR);
	set_up(&bench);
	cr_assert_eq(sigaction(SIGTERM, NULL, &now), 0);
	cr_assert_eq(now.sa_handler, on_term);
	cr_assert_eq(sigaction(SIGUSR1, NULL, &now), 0);
	cr_assert_eq(now.sa_handler, SIG_IGN);
	cr_assert_eq(sigaction(SIGPIPE, NULL, &now), 0);
	cr_assert_eq(now.sa_handler, SIG_IGN);
	tear_down(&bench);
}

Test(fcgi, listener_is_told_from_other_descriptors)
{
	int ends[2], fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	cr_assert_eq(pipe(ends), 0);
	cr_assert_not(tm_fcgi_is_listener(ends[0]));
	cr_assert_not(tm_fcgi_is_listener(fd));
	cr_assert_not(tm_fcgi_is_listener(-1));
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert(tm_fcgi_is_listener(fd));
	close(fd);
	close(ends[0]);
	close(ends[1]);
}
