/* Plain CGI (RFC 3875): the request is this process' environment and standard input. */
#ifndef TM_IO_CGI_H
#define TM_IO_CGI_H

#include "io/exchange.h"

/* The one exchange of this process. env, NAME=value strings with a NULL behind, must outlive it. */
void tm_cgi_open(struct tm_exchange *out, char *const *env);

#endif
