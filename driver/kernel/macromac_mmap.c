// SPDX-License-Identifier: GPL-2.0
/*
 * What a process can map: its buffers, and while it owns the device the doorbell page and the
 * completion page.
 *
 * Every page comes by a fault, which looks at the owner with the state lock held. Whoever takes
 * the right away changes the state first and unmaps then: a page can be in a process only while
 * it has the right to it.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "macromac.h"

/* Pages that a fault brings, for a buffer has tens of thousands. */
#define AROUND		SZ_2M

static vm_fault_t macromac_doorbell_fault(struct vm_fault *vmf)
{
	struct macromac_file *file = vmf->vma->vm_private_data;
	struct macromac *mm = file->mm;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&mm->state);
	if (mm->owner == file)
		ret = vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(mm->doorbell));
	up_read(&mm->state);
	return ret;
}

static const struct vm_operations_struct macromac_doorbell_ops = {
	.fault = macromac_doorbell_fault,
};

static vm_fault_t macromac_completion_fault(struct vm_fault *vmf)
{
	struct macromac_file *file = vmf->vma->vm_private_data;
	struct macromac *mm = file->mm;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&mm->state);
	if (mm->owner == file)
		ret = vmf_insert_pfn(vmf->vma, vmf->address, mm->record_page.pfn);
	up_read(&mm->state);
	return ret;
}

static const struct vm_operations_struct macromac_completion_ops = {
	.fault = macromac_completion_fault,
};

static void macromac_buffer_open(struct vm_area_struct *vma)
{
	struct macromac_buffer *buffer = vma->vm_private_data;

	kref_get(&buffer->refs);
}

static void macromac_buffer_close(struct vm_area_struct *vma)
{
	macromac_buffer_put(vma->vm_private_data);
}

/* Page of the buffer that a mapping's page offset means. */
static unsigned long macromac_buffer_page(unsigned long pgoff)
{
	return pgoff & (BIT(MACROMAC_BUFFER_SHIFT - PAGE_SHIFT) - 1);
}

static vm_fault_t macromac_buffer_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct macromac_buffer *buffer = vma->vm_private_data;
	unsigned long start = max(vmf->address & ~(AROUND - 1UL), vma->vm_start);
	unsigned long end = min(start + AROUND, vma->vm_end);
	unsigned long page = macromac_buffer_page(vmf->pgoff);
	unsigned long address = vmf->address & PAGE_MASK;
	struct macromac *mm = buffer->mm;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	unsigned long at;

	down_read(&mm->state);
	/*
	 * Not by its memory alone: that goes after the mappings, and a page could come between
	 * the two.
	 */
	if (!mm->gone && buffer->memory.cpu && page < PHYS_PFN(buffer->memory.bytes)) {
		/* Unsigned, so it may wrap on the way to the right page. */
		unsigned long first = buffer->memory.pfn + page - PHYS_PFN(address - start);

		ret = vmf_insert_pfn(vma, address, buffer->memory.pfn + page);
		/* Those around it that fail will fault for themselves. */
		for (at = start; at < end && ret == VM_FAULT_NOPAGE; at += PAGE_SIZE)
			if (vmf_insert_pfn(vma, at, first++) != VM_FAULT_NOPAGE)
				break;
	}
	up_read(&mm->state);
	return ret;
}

static const struct vm_operations_struct macromac_buffer_ops = {
	.open = macromac_buffer_open,
	.close = macromac_buffer_close,
	.fault = macromac_buffer_fault,
};

static int macromac_mmap_doorbell(struct macromac_file *file, struct vm_area_struct *vma)
{
	/* Where pages are larger the control page would come with it: such kernels have RUN. */
	if (PAGE_SHIFT > 12 || vma_pages(vma) != 1)
		return -EINVAL;
	vma->vm_page_prot = pgprot_device(vma->vm_page_prot);
	vma->vm_private_data = file;
	vma->vm_ops = &macromac_doorbell_ops;
	vm_flags_set(vma, VM_IO);
	return 0;
}

static int macromac_mmap_completion(struct macromac_file *file, struct vm_area_struct *vma)
{
	if (vma_pages(vma) != 1)
		return -EINVAL;
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	vm_flags_clear(vma, VM_MAYWRITE);
	if (file->mm->record_page.combine)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	vma->vm_private_data = file;
	vma->vm_ops = &macromac_completion_ops;
	return 0;
}

static int macromac_mmap_buffer(struct macromac_file *file, struct vm_area_struct *vma)
{
	unsigned long handle = vma->vm_pgoff >> (MACROMAC_BUFFER_SHIFT - PAGE_SHIFT);
	unsigned long page = macromac_buffer_page(vma->vm_pgoff);
	struct macromac_buffer *buffer;

	xa_lock(&file->handles);
	buffer = xa_load(&file->handles, handle);
	if (buffer)
		kref_get(&buffer->refs);
	xa_unlock(&file->handles);
	if (!buffer)
		return -EINVAL;
	if (vma_pages(vma) > PHYS_PFN(buffer->memory.bytes) ||
	    page > PHYS_PFN(buffer->memory.bytes) - vma_pages(vma)) {
		macromac_buffer_put(buffer);
		return -EINVAL;
	}
	if (buffer->memory.combine)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	vma->vm_private_data = buffer;
	vma->vm_ops = &macromac_buffer_ops;
	return 0;
}

/**
 * macromac_mmap - map a buffer, the doorbell page or the completion page
 * @filp: the file
 * @vma: where; its offset says what
 *
 * Return: 0; -EINVAL: no such thing, too long, or not MAP_SHARED; -EACCES: the completion page
 * is to be written; -EPERM: executable.
 */
int macromac_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct macromac_file *file = filp->private_data;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	vm_flags_clear(vma, VM_MAYEXEC);
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	switch ((u64)vma->vm_pgoff << PAGE_SHIFT) {
	case MACROMAC_MMAP_DOORBELL:
		return macromac_mmap_doorbell(file, vma);
	case MACROMAC_MMAP_COMPLETION:
		return macromac_mmap_completion(file, vma);
	default:
		return macromac_mmap_buffer(file, vma);
	}
}

/**
 * macromac_unmap_pages - take doorbell page and completion page out of all mappings
 * @file: whose; it must not be the owner any more
 */
void macromac_unmap_pages(struct macromac_file *file)
{
	unmap_mapping_range(file->filp->f_mapping, MACROMAC_MMAP_DOORBELL,
			    MACROMAC_MMAP_COMPLETION + PAGE_SIZE, 1);
}

/**
 * macromac_unmap_all - take every page out of all mappings
 * @file: whose; the device must be gone
 */
void macromac_unmap_all(struct macromac_file *file)
{
	unmap_mapping_range(file->filp->f_mapping, 0, 0, 1);
}
