// SPDX-License-Identifier: GPL-2.0
/* Programs: build, load, own, reset. */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "macromac.h"

/* A build in progress: finds buffers, and pins each of them once. */
struct macromac_build {
	struct macromac_file *file;
	struct macromac_program *program;
	u64 stamp;
};

static bool macromac_build_lookup(void *context, u32 handle, struct macromac_extent *extent)
{
	struct macromac_build *build = context;
	struct macromac_buffer *buffer = xa_load(&build->file->handles, handle);

	if (!buffer)
		return false;
	extent->address = buffer->memory.dma;
	extent->bytes = buffer->memory.bytes;
	extent->usage = buffer->usage;
	if (buffer->stamp != build->stamp) {
		buffer->stamp = build->stamp;
		kref_get(&buffer->refs);
		atomic_inc(&buffer->programs);
		build->program->buffers[build->program->count++] = buffer;
	}
	return true;
}

/* The ring, if there is one, only exists while the device is bound: called with it locked then. */
static void macromac_program_free(struct macromac *mm, struct macromac_program *program)
{
	u32 i;

	for (i = 0; i < program->count; i++) {
		atomic_dec(&program->buffers[i]->programs);
		macromac_buffer_put(program->buffers[i]);
	}
	macromac_memory_free(mm, &program->ring);
	kvfree(program->descriptors);
	kvfree(program->buffers);
	kfree(program);
}

/*
 * The device may still be at work with the program: what it points to is never used again. The
 * state lock keeps faults from looking at the buffers meanwhile.
 */
static void macromac_program_leak(struct macromac *mm, struct macromac_program *program)
{
	u64 bytes = program->ring.bytes;
	u32 i;

	program->ring.cpu = NULL;
	down_write(&mm->state);
	mutex_lock(&mm->buffers_lock);
	for (i = 0; i < program->count; i++) {
		struct macromac_memory *memory = &program->buffers[i]->memory;

		if (!memory->cpu)
			continue;
		bytes += memory->bytes;
		memory->cpu = NULL;
		list_del(&program->buffers[i]->all);
	}
	mutex_unlock(&mm->buffers_lock);
	up_write(&mm->state);
	dev_err(mm->dev, "%llu bytes stay allocated, for the device may still use them\n", bytes);
	macromac_program_free(mm, program);
}

static int macromac_build_steps(struct macromac_build *build, struct macromac_program_load *arg)
{
	struct macromac *mm = build->file->mm;
	const void __user *from = u64_to_user_ptr(arg->steps);
	u32 i;

	for (i = 0; i < arg->step_count; i++) {
		struct macromac_refusal why;
		struct macromac_step step;
		int err;

		arg->bad_step = i;
		/* One copy: what is checked is what is encoded. */
		err = copy_struct_from_user(&step, sizeof(step),
					    from + (size_t)i * arg->step_size, arg->step_size);
		if (err)
			return err;
		if (!macromac_step_encode(&step, &mm->limits, macromac_build_lookup, build,
					  build->program->descriptors + i, &why)) {
			arg->bad_rule = why.rule;
			arg->bad_range = why.range;
			return -EINVAL;
		}
		if (!(i % 256)) {
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
		}
	}
	arg->bad_step = 0;
	return 0;
}

static int macromac_build(struct macromac_file *file, struct macromac_program_load *arg,
			  struct macromac_program **built)
{
	struct macromac_build build = { .file = file };
	struct macromac_program *program;
	int err;

	program = kzalloc(sizeof(*program), GFP_KERNEL_ACCOUNT);
	if (!program)
		return -ENOMEM;
	program->steps = arg->step_count;
	build.program = program;
	build.stamp = atomic64_inc_return(&file->mm->loads);
	program->descriptors = kvmalloc_array(arg->step_count, sizeof(*program->descriptors),
					      GFP_KERNEL_ACCOUNT);

	*built = program;
	if (mutex_lock_killable(&file->lock))
		return -EINTR;
	program->buffers = kvmalloc_array(file->count + 1, sizeof(*program->buffers),
					  GFP_KERNEL_ACCOUNT);
	if (program->buffers && program->descriptors)
		err = macromac_build_steps(&build, arg);
	else
		err = -ENOMEM;
	mutex_unlock(&file->lock);
	return err;
}

/* Who may use the device at all? Called with the device locked. */
static int macromac_access(struct macromac_file *file)
{
	struct macromac *mm = file->mm;

	if (mm->gone)
		return -ENODEV;
	if (mm->dead)
		return -EIO;
	if (mm->owner && mm->owner != file)
		return -EBUSY;
	return 0;
}

static void macromac_set_owner(struct macromac *mm, struct macromac_file *owner)
{
	unsigned long flags;

	down_write(&mm->state);
	mm->owner = owner;
	up_write(&mm->state);
	spin_lock_irqsave(&mm->irq_lock, flags);
	mm->sleeper = owner;
	spin_unlock_irqrestore(&mm->irq_lock, flags);
	wake_up_all(&mm->wait);
}

/* The device is idle, or dead: nobody owns it from now on. */
static void macromac_disown(struct macromac *mm)
{
	struct macromac_file *file = mm->owner;
	struct macromac_program *program = mm->program;

	if (!file)
		return;
	macromac_set_owner(mm, NULL);
	macromac_unmap_pages(file);
	mm->program = NULL;
	if (mm->dead)
		macromac_program_leak(mm, program);
	else
		macromac_program_free(mm, program);
	pm_runtime_mark_last_busy(mm->dev);
	pm_runtime_put_autosuspend(mm->dev);
}

