/*
 * Keys in memory. A key's public part finds its line in a sorted table; only the SHA-256 of
 * the whole key decides, compared in constant time. Secrets of the environment are hashed at
 * start as well, so that the same comparison serves both, and both are always made: how
 * long an answer takes says nothing about which key was nearly right.
 */
#include "gate/keys.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "gate/keys_file.h"

enum { REFRESH_MS = 5000, ENV_MIN = 16, ENV_MAX = 256, PREFIX = 3 /* "tm_" */ };

/* A key of the environment. */
struct env_key {
	bool set;
	uint8_t hash[TM_SHA256_BYTES];
	struct tm_principal owner;
};

struct tm_keys {
	const char *path;	/* keys file, "" for none; the settings' */
	struct env_key admin, user;
	struct tm_keys_table table;
	struct stat seen;	/* of the file as last read, well or not; zeroed: not there */
	bool unread;		/* it could not be read then */
	int64_t looked_ms;
};

static void tell(tm_keys_report *report, void *arg, const char *text)
{
	if (report)
		report(arg, text);
}

static enum tm_err take_env(struct env_key *key, const char *name, const char *secret,
			    const struct tm_principal *owner, tm_keys_report *report, void *arg)
{
	size_t len = secret ? strlen(secret) : 0;
	bool visible = true;
	char text[96];

	if (len == 0)
		return TM_OK;
	for (size_t i = 0; i < len; i++)
		visible = visible && secret[i] > ' ' && secret[i] < 0x7f;
	if (len < ENV_MIN || len > ENV_MAX || !visible) {
		(void)snprintf(text, sizeof(text), "%s: takes %d to %d visible ASCII characters",
			       name, ENV_MIN, ENV_MAX);
		tell(report, arg, text);
		return TM_EINVAL;
	}
	tm_digest_sha256(secret, len, key->hash);
	key->owner = *owner;
	key->set = true;
	return TM_OK;
}

static enum tm_err take_environment(struct tm_keys *keys, const struct tm_settings *settings,
				    tm_keys_report *report, void *arg)
{
	const struct tm_principal admin = {
		.id = "env-admin", .user = "admin",
		.permissions = TM_PERM_READ | TM_PERM_WRITE | TM_PERM_ADMIN,
		.hour = settings->limit.admin_hour,
	};
	const struct tm_principal user = {
		.id = "env-user", .user = "user", .permissions = TM_PERM_READ | TM_PERM_WRITE,
	};
	enum tm_err err, other;

	err = take_env(&keys->admin, "ADMIN_API_KEY", settings->auth.admin_key, &admin, report,
		       arg);
	other = take_env(&keys->user, "USER_API_KEY", settings->auth.user_key, &user, report, arg);
	if (keys->admin.set && keys->user.set &&
	    tm_digest_equal(keys->admin.hash, keys->user.hash, TM_SHA256_BYTES)) {
		tell(report, arg, "USER_API_KEY: is the same as ADMIN_API_KEY");
		other = TM_EINVAL;
	}
	return err ? err : other;
}

/* Tells when nobody could call. */
static bool has_none(const struct tm_keys *keys, const struct tm_settings *settings,
		     tm_keys_report *report, void *arg)
{
	if (settings->auth.mode == TM_AUTH_OFF || keys->admin.set || keys->user.set ||
	    keys->table.count > 0)
		return false;
	tell(report, arg,
	     "no API key is configured: set ADMIN_API_KEY or USER_API_KEY in the environment, "
	     "name an auth.keys_file with at least one key, or set auth.mode = off");
	return true;
}

static const char *path_of(const struct tm_settings *settings)
{
	return settings->auth.keys_file ? settings->auth.keys_file : "";
}

enum tm_err tm_keys_check(const struct tm_settings *settings, tm_keys_report *report, void *arg)
{
	struct tm_keys keys = {.path = path_of(settings)};
	enum tm_err err = take_environment(&keys, settings, report, arg), file_err = TM_OK;

