// SPDX-License-Identifier: GPL-2.0
/*
 * Bugs for the debug kernel to find (`make system-test-debug`): compiled into a copy of the module whose probe calls
 * macromac_planted() before the self-test. The parameter `planted` says which bug. Never part of the driver.
 */
#include <linux/dma-mapping.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timer.h>

#include "macromac.h"

static char *planted = "";
module_param(planted, charp, 0444);

/* What the compiler must not know. */
static volatile unsigned int many = 40;

static void plant_overrun(struct macromac *mm)
{
	u8 *bytes = kmalloc(many, GFP_KERNEL);

	if (bytes)
		WRITE_ONCE(bytes[many], 1);
	kfree(bytes);
}

static void plant_use_after_free(struct macromac *mm)
{
	u8 *bytes = kmalloc(many, GFP_KERNEL);

	kfree(bytes);
	if (bytes)
		WRITE_ONCE(bytes[3], 1);
}

static void plant_sleep(struct macromac *mm)
{
	spin_lock_irq(&mm->irq_lock);
	mutex_lock(&mm->buffers_lock);
	mutex_unlock(&mm->buffers_lock);
	spin_unlock_irq(&mm->irq_lock);
}

/* First in the driver's order, then in the other one. Nobody ever waits: only a proof finds it. */
static void plant_order(struct macromac *mm)
{
	mutex_lock(&mm->lock);
	mutex_lock(&mm->buffers_lock);
	mutex_unlock(&mm->buffers_lock);
	mutex_unlock(&mm->lock);
	mutex_lock(&mm->buffers_lock);
	mutex_lock(&mm->lock);
	mutex_unlock(&mm->lock);
	mutex_unlock(&mm->buffers_lock);
}

static void plant_dma_leak(struct macromac *mm)
{
	dma_addr_t address;

	dma_alloc_coherent(mm->dev, PAGE_SIZE, &address, GFP_KERNEL);
}

static void plant_dma_sync(struct macromac *mm)
{
	struct macromac_memory memory;

	if (macromac_memory_alloc(mm, &memory, PAGE_SIZE, false))
		return;
	/* A page further than the memory is long. */
	dma_sync_single_for_device(mm->dev, memory.dma, 2 * PAGE_SIZE, DMA_BIDIRECTIONAL);
	macromac_memory_free(mm, &memory);
}

static void plant_leak(struct macromac *mm)
{
	u8 *bytes = kmalloc(many * 50, GFP_KERNEL);

	if (bytes)
		memset(bytes, 0x55, many * 50);
}

static void plant_shift(struct macromac *mm)
{
	mm->config_hash ^= (1u << many) & 0;
}

static void plant_index(struct macromac *mm)
{
	volatile char name[24] = "";

	(void)name[many];
}

static void plant_refcount(struct macromac *mm)
{
	struct kref refs;

	refcount_set(&refs.refcount, 0);
	kref_get(&refs);
}

static void plant_list(struct macromac *mm)
{
	struct list_head head, entry;

	INIT_LIST_HEAD(&head);
	list_add(&entry, &head);
	list_add(&entry, &head);
}

struct plant_timer {
	struct timer_list timer;
};

static void plant_timer_due(struct timer_list *timer)
{
}

static void plant_object(struct macromac *mm)
{
	struct plant_timer *late = kzalloc(sizeof(*late), GFP_KERNEL);

	if (!late)
		return;
	timer_setup(&late->timer, plant_timer_due, 0);
	mod_timer(&late->timer, jiffies + 1000 * HZ);
	kfree(late);
}

static const struct {
	const char *name;
	void (*bug)(struct macromac *mm);
} plants[] = {
	{ "order", plant_order }, { "sleep", plant_sleep }, { "dma-leak", plant_dma_leak },
	{ "dma-sync", plant_dma_sync }, { "leak", plant_leak }, { "shift", plant_shift },
	{ "refcount", plant_refcount }, { "list", plant_list }, { "object", plant_object },
	{ "overrun", plant_overrun }, { "use-after-free", plant_use_after_free },
	{ "index", plant_index },
};

void macromac_planted(struct macromac *mm);
void macromac_planted(struct macromac *mm)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(plants); i++)
		if (!strcmp(planted, plants[i].name))
			plants[i].bug(mm);
}
