/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From a step with buffer handles to a descriptor with addresses: rules and bytes.
 *
 * No kernel service is used here, so that a program on any machine can test it.
 */
#ifndef MACROMAC_STEP_H
#define MACROMAC_STEP_H

#include <linux/types.h>

#include "include/uapi/macromac.h"

/** MACROMAC_MAX_STEPS - RING_STEPS has 16 bits */
#define MACROMAC_MAX_STEPS	0xffff

/**
 * struct macromac_limits - what the device can do
 * @max_groups: quantization groups of a step, at most
 * @batch: activation vectors of a step, at most
 * @arithmetic: 0 paper, 1 kv260
 */
struct macromac_limits {
	__u32 max_groups;
	__u32 batch;
	__u32 arithmetic;
};

/**
 * struct macromac_extent - the buffer behind a handle
 * @address: as the device sees it
 * @bytes: length
 * @usage: enum macromac_usage
 */
struct macromac_extent {
	__u64 address;
	__u64 bytes;
	__u32 usage;
};

/**
 * struct macromac_refusal - why a step was refused
 * @rule: enum macromac_rule
 * @range: which range of the step, 0 if none
 */
struct macromac_refusal {
	__u32 rule;
	__u32 range;
};

/**
 * struct macromac_descriptor - a step as the device fetches it (docs/architecture.md, section 3)
 * @version: 1
 * @macro_strips: 18 or 17
 * @flags: MACROMAC_DESCRIPTOR_INTERRUPT or zero
 * @groups: padded K / 64
 * @tile_rows: padded N / 32
 * @report_tile_rows: how often progress is reported; 0: at the end
 * @vectors: activation vectors that share the pass
 * @zero: zero
 * @activations: address
 * @results: address
 * @weights: address of each port's segment
 */
struct macromac_descriptor {
	__u8 version;
	__u8 macro_strips;
	__le16 flags;
	__le16 groups;
	__le16 tile_rows;
	__le16 report_tile_rows;
	__u8 vectors;
	__u8 zero[5];
	__le64 activations;
	__le64 results;
	__le64 weights[MACROMAC_PORTS];
};

#define MACROMAC_DESCRIPTOR_VERSION	1
#define MACROMAC_DESCRIPTOR_INTERRUPT	1

/** macromac_lookup - finds the buffer of a handle; false: there is none */
typedef bool (*macromac_lookup)(void *context, __u32 handle, struct macromac_extent *extent);

/** MACROMAC_RANGES - ranges of a step: weights, activations, results */
#define MACROMAC_RANGES		(MACROMAC_PORTS + 2)

__u64 macromac_range_bytes(__u32 groups, __u32 tile_rows, __u32 vectors, __u32 macro_strips,
			   __u32 range);
bool macromac_step_encode(const struct macromac_step *step, const struct macromac_limits *limits,
			  macromac_lookup lookup, void *context,
			  struct macromac_descriptor *descriptor, struct macromac_refusal *why);

#endif /* MACROMAC_STEP_H */
