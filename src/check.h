/* What a start of the program would find wrong beyond the settings themselves. */
#ifndef TM_CHECK_H
#define TM_CHECK_H

#include <stdbool.h>

#include "base/settings.h"

/* Told of each mistake, one line without a newline, no secret in it. */
typedef void tm_check_report(void *arg, const char *text);

/*
 * Asks the parts that use a setting: the address and its access, user and group, the log, the
 * keys. Both programs ask here, so that what one calls good the other starts with.
 *
 * becomes  the process that serves will be settings->user; its files are looked at as that one,
 *          where we are root, in a process of its own: arg is then used there
 *
 * True: a start would not fail for any of them. False: every mistake has been reported.
 */
bool tm_check(const struct tm_settings *settings, bool becomes, tm_check_report *report, void *arg);

#endif
