/* SPDX-License-Identifier: GPL-2.0 */
/*
 * MacroMac accelerator: what the driver's files share.
 *
 * Locks, outermost first:
 *	mmap_lock (the caller's, in faults and mmap)
 *	macromac_file.lock	a file's buffers against a load that names them
 *	macromac.lock		the device: owner, program, control page
 *	macromac.files_lock	list of open files
 *	macromac.state		owner and gone, for those who only look: faults, doorbells
 *	macromac.buffers_lock	list of all buffers
 *	macromac.irq_lock	interrupt enable, the completion record, gone for sleepers
 * User memory is touched under macromac_file.lock alone: all others may be taken with mmap_lock
 * held.
 */
#ifndef MACROMAC_H
#define MACROMAC_H

#include <linux/atomic.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "macromac_compat.h"
#include "macromac_regs.h"
#include "macromac_step.h"

struct clk;
struct dentry;
struct reset_control;

/**
 * struct macromac_memory - contiguous DMA memory
 * @cpu: where the kernel sees it; NULL: there is none
 * @dma: where the device sees it
 * @pfn: first page frame
 * @bytes: length, whole pages
 * @uncached: by dma_alloc_coherent(): never synced
 * @combine: the kernel's mapping is not cached, so no other may be
 */
struct macromac_memory {
	void *cpu;
	dma_addr_t dma;
	unsigned long pfn;
	size_t bytes;
	bool uncached;
	bool combine;
};

struct macromac;
struct macromac_file;

/**
 * struct macromac_buffer - a buffer of a file
 * @refs: of the file's handle, of each mapping, of a program
 * @mm: the device, with a reference
 * @all: in macromac.buffers
 * @memory: gone (cpu is NULL) after the device was unbound
 * @usage: enum macromac_usage
 * @programs: loaded programs that use it
 * @stamp: the load that has counted it
 */
struct macromac_buffer {
	struct kref refs;
	struct macromac *mm;
	struct list_head all;
	struct macromac_memory memory;
	u32 usage;
	atomic_t programs;
	u64 stamp;
};

/**
 * struct macromac_program - descriptors and what they point to
 * @descriptors: one a step, until they are in the ring
 * @ring: what the device fetches; no user can map it
 * @steps: descriptors
 * @count: buffers
 * @buffers: each with a reference
 */
struct macromac_program {
	struct macromac_descriptor *descriptors;
	struct macromac_memory ring;
	u32 steps;
	u32 count;
	struct macromac_buffer **buffers;
};

/**
 * struct macromac_counts - for debugfs
 */
struct macromac_counts {
	atomic_t loads;
	atomic_t doorbells;
	atomic_t waits;
	atomic_t sleeps;
	atomic_t interrupts;
	atomic_t spurious;
	atomic_t resets;
	atomic_t faults;
	atomic_t timeouts;
	atomic_t buffers;
};

/**
 * struct macromac - the device
 * @refs: of the binding and of each file
 * @dev: not to be used once @gone
 * @regs: control page and doorbell page
 * @doorbell: physical address of the doorbell page
 * @irq: interrupt line
 * @clk: PL clock, or NULL
 * @reset: reset line, or NULL
 * @limits: what programs may ask for
 * @version: VERSION register
 * @config_hash: CONFIG_HASH register
 * @cap0: CAP0 register
 * @fifo_strips: CAP1 register
 * @coherent: the data port sees the processor's caches
 * @uncached_pool: the reserved memory has no cached mapping
 * @region_base: physical address of the reserved memory
 * @region_bytes: its size; 0: the kernel's default pool is used
 * @memory_limit: bytes that may be allocated
 * @memory_used: bytes that are allocated
 * @record_page: the completion record's page
 * @misc: the character device
 * @id: its number
 * @name: its name
 * @debugfs: folder
 * @lock: protects @dead, @program, writes of @owner and @gone, and the control page
 * @state: protects reads of @owner and @gone
 * @gone: unbound
 * @dead: it did not answer a reset
 * @owner: who has loaded a program
 * @program: what is loaded
 * @files_lock: protects @files. Not @lock: whoever opens holds up all who open a misc device
 * @files: open files
 * @buffers_lock: protects @buffers
 * @buffers: all buffers that have memory
 * @loads: number of the last load, to count a buffer once
 * @irq_lock: protects what follows
 * @wait: where WAIT sleeps
 * @sleeper: the owner, for sleepers
 * @unplugged: @gone, for sleepers
 * @powered: its clock runs, registers may be touched
 * @running: IRQ_ENABLE may be written
 * @armed: IRQ_ENABLE.step_done is set
 * @faulted: the device has said so by interrupt
 * @sleepers: threads that want @armed
 * @counts: for debugfs
 */
struct macromac {
	struct kref refs;
	struct device *dev;
	void __iomem *regs;
	phys_addr_t doorbell;
	int irq;
	struct clk *clk;
	struct reset_control *reset;

