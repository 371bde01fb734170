/*
 * The certificates of authorities that TLS servers are checked against, read once for all
 * connections: reading the system's takes 20 ms of processor time and, with libssl's algorithms,
 * more than a megabyte, which processes that are forked afterwards share. The only file that knows
 * libssl.
 */
#ifndef TM_IO_CA_H
#define TM_IO_CA_H

#include <stdbool.h>

#include "base/err.h"

/* Whether a library that calls itself so, such as "OpenSSL/3.0.17", is the one that this program
 * is linked to: only its connections can be given our store. */
bool tm_ca_fits(const char *library);

/* Reads file (PEM), and gets libssl ready. TM_OK; TM_EINVAL it cannot be read or holds no
 * certificate; TM_ENOMEM. */
TM_CHECK enum tm_err tm_ca_load(const char *file);

/* Gives a connection's SSL_CTX the certificates of file, which is read where it has not been or
 * has changed since. One that is gone or spoilt leaves what was read in force. As tm_ca_load. */
TM_CHECK enum tm_err tm_ca_use(const char *file, void *ssl_ctx);

void tm_ca_free(void);

#endif
