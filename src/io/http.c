/*
 * HTTP over one curl_multi handle per process; connections live in it, so a call that ends
 * leaves its connection to the next. Easy handles cost more to make than to reset: a few are
 * kept. Callbacks never fail silently: they note their error in the call and abort the transfer,
 * and the result prefers that note to curl's own code.
 */
#include "io/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/ca.h"

enum {
	SPARE_HANDLES = 8,
	CONNECTIONS_MAX = 16,
	VALUE_BYTES = 256,		/* of a header that is kept */
	HEADERS_BYTES_MAX = 64 * 1024,	/* of all headers of one response */
	UNREAD_WAIT_MS = 250,		/* between two looks at a client that left bytes unread */
	WAIT_MAX_MS = 60 * 1000,
	SEND_BUFFER_BYTES = 16 * 1024	/* curl's default is 64 KiB, and kept */
};

struct tm_http {
	CURLM *multi;
	CURL *spare[SPARE_HANDLES];
	int spares;
	bool progress;		/* a transfer ended or delivered since the wait began */
};

struct tm_http_call {
	struct tm_http *http;
	CURL *easy;
	struct curl_slist *headers;
	struct tm_buf body;
	size_t answer_max, received, header_bytes;
	enum tm_err (*data)(void *arg, const char *bytes, size_t len);
	void *arg;
	enum tm_err err;	/* what a callback ended the transfer with */
	bool head_whole;	/* the blank line behind the headers came */
	bool over;
	struct tm_http_result result;
	char retry_after[VALUE_BYTES], retry_after_ms[VALUE_BYTES], content_type[VALUE_BYTES];
	char ratelimit_policy[VALUE_BYTES];
	char detail[CURL_ERROR_SIZE];
};

/* The system's CA file; "" when none was found and curl's defaults must do. */
static const char *system_ca = "";
static bool own_store;		/* curl's TLS library takes the store of io/ca */

static const char *find_system_ca(void)
{
	const char *chosen = getenv("SSL_CERT_FILE");
	static const char *const usual[] = {
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
	};
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	if (chosen && chosen[0])
		return chosen;
#if LIBCURL_VERSION_NUM >= 0x074600
	if (info->age >= CURLVERSION_SEVENTH && info->cainfo && access(info->cainfo, R_OK) == 0)
		return info->cainfo;
#else
	(void)info;
#endif
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (access(usual[i], R_OK) == 0)
			return usual[i];
	return "";
}

enum tm_err tm_http_init_main(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return TM_EIO;
	system_ca = find_system_ca();
	own_store = system_ca[0] && tm_ca_fits(curl_version_info(CURLVERSION_NOW)->ssl_version);
	return TM_OK;
}

void tm_http_preload(void)
{
	enum tm_err err = own_store ? tm_ca_load(system_ca) : TM_OK;

	(void)err;	/* whoever needs it tries again, and tells */
}

void tm_http_exit_main(void)
{
	tm_ca_free();
	curl_global_cleanup();
}

enum tm_err tm_http_new(struct tm_http **out)
{
	struct tm_http *http = calloc(1, sizeof(*http));

	if (!http)
		return TM_ENOMEM;
	http->multi = curl_multi_init();
	if (!http->multi) {
		free(http);
		return TM_ENOMEM;
	}
	(void)curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	*out = http;
	return TM_OK;
}

void tm_http_free(struct tm_http *http)
{
	if (!http)
		return;
	while (http->spares > 0)
		curl_easy_cleanup(http->spare[--http->spares]);
	(void)curl_multi_cleanup(http->multi);
	free(http);
}

static size_t abort_with(struct tm_http_call *call, enum tm_err err)
{
	call->err = err;
	return 0;		/* fewer bytes than were offered: curl gives up */
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct tm_http_call *call = arg;
	size_t len = size * count;
	enum tm_err err;

	if (len > call->answer_max - call->received)
		return abort_with(call, TM_ESIZE);
	call->received += len;
	if (call->data) {
		call->http->progress = true;
		err = call->data(call->arg, bytes, len);
	} else {
		tm_buf_put(&call->body, bytes, len);
		err = tm_buf_err(&call->body);
	}
	return err == TM_OK ? len : abort_with(call, err);
}

