// SPDX-License-Identifier: GPL-2.0
/* Contiguous DMA memory, and buffers by handle. */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/property.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "macromac.h"

/* Above this a buffer's pages and the handle would meet in an mmap() offset. */
#define MOST_BYTES	BIT_ULL(MACROMAC_BUFFER_SHIFT)
/* mmap() offsets are signed. */
#define MOST_HANDLES	((u32)S32_MAX)
/* Cache maintenance of so much takes some hundred microseconds. */
#define SYNC_CHUNK	SZ_1M

/* 64 bit: for a buffer's size, and for the handle above it. */
static_assert(sizeof(size_t) == sizeof(u64));

/*
 * Counts memory before it is taken: what is refused is never counted, so nobody else is refused
 * for it.
 */
static bool macromac_memory_claim(struct macromac *mm, u64 bytes)
{
	s64 used = atomic64_read(&mm->memory_used);

	do {
		if (used + bytes > mm->memory_limit)
			return false;
	} while (!atomic64_try_cmpxchg(&mm->memory_used, &used, used + bytes));
	return true;
}

static bool macromac_in_region(struct macromac *mm, const struct macromac_memory *memory)
{
	u64 start = PFN_PHYS(memory->pfn);

	return !mm->region_bytes ||
	       (start >= mm->region_base && memory->bytes <= mm->region_bytes &&
		start - mm->region_base <= mm->region_bytes - memory->bytes);
}

static int macromac_alloc_uncached(struct macromac *mm, struct macromac_memory *memory)
{
	struct sg_table table;
	int err;

	memory->uncached = true;
	/* Where the whole bus is coherent, such memory is cached. */
	memory->combine = mm->uncached_pool || device_get_dma_attr(mm->dev) != DEV_DMA_COHERENT;
	memory->cpu = dma_alloc_coherent(mm->dev, memory->bytes, &memory->dma,
					 GFP_KERNEL | __GFP_NOWARN);
	if (!memory->cpu)
		return -ENOMEM;
	err = dma_get_sgtable(mm->dev, &table, memory->cpu, memory->dma, memory->bytes);
	if (err) {
		dma_free_coherent(mm->dev, memory->bytes, memory->cpu, memory->dma);
		memory->cpu = NULL;
		return err;
	}
	memory->pfn = page_to_pfn(sg_page(table.sgl));
	sg_free_table(&table);
	return 0;
}

static int macromac_alloc_cached(struct macromac *mm, struct macromac_memory *memory)
{
	struct page *page = dma_alloc_pages(mm->dev, memory->bytes, &memory->dma,
					    DMA_BIDIRECTIONAL, GFP_KERNEL | __GFP_NOWARN);

	if (!page)
		return -ENOMEM;
	/* Cannot be; but DMA debugging calls a mapping that nobody asks about a bug. */
	if (dma_mapping_error(mm->dev, memory->dma)) {
		dma_free_pages(mm->dev, memory->bytes, page, memory->dma, DMA_BIDIRECTIONAL);
		return -ENOMEM;
	}
	memory->uncached = false;
	memory->cpu = page_address(page);
	memory->pfn = page_to_pfn(page);
	memset(memory->cpu, 0, memory->bytes);
	/*
	 * The zeros must be in memory before a user can have the caches invalidated: what was
	 * there before belongs to somebody else.
	 */
	dma_sync_single_for_device(mm->dev, memory->dma, memory->bytes, DMA_BIDIRECTIONAL);
	return 0;
}

static void macromac_dma_free(struct macromac *mm, struct macromac_memory *memory)
{
	if (memory->uncached)
		dma_free_coherent(mm->dev, memory->bytes, memory->cpu, memory->dma);
	else
		dma_free_pages(mm->dev, memory->bytes, pfn_to_page(memory->pfn), memory->dma,
			       DMA_BIDIRECTIONAL);
}

/**
 * macromac_memory_alloc - zeroed contiguous memory of the device's region
 * @mm: the device, bound
 * @memory: filled
 * @bytes: wanted, 1 to MOST_BYTES; rounded up to pages
 * @uncached: never in a cache, for what device and processor share at all times
 *
 * Return: 0 or -ENOMEM.
 */
