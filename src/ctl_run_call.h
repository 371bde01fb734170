/* The server that textmillctl batch run sends to. */
#ifndef TM_CTL_RUN_CALL_H
#define TM_CTL_RUN_CALL_H

#include "ctl_run.h"

struct tm_http;

struct tm_run_server {
	struct tm_run_screen *screen;
	const char *url, *key_file, *ca_file;	/* key_file, ca_file: may be NULL */
	char authorization[600];	/* secret; "" without a key */
	struct tm_http *http;
	struct tm_buf text;	/* body of the last answer */
};

struct tm_run_answer {
	int status;		/* 0: none came */
	bool distrusted;	/* the server's certificate is not good: nothing was sent */
	char detail[256];	/* what came instead of an answer, or a problem's words */
	int64_t retry_ms;	/* from Retry-After; -1: it has none */
	int64_t quota;		/* the smallest of RateLimit-Policy; 0: it has none */
};

/* Reads the key; url, key_file and ca_file are set. Close takes a zeroed one. */
int tm_run_server_open(struct tm_run_server *server, struct tm_run_screen *screen);
void tm_run_server_close(struct tm_run_server *server);

/* One call. TM_CTL_DONE: see answer, whatever came. */
int tm_run_server_send(struct tm_run_server *server, const struct tm_run_batch *batch,
		       struct tm_run_answer *answer);
int tm_run_server_look(struct tm_run_server *server, const char *id, struct tm_run_answer *answer);

#endif
