/*
 * Hashing and randomness from libcrypto.
 *
 * The algorithm is fetched once (OpenSSL 3 searches its providers for every implicit fetch,
 * which costs more than hashing a short text) and contexts are reused. tm_digest_sha256 works
 * in one context of the process: a process is single-threaded.
 * The cheap generator is xoshiro256** (Blackman and Vigna, 2018), seeded by the kernel.
 */
#include "base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

static struct {
	bool seeded;
	uint64_t word[4];
} generator;

/* NULL when libcrypto has no SHA-256 to give. */
static const EVP_MD *sha256(void)
{
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
	static EVP_MD *fetched;

	if (!fetched)
		fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
	return fetched;
#else
	return EVP_sha256();
#endif
}

enum tm_err tm_sha256_init(struct tm_sha256 *hash)
{
	hash->ctx = EVP_MD_CTX_new();
	if (!hash->ctx)
		return TM_ENOMEM;
	tm_sha256_start(hash);
	return hash->ctx ? TM_OK : TM_ENOMEM;
}

void tm_sha256_clear(struct tm_sha256 *hash)
{
	EVP_MD_CTX_free(hash->ctx);
	hash->ctx = NULL;
}

void tm_sha256_start(struct tm_sha256 *hash)
{
	const EVP_MD *algorithm = sha256();

	if (!hash->ctx)
		hash->ctx = EVP_MD_CTX_new();
	if (hash->ctx && (!algorithm || EVP_DigestInit_ex(hash->ctx, algorithm, NULL) != 1))
		tm_sha256_clear(hash);
}

void tm_sha256_put(struct tm_sha256 *hash, const void *data, size_t len)
{
	if (hash->ctx && EVP_DigestUpdate(hash->ctx, data, len) != 1)
		tm_sha256_clear(hash);
}

void tm_sha256_final(struct tm_sha256 *hash, uint8_t out[TM_SHA256_BYTES])
{
	uint64_t word;

	if (hash->ctx && EVP_DigestFinal_ex(hash->ctx, out, NULL) == 1)
		return;
	tm_sha256_clear(hash);
	for (size_t i = 0; i < TM_SHA256_BYTES; i += sizeof(word)) {
		word = tm_random_u64();
		memcpy(out + i, &word, sizeof(word));
	}
}

void tm_digest_sha256(const void *data, size_t len, uint8_t out[TM_SHA256_BYTES])
{
	static struct tm_sha256 hash;

	tm_sha256_start(&hash);
	tm_sha256_put(&hash, data, len);
	tm_sha256_final(&hash, out);
}

char *tm_digest_hex(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
	return out;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum tm_err tm_digest_unhex(const char *hex, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(hex[2 * i]);
		int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);

		if (low < 0)
			return TM_EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return hex[2 * len] == '\0' ? TM_OK : TM_EINVAL;
}

bool tm_digest_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

enum tm_err tm_digest_random(void *out, size_t len)
{
	unsigned char *at = out;

	while (len > 0) {
		int part = len > 4096 ? 4096 : (int)len;

		if (RAND_bytes(at, part) != 1)
			return TM_EIO;
		at += part;
		len -= (size_t)part;
	}
	return TM_OK;
}

enum tm_err tm_digest_random_base62(char *out, size_t len)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	enum { EVEN = 256 / 62 * 62 };	/* bytes above would make the first digits likelier */
	unsigned char bytes[64];
	size_t done = 0;
	enum tm_err err = TM_OK;

	while (done < len) {
		err = tm_digest_random(bytes, sizeof(bytes));
		if (err != TM_OK)
			goto out;
		for (size_t i = 0; i < sizeof(bytes) && done < len; i++)
			if (bytes[i] < EVEN)
				out[done++] = digits[bytes[i] % 62];
	}
out:
	out[done] = '\0';
	tm_digest_wipe(bytes, sizeof(bytes));
	return err;
}

void tm_digest_wipe(void *data, size_t len)
{
	OPENSSL_cleanse(data, len);
}

static void seed(void)
{
	ssize_t got;

	do {
		got = getrandom(generator.word, sizeof(generator.word), 0);
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(generator.word)) {
		generator.word[0] = (uint64_t)tm_clock_mono_us();
		generator.word[1] = (uint64_t)tm_clock_wall_ms();
		generator.word[2] = (uint64_t)getpid();
		generator.word[3] = UINT64_C(0x9E3779B97F4A7C15);
	}
	generator.seeded = true;
}

static uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

uint64_t tm_random_u64(void)
{
	uint64_t *word = generator.word;
	uint64_t result, shifted;

	if (!generator.seeded)
		seed();
	result = rotate(word[1] * 5, 7) * 9;
	shifted = word[1] << 17;
	word[2] ^= word[0];
	word[3] ^= word[1];
	word[1] ^= word[2];
	word[0] ^= word[3];
	word[2] ^= shifted;
	word[3] = rotate(word[3], 45);
	return result;
}

void tm_random_hex(char out[33])
{
	const uint64_t words[2] = {tm_random_u64(), tm_random_u64()};

	tm_digest_hex((const uint8_t *)words, sizeof(words), out);
}

double tm_random_unit(void)
{
	return (double)(tm_random_u64() >> 11) * 0x1.0p-53;
}

void tm_random_reseed(void)
{
	generator.seeded = false;
}
