/* The keys file: one line per key. Internal to gate/keys. */
#ifndef TM_GATE_KEYS_FILE_H
#define TM_GATE_KEYS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "gate/keys.h"

enum { TM_KEYS_FILE_MAX = 10000, TM_KEYS_LINE_BYTES = 1024 };

struct tm_keys_entry {
	uint8_t hash[TM_SHA256_BYTES];	/* of the whole key */
	int64_t hour, expires_ms;
	uint8_t permissions;
	char id[TM_KEY_PUBLIC + 1];
	char user[TM_KEY_USER_BYTES];
	int line;
};

struct tm_keys_table {
	struct tm_keys_entry *entries;	/* sorted by id */
	size_t count;
};

/*
 * Reads a whole file.
 *
 * TM_OK and *out (tm_keys_table_clear); TM_EINVAL mistakes, all reported, and *out has the lines
 * without one; TM_EIO cannot be read, reported; TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_keys_file_read(const char *path, struct tm_keys_table *out,
				       tm_keys_report *report, void *arg);
void tm_keys_table_clear(struct tm_keys_table *table);

/* The entry of a public id (TM_KEY_PUBLIC characters), or NULL. */
const struct tm_keys_entry *tm_keys_table_find(const struct tm_keys_table *table, const char *id);

/* 1..64 of [0-9A-Za-z_.@+-]: what a user may be called. */
int tm_keys_user_ok(const char *user);

/* Names of the permissions, NULL-terminated, in the order of their bits. */
extern const char *const tm_keys_permissions[];

#endif
