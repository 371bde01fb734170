/*
 * Buckets, twice: io/script/admit.lua decides for all workers, the local table decides while
 * Redis is away. The arithmetic here takes the script's steps one by one, in doubles as Lua
 * has only these (whole numbers are exact below 2^53), so that both say the same.
 *
 * The local table is a fixed array with a hash chain and a use list through it: nothing is
 * allocated after start, and who sends many addresses only makes idle ones be forgotten. It is
 * mapped, so that its pages cost nothing until Redis is away for the first time.
 */
#include "gate/limit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/digest.h"
#include "io/redis.h"

enum {
	KEY_BYTES = 512,			/* prefix, words and key id */
	NUMBERS_MAX = 4 + 4 * TM_POLICIES_MAX,
	ARGS_MAX = 5 + 6 * TM_POLICIES_MAX,
	ID_BYTES = 129,
	FIELDS = 2 * TM_POLICIES_MAX
};

/* Arguments for the script, and room for its numbers. */
struct args {
	const char *argv[ARGS_MAX];
	size_t lens[ARGS_MAX];
	int argc;
	char numbers[NUMBERS_MAX][24];
	int numbers_count;
};

static void put_text(struct args *args, const char *text)
{
	args->argv[args->argc] = text;
	args->lens[args->argc++] = strlen(text);
}

static void put_number(struct args *args, int64_t value)
{
	char *text = args->numbers[args->numbers_count++];

	(void)snprintf(text, sizeof(args->numbers[0]), "%lld", (long long)value);
	put_text(args, text);
}

static void put_policies(struct args *args, int64_t cost, const struct tm_policy *policies,
			 size_t count)
{
	put_number(args, cost);
	put_number(args, (int64_t)count);
	for (size_t i = 0; i < count; i++) {
		put_text(args, policies[i].name);
		put_number(args, policies[i].quota);
		put_number(args, policies[i].window_ms);
	}
}

int tm_limit_queue(struct tm_redis *redis, const char *prefix, const struct tm_charge *charge)
{
	char key[KEY_BYTES];
	struct args args;
	int len = snprintf(key, sizeof(key), "%slimit:{%s}", prefix, charge->key_id);

	if (len < 0 || (size_t)len >= sizeof(key) || charge->take_count > TM_POLICIES_MAX ||
	    charge->back_count > TM_POLICIES_MAX)
		return -1;
	args.argc = args.numbers_count = 0;
	put_text(&args, key);
	put_policies(&args, charge->cost, charge->take, charge->take_count);
	put_policies(&args, charge->back_cost, charge->back, charge->back_count);
	return tm_redis_queue_script(redis, TM_SCRIPT_ADMIT, 1, args.argc, args.argv, args.lens);
}

/* TM_LIMIT_NEVER is the longest of all waits. */
static bool is_longer(int64_t wait_ms, int64_t than_ms)
{
	return than_ms != TM_LIMIT_NEVER && (wait_ms == TM_LIMIT_NEVER || wait_ms > than_ms);
}

/* The answer for policy i of take. */
static void fill(struct tm_verdict *verdict, size_t i, const int64_t numbers[3])
{
	int64_t left = numbers[0] > 0 ? numbers[0] : 0, retry_ms = numbers[2];
	bool longer = !verdict->passed && is_longer(retry_ms, verdict->retry_ms);

	verdict->state[i].left = left;
	verdict->state[i].reset_ms = numbers[1];
	if (verdict->passed ? left < verdict->state[verdict->tightest].left : longer)
		verdict->tightest = i;
	if (longer)
		verdict->retry_ms = retry_ms;
}

enum tm_err tm_limit_read(const struct tm_reply *reply, const struct tm_charge *charge,
			  struct tm_verdict *verdict)
{
	if (reply->kind != TM_REPLY_ARRAY || reply->count != 1 + 3 * charge->take_count)
		return TM_EPROTO;
	for (size_t i = 0; i < reply->count; i++)
		if (reply->items[i].kind != TM_REPLY_INT)
			return TM_EPROTO;
	*verdict = (struct tm_verdict){.passed = reply->items[0].integer == 1,
				       .cost = charge->cost};
	for (size_t i = 0; i < charge->take_count; i++) {
		const struct tm_reply *items = reply->items + 1 + 3 * i;
		const int64_t numbers[3] = {items[0].integer, items[1].integer, items[2].integer};

		fill(verdict, i, numbers);
	}
	return TM_OK;
}

