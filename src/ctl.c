/*
 * textmillctl: what a sysadmin does from the shell. One table of commands; each prints its result
 * on standard output and what went wrong on standard error.
 *
 * Exit status: 0 done, 1 it failed, 2 it was called wrongly.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/digest.h"
#include "base/fds.h"
#include "base/operation_conf.h"
#include "base/settings.h"
#include "check.h"
#include "ctl.h"
#include "gate/keys.h"
#include "gate/keys_file.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum { HOUR_MAX = 1000000 };

static const char program[] = "textmillctl";

int tm_ctl_usage(const struct tm_ctl_command *command, const char *what, const char *which)
{
	(void)fprintf(stderr, "%s %s: %s%s%s\nusage: %s %s %s\n", program, command->words, what,
		      which ? " " : "", which ? which : "", program, command->words,
		      command->options);
	return TM_CTL_USAGE;
}

/* Standard output may be a full disk: a key whose line was lost is no success. */
int tm_ctl_finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return TM_CTL_DONE;
	(void)fprintf(stderr, "%s: cannot write: %s\n", program, strerror(errno));
	return TM_CTL_FAILED;
}

/* The next option's letter; -1 at the end; '?' for a wrong one or a stray word, told. */
static int next_option(const struct tm_ctl_command *command, int argc, char **argv)
{
	const char *letters = "+:";
	int letter;

	for (const struct option *at = command->known; at->name; at++)
		if (at->val == 'c')
			letters = "+:c:";
	opterr = 0;
	letter = getopt_long(argc, argv, letters, command->known, NULL);
	if (letter == ':')
		(void)tm_ctl_usage(command, "a value is missing behind", argv[optind - 1]);
	else if (letter == '?')
		(void)tm_ctl_usage(command, "unknown option", argv[optind - 1]);
	else if (letter == -1 && optind < argc)
		(void)tm_ctl_usage(command, "unexpected word", argv[optind]);
	return letter == ':' || (letter == -1 && optind < argc) ? '?' : letter;
}

static int run_version(const struct tm_ctl_command *command, int argc, char **argv)
{
	if (next_option(command, argc, argv) != -1)
		return TM_CTL_USAGE;
	(void)printf("textmill %s\n", PACKAGE_VERSION);
	return tm_ctl_finish_output();
}

/* Reads "read,write,admin" in any order. False: another word, or none. */
static bool read_permissions(const char *text, unsigned *out)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = {{"read", TM_PERM_READ}, {"write", TM_PERM_WRITE}, {"admin", TM_PERM_ADMIN}};
	unsigned bits = 0;

	for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		size_t len = strcspn(at, ","), i = 0;

		while (i < 3 && (strlen(names[i].name) != len ||
				 memcmp(names[i].name, at, len) != 0))
			i++;
		if (i == 3)
			return false;
		bits |= names[i].bit;
	}
	*out = bits;
	return bits != 0;
}

static bool read_hour(const char *text, int64_t *out)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 1 || value > HOUR_MAX)
		return false;
	*out = value;
	return true;
}

static int read_key_option(const struct tm_ctl_command *command, int letter,
			   struct tm_principal *owner)
{
	switch (letter) {
	case 'u':
		if (!tm_keys_user_ok(optarg))
			return tm_ctl_usage(command, "a user is 1 to 64 characters of A-Z, a-z, "
					    "0-9, _ . @ + and -", NULL);
		(void)snprintf(owner->user, sizeof(owner->user), "%s", optarg);
		return TM_CTL_DONE;
	case 'p':
		return read_permissions(optarg, &owner->permissions)
			       ? TM_CTL_DONE
			       : tm_ctl_usage(command,
				       "permissions are read, write and admin, comma separated",
				       NULL);
	case 'n':
		return read_hour(optarg, &owner->hour) ? TM_CTL_DONE :
			tm_ctl_usage(command, "requests per hour are a number from 1 to 1000000",
				     NULL);
	case 'e':
		if (tm_clock_parse_iso(optarg, &owner->expires_ms) != TM_OK)
			return tm_ctl_usage(command, "a date is 2027-01-31 or 2027-01-31T12:00:00Z",
					    NULL);
		return owner->expires_ms > tm_clock_wall_ms() ? TM_CTL_DONE :
			tm_ctl_usage(command, "the date has passed", NULL);
	default:
		return TM_CTL_USAGE;
	}
}

