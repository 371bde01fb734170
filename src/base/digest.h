/*
 * SHA-256, random bytes, constant-time comparison, base62.
 * The only file that knows OpenSSL (libcrypto).
 */
#ifndef TM_BASE_DIGEST_H
#define TM_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { TM_SHA256_BYTES = 32, TM_SHA256_HEX_BYTES = 65 /* with the NUL */ };

/*
 * A hash in the making: init, then any number of start, put..., final; owns memory until clear.
 *
 * Should libcrypto fail half-way (it does not, short of a broken provider), final gives random
 * bytes: a hash that is equal to no other opens no door and shares no cache entry.
 */
struct tm_sha256 {
	void *ctx;
};

TM_CHECK enum tm_err tm_sha256_init(struct tm_sha256 *hash);	/* TM_ENOMEM */
void tm_sha256_start(struct tm_sha256 *hash);
void tm_sha256_put(struct tm_sha256 *hash, const void *data, size_t len);
void tm_sha256_final(struct tm_sha256 *hash, uint8_t out[TM_SHA256_BYTES]);
void tm_sha256_clear(struct tm_sha256 *hash);

/* In one step; the same when libcrypto fails. */
void tm_digest_sha256(const void *data, size_t len, uint8_t out[TM_SHA256_BYTES]);

/* Lower-case hex with a NUL: out holds 2 * len + 1 bytes. Returns out. */
char *tm_digest_hex(const uint8_t *bytes, size_t len, char *out);

/* Reads exactly 2 * len hex digits, either case. TM_EINVAL otherwise. */
TM_CHECK enum tm_err tm_digest_unhex(const char *hex, uint8_t *bytes, size_t len);

/* True when equal; takes the same time whatever the content. */
bool tm_digest_equal(const void *a, const void *b, size_t len);

/* Random bytes fit for secrets. TM_EIO: the system has none. */
TM_CHECK enum tm_err tm_digest_random(void *out, size_t len);

/* len random characters of [0-9A-Za-z], evenly spread, and a NUL. As tm_digest_random. */
TM_CHECK enum tm_err tm_digest_random_base62(char *out, size_t len);

/* Overwrites a secret in a way the compiler does not remove. */
void tm_digest_wipe(void *data, size_t len);

/* Cheap random numbers for jitter and ids, not for secrets; seeded per process by first
 * use, and again in a child after tm_random_reseed. */
uint64_t tm_random_u64(void);
void tm_random_hex(char out[33]);	/* 32 lower-case digits and a NUL */
double tm_random_unit(void);	/* in [0, 1) */
void tm_random_reseed(void);

#endif
