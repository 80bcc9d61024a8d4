/* SPDX-License-Identifier: MIT */
/*
 * Copyright MacroMac contributors.
 *
 * User interface of the MacroMac accelerator: /dev/macromac0.
 *
 * A process allocates buffers, loads a program of steps that name buffers by
 * handle and offset, and rings the doorbell. The kernel validates every step,
 * builds the descriptors that the device fetches, and owns all registers but
 * those of the doorbell page. No address ever crosses this interface.
 *
 * Sharing: any number of files may be open, query the device and hold buffers.
 * The file that loads a program owns the device until it unloads it, resets or
 * is closed; meanwhile a load by another file fails with EBUSY. The doorbell
 * page and the completion page can be mapped by any file, but are only there
 * (an access gives SIGBUS otherwise) while that file owns the device.
 *
 * Rules for all structures: the first member is the structure's size as the
 * caller knows it; a caller with a longer structure than the kernel's is
 * accepted if the rest is zero, a shorter one gets what fits. Padding and
 * unknown flags must be zero, or the call fails with EINVAL.
 */
#ifndef _UAPI_MACROMAC_H_
#define _UAPI_MACROMAC_H_

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** MACROMAC_UAPI_VERSION - version of this interface; grows with each addition. */
#define MACROMAC_UAPI_VERSION	1

/** MACROMAC_PORTS - weight ports of the device: segments of a step. */
#define MACROMAC_PORTS		4

/** MACROMAC_ALIGN - alignment of buffers and of every offset in a step, bytes. */
#define MACROMAC_ALIGN		4096

/** MACROMAC_MMAP_DOORBELL - mmap() offset of the doorbell page (4 KiB, shared, read and write). */
#define MACROMAC_MMAP_DOORBELL		0x0000000000000000ULL
/** MACROMAC_MMAP_COMPLETION - mmap() offset of the completion page (4 KiB, shared, read only). */
#define MACROMAC_MMAP_COMPLETION	0x0000000000010000ULL

/**
 * struct macromac_completion - the record at the start of the completion page
 * @steps_done: steps completed since the program was loaded, wraps at 2^32
 * @rows_done: rows finished of the step in progress, counts padding
 * @status: bit 0: the device has halted on a fault; see macromac_fault
 * @reserved: written by the device, no meaning
 *
 * Written by the device in one burst; read it with an acquire load.
 */
struct macromac_completion {
	__u32 steps_done;
	__u32 rows_done;
	__u32 status;
	__u32 reserved;
};

/** enum macromac_coherency - how caches and data port meet; probed when the module loads */
enum macromac_coherency {
	/** @MACROMAC_NONCOHERENT: BUFFER_SYNC does cache maintenance for all buffers. */
	MACROMAC_NONCOHERENT = 0,
	/** @MACROMAC_COHERENT: activations and results need none; weights always do. */
	MACROMAC_COHERENT = 1,
};

/**
 * struct macromac_query - what the device and the driver are
 * @size: in: bytes of this structure
 * @uapi_version: out: MACROMAC_UAPI_VERSION of the driver
 * @device_version: out: VERSION register, major << 16 | minor
 * @config_hash: out: hash over all hardware parameters
 * @arithmetic: out: 0 paper, 1 kv260
 * @ports: out: weight ports
 * @batch: out: activation vectors that can share a pass
 * @group_size: out: input channels of a quantization group
 * @macro_strips: out: strips of 16 bytes of a macro of format 1
 * @fifo_strips: out: strips each prefetch FIFO holds
 * @max_groups: out: most groups that a step may have
 * @coherency: out: enum macromac_coherency
 * @clock_hz: out: PL clock, Hz; 0 if unknown
 * @step_size: out: bytes of struct macromac_step
 * @max_steps: out: most steps that a program may have
 * @buffer_bytes_left: out: DMA memory that this device may still allocate, bytes
 */
struct macromac_query {
	__u32 size;
	__u32 uapi_version;
	__u32 device_version;
	__u32 config_hash;
	__u32 arithmetic;
	__u32 ports;
	__u32 batch;
	__u32 group_size;
	__u32 macro_strips;
	__u32 fifo_strips;
	__u32 max_groups;
	__u32 coherency;
	__u64 clock_hz;
	__u32 step_size;
	__u32 max_steps;
	__u64 buffer_bytes_left;
};

