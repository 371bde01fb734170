/* The listening socket, in a folder of each test's own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/listen.h"

struct place {
	char folder[32], path[48];
	struct tm_listen listen;
};

static void make_place(struct place *place)
{
	(void)strcpy(place->folder, "/tmp/tm-listen-XXXXXX");
	cr_assert_not_null(mkdtemp(place->folder));
	cr_assert_lt(snprintf(place->path, sizeof(place->path), "%s/s", place->folder), 48);
	place->listen = (struct tm_listen){
		.address = place->path, .mode = "0660", .owner = "", .group = "", .backlog = 4};
}

static void drop_place(const struct place *place)
{
	(void)unlink(place->path);
	cr_assert_eq(rmdir(place->folder), 0, "nothing else is left behind");
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_geq(fd, 0);
	cr_assert_lt(snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path), 108);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

TestSuite(listen, .timeout = 20);

Test(listen, addresses_are_paths_or_loopback)
{
	static const struct {
		const char *address, *wrong;	/* a word of the mistake; NULL: good */
	} cases[] = {
		{"/run/textmill/textmill.sock", NULL},
		{"127.0.0.1:9000", NULL},
		{"127.1.2.3:9000", NULL},
		{"localhost:9000", NULL},
		{"[::1]:9000", NULL},
		{"", "expected"},
		{"textmill.sock", "expected"},
		{"example.org:9000", "expected"},
		{":9000", "expected"},
		{"[::1:9000", "expected"},
		{"unix:/run/x", "unix:"},
		{"/run/", "slash"},
		{"/", "slash"},
		{"0.0.0.0:9000", "loopback"},
		{"192.168.1.1:9000", "loopback"},
		{"[::]:9000", "loopback"},
		{"[::ffff:10.0.0.1]:9000", "loopback"},
		{"127.0.0.1:", "port"},
		{"127.0.0.1:0", "port"},
		{"127.0.0.1:65536", "port"},
		{"127.0.0.1:+80", "port"},
		{"127.0.0.1:80x", "port"},
		{"[::1]", "port"},
		{"/234567890123456789012345678901234567890123456789012345678901234567890123456789"
		 "012345678901234567890123456789", "too long"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[128] = "";
		enum tm_err err = tm_listen_check(cases[i].address, why, sizeof(why));

		cr_assert_eq(err, cases[i].wrong ? TM_EINVAL : TM_OK, "%s: %s", cases[i].address,
			     why);
		if (cases[i].wrong)
			cr_assert_not_null(strstr(why, cases[i].wrong), "%s: %s",
					   cases[i].address, why);
	}
}

Test(listen, access_is_checked_before_anything_is_bound)
{
	static const struct {
		const char *mode, *owner, *group, *wrong;
	} cases[] = {
		{"0660", "", "", NULL},
		{"600", "root", "root", NULL},
		{"0", "", "", NULL},
		{"", "", "", "mode"},
		{"1777", "", "", "mode"},
		{"-1", "", "", "mode"},
		{"0888", "", "", "mode"},
		{"rw", "", "", "mode"},
		{"0660", "no such user", "", "owner"},
		{"0660", "", "no such group", "group"},
	};
	struct place place;

	make_place(&place);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[128] = "";
		int fd = -1;

		place.listen.mode = cases[i].mode;
		place.listen.owner = cases[i].owner;
		place.listen.group = cases[i].group;
		cr_assert_eq(tm_listen_check_access(&place.listen, why, sizeof(why)),
			     cases[i].wrong ? TM_EINVAL : TM_OK, "case %zu: %s", i, why);
		if (!cases[i].wrong)
			continue;
		cr_assert_not_null(strstr(why, cases[i].wrong), "case %zu: %s", i, why);
		cr_assert_eq(tm_listen_open(&place.listen, &fd), TM_EINVAL);
		cr_assert_eq(access(place.path, F_OK), -1);
	}
	drop_place(&place);
}

Test(listen, socket_has_its_mode_whatever_the_umask)
{
	static const mode_t modes[] = {0660, 0600, 0666, 0777};
	struct place place;

	make_place(&place);
	(void)umask(077);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char mode[8];
		struct stat st;
		int fd = -1;

		cr_assert_gt(snprintf(mode, sizeof(mode), "%o", modes[i]), 0);
		place.listen.mode = mode;
		cr_assert_eq(tm_listen_open(&place.listen, &fd), TM_OK);
		cr_assert_eq(lstat(place.path, &st), 0);
		cr_assert_eq(st.st_mode, S_IFSOCK | modes[i]);
		cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		cr_assert_eq(tm_listen_remove(&place.listen, fd), TM_OK);
		close(fd);
	}
	cr_assert_eq(umask(0), 077, "the umask is as it was");
	drop_place(&place);
}

