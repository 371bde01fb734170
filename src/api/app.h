/* The application of one process: everything a request needs, built after the fork. */
#ifndef TM_API_APP_H
#define TM_API_APP_H

#include <stdint.h>

#include "base/err.h"
#include "base/settings.h"
#include "io/exchange.h"

struct tm_app;

/* settings is borrowed and must outlive it. TM_OK and *out (tm_app_free); TM_ENOMEM; TM_EINVAL
 * a key of the environment is not good (logged). Does not need Redis or the LLM to be there. */
TM_CHECK enum tm_err tm_app_new(struct tm_app **out, const struct tm_settings *settings);
void tm_app_free(struct tm_app *app);

/* Answers one request and finishes the exchange; then records. Never fails: whatever goes wrong
 * is an answer and a log line. */
void tm_app_handle(struct tm_app *app, struct tm_exchange *exchange);

struct tm_job_wait;

/* Works on one item of an asynchronous batch, if there is one. As tm_job_work (api/job). */
TM_CHECK enum tm_err tm_app_work(struct tm_app *app, const struct tm_job_wait *wait);

/* For the worker's ppoll: a descriptor to watch (-1: none) and after how many ms tm_app_idle
 * wants to be called at the latest (-1: never). */
int tm_app_watch(struct tm_app *app, short *events, int64_t *timeout_ms);

/* What is due between requests: the way back to Redis, writing what was recorded. */
void tm_app_idle(struct tm_app *app);

#endif
