// SPDX-License-Identifier: GPL-2.0
/* Who owns the device, and what is left of an owner that is gone. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* So many steps take the device longer than any test. */
#define FOR_EVER	(1U << 30)

static int others_may_look_but_not_touch(void)
{
	const volatile uint32_t *doorbell, *record;
	struct macromac_program_load arg;
	struct macromac_query query;
	struct macromac_fault fault;
	struct macromac_stats stats;
	struct macromac_wait wait;
	struct rig owner, other;

	EQUAL(rig_open(&owner), 0);
	EQUAL(rig_open(&other), 0);
	EQUAL(load(owner.fd, &owner.step, 1, &arg), 0);

	EQUAL(load(other.fd, &other.step, 1, &arg), -EBUSY);
	EQUAL(unload(other.fd), -EBUSY);
	EQUAL(run(other.fd, 1), -EPERM);
	EQUAL(wait_until(other.fd, 1, 0, now(), &wait), -EPERM);
	EQUAL(reset(other.fd), -EPERM);
	EQUAL(fault_of(other.fd, &fault), -EPERM);
	EQUAL(query_of(other.fd, &query), 0);
	EQUAL(stats_of(other.fd, &stats), 0);
	doorbell = map(other.fd, MACROMAC_MMAP_DOORBELL, PAGE, PROT_READ | PROT_WRITE);
	record = map(other.fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ);
	CHECK(doorbell && record && !readable(doorbell) && !readable(record));

	/* None of this has disturbed the owner. */
	EQUAL(run(owner.fd, 1), 0);
	EQUAL(wait_for(owner.fd, 1, 30 * SECOND), 0);
	CHECK(rig_right(&owner));
	return PASS;
}

static int the_device_passes_on(void)
{
	const volatile struct macromac_completion *record[2];
	volatile uint32_t *doorbell[2];
	struct macromac_program_load arg;
	struct rig rig[2];

	for (int i = 0; i < 2; i++) {
		EQUAL(rig_open(&rig[i]), 0);
		EQUAL(rig_fill(&rig[i], 3 + i), 0);
		doorbell[i] = map(rig[i].fd, MACROMAC_MMAP_DOORBELL, PAGE, PROT_READ | PROT_WRITE);
		record[i] = map(rig[i].fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ);
	}
	for (int turn = 0; turn < 6; turn++) {
		struct rig *owner = &rig[turn % 2];

		EQUAL(load(owner->fd, &owner->step, 1, &arg), 0);
		EQUAL(record[turn % 2]->steps_done, 0);
		CHECK(writable(doorbell[turn % 2], 1) && !writable(doorbell[!(turn % 2)], 1));
		CHECK(!readable(record[!(turn % 2)]));
		EQUAL(wait_for(owner->fd, 1, 30 * SECOND), 0);
		CHECK(rig_right(owner));
		EQUAL(turn < 3 ? unload(owner->fd) : reset(owner->fd), 0);
		EQUAL(run(owner->fd, 1), -EPERM);
		CHECK(!writable(doorbell[turn % 2], 1) && !readable(record[turn % 2]));
	}
	return PASS;
}

static int unload_without_a_program_is_fine(void)
{
	int fd = device_open();

	EQUAL(unload(fd), 0);
	EQUAL(unload(fd), 0);
	EQUAL(reset(fd), 0);
	EQUAL(run(fd, 1), -EPERM);
	return PASS;
}

static int closing_gives_the_device_back(void)
{
	struct macromac_program_load arg;
	struct rig rig;

	for (int i = 0; i < 5; i++) {
		EQUAL(rig_open(&rig), 0);
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		/* Idle, done, and in the midst of it. */
		if (i)
			EQUAL(run(rig.fd, i == 1 ? 1 : FOR_EVER), 0);
		if (i == 1)
			EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
		rig_close(&rig);
		EQUAL(rig_open(&rig), 0);
		EQUAL(rig_compute(&rig), 0);
		rig_close(&rig);
	}
	return PASS;
}

