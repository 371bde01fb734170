/*
 * The program's shapes, told apart by how it was started: a pool's master, one FastCGI worker
 * on descriptor 0, or one plain CGI request; and the questions that only want an answer
 * (-t, -T, -V).
 *
 * A CGI looks at no argument: web servers pass a query string without "=" as arguments
 * (RFC 3875, 4.4), so there they are the client's, not the sysadmin's.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/app.h"
#include "base/digest.h"
#include "base/fds.h"
#include "base/log.h"
#include "base/settings.h"
#include "io/cgi.h"
#include "io/fcgi.h"
#include "io/http.h"
#include "pool/master.h"
#include "pool/sandbox.h"
#include "check.h"
#include "jobs.h"
#include "worker.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum { EXIT_USAGE = 2 };

struct options {
	const char *file;	/* -c; NULL: the usual place */
	const char *listen;	/* -l; NULL: not given */
	bool test, print;
	bool jobs, once;
};

static const char help[] =
	"Usage: textmill [-c FILE] [-l ADDRESS | --jobs [--once]] [-t | -T | -V | -h]\n"
	"Turns text into answers with an LLM, as a FastCGI program behind a web server.\n"
	"\n"
	"  -c, --config FILE     read this configuration; else that of TEXTMILL_CONF, else\n"
	"                        " SYSCONFDIR "/textmill/textmill.conf if there is one\n"
	"  -l, --listen ADDRESS  run a pool on /path, 127.0.0.1:port or [::1]:port\n"
	"      --jobs            work on asynchronous batches, where no pool does; with --once\n"
	"                        only until there is nothing to do (for cron)\n"
	"  -t, --test            test the configuration and exit\n"
	"  -T, --print           print it with every default filled in and exit\n"
	"  -V, --version         print version and build options and exit\n"
	"  -h, --help            print this and exit\n"
	"\n"
	"What it is depends on how it is started; the first that fits counts:\n"
	"  a CGI's environment    one plain CGI request. No option is looked at, since a client\n"
	"  (GATEWAY_INTERFACE)    may have made it: set TEXTMILL_CONF. Does not count where\n"
	"                         descriptor 0 is a listening socket\n"
	"  --listen               a master with a pool of workers\n"
	"  a listening socket on  one FastCGI worker (mod_fcgid, spawn-fcgi). A configured listen\n"
	"  descriptor 0           does not count then, so that one file serves both ways\n"
	"  listen configured      a master with a pool of workers\n";

/* For report: into the log, as stderr may be a web server's, or nobody's. */
static char to_log[] = "log";

/* Mistakes go where the sysadmin looks: the log for arg to_log, the terminal for NULL. */
static void report(void *arg, const char *text)
{
	if (arg)
		tm_log(TM_LOG_ERROR, "%s", text);
	else
		(void)fprintf(stderr, "textmill: %s\n", text);
}

static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
	return true;
#else
	return false;
#endif
#else
	return false;
#endif
}

/* What the linker has made of this program. */
struct linked {
	bool relro, now, stack_executable;
};

static void read_dynamic(const ElfW(Dyn) *entry, struct linked *out)
{
	for (; entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_BIND_NOW ||
		    (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_BIND_NOW) ||
		    (entry->d_tag == DT_FLAGS_1 && entry->d_un.d_val & DF_1_NOW))
			out->now = true;
}

/* The program itself comes first. It is asked, not the flags of the build: those may be lost. */
static int read_linked(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct linked *out = arg;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type == PT_GNU_RELRO)
			out->relro = true;
		else if (part->p_type == PT_GNU_STACK)
			out->stack_executable = part->p_flags & PF_X;
		else if (part->p_type == PT_DYNAMIC)
			read_dynamic((const ElfW(Dyn) *)(info->dlpi_addr + part->p_vaddr), out);
	}
	return 1;
}

static void print_linked(void)
{
	struct linked linked = {.stack_executable = true};

	(void)dl_iterate_phdr(read_linked, &linked);
	(void)printf("  relocations    %s\n", !linked.relro ? "writable"
					      : linked.now  ? "read-only"
							    : "read-only in part");
	(void)printf("  stack          %s\n",
		     linked.stack_executable ? "executable" : "not executable");
}

/* A library's real file name carries its version. */
static int print_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	static const char *const ours[] = {"libfcgi.", "libhiredis.", "libcurl.", "libjson-c.",
					   "libcrypto.", "libconfuse."};
	const char *base = strrchr(info->dlpi_name, '/');
	char real[PATH_MAX];

	(void)size;
	(void)arg;
	for (size_t i = 0; base && i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!strncmp(base + 1, ours[i], strlen(ours[i])) && realpath(info->dlpi_name, real))
			(void)printf("    %s\n", strrchr(real, '/') + 1);
	return 0;
}