/* A bucket as stored: theoretical arrival time in us, and the rest in quota-ths of one. */
struct bucket {
	double tat, rest;
};

struct field {
	const char *policy;	/* NULL: free */
	struct bucket bucket;
};

struct entry {
	char id[ID_BYTES];
	struct field fields[FIELDS];
	uint32_t chain;		/* next with the same hash, NONE */
	uint32_t newer, older;	/* by last use */
};

#define NONE UINT32_MAX

struct tm_limit_local {
	struct entry *entries;
	uint32_t *heads;	/* of hash chains */
	uint32_t size, used;
	uint32_t newest, oldest;
	uint64_t seed;		/* nobody outside can aim at one chain */
};

enum tm_err tm_limit_local_new(struct tm_limit_local **out, size_t keys_max)
{
	struct tm_limit_local *local = NULL;

	if (keys_max < 1 || keys_max > 1000000)
		return TM_EINVAL;
	local = calloc(1, sizeof(*local));
	if (!local)
		return TM_ENOMEM;
	local->size = (uint32_t)keys_max;
	local->entries = mmap(NULL, keys_max * sizeof(*local->entries), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	local->heads = malloc(keys_max * sizeof(*local->heads));
	if (local->entries == MAP_FAILED || !local->heads) {
		tm_limit_local_free(local);
		return TM_ENOMEM;
	}
	memset(local->heads, 0xff, keys_max * sizeof(*local->heads));
	local->newest = local->oldest = NONE;
	local->seed = tm_random_u64();
	*out = local;
	return TM_OK;
}

void tm_limit_local_free(struct tm_limit_local *local)
{
	if (!local)
		return;
	if (local->entries != MAP_FAILED)
		(void)munmap(local->entries, local->size * sizeof(*local->entries));
	free(local->heads);
	free(local);
}

/* FNV-1a from a secret start. */
static uint32_t *head_of(struct tm_limit_local *local, const char *id)
{
	uint64_t hash = local->seed;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
	hash ^= hash >> 32;
	return &local->heads[hash % local->size];
}

static void unlink_use(struct tm_limit_local *local, uint32_t at)
{
	struct entry *entry = &local->entries[at];

	*(entry->newer == NONE ? &local->newest : &local->entries[entry->newer].older) =
		entry->older;
	*(entry->older == NONE ? &local->oldest : &local->entries[entry->older].newer) =
		entry->newer;
}

static void link_use(struct tm_limit_local *local, uint32_t at)
{
	struct entry *entry = &local->entries[at];

	entry->newer = NONE;
	entry->older = local->newest;
	if (local->newest != NONE)
		local->entries[local->newest].newer = at;
	else
		local->oldest = at;
	local->newest = at;
}

/* A place for a new id: an unused one, or the one used longest ago. */
static uint32_t claim(struct tm_limit_local *local)
{
	uint32_t at, *link;

	if (local->used < local->size)
		return local->used++;
	at = local->oldest;
	unlink_use(local, at);
	link = head_of(local, local->entries[at].id);
	while (*link != at)
		link = &local->entries[*link].chain;
	*link = local->entries[at].chain;
	return at;
}

/* The entry of id; made where insert is true, else NULL where there is none. */
static struct entry *find(struct tm_limit_local *local, const char *id, bool insert)
{
	uint32_t *head = head_of(local, id), at = *head;

	while (at != NONE && strcmp(local->entries[at].id, id) != 0)
		at = local->entries[at].chain;
	if (at != NONE) {
		unlink_use(local, at);
	} else if (!insert) {
		return NULL;
	} else {
		at = claim(local);
		memset(&local->entries[at], 0, sizeof(local->entries[at]));
		memcpy(local->entries[at].id, id, strlen(id) + 1);
		local->entries[at].chain = *head;
		*head = at;
	}
	link_use(local, at);
	return &local->entries[at];
}

static struct field *field_of(struct entry *entry, const char *policy)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (entry->fields[i].policy && strcmp(entry->fields[i].policy, policy) == 0)
			return &entry->fields[i];
	return NULL;
}

/* Writes a bucket; where a key has met more policies than there is room, into the one that is
 * full soonest. */
static void write_bucket(struct entry *entry, const char *policy, struct bucket bucket)
{
	struct field *field = field_of(entry, policy);

	for (size_t i = 0; !field && i < FIELDS; i++)
		if (!entry->fields[i].policy)
			field = &entry->fields[i];
	if (!field) {
		field = &entry->fields[0];
		for (size_t i = 1; i < FIELDS; i++)
			if (entry->fields[i].bucket.tat < field->bucket.tat)
				field = &entry->fields[i];
	}
	*field = (struct field){.policy = policy, .bucket = bucket};
}

