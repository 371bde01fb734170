/* The store of authorities' certificates: read once, read again when the file has changed. */
#include "io/ca.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <unistd.h>

static char path[] = "/tmp/tm-ca-XXXXXX";
static SSL_CTX *ctx;

static void begin(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	(void)close(fd);
	ctx = SSL_CTX_new(TLS_client_method());
	cr_assert(ctx);
}

static void end(void)
{
	tm_ca_free();
	SSL_CTX_free(ctx);
	(void)unlink(path);
}

/* A self-signed certificate, which also stands in the file. */
static X509 *write_authority(const char *name)
{
	X509 *made = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_NAME *subject = X509_get_subject_name(made);
	FILE *out = fopen(path, "we");

	cr_assert(made && key && out);
	(void)X509_gmtime_adj(X509_getm_notBefore(made), -60);
	(void)X509_gmtime_adj(X509_getm_notAfter(made), 3600);
	(void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
					 -1, -1, 0);
	(void)X509_set_issuer_name(made, subject);
	(void)X509_set_pubkey(made, key);
	cr_assert(X509_sign(made, key, EVP_sha256()));
	cr_assert(PEM_write_X509(out, made));
	(void)fclose(out);
	EVP_PKEY_free(key);
	return made;
}

/* Whether a connection that was given the store would take the certificate. */
static bool trusts(X509 *certificate)
{
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	bool good;

	cr_assert_eq(X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(ctx), certificate, NULL), 1);
	good = X509_verify_cert(check) == 1;
	X509_STORE_CTX_free(check);
	return good;
}

Test(ca, store_is_given_to_connections, .init = begin, .fini = end)
{
	X509 *known = write_authority("known");

	cr_assert_not(trusts(known));
	cr_assert_eq(tm_ca_load(path), TM_OK);
	cr_assert_eq(tm_ca_use(path, ctx), TM_OK);
	cr_assert(trusts(known));
	X509_free(known);
}

Test(ca, file_is_read_by_who_needs_it, .init = begin, .fini = end)
{
	X509 *known = write_authority("known");

	cr_assert_eq(tm_ca_use(path, ctx), TM_OK);
	cr_assert(trusts(known));
	X509_free(known);
}

Test(ca, changed_file_is_read_again_a_spoilt_or_lost_one_is_not_missed, .init = begin, .fini = end)
{
	X509 *old = write_authority("old"), *later;

	cr_assert_eq(tm_ca_load(path), TM_OK);
	later = write_authority("a later one, of another length");
	cr_assert_eq(tm_ca_use(path, ctx), TM_OK);
	cr_assert(trusts(later) && !trusts(old));
	cr_assert_eq(truncate(path, 0), 0);
	cr_assert_eq(tm_ca_use(path, ctx), TM_OK);
	cr_assert(trusts(later));
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(tm_ca_use(path, ctx), TM_OK);
	cr_assert(trusts(later));
	X509_free(old);
	X509_free(later);
}

Test(ca, file_without_certificates_is_refused, .init = begin, .fini = end)
{
	cr_assert_eq(tm_ca_use("/nowhere/ca.pem", ctx), TM_EINVAL);
	cr_assert_eq(tm_ca_use(path, ctx), TM_EINVAL, "an empty one");
}

Test(ca, only_the_library_we_are_linked_to_fits)
{
	char ours[32];

	(void)snprintf(ours, sizeof(ours), "OpenSSL/%lu.0.1", OpenSSL_version_num() >> 28);
	cr_assert(tm_ca_fits(ours));
	cr_assert_not(tm_ca_fits("OpenSSL/0.9.8"));
	cr_assert_not(tm_ca_fits("GnuTLS/3.7.9"));
	cr_assert_not(tm_ca_fits(NULL));
}
