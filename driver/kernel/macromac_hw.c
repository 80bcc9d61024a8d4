// SPDX-License-Identifier: GPL-2.0
/*
 * Registers: identify, start, stop, reset, interrupt.
 *
 * A load from the device takes a microsecond or more and stalls the processor; none is made for
 * RUN and WAIT but by the interrupt handler.
 */
#include <linux/bitfield.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "macromac.h"

static unsigned int stop_ms = 5000;
module_param(stop_ms, uint, 0644);
MODULE_PARM_DESC(stop_ms, "how long released steps may take to finish before the device is reset (default: 5000)");

static unsigned int reset_ms = 1000;
module_param(reset_ms, uint, 0644);
MODULE_PARM_DESC(reset_ms, "how long a reset may take before the device is given up (default: 1000)");

static unsigned int watchdog_cycles = 30000000;
module_param(watchdog_cycles, uint, 0644);
MODULE_PARM_DESC(watchdog_cycles, "cycles without progress after which the device halts; 0: never (default: 30000000)");

/* Normal memory, not cached, may be buffered; coherent: cached, allocate on read and write. */
#define CACHE_NONE	0x3u
#define CACHE_SNOOP	0xfu
/* Linux runs in the non-secure world: a secure access would miss its cache lines. */
#define PROT_NONSECURE	0x2u

static void macromac_store32(struct macromac *mm, u32 offset, u32 value)
{
	writel(value, mm->regs + offset);
}

static void macromac_store_address(struct macromac *mm, u32 offset, dma_addr_t address)
{
	macromac_store32(mm, offset, lower_32_bits(address));
	macromac_store32(mm, offset + 4, upper_32_bits(address));
}

/**
 * macromac_hw_identify - is this the device, and can this driver drive it?
 * @mm: the device, clocked
 *
 * Return: 0, or -ENODEV with a message.
 */
int macromac_hw_identify(struct macromac *mm)
{
	u32 id = macromac_load32(mm, MACROMAC_ID);
	u32 ports, strips, group, cap2;

	if (id != MACROMAC_ID_RESET)
		return dev_err_probe(mm->dev, -ENODEV,
				     "ID: expected %#x, found %#x: is the bitstream loaded?\n",
				     MACROMAC_ID_RESET, id);
	mm->version = macromac_load32(mm, MACROMAC_VERSION);
	if (FIELD_GET(MACROMAC_VERSION_MAJOR_MASK, mm->version) !=
	    FIELD_GET(MACROMAC_VERSION_MAJOR_MASK, MACROMAC_VERSION_RESET))
		return dev_err_probe(mm->dev, -ENODEV,
				     "VERSION: this driver is for major version %u, found %#x\n",
				     (u32)FIELD_GET(MACROMAC_VERSION_MAJOR_MASK,
						    MACROMAC_VERSION_RESET), mm->version);
	mm->cap0 = macromac_load32(mm, MACROMAC_CAP0);
	mm->fifo_strips = macromac_load32(mm, MACROMAC_CAP1);
	cap2 = macromac_load32(mm, MACROMAC_CAP2);
	mm->config_hash = macromac_load32(mm, MACROMAC_CONFIG_HASH);
	mm->limits.arithmetic = FIELD_GET(MACROMAC_CAP0_ARITHMETIC_MASK, mm->cap0);
	mm->limits.batch = FIELD_GET(MACROMAC_CAP0_BATCH_MASK, mm->cap0);
	mm->limits.max_groups = FIELD_GET(MACROMAC_CAP2_MAX_GROUPS_MASK, cap2);
	ports = FIELD_GET(MACROMAC_CAP0_PORTS_MASK, mm->cap0);
	group = FIELD_GET(MACROMAC_CAP0_GROUP_SIZE_MASK, mm->cap0);
	strips = FIELD_GET(MACROMAC_CAP0_MACRO_STRIPS_MASK, mm->cap0);
	if (ports != MACROMAC_PORTS || group != 64 || strips != 18 || mm->limits.arithmetic > 1 ||
	    !mm->limits.batch || !mm->limits.max_groups)
		return dev_err_probe(mm->dev, -ENODEV,
				     "expected %u ports, groups of 64, macros of 18 strips; found CAP0 %#x, CAP2 %#x\n",
				     MACROMAC_PORTS, mm->cap0, cap2);
	return dma_set_mask_and_coherent(mm->dev,
					 DMA_BIT_MASK(FIELD_GET(MACROMAC_CAP2_ADDR_BITS_MASK,
								cap2)));
}

/**
 * macromac_hw_record - the completion record
 * @mm: the device; the record's page must be there
 *
 * Return: members of one moment (status apart, which only ever rises).
 */
struct macromac_completion macromac_hw_record(struct macromac *mm)
{
	const __le32 *words = mm->record_page.cpu;
	struct macromac_completion record = { };
	u32 again = le32_to_cpu(READ_ONCE(words[0]));

