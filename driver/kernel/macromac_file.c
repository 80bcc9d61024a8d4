// SPDX-License-Identifier: GPL-2.0
/* The character device: open, close, and the calls' structures to and from user memory. */
#include <linux/clk.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "macromac.h"

static int macromac_open(struct inode *inode, struct file *filp)
{
	/* The character device keeps unbinding away until this returns. */
	struct macromac *mm = container_of(filp->private_data, struct macromac, misc);
	struct macromac_file *file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);

	if (!file)
		return -ENOMEM;
	macromac_get(mm);
	file->mm = mm;
	file->filp = filp;
	file->next_handle = 1;
	mutex_init(&file->lock);
	xa_init(&file->handles);
	mutex_lock(&mm->files_lock);
	list_add(&file->all, &mm->files);
	mutex_unlock(&mm->files_lock);
	filp->private_data = file;
	return 0;
}

static int macromac_release(struct inode *inode, struct file *filp)
{
	struct macromac_file *file = filp->private_data;
	struct macromac *mm = file->mm;

	/* No memory is given back before the device has come to rest. */
	macromac_program_close(file);
	macromac_buffers_close(file);
	mutex_lock(&mm->files_lock);
	list_del(&file->all);
	mutex_unlock(&mm->files_lock);
	kfree(file);
	macromac_put(mm);
	return 0;
}

static int macromac_query(struct macromac_file *file, struct macromac_query *arg)
{
	struct macromac *mm = file->mm;

	down_read(&mm->state);
	if (mm->gone) {
		up_read(&mm->state);
		return -ENODEV;
	}
	arg->uapi_version = MACROMAC_UAPI_VERSION;
	arg->device_version = mm->version;
	arg->config_hash = mm->config_hash;
	arg->arithmetic = mm->limits.arithmetic;
	arg->ports = MACROMAC_PORTS;
	arg->batch = mm->limits.batch;
	arg->group_size = (mm->cap0 & MACROMAC_CAP0_GROUP_SIZE_MASK) >>
			  MACROMAC_CAP0_GROUP_SIZE_SHIFT;
	arg->macro_strips = (mm->cap0 & MACROMAC_CAP0_MACRO_STRIPS_MASK) >>
			    MACROMAC_CAP0_MACRO_STRIPS_SHIFT;
	arg->fifo_strips = mm->fifo_strips;
	arg->max_groups = mm->limits.max_groups;
	arg->coherency = mm->coherent ? MACROMAC_COHERENT : MACROMAC_NONCOHERENT;
	arg->clock_hz = clk_get_rate(mm->clk);
	arg->step_size = sizeof(struct macromac_step);
	arg->max_steps = MACROMAC_MAX_STEPS;
	arg->buffer_bytes_left = macromac_memory_left(mm);
	up_read(&mm->state);
	return 0;
}

/* Takes the device for a look at its registers; 0 must be followed by macromac_looked(). */
static int macromac_look(struct macromac *mm)
{
	int err;

	mutex_lock(&mm->lock);
	err = mm->gone ? -ENODEV : pm_runtime_resume_and_get(mm->dev);
	if (err)
		mutex_unlock(&mm->lock);
	return err;
}

static void macromac_looked(struct macromac *mm)
{
	pm_runtime_mark_last_busy(mm->dev);
	pm_runtime_put_autosuspend(mm->dev);
	mutex_unlock(&mm->lock);
}

static int macromac_fault(struct macromac_file *file, struct macromac_fault *arg)
{
	struct macromac *mm = file->mm;
	u32 size = arg->size;
	int err = macromac_look(mm);

	if (err)
		return err;
	memset(arg, 0, sizeof(*arg));
	arg->size = size;
	/* Steps and offsets are the owner's business. */
	if (!mm->dead && mm->owner && mm->owner != file)
		err = -EPERM;
	else
		macromac_report_fault(mm, arg);
	macromac_looked(mm);
	return err;
}