static int macromac_unload(struct macromac_file *file)
{
	struct macromac *mm = file->mm;
	int err;

	mutex_lock(&mm->lock);
	err = macromac_access(file);
	if (!err && mm->owner) {
		err = macromac_hw_stop(mm);
		if (!err || mm->dead)
			macromac_disown(mm);
	}
	mutex_unlock(&mm->lock);
	return err;
}

/* Puts the descriptors where the device can fetch them. Called with the device locked. */
static int macromac_write_ring(struct macromac *mm, struct macromac_program *program)
{
	size_t bytes = program->steps * sizeof(*program->descriptors);
	int err = macromac_memory_alloc(mm, &program->ring, bytes, true);

	if (err)
		return err;
	memcpy(program->ring.cpu, program->descriptors, bytes);
	kvfree(program->descriptors);
	program->descriptors = NULL;
	return 0;
}

/*
 * Puts a program that was built in the place of what the file had loaded. Called with the
 * device locked.
 */
static int macromac_replace(struct macromac_file *file, struct macromac_program *program)
{
	struct macromac *mm = file->mm;
	struct macromac_program *old = mm->program;
	int err;

	if (!mm->owner) {
		err = pm_runtime_resume_and_get(mm->dev);
		if (err)
			return err;
		err = macromac_hw_start(mm, program);
		if (err) {
			pm_runtime_put(mm->dev);
			return err;
		}
		mm->program = program;
		macromac_set_owner(mm, file);
		return 0;
	}
	err = macromac_hw_stop(mm);
	if (!err)
		err = macromac_hw_start(mm, program);
	if (err) {
		if (mm->dead)
			macromac_disown(mm);
		return err;
	}
	mm->program = program;
	macromac_program_free(mm, old);
	return 0;
}

/**
 * macromac_program_load - MACROMAC_IOC_PROGRAM_LOAD
 * @file: who asks
 * @arg: in and out
 *
 * Return: 0 or an error of the interface.
 */
int macromac_program_load(struct macromac_file *file, struct macromac_program_load *arg)
{
	struct macromac_program *program = NULL;
	struct macromac *mm = file->mm;
	int err;

	arg->bad_step = 0;
	arg->bad_rule = MACROMAC_RULE_NONE;
	arg->bad_range = 0;
	if (arg->flags || arg->pad)
		return -EINVAL;
	if (!arg->step_count)
		return macromac_unload(file);
	if (arg->step_count > MACROMAC_MAX_STEPS) {
		arg->bad_rule = MACROMAC_RULE_STEPS;
		return -EINVAL;
	}
	if (arg->step_size < sizeof(struct macromac_step))
		return -EINVAL;
	if (arg->step_size > PAGE_SIZE)
		return -E2BIG;

	/* Asked again below; this one saves the work. */
	mutex_lock(&mm->lock);
	err = macromac_access(file);
	mutex_unlock(&mm->lock);
	if (err)
		return err;
	err = macromac_build(file, arg, &program);
	mutex_lock(&mm->lock);
	if (!err)
		err = macromac_access(file);
	if (!err)
		err = macromac_write_ring(mm, program);
	if (!err)
		err = macromac_replace(file, program);
	if (err && program)
		macromac_program_free(mm, program);
	mutex_unlock(&mm->lock);
	if (!err)
		atomic_inc(&mm->counts.loads);
	return err;
}

/**
 * macromac_program_halt - stop at once, whoever owns the device
 * @mm: the device, locked, not gone
 */
void macromac_program_halt(struct macromac *mm)
{
	if (!mm->owner)
		return;
	macromac_hw_reset(mm);
	macromac_disown(mm);
}

/**
 * macromac_program_reset - MACROMAC_IOC_RESET
 * @file: who asks
 * @arg: in
 *
 * Return: 0 or an error of the interface.
 */
int macromac_program_reset(struct macromac_file *file, const struct macromac_reset *arg)
{
	struct macromac *mm = file->mm;
	int err;

	if (arg->flags)
		return -EINVAL;
	mutex_lock(&mm->lock);
	err = macromac_access(file);
	if (err == -EBUSY)
		err = -EPERM;
	if (!err)
		err = pm_runtime_resume_and_get(mm->dev);
	if (!err) {
		err = macromac_hw_reset(mm);
		macromac_disown(mm);
		pm_runtime_put_autosuspend(mm->dev);
	}
	mutex_unlock(&mm->lock);
	return err;
}

/**
 * macromac_program_close - stop what a file has running
 * @file: being closed
 */
void macromac_program_close(struct macromac_file *file)
{
	struct macromac *mm = file->mm;

	bool mine;

	/*
	 * No call of this file is under way, so it cannot become the owner; and who is none has
	 * not to wait for the device. While the device goes, its mappings may be worked on.
	 */
	down_read(&mm->state);
	mine = mm->owner == file || mm->unplugged;
	up_read(&mm->state);
	if (!mine)
		return;
	mutex_lock(&mm->lock);
	if (mm->owner == file)
		macromac_program_halt(mm);
	mutex_unlock(&mm->lock);
}