static int print_version(void)
{
	(void)printf("textmill %s\n", PACKAGE_VERSION);
	(void)printf("  compiler       %s\n", __VERSION__);
	(void)printf("  configuration  %s/textmill/textmill.conf\n", SYSCONFDIR);
#ifdef _FORTIFY_SOURCE
	(void)printf("  fortify        %d\n", _FORTIFY_SOURCE);
#else
	(void)printf("  fortify        off\n");
#endif
#ifdef __PIE__
	(void)printf("  PIE            on\n");
#else
	(void)printf("  PIE            off\n");
#endif
#if defined(__SSP__) || defined(__SSP_STRONG__) || defined(__SSP_ALL__)
	(void)printf("  stack guard    on\n");
#else
	(void)printf("  stack guard    off\n");
#endif
	print_linked();
	(void)printf("  sanitizers     %s\n", is_sanitized() ? "on" : "off");
	(void)printf("  libraries\n");
	(void)dl_iterate_phdr(print_library, NULL);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Settings and log, as every serving shape starts. */
static bool load(struct tm_settings *settings, const char *file, void *where)
{
	enum tm_err err = tm_settings_load(settings, file, environ, report, where);

	if (err == TM_ENOMEM)
		report(where, "out of memory");
	return err == TM_OK;
}

static bool open_log(const struct tm_settings *settings, const char *target)
{
	char line[512];

	if (tm_log_open(target, (enum tm_log_level)settings->log.level) == TM_OK)
		return true;
	(void)snprintf(line, sizeof(line), "cannot open the log %s: %s", target, strerror(errno));
	report(NULL, line);
	return false;
}

static int run_worker(void *arg, int listen_fd, struct tm_child *child)
{
	return tm_worker_run(arg, listen_fd, child);
}

static int run_job_worker(void *arg, struct tm_child *child)
{
	return tm_jobs_run(arg, false, child);
}

/* Whether some provider's certificate will be checked against the system's authorities. */
static bool trusts_system(const struct tm_settings *settings)
{
	for (size_t i = 0; i < settings->providers_count; i++)
		if (strncmp(settings->providers[i].url, "https:", 6) == 0 &&
		    !settings->providers[i].ca_file[0])
			return true;
	return false;
}

static int run_pool(struct tm_settings *settings)
{
	struct tm_pool pool = {
		.version = PACKAGE_VERSION,
		.listen = settings->listen,
		.socket_mode = settings->pool.socket_mode,
		.socket_owner = settings->pool.socket_owner,
		.socket_group = settings->pool.socket_group,
		.user = settings->user,
		.group = settings->group,
		.workers = settings->pool.workers_max,
		.job_workers = settings->pool.job_workers,
		.backlog = settings->pool.backlog,
		.stop_timeout_ms = settings->pool.stop_timeout_ms,
		.run = run_worker,
		.run_jobs = run_job_worker,
		.arg = settings,
	};
	int status = EXIT_FAILURE;

	if (!tm_check(settings, true, report, NULL) || !open_log(settings, settings->log.target))
		return EXIT_FAILURE;
	if (tm_http_init_main() != TM_OK) {
		report(NULL, "cannot set up HTTP and TLS");
		return EXIT_FAILURE;
	}
	if (trusts_system(settings))
		tm_http_preload();
	if (tm_master_run(&pool) == TM_OK)
		status = EXIT_SUCCESS;
	tm_http_exit_main();
	return status;
}

/* Our starter is the process manager: it also sees to the user, and to starting us again. */
static int run_single(struct tm_settings *settings)
{
	struct tm_child child = {.pipe_fd = -1};
	int status = EXIT_FAILURE;

	if (!open_log(settings, settings->log.target) || !tm_check(settings, false, report, to_log))
		return EXIT_FAILURE;
	if (tm_http_init_main() != TM_OK || tm_sandbox_worker() != TM_OK) {
		tm_log(TM_LOG_ERROR, "cannot set up HTTP, or give up privileges");
		return EXIT_FAILURE;
	}
	tm_log(TM_LOG_INFO, "textmill %s, one worker on descriptor 0", PACKAGE_VERSION);
	status = tm_worker_run(settings, STDIN_FILENO, &child);
	tm_http_exit_main();
	return status;
}

/* Batches where no master of ours runs: a unit of its own, or cron with --once. */
static int run_jobs(struct tm_settings *settings, bool once)
{
	struct tm_child child = {.pipe_fd = -1};
	int status;

	if (!open_log(settings, settings->log.target) || !tm_check(settings, true, report, to_log))
		return EXIT_FAILURE;
	if (tm_http_init_main() != TM_OK ||
	    tm_sandbox_become(settings->user, settings->group) != TM_OK ||
	    tm_sandbox_worker() != TM_OK) {
		tm_log(TM_LOG_ERROR, "cannot set up HTTP, become user \"%s\", or give up "
		       "privileges", settings->user);
		return EXIT_FAILURE;
	}
	tm_log(once ? TM_LOG_DEBUG : TM_LOG_INFO, "textmill %s, one job worker", PACKAGE_VERSION);
	status = tm_jobs_run(settings, once, &child);
	tm_http_exit_main();
	return status;
}

/* The answer when there is nobody to answer. Its cause is in the log only. */
static void apologize(struct tm_exchange *exchange)
{
	char head[384], body[256];
	unsigned long long id = tm_random_u64();
	int len = snprintf(body, sizeof(body),
			   "{\"type\": \"https://textmill.dev/errors/internal\", "
			   "\"title\": \"Internal error\", \"status\": 500, "
			   "\"detail\": \"The service is not set up; its log says why.\", "
			   "\"code\": \"internal\", \"request_id\": \"%016llx\"}\n", id);

	(void)snprintf(head, sizeof(head),
		       "Status: 500 Internal Server Error\r\n"
		       "Content-Type: application/problem+json; charset=utf-8\r\n"
		       "Content-Length: %d\r\n"
		       "X-Request-ID: %016llx\r\n"
		       "X-Content-Type-Options: nosniff\r\n"
		       "Cache-Control: no-store\r\n\r\n", len, id);
	tm_log(TM_LOG_ERROR, "request %016llx answered 500: start-up failed, see above", id);
	if (tm_exchange_write(exchange, head, strlen(head)) != TM_OK ||
	    tm_exchange_write(exchange, body, (size_t)len) != TM_OK)
		tm_log(TM_LOG_WARN, "and the web server did not take it");
	tm_exchange_finish(exchange);
}

static int run_cgi(void)
{
	struct tm_settings settings = {0};
	struct tm_exchange exchange;
	struct tm_app *app = NULL;
	int status = EXIT_FAILURE;

	tm_cgi_open(&exchange, environ);
	if (!load(&settings, NULL, to_log) || !open_log(&settings, "stderr") ||
	    tm_http_init_main() != TM_OK)
		goto out;
	if (tm_sandbox_worker() == TM_OK && tm_app_new(&app, &settings) == TM_OK) {
		tm_app_handle(app, &exchange);
		tm_app_free(app);
		status = EXIT_SUCCESS;
	}
	tm_http_exit_main();
out:
	if (status != EXIT_SUCCESS)
		apologize(&exchange);
	tm_settings_clear(&settings);
	return status;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *out)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"listen", required_argument, NULL, 'l'},
		{"jobs", no_argument, NULL, 'j'},	  {"once", no_argument, NULL, 'o'},
		{"test", no_argument, NULL, 't'},	  {"print", no_argument, NULL, 'T'},
		{"version", no_argument, NULL, 'V'},	  {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:l:tTVh", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			out->file = optarg;
			break;
		case 'l':
			out->listen = optarg;
			break;
		case 'j':
			out->jobs = true;
			break;
		case 'o':
			out->once = true;
			break;
		case 't':
			out->test = true;
			break;
		case 'T':
			out->print = true;
			break;
		case 'V':
			return print_version();
		case 'h':
			(void)fputs(help, stdout);
			return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default:
			(void)fprintf(stderr, "textmill: try --help\n");
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "textmill: unexpected \"%s\"; try --help\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (out->once && !out->jobs) {
		(void)fprintf(stderr, "textmill: --once needs --jobs; try --help\n");
		return EXIT_USAGE;
	}
	return -1;
}