	/* The device writes all of it at once, the processor reads it word by word. */
	do {
		record.steps_done = again;
		dma_rmb();
		record.rows_done = le32_to_cpu(READ_ONCE(words[1]));
		record.status = le32_to_cpu(READ_ONCE(words[2]));
		dma_rmb();
		again = le32_to_cpu(READ_ONCE(words[0]));
	} while (again != record.steps_done);
	return record;
}

/* No interrupt from now on, and no handler is at work any more. */
static void macromac_hw_silence(struct macromac *mm)
{
	unsigned long flags;

	spin_lock_irqsave(&mm->irq_lock, flags);
	mm->running = false;
	mm->armed = false;
	macromac_store32(mm, MACROMAC_IRQ_ENABLE, 0);
	spin_unlock_irqrestore(&mm->irq_lock, flags);
	/* The store is posted; the line falls when it has arrived. */
	macromac_load32(mm, MACROMAC_IRQ_ENABLE);
	synchronize_irq(mm->irq);
}

/**
 * macromac_hw_start - start a program; the device waits for the doorbell
 * @mm: the device, locked; reset if it is not idle
 * @program: what to run
 *
 * Return: 0, or -EIO: it is dead.
 */
int macromac_hw_start(struct macromac *mm, const struct macromac_program *program)
{
	u32 status = macromac_load32(mm, MACROMAC_STATUS);
	u32 cache = mm->coherent ? CACHE_SNOOP : CACHE_NONE;
	unsigned long flags;

	if (status == MACROMAC_NO_ANSWER || !(status & MACROMAC_STATUS_IDLE_MASK)) {
		int err = macromac_hw_reset(mm);

		if (err)
			return err;
	}
	memset(mm->record_page.cpu, 0, sizeof(struct macromac_completion));
	macromac_store_address(mm, MACROMAC_RING_BASE_LO, program->ring.dma);
	macromac_store32(mm, MACROMAC_RING_STEPS, program->steps);
	macromac_store_address(mm, MACROMAC_COMPLETION_LO, mm->record_page.dma);
	macromac_store32(mm, MACROMAC_AXI_ATTR,
			 FIELD_PREP(MACROMAC_AXI_ATTR_DATA_CACHE_MASK, cache) |
			 FIELD_PREP(MACROMAC_AXI_ATTR_DATA_PROT_MASK, PROT_NONSECURE) |
			 FIELD_PREP(MACROMAC_AXI_ATTR_WEIGHT_CACHE_MASK, CACHE_NONE) |
			 FIELD_PREP(MACROMAC_AXI_ATTR_WEIGHT_PROT_MASK, PROT_NONSECURE));
	macromac_store32(mm, MACROMAC_WATCHDOG, watchdog_cycles);
	macromac_store32(mm, MACROMAC_IRQ_STATUS,
			 MACROMAC_IRQ_STATUS_FAULT_MASK | MACROMAC_IRQ_STATUS_STEP_DONE_MASK);

	spin_lock_irqsave(&mm->irq_lock, flags);
	mm->running = true;
	mm->armed = false;
	mm->faulted = false;
	macromac_store32(mm, MACROMAC_IRQ_ENABLE, MACROMAC_IRQ_ENABLE_FAULT_MASK);
	/* writel() is ordered after the stores to ring and record. */
	macromac_store32(mm, MACROMAC_CTRL, MACROMAC_CTRL_START_MASK);
	spin_unlock_irqrestore(&mm->irq_lock, flags);
	/* Sleepers of the program before look anew. */
	wake_up_all(&mm->wait);
	return 0;
}

/*
 * Polls STATUS, for a millisecond at least: no time would mean for ever. -ENXIO: nothing answers,
 * -ETIMEDOUT: none of @bits rises.
 */
static int macromac_hw_until(struct macromac *mm, u32 bits, unsigned int ms, u32 *status)
{
	int err = readl_poll_timeout(mm->regs + MACROMAC_STATUS, *status,
				     *status == MACROMAC_NO_ANSWER || (*status & bits), 20,
				     (u64)max(ms, 1U) * USEC_PER_MSEC);

	if (!err && *status == MACROMAC_NO_ANSWER)
		return -ENXIO;
	return err;
}

/**
 * macromac_hw_reset - stop at once and forget the fault
 * @mm: the device, locked
 *
 * Return: 0 (the device is idle and touches no memory), or -EIO: it did not answer and is
 * marked dead.
 */
int macromac_hw_reset(struct macromac *mm)
{
	u32 status;

	if (mm->dead)
		return -EIO;
	atomic_inc(&mm->counts.resets);
	macromac_hw_silence(mm);
	macromac_store32(mm, MACROMAC_CTRL, MACROMAC_CTRL_SOFT_RESET_MASK);
	if (macromac_hw_until(mm, MACROMAC_STATUS_IDLE_MASK, reset_ms, &status)) {
		WRITE_ONCE(mm->dead, true);
		wake_up_all(&mm->wait);
		dev_err(mm->dev, "no answer to a reset within %u ms (STATUS %#x): given up until the module is bound anew\n",
			reset_ms, status);
		return -EIO;
	}
	macromac_store32(mm, MACROMAC_IRQ_STATUS,
			 MACROMAC_IRQ_STATUS_FAULT_MASK | MACROMAC_IRQ_STATUS_STEP_DONE_MASK);
	return 0;
}

