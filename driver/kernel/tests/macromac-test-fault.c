// SPDX-License-Identifier: GPL-2.0
/* A device that halts, and the module that loses it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* Bits that must be zero, in the strip of zeros of a macro of one port. */
static int spoil(struct rig *rig, int port, uint32_t bits)
{
	uint32_t *words = (uint32_t *)(rig->w + port * SEGMENT) + 3 * 72;

	words[4 + 2] = bits;
	return sync_range(rig->fd, rig->weights.handle, 0, rig->weights.bytes,
			  MACROMAC_SYNC_FOR_DEVICE);
}

static int a_fault_halts_and_is_told(void)
{
	struct macromac_program_load arg;
	struct macromac_fault fault;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (int port = 0; port < MACROMAC_PORTS; port++) {
		EQUAL(spoil(&rig, port, 0x100), 0);
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		EQUAL(run(rig.fd, 1), 0);
		EQUAL(wait_for(rig.fd, 1, 30 * SECOND), -EIO);
		EQUAL(wait_for(rig.fd, 1, 30 * SECOND), -EIO);
		EQUAL(fault_of(rig.fd, &fault), 0);
		EQUAL(fault.cause, 4);
		EQUAL(fault.port, port);
		EQUAL(fault.step, 0);
		EQUAL(fault.range, 0xffffffff);
		/* Nothing but a reset ends it. */
		EQUAL(load(rig.fd, &rig.step, 1, &arg), -EIO);
		EQUAL(unload(rig.fd), -EIO);
		EQUAL(fault_of(rig.fd, &fault), 0);
		EQUAL(fault.cause, 4);
		EQUAL(reset(rig.fd), 0);
		EQUAL(fault_of(rig.fd, &fault), 0);
		EQUAL(fault.cause, 0);
		EQUAL(spoil(&rig, port, 0), 0);
		EQUAL(rig_fill(&rig, port + 2), 0);
		EQUAL(rig_compute(&rig), 0);
	}
	return PASS;
}

static int without_a_fault_there_is_none(void)
{
	struct macromac_fault fault;
	int fd = device_open();

	memset(&fault, 0xff, sizeof(fault));
	fault.size = sizeof(fault);
	EQUAL(call(fd, MACROMAC_IOC_FAULT, &fault), 0);
	EQUAL(fault.size, sizeof(fault));
	EQUAL(fault.cause | fault.port | fault.step | fault.offset, 0);
	EQUAL(fault.range, 0xffffffff);
	return PASS;
}

static int a_dead_owners_fault_is_forgotten(void)
{
	struct macromac_program_load arg;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(spoil(&rig, 2, 1), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), -EIO);
	rig_close(&rig);
	EQUAL(rig_open(&rig), 0);
	EQUAL(rig_compute(&rig), 0);
	return PASS;
}

const struct test fault_tests[] = {
	{ "a fault halts and is told", a_fault_halts_and_is_told },
	{ "without a fault there is none", without_a_fault_there_is_none },
	{ "a dead owner's fault is forgotten", a_dead_owners_fault_is_forgotten },
	{ }
};

#define DRIVER "/sys/bus/platform/drivers/macromac/"

/* The device's name on its bus, as the driver's folder has it. */
static bool device_name(char *name, size_t bytes)
{
	DIR *folder = opendir(DRIVER);
	const struct dirent *entry;
	bool found = false;

	while (folder && !found && (entry = readdir(folder))) {
		found = strstr(entry->d_name, ".") && entry->d_name[0] != '.';
		if (found)
			snprintf(name, bytes, "%s", entry->d_name);
	}
	if (folder)
		closedir(folder);
	return found;
}

static void *sleep_long(void *data)
{
	struct rig *rig = data;

	return (void *)(intptr_t)wait_for(rig->fd, 1U << 30, 100 * SECOND);
}

/* The driver is unbound under a running program, mapped pages and a sleeper. */
static int unbound_while_in_use(void)
{
	volatile uint32_t *doorbell;
	const volatile uint32_t *record;
	struct macromac_buffer_create made;
	struct macromac_program_load arg;
	struct macromac_query query;
	struct macromac_fault fault;
	struct macromac_stats stats;
	pthread_t thread;
	struct rig rig;
	void *slept;
	char name[256];

	if (!device_name(name, sizeof(name)) || access(DRIVER "unbind", W_OK))
		return skip("cannot unbind");
	for (int i = 0; i < 3; i++) {
		EQUAL(rig_open(&rig), 0);
		doorbell = map(rig.fd, MACROMAC_MMAP_DOORBELL, PAGE, PROT_READ | PROT_WRITE);
		record = map(rig.fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ);
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		CHECK(writable(doorbell, 1U << 30) && readable(record));
		CHECK(!pthread_create(&thread, NULL, sleep_long, &rig));
		usleep(30000);
		CHECK(write_text(DRIVER "unbind", name));
		pthread_join(thread, &slept);
		EQUAL((intptr_t)slept, -ENODEV);

		CHECK(!writable(doorbell, 1) && !readable(record));
		CHECK(!readable(rig.w) && !readable(rig.x) && !readable(rig.y));
		EQUAL(query_of(rig.fd, &query), -ENODEV);
		EQUAL(create(rig.fd, MACROMAC_WEIGHTS, 1, &made), -ENODEV);
		EQUAL(load(rig.fd, &rig.step, 1, &arg), -ENODEV);
		EQUAL(unload(rig.fd), -ENODEV);
		EQUAL(run(rig.fd, 1), -ENODEV);
		EQUAL(wait_for(rig.fd, 1, SECOND), -ENODEV);
		EQUAL(reset(rig.fd), -ENODEV);
		EQUAL(fault_of(rig.fd, &fault), -ENODEV);
		EQUAL(stats_of(rig.fd, &stats), -ENODEV);
		EQUAL(sync_range(rig.fd, rig.weights.handle, 0, PAGE, 1), -ENODEV);
		EQUAL(device_open(), -ENOENT);
		munmap(rig.w, rig.weights.bytes);
		rig.w = map(rig.fd, rig.weights.mmap_offset, rig.weights.bytes, PROT_READ);
		CHECK(rig.w && !readable(rig.w));

		/* Bound anew it is another device; the old file stays without. */
		CHECK(write_text(DRIVER "bind", name));
		EQUAL(query_of(rig.fd, &query), -ENODEV);
		CHECK(!readable(rig.x));
		if (i)
			EQUAL(release(rig.fd, rig.results.handle), 0);
		rig_close(&rig);
		EQUAL(rig_open(&rig), 0);
		EQUAL(rig_compute(&rig), 0);
		rig_close(&rig);
	}
	return PASS;
}