int macromac_memory_alloc(struct macromac *mm, struct macromac_memory *memory, u64 bytes,
			  bool uncached)
{
	int err;

	memset(memory, 0, sizeof(*memory));
	bytes = PAGE_ALIGN(bytes);
	if (!macromac_memory_claim(mm, bytes))
		return -ENOMEM;
	memory->bytes = bytes;
	if (uncached || mm->uncached_pool)
		err = macromac_alloc_uncached(mm, memory);
	else
		err = macromac_alloc_cached(mm, memory);
	if (err)
		goto unused;
	/*
	 * When the region is full the kernel falls back to other memory, which is not ours to
	 * use up.
	 */
	if (!macromac_in_region(mm, memory)) {
		macromac_dma_free(mm, memory);
		err = -ENOMEM;
		goto unused;
	}
	return 0;

unused:
	memory->cpu = NULL;
	atomic64_sub(bytes, &mm->memory_used);
	return err;
}

/**
 * macromac_memory_free - give memory back
 * @mm: the device, bound
 * @memory: allocated, or already free
 */
void macromac_memory_free(struct macromac *mm, struct macromac_memory *memory)
{
	if (!memory->cpu)
		return;
	macromac_dma_free(mm, memory);
	memory->cpu = NULL;
	atomic64_sub(memory->bytes, &mm->memory_used);
}

/**
 * macromac_memory_sync - clean or invalidate the caches
 * @mm: the device, bound
 * @memory: allocated
 * @offset: first byte
 * @bytes: length, inside
 * @for_device: clean; else invalidate
 */
void macromac_memory_sync(struct macromac *mm, struct macromac_memory *memory, u64 offset,
			  u64 bytes, bool for_device)
{
	if (memory->uncached || !bytes)
		return;
	if (for_device)
		dma_sync_single_range_for_device(mm->dev, memory->dma, offset, bytes,
						 DMA_BIDIRECTIONAL);
	else
		dma_sync_single_range_for_cpu(mm->dev, memory->dma, offset, bytes,
					      DMA_BIDIRECTIONAL);
}

/**
 * macromac_memory_left - what may still be allocated, in pieces perhaps
 * @mm: the device
 *
 * Return: bytes.
 */
u64 macromac_memory_left(struct macromac *mm)
{
	u64 used = atomic64_read(&mm->memory_used);
	u64 left = used < mm->memory_limit ? mm->memory_limit - used : 0;

#ifdef CONFIG_CMA
	if (!mm->region_bytes)
		left = min_t(u64, left,
			     (u64)global_zone_page_state(NR_FREE_CMA_PAGES) << PAGE_SHIFT);
#endif
	return left;
}

static void macromac_buffer_release(struct kref *refs)
{
	struct macromac_buffer *buffer = container_of(refs, struct macromac_buffer, refs);
	struct macromac *mm = buffer->mm;

	/* With the memory of an unbound device its list entry has gone, too. */
	mutex_lock(&mm->buffers_lock);
	if (buffer->memory.cpu) {
		macromac_memory_free(mm, &buffer->memory);
		list_del(&buffer->all);
	}
	mutex_unlock(&mm->buffers_lock);
	atomic_dec(&mm->counts.buffers);
	kfree(buffer);
	macromac_put(mm);
}

/**
 * macromac_buffer_put - drop a reference; the last one frees the memory
 * @buffer: the buffer
 */
void macromac_buffer_put(struct macromac_buffer *buffer)
{
	kref_put(&buffer->refs, macromac_buffer_release);
}

/**
 * macromac_buffer_create - MACROMAC_IOC_BUFFER_CREATE
 * @file: who asks
 * @arg: in and out
 *
 * Return: 0 or an error of the interface.
 */
