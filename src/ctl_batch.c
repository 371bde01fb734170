/*
 * textmillctl batch list, show, cancel: what lies in Redis, of all users. A batch is named as its
 * user named it; where two users have the same name, --user tells which.
 */
#include <stdio.h>
#include <string.h>

#include "api/batch.h"
#include "base/clock.h"
#include "ctl.h"
#include "flow/jobs_view.h"
#include "io/redis.h"

enum { LIST_PAGE = 500, ARENA_MAX = 256 * 1024 * 1024, USER_BYTES = 65 };

/* What the three commands work with. */
struct ctl {
	struct tm_settings settings;
	struct tm_redis *redis;
	struct tm_arena arena;
	const char *file, *user, *id;
};

static int say(const char *what, const char *which)
{
	(void)fprintf(stderr, "textmillctl: %s%s%s\n", what, which[0] ? " " : "", which);
	return TM_CTL_FAILED;
}

static int read_words(const struct tm_ctl_command *command, int argc, char **argv, bool wants_id,
		      struct ctl *ctl)
{
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":c:", command->known, NULL)) != -1) {
		if (letter == 'c')
			ctl->file = optarg;
		else if (letter == 'u')
			ctl->user = optarg;
		else
			return tm_ctl_usage(command, letter == ':' ? "a value is missing behind"
					    : "unknown option", argv[optind - 1]);
	}
	if (wants_id && optind < argc)
		ctl->id = argv[optind++];
	if (optind < argc)
		return tm_ctl_usage(command, "unexpected word", argv[optind]);
	if (wants_id && !ctl->id)
		return tm_ctl_usage(command, "the ID of a batch is missing", NULL);
	return TM_CTL_DONE;
}

static int open_redis(struct ctl *ctl)
{
	const struct tm_settings *settings = &ctl->settings;
	const struct tm_redis_conf redis = {
		.url = settings->redis.url,
		.username = settings->redis.username,
		.password = settings->redis.password,
		.timeout_ms = settings->redis.timeout_ms < 5000 ? 5000 : settings->redis.timeout_ms,
	};

	tm_arena_init(&ctl->arena, ARENA_MAX);
	return tm_redis_new(&ctl->redis, &redis) == TM_OK ? TM_CTL_DONE
							  : say("cannot set up Redis", "");
}

static int start(const struct tm_ctl_command *command, int argc, char **argv, bool wants_id,
		 struct ctl *ctl)
{
	int status = read_words(command, argc, argv, wants_id, ctl);

	if (status == TM_CTL_DONE)
		status = tm_ctl_load(ctl->file, &ctl->settings);
	if (status == TM_CTL_DONE)
		status = open_redis(ctl);
	return status;
}

static int end(struct ctl *ctl, int status)
{
	tm_redis_free(ctl->redis);
	tm_arena_clear(&ctl->arena);
	tm_settings_clear(&ctl->settings);
	return status == TM_CTL_DONE ? tm_ctl_finish_output() : status;
}

static int say_redis(const struct ctl *ctl, enum tm_err err)
{
	const char *why = tm_redis_error(ctl->redis);

	return say("Redis:", why[0] ? why : tm_err_text(err));
}

/* "tm:batch:{ann:b1}" to user and id; false for something else. */
static bool split(const char *key, char user[USER_BYTES], const char **id, size_t *id_len)
{
	const char *open = strchr(key, '{'), *close = strrchr(key, '}'), *colon = close;

	while (open && colon && colon > open && *colon != ':')
		colon--;
	if (!open || !close || colon == open || colon - open > USER_BYTES)
		return false;
	(void)snprintf(user, USER_BYTES, "%.*s", (int)(colon - open - 1), open + 1);
	*id = colon + 1;
	*id_len = (size_t)(close - *id);
	return true;
}

static void print_row(const char *key, const struct tm_jobs_view *view)
{
	char user[USER_BYTES], iso[TM_CLOCK_ISO_BYTES];
	const char *id;
	size_t len;

	if (!split(key, user, &id, &len))
		return;
	(void)printf("%-24.*s %-16s %-10s %6lld %6lld %6lld  %s%s%s\n", (int)len, id, user,
		     view->status, (long long)view->total, (long long)view->completed,
		     (long long)view->failed, tm_clock_iso(view->created_ms, iso),
		     view->waiting[0] ? "  waits: " : "", view->waiting);
}

/* One page of the list. *count 0 at its end. */
static enum tm_err print_page(struct ctl *ctl, size_t skip, size_t *count)
{
	const char *prefix = ctl->settings.redis.prefix;
	const char **keys;
	enum tm_err err;