#define MORE	24

/* Touches a buffer all the time; when told to end: is any page of it still there? */
static int touch_until(const volatile uint8_t *at, size_t bytes, int told)
{
	bool left = false;
	char byte;

	do
		for (size_t i = 0; i < bytes; i += 64 * PAGE)
			readable(at + i);
	while (read(told, &byte, 1) != 1);
	for (size_t i = 0; i < bytes; i += PAGE)
		left |= readable(at + i);
	return left;
}

/*
 * A page that is touched while the driver goes must not come back: its memory will be somebody else's. Buffers made later
 * go first, so the one that is touched stays in danger while they do.
 */
static int no_page_comes_while_it_is_unbound(void)
{
	struct macromac_buffer_create made, more;
	char name[256];

	if (!device_name(name, sizeof(name)) || access(DRIVER "unbind", W_OK))
		return skip("cannot unbind");
	for (int i = 0; i < 5; i++) {
		int fd = device_open(), told[2], status;
		uint8_t *at;
		pid_t child;

		EQUAL(create(fd, MACROMAC_WEIGHTS, 4 << 20, &made), 0);
		at = map(fd, made.mmap_offset, made.bytes, PROT_READ | PROT_WRITE);
		CHECK(at && !pipe2(told, O_NONBLOCK));
		for (int j = 0; j < MORE; j++)
			EQUAL(create(fd, MACROMAC_WEIGHTS, 1 << 20, &more), 0);
		child = fork();
		if (!child)
			_exit(touch_until(at, made.bytes, told[0]));
		CHECK(child > 0);
		usleep(20000);
		CHECK(write_text(DRIVER "unbind", name));
		EQUAL(write(told[1], "", 1), 1);
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(write_text(DRIVER "bind", name));
		EQUAL(status, 0);
		munmap(at, made.bytes);
		close(fd);
		close(told[0]);
		close(told[1]);
	}
	return PASS;
}

/* Opens, owns and closes the device while it is there, with the step of a rig that was open before. */
static int come_and_go(const struct rig *like, int told)
{
	struct macromac_program_load arg;
	struct macromac_buffer_create made;
	char byte;

	do {
		int fd = device_open();

		if (fd < 0)
			continue;
		/* Handles count from one in each file; nothing is mapped, so nothing gives SIGBUS. */
		if (!create(fd, MACROMAC_WEIGHTS, like->weights.bytes, &made) &&
		    !create(fd, MACROMAC_ACTIVATIONS, like->activations.bytes, &made) &&
		    !create(fd, MACROMAC_RESULTS, like->results.bytes, &made) && !load(fd, &like->step, 1, &arg))
			run(fd, 1U << 30);
		close(fd);
	} while (read(told, &byte, 1) != 1);
	return 0;
}

/* Who closes a file may meet the unbinding that takes its program away; a kernel with KASAN sees more of this. */
static int files_close_while_it_is_unbound(void)
{
	int told[2], status, failed = 0;
	struct rig rig;
	char name[256];

	if (!device_name(name, sizeof(name)) || access(DRIVER "unbind", W_OK))
		return skip("cannot unbind");
	EQUAL(rig_open(&rig), 0);
	rig_close(&rig);
	CHECK(!pipe2(told, O_NONBLOCK));
	for (int i = 0; i < 2; i++)
		if (!fork())
			_exit(come_and_go(&rig, told[0]));
	for (int i = 0; i < 15; i++) {
		usleep(5000 * (i % 6));
		failed += !write_text(DRIVER "unbind", name) + !write_text(DRIVER "bind", name);
	}
	EQUAL(write(told[1], "..", 2), 2);
	while (wait(&status) > 0)
		failed += status != 0;
	EQUAL(failed, 0);
	EQUAL(rig_open(&rig), 0);
	EQUAL(rig_compute(&rig), 0);
	return PASS;
}

const struct test unbind_tests[] = {
	{ "files close while it is unbound", files_close_while_it_is_unbound },
	{ "no page comes while it is unbound", no_page_comes_while_it_is_unbound },
	{ "unbound while in use", unbound_while_in_use },
	{ }
};
