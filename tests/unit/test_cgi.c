/* Plain CGI over pipes that take the place of standard input and output. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/cgi.h"
#include "io/peer.h"

/* The web server's ends. */
struct server {
	int to, from;
};

/* Each test runs in a process of its own, whose 0 and 1 nobody else uses. */
static void connect_server(struct server *server)
{
	int in[2], out[2];

	cr_assert_eq(pipe(in), 0);
	cr_assert_eq(pipe(out), 0);
	cr_assert_eq(dup2(in[0], STDIN_FILENO), STDIN_FILENO);
	cr_assert_eq(dup2(out[1], STDOUT_FILENO), STDOUT_FILENO);
	close(in[0]);
	close(out[1]);
	*server = (struct server){.to = in[1], .from = out[0]};
}

static void close_server(const struct server *server)
{
	close(server->to);
	close(server->from);
}

static void say(const struct server *server, const char *text)
{
	cr_assert_eq(write(server->to, text, strlen(text)), (ssize_t)strlen(text));
}

static int wait_status(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TestSuite(cgi, .timeout = 20);

Test(cgi, params_are_the_environment)
{
	static char method[] = "REQUEST_METHOD=GET", empty[] = "QUERY_STRING=", odd[] = "odd";
	char *const env[] = {odd, empty, method, NULL};
	struct tm_exchange exchange;

	tm_cgi_open(&exchange, env);
	cr_assert_str_eq(tm_exchange_param(&exchange, "REQUEST_METHOD"), "GET");
	cr_assert_str_eq(tm_exchange_param(&exchange, "QUERY_STRING"), "");
	cr_assert_null(tm_exchange_param(&exchange, "REQUEST"));
	cr_assert_null(tm_exchange_param(&exchange, "REQUEST_METHODS"));
	cr_assert_null(tm_exchange_param(&exchange, "odd"));
	cr_assert_str_eq(tm_exchange_params(&exchange)[2], "REQUEST_METHOD=GET");
	cr_assert_eq(tm_exchange_fd(&exchange), -1);
	cr_assert_not(tm_peer_gone(tm_exchange_fd(&exchange), 0));
}

Test(cgi, body_ends_at_its_length_though_the_server_leaves_the_pipe_open)
{
	static char length[] = "CONTENT_LENGTH=5";
	char *const env[] = {length, NULL};
	struct server server;
	struct tm_exchange exchange;
	struct tm_buf body;
	char left[8];

	connect_server(&server);
	say(&server, "helloNEXT");
	tm_cgi_open(&exchange, env);
	tm_buf_init(&body, 100);
	cr_assert_eq(tm_exchange_read_body(&exchange, &body), TM_OK);
	cr_assert_str_eq(tm_buf_text(&body), "hello");
	cr_assert_eq(read(STDIN_FILENO, left, sizeof(left)), 4, "what follows is not ours");
	tm_buf_clear(&body);
	close_server(&server);
}

Test(cgi, body_without_a_length_ends_with_the_pipe)
{
	char *const env[] = {NULL};
	struct server server;
	struct tm_exchange exchange;
	struct tm_buf body;

	connect_server(&server);
	say(&server, "hello");
	close(server.to);
	tm_cgi_open(&exchange, env);
	tm_buf_init(&body, 100);
	cr_assert_eq(tm_exchange_read_body(&exchange, &body), TM_OK);
	cr_assert_str_eq(tm_buf_text(&body), "hello");
	tm_buf_clear(&body);
	close(server.from);
}

Test(cgi, body_that_ends_early_is_short)
{
	static char length[] = "CONTENT_LENGTH=9";
	char *const env[] = {length, NULL};
	struct server server;
	struct tm_exchange exchange;
	struct tm_buf body;

	connect_server(&server);
	say(&server, "hello");
	close(server.to);
	tm_cgi_open(&exchange, env);
	tm_buf_init(&body, 100);
	cr_assert_eq(tm_exchange_read_body(&exchange, &body), TM_ESHORT);
	tm_buf_clear(&body);
	close(server.from);
}

Test(cgi, answer_reaches_the_server_and_ends_with_finish)
{
	static char method[] = "REQUEST_METHOD=GET";
	char *const env[] = {method, NULL};
	struct server server;
	struct tm_exchange exchange;
	char answer[64] = "";

	connect_server(&server);
	tm_cgi_open(&exchange, env);
	cr_assert_eq(tm_exchange_write(&exchange, "Status: 200\r\n", 13), TM_OK);
	cr_assert_eq(tm_exchange_write(&exchange, "\r\nhi", 4), TM_OK);
	cr_assert_eq(tm_exchange_flush(&exchange), TM_OK);
	tm_exchange_finish(&exchange);
	tm_exchange_finish(&exchange);
	cr_assert_eq(read(server.from, answer, sizeof(answer) - 1), 17);
	cr_assert_str_eq(answer, "Status: 200\r\n\r\nhi");
	cr_assert_eq(read(server.from, answer, sizeof(answer)), 0, "the server sees the end");
	cr_assert_eq(tm_exchange_write(&exchange, "more", 4), TM_EGONE);
	cr_assert_null(tm_exchange_param(&exchange, "REQUEST_METHOD"));
	close_server(&server);
}

Test(cgi, server_that_left_is_gone_not_fatal)
{
	char *const env[] = {NULL};
	struct server server;
	struct tm_exchange exchange;

	cr_assert_neq(signal(SIGPIPE, SIG_IGN), SIG_ERR);
	connect_server(&server);
	close_server(&server);
	tm_cgi_open(&exchange, env);
	cr_assert_eq(tm_exchange_write(&exchange, "x", 1), TM_EGONE);
	tm_exchange_finish(&exchange);
}

Test(cgi, body_that_nobody_wanted_is_taken_before_the_end)
{
	static char length[] = "CONTENT_LENGTH=5";
	char *const env[] = {length, NULL};
	struct server server;
	struct tm_exchange exchange;
	char left[8];
	int held;

	connect_server(&server);
	held = dup(STDIN_FILENO);
	say(&server, "hello");
	close(server.to);
	tm_cgi_open(&exchange, env);
	cr_assert_eq(tm_exchange_write(&exchange, "no", 2), TM_OK);
	tm_exchange_finish(&exchange);
	cr_assert_eq(read(held, left, sizeof(left)), 0, "nothing is left in the pipe");
	close(held);
	close(server.from);
}

Test(cgi, body_without_a_length_that_nobody_wanted_is_taken_before_the_end)
{
	static char chunked[] = "HTTP_TRANSFER_ENCODING=chunked", method[] = "REQUEST_METHOD=GET";
	char *const envs[][2] = {{chunked, NULL}, {method, NULL}};

	for (size_t i = 0; i < sizeof(envs) / sizeof(envs[0]); i++) {
		struct server server;
		struct tm_exchange exchange;
		char left[8];
		int held;

		connect_server(&server);
		held = dup(STDIN_FILENO);
		say(&server, "hello");
		close(server.to);
		tm_cgi_open(&exchange, envs[i]);
		tm_exchange_finish(&exchange);
		cr_assert_eq(read(held, left, sizeof(left)), 0, "nothing is left in the pipe");
		close(held);
		close(server.from);
	}
}

Test(cgi, chunks_still_to_come_are_awaited)
{
	static char chunked[] = "HTTP_TRANSFER_ENCODING=chunked";
	char *const env[] = {chunked, NULL};
	struct server server;
	struct tm_exchange exchange;
	char answer[8];
	pid_t sender;

	connect_server(&server);
	sender = fork();
	cr_assert_geq(sender, 0);
	if (sender == 0) {	/* a server that sends only once it has the answer */
		close(STDIN_FILENO);
		cr_assert_eq(read(server.from, answer, sizeof(answer)), 2);
		_exit(write(server.to, "hello", 5) == 5 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(server.to);
	tm_cgi_open(&exchange, env);
	cr_assert_eq(tm_exchange_write(&exchange, "no", 2), TM_OK);
	tm_exchange_finish(&exchange);
	cr_assert_eq(wait_status(sender), EXIT_SUCCESS);
	close(server.from);
}

Test(cgi, pipe_left_open_without_a_body_is_not_waited_for)
{
	static char method[] = "REQUEST_METHOD=GET";
	char *const env[] = {method, NULL};
	int64_t start_ms = tm_clock_mono_ms();
	struct server server;
	struct tm_exchange exchange;

	connect_server(&server);
	tm_cgi_open(&exchange, env);
	tm_exchange_finish(&exchange);
	cr_assert_lt(tm_clock_mono_ms() - start_ms, 4000, "less than a body is waited for");
	close_server(&server);
}
