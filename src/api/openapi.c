/* GET /openapi.json: the contract of the source tree, embedded at build. */
#include "api/openapi_text.h"
#include "api/route.h"

void tm_route_openapi(struct tm_context *context)
{
	tm_buf_put(&context->response->body, tm_openapi_text, sizeof(tm_openapi_text));
}
