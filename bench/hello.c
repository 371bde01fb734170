/*
 * The least that a FastCGI program can do, with libfcgi: what bench/run holds textmill against.
 *
 *   hello SOCKET WORKERS
 */
#include <fcgiapp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	FCGX_Request request;
	int fd, workers;

	if (argc != 3 || FCGX_Init())
		return EXIT_FAILURE;
	workers = atoi(argv[2]);
	fd = FCGX_OpenSocket(argv[1], 511);
	if (fd < 0 || chmod(argv[1], 0666) || FCGX_InitRequest(&request, fd, 0))
		return EXIT_FAILURE;
	for (int i = 1; i < workers; i++)
		if (fork() == 0)
			break;
	while (FCGX_Accept_r(&request) == 0) {
		(void)FCGX_PutS("Content-Type: text/plain\r\n\r\nhello\n", request.out);
		FCGX_Finish_r(&request);
	}
	return EXIT_SUCCESS;
}
