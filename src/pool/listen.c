/*
 * Binding the socket.
 *
 * Whether a socket's path is alive is found out by connecting to it. Between that look and the
 * bind another start could come, so both happen under a lock, on the folder itself: it leaves
 * no file behind and ends with its holder. Until listen() every connect is refused, so the path
 * needs no temporary name while its owner is set. Its mode is right from the first moment: on
 * Linux bind creates the file with the mode that the socket has.
 */
#include "pool/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 300, LOCK_WAIT_NS = 10 * 1000 * 1000 };

/* A parsed address. */
struct place {
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	socklen_t len;
};

/* The file that this process' socket is. While the socket is open its inode is not reused. */
static struct {
	int fd;
	dev_t dev;
	ino_t ino;
} bound = {.fd = -1};

static const char *parse_path(const char *path, struct place *out)
{
	size_t len = strlen(path);

	if (len >= sizeof(out->addr.un.sun_path))
		return "the path is too long for a socket (107 bytes at most)";
	if (path[len - 1] == '/')
		return "the path ends with a slash";
	out->addr.un.sun_family = AF_UNIX;
	memcpy(out->addr.un.sun_path, path, len + 1);
	out->len = sizeof(out->addr.un);
	return NULL;
}

static const char *parse_port(const char *text, in_port_t *port)
{
	char *end;
	long number;

	if (*text < '0' || *text > '9')
		return "the port is no number";
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || *end || number < 1 || number > 65535)
		return "the port is not within 1..65535";
	*port = htons((uint16_t)number);
	return NULL;
}

static const char *parse_host(const char *host, struct place *out)
{
	if (!strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &out->addr.in.sin_addr) == 1) {
		out->addr.in.sin_family = AF_INET;
		out->len = sizeof(out->addr.in);
		if (ntohl(out->addr.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
			return NULL;
	} else if (inet_pton(AF_INET6, host, &out->addr.in6.sin6_addr) == 1) {
		out->addr.in6.sin6_family = AF_INET6;
		out->len = sizeof(out->addr.in6);
		if (IN6_IS_ADDR_LOOPBACK(&out->addr.in6.sin6_addr))
			return NULL;
	} else {
		return "expected /path, 127.0.0.1:port, [::1]:port or localhost:port";
	}
	return "FastCGI has no protection of its own: only a loopback address or a path will do";
}

/* NULL, or what is wrong with address. */
static const char *parse(const char *address, struct place *out)
{
	char host[64];
	const char *colon = strrchr(address, ':'), *wrong;
	size_t len;
	in_port_t port;

	memset(out, 0, sizeof(*out));
	if (address[0] == '/')
		return parse_path(address, out);
	if (!strncmp(address, "unix:", 5))
		return "a socket's path stands alone, without \"unix:\"";
	if (!colon)
		return "expected /path, 127.0.0.1:port, [::1]:port or localhost:port";
	len = (size_t)(colon - address);
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return "the host is too long";
	memcpy(host, address, len);
	host[len] = '\0';
	wrong = parse_host(host, out);
	if (!wrong)
		wrong = parse_port(colon + 1, &port);
	if (wrong)
		return wrong;
	if (out->addr.any.sa_family == AF_INET)
		out->addr.in.sin_port = port;
	else
		out->addr.in6.sin6_port = port;
	return NULL;
}

enum tm_err tm_listen_check(const char *address, char *why, unsigned long why_bytes)
{
	struct place place;
	const char *wrong = parse(address, &place);

	if (!wrong)
		return TM_OK;
	(void)snprintf(why, why_bytes, "%s", wrong);
	return TM_EINVAL;
}

/* Mode, owner and group as the socket's file shall have them; (uid_t)-1 leaves one. */
struct access {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* NULL, or what is wrong. */
static const char *read_access(const struct tm_listen *listen, struct access *out)
{
	const struct passwd *who = NULL;
	const struct group *which = NULL;
	char *end;
	long mode;

	*out = (struct access){.uid = (uid_t)-1, .gid = (gid_t)-1};
	errno = 0;
	mode = strtol(listen->mode, &end, 8);
	if (errno || end == listen->mode || *end || mode < 0 || mode > 0777)
		return "the socket's mode is no octal number within 0..0777";
	if (*listen->owner && !(who = getpwnam(listen->owner)))
		return "the socket's owner is no user of this system";
	if (*listen->group && !(which = getgrnam(listen->group)))
		return "the socket's group is no group of this system";
	out->mode = (mode_t)mode;
	if (who)
		out->uid = who->pw_uid;
	if (which)
		out->gid = which->gr_gid;
	return NULL;
}

enum tm_err tm_listen_check_access(const struct tm_listen *listen, char *why,
				   unsigned long why_bytes)
{
	struct access access;
	const char *wrong = read_access(listen, &access);

	if (!wrong)
		return TM_OK;
	(void)snprintf(why, why_bytes, "%s", wrong);
	return TM_EINVAL;
}

/* Opens and locks the folder of path. Others hold it for moments only, unless they mean harm. */
static enum tm_err lock_folder(const char *path, int *out)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	size_t len = (size_t)(strrchr(path, '/') - path);
	int fd, tries = 0;

	memcpy(folder, path, len);
	folder[len] = '\0';
	fd = open(len ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return TM_EIO;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};

		if ((errno != EWOULDBLOCK && errno != EINTR) || ++tries == LOCK_TRIES) {
			int saved = errno;

			close(fd);
			errno = saved;
			return TM_EIO;
		}
		(void)nanosleep(&wait, NULL);
	}
	*out = fd;
	return TM_OK;
}

