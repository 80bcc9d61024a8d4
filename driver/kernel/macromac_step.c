// SPDX-License-Identifier: GPL-2.0
/* Rules and bytes of a step. Uses no kernel service: also compiled by tests/step-test.c. */
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/string.h>
#endif

#include "macromac_step.h"

/**
 * macromac_range_bytes - how much of a range the device touches
 * @groups: of the step
 * @tile_rows: of the step
 * @vectors: of the step
 * @macro_strips: of the step
 * @range: 0 to 3 weights, MACROMAC_RANGE_ACTIVATIONS, MACROMAC_RANGE_RESULTS
 *
 * Return: bytes; at most 2^16 * 2^16 * 2^8 * 2^8, so it does not overflow.
 */
__u64 macromac_range_bytes(__u32 groups, __u32 tile_rows, __u32 vectors, __u32 macro_strips,
			   __u32 range)
{
	__u64 strips = (__u64)macro_strips * groups;

	switch (range) {
	case MACROMAC_RANGE_ACTIVATIONS:
		return (__u64)groups * vectors * 256;
	case MACROMAC_RANGE_RESULTS:
		return (__u64)tile_rows * vectors * 128;
	default:
		/* Format 2: four macros share the strip of their zeros. */
		if (macro_strips == 17)
			strips += (groups + 3) / 4;
		return strips * tile_rows * 16;
	}
}

static __u32 macromac_shape_rule(const struct macromac_step *step,
				 const struct macromac_limits *limits)
{
	if (!step->groups || step->groups > limits->max_groups)
		return MACROMAC_RULE_GROUPS;
	if (!step->tile_rows)
		return MACROMAC_RULE_TILE_ROWS;
	if (!step->vectors || step->vectors > limits->batch)
		return MACROMAC_RULE_VECTORS;
	if (step->macro_strips != 18 && (step->macro_strips != 17 || !limits->arithmetic))
		return MACROMAC_RULE_STRIPS;
	return MACROMAC_RULE_NONE;
}

static __u32 macromac_range_rule(const struct macromac_range *range, __u64 bytes, __u32 usage,
				 macromac_lookup lookup, void *context, __le64 *address)
{
	struct macromac_extent extent;

	if (range->pad)
		return MACROMAC_RULE_PAD;
	if (range->offset % MACROMAC_ALIGN)
		return MACROMAC_RULE_ALIGN;
	if (!lookup(context, range->handle, &extent))
		return MACROMAC_RULE_HANDLE;
	if (extent.usage != usage)
		return MACROMAC_RULE_USAGE;
	/* Not offset + bytes, which a caller can make wrap. */
	if (bytes > extent.bytes || range->offset > extent.bytes - bytes)
		return MACROMAC_RULE_BOUNDS;
	*address = cpu_to_le64(extent.address + range->offset);
	return MACROMAC_RULE_NONE;
}

/**
 * macromac_step_encode - check a step against every rule and write its descriptor
 * @step: what the caller wants, already a private copy
 * @limits: of the device
 * @lookup: finds the caller's buffers; it may be asked for the same handle more than once
 * @context: for @lookup
 * @descriptor: written if the step is good
 * @why: written if it is not
 *
 * Return: true if the step is good.
 */
bool macromac_step_encode(const struct macromac_step *step, const struct macromac_limits *limits,
			  macromac_lookup lookup, void *context,
			  struct macromac_descriptor *descriptor, struct macromac_refusal *why)
{
	__u32 i;

	memset(descriptor, 0, sizeof(*descriptor));
	why->range = 0;
	why->rule = macromac_shape_rule(step, limits);
	if (why->rule)
		return false;

	for (i = 0; i < MACROMAC_RANGES; i++) {
		__u64 bytes = macromac_range_bytes(step->groups, step->tile_rows, step->vectors,
						   step->macro_strips, i);
		const struct macromac_range *range;
		__u32 usage;
		__le64 *address;

		switch (i) {
		case MACROMAC_RANGE_ACTIVATIONS:
			range = &step->activations;
			usage = MACROMAC_ACTIVATIONS;
			address = &descriptor->activations;
			break;
		case MACROMAC_RANGE_RESULTS:
			range = &step->results;
			usage = MACROMAC_RESULTS;
			address = &descriptor->results;
			break;
		default:
			range = &step->weights[i];
			usage = MACROMAC_WEIGHTS;
			address = &descriptor->weights[i];
			break;
		}
		why->range = i;
		why->rule = macromac_range_rule(range, bytes, usage, lookup, context, address);
		if (why->rule)
			return false;
	}
	why->range = 0;

	descriptor->version = MACROMAC_DESCRIPTOR_VERSION;
	descriptor->macro_strips = step->macro_strips;
	/* Always asked for; IRQ_ENABLE decides whether anybody hears of it. */
	descriptor->flags = cpu_to_le16(MACROMAC_DESCRIPTOR_INTERRUPT);
	descriptor->groups = cpu_to_le16(step->groups);
	descriptor->tile_rows = cpu_to_le16(step->tile_rows);
	descriptor->report_tile_rows = cpu_to_le16(step->report_tile_rows);
	descriptor->vectors = step->vectors;
	return true;
}

#ifdef __KERNEL__
static_assert(sizeof(struct macromac_descriptor) == 64);
static_assert(sizeof(struct macromac_step) == 104);
#endif
