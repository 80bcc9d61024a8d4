// SPDX-License-Identifier: GPL-2.0
/* Counters for people: /sys/kernel/debug/macromac0/counters. Nothing here touches the device. */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "macromac.h"

static int macromac_counters_show(struct seq_file *seq, void *unused)
{
	struct macromac *mm = seq->private;
	struct macromac_counts *counts = &mm->counts;

	seq_printf(seq, "loads %d\n", atomic_read(&counts->loads));
	seq_printf(seq, "doorbells %d\n", atomic_read(&counts->doorbells));
	seq_printf(seq, "waits %d\n", atomic_read(&counts->waits));
	seq_printf(seq, "sleeps %d\n", atomic_read(&counts->sleeps));
	seq_printf(seq, "timeouts %d\n", atomic_read(&counts->timeouts));
	seq_printf(seq, "interrupts %d\n", atomic_read(&counts->interrupts));
	seq_printf(seq, "spurious_interrupts %d\n", atomic_read(&counts->spurious));
	seq_printf(seq, "resets %d\n", atomic_read(&counts->resets));
	seq_printf(seq, "faults %d\n", atomic_read(&counts->faults));
	seq_printf(seq, "buffers %d\n", atomic_read(&counts->buffers));
	seq_printf(seq, "memory_used %lld\n", (s64)atomic64_read(&mm->memory_used));
	seq_printf(seq, "memory_limit %llu\n", mm->memory_limit);
	seq_printf(seq, "coherent %d\n", mm->coherent);
	seq_printf(seq, "owned %d\n", !!READ_ONCE(mm->owner));
	seq_printf(seq, "dead %d\n", READ_ONCE(mm->dead));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(macromac_counters);

/**
 * macromac_debugfs_add - make the folder
 * @mm: the device
 */
void macromac_debugfs_add(struct macromac *mm)
{
	mm->debugfs = debugfs_create_dir(mm->name, NULL);
	debugfs_create_file("counters", 0444, mm->debugfs, mm, &macromac_counters_fops);
}

/**
 * macromac_debugfs_remove - and take it away
 * @mm: the device
 */
void macromac_debugfs_remove(struct macromac *mm)
{
	debugfs_remove_recursive(mm->debugfs);
}