	tm_arena_reset(&ctl->arena);
	err = tm_jobs_list(ctl->redis, prefix, skip, LIST_PAGE, &ctl->arena, &keys, count);
	for (size_t i = 0; err == TM_OK && i < *count; i++) {
		char user[USER_BYTES];
		struct tm_jobs_view view;
		const char *id;
		size_t len;

		if (!split(keys[i], user, &id, &len) || (ctl->user && strcmp(user, ctl->user) != 0))
			continue;
		err = tm_jobs_look(ctl->redis, prefix, keys[i], false, &ctl->arena, &view);
		if (err == TM_OK)
			print_row(keys[i], &view);
		else if (err == TM_ENOENT)
			err = TM_OK;	/* expired */
	}
	return err;
}

int tm_ctl_batch_list(const struct tm_ctl_command *command, int argc, char **argv)
{
	struct ctl ctl = {0};
	int status = start(command, argc, argv, false, &ctl);
	enum tm_err err = TM_OK;
	size_t skip = 0, count = 1;

	if (status == TM_CTL_DONE)
		(void)printf("%-24s %-16s %-10s %6s %6s %6s  %s\n", "BATCH", "USER", "STATUS",
			     "ITEMS", "DONE", "FAILED", "CREATED");
	for (; status == TM_CTL_DONE && err == TM_OK && count > 0; skip += count)
		err = print_page(&ctl, skip, &count);
	if (err != TM_OK)
		status = say_redis(&ctl, err);
	return end(&ctl, status);
}

/* The claim of the batch that is meant. */
static int find(struct ctl *ctl, char key[TM_BATCH_KEY_BYTES])
{
	const char *prefix = ctl->settings.redis.prefix, **keys, *id;
	size_t count = 1, len, found = 0;
	char user[USER_BYTES];

	if (ctl->user) {
		tm_batch_key(prefix, ctl->user, ctl->id, key);
		return TM_CTL_DONE;
	}
	for (size_t skip = 0; count > 0; skip += count) {
		enum tm_err err = tm_jobs_list(ctl->redis, prefix, skip, LIST_PAGE, &ctl->arena,
					       &keys, &count);

		if (err != TM_OK)
			return say_redis(ctl, err);
		for (size_t i = 0; i < count; i++) {
			if (!split(keys[i], user, &id, &len) || strlen(ctl->id) != len ||
			    memcmp(id, ctl->id, len) != 0)
				continue;
			found++;
			tm_batch_key(prefix, user, ctl->id, key);
		}
	}
	if (found == 0)
		return say("no such asynchronous batch:", ctl->id);
	return found == 1 ? TM_CTL_DONE
			  : say("several users have a batch of that name: say --user NAME", "");
}

static void print_batch(const char *key, const struct tm_jobs_view *view)
{
	char iso[TM_CLOCK_ISO_BYTES], user[USER_BYTES] = "";
	const char *id = "";
	size_t len = 0;

	(void)split(key, user, &id, &len);
	(void)printf("batch      %.*s\nuser       %s\nkey        %s\nstatus     %s\n"
		     "items      %lld: %lld completed, %lld failed, %lld cancelled\n"
		     "created    %s\n",
		     (int)len, id, user, view->key_id, view->status, (long long)view->total,
		     (long long)view->completed, (long long)view->failed,
		     (long long)view->cancelled, tm_clock_iso(view->created_ms, iso));
	if (view->finished_ms)
		(void)printf("finished   %s\n", tm_clock_iso(view->finished_ms, iso));
	if (view->waiting[0])
		(void)printf("waits for  %s until %s\n", view->waiting,
			     tm_clock_iso(view->waiting_until_ms, iso));
	for (int64_t i = 0; i < view->total; i++)
		(void)printf("%s\n", view->items[i].result ? view->items[i].result
			     : view->items[i].running ? "processing" : "pending");
}

static int show(const struct tm_ctl_command *command, int argc, char **argv, bool cancel)
{
	struct ctl ctl = {0};
	int status = start(command, argc, argv, true, &ctl);
	char key[TM_BATCH_KEY_BYTES];
	struct tm_jobs_view view;
	enum tm_err err;

	if (status == TM_CTL_DONE)
		status = find(&ctl, key);
	if (status != TM_CTL_DONE)
		return end(&ctl, status);
	err = tm_jobs_look(ctl.redis, ctl.settings.redis.prefix, key, cancel, &ctl.arena, &view);
	if (err == TM_ENOENT)
		status = say("no such asynchronous batch:", ctl.id);
	else if (err != TM_OK)
		status = say_redis(&ctl, err);
	else
		print_batch(key, &view);
	return end(&ctl, status);
}

int tm_ctl_batch_show(const struct tm_ctl_command *command, int argc, char **argv)
{
	return show(command, argc, argv, false);
}

int tm_ctl_batch_cancel(const struct tm_ctl_command *command, int argc, char **argv)
{
	return show(command, argc, argv, true);
}
