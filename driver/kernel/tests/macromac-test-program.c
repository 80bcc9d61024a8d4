// SPDX-License-Identifier: GPL-2.0
/* Programs: one test a rule, and what a program computes. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"

/* Loads a good step and a second one that is changed: refused by @rule, and nothing is loaded. */
static int refused_as(struct rig *rig, const struct macromac_step *bad, uint32_t rule,
		      uint32_t range)
{
	struct macromac_step steps[3] = { rig->step, *bad, rig->step };
	struct macromac_program_load arg;

	EQUAL(load(rig->fd, steps, 3, &arg), -EINVAL);
	EQUAL(arg.bad_step, 1);
	EQUAL(arg.bad_rule, rule);
	EQUAL(arg.bad_range, range);
	EQUAL(run(rig->fd, 1), -EPERM);
	return PASS;
}

#define REFUSED(rig, change, rule, range)						\
	do {										\
		struct macromac_step s = (rig).step;					\
											\
		change;									\
		if (refused_as(&(rig), &s, rule, range))				\
			return fail(__FILE__, __LINE__, #change " refused by " #rule);	\
	} while (0)

static int rule_steps(void)
{
	static struct macromac_step steps[65536];
	struct macromac_program_load arg;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (int i = 0; i < 65536; i++)
		steps[i] = rig.step;
	EQUAL(load(rig.fd, steps, 65536, &arg), -EINVAL);
	EQUAL(arg.bad_rule, MACROMAC_RULE_STEPS);
	EQUAL(load(rig.fd, steps, 0xffffffff, &arg), -EINVAL);
	EQUAL(arg.bad_rule, MACROMAC_RULE_STEPS);
	/* The longest there is. */
	EQUAL(load(rig.fd, steps, 65535, &arg), 0);
	EQUAL(run(rig.fd, 3), 0);
	EQUAL(wait_for(rig.fd, 3, 30 * SECOND), 0);
	CHECK(rig_right(&rig));
	return PASS;
}

static int rule_groups(void)
{
	struct macromac_query query;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(query_of(rig.fd, &query), 0);
	REFUSED(rig, s.groups = 0, MACROMAC_RULE_GROUPS, 0);
	REFUSED(rig, s.groups = query.max_groups + 1, MACROMAC_RULE_GROUPS, 0);
	REFUSED(rig, s.groups = 65535, MACROMAC_RULE_GROUPS, 0);
	return PASS;
}

static int rule_tile_rows(void)
{
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	REFUSED(rig, s.tile_rows = 0, MACROMAC_RULE_TILE_ROWS, 0);
	return PASS;
}

static int rule_vectors(void)
{
	struct macromac_query query;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(query_of(rig.fd, &query), 0);
	REFUSED(rig, s.vectors = 0, MACROMAC_RULE_VECTORS, 0);
	REFUSED(rig, s.vectors = query.batch + 1, MACROMAC_RULE_VECTORS, 0);
	REFUSED(rig, s.vectors = 255, MACROMAC_RULE_VECTORS, 0);
	return PASS;
}

static int rule_strips(void)
{
	struct macromac_program_load arg;
	struct macromac_query query;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(query_of(rig.fd, &query), 0);
	REFUSED(rig, s.macro_strips = 0, MACROMAC_RULE_STRIPS, 0);
	REFUSED(rig, s.macro_strips = 16, MACROMAC_RULE_STRIPS, 0);
	REFUSED(rig, s.macro_strips = 19, MACROMAC_RULE_STRIPS, 0);
	if (!query.arithmetic) {
		REFUSED(rig, s.macro_strips = 17, MACROMAC_RULE_STRIPS, 0);
		return PASS;
	}
	rig.step.macro_strips = 17;
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	return PASS;
}

static struct macromac_range *range_of(struct macromac_step *step, uint32_t range)
{
	return range < MACROMAC_PORTS ? &step->weights[range] :
	       range == MACROMAC_RANGE_ACTIVATIONS ? &step->activations : &step->results;
}

static int rule_handle(void)
{
	struct macromac_buffer_create gone;
	struct rig rig, other;

	EQUAL(rig_open(&rig), 0);
	EQUAL(rig_open(&other), 0);
	EQUAL(create(rig.fd, MACROMAC_WEIGHTS, SEGMENT, &gone), 0);
	EQUAL(release(rig.fd, gone.handle), 0);
	for (uint32_t i = 0; i <= MACROMAC_RANGE_RESULTS; i++) {
		REFUSED(rig, range_of(&s, i)->handle = 0, MACROMAC_RULE_HANDLE, i);
		REFUSED(rig, range_of(&s, i)->handle = gone.handle, MACROMAC_RULE_HANDLE, i);
		REFUSED(rig, range_of(&s, i)->handle = 0xffffffff, MACROMAC_RULE_HANDLE, i);
	}
	/* One of another file, with a number that this one does not have. */
	EQUAL(create(other.fd, MACROMAC_WEIGHTS, SEGMENT, &gone), 0);
	EQUAL(create(other.fd, MACROMAC_WEIGHTS, SEGMENT, &gone), 0);
	REFUSED(rig, s.weights[0].handle = gone.handle, MACROMAC_RULE_HANDLE, 0);
	return PASS;
}

static int rule_usage(void)
{
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (uint32_t i = 0; i < MACROMAC_PORTS; i++) {
		REFUSED(rig, s.weights[i].handle = rig.activations.handle, MACROMAC_RULE_USAGE, i);
		REFUSED(rig, s.weights[i].handle = rig.results.handle, MACROMAC_RULE_USAGE, i);
	}
	REFUSED(rig, s.activations.handle = rig.results.handle, MACROMAC_RULE_USAGE, 4);
	REFUSED(rig, s.activations.handle = rig.weights.handle, MACROMAC_RULE_USAGE, 4);
	REFUSED(rig, s.results.handle = rig.activations.handle, MACROMAC_RULE_USAGE, 5);
	REFUSED(rig, s.results.handle = rig.weights.handle, MACROMAC_RULE_USAGE, 5);
	return PASS;
}

static int rule_align(void)
{
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (uint32_t i = 0; i <= MACROMAC_RANGE_RESULTS; i++) {
		REFUSED(rig, range_of(&s, i)->offset = 1, MACROMAC_RULE_ALIGN, i);
		REFUSED(rig, range_of(&s, i)->offset = 2048, MACROMAC_RULE_ALIGN, i);
		REFUSED(rig, range_of(&s, i)->offset = -16ULL, MACROMAC_RULE_ALIGN, i);
	}
	return PASS;
}

static int rule_bounds(void)
{
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (uint32_t i = 0; i <= MACROMAC_RANGE_RESULTS; i++) {
		uint64_t bytes = i < MACROMAC_PORTS ? rig.weights.bytes : PAGE;

		REFUSED(rig, range_of(&s, i)->offset = bytes, MACROMAC_RULE_BOUNDS, i);
		REFUSED(rig, range_of(&s, i)->offset = 1ULL << 40, MACROMAC_RULE_BOUNDS, i);
		REFUSED(rig, range_of(&s, i)->offset = 1ULL << 63, MACROMAC_RULE_BOUNDS, i);
		/* Together with the length this is zero, or little, modulo 2^64. */
		REFUSED(rig, range_of(&s, i)->offset = -PAGE, MACROMAC_RULE_BOUNDS, i);
	}
	/* A shape that needs more than there is. */
	REFUSED(rig, s.groups = 120, MACROMAC_RULE_BOUNDS, 0);
	REFUSED(rig, s.tile_rows = 65535, MACROMAC_RULE_BOUNDS, 0);
	return PASS;
}

static int rule_pad(void)
{
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (uint32_t i = 0; i <= MACROMAC_RANGE_RESULTS; i++)
		REFUSED(rig, range_of(&s, i)->pad = 1U << 31, MACROMAC_RULE_PAD, i);
	return PASS;
}

static int steps_are_read_with_care(void)
{
	struct { struct macromac_step step; uint64_t more; } longer[2];
	struct macromac_program_load arg;
	struct rig rig;
	uint8_t *two;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, NULL, 1, &arg), -EFAULT);
	EQUAL(load(rig.fd, (void *)0xffff000000000000, 1, &arg), -EFAULT);
	EQUAL(load(rig.fd, (void *)-8L, 1, &arg), -EFAULT);
	two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(!munmap(two + PAGE, PAGE));
	memcpy(two + PAGE - 2 * sizeof(rig.step) + 8, &rig.step, sizeof(rig.step));
	EQUAL(load(rig.fd, (void *)(two + PAGE - 2 * sizeof(rig.step) + 8), 2, &arg), -EFAULT);

	for (uint32_t size = 0; size < sizeof(rig.step); size += 8) {
		arg = (struct macromac_program_load){
			.size = sizeof(arg), .step_count = 1, .steps = (uintptr_t)&rig.step,
			.step_size = size,
		};
		EQUAL(call(rig.fd, MACROMAC_IOC_PROGRAM_LOAD, &arg), -EINVAL);
		EQUAL(arg.bad_rule, MACROMAC_RULE_NONE);
	}
	arg.step_size = 1 << 20;
	EQUAL(call(rig.fd, MACROMAC_IOC_PROGRAM_LOAD, &arg), -E2BIG);

	/* Steps of a later header. */
	memset(longer, 0, sizeof(longer));
	longer[0].step = rig.step;
	longer[1].step = rig.step;
	arg.steps = (uintptr_t)longer;
	arg.step_size = sizeof(longer[0]);
	arg.step_count = 2;
	EQUAL(call(rig.fd, MACROMAC_IOC_PROGRAM_LOAD, &arg), 0);
	longer[1].more = 1;
	EQUAL(call(rig.fd, MACROMAC_IOC_PROGRAM_LOAD, &arg), -E2BIG);
	return PASS;
}