/* Copies a header's value into out when line is that header; out stays "" when too long. */
static bool keep_value(const char *line, size_t len, const char *name, char out[VALUE_BYTES])
{
	size_t name_len = strlen(name);

	if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
		return false;
	line += name_len + 1;
	len -= name_len + 1;
	while (len > 0 && strchr(" \t\r\n", line[len - 1]))
		len--;
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	out[0] = '\0';
	if (len < VALUE_BYTES) {
		memcpy(out, line, len);
		out[len] = '\0';
	}
	return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct tm_http_call *call = arg;
	size_t len = size * count;

	if (len > HEADERS_BYTES_MAX - call->header_bytes)
		return abort_with(call, TM_EPROTO);
	call->header_bytes += len;
	if (len > 5 && strncasecmp(line, "HTTP/", 5) == 0) {	/* 100, 103: others may follow */
		call->retry_after[0] = '\0';
		call->retry_after_ms[0] = '\0';
		call->ratelimit_policy[0] = '\0';
		call->content_type[0] = '\0';
		call->head_whole = false;
		return len;
	}
	if (len > 0 && (line[0] == '\r' || line[0] == '\n'))
		call->head_whole = true;
	if (!keep_value(line, len, "retry-after", call->retry_after) &&
	    !keep_value(line, len, "retry-after-ms", call->retry_after_ms) &&
	    !keep_value(line, len, "ratelimit-policy", call->ratelimit_policy))
		(void)keep_value(line, len, "content-type", call->content_type);
	return len;
}

/* A line break in a header would start another header, or another request. */
static bool clean(const char *text, unsigned char least)
{
	for (; *text; text++)
		if (((unsigned char)*text < least && *text != '\t') || *text == 0x7F)
			return false;
	return true;
}

static bool web_url(const char *url)
{
	return clean(url, 0x21) && !strchr(url, '\t') &&
	       (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0);
}

static enum tm_err add_header(struct tm_http_call *call, const char *header)
{
	struct curl_slist *longer;

	if (!clean(header, 0x20) || !strchr(header, ':'))
		return TM_EINVAL;
	longer = curl_slist_append(call->headers, header);
	if (!longer)
		return TM_ENOMEM;
	call->headers = longer;
	return TM_OK;
}

static enum tm_err set_headers(struct tm_http_call *call, const char *const *headers)
{
	/* no "Expect: 100-continue": a server that ignores it costs a second */
	enum tm_err err = add_header(call, "Expect:");

	for (; err == TM_OK && headers && *headers; headers++)
		err = add_header(call, *headers);
	if (err == TM_OK &&
	    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) != CURLE_OK)
		err = TM_ENOMEM;
	return err;
}

static long at_least_1(int64_t ms)
{
	return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (long)ms; /* 0 means for ever to curl */
}

/* Options of this program's: the same for every call. */
static CURLcode set_fixed(CURL *easy)
{
	CURLcode code = CURLE_OK;

#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_USERAGENT, "textmill");
	SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BUFFER_BYTES);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_HEADERFUNCTION, on_header);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* a dropped call must not wait for its name look-up to finish */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	return code;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
	(void)easy;
	(void)arg;
	switch (tm_ca_use(system_ca, ssl_ctx)) {
	case TM_OK:
		return CURLE_OK;
	case TM_ENOMEM:
		return CURLE_OUT_OF_MEMORY;
	default:
		return CURLE_SSL_CACERT_BADFILE;
	}
}

/* Options of TLS. A curl that knows no HTTP/2 refuses the version: it then speaks 1.1. */
static CURLcode set_tls(CURL *easy, const char *url, const char *ca_file)
{
	CURLcode code = CURLE_OK;

	if (strncasecmp(url, "https:", 6) != 0)
		return curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK)
		SET(CURLOPT_PIPEWAIT, 1L);
	if (!ca_file || !ca_file[0])
		ca_file = system_ca;
	if (!ca_file[0])
		return code;
	/* with a CA directory set curl reads all certificates anew for each connection */
	SET(CURLOPT_CAPATH, NULL);
	if (ca_file == system_ca && own_store) {
		SET(CURLOPT_CAINFO, NULL);
		SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	} else {
		SET(CURLOPT_CAINFO, ca_file);
	}
	return code;
}