static int run_key_new(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct tm_principal owner = {.permissions = TM_PERM_READ | TM_PERM_WRITE};
	char key[TM_KEY_BYTES];
	struct tm_buf line;
	int letter, status;

	while ((letter = next_option(command, argc, argv)) != -1) {
		status = read_key_option(command, letter, &owner);
		if (status != TM_CTL_DONE)
			return status;
	}
	tm_buf_init(&line, 1024);
	status = TM_CTL_FAILED;
	if (tm_key_make(key) != TM_OK) {
		(void)fprintf(stderr, "%s: the system has no random numbers\n", program);
		goto out;
	}
	(void)snprintf(owner.id, sizeof(owner.id), "%.*s", (int)TM_KEY_PUBLIC, key + 3);
	if (!owner.user[0])
		(void)snprintf(owner.user, sizeof(owner.user), "%s", owner.id);
	tm_key_line(&line, key, &owner);
	if (tm_buf_err(&line) != TM_OK) {
		(void)fprintf(stderr, "%s: %s\n", program, tm_err_text(tm_buf_err(&line)));
		goto out;
	}
	(void)fputs(tm_buf_text(&line), stdout);
	status = tm_ctl_finish_output();
	if (status == TM_CTL_DONE)
		(void)fprintf(stderr,
			      "The key of user %s, shown this once and kept nowhere:\n\n"
			      "    %s\n\nThe line on standard output belongs into the keys file "
			      "(auth.keys_file). The key cannot be had from it.\n",
			      owner.user, key);
out:
	tm_buf_clear(&line);
	tm_digest_wipe(key, sizeof(key));
	return status;
}

static void on_report(void *arg, const char *text)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", text);
}

int tm_ctl_load(const char *path, struct tm_settings *out)
{
	enum tm_err err = tm_settings_load(out, path, environ, on_report, NULL);

	if (err == TM_ENOMEM)
		(void)fprintf(stderr, "%s: %s\n", program, tm_err_text(err));
	return err == TM_OK ? TM_CTL_DONE : TM_CTL_FAILED;
}

/* Loads settings from -c or the usual place; mistakes are told. */
static int load(const struct tm_ctl_command *command, int argc, char **argv,
		struct tm_settings *out)
{
	const char *path = NULL;
	int letter;

	while ((letter = next_option(command, argc, argv)) != -1) {
		if (letter != 'c')
			return TM_CTL_USAGE;
		path = optarg;
	}
	return tm_ctl_load(path, out);
}

static int run_config_test(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct tm_settings settings = {0};
	int status = load(command, argc, argv, &settings);

	if (status == TM_CTL_DONE && !tm_check(&settings, true, on_report, NULL))
		status = TM_CTL_FAILED;
	if (status == TM_CTL_DONE) {
		(void)printf("%s: the configuration is good\n",
			     settings.path[0] ? settings.path : "no file");
		status = tm_ctl_finish_output();
	}
	tm_settings_clear(&settings);
	return status;
}

static int run_config_print(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct tm_settings settings = {0};
	int status = load(command, argc, argv, &settings);

	if (status == TM_CTL_DONE) {
		tm_settings_print(&settings, stdout);
		status = tm_ctl_finish_output();
	}
	tm_settings_clear(&settings);
	return status;
}

static int run_config_sample(const struct tm_ctl_command *command, int argc, char **argv)
{
	if (next_option(command, argc, argv) != -1)
		return TM_CTL_USAGE;
	tm_settings_sample(stdout);
	return tm_ctl_finish_output();
}

static int run_config_man(const struct tm_ctl_command *command, int argc, char **argv)
{
	if (next_option(command, argc, argv) != -1)
		return TM_CTL_USAGE;
	tm_settings_man(stdout);
	return tm_ctl_finish_output();
}

static int run_operations_list(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct tm_settings settings = {0};
	int status = load(command, argc, argv, &settings);

	if (status == TM_CTL_DONE) {
		for (const struct tm_operation_conf *conf = settings.operations; conf;
		     conf = conf->next)
			(void)printf("%-20s %-44s %s\n", conf->id, conf->origin,
				     conf->description);
		status = tm_ctl_finish_output();
	}
	tm_settings_clear(&settings);
	return status;
}

