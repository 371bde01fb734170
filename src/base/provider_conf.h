/* One provider as the configuration describes it. */
#ifndef TM_BASE_PROVIDER_CONF_H
#define TM_BASE_PROVIDER_CONF_H

#include <stdbool.h>
#include <stdint.h>

enum { TM_PROVIDERS_MAX = 8 };

enum tm_provider_kind {
	TM_PROVIDER_OPENAI,
	TM_PROVIDER_EXTRACTIVE,
	TM_PROVIDER_ANTHROPIC,
	TM_PROVIDER_GEMINI
};
enum tm_json_mode { TM_JSON_AUTO, TM_JSON_SCHEMA, TM_JSON_OBJECT, TM_JSON_OFF };

/* One provider "name" { } section. Strings belong to the settings' arena. */
struct tm_provider_conf {
	const char *name;
	int kind;		/* enum tm_provider_kind */
	const char *url;	/* base, without a trailing slash; "" for extractive */
	const char *model;
	const char *key;	/* secret; "" for none */
	const char *key_file;	/* read at load into key; "" for none */
	const char *ca_file;	/* PEM; "" for the system's */
	bool insecure;		/* http to a host that is not loopback is allowed */
	int64_t timeout_ms;	/* one attempt; 0: whatever is left of llm.deadline */
	int json_mode;		/* enum tm_json_mode */
	const char *api_version;	/* Azure: query api-version, and the key in an api-key
					 * header; Anthropic: the anthropic-version header; "" for
					 * the default */
	double price_input, price_output;	/* per million tokens; both 0: not known */
};

#endif