static CURLcode set_request(struct tm_http_call *call, const struct tm_http_request *request)
{
	CURL *easy = call->easy;
	CURLcode code = CURLE_OK;

	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PRIVATE, call);
	SET(CURLOPT_WRITEDATA, call);
	SET(CURLOPT_HEADERDATA, call);
	SET(CURLOPT_ERRORBUFFER, call->detail);
	SET(CURLOPT_CONNECTTIMEOUT_MS, at_least_1(request->connect_ms));
	SET(CURLOPT_TIMEOUT_MS, at_least_1(request->total_ms));
	/* refuses by Content-Length, before the first byte of a body that is too long */
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->answer_max);
	if (request->body) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
		SET(CURLOPT_POSTFIELDS, request->body);
	}
	return code;
}
#undef SET

static enum tm_err set_up(struct tm_http_call *call, const struct tm_http_request *request)
{
	CURLcode code = set_fixed(call->easy);

	if (code == CURLE_OK)
		code = set_request(call, request);
	if (code == CURLE_OK)
		code = set_tls(call->easy, request->url, request->ca_file);
	if (code != CURLE_OK)
		return code == CURLE_OUT_OF_MEMORY ? TM_ENOMEM : TM_EINVAL;
	return set_headers(call, request->headers);
}

static void release(struct tm_http *http, struct tm_http_call *call)
{
	if (call->easy && http->spares < SPARE_HANDLES) {
		curl_easy_reset(call->easy);
		http->spare[http->spares++] = call->easy;
	} else if (call->easy) {
		curl_easy_cleanup(call->easy);
	}
	curl_slist_free_all(call->headers);
	tm_buf_clear(&call->body);
	free(call);
}

enum tm_err tm_http_start(struct tm_http *http, const struct tm_http_request *request,
			  struct tm_http_call **out)
{
	enum tm_err err = TM_ENOMEM;
	struct tm_http_call *call;

	if (!web_url(request->url))
		return TM_EINVAL;
	call = calloc(1, sizeof(*call));
	if (!call)
		return TM_ENOMEM;
	call->http = http;
	call->data = request->data;
	call->arg = request->arg;
	call->answer_max = request->answer_max;
	tm_buf_init(&call->body, request->answer_max);
	call->easy = http->spares > 0 ? http->spare[--http->spares] : curl_easy_init();
	if (!call->easy)
		goto out;
	err = set_up(call, request);
	if (err != TM_OK)
		goto out;
	err = TM_ENOMEM;
	if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK)
		goto out;
	*out = call;
	call = NULL;
	err = TM_OK;
out:
	if (call)
		release(http, call);
	return err;
}

/* curl is content with a response that ends in the middle of its headers; we are not. */
static void check_head(struct tm_http_call *call, CURLcode code)
{
	if (code == CURLE_OK && call->err == TM_OK && !call->head_whole)
		call->err = TM_EPROTO;
}

static enum tm_err err_of(CURLcode code, bool answered)
{
	switch (code) {
	case CURLE_OK:
		return TM_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return TM_ETIME;
	case CURLE_OUT_OF_MEMORY:
		return TM_ENOMEM;
	case CURLE_FILESIZE_EXCEEDED:
		return TM_ESIZE;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return TM_DENIED;
	case CURLE_PARTIAL_FILE:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:	/* what came is not HTTP at all */
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_BAD_CONTENT_ENCODING:
		return TM_EPROTO;
	default:
		return answered ? TM_EPROTO : TM_EIO;
	}
}

static const char *present(const char *value)
{
	return value[0] ? value : NULL;
}

