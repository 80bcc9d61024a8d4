// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of macromac_step.c on the building machine: one a rule, and the bytes of the committed vector
 * (host/format/src/descriptor.rs). Run by scripts/kernel-check.
 */
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define cpu_to_le16 htole16
#define cpu_to_le64 htole64

#include "../macromac_step.c"

static int checks, failed;

#define CHECK(condition, ...)							\
	do {									\
		checks++;							\
		if (!(condition)) {						\
			failed++;						\
			printf("line %d: %s: ", __LINE__, #condition);		\
			printf(__VA_ARGS__);					\
			printf("\n");						\
		}								\
	} while (0)

/* Handles 1 to 3 are a buffer of each usage. */
static struct macromac_extent extents[4] = {
	{ 0 },
	{ 0x810000000, 0x1000000, MACROMAC_WEIGHTS },
	{ 0x800001000, 0x1000, MACROMAC_ACTIVATIONS },
	{ 0x800002000, 0x2000, MACROMAC_RESULTS },
};

static bool lookup(void *context, __u32 handle, struct macromac_extent *extent)
{
	(*(int *)context)++;
	if (!handle || handle > 3)
		return false;
	*extent = extents[handle];
	return true;
}

static const struct macromac_limits kv260 = { .max_groups = 128, .batch = 8, .arithmetic = 1 };
static const struct macromac_limits paper = { .max_groups = 128, .batch = 1, .arithmetic = 0 };

/* The step of the committed vector. */
static struct macromac_step good(void)
{
	struct macromac_step step = {
		.groups = 14, .tile_rows = 36, .report_tile_rows = 4, .vectors = 1, .macro_strips = 18,
		.activations = { .handle = 2 }, .results = { .handle = 3 },
	};

	for (int port = 0; port < MACROMAC_PORTS; port++) {
		step.weights[port].handle = 1;
		step.weights[port].offset = 0x23000 * port;
	}
	return step;
}

static bool encode(const struct macromac_step *step, const struct macromac_limits *limits,
		   struct macromac_descriptor *descriptor, struct macromac_refusal *why)
{
	int lookups = 0;

	return macromac_step_encode(step, limits, lookup, &lookups, descriptor, why);
}

static void refused(int line, const struct macromac_step *step,
		    const struct macromac_limits *limits, __u32 rule, __u32 range)
{
	struct macromac_descriptor descriptor;
	struct macromac_refusal why = { 99, 99 };
	bool ok = encode(step, limits, &descriptor, &why);

	CHECK(!ok && why.rule == rule && why.range == range,
	      "of line %d: expected rule %u range %u, found %s rule %u range %u", line, rule, range,
	      ok ? "accepted" : "refused", why.rule, why.range);
}

static void accepted(int line, const struct macromac_step *step,
		     const struct macromac_limits *limits)
{
	struct macromac_descriptor descriptor;
	struct macromac_refusal why = { 99, 99 };

	CHECK(encode(step, limits, &descriptor, &why), "of line %d: refused by rule %u, range %u",
	      line, why.rule, why.range);
}

#define WITH(change)	({ struct macromac_step s = good(); change; s; })
#define REFUSED(change, limits, rule, range)	\
	({ struct macromac_step t = WITH(change); refused(__LINE__, &t, &(limits), rule, range); })
#define ACCEPTED(change, limits)		\
	({ struct macromac_step t = WITH(change); accepted(__LINE__, &t, &(limits)); })

static void test_vector(void)
{
	static const char expected[] =
		"011201000e00240004000100000000000010000008000000002000000800000000000010080000000030"
		"02100800000000600410080000000090061008000000";
	struct macromac_step step = good();
	struct macromac_descriptor descriptor;
	struct macromac_refusal why;
	char found[2 * sizeof(descriptor) + 1];

	CHECK(encode(&step, &kv260, &descriptor, &why), "rule %u", why.rule);
	for (size_t i = 0; i < sizeof(descriptor); i++)
		sprintf(found + 2 * i, "%02x", ((unsigned char *)&descriptor)[i]);
	CHECK(!strcmp(found, expected), "expected %s, found %s", expected, found);
}

static void test_shape(void)
{
	ACCEPTED((void)0, kv260);
	ACCEPTED((void)0, paper);
	REFUSED(s.groups = 0, kv260, MACROMAC_RULE_GROUPS, 0);
	REFUSED(s.groups = 129, kv260, MACROMAC_RULE_GROUPS, 0);
	REFUSED(s.groups = 65535, kv260, MACROMAC_RULE_GROUPS, 0);
	REFUSED(s.tile_rows = 0, kv260, MACROMAC_RULE_TILE_ROWS, 0);
	REFUSED(s.vectors = 0, kv260, MACROMAC_RULE_VECTORS, 0);
	REFUSED(s.vectors = 9, kv260, MACROMAC_RULE_VECTORS, 0);
	REFUSED(s.vectors = 2, paper, MACROMAC_RULE_VECTORS, 0);
	REFUSED(s.macro_strips = 16, kv260, MACROMAC_RULE_STRIPS, 0);
	REFUSED(s.macro_strips = 19, kv260, MACROMAC_RULE_STRIPS, 0);
	REFUSED(s.macro_strips = 17, paper, MACROMAC_RULE_STRIPS, 0);
	ACCEPTED(s.macro_strips = 17, kv260);
	ACCEPTED(s.report_tile_rows = 65535, kv260);
}

static void test_ranges(void)
{
	struct macromac_step step = good();

	for (__u32 i = 0; i < MACROMAC_RANGES; i++) {
		struct macromac_range *range = i < MACROMAC_PORTS ? &step.weights[i] :
			i == MACROMAC_RANGE_ACTIVATIONS ? &step.activations : &step.results;
		struct macromac_range before = *range;

		range->pad = 1;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_PAD, i);
		*range = before;
		range->handle = 4;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_HANDLE, i);
		range->handle = 0;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_HANDLE, i);
		range->handle = i < MACROMAC_PORTS ? 2 : 1;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_USAGE, i);
		*range = before;
		range->offset += 16;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_ALIGN, i);
		/* Offsets whose sum with the length wraps, or is just outside. */
		range->offset = -(__u64)MACROMAC_ALIGN;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_BOUNDS, i);
		range->offset = 1ULL << 63;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_BOUNDS, i);
		range->offset = extents[before.handle].bytes;
		refused(__LINE__, &step, &kv260, MACROMAC_RULE_BOUNDS, i);
		*range = before;
		accepted(__LINE__, &step, &kv260);
	}
}