static int a_step_computes(void)
{
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (uint32_t seed = 1; seed <= 3; seed++) {
		EQUAL(rig_fill(&rig, seed), 0);
		EQUAL(rig_compute(&rig), 0);
	}
	return PASS;
}

static int the_ring_goes_round(void)
{
	struct macromac_program_load arg;
	struct macromac_step steps[3];
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (int i = 0; i < 3; i++)
		steps[i] = rig.step;
	EQUAL(load(rig.fd, steps, 3, &arg), 0);
	for (uint32_t lap = 1; lap <= 10; lap++) {
		EQUAL(rig_fill(&rig, lap), 0);
		EQUAL(run(rig.fd, 3 * lap), 0);
		EQUAL(wait_for(rig.fd, 3 * lap, 30 * SECOND), 0);
		CHECK(rig_right(&rig));
	}
	return PASS;
}

static int a_load_replaces_the_program(void)
{
	struct macromac_program_load arg;
	struct macromac_wait wait;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(run(rig.fd, 2), 0);
	EQUAL(wait_for(rig.fd, 2, 30 * SECOND), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	/* Counted from the load, and nothing is released. */
	EQUAL(wait_until(rig.fd, 1, 0xffffffff, now() + 50 * MS, &wait), -ETIMEDOUT);
	EQUAL(wait.steps_done, 0);
	EQUAL(rig_fill(&rig, 9), 0);
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
	CHECK(rig_right(&rig));
	return PASS;
}

static int a_refused_load_changes_nothing(void)
{
	struct macromac_program_load arg;
	struct macromac_step bad;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
	bad = rig.step;
	bad.groups = 0;
	EQUAL(load(rig.fd, &bad, 1, &arg), -EINVAL);
	EQUAL(run(rig.fd, 2), 0);
	EQUAL(wait_for(rig.fd, 2, 30 * SECOND), 0);
	return PASS;
}

static int what_a_program_uses_stays(void)
{
	struct macromac_program_load arg;
	struct macromac_buffer_create more;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(create(rig.fd, MACROMAC_WEIGHTS, PAGE, &more), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(release(rig.fd, rig.weights.handle), -EBUSY);
	EQUAL(release(rig.fd, rig.activations.handle), -EBUSY);
	EQUAL(release(rig.fd, rig.results.handle), -EBUSY);
	EQUAL(release(rig.fd, more.handle), 0);
	/* Unmapped it is still there for the device. */
	munmap(rig.w, rig.weights.bytes);
	rig.w = NULL;
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
	CHECK(rig_right(&rig));
	EQUAL(unload(rig.fd), 0);
	EQUAL(release(rig.fd, rig.weights.handle), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), -EINVAL);
	EQUAL(arg.bad_rule, MACROMAC_RULE_HANDLE);
	return PASS;
}

static int several_vectors_share_a_pass(void)
{
	struct macromac_program_load arg;
	struct macromac_query query;
	struct rig rig;
	uint32_t vectors = 8;
	float sums[8] = { 0 };

	EQUAL(rig_open(&rig), 0);
	EQUAL(query_of(rig.fd, &query), 0);
	if (query.batch < 2)
		return skip("the device takes one vector a pass");
	if (vectors > query.batch)
		vectors = query.batch;
	rig.step.vectors = vectors;
	for (uint32_t k = 0; k < INPUTS * vectors; k++) {
		rig.x[k] = 1 + k % 13;
		sums[k / 64 % vectors] += rig.x[k];
	}
	EQUAL(sync_range(rig.fd, rig.activations.handle, 0, PAGE, MACROMAC_SYNC_FOR_DEVICE), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
	EQUAL(sync_range(rig.fd, rig.results.handle, 0, PAGE, MACROMAC_SYNC_FOR_CPU), 0);
	for (uint32_t i = 0; i < OUTPUTS * vectors; i++)
		EQUAL(rig.y[i], (float)(i % 8 + i / 8 % 4) * sums[i / 32 % vectors]);
	return PASS;
}

/* Of kv260, a NaN makes all results of its vector NaN and leaves a mark, no fault. */
static int a_nan_is_told(void)
{
	struct macromac_program_load arg;
	struct macromac_fault fault;
	struct macromac_query query;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(query_of(rig.fd, &query), 0);
	if (!query.arithmetic)
		return skip("paper does not mark NaN");
	EQUAL(reset(rig.fd), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(fault_of(rig.fd, &fault), 0);
	EQUAL(fault.nan_in, 0);
	rig.x[100] = NAN;
	EQUAL(sync_range(rig.fd, rig.activations.handle, 0, PAGE, MACROMAC_SYNC_FOR_DEVICE), 0);
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
	EQUAL(sync_range(rig.fd, rig.results.handle, 0, PAGE, MACROMAC_SYNC_FOR_CPU), 0);
	for (int i = 0; i < OUTPUTS; i++)
		CHECK(isnan(rig.y[i]));
	EQUAL(fault_of(rig.fd, &fault), 0);
	EQUAL(fault.nan_in, 1);
	EQUAL(fault.cause, 0);
	EQUAL(reset(rig.fd), 0);
	EQUAL(fault_of(rig.fd, &fault), 0);
	EQUAL(fault.nan_in, 0);
	return PASS;
}

static int counters_count(void)
{
	struct macromac_stats before, after;
	struct macromac_program_load arg;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(stats_of(rig.fd, &before), 0);
	EQUAL(run(rig.fd, 3), 0);
	EQUAL(wait_for(rig.fd, 3, 30 * SECOND), 0);
	EQUAL(stats_of(rig.fd, &after), 0);
	EQUAL(after.steps - before.steps, 3);
	CHECK(after.cycles > before.cycles);
	CHECK(after.stream_cycles - before.stream_cycles >= 3 * 18 * GROUPS * TILE_ROWS);
	for (int port = 0; port < MACROMAC_PORTS; port++)
		EQUAL(after.port[port].strips - before.port[port].strips,
		      3 * 18 * GROUPS * TILE_ROWS);
	/* A reset clears those of the device, not that of the driver. */
	EQUAL(reset(rig.fd), 0);
	EQUAL(stats_of(rig.fd, &after), 0);
	EQUAL(after.steps, 0);
	CHECK(after.interrupts >= before.interrupts);
	return PASS;
}

const struct test program_tests[] = {
	{ "rule steps", rule_steps },
	{ "rule groups", rule_groups },
	{ "rule tile rows", rule_tile_rows },
	{ "rule vectors", rule_vectors },
	{ "rule strips", rule_strips },
	{ "rule handle", rule_handle },
	{ "rule usage", rule_usage },
	{ "rule align", rule_align },
	{ "rule bounds", rule_bounds },
	{ "rule pad", rule_pad },
	{ "steps are read with care", steps_are_read_with_care },
	{ "a step computes", a_step_computes },
	{ "the ring goes round", the_ring_goes_round },
	{ "a load replaces the program", a_load_replaces_the_program },
	{ "a refused load changes nothing", a_refused_load_changes_nothing },
	{ "what a program uses stays", what_a_program_uses_stays },
	{ "several vectors share a pass", several_vectors_share_a_pass },
	{ "a NaN is told", a_nan_is_told },
	{ "counters count", counters_count },
	{ }
};
