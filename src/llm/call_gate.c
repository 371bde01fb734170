/*
 * What outlives an attempt: word of it to the gate, and what the process learns of a provider.
 * Only here is job->claimed changed, so that no claim is answered for twice.
 */
#include "llm/call_job.h"

#include <string.h>

bool tm_call_gate_claim(struct tm_call_job *job, int64_t *wait_ms)
{
	const struct tm_call_gate *gate = job->run->limits->gate;

	job->claim = (struct tm_call_claim){0};
	if (!gate)
		return true;
	job->claimed = gate->claim(gate->arg, tm_call_job_provider(job), &job->claim, wait_ms);
	return job->claimed;
}

void tm_call_gate_alive(struct tm_call_job *job)
{
	const struct tm_call_gate *gate = job->run->limits->gate;

	if (job->claimed)
		gate->alive(gate->arg, tm_call_job_provider(job), &job->claim);
	job->claim.probe = false;
}

bool tm_call_gate_failed(struct tm_call_job *job, bool would_retry)
{
	const struct tm_call_gate *gate = job->run->limits->gate;

	if (!job->claimed)
		return would_retry;
	job->claimed = false;
	return gate->failed(gate->arg, tm_call_job_provider(job), &job->claim, would_retry) &&
	       would_retry;
}

void tm_call_gate_succeeded(struct tm_call_job *job)
{
	const struct tm_call_gate *gate = job->run->limits->gate;

	if (job->claimed)
		gate->succeeded(gate->arg, tm_call_job_provider(job), &job->claim);
	job->claimed = false;
}

void tm_call_gate_neutral(struct tm_call_job *job)
{
	const struct tm_call_gate *gate = job->run->limits->gate;

	if (job->claimed)
		gate->neutral(gate->arg, tm_call_job_provider(job), &job->claim);
	job->claimed = false;
}

/* What the process remembers of the provider: NULL when there is nothing or no room for it. */
static int *plainness_of(const struct tm_call_job *job, bool add)
{
	struct tm_call_memory *memory = job->run->limits->memory;
	const char *name = tm_call_job_provider(job)->name;
	size_t len = strlen(name);

	if (!memory || !len || len >= sizeof(memory->providers[0].name))
		return NULL;
	for (size_t i = 0; i < TM_PROVIDERS_MAX; i++) {
		char *known = memory->providers[i].name;

		if (!known[0] && add)
			memcpy(known, name, len + 1);
		if (!strcmp(known, name))
			return &memory->providers[i].plainness;
	}
	return NULL;
}

void tm_call_memory_note(struct tm_call_job *job)
{
	int *plainness = job->plainness > 0 ? plainness_of(job, true) : NULL;

	if (plainness && *plainness < job->plainness)
		*plainness = job->plainness;
}

void tm_call_memory_recall(struct tm_call_job *job)
{
	const int *plainness = plainness_of(job, false);

	if (plainness && *plainness > job->plainness)
		job->plainness = *plainness;
}
