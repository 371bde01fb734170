/*
 * API keys: who is calling and what they may do. Keys of the environment and of the keys file
 * are in memory as SHA-256; a presented key is compared in constant time.
 */
#ifndef TM_GATE_KEYS_H
#define TM_GATE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/settings.h"

enum { TM_PERM_READ = 1, TM_PERM_WRITE = 2, TM_PERM_ADMIN = 4 };

enum {
	TM_KEY_PUBLIC = 12, TM_KEY_SECRET = 40, TM_KEY_CHECK = 6,
	TM_KEY_BYTES = 3 + TM_KEY_PUBLIC + 1 + TM_KEY_SECRET + TM_KEY_CHECK + 1, /* with NUL */
	TM_KEY_ID_BYTES = 65, TM_KEY_USER_BYTES = 65
};

/* The caller of a request. */
struct tm_principal {
	char id[TM_KEY_ID_BYTES];	/* public id: [0-9A-Za-z_-]; safe in logs */
	char user[TM_KEY_USER_BYTES];	/* owner: cache tenant, history, batches */
	unsigned permissions;		/* TM_PERM_* */
	int64_t hour;			/* own requests per hour; 0: limit.hour */
	int64_t expires_ms;		/* wall clock; 0: never */
};

struct tm_keys;

/* Told of each mistake in the keys file: "file:line: text", no secret in it. */
typedef void tm_keys_report(void *arg, const char *text);

/*
 * Checks ADMIN_API_KEY, USER_API_KEY and auth.keys_file as the start of the program does, so that
 * a mistake is seen by who made it.
 *
 * TM_OK; TM_EINVAL mistakes, all reported; TM_ENOENT no key at all is configured (reported, with
 * what to do) and auth.mode is not off; TM_EIO the file cannot be read, reported; TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_keys_check(const struct tm_settings *settings, tm_keys_report *report,
				   void *arg);

/*
 * Loads the same for a process that serves. The file may have changed since the start, and one
 * bad line must not end the service of all: the lines without a mistake count; of a file that
 * cannot be read no key counts. settings is borrowed and must outlive it.
 *
 * TM_OK and *out (tm_keys_free), even without any key, what is wrong reported; TM_EINVAL a mistake
 * in a key of the environment, reported; TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_keys_new(struct tm_keys **out, const struct tm_settings *settings,
				 tm_keys_report *report, void *arg);
void tm_keys_free(struct tm_keys *keys);

/* Reads the keys file again if it has changed, as tm_keys_new does, or could not be read; looks
 * at most every 5 s. What is wrong is reported once. */
void tm_keys_refresh(struct tm_keys *keys, tm_keys_report *report, void *arg);

/*
 * Finds the owner of a presented key.
 *
 * presented  what the client sent; any bytes
 *
 * TM_OK and *out; TM_DENIED unknown, malformed or expired (wall clock).
 */
TM_CHECK enum tm_err tm_keys_find(const struct tm_keys *keys, const char *presented,
				  struct tm_principal *out);

/* A new random key, tm_<12 public>_<40 secret><6 checksum>. TM_OK or TM_EIO. */
TM_CHECK enum tm_err tm_key_make(char out[TM_KEY_BYTES]);

/* True when key has the form of tm_key_make's and its checksum is right: a typo shows. */
int tm_key_well_formed(const char *key);

struct tm_buf;
/* The line of the keys file for a key: "<public> sha256=<hex> user=... permissions=...
 * [hour=...] [expires=...]" and a newline. */
void tm_key_line(struct tm_buf *out, const char *key, const struct tm_principal *owner);

#endif
