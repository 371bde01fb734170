/* The standard descriptors: a starter may have closed them. */
#ifndef TM_BASE_FDS_H
#define TM_BASE_FDS_H

#include "base/err.h"

/*
 * Opens /dev/null in place of each of 0, 1 and 2 that is closed, for reading only: input is at
 * its end, output fails and is told as lost. First thing in a program: the next file or socket
 * that is opened would become its input or output. TM_OK; TM_EIO, errno says why.
 */
TM_CHECK enum tm_err tm_fds_fill(void);

#endif
