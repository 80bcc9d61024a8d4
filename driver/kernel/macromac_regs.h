/* Generated from rtl/regs/macromac.rdl by scripts/generate; do not edit. */
/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef MACROMAC_REGS_H
#define MACROMAC_REGS_H

/* Offsets are bytes from the first control register; fields have a mask and a shift. */

/* Counters of one weight port: element i at BASE + i * STRIDE. */
#define MACROMAC_PORT_BASE			0x1100
#define MACROMAC_PORT_STRIDE			0x40
#define MACROMAC_PORT_COUNT			4

/* Identification. */
#define MACROMAC_ID				0x0000
#define MACROMAC_ID_RESET			0x4d4d4143

/* Interface version. */
#define MACROMAC_VERSION			0x0004
#define MACROMAC_VERSION_MINOR_MASK		0x0000ffff
#define MACROMAC_VERSION_MINOR_SHIFT		0
#define MACROMAC_VERSION_MAJOR_MASK		0xffff0000
#define MACROMAC_VERSION_MAJOR_SHIFT		16
#define MACROMAC_VERSION_RESET			0x00010000

/* Capabilities 0. */
#define MACROMAC_CAP0				0x0008
#define MACROMAC_CAP0_PORTS_MASK		0x0000000f
#define MACROMAC_CAP0_PORTS_SHIFT		0
#define MACROMAC_CAP0_ARITHMETIC_MASK		0x000000f0
#define MACROMAC_CAP0_ARITHMETIC_SHIFT		4
#define MACROMAC_CAP0_BATCH_MASK		0x0000ff00
#define MACROMAC_CAP0_BATCH_SHIFT		8
#define MACROMAC_CAP0_GROUP_SIZE_MASK		0x00ff0000
#define MACROMAC_CAP0_GROUP_SIZE_SHIFT		16
#define MACROMAC_CAP0_MACRO_STRIPS_MASK		0xff000000
#define MACROMAC_CAP0_MACRO_STRIPS_SHIFT	24

/* Capabilities 1. */
#define MACROMAC_CAP1				0x000c

/* Capabilities 2. */
#define MACROMAC_CAP2				0x0010
#define MACROMAC_CAP2_MAX_GROUPS_MASK		0x0000ffff
#define MACROMAC_CAP2_MAX_GROUPS_SHIFT		0
#define MACROMAC_CAP2_ADDR_BITS_MASK		0x00ff0000
#define MACROMAC_CAP2_ADDR_BITS_SHIFT		16

/* Configuration hash. FNV-1a (32 bit) over all hardware parameters, so that a figure names the machine it was measured on. */
#define MACROMAC_CONFIG_HASH			0x0014

/* Control. Writing one starts the action; reads give zero. */
#define MACROMAC_CTRL				0x0020
#define MACROMAC_CTRL_START_MASK		0x00000001
#define MACROMAC_CTRL_START_SHIFT		0
#define MACROMAC_CTRL_STOP_MASK			0x00000002
#define MACROMAC_CTRL_STOP_SHIFT		1
#define MACROMAC_CTRL_SOFT_RESET_MASK		0x00000004
#define MACROMAC_CTRL_SOFT_RESET_SHIFT		2

/* Status. */
#define MACROMAC_STATUS				0x0024
#define MACROMAC_STATUS_IDLE_MASK		0x00000001
#define MACROMAC_STATUS_IDLE_SHIFT		0
#define MACROMAC_STATUS_RUNNING_MASK		0x00000002
#define MACROMAC_STATUS_RUNNING_SHIFT		1
#define MACROMAC_STATUS_DRAINING_MASK		0x00000004
#define MACROMAC_STATUS_DRAINING_SHIFT		2
#define MACROMAC_STATUS_FAULTED_MASK		0x00000008
#define MACROMAC_STATUS_FAULTED_SHIFT		3
#define MACROMAC_STATUS_NAN_IN_MASK		0x00000010
#define MACROMAC_STATUS_NAN_IN_SHIFT		4

/* Interrupt status. */
#define MACROMAC_IRQ_STATUS			0x0028
#define MACROMAC_IRQ_STATUS_STEP_DONE_MASK	0x00000001
#define MACROMAC_IRQ_STATUS_STEP_DONE_SHIFT	0
#define MACROMAC_IRQ_STATUS_FAULT_MASK		0x00000002
#define MACROMAC_IRQ_STATUS_FAULT_SHIFT		1

/* Interrupt enable. */
#define MACROMAC_IRQ_ENABLE			0x002c
#define MACROMAC_IRQ_ENABLE_STEP_DONE_MASK	0x00000001
#define MACROMAC_IRQ_ENABLE_STEP_DONE_SHIFT	0
#define MACROMAC_IRQ_ENABLE_FAULT_MASK		0x00000002
#define MACROMAC_IRQ_ENABLE_FAULT_SHIFT		1

/* Program ring, address bits 31..0. */
#define MACROMAC_RING_BASE_LO			0x0030

/* Program ring, address bits 63..32. */
#define MACROMAC_RING_BASE_HI			0x0034

/* Program ring, number of steps. */
#define MACROMAC_RING_STEPS			0x0038
#define MACROMAC_RING_STEPS_STEPS_MASK		0x0000ffff
#define MACROMAC_RING_STEPS_STEPS_SHIFT		0

