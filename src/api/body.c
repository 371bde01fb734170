/* Every way in which a body is no JSON that we take, in words for whoever wrote it. */
#include "api/body.h"

#include "api/problem.h"

void tm_body_say_nomem(struct tm_context *context)
{
	tm_problem_set(context->response, context->request, TM_PROBLEM_OVERLOADED,
		       &(struct tm_problem_more){.detail = "Out of memory.",
						 .retry_after_ms = 1000});
}

bool tm_body_parse(struct tm_context *context, struct tm_json **out)
{
	const struct tm_request *request = context->request;
	const struct tm_json_source source = {tm_buf_text(context->body), context->body->len,
					      (int)request->settings->limits.json_depth};
	const char *detail, *fault;

	switch (tm_json_receive(source, out, &fault)) {
	case TM_OK:
		return true;
	case TM_EUTF8:
		detail = "The body is not valid UTF-8.";
		break;
	case TM_ESIZE:
		detail = "The body's JSON is nested too deeply.";
		break;
	case TM_ENOMEM:
		tm_body_say_nomem(context);
		return false;
	default:
		detail = fault ? fault : "The body is not JSON.";
	}
	tm_problem_say(context->response, request, TM_PROBLEM_BAD_REQUEST, detail);
	return false;
}
