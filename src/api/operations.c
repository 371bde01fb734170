/* GET /v1/operations: what can be asked for, with the ranges and defaults that are checked. */
#include "api/route.h"
#include "io/json.h"

static void put_range(struct tm_buf *body, const struct tm_option *option)
{
	switch (option->type) {
	case TM_OPTION_BOOLEAN:
		tm_buf_printf(body, ",\"default\":%s}", option->preset ? "true" : "false");
		break;
	case TM_OPTION_CHOICE:
		tm_buf_puts(body, ",\"enum\":[");
		for (int64_t i = 0; i <= option->max; i++) {
			tm_buf_puts(body, i ? "," : "");
			tm_json_put_cstr(body, option->choices[i]);
		}
		tm_buf_puts(body, "],\"default\":");
		tm_json_put_cstr(body, option->choices[option->preset]);
		tm_buf_putc(body, '}');
		break;
	case TM_OPTION_INTEGER:
	default:
		tm_buf_printf(body, ",\"minimum\":%lld,\"maximum\":%lld,\"default\":%lld}",
			      (long long)option->min, (long long)option->max,
			      (long long)option->preset);
	}
}

static void put_options(struct tm_buf *body, const struct tm_operation *operation)
{
	tm_buf_putc(body, '{');
	for (size_t i = 0; i < operation->options_count; i++) {
		const struct tm_option *option = &operation->options[i];

		tm_buf_puts(body, i ? "," : "");
		tm_json_put_cstr(body, option->name);
		tm_buf_printf(body, ":{\"type\":\"%s\",\"description\":",
			      option->type == TM_OPTION_INTEGER ? "integer" :
			      option->type == TM_OPTION_BOOLEAN ? "boolean" : "string");
		tm_json_put_cstr(body, option->description);
		put_range(body, option);
	}
	tm_buf_putc(body, '}');
}

static void put_operation(struct tm_buf *body, const struct tm_operation *operation)
{
	tm_buf_puts(body, "{\"id\":");
	tm_json_put_cstr(body, operation->id);
	tm_buf_puts(body, ",\"name\":");
	tm_json_put_cstr(body, operation->name);
	tm_buf_puts(body, ",\"description\":");
	tm_json_put_cstr(body, operation->description);
	tm_buf_puts(body, ",\"options\":");
	put_options(body, operation);
	tm_buf_printf(body, ",\"requires_question\":%s}",
		      operation->requires_question ? "true" : "false");
}

void tm_route_operations(struct tm_context *context)
{
	struct tm_buf *body = &context->response->body;
	size_t count;
	const struct tm_operation *all = tm_operations_all(context->services.operations, &count);

	tm_buf_puts(body, "{\"operations\":[");
	for (size_t i = 0; i < count; i++) {
		tm_buf_puts(body, i ? "," : "");
		put_operation(body, &all[i]);
	}
	tm_buf_puts(body, "]}");
}
