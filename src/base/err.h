/* One set of error codes for the whole program, each with its words. */
#ifndef TM_BASE_ERR_H
#define TM_BASE_ERR_H

/* A result nobody looks at is a bug: the compiler says so. */
#define TM_CHECK __attribute__((warn_unused_result))
#define TM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum tm_err {
	TM_OK = 0,
	TM_DENIED,	/* over a limit, or not allowed */
	TM_ENOMEM,	/* out of memory: the caller answers 503, never dies */
	TM_EINVAL,	/* the input breaks a rule of its own format */
	TM_ENOENT,	/* no such thing */
	TM_EEXIST,	/* already there, already in use */
	TM_ESIZE,	/* larger than its bound */
	TM_ESHORT,	/* ended before its announced length */
	TM_EUTF8,	/* not valid UTF-8 */
	TM_EIO,		/* a peer or the system failed */
	TM_ETIME,	/* a deadline passed */
	TM_EAGAIN,	/* not now: later may succeed */
	TM_EPROTO,	/* a peer broke its protocol */
	TM_EGONE,	/* the client has left */
	TM_EUNAVAIL,	/* a needed service is down, and known to be */
	TM_ERR_COUNT
};

/* Words for err, lower case, without a full stop; static. */
const char *tm_err_text(enum tm_err err);

#endif