Test(listen, live_socket_is_left_alone_even_when_its_queue_is_full)
{
	struct place place;
	int mine = -1, other = -1, clients[64], count = 0;

	make_place(&place);
	place.listen.backlog = 0;
	cr_assert_eq(tm_listen_open(&place.listen, &mine), TM_OK);
	cr_assert_eq(tm_listen_open(&place.listen, &other), TM_EEXIST);
	/* The look of the second start is still in the queue, which has one place. */
	while (count < 64) {
		struct sockaddr_un addr = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		(void)strcpy(addr.sun_path, place.path);
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
			cr_assert_eq(errno, EAGAIN);
			close(fd);
			break;
		}
		clients[count++] = fd;
	}
	cr_assert_lt(count, 64);
	cr_assert_eq(tm_listen_open(&place.listen, &other), TM_EEXIST);
	while (count)
		close(clients[--count]);
	cr_assert_eq(tm_listen_remove(&place.listen, mine), TM_OK);
	close(mine);
	drop_place(&place);
}

Test(listen, dead_socket_is_replaced)
{
	struct place place;
	int fd = -1, client;

	make_place(&place);
	cr_assert_eq(tm_listen_open(&place.listen, &fd), TM_OK);
	close(fd);
	cr_assert_eq(connect_to(place.path), -1);
	cr_assert_eq(tm_listen_open(&place.listen, &fd), TM_OK);
	client = connect_to(place.path);
	cr_assert_geq(client, 0);
	close(client);
	cr_assert_eq(tm_listen_remove(&place.listen, fd), TM_OK);
	close(fd);
	drop_place(&place);
}

Test(listen, file_that_is_no_socket_is_not_touched)
{
	struct place place;
	int fd = -1, file;

	make_place(&place);
	file = open(place.path, O_WRONLY | O_CREAT, 0600);
	cr_assert_geq(file, 0);
	close(file);
	cr_assert_eq(tm_listen_open(&place.listen, &fd), TM_EIO);
	cr_assert_eq(errno, ENOTSOCK);
	cr_assert_eq(access(place.path, F_OK), 0);
	drop_place(&place);
}

Test(listen, folder_that_is_missing_is_an_error_with_a_cause)
{
	struct tm_listen listen = {.address = "/tmp/tm-listen-none/none/s", .mode = "0660",
				   .owner = "", .group = "", .backlog = 4};
	int fd = -1;

	cr_assert_eq(tm_listen_open(&listen, &fd), TM_EIO);
	cr_assert_eq(errno, ENOENT);
}

Test(listen, only_our_own_path_is_removed)
{
	struct place place;
	int fd = -1, other = -1;

	make_place(&place);
	cr_assert_eq(tm_listen_open(&place.listen, &fd), TM_OK);
	cr_assert_eq(tm_listen_remove(&place.listen, -1), TM_OK);
	cr_assert_eq(access(place.path, F_OK), 0);

	cr_assert_eq(unlink(place.path), 0);
	other = open(place.path, O_WRONLY | O_CREAT, 0600);
	cr_assert_geq(other, 0);
	cr_assert_eq(tm_listen_remove(&place.listen, fd), TM_OK);
	cr_assert_eq(access(place.path, F_OK), 0, "it is another's by now");
	close(other);
	close(fd);
	drop_place(&place);
}

/* One of the many: opens when the gate does, says how it went, and stays while hold is open, so
 * that nobody finds a winner that is dead already. */
static void start_one(const struct tm_listen *listen, int gate, int told, int hold)
{
	char byte;
	int fd = -1;

	if (read(gate, &byte, 1) != 0)
		_exit(2);
	byte = (char)tm_listen_open(listen, &fd);
	if (write(told, &byte, 1) != 1 || read(hold, &byte, 1) != 0)
		_exit(2);
	_exit(0);
}

Test(listen, of_many_starts_at_once_one_wins)
{
	enum { STARTS = 8 };
	struct place place;
	int gate[2], told[2], hold[2], winners = 0, status, fd = -1;

	make_place(&place);
	cr_assert_eq(tm_listen_open(&place.listen, &fd), TM_OK);
	close(fd);	/* a dead one lies in the way of all */
	cr_assert(!pipe(gate) && !pipe(told) && !pipe(hold));
	for (int i = 0; i < STARTS; i++) {
		pid_t pid = fork();

		cr_assert_geq(pid, 0);
		if (!pid) {
			close(gate[1]);
			close(hold[1]);
			start_one(&place.listen, gate[0], told[1], hold[0]);
		}
	}
	close(gate[1]);
	for (int i = 0; i < STARTS; i++) {
		char err;

		cr_assert_eq(read(told[0], &err, 1), 1);
		cr_assert(err == TM_OK || err == TM_EEXIST, "error %d", err);
		winners += err == TM_OK;
	}
	cr_assert_eq(winners, 1);
	close(hold[1]);
	for (int i = 0; i < STARTS; i++) {
		cr_assert_gt(wait(&status), 0);
		cr_assert_eq(status, 0);
	}
	drop_place(&place);
}

Test(listen, tcp_port_in_use_is_told_apart)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	char address[32];
	struct tm_listen listen = {.address = address, .mode = "0660", .owner = "", .group = "",
				   .backlog = 4};
	int taken = socket(AF_INET, SOCK_STREAM, 0), fd = -1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(taken, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(getsockname(taken, (struct sockaddr *)&addr, &len), 0);
	cr_assert_gt(snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(addr.sin_port)), 0);
	cr_assert_eq(tm_listen_open(&listen, &fd), TM_EEXIST);
	close(taken);
	cr_assert_eq(tm_listen_open(&listen, &fd), TM_OK);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	close(fd);
}
