/* The calls of textmillctl batch run, and what is read of their answers: status, and how long and
 * how much the server allows. */
#include "ctl_run_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "ctl.h"
#include "io/http.h"
#include "io/json.h"
#include "llm/retry.h"

enum {
	ANSWER_MAX = 64 * 1024 * 1024,
	CALL_MS = 60 * 1000, CONNECT_MS = 10 * 1000,
	KEY_MAX = 512
};

/* The first line of the key file. */
static int read_key_file(struct tm_run_server *server, char key[KEY_MAX])
{
	FILE *file = fopen(server->key_file, "re");
	bool read = file && fgets(key, KEY_MAX, file);

	if (file)
		(void)fclose(file);
	if (!read)
		return tm_run_say(server->screen, "%s: cannot read the key", server->key_file);
	key[strcspn(key, "\r\n")] = '\0';
	return TM_CTL_DONE;
}

/* A key is visible characters only: nothing else may get into a header. */
static bool is_key(const char *key)
{
	const char *at = key;

	while (*at > ' ' && *at < 0x7F)
		at++;
	return at > key && !*at && at - key < KEY_MAX - 1;
}

static int read_key(struct tm_run_server *server)
{
	const char *from = getenv("TEXTMILL_API_KEY");
	char key[KEY_MAX] = "";
	int status = TM_CTL_DONE;

	if (server->key_file) {
		status = read_key_file(server, key);
		from = key;
	}
	if (status == TM_CTL_DONE && (server->key_file || (from && from[0]))) {
		if (is_key(from))
			(void)snprintf(server->authorization, sizeof(server->authorization),
				       "Authorization: Bearer %s", from);
		else
			status = tm_run_say(server->screen, "%s: holds no API key",
					    server->key_file ? server->key_file
							     : "TEXTMILL_API_KEY");
	}
	tm_digest_wipe(key, sizeof(key));
	return status;
}

int tm_run_server_open(struct tm_run_server *server, struct tm_run_screen *screen)
{
	int status;

	server->screen = screen;
	tm_buf_init(&server->text, ANSWER_MAX);
	status = read_key(server);
	if (status == TM_CTL_DONE && tm_http_new(&server->http) != TM_OK)
		status = tm_run_say(screen, "cannot set up HTTP");
	return status;
}

void tm_run_server_close(struct tm_run_server *server)
{
	tm_http_free(server->http);
	tm_buf_clear(&server->text);
	tm_digest_wipe(server->authorization, sizeof(server->authorization));
}

/* The smallest q of "minute";q=60;w=60,"hour";q=100;w=3600. */
static int64_t smallest_quota(const char *policy)
{
	int64_t least = 0;

	for (const char *at = policy; at && (at = strstr(at, ";q=")); at += 3) {
		int64_t quota = strtoll(at + 3, NULL, 10);

		if (quota > 0 && (least == 0 || quota < least))
			least = quota;
	}
	return least;
}

/* The words of a problem object, for a person. */
static void read_detail(const struct tm_run_server *server, struct tm_run_answer *answer)
{
	struct tm_json *json = NULL;
	const char *detail = NULL;
	size_t len;

	if (tm_json_parse(tm_buf_text(&server->text), server->text.len, TM_RUN_DEPTH, &json) ==
	    TM_OK)
		detail = tm_json_text(tm_json_get(json, "detail"), &len);
	(void)snprintf(answer->detail, sizeof(answer->detail), "%s",
		       detail ? detail : "no textmill there?");
	tm_json_free(json);
	if (answer->status == 401 && !server->authorization[0])
		(void)snprintf(answer->detail, sizeof(answer->detail),
			       "no API key: give --key-file, or TEXTMILL_API_KEY in the "
			       "environment");
}

static void read_result(struct tm_run_server *server, const struct tm_http_result *result,
			struct tm_run_answer *answer)
{
	*answer = (struct tm_run_answer){.retry_ms = -1};
	tm_buf_reset(&server->text, 0);
	if (!result || result->err != TM_OK) {
		answer->distrusted = result && result->err == TM_DENIED;
		(void)snprintf(answer->detail, sizeof(answer->detail), "%s",
			       result ? result->detail : tm_err_text(TM_ENOMEM));
		return;
	}
	answer->status = result->status;
	answer->retry_ms = tm_retry_after_ms(result->retry_after_ms, result->retry_after,
					     tm_clock_wall_ms());
	answer->quota = smallest_quota(result->ratelimit_policy);
	tm_buf_put(&server->text, result->body, result->body_len);
	if (result->status >= 300)
		read_detail(server, answer);
}

static int call(struct tm_run_server *server, const char *tail, const struct tm_buf *body,
		struct tm_run_answer *answer)
{
	const char *headers[] = {"Content-Type: application/json", "Prefer: respond-async",
				 server->authorization[0] ? server->authorization : NULL, NULL};
	char url[2048];
	const struct tm_http_request request = {
		.url = url, .headers = headers, .ca_file = server->ca_file ? server->ca_file : "",
		.body = body ? body->data : NULL, .body_len = body ? body->len : 0,
		.connect_ms = CONNECT_MS, .total_ms = CALL_MS, .answer_max = ANSWER_MAX,
	};
	const struct tm_http_result *result = NULL;
	size_t url_len = strlen(server->url);
	struct tm_http_call *call;

	while (url_len > 0 && server->url[url_len - 1] == '/')
		url_len--;
	if (snprintf(url, sizeof(url), "%.*s/v1/%s", (int)url_len, server->url, tail) >=
		    (int)sizeof(url) ||
	    tm_http_start(server->http, &request, &call) != TM_OK)
		return tm_run_say(server->screen, "--url %s: not an address to call", server->url);
	while (!(result = tm_http_result(call)))
		if (tm_http_wait(server->http, 1000, -1, NULL) != TM_OK)
			break;
	read_result(server, result, answer);
	tm_http_end(server->http, call);
	return tm_buf_err(&server->text) == TM_OK ? TM_CTL_DONE
						  : tm_run_say(server->screen, "out of memory");
}

int tm_run_server_send(struct tm_run_server *server, const struct tm_run_batch *batch,
		       struct tm_run_answer *answer)
{
	return call(server, "batch_process", &batch->body, answer);
}

int tm_run_server_look(struct tm_run_server *server, const char *id, struct tm_run_answer *answer)
{
	char tail[TM_RUN_ID_BYTES + 16];

	(void)snprintf(tail, sizeof(tail), "batch_status/%s", id);
	return call(server, tail, NULL, answer);
}
