/*
 * One store per process, of one file: the system's. OpenSSL counts its uses, so that one that is
 * replaced lives as long as the connections that have it.
 */
#include "io/ca.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct {
	X509_STORE *store;	/* NULL: nothing is read yet */
	struct stat about;	/* of the file when it was read */
} loaded;

bool tm_ca_fits(const char *library)
{
	char ours[32];

	(void)snprintf(ours, sizeof(ours), "OpenSSL/%lu.", OpenSSL_version_num() >> 28);
	return library && strncmp(library, ours, strlen(ours)) == 0;
}

/*
 * The first context fetches all algorithms of TLS, half a megabyte, which stay fetched. That is to
 * come after the certificates: it fills the holes in the heap that reading them has left, where
 * else the children would allocate and so unshare the pages of the store.
 */
static void fetch_algorithms(void)
{
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
}

enum tm_err tm_ca_load(const char *file)
{
	X509_STORE *store = X509_STORE_new();
	struct stat about;

	if (!store)
		return TM_ENOMEM;
	if (stat(file, &about) || X509_STORE_load_locations(store, file, NULL) != 1) {
		X509_STORE_free(store);
		return TM_EINVAL;
	}
	/* An intermediate certificate in the file is trusted as it is, like curl does. */
	(void)X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	fetch_algorithms();
	tm_ca_free();
	loaded.store = store;
	loaded.about = about;
	return TM_OK;
}

static bool changed(const char *file)
{
	const struct stat *then = &loaded.about;
	struct stat now;

	return stat(file, &now) == 0 &&
	       (now.st_dev != then->st_dev || now.st_ino != then->st_ino ||
		now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
		now.st_mtim.tv_nsec != then->st_mtim.tv_nsec);
}

enum tm_err tm_ca_use(const char *file, void *ssl_ctx)
{
	enum tm_err err = TM_OK;

	if (!loaded.store || changed(file))
		err = tm_ca_load(file);
	if (loaded.store) {
		SSL_CTX_set1_cert_store(ssl_ctx, loaded.store);
		err = TM_OK;
	}
	return err;
}

void tm_ca_free(void)
{
	X509_STORE_free(loaded.store);
	loaded.store = NULL;
}
