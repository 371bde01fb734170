/*
 * Stands for the circuit breakers: a gate that writes down what it hears. c claim passed, C claim
 * refused, a alive, r failed and would be tried again, f failed for good, s succeeded, n neutral.
 */
#ifndef TM_TESTS_FAKE_GATE_H
#define TM_TESTS_FAKE_GATE_H

#include <poll.h>

#include "call_fixture.h"

struct fake_gate {
	char heard[64];
	size_t len;
	size_t passes;		/* claims that pass; later ones are refused */
	int64_t wait_ms;
	int64_t claims;
	bool no_retry;		/* failed() allows none */
	int claim_takes_ms;
	struct tm_call_claim says;	/* of each claim that passes */
};

static struct fake_gate fake;

static inline void hear_it(struct fake_gate *gate, char what)
{
	cr_assert_lt(gate->len + 1, sizeof(gate->heard));
	gate->heard[gate->len++] = what;
	gate->heard[gate->len] = '\0';
}

static inline bool fake_claim(void *arg, const struct tm_provider_conf *provider,
			      struct tm_call_claim *claim, int64_t *wait_ms)
{
	struct fake_gate *gate = arg;
	size_t passed = 0;

	cr_assert(provider == &confs[0] || provider == &confs[1]);
	for (size_t i = 0; i < gate->len; i++)
		passed += gate->heard[i] == 'c';
	if (gate->claim_takes_ms)
		(void)poll(NULL, 0, gate->claim_takes_ms);
	if (passed == gate->passes)
		*wait_ms = gate->wait_ms;
	hear_it(gate, passed == gate->passes ? 'C' : 'c');
	*claim = gate->says;
	claim->turn = (int64_t)passed + 1;
	gate->claims++;
	return passed != gate->passes;
}

/* Each word brings along what its claim said. */
static inline void check_claim(struct fake_gate *gate, const struct tm_call_claim *claim)
{
	cr_assert_gt(claim->turn, 0);
	cr_assert_leq(claim->turn, gate->claims);
}

static inline void fake_alive(void *arg, const struct tm_provider_conf *provider,
			      const struct tm_call_claim *claim)
{
	(void)provider;
	check_claim(arg, claim);
	hear_it(arg, 'a');
}

static inline bool fake_failed(void *arg, const struct tm_provider_conf *provider,
			       const struct tm_call_claim *claim, bool would_retry)
{
	struct fake_gate *gate = arg;

	(void)provider;
	check_claim(gate, claim);
	hear_it(gate, would_retry ? 'r' : 'f');
	return !gate->no_retry;
}

static inline void fake_succeeded(void *arg, const struct tm_provider_conf *provider,
				  const struct tm_call_claim *claim)
{
	(void)provider;
	check_claim(arg, claim);
	hear_it(arg, 's');
}

static inline void fake_neutral(void *arg, const struct tm_provider_conf *provider,
				const struct tm_call_claim *claim)
{
	(void)provider;
	check_claim(arg, claim);
	hear_it(arg, 'n');
}

static inline void with_gate(void)
{
	static const struct tm_call_gate gate = {
		.claim = fake_claim, .alive = fake_alive, .failed = fake_failed,
		.succeeded = fake_succeeded, .neutral = fake_neutral, .arg = &fake};

	fake = (struct fake_gate){.passes = 1000};
	limits.gate = &gate;
}

/* Each claim that passed was answered for once: the rule that keeps a probe from hanging. */
static inline void heard_in_pairs(void)
{
	size_t claims = 0, words = 0;

	for (size_t i = 0; i < fake.len; i++) {
		claims += fake.heard[i] == 'c';
		words += !strchr("cCa", fake.heard[i]);
		cr_assert_leq(words, claims, "%s", fake.heard);
	}
	cr_assert_eq(words, claims, "%s", fake.heard);
}

#endif