/** enum macromac_usage - what a buffer is for; a step may use it for nothing else */
enum macromac_usage {
	/** @MACROMAC_WEIGHTS: written by the processor, read by the device on its weight ports. */
	MACROMAC_WEIGHTS = 1,
	/** @MACROMAC_ACTIVATIONS: written by the processor, read by the device on its data port. */
	MACROMAC_ACTIVATIONS = 2,
	/** @MACROMAC_RESULTS: written by the device on its data port, read by the processor. */
	MACROMAC_RESULTS = 3,
};

/**
 * struct macromac_buffer_create - allocate contiguous DMA memory, zero-filled
 * @size: in: bytes of this structure
 * @usage: in: enum macromac_usage
 * @bytes: in: bytes wanted, 1 or more; out: bytes allocated, a multiple of the page
 * @handle: out: names the buffer in this file; never 0, never given out twice by a file
 * @flags: in: zero
 * @mmap_offset: out: what to give mmap(); map all of it or a part, MAP_SHARED; cached memory
 *
 * ENOMEM: no contiguous memory of that size is left. EINVAL: a rule is broken.
 */
struct macromac_buffer_create {
	__u32 size;
	__u32 usage;
	__u64 bytes;
	__u32 handle;
	__u32 flags;
	__u64 mmap_offset;
};

/**
 * struct macromac_buffer_free - give a buffer back
 * @size: in: bytes of this structure
 * @handle: in: the buffer
 *
 * Memory that is still mapped stays until it is unmapped; the handle is gone at once. EBUSY: the
 * loaded program uses it. ENOENT: no such buffer.
 */
struct macromac_buffer_free {
	__u32 size;
	__u32 handle;
};

/** MACROMAC_SYNC_FOR_DEVICE - the processor has written; the device will read (clean caches). */
#define MACROMAC_SYNC_FOR_DEVICE	1
/** MACROMAC_SYNC_FOR_CPU - the device has written; the processor will read (invalidate). */
#define MACROMAC_SYNC_FOR_CPU		2

/**
 * struct macromac_buffer_sync - begin or end the processor's access to a range of a buffer
 * @size: in: bytes of this structure
 * @handle: in: the buffer
 * @offset: in: first byte
 * @bytes: in: length
 * @direction: in: MACROMAC_SYNC_FOR_DEVICE or MACROMAC_SYNC_FOR_CPU
 * @pad: zero
 */
struct macromac_buffer_sync {
	__u32 size;
	__u32 handle;
	__u64 offset;
	__u64 bytes;
	__u32 direction;
	__u32 pad;
};

/**
 * struct macromac_range - a place in a buffer
 * @handle: the buffer
 * @pad: zero
 * @offset: first byte, a multiple of MACROMAC_ALIGN
 */
struct macromac_range {
	__u32 handle;
	__u32 pad;
	__u64 offset;
};

/**
 * struct macromac_step - one weight matrix at its place in the program
 * @groups: quantization groups: padded K / 64; 1 to max_groups
 * @tile_rows: padded N / 32; 1 or more
 * @report_tile_rows: report progress each time so many tile rows are finished; 0: only at the end
 * @vectors: activation vectors that share the pass, 1 to batch
 * @macro_strips: 18: format 1; 17: format 2 (kv260 only)
 * @weights: segment of each weight port, in a buffer for weights; its length is
 *	tile_rows * 16 * (18 * groups) bytes in format 1,
 *	tile_rows * 16 * (17 * groups + (groups + 3) / 4) bytes in format 2 (quotient rounded down)
 * @activations: groups * vectors * 256 bytes in a buffer for activations
 * @results: tile_rows * vectors * 128 bytes in a buffer for results
 */
struct macromac_step {
	__u16 groups;
	__u16 tile_rows;
	__u16 report_tile_rows;
	__u8 vectors;
	__u8 macro_strips;
	struct macromac_range weights[MACROMAC_PORTS];
	struct macromac_range activations;
	struct macromac_range results;
};