static int test(const struct tm_settings *settings)
{
	const char *file = *settings->path ? settings->path : "(none, defaults)";

	if (!tm_check(settings, true, report, NULL)) {
		(void)fprintf(stderr, "textmill: configuration %s has mistakes\n", file);
		return EXIT_FAILURE;
	}
	(void)fprintf(stderr, "textmill: configuration %s is good\n", file);
	return EXIT_SUCCESS;
}

static int nothing_to_do(const struct tm_settings *settings)
{
	(void)fprintf(stderr,
		      "textmill: nothing to do. It was not started by a web server, and no address "
		      "to listen on is configured.\n"
		      "For a pool of workers set\n"
		      "  listen = \"/run/textmill/textmill.sock\"\n"
		      "in %s, or give --listen ADDRESS. See --help.\n",
		      *settings->path ? settings->path : SYSCONFDIR "/textmill/textmill.conf");
	return EXIT_USAGE;
}

static int run(const struct options *options, struct tm_settings *settings)
{
	bool single = !options->listen && !options->jobs &&
		      tm_fcgi_is_listener(STDIN_FILENO);
	bool asked = options->test || options->print;

	if (!load(settings, options->file, single && !asked ? to_log : NULL))
		return EXIT_FAILURE;
	if (options->listen)
		settings->listen = options->listen;
	if (options->test)
		return test(settings);
	if (options->print) {
		tm_settings_print(settings, stdout);
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	if (options->jobs)
		return run_jobs(settings, options->once);
	if (single)
		return run_single(settings);
	return *settings->listen ? run_pool(settings) : nothing_to_do(settings);
}

int main(int argc, char **argv)
{
	struct sigaction ignored = {.sa_handler = SIG_IGN};
	struct tm_settings settings = {0};
	struct options options = {0};
	int status;

	if (tm_fds_fill() != TM_OK)
		return EXIT_FAILURE;	/* and nowhere to say so */
	sigemptyset(&ignored.sa_mask);
	(void)sigaction(SIGPIPE, &ignored, NULL);
	if (getenv("GATEWAY_INTERFACE") && !tm_fcgi_is_listener(STDIN_FILENO))
		return run_cgi();
	status = read_options(argc, argv, &options);
	if (status < 0)
		status = run(&options, &settings);
	tm_settings_clear(&settings);
	return status;
}