	struct macromac_limits limits;
	u32 version;
	u32 config_hash;
	u32 cap0;
	u32 fifo_strips;
	bool coherent;

	bool uncached_pool;
	phys_addr_t region_base;
	u64 region_bytes;
	u64 memory_limit;
	atomic64_t memory_used;
	struct macromac_memory record_page;

	struct miscdevice misc;
	int id;
	char name[24];
	struct dentry *debugfs;

	/* @dead, @program, writes of @owner and @gone, control page */
	struct mutex lock;
	struct rw_semaphore state;
	bool gone;
	bool dead;
	struct macromac_file *owner;
	struct macromac_program *program;
	/* list of open files */
	struct mutex files_lock;
	struct list_head files;
	/* @buffers */
	struct mutex buffers_lock;
	struct list_head buffers;
	atomic64_t loads;

	/* all that follows */
	spinlock_t irq_lock;
	wait_queue_head_t wait;
	struct macromac_file *sleeper;
	bool unplugged;
	bool powered;
	bool running;
	bool armed;
	bool faulted;
	u32 sleepers;

	struct macromac_counts counts;
};

/**
 * struct macromac_file - an open file
 * @mm: the device, with a reference
 * @filp: for its mappings
 * @all: in macromac.files
 * @lock: no handle comes or goes while a program is built
 * @handles: buffers by handle
 * @next_handle: never given out before
 * @count: handles in use
 */
struct macromac_file {
	struct macromac *mm;
	struct file *filp;
	struct list_head all;
	/* no handle comes or goes while a program is built */
	struct mutex lock;
	struct xarray handles;
	u32 next_handle;
	u32 count;
};

/** MACROMAC_BUFFER_SHIFT - a buffer's mmap() offset is its handle, shifted by so much */
#define MACROMAC_BUFFER_SHIFT	32

/** MACROMAC_NO_ANSWER - what a load gives when nothing answers; no register has this value */
#define MACROMAC_NO_ANSWER	(~0u)

static inline u32 macromac_load32(struct macromac *mm, u32 offset)
{
	return readl(mm->regs + offset);
}

/* macromac_drv.c */
void macromac_get(struct macromac *mm);
void macromac_put(struct macromac *mm);

/* macromac_hw.c */
int macromac_hw_identify(struct macromac *mm);
int macromac_hw_start(struct macromac *mm, const struct macromac_program *program);
int macromac_hw_stop(struct macromac *mm);
int macromac_hw_reset(struct macromac *mm);
void macromac_hw_power(struct macromac *mm, bool on);
void macromac_hw_arm(struct macromac *mm);
void macromac_hw_disarm(struct macromac *mm);
irqreturn_t macromac_hw_interrupt(int irq, void *data);
struct macromac_completion macromac_hw_record(struct macromac *mm);

/* macromac_report.c */
void macromac_report_fault(struct macromac *mm, struct macromac_fault *fault);
void macromac_report_stats(struct macromac *mm, struct macromac_stats *stats);

/* macromac_buffer.c */
int macromac_memory_alloc(struct macromac *mm, struct macromac_memory *memory, u64 bytes,
			  bool uncached);
void macromac_memory_free(struct macromac *mm, struct macromac_memory *memory);
void macromac_memory_sync(struct macromac *mm, struct macromac_memory *memory, u64 offset,
			  u64 bytes, bool for_device);
u64 macromac_memory_left(struct macromac *mm);
void macromac_buffer_put(struct macromac_buffer *buffer);
int macromac_buffer_create(struct macromac_file *file, struct macromac_buffer_create *arg);
int macromac_buffer_free(struct macromac_file *file, const struct macromac_buffer_free *arg);
int macromac_buffer_sync(struct macromac_file *file, const struct macromac_buffer_sync *arg);
void macromac_buffers_close(struct macromac_file *file);
void macromac_buffers_unplug(struct macromac *mm);

/* macromac_mmap.c */
int macromac_mmap(struct file *filp, struct vm_area_struct *vma);
void macromac_unmap_pages(struct macromac_file *file);
void macromac_unmap_all(struct macromac_file *file);

/* macromac_program.c */
int macromac_program_load(struct macromac_file *file, struct macromac_program_load *arg);
int macromac_program_reset(struct macromac_file *file, const struct macromac_reset *arg);
void macromac_program_close(struct macromac_file *file);
void macromac_program_halt(struct macromac *mm);

/* macromac_wait.c */
int macromac_program_run(struct macromac_file *file, const struct macromac_run *arg);
int macromac_program_wait(struct macromac_file *file, struct macromac_wait *arg);

/* macromac_file.c */
extern const struct file_operations macromac_fops;

/* macromac_selftest.c */
int macromac_selftest(struct macromac *mm);

/* macromac_debugfs.c */
void macromac_debugfs_add(struct macromac *mm);
void macromac_debugfs_remove(struct macromac *mm);

#endif /* MACROMAC_H */
