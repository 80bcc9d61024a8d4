// SPDX-License-Identifier: GPL-2.0
/* MacroMac accelerator: probe, remove, power. */
#include <linux/clk.h>
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/reset.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "macromac.h"

static unsigned int memory_mb = 1024;
module_param(memory_mb, uint, 0444);
MODULE_PARM_DESC(memory_mb, "most memory for buffers where the device tree names no memory-region, MiB (default: 1024)");

static DEFINE_IDA(macromac_ids);

static void macromac_free(struct kref *refs)
{
	kfree(container_of(refs, struct macromac, refs));
}

/**
 * macromac_get - take a reference
 * @mm: the device
 */
void macromac_get(struct macromac *mm)
{
	kref_get(&mm->refs);
}

/**
 * macromac_put - drop a reference
 * @mm: the device
 */
void macromac_put(struct macromac *mm)
{
	kref_put(&mm->refs, macromac_free);
}

static void macromac_unref(void *data)
{
	macromac_put(data);
}

static struct macromac *macromac_alloc(struct device *dev)
{
	struct macromac *mm = kzalloc(sizeof(*mm), GFP_KERNEL);

	if (!mm)
		return NULL;
	kref_init(&mm->refs);
	mm->dev = dev;
	mutex_init(&mm->lock);
	init_rwsem(&mm->state);
	mutex_init(&mm->files_lock);
	INIT_LIST_HEAD(&mm->files);
	mutex_init(&mm->buffers_lock);
	INIT_LIST_HEAD(&mm->buffers);
	spin_lock_init(&mm->irq_lock);
	init_waitqueue_head(&mm->wait);
	/* Outlives the interrupt handler, and the binding if files are open. */
	return devm_add_action_or_reset(dev, macromac_unref, mm) ? NULL : mm;
}

/* Two pages, as one range or as two. */
static int macromac_map(struct macromac *mm, struct platform_device *pdev)
{
	struct resource *first, *second = platform_get_resource(pdev, IORESOURCE_MEM, 1);

	if (second)
		return dev_err_probe(mm->dev, -EINVAL,
				     "reg: expected one range of 8 KiB (control page, doorbell page)\n");
	mm->regs = devm_platform_get_and_ioremap_resource(pdev, 0, &first);
	if (IS_ERR(mm->regs))
		return PTR_ERR(mm->regs);
	if (resource_size(first) < 2 * SZ_4K || first->start % SZ_4K)
		return dev_err_probe(mm->dev, -EINVAL,
				     "reg: expected 8 KiB on a page's border, found %pR\n", first);
	mm->doorbell = first->start + SZ_4K;
	return 0;
}

static void macromac_clock_off(void *data)
{
	struct macromac *mm = data;

	macromac_hw_power(mm, false);
	/* Suspended, its clock is off already. */
	if (!pm_runtime_status_suspended(mm->dev))
		clk_disable_unprepare(mm->clk);
	pm_runtime_set_suspended(mm->dev);
}

static void macromac_assert(void *data)
{
	reset_control_assert(data);
}

static int macromac_power(struct macromac *mm)
{
	struct device *dev = mm->dev;
	int err;

	mm->clk = devm_clk_get_optional(dev, NULL);
	if (IS_ERR(mm->clk))
		return dev_err_probe(dev, PTR_ERR(mm->clk), "clock\n");
	mm->reset = devm_reset_control_get_optional_exclusive(dev, NULL);
	if (IS_ERR(mm->reset))
		return dev_err_probe(dev, PTR_ERR(mm->reset), "reset line\n");
	err = clk_prepare_enable(mm->clk);
	if (err)
		return dev_err_probe(dev, err, "clock\n");
	pm_runtime_set_active(dev);
	macromac_hw_power(mm, true);
	err = devm_add_action_or_reset(dev, macromac_clock_off, mm);
	if (err)
		return err;
	err = reset_control_deassert(mm->reset);
	if (err)
		return dev_err_probe(dev, err, "reset line\n");
	return devm_add_action_or_reset(dev, macromac_assert, mm->reset);
}

static void macromac_region_release(void *data)
{
	of_reserved_mem_device_release(data);
}

