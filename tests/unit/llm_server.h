/*
 * A scripted HTTP server in threads, standing for an LLM provider in unit tests: each request
 * gets the next answer of the script, the last one repeating.
 */
#ifndef TM_TESTS_LLM_SERVER_H
#define TM_TESTS_LLM_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { LLM_SERVER_CONNECTIONS = 32, LLM_SERVER_REQUEST = 64 * 1024 };

enum { LLM_RAW = 0 };

/* What a raw body does beside being sent: waits delay_ms; waits until llm_server_release. */
#define LLM_PAUSE "\1"
#define LLM_HOLD "\2"

struct llm_answer {
	int status;		/* LLM_RAW: body is all that is sent, head included, and delay_ms
				 * counts for each of its pauses; cut: it ends the connection */
	const char *headers;	/* each with its CRLF; NULL for none */
	const char *body;
	int delay_ms;
	bool cut;		/* half the body, then the end */
};

struct llm_server {
	int fd, stop[2], go[2], port;
	pthread_t thread, connections[LLM_SERVER_CONNECTIONS];
	size_t connected;
	pthread_mutex_t lock;		/* for all below */
	const struct llm_answer *script;
	size_t count;			/* 0: not running */
	size_t served, now, peak;	/* requests: in all, at once, most at once */
	size_t dropped;			/* that the client gave up */
	int close_fd;			/* closed when the first request has come; -1: none */
	char request[LLM_SERVER_REQUEST];	/* the last one */
};

/* Listens on a free port of 127.0.0.1. script must live until stop; count >= 1. */
void llm_server_start(struct llm_server *server, const struct llm_answer *script, size_t count);

/* Lets one hold pass, now or when it comes. */
void llm_server_release(struct llm_server *server);

/* Drops its connections and ends its threads; the counts stay readable. Takes a zeroed one, and
 * one that was stopped. */
void llm_server_stop(struct llm_server *server);

/* A bound socket of 127.0.0.1 that does not listen: connecting to *port is refused. */
int llm_listener(int *port);

#endif