static int show_operation(const struct tm_settings *settings, const char *id)
{
	const struct tm_operation_conf *conf = settings->operations;

	while (conf && strcmp(conf->id, id) != 0)
		conf = conf->next;
	if (!conf) {
		(void)fprintf(stderr, "%s: there is no operation \"%s\"; see %s operations list\n",
			      program, id, program);
		return TM_CTL_FAILED;
	}
	(void)printf("# From %s\n", conf->origin);
	tm_operation_print(conf, stdout);
	return tm_ctl_finish_output();
}

static int run_operations_show(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct tm_settings settings = {0};
	const char *id = argc > 1 ? argv[1] : "-";
	int status;

	if (id[0] == '-')
		return tm_ctl_usage(command, "which operation?", NULL);
	status = load(command, argc - 1, argv + 1, &settings);
	if (status == TM_CTL_DONE)
		status = show_operation(&settings, id);
	tm_settings_clear(&settings);
	return status;
}

static const struct option no_options[] = {{NULL, 0, NULL, 0}};
static const struct option file_options[] = {
	{"config", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0},
};
static const struct option key_options[] = {
	{"user", required_argument, NULL, 'u'}, {"permissions", required_argument, NULL, 'p'},
	{"hour", required_argument, NULL, 'n'}, {"expires", required_argument, NULL, 'e'},
	{NULL, 0, NULL, 0},
};

static const struct option batch_options[] = {
	{"config", required_argument, NULL, 'c'}, {"user", required_argument, NULL, 'u'},
	{NULL, 0, NULL, 0},
};
static const struct option run_options[] = {
	{"url", required_argument, NULL, 'l'}, {"key-file", required_argument, NULL, 'k'},
	{"ca-file", required_argument, NULL, 'a'}, {NULL, 0, NULL, 0},
};

static const char batch_help[] =
	"ID is the batch_id; where two users have one of the same name, --user tells which.\n"
	"Synchronous batches are not among them.\n";

static const char file_help[] =
	"FILE: the configuration file. Without -c: TEXTMILL_CONF of the environment, else the "
	"file\n"
	"below the system's configuration folder, else none. The environment counts as it would\n"
	"for textmill itself.\n";

