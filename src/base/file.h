/* Opening files that a sysadmin names, whatever stands in their place. */
#ifndef TM_BASE_FILE_H
#define TM_BASE_FILE_H

#include <sys/stat.h>

/*
 * Opens a regular file to be read. Never waits, as opening a FIFO would.
 *
 * about  filled where the file could be opened
 *
 * The descriptor; -1 with errno: EISDIR a folder, EINVAL another thing that is no regular file.
 */
int tm_file_open(const char *path, struct stat *about);

/* An errno of tm_file_open, or of reading such a file, in words. */
const char *tm_file_error(int error);

#endif
