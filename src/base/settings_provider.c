/*
 * Providers: from provider "name" { } sections, from OPENAI_*, ANTHROPIC_* and GEMINI_* in the
 * environment, and, with none of them, the built-in extractive one.
 *
 * The environment never changes what a file says: OPENAI_API_KEY and OPENAI_BASE_URL make a
 * provider "openai", asked before the file's, where the file has none of that kind; otherwise the
 * key only fills the gap of a provider named "openai" that has no key.
 */
#include "base/settings_load.h"

#include <string.h>

#include "base/settings_table.h"
#include "base/url.h"

enum { NAME_MAX_BYTES = 64, WHY_MAX = 256 };

static const char environment[] = "environment";

/* The kinds that the environment may configure, in the order they are asked. A file may leave out
 * the url of a kind that only its maker serves. The models are the makers' small ones, which do
 * what the operations need. */
static const struct maker {
	int kind;			/* enum tm_provider_kind */
	const char *name;
	const char *key, *url, *model;	/* names in the environment */
	const char *own_url, *small_model;
	bool url_optional;
} makers[] = {
	{TM_PROVIDER_OPENAI, "openai", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL",
	 "https://api.openai.com/v1", "gpt-4o-mini", false},
	{TM_PROVIDER_ANTHROPIC, "anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL",
	 "ANTHROPIC_MODEL", "https://api.anthropic.com", "claude-haiku-4-5", true},
	{TM_PROVIDER_GEMINI, "gemini", "GEMINI_API_KEY", "GEMINI_BASE_URL", "GEMINI_MODEL",
	 "https://generativelanguage.googleapis.com", "gemini-flash-lite-latest", true},
};
enum { MAKERS = sizeof(makers) / sizeof(makers[0]) };

static size_t field_index(const char *name)
{
	size_t i = 0;

	while (i + 1 < tm_provider_count && strcmp(tm_provider_table[i].name, name) != 0)
		i++;
	return i;
}

static bool name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX_BYTES && strspn(name, allowed) == len;
}

static struct tm_provider_conf *find(struct tm_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->providers_count; i++)
		if (strcmp(settings->providers[i].name, name) == 0)
			return &settings->providers[i];
	return NULL;
}

/* Makes room at index and fills it with the defaults. The caller knows that there is room. */
static enum tm_err insert(struct tm_load *load, size_t index, const char *name, const char *origin)
{
	struct tm_settings *settings = &load->settings;
	struct tm_provider_conf *conf = &settings->providers[index];
	size_t behind = settings->providers_count - index;
	char why[WHY_MAX];

	memmove(conf + 1, conf, behind * sizeof(*conf));
	memmove(&load->providers[index + 1], &load->providers[index],
		behind * sizeof(load->providers[0]));
	settings->providers_count++;
	load->providers[index] = (struct tm_load_provider){.at = origin};
	*conf = (struct tm_provider_conf){.name = tm_arena_strdup(&settings->arena, name)};
	for (size_t i = 0; conf->name && i < tm_provider_count; i++) {
		enum tm_err err = tm_setting_set(&tm_provider_table[i], conf, &settings->arena,
						 tm_provider_table[i].preset, why, sizeof(why));

		if (err != TM_OK)
			return err;
	}
	return conf->name ? TM_OK : TM_ENOMEM;
}

/* The provider of a section, made when its title is new; NULL when there are too many. */
static enum tm_err of_title(struct tm_load *load, const char *title, const char *origin,
			    struct tm_provider_conf **out)
{
	struct tm_settings *settings = &load->settings;
	enum tm_err err = TM_OK;

	*out = find(settings, title);
	if (*out || (load->refused && strcmp(load->refused, title) == 0))
		return TM_OK;
	if (settings->providers_count == TM_PROVIDERS_MAX) {
		tm_load_mistake(load, origin, "there are more than %d providers", TM_PROVIDERS_MAX);
		load->refused = tm_arena_strdup(&settings->arena, title);
		return load->refused ? TM_OK : TM_ENOMEM;
	}
	if (!name_valid(title))
		tm_load_mistake(load, origin, "a provider's name is 1 to 64 characters of "
				"A-Z, a-z, 0-9, _ . and -");
	err = insert(load, settings->providers_count, title, origin);
	if (err == TM_OK)
		*out = &settings->providers[settings->providers_count - 1];
	return err;
}

