/* Commands of textmillctl, one file per family; ctl.c has their table. */
#ifndef TM_CTL_H
#define TM_CTL_H

#include <getopt.h>

#include "base/settings.h"

enum { TM_CTL_DONE, TM_CTL_FAILED, TM_CTL_USAGE };	/* exit statuses */

struct tm_ctl_command {
	const char *words;
	const char *options;	/* as in the usage line; "" for none */
	const char *help;
	const char *more;	/* shown by --help; "" for none */
	const struct option *known;
	/* argv[0] is the command's last word; options follow. */
	int (*run)(const struct tm_ctl_command *command, int argc, char **argv);
};

/* Says what is wrong with the command line. Returns TM_CTL_USAGE. */
int tm_ctl_usage(const struct tm_ctl_command *command, const char *what, const char *which);

/* TM_CTL_DONE when all of standard output was written; else says so and TM_CTL_FAILED. */
int tm_ctl_finish_output(void);

/* Loads the settings of path, or of the usual place for NULL; mistakes are told. */
int tm_ctl_load(const char *path, struct tm_settings *out);

/* textmillctl breaker list, reset: ctl_breaker.c */
int tm_ctl_breaker_list(const struct tm_ctl_command *command, int argc, char **argv);
int tm_ctl_breaker_reset(const struct tm_ctl_command *command, int argc, char **argv);

/* textmillctl batch list, show, cancel: ctl_batch.c; batch run: ctl_run.c */
int tm_ctl_batch_list(const struct tm_ctl_command *command, int argc, char **argv);
int tm_ctl_batch_show(const struct tm_ctl_command *command, int argc, char **argv);
int tm_ctl_batch_cancel(const struct tm_ctl_command *command, int argc, char **argv);
int tm_ctl_batch_run(const struct tm_ctl_command *command, int argc, char **argv);

#endif
