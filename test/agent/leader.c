/* SPDX-License-Identifier: Apache-2.0 */
/* leader.c - a process whose main thread ends first. */
#include <pthread.h>
#include <unistd.h>

static void *other(void *arg)
{
	usleep(800000);
	_exit(0);
	return arg;
}

int main(void)
{
	pthread_t t;

	pthread_create(&t, NULL, other, NULL);
	pthread_exit(NULL);
}