	if (keys.path[0])
		file_err = tm_keys_file_read(keys.path, &keys.table, report, arg);
	if (err == TM_OK)
		err = file_err;
	if (err == TM_OK && has_none(&keys, settings, report, arg))
		err = TM_ENOENT;
	tm_keys_table_clear(&keys.table);
	return err;
}

void tm_keys_free(struct tm_keys *keys)
{
	if (!keys)
		return;
	tm_keys_table_clear(&keys->table);
	free(keys);
}

/* The time of change, not of modification: chmod can make a file readable. */
static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void tell_read(const struct tm_keys *keys, enum tm_err err, tm_keys_report *report,
		      void *arg)
{
	if (err == TM_EIO)
		tell(report, arg, "no key of the keys file counts until it can be read");
	else if (err == TM_EINVAL)
		tell(report, arg, keys->table.count > 0
			     ? "lines of the keys file with a mistake do not count, the others do"
			     : "no line of the keys file counts");
}

/*
 * Takes what the file holds now. Keys that were read before are kept only where memory is short:
 * a line that went, or went bad, is a key that was withdrawn, and a new worker would not know it
 * either. What changes after the look is seen by the next one.
 */
static enum tm_err look(struct tm_keys *keys, tm_keys_report *report, void *arg)
{
	struct tm_keys_table table = {0};
	struct stat now;
	enum tm_err err;

	if (stat(keys->path, &now) != 0)
		now = (struct stat){0};
	if (same_file(&now, &keys->seen)) {
		if (!keys->unread)
			return TM_OK;
		report = NULL;	/* known */
	}
	err = tm_keys_file_read(keys->path, &table, report, arg);
	if (err == TM_ENOMEM)
		return err;
	tm_keys_table_clear(&keys->table);
	keys->table = table;
	keys->seen = now;
	keys->unread = err == TM_EIO;
	tell_read(keys, err, report, arg);
	return TM_OK;
}

enum tm_err tm_keys_new(struct tm_keys **out, const struct tm_settings *settings,
			tm_keys_report *report, void *arg)
{
	struct tm_keys *keys = calloc(1, sizeof(*keys));
	enum tm_err err;

	if (!keys)
		return TM_ENOMEM;
	keys->path = path_of(settings);
	keys->looked_ms = tm_clock_mono_ms();
	keys->seen.st_size = -1;	/* like no file's */
	err = take_environment(keys, settings, report, arg);
	if (err == TM_OK && keys->path[0])
		err = look(keys, report, arg);
	if (err) {
		tm_keys_free(keys);
		return err;
	}
	(void)has_none(keys, settings, report, arg);
	*out = keys;
	return TM_OK;
}

void tm_keys_refresh(struct tm_keys *keys, tm_keys_report *report, void *arg)
{
	int64_t now_ms = tm_clock_mono_ms();

	if (!keys->path[0] || now_ms - keys->looked_ms < REFRESH_MS)
		return;
	keys->looked_ms = now_ms;
	if (look(keys, report, arg) != TM_OK)
		tell(report, arg, "out of memory: the keys file is looked at again later");
}

static void fill_principal(struct tm_principal *out, const struct tm_keys_entry *entry)
{
	*out = (struct tm_principal){
		.permissions = entry->permissions, .hour = entry->hour,
		.expires_ms = entry->expires_ms,
	};
	memcpy(out->id, entry->id, sizeof(entry->id));
	memcpy(out->user, entry->user, sizeof(entry->user));
}

/* len characters of base62. */
static bool is_base62(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
			return false;
	}
	return true;
}

/* tm_<public>_ and something. */
static bool has_public(const char *key, size_t len)
{
	return len > PREFIX + TM_KEY_PUBLIC + 1 && memcmp(key, "tm_", PREFIX) == 0 &&
	       key[PREFIX + TM_KEY_PUBLIC] == '_' && is_base62(key + PREFIX, TM_KEY_PUBLIC);
}

enum tm_err tm_keys_find(const struct tm_keys *keys, const char *presented,
			 struct tm_principal *out)
{
	size_t len = strnlen(presented, ENV_MAX + 1);
	const struct tm_keys_entry *entry = NULL;
	uint8_t hash[TM_SHA256_BYTES];
	bool admin, user, listed;

