/* SPDX-License-Identifier: GPL-2.0 */
/* What the test programs share: calls, a small product with known results, and TAP. */
#ifndef MACROMAC_TESTS_HARNESS_H
#define MACROMAC_TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "macromac.h"

#define PAGE		4096UL
#define DEVICE		"/dev/macromac0"
#define MS		1000000LL
#define SECOND		(1000 * MS)

/* A check that ends its test when it does not hold. */
#define CHECK(condition)							\
	do {									\
		if (!(condition))						\
			return fail(__FILE__, __LINE__, #condition);		\
	} while (0)

/* A value that is compared, and told when it differs. */
#define EQUAL(found, expected)							\
	do {									\
		long long f_ = (long long)(found), e_ = (long long)(expected);	\
		if (f_ != e_)							\
			return fail_value(__FILE__, __LINE__, #found, f_, e_);	\
	} while (0)

#define PASS		0
#define FAIL		1
#define SKIP		2

int fail(const char *file, int line, const char *what);
int fail_value(const char *file, int line, const char *what, long long found, long long expected);
int skip(const char *why);

struct test {
	const char *name;
	int (*run)(void);
};

extern const struct test call_tests[], map_tests[], program_tests[], owner_tests[], wait_tests[],
	fault_tests[], unbind_tests[];

/* All calls return 0 or a negative errno. */
int device_open(void);
int call(int fd, unsigned long command, void *arg);
int create(int fd, uint32_t usage, uint64_t bytes, struct macromac_buffer_create *made);
int release(int fd, uint32_t handle);
int sync_range(int fd, uint32_t handle, uint64_t offset, uint64_t bytes, uint32_t direction);
int load(int fd, const struct macromac_step *steps, uint32_t count,
	 struct macromac_program_load *arg);
int unload(int fd);
int run(int fd, uint32_t steps_ready);
int reset(int fd);
int wait_until(int fd, uint32_t steps, uint32_t rows, int64_t deadline,
	       struct macromac_wait *arg);
int wait_for(int fd, uint32_t steps, int64_t ns);
int fault_of(int fd, struct macromac_fault *fault);
int stats_of(int fd, struct macromac_stats *stats);
int query_of(int fd, struct macromac_query *query);

/*
 * Bytes that all buffers have, up to a constant. Taken from debugfs: where the kernel's default pool is used, what QUERY
 * says is left changes with what the rest of the system does.
 */
int64_t memory_used(int fd);

int64_t now(void);
void *map(int fd, uint64_t offset, size_t bytes, int protection);
/* Whether a byte can be read without SIGBUS; the same for a 32-bit write of @value. */
bool readable(const volatile void *at);
bool writable(volatile uint32_t *at, uint32_t value);
bool write_text(const char *path, const char *text);
/* How long the module lets released steps finish; the value before goes to @before, 16 bytes. */
bool set_stop_ms(const char *value, char *before);

/*
 * A rig: a file with a product of GROUPS groups and TILE_ROWS tile rows. Weights are q = c + p,
 * scale 1, zero 0, for output channel c of port p; activations are small integers. So result
 * 32r + 8p + c is (c + p) times their sum, exact in both arithmetics.
 */
#define GROUPS		2
#define TILE_ROWS	4
#define INPUTS		(64 * GROUPS)
#define OUTPUTS		(32 * TILE_ROWS)
#define SEGMENT		8192

struct rig {
	int fd;
	struct macromac_buffer_create weights, activations, results;
	uint8_t *w;
	float *x;
	float *y;
	struct macromac_step step;
	float sum;
};

int rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* Fills activations from a seed and poisons the results. */
int rig_fill(struct rig *rig, uint32_t seed);
/* Are the results those of the activations? */
bool rig_right(struct rig *rig);
/* Loads, computes once with RUN and WAIT, compares, unloads. */
int rig_compute(struct rig *rig);

#endif /* MACROMAC_TESTS_HARNESS_H */