/**
 * macromac_hw_stop - let released steps finish, then become idle
 * @mm: the device with a program, locked
 *
 * A device that takes longer than stop_ms is reset.
 *
 * Return: 0: idle; -EIO: halted on a fault, which stays to be read, or dead.
 */
int macromac_hw_stop(struct macromac *mm)
{
	u32 status;
	int err;

	if (mm->dead)
		return -EIO;
	status = macromac_load32(mm, MACROMAC_STATUS);
	if (status != MACROMAC_NO_ANSWER && (status & MACROMAC_STATUS_FAULTED_MASK))
		return -EIO;
	macromac_store32(mm, MACROMAC_CTRL, MACROMAC_CTRL_STOP_MASK);
	err = macromac_hw_until(mm, MACROMAC_STATUS_IDLE_MASK | MACROMAC_STATUS_FAULTED_MASK,
				stop_ms, &status);
	if (!err && (status & MACROMAC_STATUS_FAULTED_MASK))
		return -EIO;
	if (err) {
		/* Who releases too many steps brings this about at will: not a warning. */
		dev_info_ratelimited(mm->dev, "does not stop within %u ms (STATUS %#x): reset\n",
				     stop_ms, status);
		return macromac_hw_reset(mm);
	}
	macromac_hw_silence(mm);
	return 0;
}

/**
 * macromac_hw_power - may the interrupt handler touch the device?
 * @mm: the device
 * @on: its clock runs
 */
void macromac_hw_power(struct macromac *mm, bool on)
{
	unsigned long flags;

	spin_lock_irqsave(&mm->irq_lock, flags);
	mm->powered = on;
	spin_unlock_irqrestore(&mm->irq_lock, flags);
}

/**
 * macromac_hw_arm - have the next step interrupt
 * @mm: the device; irq_lock is held
 *
 * A step that has completed before and was not slept for interrupts at once: a wake-up too
 * many, never one too few. To clear it here would race with the step that is waited for.
 */
void macromac_hw_arm(struct macromac *mm)
{
	if (!mm->running || mm->armed || mm->faulted)
		return;
	mm->armed = true;
	macromac_store32(mm, MACROMAC_IRQ_ENABLE,
			 MACROMAC_IRQ_ENABLE_FAULT_MASK | MACROMAC_IRQ_ENABLE_STEP_DONE_MASK);
}

/**
 * macromac_hw_disarm - nobody sleeps any more
 * @mm: the device; irq_lock is held
 */
void macromac_hw_disarm(struct macromac *mm)
{
	if (!mm->running || !mm->armed || mm->faulted)
		return;
	mm->armed = false;
	macromac_store32(mm, MACROMAC_IRQ_ENABLE, MACROMAC_IRQ_ENABLE_FAULT_MASK);
}

/**
 * macromac_hw_interrupt - wake the sleepers; they look at the record
 * @irq: the line
 * @data: the device
 *
 * Return: IRQ_NONE if it was not the device.
 */
irqreturn_t macromac_hw_interrupt(int irq, void *data)
{
	struct macromac *mm = data;
	bool mine;
	u32 status;

	spin_lock(&mm->irq_lock);
	if (!mm->powered) {
		spin_unlock(&mm->irq_lock);
		return IRQ_NONE;
	}
	/*
	 * Also of a device that is at rest: one that came too late. In a virtual machine the
	 * line may only fall when the device is touched.
	 */
	macromac_store32(mm, MACROMAC_IRQ_STATUS, MACROMAC_IRQ_STATUS_STEP_DONE_MASK);
	macromac_store32(mm, MACROMAC_IRQ_ENABLE,
			 mm->running && !mm->faulted ? MACROMAC_IRQ_ENABLE_FAULT_MASK : 0);
	/*
	 * The load also sees to it that both stores have arrived: a step that completes after a
	 * sleeper has looked at the record is not cleared by them.
	 */
	status = macromac_load32(mm, MACROMAC_IRQ_STATUS);
	mine = mm->armed;
	mm->armed = false;
	if (mm->running && (status & MACROMAC_IRQ_STATUS_FAULT_MASK)) {
		/* Stays pending, as the fault does: both go with the reset. */
		macromac_store32(mm, MACROMAC_IRQ_ENABLE, 0);
		if (!mm->faulted)
			atomic_inc(&mm->counts.faults);
		mm->faulted = true;
		mine = true;
	}
	spin_unlock(&mm->irq_lock);

	atomic_inc(mine ? &mm->counts.interrupts : &mm->counts.spurious);
	wake_up_all(&mm->wait);
	return mine ? IRQ_HANDLED : IRQ_NONE;
}
