/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failures on purpose, of the calling thread alone: its n-th allocation or copy of user memory from now on fails
 * (fail-nth of a kernel with CONFIG_FAULT_INJECTION).
 */
#ifndef MACROMAC_TESTS_INJECT_H
#define MACROMAC_TESTS_INJECT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The thread's switch, or -1: this kernel has none. */
static inline int inject_open(void)
{
	return open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

/* The @nth one fails; 0: none. The switch's own copies may be what fails, and it is spent then. */
static inline void inject(int injector, unsigned int nth)
{
	char text[16];
	int bytes = snprintf(text, sizeof(text), "%u", nth);

	while (pwrite(injector, text, bytes, 0) != bytes)
		;
}

/* No failure from now on. Has there been one? */
static inline bool injected(int injector)
{
	char text[16] = "";
	ssize_t bytes = pread(injector, text, sizeof(text) - 1, 0);

	inject(injector, 0);
	return bytes > 0 && !atoi(text);
}

#endif /* MACROMAC_TESTS_INJECT_H */