/* The memory-region, if there is one; else the kernel's own pool of contiguous memory. */
static int macromac_region(struct macromac *mm)
{
	struct device *dev = mm->dev;
	struct device_node *node;
	struct reserved_mem *region;
	int err;

	/*
	 * The ports of weights do not see the caches, whatever the data port does. A bus may:
	 * all of it does then.
	 */
	if (of_property_read_bool(dev->of_node, "dma-coherent"))
		return dev_err_probe(dev, -EINVAL,
				     "remove dma-coherent from the device tree: the driver finds out by itself\n");
	mm->memory_limit = (u64)memory_mb * SZ_1M;
	node = of_parse_phandle(dev->of_node, "memory-region", 0);
	if (!node)
		return 0;
	region = of_reserved_mem_lookup(node);
	mm->uncached_pool = of_property_read_bool(node, "no-map");
	of_node_put(node);
	if (!region)
		return dev_err_probe(dev, -EINVAL,
				     "memory-region: the kernel has not reserved it at boot\n");
	err = of_reserved_mem_device_init(dev);
	if (err)
		return dev_err_probe(dev, err, "memory-region\n");
	mm->region_base = region->base;
	mm->region_bytes = region->size;
	mm->memory_limit = region->size;
	return devm_add_action_or_reset(dev, macromac_region_release, dev);
}

static void macromac_free_record(void *data)
{
	struct macromac *mm = data;

	if (mm->dead)
		mm->record_page.cpu = NULL;
	macromac_memory_free(mm, &mm->record_page);
}

static void macromac_rest(void *data)
{
	struct macromac *mm = data;

	mutex_lock(&mm->lock);
	macromac_hw_reset(mm);
	mutex_unlock(&mm->lock);
}

/*
 * Memory that the device writes, the interrupt, and a device that is known to rest before
 * either goes.
 */
static int macromac_connect(struct macromac *mm, struct platform_device *pdev)
{
	int err;

	err = macromac_memory_alloc(mm, &mm->record_page, PAGE_SIZE, true);
	if (err)
		return dev_err_probe(mm->dev, err, "no memory for the completion record\n");
	err = devm_add_action_or_reset(mm->dev, macromac_free_record, mm);
	if (err)
		return err;
	mm->irq = platform_get_irq(pdev, 0);
	if (mm->irq < 0)
		return mm->irq;
	err = devm_request_irq(mm->dev, mm->irq, macromac_hw_interrupt, 0, dev_name(mm->dev), mm);
	if (err)
		return dev_err_probe(mm->dev, err, "interrupt\n");
	mutex_lock(&mm->lock);
	err = macromac_hw_reset(mm);
	mutex_unlock(&mm->lock);
	if (err)
		return err;
	return devm_add_action_or_reset(mm->dev, macromac_rest, mm);
}

static int macromac_register(struct macromac *mm)
{
	int err;

	mm->id = ida_alloc(&macromac_ids, GFP_KERNEL);
	if (mm->id < 0)
		return mm->id;
	snprintf(mm->name, sizeof(mm->name), "macromac%d", mm->id);
	mm->misc.minor = MISC_DYNAMIC_MINOR;
	mm->misc.name = mm->name;
	mm->misc.fops = &macromac_fops;
	mm->misc.parent = mm->dev;
	err = misc_register(&mm->misc);
	if (err) {
		ida_free(&macromac_ids, mm->id);
		return err;
	}
	macromac_debugfs_add(mm);
	return 0;
}

/* Awake until it is bound anew; what is left to do touches registers, if its clock runs. */
static void macromac_sleepless(struct macromac *mm)
{
	if (pm_runtime_get_sync(mm->dev) < 0)
		WRITE_ONCE(mm->dead, true);
	pm_runtime_dont_use_autosuspend(mm->dev);
	pm_runtime_disable(mm->dev);
	pm_runtime_put_noidle(mm->dev);
}