enum tm_err tm_load_provider_value(struct tm_load *load, const struct tm_conf_value *value,
				   const char *origin, char *why, size_t why_bytes)
{
	size_t field = field_index(value->name);
	struct tm_provider_conf *conf;
	struct tm_load_provider *of;
	enum tm_err err = of_title(load, value->title, origin, &conf);

	if (err != TM_OK || !conf)
		return err;
	of = &load->providers[conf - load->settings.providers];
	of->fields[field] = origin;
	err = tm_setting_set(&tm_provider_table[field], conf, &load->settings.arena, value->value,
			     why, why_bytes);
	if (err == TM_EINVAL)
		of->bad = true;
	return err;
}

static bool has_kind(const struct tm_settings *settings, int kind)
{
	for (size_t i = 0; i < settings->providers_count; i++)
		if (settings->providers[i].kind == kind)
			return true;
	return false;
}

static enum tm_err set_text(struct tm_load *load, const char **field, const char *text)
{
	*field = tm_arena_strdup(&load->settings.arena, text);
	return *field ? TM_OK : TM_ENOMEM;
}

/* Makes the provider that a maker's names in the environment describe, at index. */
static enum tm_err add_from(struct tm_load *load, char *const *env, const struct maker *maker,
			    size_t index)
{
	const struct { const char *field, *name, *usual; } texts[] = {
		{"url", maker->url, maker->own_url},
		{"model", maker->model, maker->small_model},
		{"key", maker->key, ""},
	};
	struct tm_provider_conf *conf = &load->settings.providers[index];
	enum tm_err err = insert(load, index, maker->name, environment);
	char why[WHY_MAX] = "";

	conf->kind = maker->kind;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && err == TM_OK; i++) {
		const char *text = tm_load_env(env, texts[i].name);

		err = tm_setting_set(&tm_provider_table[field_index(texts[i].field)], conf,
				     &load->settings.arena, text[0] ? text : texts[i].usual, why,
				     sizeof(why));
		if (err != TM_EINVAL)
			continue;
		tm_load_mistake(load, environment, "%s: %s", texts[i].name, why);
		load->providers[index].bad = true;
		err = TM_OK;
	}
	for (size_t i = 0; i < tm_provider_count; i++)
		load->providers[index].fields[i] = environment;
	return err;
}

/* What one maker's names in the environment bring. index: where its provider would stand; counted
 * on when it is made. */
static enum tm_err add_maker(struct tm_load *load, char *const *env, const struct maker *maker,
			     size_t *index)
{
	const char *key = tm_load_env(env, maker->key);
	struct tm_provider_conf *conf = find(&load->settings, maker->name);

	if (!key[0] && !tm_load_env(env, maker->url)[0])
		return TM_OK;
	if (!has_kind(&load->settings, maker->kind)) {
		if (!conf && load->settings.providers_count < TM_PROVIDERS_MAX)
			return add_from(load, env, maker, (*index)++);
		tm_load_mistake(load, environment, "%s or %s is set, but there is no room for a "
				"provider \"%s\"", maker->key, maker->url, maker->name);
		return TM_OK;
	}
	if (!key[0] || !conf || conf->kind != maker->kind || conf->key[0] ||
	    conf->key_file[0])
		return TM_OK;
	load->providers[conf - load->settings.providers].fields[field_index("key")] = environment;
	return set_text(load, &conf->key, key);
}

static enum tm_err add_environment(struct tm_load *load, char *const *env)
{
	enum tm_err err = TM_OK;
	size_t index = 0;

	for (size_t i = 0; i < MAKERS && err == TM_OK; i++)
		err = add_maker(load, env, &makers[i], &index);
	return err;
}

static enum tm_err add_extractive(struct tm_load *load)
{
	enum tm_err err = insert(load, 0, "extractive", "built in");

	if (err == TM_OK)
		load->settings.providers[0].kind = TM_PROVIDER_EXTRACTIVE;
	return err;
}

