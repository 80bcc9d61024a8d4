// SPDX-License-Identifier: GPL-2.0
/* Run and wait: what a running program needs, without a load from the device. */
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/ktime.h>

#include "macromac.h"

/**
 * macromac_program_run - MACROMAC_IOC_RUN
 * @file: who asks
 * @arg: in
 *
 * Return: 0 or an error of the interface.
 */
int macromac_program_run(struct macromac_file *file, const struct macromac_run *arg)
{
	struct macromac *mm = file->mm;
	int err = 0;

	down_read(&mm->state);
	if (mm->gone)
		err = -ENODEV;
	else if (READ_ONCE(mm->dead))
		err = -EIO;
	else if (mm->owner != file)
		err = -EPERM;
	else
		/* writel() is ordered after all that was written to memory. */
		writel(arg->steps_ready, mm->regs + MACROMAC_DOORBELL);
	up_read(&mm->state);
	if (!err)
		atomic_inc(&mm->counts.doorbells);
	return err;
}

/* Has come what WAIT is for? -EAGAIN: not yet. Called with irq_lock held. */
static int macromac_wait_look(struct macromac_file *file, struct macromac_wait *arg)
{
	struct macromac *mm = file->mm;
	struct macromac_completion record;
	s32 lead;

	if (mm->unplugged)
		return -ENODEV;
	if (READ_ONCE(mm->dead))
		return -EIO;
	if (mm->sleeper != file)
		return -EPERM;
	record = macromac_hw_record(mm);
	arg->steps_done = record.steps_done;
	arg->rows_done = record.rows_done;
	lead = (s32)(record.steps_done - arg->steps);
	if (lead >= 0 || (lead == -1 && record.rows_done >= arg->rows))
		return 0;
	/* A fault of the record's own write is only told by interrupt. */
	if (mm->faulted || (record.status & 1))
		return -EIO;
	return -EAGAIN;
}

/* Is there something new to look at, or is the interrupt to be asked for again? */
static bool macromac_wait_awake(struct macromac_file *file, struct macromac_wait *arg)
{
	struct macromac *mm = file->mm;
	unsigned long flags;
	bool awake;

	spin_lock_irqsave(&mm->irq_lock, flags);
	awake = macromac_wait_look(file, arg) != -EAGAIN || (mm->running && !mm->armed);
	spin_unlock_irqrestore(&mm->irq_lock, flags);
	return awake;
}

/*
 * Looks, and has the device interrupt if there is nothing yet; in this order a step between the
 * two is not missed.
 */
static int macromac_wait_arm(struct macromac_file *file, struct macromac_wait *arg)
{
	struct macromac *mm = file->mm;
	unsigned long flags;
	int err;

	spin_lock_irqsave(&mm->irq_lock, flags);
	err = macromac_wait_look(file, arg);
	if (err == -EAGAIN)
		macromac_hw_arm(mm);
	spin_unlock_irqrestore(&mm->irq_lock, flags);
	return err;
}

/**
 * macromac_program_wait - MACROMAC_IOC_WAIT
 * @file: who asks
 * @arg: in and out
 *
 * The deadline is absolute, so the call can be restarted after a signal.
 *
 * Return: 0 or an error of the interface.
 */
int macromac_program_wait(struct macromac_file *file, struct macromac_wait *arg)
{
	struct macromac *mm = file->mm;
	ktime_t deadline = ns_to_ktime(arg->deadline_ns);
	unsigned long flags;
	int err, slept;

	if (arg->flags)
		return -EINVAL;
	atomic_inc(&mm->counts.waits);
	spin_lock_irqsave(&mm->irq_lock, flags);
	err = macromac_wait_look(file, arg);
	mm->sleepers++;
	spin_unlock_irqrestore(&mm->irq_lock, flags);

	while (err == -EAGAIN) {
		ktime_t left = ktime_sub(deadline, ktime_get());

		if (arg->deadline_ns <= 0 || left <= 0) {
			err = -ETIMEDOUT;
			atomic_inc(&mm->counts.timeouts);
			break;
		}
		err = macromac_wait_arm(file, arg);
		if (err != -EAGAIN)
			break;
		atomic_inc(&mm->counts.sleeps);
		slept = wait_event_interruptible_hrtimeout(mm->wait,
							   macromac_wait_awake(file, arg), left);
		spin_lock_irqsave(&mm->irq_lock, flags);
		err = macromac_wait_look(file, arg);
		spin_unlock_irqrestore(&mm->irq_lock, flags);
		if (err == -EAGAIN && slept == -ERESTARTSYS)
			err = -ERESTARTSYS;
	}

	spin_lock_irqsave(&mm->irq_lock, flags);
	if (!--mm->sleepers && !mm->unplugged)
		macromac_hw_disarm(mm);
	spin_unlock_irqrestore(&mm->irq_lock, flags);
	return err;
}