/* Completion record, address bits 31..0. */
#define MACROMAC_COMPLETION_LO			0x0040

/* Completion record, address bits 63..32. */
#define MACROMAC_COMPLETION_HI			0x0044

/* AXI attributes. Driven on AxCACHE and AxPROT; the driver sets them after it has probed coherency. */
#define MACROMAC_AXI_ATTR			0x0048
#define MACROMAC_AXI_ATTR_WEIGHT_CACHE_MASK	0x0000000f
#define MACROMAC_AXI_ATTR_WEIGHT_CACHE_SHIFT	0
#define MACROMAC_AXI_ATTR_WEIGHT_PROT_MASK	0x00000070
#define MACROMAC_AXI_ATTR_WEIGHT_PROT_SHIFT	4
#define MACROMAC_AXI_ATTR_DATA_CACHE_MASK	0x00000f00
#define MACROMAC_AXI_ATTR_DATA_CACHE_SHIFT	8
#define MACROMAC_AXI_ATTR_DATA_PROT_MASK	0x00007000
#define MACROMAC_AXI_ATTR_DATA_PROT_SHIFT	12
#define MACROMAC_AXI_ATTR_RESET			0x00000f03

/* Watchdog. */
#define MACROMAC_WATCHDOG			0x004c

/* Error cause. */
#define MACROMAC_ERR_CAUSE			0x0050
#define MACROMAC_ERR_CAUSE_CAUSE_MASK		0x000000ff
#define MACROMAC_ERR_CAUSE_CAUSE_SHIFT		0
#define MACROMAC_ERR_CAUSE_PORT_MASK		0x00000f00
#define MACROMAC_ERR_CAUSE_PORT_SHIFT		8
#define MACROMAC_ERR_CAUSE_STEP_MASK		0xffff0000
#define MACROMAC_ERR_CAUSE_STEP_SHIFT		16

/* Error address, bits 31..0. */
#define MACROMAC_ERR_ADDR_LO			0x0054

/* Error address, bits 63..32. */
#define MACROMAC_ERR_ADDR_HI			0x0058

/* Doorbell. Sequence number of the first step whose activations are NOT yet in memory: steps below it may run. Counts from 0 at start, wraps at 2^32. */
#define MACROMAC_DOORBELL			0x1000

/* Steps done. */
#define MACROMAC_STEPS_DONE			0x1004

/* Cycles (counter, bits 31..0). PL cycles since reset. */
#define MACROMAC_CYCLES_LO			0x1010

/* Cycles (counter, bits 63..32). PL cycles since reset. */
#define MACROMAC_CYCLES_HI			0x1014

/* Stream cycles (counter, bits 31..0). Cycles from the first strip of a pass to its last, both included, summed over the passes. */
#define MACROMAC_STREAM_CYCLES_LO		0x1018

/* Stream cycles (counter, bits 63..32). Cycles from the first strip of a pass to its last, both included, summed over the passes. */
#define MACROMAC_STREAM_CYCLES_HI		0x101c

/* Steps (counter, bits 31..0). Steps complete. */
#define MACROMAC_STEPS_LO			0x1020

/* Steps (counter, bits 63..32). Steps complete. */
#define MACROMAC_STEPS_HI			0x1024

/* Beats (counter, bits 31..0). Beats read from memory. */
#define MACROMAC_PORT_BEATS_LO			0x0000

/* Beats (counter, bits 63..32). Beats read from memory. */
#define MACROMAC_PORT_BEATS_HI			0x0004

/* Strips (counter, bits 31..0). Strips taken by the unit. */
#define MACROMAC_PORT_STRIPS_LO			0x0008

/* Strips (counter, bits 63..32). Strips taken by the unit. */
#define MACROMAC_PORT_STRIPS_HI			0x000c

/* Stall: no data (counter, bits 31..0). Running cycles without a strip: the port's FIFO was empty. */
#define MACROMAC_PORT_NO_DATA_LO		0x0010

/* Stall: no data (counter, bits 63..32). Running cycles without a strip: the port's FIFO was empty. */
#define MACROMAC_PORT_NO_DATA_HI		0x0014

/* Stall: no activations (counter, bits 31..0). Running cycles without a strip: no loaded step. */
#define MACROMAC_PORT_NO_ACTIVATIONS_LO		0x0018

/* Stall: no activations (counter, bits 63..32). Running cycles without a strip: no loaded step. */
#define MACROMAC_PORT_NO_ACTIVATIONS_HI		0x001c

/* Stall: no room (counter, bits 31..0). Running cycles without a strip: results could not leave. */
#define MACROMAC_PORT_NO_ROOM_LO		0x0020

/* Stall: no room (counter, bits 63..32). Running cycles without a strip: results could not leave. */
#define MACROMAC_PORT_NO_ROOM_HI		0x0024

/* Stall: lock step (counter, bits 31..0). Running cycles without a strip: another port had no data, or it was not this strip's phase. */
#define MACROMAC_PORT_LOCK_STEP_LO		0x0028

/* Stall: lock step (counter, bits 63..32). Running cycles without a strip: another port had no data, or it was not this strip's phase. */
#define MACROMAC_PORT_LOCK_STEP_HI		0x002c

#endif
