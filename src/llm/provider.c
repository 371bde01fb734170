/* The kinds of provider. A switch without a default: the compiler names a kind left out. */
#include "llm/provider.h"

const struct tm_provider *tm_provider_of(int kind)
{
	switch ((enum tm_provider_kind)kind) {
	case TM_PROVIDER_OPENAI:
		return &tm_provider_openai;
	case TM_PROVIDER_ANTHROPIC:
		return &tm_provider_anthropic;
	case TM_PROVIDER_GEMINI:
		return &tm_provider_gemini;
	case TM_PROVIDER_EXTRACTIVE:
		return &tm_provider_extractive;
	}
	return &tm_provider_openai;	/* not reached: settings know no other kind */
}