	if (len == 0 || len > ENV_MAX)
		return TM_DENIED;
	tm_digest_sha256(presented, len, hash);
	if (has_public(presented, len))
		entry = tm_keys_table_find(&keys->table, presented + PREFIX);
	admin = tm_digest_equal(hash, keys->admin.hash, sizeof(hash)) && keys->admin.set;
	user = tm_digest_equal(hash, keys->user.hash, sizeof(hash)) && keys->user.set;
	listed = entry && tm_digest_equal(hash, entry->hash, sizeof(hash)) &&
		 (entry->expires_ms == 0 || entry->expires_ms > tm_clock_wall_ms());
	tm_digest_wipe(hash, sizeof(hash));

	if (admin)
		*out = keys->admin.owner;
	else if (user)
		*out = keys->user.owner;
	else if (listed)
		fill_principal(out, entry);
	return admin || user || listed ? TM_OK : TM_DENIED;
}

/* Six digits, least first, of the first 64 bits (big-endian) of the SHA-256 of what stands
 * before them. */
static void make_checksum(const char *key, char out[TM_KEY_CHECK])
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint8_t hash[TM_SHA256_BYTES];
	uint64_t number = 0;

	tm_digest_sha256(key, TM_KEY_BYTES - 1 - TM_KEY_CHECK, hash);
	for (int i = 0; i < 8; i++)
		number = number << 8 | hash[i];
	for (int i = 0; i < TM_KEY_CHECK; i++) {
		out[i] = digits[number % 62];
		number /= 62;
	}
}

enum tm_err tm_key_make(char out[TM_KEY_BYTES])
{
	enum tm_err err;

	memcpy(out, "tm_", PREFIX);
	err = tm_digest_random_base62(out + PREFIX, TM_KEY_PUBLIC);
	if (err == TM_OK) {
		out[PREFIX + TM_KEY_PUBLIC] = '_';
		err = tm_digest_random_base62(out + PREFIX + TM_KEY_PUBLIC + 1, TM_KEY_SECRET);
	}
	if (err) {
		tm_digest_wipe(out, TM_KEY_BYTES);
		return TM_EIO;
	}
	make_checksum(out, out + TM_KEY_BYTES - 1 - TM_KEY_CHECK);
	out[TM_KEY_BYTES - 1] = '\0';
	return TM_OK;
}

int tm_key_well_formed(const char *key)
{
	size_t len = strnlen(key, TM_KEY_BYTES);
	char check[TM_KEY_CHECK];

	if (len != TM_KEY_BYTES - 1 || !has_public(key, len) ||
	    !is_base62(key + PREFIX + TM_KEY_PUBLIC + 1, TM_KEY_SECRET + TM_KEY_CHECK))
		return 0;
	make_checksum(key, check);
	return memcmp(check, key + TM_KEY_BYTES - 1 - TM_KEY_CHECK, TM_KEY_CHECK) == 0;
}

void tm_key_line(struct tm_buf *out, const char *key, const struct tm_principal *owner)
{
	uint8_t hash[TM_SHA256_BYTES];
	char hex[TM_SHA256_HEX_BYTES], when[TM_CLOCK_ISO_BYTES];
	const char *comma = "";

	tm_digest_sha256(key, strlen(key), hash);
	tm_buf_printf(out, "%.*s sha256=%s user=%s permissions=", TM_KEY_PUBLIC, key + PREFIX,
		      tm_digest_hex(hash, sizeof(hash), hex), owner->user);
	for (unsigned i = 0; tm_keys_permissions[i]; i++) {
		if (!(owner->permissions & 1u << i))
			continue;
		tm_buf_printf(out, "%s%s", comma, tm_keys_permissions[i]);
		comma = ",";
	}
	if (owner->hour > 0)
		tm_buf_printf(out, " hour=%lld", (long long)owner->hour);
	if (owner->expires_ms > 0)
		tm_buf_printf(out, " expires=%s", tm_clock_iso(owner->expires_ms, when));
	tm_buf_putc(out, '\n');
}