/** enum macromac_rule - which rule a refused step breaks */
enum macromac_rule {
	/** @MACROMAC_RULE_NONE: none; the error is of another kind. */
	MACROMAC_RULE_NONE = 0,
	/** @MACROMAC_RULE_STEPS: a program has 1 to max_steps steps. */
	MACROMAC_RULE_STEPS,
	/** @MACROMAC_RULE_GROUPS: groups must be 1 to max_groups. */
	MACROMAC_RULE_GROUPS,
	/** @MACROMAC_RULE_TILE_ROWS: tile_rows must be 1 or more. */
	MACROMAC_RULE_TILE_ROWS,
	/** @MACROMAC_RULE_VECTORS: vectors must be 1 to batch. */
	MACROMAC_RULE_VECTORS,
	/** @MACROMAC_RULE_STRIPS: macro_strips must be one that the device has. */
	MACROMAC_RULE_STRIPS,
	/** @MACROMAC_RULE_HANDLE: no such buffer. */
	MACROMAC_RULE_HANDLE,
	/** @MACROMAC_RULE_USAGE: the buffer was allocated for something else. */
	MACROMAC_RULE_USAGE,
	/** @MACROMAC_RULE_ALIGN: the offset must be a multiple of MACROMAC_ALIGN. */
	MACROMAC_RULE_ALIGN,
	/** @MACROMAC_RULE_BOUNDS: the range must lie in the buffer. */
	MACROMAC_RULE_BOUNDS,
	/** @MACROMAC_RULE_PAD: padding must be zero. */
	MACROMAC_RULE_PAD,
};

/** MACROMAC_RANGE_ACTIVATIONS - bad_range of activations; 0 to 3 are the weight ports. */
#define MACROMAC_RANGE_ACTIVATIONS	4
/** MACROMAC_RANGE_RESULTS - bad_range of results. */
#define MACROMAC_RANGE_RESULTS		5

/**
 * struct macromac_program_load - validate a program, stop what this file runs, start it as a ring
 * @size: in: bytes of this structure
 * @step_count: in: steps; 0 unloads: the device stops and is free for others
 * @steps: in: address of step_count struct macromac_step
 * @step_size: in: bytes of struct macromac_step as the caller knows it
 * @flags: in: zero
 * @bad_step: out, with EINVAL: index of the step that was refused
 * @bad_rule: out, with EINVAL: enum macromac_rule
 * @bad_range: out, with EINVAL: which range of the step
 * @pad: zero
 *
 * The device waits for the doorbell, which counts from 0 again. EBUSY: another file owns the
 * device. EIO: the device has halted on a fault; reset it. Steps interrupt only while somebody
 * sleeps in WAIT.
 */
struct macromac_program_load {
	__u32 size;
	__u32 step_count;
	__u64 steps;
	__u32 step_size;
	__u32 flags;
	__u32 bad_step;
	__u32 bad_rule;
	__u32 bad_range;
	__u32 pad;
};

/**
 * struct macromac_run - ring the doorbell (for those that do not map its page)
 * @size: in: bytes of this structure
 * @steps_ready: in: steps whose activations are in memory, counted from the load, modulo 2^32
 */
struct macromac_run {
	__u32 size;
	__u32 steps_ready;
};

/**
 * struct macromac_wait - sleep until steps are done
 * @size: in: bytes of this structure
 * @steps: in: until steps_done has reached this, modulo 2^32 ...
 * @rows: in: ... or is one less and so many rows are finished; 0xffffffff: the whole step
 * @flags: in: zero
 * @deadline_ns: in: CLOCK_MONOTONIC, nanoseconds; in the past: look and return
 * @steps_done: out: as in the completion record
 * @rows_done: out: as in the completion record
 *
 * Rows are looked at when the device interrupts or the deadline comes; poll the completion page
 * for less latency. ETIMEDOUT: the deadline has come (outputs are valid). EIO: the device has
 * halted; see MACROMAC_IOC_FAULT. EPERM: this file has no program loaded.
 */
struct macromac_wait {
	__u32 size;
	__u32 steps;
	__u32 rows;
	__u32 flags;
	__s64 deadline_ns;
	__u32 steps_done;
	__u32 rows_done;
};

