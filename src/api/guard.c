/* What happens with a text that tries to give the LLM orders: said in the log, counted, refused. */
#include "text/guard.h"

#include "api/route.h"
#include "api/validate.h"
#include "base/log.h"

static void add(struct tm_input *input, struct tm_arena *arena, const char *field,
		const struct tm_guard *guard)
{
	char names[TM_GUARD_NAMES_BYTES];
	const char *message = tm_arena_printf(arena, "looks like orders to the LLM: %s",
					      tm_guard_names(guard, names));

	if (tm_guard_score(guard) > 0)
		input->errors[input->errors_count++] = (struct tm_field_error){
			field, message ? message : "looks like orders to the LLM"};
}

void tm_input_guard(struct tm_context *context, struct tm_input *input)
{
	const struct tm_settings *settings = context->request->settings;
	const struct tm_task *task = &input->task;
	struct tm_guard text = {0}, question = {0}, both;
	char names[TM_GUARD_NAMES_BYTES];
	bool reject = settings->guard.action == TM_GUARD_REJECT;
	int score;

	if (settings->guard.action == TM_GUARD_OFF || input->errors_count > 0)
		return;
	tm_guard_look(&text, task->text, task->text_len);
	tm_guard_look(&question, task->question, task->question_len);
	both = text;
	for (int i = 0; i < TM_GUARD_PATTERNS; i++)
		if (both.weights[i] < question.weights[i])
			both.weights[i] = question.weights[i];
	score = tm_guard_score(&both);
	if (score < settings->guard.threshold)
		return;
	context->usage->operation = task->operation->id;
	context->usage->guarded = 1;
	tm_log(TM_LOG_WARN, "guard: score %d: %s%s key=%s", score, tm_guard_names(&both, names),
	       reject ? " (rejected)" : "", context->request->principal.id);
	if (!reject)
		return;
	input->refusal = "The text or the question looks like an attempt to give the LLM orders; "
			 "this service does not take such texts.";
	add(input, context->request->arena, "text", &text);
	add(input, context->request->arena, "question", &question);
}
