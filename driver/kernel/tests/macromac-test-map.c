// SPDX-License-Identifier: GPL-2.0
/* What can be mapped, and when. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static int refused(int fd, uint64_t offset, size_t bytes, int protection, int error)
{
	errno = 0;
	CHECK(!map(fd, offset, bytes, protection));
	EQUAL(errno, error);
	return PASS;
}

static int buffers_are_mapped_in_bounds(void)
{
	struct macromac_buffer_create made;
	int fd = device_open();
	uint32_t *all, *part;

	EQUAL(create(fd, MACROMAC_WEIGHTS, 5 << 20, &made), 0);
	all = map(fd, made.mmap_offset, made.bytes, PROT_READ | PROT_WRITE);
	part = map(fd, made.mmap_offset + (3 << 20), PAGE, PROT_READ);
	CHECK(all && part);
	for (size_t i = 0; i < made.bytes / 4; i++)
		all[i] = i;
	EQUAL(part[5], (3 << 18) + 5);
	for (size_t i = 0; i < made.bytes / 4; i++)
		if (all[i] != i)
			EQUAL(all[i], i);
	EQUAL(refused(fd, made.mmap_offset, made.bytes + PAGE, PROT_READ, EINVAL), 0);
	EQUAL(refused(fd, made.mmap_offset + PAGE, made.bytes, PROT_READ, EINVAL), 0);
	EQUAL(refused(fd, made.mmap_offset + made.bytes, PAGE, PROT_READ, EINVAL), 0);
	EQUAL(refused(fd, made.mmap_offset + (1ULL << 31), PAGE, PROT_READ, EINVAL), 0);
	EQUAL(refused(fd, made.mmap_offset + (1ULL << 32), PAGE, PROT_READ, EINVAL), 0);
	EQUAL(refused(fd, 1ULL << 62, PAGE, PROT_READ, EINVAL), 0);
	return PASS;
}

static int only_shared_and_never_executable(void)
{
	struct macromac_buffer_create made;
	int fd = device_open();
	void *at;

	EQUAL(create(fd, MACROMAC_WEIGHTS, PAGE, &made), 0);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, made.mmap_offset) == MAP_FAILED);
	EQUAL(errno, EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, MACROMAC_MMAP_DOORBELL) == MAP_FAILED);
	EQUAL(errno, EINVAL);
	EQUAL(refused(fd, made.mmap_offset, PAGE, PROT_READ | PROT_EXEC, EPERM), 0);
	at = map(fd, made.mmap_offset, PAGE, PROT_READ | PROT_WRITE);
	CHECK(at && mprotect(at, PAGE, PROT_READ | PROT_EXEC) == -1);
	EQUAL(errno, EACCES);
	return PASS;
}

static int a_mapping_does_not_grow(void)
{
	struct macromac_buffer_create made;
	int fd = device_open();
	uint8_t *at;

	EQUAL(create(fd, MACROMAC_WEIGHTS, 4 * PAGE, &made), 0);
	at = map(fd, made.mmap_offset, 2 * PAGE, PROT_READ | PROT_WRITE);
	CHECK(at);
	at[PAGE] = 7;
	CHECK(mremap(at, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(mremap(at, 0, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	/* It may move, and be cut. */
	at = mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK(at != MAP_FAILED && at[PAGE] == 7);
	CHECK(!munmap(at, PAGE));
	EQUAL(at[PAGE], 7);
	return PASS;
}

static int a_mapping_outlives_handle_and_file(void)
{
	struct macromac_buffer_create made;
	int fd = device_open(), other = device_open();
	int64_t before = memory_used(other);
	uint8_t *at;

	EQUAL(create(fd, MACROMAC_WEIGHTS, 1 << 20, &made), 0);
	at = map(fd, made.mmap_offset, made.bytes, PROT_READ | PROT_WRITE);
	CHECK(at);
	memset(at, 0x3c, PAGE);
	EQUAL(release(fd, made.handle), 0);
	close(fd);
	/* Pages that come by a fault now, too; and nobody else gets them. */
	memset(at + PAGE, 0x3d, made.bytes - PAGE);
	EQUAL(at[0], 0x3c);
	EQUAL(at[made.bytes - 1], 0x3d);
	EQUAL(memory_used(other) - before, 1 << 20);
	munmap(at, made.bytes);
	EQUAL(memory_used(other), before);
	return PASS;
}