/**
 * struct macromac_fault - why the device halted
 * @size: in: bytes of this structure
 * @cause: out: 0 none, 1 bus read, 2 bus write, 3 bad descriptor, 4 reserved bits set in a zeros
 *	strip, 5 watchdog, 0x100 no reaction (the driver gave it up)
 * @port: out: 0 to 3 weights, 4 data
 * @step: out: ring index of the step concerned
 * @range: out: range of that step which the failing burst lies in (0 to 5), or 0xffffffff
 * @nan_in: out: a NaN or infinity was among the activations since the last reset (kv260)
 * @offset: out: byte in that range, for causes 1 and 2
 *
 * Weights are fetched ahead, so the burst that failed may belong to a later step than the one in
 * progress: @step is that of @range then. EPERM: another file owns the device.
 */
struct macromac_fault {
	__u32 size;
	__u32 cause;
	__u32 port;
	__u32 step;
	__u32 range;
	__u32 nan_in;
	__u64 offset;
};

/**
 * struct macromac_reset - stop at once, forget program and fault; buffers stay
 * @size: in: bytes of this structure
 * @flags: in: zero
 *
 * EPERM: another file owns the device.
 */
struct macromac_reset {
	__u32 size;
	__u32 flags;
};

/**
 * struct macromac_port_stats - counters of a weight port
 * @beats: beats read from memory
 * @strips: strips taken by the unit
 * @no_data: running cycles without a strip: the port's FIFO was empty
 * @no_activations: running cycles without a strip: no loaded step
 * @no_room: running cycles without a strip: results could not leave
 * @lock_step: running cycles without a strip: another port had no data
 */
struct macromac_port_stats {
	__u64 beats;
	__u64 strips;
	__u64 no_data;
	__u64 no_activations;
	__u64 no_room;
	__u64 lock_step;
};

/**
 * struct macromac_stats - performance counters
 * @size: in: bytes of this structure
 * @interrupts: out: interrupts served since the module was loaded
 * @cycles: out: PL cycles since reset
 * @stream_cycles: out: cycles from the first strip of a pass to its last, summed over the passes
 * @steps: out: steps complete
 * @port: out: each weight port
 */
struct macromac_stats {
	__u32 size;
	__u32 interrupts;
	__u64 cycles;
	__u64 stream_cycles;
	__u64 steps;
	struct macromac_port_stats port[MACROMAC_PORTS];
};

#define MACROMAC_IOC_MAGIC	0xB6

#define MACROMAC_IOC_QUERY		_IOWR(MACROMAC_IOC_MAGIC, 0x00, struct macromac_query)
#define MACROMAC_IOC_BUFFER_CREATE	\
	_IOWR(MACROMAC_IOC_MAGIC, 0x01, struct macromac_buffer_create)
#define MACROMAC_IOC_BUFFER_FREE	_IOW(MACROMAC_IOC_MAGIC, 0x02, struct macromac_buffer_free)
#define MACROMAC_IOC_BUFFER_SYNC	_IOW(MACROMAC_IOC_MAGIC, 0x03, struct macromac_buffer_sync)
#define MACROMAC_IOC_PROGRAM_LOAD	\
	_IOWR(MACROMAC_IOC_MAGIC, 0x04, struct macromac_program_load)
#define MACROMAC_IOC_RUN		_IOW(MACROMAC_IOC_MAGIC, 0x05, struct macromac_run)
#define MACROMAC_IOC_WAIT		_IOWR(MACROMAC_IOC_MAGIC, 0x06, struct macromac_wait)
#define MACROMAC_IOC_FAULT		_IOWR(MACROMAC_IOC_MAGIC, 0x07, struct macromac_fault)
#define MACROMAC_IOC_RESET		_IOW(MACROMAC_IOC_MAGIC, 0x08, struct macromac_reset)
#define MACROMAC_IOC_STATS		_IOWR(MACROMAC_IOC_MAGIC, 0x09, struct macromac_stats)

#ifdef __cplusplus
}
#endif

#endif /* _UAPI_MACROMAC_H_ */
