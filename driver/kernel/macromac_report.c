// SPDX-License-Identifier: GPL-2.0
/* What the device has to say: why it halted, and its counters. */
#include <linux/bitfield.h>

#include "macromac.h"

/* The range of a descriptor that an address lies in, or MACROMAC_RANGES. */
static u32 macromac_descriptor_range(const struct macromac_descriptor *descriptor, u64 address,
				     u64 *offset)
{
	u32 i;

	for (i = 0; i < MACROMAC_RANGES; i++) {
		u64 bytes = macromac_range_bytes(le16_to_cpu(descriptor->groups),
						 le16_to_cpu(descriptor->tile_rows),
						 descriptor->vectors, descriptor->macro_strips, i);
		u64 start;

		switch (i) {
		case MACROMAC_RANGE_ACTIVATIONS:
			start = le64_to_cpu(descriptor->activations);
			break;
		case MACROMAC_RANGE_RESULTS:
			start = le64_to_cpu(descriptor->results);
			break;
		default:
			start = le64_to_cpu(descriptor->weights[i]);
			break;
		}
		if (address >= start && address - start < bytes) {
			*offset = address - start;
			return i;
		}
	}
	return MACROMAC_RANGES;
}

/**
 * macromac_report_fault - why the device halted
 * @mm: the device, locked
 * @fault: filled; an address becomes a place in a step's range
 */
void macromac_report_fault(struct macromac *mm, struct macromac_fault *fault)
{
	const struct macromac_program *program = mm->program;
	u32 cause, kind, i;
	u64 address;

	fault->range = ~0u;
	if (mm->dead) {
		fault->cause = 0x100;
		return;
	}
	cause = macromac_load32(mm, MACROMAC_ERR_CAUSE);
	if (cause == MACROMAC_NO_ANSWER) {
		fault->cause = 0x100;
		return;
	}
	fault->nan_in = !!(macromac_load32(mm, MACROMAC_STATUS) & MACROMAC_STATUS_NAN_IN_MASK);
	kind = FIELD_GET(MACROMAC_ERR_CAUSE_CAUSE_MASK, cause);
	if (!kind)
		return;
	fault->cause = kind;
	fault->port = FIELD_GET(MACROMAC_ERR_CAUSE_PORT_MASK, cause);
	fault->step = FIELD_GET(MACROMAC_ERR_CAUSE_STEP_MASK, cause);
	if (!program || (kind != 1 && kind != 2))
		return;

	/* Weights are fetched ahead: the burst may be that of a step further on. */
	address = macromac_load32(mm, MACROMAC_ERR_ADDR_LO) |
		  (u64)macromac_load32(mm, MACROMAC_ERR_ADDR_HI) << 32;
	for (i = 0; i < program->steps; i++) {
		const struct macromac_descriptor *ring = program->ring.cpu;
		u32 step = (fault->step + i) % program->steps;
		u32 range = macromac_descriptor_range(ring + step, address, &fault->offset);

		if (range != MACROMAC_RANGES) {
			fault->step = step;
			fault->range = range;
			return;
		}
	}
}

static u64 macromac_counter(struct macromac *mm, u32 offset)
{
	u32 high = macromac_load32(mm, offset + 4), low, before;

	do {
		before = high;
		low = macromac_load32(mm, offset);
		high = macromac_load32(mm, offset + 4);
	} while (high != before);
	return (u64)high << 32 | low;
}

/**
 * macromac_report_stats - read all counters
 * @mm: the device, locked
 * @stats: filled
 */
void macromac_report_stats(struct macromac *mm, struct macromac_stats *stats)
{
	u32 i;

	stats->interrupts = atomic_read(&mm->counts.interrupts);
	stats->cycles = macromac_counter(mm, MACROMAC_CYCLES_LO);
	stats->stream_cycles = macromac_counter(mm, MACROMAC_STREAM_CYCLES_LO);
	stats->steps = macromac_counter(mm, MACROMAC_STEPS_LO);
	for (i = 0; i < MACROMAC_PORTS; i++) {
		u32 base = MACROMAC_PORT_BASE + i * MACROMAC_PORT_STRIDE;
		struct macromac_port_stats *port = &stats->port[i];

		port->beats = macromac_counter(mm, base + MACROMAC_PORT_BEATS_LO);
		port->strips = macromac_counter(mm, base + MACROMAC_PORT_STRIPS_LO);
		port->no_data = macromac_counter(mm, base + MACROMAC_PORT_NO_DATA_LO);
		port->no_activations = macromac_counter(mm, base + MACROMAC_PORT_NO_ACTIVATIONS_LO);
		port->no_room = macromac_counter(mm, base + MACROMAC_PORT_NO_ROOM_LO);
		port->lock_step = macromac_counter(mm, base + MACROMAC_PORT_LOCK_STEP_LO);
	}
}