static void finish(struct tm_http_call *call, CURLcode code)
{
	struct tm_http_result *result = &call->result;
	long status = 0, sent = 0;
	curl_off_t total_us = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
	(void)curl_easy_getinfo(call->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	check_head(call, code);
	result->err = call->err != TM_OK ? call->err : err_of(code, status != 0);
	result->sent = sent > 0 || status != 0;
	result->status = (int)status;
	result->body = tm_buf_text(&call->body);
	result->body_len = call->body.len;
	result->retry_after = present(call->retry_after);
	result->retry_after_ms = present(call->retry_after_ms);
	result->ratelimit_policy = present(call->ratelimit_policy);
	result->content_type = present(call->content_type);
	result->total_us = total_us;
	result->detail = code == CURLE_OK ? "" : curl_easy_strerror(code);
	if (call->err != TM_OK)
		result->detail = tm_err_text(call->err);
	else if (code != CURLE_OK && call->detail[0])
		result->detail = call->detail;
	call->over = true;
}

static enum tm_err multi_err(CURLMcode code)
{
	if (code == CURLM_OK)
		return TM_OK;
	return code == CURLM_OUT_OF_MEMORY ? TM_ENOMEM : TM_EIO;
}

static enum tm_err perform(struct tm_http *http)
{
	int running = 0, left = 0;
	CURLMcode code = curl_multi_perform(http->multi, &running);
	CURLMsg *message;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode ended = message->data.result;
		char *call = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
		finish((struct tm_http_call *)(void *)call, ended);
		http->progress = true;
	}
	return multi_err(code);
}

enum client { CLIENT_QUIET, CLIENT_UNREAD, CLIENT_GONE };

/* A FastCGI peer may leave bytes unread and be well: only the end of its stream is a hang-up. */
static enum client look_at(int fd)
{
	struct pollfd watch = {.fd = fd, .events = POLLIN | POLLRDHUP};
	char byte;

	if (poll(&watch, 1, 0) <= 0)
		return CLIENT_QUIET;
	if (watch.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL))
		return CLIENT_GONE;
	if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		return CLIENT_GONE;
	return CLIENT_UNREAD;
}

/* Unread bytes would end every wait at once: then only a hang-up may, and where the kernel does
 * not tell the two apart (TCP), the short wait finds it. */
static enum tm_err wait_for_event(struct tm_http *http, int64_t wait_ms, int watch_fd,
				  enum client client)
{
	struct curl_waitfd extra = {.fd = watch_fd, .events = CURL_WAIT_POLLIN};

	if (wait_ms > WAIT_MAX_MS)
		wait_ms = WAIT_MAX_MS;
	if (client == CLIENT_UNREAD) {
		extra.events = 0;
		if (wait_ms > UNREAD_WAIT_MS)
			wait_ms = UNREAD_WAIT_MS;
	}
	return multi_err(curl_multi_poll(http->multi, &extra, watch_fd >= 0 ? 1 : 0,
					 (int)wait_ms, NULL));
}

enum tm_err tm_http_wait(struct tm_http *http, int64_t wait_ms, int watch_fd, bool *watched)
{
	enum client client = CLIENT_QUIET;
	enum tm_err err;

	if (watched)
		*watched = false;
	http->progress = false;
	err = perform(http);
	if (err != TM_OK)
		return err;
	if (watch_fd >= 0)
		client = look_at(watch_fd);
	if (client == CLIENT_GONE || http->progress || wait_ms <= 0)
		goto out;
	err = wait_for_event(http, wait_ms, watch_fd, client);
	if (err == TM_OK)
		err = perform(http);
	if (watch_fd >= 0)
		client = look_at(watch_fd);
out:
	if (watched)
		*watched = client == CLIENT_GONE;
	return err;
}

int tm_http_status(const struct tm_http_call *call)
{
	long status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

const char *tm_http_content_type(const struct tm_http_call *call)
{
	return present(call->content_type);
}

const struct tm_http_result *tm_http_result(const struct tm_http_call *call)
{
	return call->over ? &call->result : NULL;
}

void tm_http_end(struct tm_http *http, struct tm_http_call *call)
{
	if (!call)
		return;
	(void)curl_multi_remove_handle(http->multi, call->easy);
	release(http, call);
}
