/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between the kernels that the module builds against: 5.10 to 6.12. */
#ifndef MACROMAC_COMPAT_H
#define MACROMAC_COMPAT_H

#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>
#include <linux/version.h>

/* A platform driver's remove() returned a value, which nothing looked at, until 6.11. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define MACROMAC_REMOVE_TYPE	int
#define MACROMAC_REMOVE_RESULT	0
#else
#define MACROMAC_REMOVE_TYPE	void
#define MACROMAC_REMOVE_RESULT
#endif

/* Flags of a mapping may only be changed through these since 6.3. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* pm_ptr() with functions that are not marked __maybe_unused: since 5.17. */
#ifndef SYSTEM_SLEEP_PM_OPS
#define SYSTEM_SLEEP_PM_OPS	SET_SYSTEM_SLEEP_PM_OPS
#endif
#ifndef RUNTIME_PM_OPS
#define RUNTIME_PM_OPS		SET_RUNTIME_PM_OPS
#endif

#endif /* MACROMAC_COMPAT_H */