/* Lengths to the byte: what just fits is taken, one unit more is not. */
static void test_lengths(void)
{
	/* 16 groups of one vector are 4096 bytes of activations; 8 vectors of 2 groups, too. */
	ACCEPTED(s.groups = 16, kv260);
	REFUSED(s.groups = 17, kv260, MACROMAC_RULE_BOUNDS, MACROMAC_RANGE_ACTIVATIONS);
	ACCEPTED((s.groups = 2, s.vectors = 8, s.tile_rows = 8), kv260);
	REFUSED((s.groups = 3, s.vectors = 8, s.tile_rows = 8), kv260, MACROMAC_RULE_BOUNDS,
		MACROMAC_RANGE_ACTIVATIONS);
	/* 64 tile rows of one vector are 8192 bytes of results. */
	ACCEPTED((s.groups = 1, s.tile_rows = 64), kv260);
	REFUSED((s.groups = 1, s.tile_rows = 65), kv260, MACROMAC_RULE_BOUNDS,
		MACROMAC_RANGE_RESULTS);
	/* A segment that ends with its buffer, in both formats; and the same, a page further. */
	extents[1].bytes = 36 * 16 * 18 * 14 + 0xf80;
	for (int port = 0; port < MACROMAC_PORTS; port++) {
		ACCEPTED((memset(s.weights, 0, sizeof(s.weights)), s.weights[0].handle = 1,
			  s.weights[1].handle = 1, s.weights[2].handle = 1, s.weights[3].handle = 1), kv260);
		REFUSED((memset(s.weights, 0, sizeof(s.weights)), s.weights[0].handle = 1,
			 s.weights[1].handle = 1, s.weights[2].handle = 1, s.weights[3].handle = 1,
			 s.weights[port].offset = 4096), kv260, MACROMAC_RULE_BOUNDS, port);
	}
	extents[1].bytes = 0x1000000;
	CHECK(macromac_range_bytes(14, 36, 1, 18, 0) == 36 * 16 * 18 * 14, "format 1");
	CHECK(macromac_range_bytes(14, 36, 1, 17, 3) == 36 * 16 * (17 * 14 + 4), "format 2");
	CHECK(macromac_range_bytes(13, 36, 1, 17, 3) == 36 * 16 * (17 * 13 + 4), "format 2");
	CHECK(macromac_range_bytes(12, 36, 1, 17, 3) == 36 * 16 * (17 * 12 + 3), "format 2");
	CHECK(macromac_range_bytes(65535, 65535, 255, 18, 0) == 65535ULL * 65535 * 18 * 16, "most");
}

int main(void)
{
	_Static_assert(sizeof(struct macromac_descriptor) == 64, "descriptor");
	_Static_assert(sizeof(struct macromac_step) == 104, "step");
	test_vector();
	test_shape();
	test_ranges();
	test_lengths();
	printf("step-test: %d checks, %d failed\n", checks, failed);
	return failed != 0;
}