static int macromac_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct macromac *mm = macromac_alloc(dev);
	int err;

	if (!mm)
		return -ENOMEM;
	platform_set_drvdata(pdev, mm);
	err = macromac_map(mm, pdev);
	if (err)
		return err;
	err = macromac_power(mm);
	if (err)
		return err;
	err = macromac_hw_identify(mm);
	if (err)
		return err;
	err = macromac_region(mm);
	if (err)
		return err;
	err = macromac_connect(mm, pdev);
	if (err)
		return err;
	err = macromac_selftest(mm);
	if (err)
		return err;
	pm_runtime_set_autosuspend_delay(dev, 1000);
	pm_runtime_use_autosuspend(dev);
	pm_runtime_enable(dev);
	err = macromac_register(mm);
	if (err) {
		macromac_sleepless(mm);
		return err;
	}
	dev_info(dev, "%s: %s, version %u.%u, %u vectors, configuration %08x, %s, %llu MiB\n",
		 mm->name, mm->limits.arithmetic ? "kv260" : "paper", mm->version >> 16,
		 mm->version & 0xffff, mm->limits.batch, mm->config_hash,
		 mm->coherent ? "coherent" : "not coherent", mm->memory_limit / SZ_1M);
	return 0;
}

/* Nobody uses the device from now on: it rests, and every call gives ENODEV. */
static void macromac_retire(struct macromac *mm)
{
	struct macromac_file *file;

	mutex_lock(&mm->lock);
	/* Sleepers first, so that they are told of this and not of the lost program. */
	spin_lock_irq(&mm->irq_lock);
	mm->unplugged = true;
	spin_unlock_irq(&mm->irq_lock);
	wake_up_all(&mm->wait);
	macromac_program_halt(mm);
	down_write(&mm->state);
	mm->gone = true;
	up_write(&mm->state);
	mutex_lock(&mm->files_lock);
	list_for_each_entry(file, &mm->files, all)
		macromac_unmap_all(file);
	mutex_unlock(&mm->files_lock);
	mutex_unlock(&mm->lock);
}

static MACROMAC_REMOVE_TYPE macromac_remove(struct platform_device *pdev)
{
	struct macromac *mm = platform_get_drvdata(pdev);

	macromac_debugfs_remove(mm);
	/* No open from now on. */
	misc_deregister(&mm->misc);
	ida_free(&macromac_ids, mm->id);

	macromac_retire(mm);
	macromac_buffers_unplug(mm);
	macromac_sleepless(mm);
	return MACROMAC_REMOVE_RESULT;
}

static void macromac_shutdown(struct platform_device *pdev)
{
	/*
	 * The next kernel must not find a device that writes to its memory, and processes may
	 * still run.
	 */
	macromac_retire(platform_get_drvdata(pdev));
}

static int macromac_runtime_suspend(struct device *dev)
{
	struct macromac *mm = dev_get_drvdata(dev);

	macromac_hw_power(mm, false);
	clk_disable_unprepare(mm->clk);
	return 0;
}

static int macromac_runtime_resume(struct device *dev)
{
	struct macromac *mm = dev_get_drvdata(dev);
	int err = clk_prepare_enable(mm->clk);

	if (!err)
		macromac_hw_power(mm, true);
	return err;
}

static int macromac_suspend(struct device *dev)
{
	struct macromac *mm = dev_get_drvdata(dev);

	/* What the ring is at cannot be kept: a loaded program keeps the system awake. */
	if (READ_ONCE(mm->owner))
		return -EBUSY;
	return pm_runtime_force_suspend(dev);
}

static int macromac_resume(struct device *dev)
{
	return pm_runtime_force_resume(dev);
}

static const struct dev_pm_ops macromac_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(macromac_suspend, macromac_resume)
	RUNTIME_PM_OPS(macromac_runtime_suspend, macromac_runtime_resume, NULL)
};

static const struct of_device_id macromac_of_match[] = {
	{ .compatible = "macromac,macromac-1.0" },
	{ }
};
MODULE_DEVICE_TABLE(of, macromac_of_match);

static struct platform_driver macromac_driver = {
	.probe = macromac_probe,
	.remove = macromac_remove,
	.shutdown = macromac_shutdown,
	.driver = {
		.name = "macromac",
		.of_match_table = macromac_of_match,
		.pm = pm_ptr(&macromac_pm_ops),
	},
};
module_platform_driver(macromac_driver);

MODULE_DESCRIPTION("MacroMac matrix accelerator");
MODULE_LICENSE("GPL");