/* A mapping keeps the file: with it the device stays the owner's after close(). */
static int a_mapped_doorbell_keeps_the_device(void)
{
	struct macromac_program_load arg;
	struct rig rig, other;
	void *doorbell;

	EQUAL(rig_open(&rig), 0);
	EQUAL(rig_open(&other), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	doorbell = map(rig.fd, MACROMAC_MMAP_DOORBELL, PAGE, PROT_READ | PROT_WRITE);
	CHECK(doorbell);
	rig_close(&rig);
	EQUAL(load(other.fd, &other.step, 1, &arg), -EBUSY);
	munmap(doorbell, PAGE);
	EQUAL(rig_compute(&other), 0);
	return PASS;
}

static int a_process_is_another_owner(void)
{
	struct macromac_program_load arg;
	int ready[2], done[2], status;
	struct rig rig;
	char byte = 0;

	EQUAL(rig_open(&rig), 0);
	CHECK(!pipe(ready) && !pipe(done));
	if (!fork()) {
		struct rig own;
		int err = rig_open(&own);

		if (!err)
			err = load(own.fd, &own.step, 1, &arg);
		byte = err;
		if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	EQUAL(read(ready[0], &byte, 1), 1);
	EQUAL(byte, 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), -EBUSY);
	EQUAL(write(done[1], &byte, 1), 1);
	wait(&status);
	EQUAL(status, 0);
	EQUAL(rig_compute(&rig), 0);
	return PASS;
}

/* A child has the same file, so it is the same owner. */
static int a_child_owns_what_its_parent_owns(void)
{
	struct macromac_program_load arg;
	struct rig rig;
	int status;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	if (!fork())
		_exit(run(rig.fd, 1) || wait_for(rig.fd, 1, 30 * SECOND) || !rig_right(&rig));
	wait(&status);
	EQUAL(status, 0);
	EQUAL(wait_for(rig.fd, 1, 0), 0);
	return PASS;
}

static int kill_in_the_midst(void)
{
	int fd = device_open();
	int64_t before = memory_used(fd);
	struct rig rig;

	for (int i = 0; i < 20; i++) {
		int ready[2];
		char byte = 1;
		pid_t child;

		CHECK(!pipe(ready));
		child = fork();
		if (!child) {
			struct macromac_program_load arg;
			int err = rig_open(&rig);

			if (!err)
				err = load(rig.fd, &rig.step, 1, &arg);
			if (!err)
				err = run(rig.fd, FOR_EVER);
			byte = err;
			if (write(ready[1], &byte, 1) != 1)
				_exit(1);
			/* Some die in WAIT, some while they run. */
			if (i % 2)
				wait_for(rig.fd, FOR_EVER, 100 * SECOND);
			for (;;)
				;
		}
		EQUAL(read(ready[0], &byte, 1), 1);
		EQUAL(byte, 0);
		usleep(1000 * (i % 7));
		CHECK(!kill(child, SIGKILL) && waitpid(child, NULL, 0) == child);
		close(ready[0]);
		close(ready[1]);
		EQUAL(rig_open(&rig), 0);
		EQUAL(rig_fill(&rig, i), 0);
		EQUAL(rig_compute(&rig), 0);
		rig_close(&rig);
	}
	EQUAL(memory_used(fd), before);
	return PASS;
}

static int reset_while_it_runs(void)
{
	struct macromac_program_load arg;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	for (int i = 0; i < 5; i++) {
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		EQUAL(run(rig.fd, FOR_EVER), 0);
		usleep(1000 * i);
		EQUAL(reset(rig.fd), 0);
		EQUAL(rig_fill(&rig, i), 0);
		EQUAL(rig_compute(&rig), 0);
	}
	return PASS;
}

/* Released steps are finished by an unload, unless it takes too long: then the device is reset. */
static int unload_does_not_wait_for_ever(void)
{
	struct macromac_program_load arg;
	char before[16], last[16];
	struct rig rig;
	int64_t start;

	if (!set_stop_ms("100", before))
		return skip("cannot set stop_ms");
	EQUAL(rig_open(&rig), 0);
	for (int i = 0; i < 2; i++) {
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		EQUAL(run(rig.fd, FOR_EVER), 0);
		start = now();
		/* Another load stops what runs, too. */
		EQUAL(i ? load(rig.fd, &rig.step, 1, &arg) : unload(rig.fd), 0);
		CHECK(now() - start >= 90 * MS && now() - start < 20 * SECOND);
	}
	CHECK(set_stop_ms(before, last));
	EQUAL(rig_compute(&rig), 0);
	return PASS;
}

static void *unload_slowly(void *data)
{
	struct rig *rig = data;

	return (void *)(intptr_t)unload(rig->fd);
}

/* All who open a misc device wait for one that does not come back from its open(); who closes may be exiting. */
static int others_do_not_wait_for_the_device(void)
{
	struct macromac_program_load arg;
	struct macromac_query query;
	char before[16], last[16];
	pthread_t thread;
	struct rig rig;
	int64_t took;
	void *err;
	int fd;

	if (!set_stop_ms("3000", before))
		return skip("cannot set stop_ms");
	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(run(rig.fd, FOR_EVER), 0);
	took = now();
	CHECK(!pthread_create(&thread, NULL, unload_slowly, &rig));
	usleep(300000);
	fd = device_open();
	EQUAL(query_of(fd, &query), 0);
	close(fd);
	took = now() - took;
	pthread_join(thread, &err);
	CHECK(set_stop_ms(before, last));
	EQUAL((intptr_t)err, 0);
	CHECK(took < 2 * SECOND);
	return PASS;
}

/* No time to stop is the shortest time, not an unlimited one. */
static int no_time_to_stop_is_short(void)
{
	struct macromac_program_load arg;
	char before[16], last[16];
	struct rig rig;
	int64_t start;
	int err;

	if (!set_stop_ms("0", before))
		return skip("cannot set stop_ms");
	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(run(rig.fd, FOR_EVER), 0);
	start = now();
	err = unload(rig.fd);
	CHECK(set_stop_ms(before, last));
	EQUAL(err, 0);
	CHECK(now() - start < 20 * SECOND);
	EQUAL(rig_compute(&rig), 0);
	return PASS;
}

const struct test owner_tests[] = {
	{ "others may look but not touch", others_may_look_but_not_touch },
	{ "the device passes on", the_device_passes_on },
	{ "unload without a program is fine", unload_without_a_program_is_fine },
	{ "closing gives the device back", closing_gives_the_device_back },
	{ "a mapped doorbell keeps the device", a_mapped_doorbell_keeps_the_device },
	{ "a process is another owner", a_process_is_another_owner },
	{ "a child owns what its parent owns", a_child_owns_what_its_parent_owns },
	{ "kill -9 in the midst, 20 times", kill_in_the_midst },
	{ "reset while it runs", reset_while_it_runs },
	{ "unload does not wait for ever", unload_does_not_wait_for_ever },
	{ "others do not wait for the device", others_do_not_wait_for_the_device },
	{ "no time to stop is short", no_time_to_stop_is_short },
	{ }
};