/* Where a field was set; where the provider begins, when it was not. */
static const char *origin_of(const struct tm_load_provider *of, const char *field)
{
	const char *origin = of->fields[field_index(field)];

	return origin ? origin : of->at;
}

/* A key goes into a header: nothing but visible characters. */
static bool key_valid(const char *key)
{
	for (; *key; key++)
		if (*key <= ' ' || *key >= 0x7f)
			return false;
	return true;
}

static enum tm_err check_key(struct tm_load *load, struct tm_provider_conf *conf,
			     const struct tm_load_provider *of)
{
	enum tm_err err = TM_OK;

	if (conf->key[0] && conf->key_file[0]) {
		tm_load_mistake(load, origin_of(of, "key_file"),
				"provider \"%s\" has both key and key_file", conf->name);
		return TM_OK;
	}
	if (conf->key_file[0])
		err = tm_load_secret(load, origin_of(of, "key_file"), "provider.key_file",
				     conf->key_file, &conf->key);
	if (err == TM_EINVAL)
		return TM_OK;	/* told */
	if (err == TM_OK && !key_valid(conf->key))
		tm_load_mistake(
			load, origin_of(of, conf->key_file[0] ? "key_file" : "key"),
			"the key of provider \"%s\" holds characters that a key cannot have",
			conf->name);
	return err;
}

static const char *usual_url(int kind)
{
	for (size_t i = 0; i < MAKERS; i++)
		if (makers[i].kind == kind && makers[i].url_optional)
			return makers[i].own_url;
	return "";
}

static enum tm_err check_url(struct tm_load *load, struct tm_provider_conf *conf,
			     const struct tm_load_provider *of)
{
	char why[WHY_MAX];
	size_t len;

	if (!conf->url[0] && !of->bad && set_text(load, &conf->url, usual_url(conf->kind)) != TM_OK)
		return TM_ENOMEM;
	len = strlen(conf->url);
	if (len == 0) {
		if (!of->bad)
			tm_load_mistake(load, of->at, "provider \"%s\" has no url", conf->name);
		return TM_OK;
	}
	if (tm_url_check_provider(conf->url, conf->insecure, why, sizeof(why)) != TM_OK) {
		tm_load_mistake(load, origin_of(of, "url"), "provider \"%s\": %s", conf->name, why);
		return TM_OK;
	}
	while (len > 0 && conf->url[len - 1] == '/')
		len--;
	conf->url = tm_arena_dup(&load->settings.arena, conf->url, len);
	return conf->url ? TM_OK : TM_ENOMEM;
}

static enum tm_err check_one(struct tm_load *load, size_t index)
{
	struct tm_provider_conf *conf = &load->settings.providers[index];
	const struct tm_load_provider *of = &load->providers[index];
	enum tm_err err;

	if (conf->kind == TM_PROVIDER_EXTRACTIVE) {
		if (conf->url[0] || conf->key[0] || conf->key_file[0])
			tm_load_mistake(load, of->at, "provider \"%s\" is extractive: url, key and "
					"key_file have no meaning", conf->name);
		return conf->model[0] ? TM_OK : set_text(load, &conf->model, "extractive");
	}
	err = check_url(load, conf, of);
	if (!conf->model[0] && !of->bad)
		tm_load_mistake(load, of->at, "provider \"%s\" has no model", conf->name);
	return err == TM_OK ? check_key(load, conf, of) : err;
}

enum tm_err tm_load_providers(struct tm_load *load, char *const *env)
{
	enum tm_err err = add_environment(load, env);

	if (err == TM_OK && load->settings.providers_count == 0)
		err = add_extractive(load);
	for (size_t i = 0; err == TM_OK && i < load->settings.providers_count; i++)
		err = check_one(load, i);
	return err;
}

bool tm_load_providers_known(const struct tm_settings *settings, const char *names)
{
	static const char between[] = ", \t";

	for (names += strspn(names, between); *names; names += strspn(names, between)) {
		size_t len = strcspn(names, between), i = 0;

		while (i < settings->providers_count &&
		       (strlen(settings->providers[i].name) != len ||
			memcmp(settings->providers[i].name, names, len) != 0))
			i++;
		if (i == settings->providers_count)
			return false;
		names += len;
	}
	return true;
}
