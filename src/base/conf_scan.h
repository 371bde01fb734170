/* Private to conf.c: a look at a configuration file's text before libconfuse reads it. */
#ifndef TM_BASE_CONF_SCAN_H
#define TM_BASE_CONF_SCAN_H

#include <stdbool.h>

/* Told of a mistake; text is static and repeats nothing of the file. */
typedef void tm_conf_scan_report(void *arg, int line, const char *text);

/*
 * Blanks comments, in place; lines keep their numbers. Tells of what libconfuse would silently
 * misread: a comment where a value should stand, an unquoted value that one of # " ' * + , = { (
 * cuts short, a NUL written as an escape, a stray * or +, a quote, comment, variable or { that is
 * never closed. A value that is wrong in this way is overwritten with a stand-in of x, an escape
 * with spaces, so that reading can go on behind it.
 *
 * Returns false when a quote, a comment or a { is not closed: the text then ends too early.
 */
bool tm_conf_scan(char *text, tm_conf_scan_report *report, void *arg);

#endif