static const struct tm_ctl_command commands[] = {
	{"version", "", "print the version", "", no_options, run_version},
	{"key new", "[--user NAME] [--permissions read,write,admin] [--hour N] [--expires DATE]",
	 "make an API key",
	 "Prints the key's line for the keys file on standard output, and the key itself, once, "
	 "on\n"
	 "standard error:  textmillctl key new --user ann >> /etc/textmill/keys\n\n"
	 "  --user NAME         who the key belongs to; without it, the key's own id\n"
	 "  --permissions LIST  of read, write and admin; without it, read,write\n"
	 "  --hour N            requests per hour; without it, limit.hour\n"
	 "  --expires DATE      2027-01-31 or 2027-01-31T12:00:00Z; without it, never\n",
	 key_options, run_key_new},
	{"batch list", "[-c FILE] [--user NAME]", "list asynchronous batches, newest first",
	 batch_help, batch_options, tm_ctl_batch_list},
	{"batch show", "ID [-c FILE] [--user NAME]",
	 "show an asynchronous batch and the results of its items", batch_help, batch_options,
	 tm_ctl_batch_show},
	{"batch cancel", "ID [-c FILE] [--user NAME]",
	 "cancel what nobody works on yet; show what is left", batch_help, batch_options,
	 tm_ctl_batch_cancel},
	{"batch run", "FILE.jsonl --url URL [--key-file FILE] [--ca-file FILE]",
	 "process a file of requests, one JSON object a line",
	 "Sends the lines in asynchronous batches of at most 50 and writes\n"
	 "FILE.jsonl.results.jsonl: one line per request, in order, with the number of its line.\n"
	 "Broken off and called again it goes on where it was; FILE.jsonl.batches.jsonl tells\n"
	 "what had been sent by then, and that is not done again. Lines may be appended to the\n"
	 "file, not changed.\n\n"
	 "  --url URL        where textmill is, such as https://www.example.org/ai\n"
	 "  --key-file FILE  holds the API key; without it, TEXTMILL_API_KEY of the environment\n"
	 "  --ca-file FILE   certificates (PEM) that the server's must come from\n",
	 run_options, tm_ctl_batch_run},
	{"breaker list", "[-c FILE]", "show the circuit breakers of all providers", file_help,
	 file_options, tm_ctl_breaker_list},
	{"breaker reset", "PROVIDER [-c FILE]", "close a provider's circuit breaker", file_help,
	 file_options, tm_ctl_breaker_reset},
	{"config test", "[-c FILE]", "test the configuration and the keys file; say every mistake",
	 file_help, file_options, run_config_test},
	{"config print", "[-c FILE]", "print all settings in force, secrets as ***", file_help,
	 file_options, run_config_print},
	{"config sample", "", "print a configuration file with every setting at its default", "",
	 no_options, run_config_sample},
	{"operations list", "[-c FILE]", "list the operations and where each is defined", file_help,
	 file_options, run_operations_list},
	{"operations show", "ID [-c FILE]",
	 "print an operation as a file of operations.d could define it", file_help, file_options,
	 run_operations_show},
	{"config man", "", "print the settings for the manual page", "", no_options,
	 run_config_man},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* Commands that begin with a word; all of them for "". */
static void print_commands(FILE *out, const char *first)
{
	(void)fprintf(out, "usage: %s COMMAND [OPTIONS]; %s COMMAND --help says more\n\n", program,
		      program);
	for (size_t i = 0; i < COMMANDS; i++)
		if (strncmp(commands[i].words, first, strlen(first)) == 0)
			(void)fprintf(out, "  %-17s%s\n", commands[i].words, commands[i].help);
	(void)fputs("\nExit status: 0 done, 1 failed, 2 called wrongly.\n", out);
}

static int print_help(const struct tm_ctl_command *command)
{
	(void)printf("usage: %s %s %s\n\n%s: %s.\n%s%s", program, command->words, command->options,
		     command->words, command->help, command->more[0] ? "\n" : "", command->more);
	return tm_ctl_finish_output();
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* The command that argv begins with; *used tells how many words it took. */
static const struct tm_ctl_command *find(int argc, char **argv, int *used)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *space = strchr(commands[i].words, ' ');
		size_t len =
			space ? (size_t)(space - commands[i].words) : strlen(commands[i].words);

		if (strlen(argv[1]) != len || memcmp(argv[1], commands[i].words, len) != 0)
			continue;
		*used = space ? 2 : 1;
		if (!space || (argc > 2 && strcmp(argv[2], space + 1) == 0))
			return &commands[i];
	}
	return NULL;
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		size_t len = strcspn(commands[i].words, " ");

		if (commands[i].words[len] && strlen(word) == len &&
		    memcmp(commands[i].words, word, len) == 0)
			return true;
	}
	return false;
}

static int unknown(int argc, char **argv)
{
	const char *known[COMMANDS], *near;
	char words[128];
	const bool two = argc > 2 && argv[2][0] != '-';

	for (size_t i = 0; i < COMMANDS; i++)
		known[i] = commands[i].words;
	(void)snprintf(words, sizeof(words), "%s%s%s", argv[1], two ? " " : "", two ? argv[2] : "");
	near = tm_conf_nearest(words, known, COMMANDS);
	if (near)
		(void)fprintf(stderr, "%s: there is no command \"%s\"; did you mean \"%s\"?\n",
			      program, words, near);
	else if (is_group(argv[1]) && !two)
		(void)fprintf(stderr, "%s: \"%s\" needs another word; see %s %s --help\n", program,
			      words, program, words);
	else
		(void)fprintf(stderr, "%s: there is no command \"%s\"; see %s --help\n", program,
			      words, program);
	return TM_CTL_USAGE;
}

int main(int argc, char **argv)
{
	const struct tm_ctl_command *command;
	int used = 0;

	if (tm_fds_fill() != TM_OK)
		return TM_CTL_FAILED;	/* and nowhere to say so */
	if (argc < 2) {
		print_commands(stderr, "");
		return TM_CTL_USAGE;
	}
	if (is_help(argv[1]) || strcmp(argv[1], "help") == 0 ||
	    (argc > 2 && is_help(argv[2]) && is_group(argv[1]))) {
		print_commands(stdout, is_group(argv[1]) ? argv[1] : "");
		return tm_ctl_finish_output();
	}
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = argv[1] + 2;
	command = find(argc, argv, &used);
	if (!command)
		return unknown(argc, argv);
	for (int i = used + 1; i < argc; i++)
		if (is_help(argv[i]))
			return print_help(command);
	return command->run(command, argc - used, argv + used);
}