int macromac_buffer_create(struct macromac_file *file, struct macromac_buffer_create *arg)
{
	struct macromac *mm = file->mm;
	struct macromac_buffer *buffer;
	int err;

	if (arg->flags || !arg->bytes || arg->usage < MACROMAC_WEIGHTS ||
	    arg->usage > MACROMAC_RESULTS)
		return -EINVAL;
	if (arg->bytes > MOST_BYTES)
		return -ENOMEM;
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	kref_init(&buffer->refs);
	atomic_set(&buffer->programs, 0);
	buffer->usage = arg->usage;
	buffer->mm = mm;

	down_read(&mm->state);
	if (mm->gone) {
		err = -ENODEV;
	} else {
		err = macromac_memory_alloc(mm, &buffer->memory, arg->bytes, false);
		if (!err) {
			mutex_lock(&mm->buffers_lock);
			list_add(&buffer->all, &mm->buffers);
			mutex_unlock(&mm->buffers_lock);
		}
	}
	up_read(&mm->state);
	if (err) {
		kfree(buffer);
		return err;
	}
	macromac_get(mm);
	atomic_inc(&mm->counts.buffers);

	arg->bytes = buffer->memory.bytes;
	/* A load that reads slow memory may hold it for long. */
	if (mutex_lock_killable(&file->lock)) {
		macromac_buffer_put(buffer);
		return -EINTR;
	}
	/*
	 * Once given out, another thread can free the buffer: it is not to be looked at any
	 * more.
	 */
	if (file->next_handle > MOST_HANDLES)
		err = -ENOSPC;
	else
		err = xa_insert(&file->handles, file->next_handle, buffer, GFP_KERNEL_ACCOUNT);
	if (!err) {
		arg->handle = file->next_handle++;
		file->count++;
	}
	mutex_unlock(&file->lock);
	if (err) {
		macromac_buffer_put(buffer);
		return err;
	}
	arg->mmap_offset = (u64)arg->handle << MACROMAC_BUFFER_SHIFT;
	return 0;
}

/**
 * macromac_buffer_free - MACROMAC_IOC_BUFFER_FREE
 * @file: who asks
 * @arg: in
 *
 * Return: 0 or an error of the interface.
 */
int macromac_buffer_free(struct macromac_file *file, const struct macromac_buffer_free *arg)
{
	struct macromac_buffer *buffer;
	int err = 0;

	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	buffer = xa_load(&file->handles, arg->handle);
	if (!buffer) {
		err = -ENOENT;
	} else if (atomic_read(&buffer->programs)) {
		err = -EBUSY;
	} else {
		xa_erase(&file->handles, arg->handle);
		file->count--;
	}
	mutex_unlock(&file->lock);
	if (!err)
		macromac_buffer_put(buffer);
	return err;
}

/**
 * macromac_buffer_sync - MACROMAC_IOC_BUFFER_SYNC
 * @file: who asks
 * @arg: in
 *
 * Return: 0 or an error of the interface.
 */
int macromac_buffer_sync(struct macromac_file *file, const struct macromac_buffer_sync *arg)
{
	bool for_device = arg->direction == MACROMAC_SYNC_FOR_DEVICE;
	struct macromac *mm = file->mm;
	struct macromac_buffer *buffer;
	u64 at = arg->offset, left = arg->bytes;
	int err = 0;

	if (arg->pad || (!for_device && arg->direction != MACROMAC_SYNC_FOR_CPU))
		return -EINVAL;
	xa_lock(&file->handles);
	buffer = xa_load(&file->handles, arg->handle);
	if (buffer)
		kref_get(&buffer->refs);
	xa_unlock(&file->handles);
	if (!buffer)
		return -ENOENT;

	if (left > buffer->memory.bytes || at > buffer->memory.bytes - left)
		err = -EINVAL;
	/* Ports of weights never see the caches; the data port does when it is coherent. */
	if (buffer->usage != MACROMAC_WEIGHTS && mm->coherent)
		left = 0;
	while (!err && left) {
		u64 bytes = min_t(u64, left, SYNC_CHUNK);

		down_read(&mm->state);
		if (mm->gone)
			err = -ENODEV;
		else
			macromac_memory_sync(mm, &buffer->memory, at, bytes, for_device);
		up_read(&mm->state);
		at += bytes;
		left -= bytes;
		cond_resched();
		if (left && fatal_signal_pending(current))
			err = -EINTR;
	}
	macromac_buffer_put(buffer);
	return err;
}

/**
 * macromac_buffers_close - drop all handles of a file
 * @file: being closed
 */
void macromac_buffers_close(struct macromac_file *file)
{
	struct macromac_buffer *buffer;
	unsigned long handle;

	xa_for_each(&file->handles, handle, buffer)
		macromac_buffer_put(buffer);
	xa_destroy(&file->handles);
}

/**
 * macromac_buffers_unplug - free the memory of all buffers; what remains are empty shells
 * @mm: the device, gone; no mapping is left and none can come
 */
void macromac_buffers_unplug(struct macromac *mm)
{
	struct macromac_buffer *buffer, *next;

	mutex_lock(&mm->buffers_lock);
	list_for_each_entry_safe(buffer, next, &mm->buffers, all) {
		list_del(&buffer->all);
		macromac_memory_free(mm, &buffer->memory);
	}
	mutex_unlock(&mm->buffers_lock);
}
