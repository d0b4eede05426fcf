/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the skep command: dispatch. */
#include <stdio.h>

int main(void)
{
	fputs("skep: no commands yet\n", stderr);
	return 2;
}