/* The script's read(): within [now, now + window]. clamped: it stood beyond. */
static struct bucket read_bucket(struct entry *entry, const struct tm_policy *policy, double now,
				 bool *clamped)
{
	double window = (double)policy->window_ms * 1000;
	struct field *field = field_of(entry, policy->name);
	struct bucket bucket = field ? field->bucket : (struct bucket){0};

	if (bucket.rest >= (double)policy->quota)
		bucket.rest = 0;
	*clamped = bucket.tat > now + window;
	if (bucket.tat < now)
		bucket = (struct bucket){.tat = now};
	else if (bucket.tat >= now + window)
		bucket = (struct bucket){.tat = now + window};
	return bucket;
}

static struct bucket moved(const struct tm_policy *policy, struct bucket bucket, double count)
{
	double quota = (double)policy->quota;
	double parts = count * ((double)policy->window_ms * 1000) + bucket.rest;
	double whole = floor(parts / quota);

	return (struct bucket){.tat = bucket.tat + whole, .rest = parts - whole * quota};
}

static double ceil_ms(double us)
{
	return floor((us + 999) / 1000);
}

static void give_back(struct entry *entry, const struct tm_charge *charge, double now)
{
	for (size_t i = 0; charge->back_cost > 0 && i < charge->back_count; i++) {
		const struct tm_policy *policy = &charge->back[i];
		struct bucket bucket;
		bool clamped;

		if (!field_of(entry, policy->name))
			continue;
		bucket = moved(policy, read_bucket(entry, policy, now, &clamped),
			       -(double)charge->back_cost);
		if (bucket.tat < now)
			bucket = (struct bucket){.tat = now};
		write_bucket(entry, policy->name, bucket);
	}
}

static void tell(const struct tm_charge *charge, size_t i, const struct bucket *bucket,
		 double wait, double now, struct tm_verdict *verdict)
{
	const struct tm_policy *policy = &charge->take[i];
	double window = (double)policy->window_ms * 1000, quota = (double)policy->quota;
	double left = floor(((now + window - bucket->tat) * quota - bucket->rest) / window);
	double retry = 0;

	if (wait > 0)
		retry = charge->cost > policy->quota ? TM_LIMIT_NEVER : ceil_ms(wait);
	fill(verdict, i,
	     (const int64_t[3]){(int64_t)left,
				(int64_t)ceil_ms(bucket->tat - now + (bucket->rest > 0 ? 1 : 0)),
				(int64_t)retry});
}

void tm_limit_local_take(struct tm_limit_local *local, const struct tm_charge *charge,
			 int64_t now_us, struct tm_verdict *verdict)
{
	struct bucket buckets[TM_POLICIES_MAX];
	double waits[TM_POLICIES_MAX], now = (double)now_us;
	bool clamped[TM_POLICIES_MAX];
	char id[ID_BYTES];
	struct entry blank = {0}, *entry;

	(void)snprintf(id, sizeof(id), "%s", charge->key_id);
	entry = find(local, id, charge->cost > 0);	/* who only looks takes no place */
	if (!entry)
		entry = &blank;

	*verdict = (struct tm_verdict){.passed = charge->take_count > 0, .cost = charge->cost};
	for (size_t i = 0; i < charge->take_count; i++) {
		const struct tm_policy *policy = &charge->take[i];
		struct bucket after;

		buckets[i] = read_bucket(entry, policy, now, &clamped[i]);
		after = moved(policy, buckets[i], (double)charge->cost);
		waits[i] = after.tat + (after.rest > 0 ? 1 : 0) -
			   (now + (double)policy->window_ms * 1000);
		if (waits[i] > 0)
			verdict->passed = false;
	}
	for (size_t i = 0; i < charge->take_count; i++) {
		if (verdict->passed)
			buckets[i] = moved(&charge->take[i], buckets[i], (double)charge->cost);
		if (verdict->passed ? charge->cost > 0 : clamped[i])
			write_bucket(entry, charge->take[i].name, buckets[i]);
	}
	if (!verdict->passed)
		give_back(entry, charge, now);
	for (size_t i = 0; i < charge->take_count; i++)
		tell(charge, i, &buckets[i], waits[i], now, verdict);
}
