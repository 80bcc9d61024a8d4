// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of /dev/macromac0 on the machine it runs on: every call with good and bad arguments, mappings, ownership,
 * waiting, faults, processes that die. Output is TAP. Needs root for what it does to the module.
 *
 * usage: macromac-test [NAME...]	only tests whose name begins so
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* No test takes so long; one that hangs is killed and has failed. MACROMAC_TEST_SECONDS is another limit, for slow kernels. */
#define LIMIT_SECONDS	"120"

static const struct test *const groups[] = {
	call_tests, map_tests, program_tests, owner_tests, wait_tests, fault_tests, unbind_tests,
};

/* In a process of its own: what a test leaves behind goes with it, and a hang ends. */
static int run_test(const struct test *test)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		alarm(atoi(getenv("MACROMAC_TEST_SECONDS") ?: LIMIT_SECONDS));
		status = test->run();
		fflush(stdout);
		_exit(status);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return FAIL;
	if (WIFSIGNALED(status)) {
		printf("# ended by signal %d\n", WTERMSIG(status));
		return FAIL;
	}
	return WEXITSTATUS(status);
}

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(name, argv[i], strlen(argv[i])))
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	int number = 0, failed = 0, skipped = 0;

	printf("TAP version 13\n");
	for (size_t group = 0; group < sizeof(groups) / sizeof(groups[0]); group++) {
		for (const struct test *test = groups[group]; test->name; test++) {
			int result;

			if (!wanted(test->name, argc, argv))
				continue;
			result = run_test(test);
			number++;
			failed += result != PASS && result != SKIP;
			skipped += result == SKIP;
			printf("%s %d - %s%s\n", result == PASS || result == SKIP ? "ok" : "not ok",
			       number, test->name, result == SKIP ? " # SKIP" : "");
		}
	}
	printf("1..%d\n", number);
	printf("# macromac-test: %d checks, %d failed, %d skipped\n", number, failed, skipped);
	return failed || !number;
}