/* Makes way for a socket at the place, if only a dead one is there. */
static enum tm_err clear_path(const struct place *place)
{
	const char *path = place->addr.un.sun_path;
	struct stat st;
	int fd, failed, saved;

	if (lstat(path, &st))
		return errno == ENOENT ? TM_OK : TM_EIO;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return TM_EIO;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return TM_EIO;
	failed = connect(fd, &place->addr.any, place->len);
	saved = errno;
	close(fd);
	/* EAGAIN: alive, and busy. EPROTOTYPE: alive, and of another kind. */
	if (!failed || saved == EAGAIN || saved == EINPROGRESS || saved == EPROTOTYPE)
		return TM_EEXIST;
	errno = saved;
	if (saved != ECONNREFUSED)
		return TM_EIO;
	return unlink(path) ? TM_EIO : TM_OK;
}

/* bind would take the umask's bits off the mode. */
static int bind_with_mode(int fd, const struct place *place, mode_t mode)
{
	mode_t before;
	int failed;

	if (fchmod(fd, mode))
		return -1;
	before = umask(0);
	failed = bind(fd, &place->addr.any, place->len);
	(void)umask(before);
	return failed;
}

static enum tm_err open_path(const struct tm_listen *how, const struct place *place, int fd)
{
	const char *path = place->addr.un.sun_path;
	struct access access;
	struct stat st;
	int lock = -1, saved;
	enum tm_err err;

	if (read_access(how, &access))
		return TM_EINVAL;
	err = lock_folder(path, &lock);
	if (err != TM_OK)
		return err;
	err = clear_path(place);
	if (err != TM_OK)
		goto out;
	err = TM_EIO;
	if (bind_with_mode(fd, place, access.mode))
		goto out;
	if (lstat(path, &st) || lchown(path, access.uid, access.gid) ||
	    listen(fd, (int)how->backlog)) {
		saved = errno;
		(void)unlink(path);
		errno = saved;
		goto out;
	}
	bound.fd = fd;
	bound.dev = st.st_dev;
	bound.ino = st.st_ino;
	err = TM_OK;
out:
	saved = errno;
	close(lock);
	errno = saved;
	return err;
}

static enum tm_err open_tcp(const struct tm_listen *how, const struct place *place, int fd)
{
	static const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return TM_EIO;
	if (bind(fd, &place->addr.any, place->len) || listen(fd, (int)how->backlog))
		return errno == EADDRINUSE ? TM_EEXIST : TM_EIO;
	return TM_OK;
}

enum tm_err tm_listen_open(const struct tm_listen *listen, int *fd)
{
	struct place place;
	int family, opened, saved;
	enum tm_err err;

	if (parse(listen->address, &place))
		return TM_EINVAL;
	family = place.addr.any.sa_family;
	opened = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (opened < 0)
		return TM_EIO;
	err = family == AF_UNIX ? open_path(listen, &place, opened)
				: open_tcp(listen, &place, opened);
	if (err != TM_OK) {
		saved = errno;
		close(opened);
		errno = saved;
		return err;
	}
	*fd = opened;
	return TM_OK;
}

/* Without the lock if need be: the folder may have become unreadable with our privileges. */
enum tm_err tm_listen_remove(const struct tm_listen *listen, int fd)
{
	struct stat st;
	int lock = -1, failed = 0, saved;

	if (listen->address[0] != '/' || fd < 0 || bound.fd != fd)
		return TM_OK;
	if (lock_folder(listen->address, &lock) != TM_OK)
		lock = -1;
	if (!lstat(listen->address, &st) && st.st_dev == bound.dev && st.st_ino == bound.ino)
		failed = unlink(listen->address);
	saved = errno;
	if (lock >= 0)
		close(lock);
	errno = saved;
	bound.fd = -1;
	return failed ? TM_EIO : TM_OK;
}