static int macromac_stats(struct macromac_file *file, struct macromac_stats *arg)
{
	struct macromac *mm = file->mm;
	int err = macromac_look(mm);

	if (err)
		return err;
	if (mm->dead)
		err = -EIO;
	else
		macromac_report_stats(mm, arg);
	macromac_looked(mm);
	return err;
}

/* Any call's structure, as the kernel knows it. */
union macromac_arg {
	u32 size;
	struct macromac_query query;
	struct macromac_buffer_create create;
	struct macromac_buffer_free free;
	struct macromac_buffer_sync sync;
	struct macromac_program_load load;
	struct macromac_run run;
	struct macromac_wait wait;
	struct macromac_fault fault;
	struct macromac_reset reset;
	struct macromac_stats stats;
};

static int macromac_call(struct macromac_file *file, unsigned int number, union macromac_arg *arg)
{
	switch (number) {
	case _IOC_NR(MACROMAC_IOC_QUERY):
		return macromac_query(file, &arg->query);
	case _IOC_NR(MACROMAC_IOC_BUFFER_CREATE):
		return macromac_buffer_create(file, &arg->create);
	case _IOC_NR(MACROMAC_IOC_BUFFER_FREE):
		return macromac_buffer_free(file, &arg->free);
	case _IOC_NR(MACROMAC_IOC_BUFFER_SYNC):
		return macromac_buffer_sync(file, &arg->sync);
	case _IOC_NR(MACROMAC_IOC_PROGRAM_LOAD):
		return macromac_program_load(file, &arg->load);
	case _IOC_NR(MACROMAC_IOC_RUN):
		return macromac_program_run(file, &arg->run);
	case _IOC_NR(MACROMAC_IOC_WAIT):
		return macromac_program_wait(file, &arg->wait);
	case _IOC_NR(MACROMAC_IOC_FAULT):
		return macromac_fault(file, &arg->fault);
	case _IOC_NR(MACROMAC_IOC_RESET):
		return macromac_program_reset(file, &arg->reset);
	case _IOC_NR(MACROMAC_IOC_STATS):
		return macromac_stats(file, &arg->stats);
	default:
		return -ENOTTY;
	}
}

/* The calls by number; the size in a caller's command is that of the caller's header. */
static const unsigned int macromac_commands[] = {
	MACROMAC_IOC_QUERY, MACROMAC_IOC_BUFFER_CREATE, MACROMAC_IOC_BUFFER_FREE,
	MACROMAC_IOC_BUFFER_SYNC, MACROMAC_IOC_PROGRAM_LOAD, MACROMAC_IOC_RUN, MACROMAC_IOC_WAIT,
	MACROMAC_IOC_FAULT, MACROMAC_IOC_RESET, MACROMAC_IOC_STATS,
};

static long macromac_ioctl(struct file *filp, unsigned int command, unsigned long pointer)
{
	struct macromac_file *file = filp->private_data;
	unsigned int number = _IOC_NR(command), known, ours;
	void __user *user = (void __user *)pointer;
	union macromac_arg arg = { };
	u32 size;
	int err;

	if (_IOC_TYPE(command) != MACROMAC_IOC_MAGIC || number >= ARRAY_SIZE(macromac_commands))
		return -ENOTTY;
	number = array_index_nospec(number, ARRAY_SIZE(macromac_commands));
	known = macromac_commands[number];
	if (_IOC_DIR(command) != _IOC_DIR(known))
		return -ENOTTY;
	ours = _IOC_SIZE(known);

	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < sizeof(size))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(&arg, ours, user, size);
	if (err)
		return err;
	/* It may have changed since. */
	arg.size = size;

	err = macromac_call(file, number, &arg);
	/* Some errors come with outputs. */
	if ((_IOC_DIR(known) & _IOC_READ) && err != -ERESTARTSYS) {
		if (copy_to_user(user, &arg, min(size, ours)))
			return -EFAULT;
	}
	return err;
}

const struct file_operations macromac_fops = {
	.owner = THIS_MODULE,
	.open = macromac_open,
	.release = macromac_release,
	.unlocked_ioctl = macromac_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = macromac_mmap,
};