static int a_child_shares_the_mapping(void)
{
	struct macromac_buffer_create made;
	int fd = device_open(), status;
	volatile uint32_t *at;

	EQUAL(create(fd, MACROMAC_WEIGHTS, PAGE, &made), 0);
	at = map(fd, made.mmap_offset, PAGE, PROT_READ | PROT_WRITE);
	CHECK(at);
	at[0] = 1;
	if (!fork()) {
		at[0]++;
		_exit(0);
	}
	wait(&status);
	EQUAL(at[0], 2);
	return PASS;
}

static int the_control_page_is_out_of_reach(void)
{
	int fd = device_open();

	EQUAL(refused(fd, MACROMAC_MMAP_DOORBELL, 2 * PAGE, PROT_READ, EINVAL), 0);
	for (uint64_t offset = PAGE; offset < 1 << 20; offset += PAGE)
		if (offset != MACROMAC_MMAP_COMPLETION)
			EQUAL(refused(fd, offset, PAGE, PROT_READ | PROT_WRITE, EINVAL), 0);
	CHECK(!map(fd, -PAGE, PAGE, PROT_READ));
	return PASS;
}

static int the_completion_page_is_read_only(void)
{
	int fd = device_open();
	void *at;

	EQUAL(refused(fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ | PROT_WRITE, EACCES), 0);
	EQUAL(refused(fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_WRITE, EACCES), 0);
	EQUAL(refused(fd, MACROMAC_MMAP_COMPLETION, 2 * PAGE, PROT_READ, EINVAL), 0);
	at = map(fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ);
	CHECK(at && mprotect(at, PAGE, PROT_READ | PROT_WRITE) == -1);
	EQUAL(errno, EACCES);
	return PASS;
}

static int the_two_pages_are_the_owners(void)
{
	struct macromac_program_load arg;
	volatile uint32_t *doorbell;
	const volatile struct macromac_completion *record;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	doorbell = map(rig.fd, MACROMAC_MMAP_DOORBELL, PAGE, PROT_READ | PROT_WRITE);
	record = map(rig.fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ);
	CHECK(doorbell && record);
	CHECK(!readable(doorbell) && !writable(doorbell, 0) && !readable(record));
	for (int again = 0; again < 3; again++) {
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		CHECK(readable(record) && writable(doorbell, 0));
		EQUAL(record->steps_done | record->rows_done | record->status, 0);
		EQUAL(unload(rig.fd), 0);
		CHECK(!readable(doorbell) && !writable(doorbell, 0) && !readable(record));
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		CHECK(readable(record) && writable(doorbell, 0));
		EQUAL(reset(rig.fd), 0);
		CHECK(!readable(doorbell) && !writable(doorbell, 0) && !readable(record));
	}
	return PASS;
}

/* All that a token needs: a store, and loads from memory. */
static int a_step_without_any_call(void)
{
	const volatile struct macromac_completion *record;
	struct macromac_program_load arg;
	volatile uint32_t *doorbell;
	int64_t end = now() + 30 * SECOND;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	doorbell = map(rig.fd, MACROMAC_MMAP_DOORBELL, PAGE, PROT_READ | PROT_WRITE);
	record = map(rig.fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	for (uint32_t step = 1; step <= 5; step++) {
		EQUAL(rig_fill(&rig, step), 0);
		__sync_synchronize();
		*doorbell = step;
		while (record->steps_done != step && now() < end)
			;
		__sync_synchronize();
		EQUAL(record->steps_done, step);
		EQUAL(record->status, 0);
		CHECK(rig_right(&rig));
	}
	return PASS;
}

const struct test map_tests[] = {
	{ "buffers are mapped in bounds", buffers_are_mapped_in_bounds },
	{ "only shared and never executable", only_shared_and_never_executable },
	{ "a mapping does not grow", a_mapping_does_not_grow },
	{ "a mapping outlives handle and file", a_mapping_outlives_handle_and_file },
	{ "a child shares the mapping", a_child_shares_the_mapping },
	{ "the control page is out of reach", the_control_page_is_out_of_reach },
	{ "the completion page is read only", the_completion_page_is_read_only },
	{ "the two pages are the owner's", the_two_pages_are_the_owners },
	{ "a step without any call", a_step_without_any_call },
	{ }
};
