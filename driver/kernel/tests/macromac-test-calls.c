// SPDX-License-Identifier: GPL-2.0
/* Every call's structure: sizes, padding, pointers; query and buffers. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static int query_tells_the_device(void)
{
	struct macromac_query query;
	int fd = device_open();

	CHECK(fd >= 0);
	EQUAL(query_of(fd, &query), 0);
	EQUAL(query.size, sizeof(query));
	EQUAL(query.uapi_version, MACROMAC_UAPI_VERSION);
	EQUAL(query.device_version >> 16, 1);
	EQUAL(query.ports, MACROMAC_PORTS);
	EQUAL(query.group_size, 64);
	EQUAL(query.macro_strips, 18);
	EQUAL(query.step_size, sizeof(struct macromac_step));
	EQUAL(query.max_steps, 65535);
	CHECK(query.config_hash && query.fifo_strips && query.max_groups);
	CHECK(query.arithmetic <= 1 && query.coherency <= 1);
	CHECK(query.arithmetic ? query.batch >= 1 : query.batch == 1);
	CHECK(query.buffer_bytes_left >= 1 << 20);
	return PASS;
}

static int a_longer_structure_must_end_in_zeros(void)
{
	struct { struct macromac_query query; uint64_t more; } arg = { .query.size = sizeof(arg) };
	int fd = device_open();

	EQUAL(call(fd, MACROMAC_IOC_QUERY, &arg), 0);
	EQUAL(arg.query.ports, MACROMAC_PORTS);
	arg.more = 1ULL << 56;
	EQUAL(call(fd, MACROMAC_IOC_QUERY, &arg), -E2BIG);
	return PASS;
}

/* A caller of a future header has other command numbers, too. */
static int a_longer_command_is_the_same_call(void)
{
	struct { struct macromac_query query; uint64_t more[4]; } arg = { .query.size = sizeof(arg) };
	int fd = device_open();

	EQUAL(call(fd, _IOWR(MACROMAC_IOC_MAGIC, 0x00, arg), &arg), 0);
	EQUAL(arg.query.ports, MACROMAC_PORTS);
	EQUAL(arg.more[0] | arg.more[1] | arg.more[2] | arg.more[3], 0);
	return PASS;
}

static int a_shorter_structure_gets_what_fits(void)
{
	struct macromac_query query;
	int fd = device_open();

	memset(&query, 0xa5, sizeof(query));
	query.size = offsetof(struct macromac_query, ports);
	EQUAL(call(fd, MACROMAC_IOC_QUERY, &query), 0);
	EQUAL(query.uapi_version, MACROMAC_UAPI_VERSION);
	EQUAL(query.ports, 0xa5a5a5a5);
	EQUAL(query.buffer_bytes_left, (int64_t)0xa5a5a5a5a5a5a5a5);
	return PASS;
}

static const unsigned long commands[] = {
	MACROMAC_IOC_QUERY, MACROMAC_IOC_BUFFER_CREATE, MACROMAC_IOC_BUFFER_FREE,
	MACROMAC_IOC_BUFFER_SYNC, MACROMAC_IOC_PROGRAM_LOAD, MACROMAC_IOC_RUN, MACROMAC_IOC_WAIT,
	MACROMAC_IOC_FAULT, MACROMAC_IOC_RESET, MACROMAC_IOC_STATS,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int every_call_looks_at_its_size(void)
{
	static uint32_t words[4096];
	int fd = device_open();

	for (size_t i = 0; i < COMMANDS; i++) {
		for (uint32_t size = 0; size < 4; size++) {
			words[0] = size;
			EQUAL(call(fd, commands[i], words), -EINVAL);
		}
		words[0] = PAGE + 4;
		EQUAL(call(fd, commands[i], words), -E2BIG);
		words[0] = 0xffffffff;
		EQUAL(call(fd, commands[i], words), -E2BIG);
		words[0] = PAGE;
		words[1023] = 1;
		EQUAL(call(fd, commands[i], words), -E2BIG);
		words[1023] = 0;
	}
	return PASS;
}

static int every_call_survives_bad_pointers(void)
{
	uint8_t *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = device_open();

	CHECK(two != MAP_FAILED && !munmap(two + PAGE, PAGE));
	for (size_t i = 0; i < COMMANDS; i++) {
		uint32_t *edge = (uint32_t *)(two + PAGE - 4);

		EQUAL(call(fd, commands[i], NULL), -EFAULT);
		EQUAL(call(fd, commands[i], (void *)8), -EFAULT);
		EQUAL(call(fd, commands[i], (void *)0xffff000000000000), -EFAULT);
		EQUAL(call(fd, commands[i], (void *)-4096L), -EFAULT);
		/* The size can be read, the rest cannot. */
		*edge = 64;
		EQUAL(call(fd, commands[i], edge), -EFAULT);
	}
	/* Outputs into memory that may not be written. */
	*(struct macromac_query *)two = (struct macromac_query){ .size = sizeof(struct macromac_query) };
	CHECK(!mprotect(two, PAGE, PROT_READ));
	EQUAL(call(fd, MACROMAC_IOC_QUERY, two), -EFAULT);
	return PASS;
}

static int other_commands_are_refused(void)
{
	struct macromac_query query = { .size = sizeof(query) };
	int fd = device_open();

	EQUAL(call(fd, _IOWR(MACROMAC_IOC_MAGIC, 0x0a, query), &query), -ENOTTY);
	EQUAL(call(fd, _IOWR(MACROMAC_IOC_MAGIC, 0xff, query), &query), -ENOTTY);
	EQUAL(call(fd, _IOWR(0xb7, 0x00, query), &query), -ENOTTY);
	EQUAL(call(fd, _IOW(MACROMAC_IOC_MAGIC, 0x00, query), &query), -ENOTTY);
	EQUAL(call(fd, _IO(MACROMAC_IOC_MAGIC, 0x00), &query), -ENOTTY);
	return PASS;
}

static int flags_and_padding_must_be_zero(void)
{
	struct macromac_buffer_create made = { .size = sizeof(made), .usage = 1, .bytes = 1, .flags = 1 };
	struct macromac_buffer_sync sync = { .size = sizeof(sync), .direction = 1, .pad = 1 };
	struct macromac_program_load program = { .size = sizeof(program), .flags = 1 };
	struct macromac_wait wait = { .size = sizeof(wait), .flags = 1 };
	struct macromac_reset again = { .size = sizeof(again), .flags = 1 };
	int fd = device_open();

	EQUAL(call(fd, MACROMAC_IOC_BUFFER_CREATE, &made), -EINVAL);
	EQUAL(call(fd, MACROMAC_IOC_BUFFER_SYNC, &sync), -EINVAL);
	EQUAL(call(fd, MACROMAC_IOC_PROGRAM_LOAD, &program), -EINVAL);
	program.flags = 0;
	program.pad = 1;
	EQUAL(call(fd, MACROMAC_IOC_PROGRAM_LOAD, &program), -EINVAL);
	EQUAL(call(fd, MACROMAC_IOC_WAIT, &wait), -EINVAL);
	EQUAL(call(fd, MACROMAC_IOC_RESET, &again), -EINVAL);
	return PASS;
}

static int buffers_of_impossible_size_are_refused(void)
{
	static const uint64_t sizes[] = {
		1ULL << 31, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 40, 1ULL << 63, -4096ULL, -4095ULL, -1ULL,
	};
	struct macromac_buffer_create made;
	struct macromac_query query;
	int fd = device_open();

	EQUAL(create(fd, MACROMAC_WEIGHTS, 0, &made), -EINVAL);
	EQUAL(query_of(fd, &query), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i] > query.buffer_bytes_left)
			EQUAL(create(fd, MACROMAC_WEIGHTS, sizes[i], &made), -ENOMEM);
	EQUAL(create(fd, MACROMAC_WEIGHTS, query.buffer_bytes_left + 1, &made), -ENOMEM);
	return PASS;
}

static int buffers_of_unknown_usage_are_refused(void)
{
	struct macromac_buffer_create made;
	int fd = device_open();

	EQUAL(create(fd, 0, 4096, &made), -EINVAL);
	EQUAL(create(fd, 4, 4096, &made), -EINVAL);
	EQUAL(create(fd, 0xffffffff, 4096, &made), -EINVAL);
	return PASS;
}

static int buffers_are_whole_pages_of_zeros(void)
{
	static const uint64_t sizes[] = { 1, 4095, 4096, 4097, 300000, 3 << 20 };
	int fd = device_open();

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int again = 0; again < 2; again++) {
			struct macromac_buffer_create made;
			uint8_t *bytes;

			EQUAL(create(fd, MACROMAC_RESULTS, sizes[i], &made), 0);
			EQUAL(made.bytes, (sizes[i] + PAGE - 1) & ~(PAGE - 1));
			bytes = map(fd, made.mmap_offset, made.bytes, PROT_READ | PROT_WRITE);
			CHECK(bytes);
			/* Not even by throwing the caches away can one see what was there before. */
			EQUAL(sync_range(fd, made.handle, 0, made.bytes, MACROMAC_SYNC_FOR_CPU), 0);
			for (uint64_t at = 0; at < made.bytes; at++)
				if (bytes[at])
					EQUAL(bytes[at], 0);
			memset(bytes, 0x5a, made.bytes);
			munmap(bytes, made.bytes);
			EQUAL(release(fd, made.handle), 0);
		}
	}
	return PASS;
}

static int handles_are_never_given_out_twice(void)
{
	struct macromac_buffer_create made;
	int fd = device_open();
	uint32_t last = 0;

	for (int i = 0; i < 300; i++) {
		EQUAL(create(fd, MACROMAC_WEIGHTS, 1, &made), 0);
		CHECK(made.handle > last);
		last = made.handle;
		EQUAL(release(fd, made.handle), 0);
		EQUAL(release(fd, made.handle), -ENOENT);
	}
	EQUAL(release(fd, 0), -ENOENT);
	EQUAL(release(fd, 0xffffffff), -ENOENT);
	return PASS;
}

static int handles_belong_to_their_file(void)
{
	struct macromac_buffer_create made, own;
	int one = device_open(), two = device_open();

	EQUAL(create(one, MACROMAC_WEIGHTS, 4096, &made), 0);
	EQUAL(release(two, made.handle), -ENOENT);
	EQUAL(sync_range(two, made.handle, 0, 1, MACROMAC_SYNC_FOR_CPU), -ENOENT);
	CHECK(!map(two, made.mmap_offset, PAGE, PROT_READ));
	/* The same number in another file is another buffer. */
	EQUAL(create(two, MACROMAC_WEIGHTS, 4096, &own), 0);
	EQUAL(own.handle, made.handle);
	EQUAL(release(two, own.handle), 0);
	EQUAL(release(one, made.handle), 0);
	return PASS;
}

static int memory_comes_back(void)
{
	struct macromac_buffer_create made;
	int fd = device_open(), count;
	int64_t before;

	before = memory_used(fd);
	EQUAL(create(fd, MACROMAC_WEIGHTS, 1 << 20, &made), 0);
	EQUAL(memory_used(fd) - before, 1 << 20);
	EQUAL(release(fd, made.handle), 0);
	EQUAL(memory_used(fd), before);
	/* All of it, in pieces, with handles dropped by closing. */
	for (count = 0; count < 4096; count++)
		if (create(fd, MACROMAC_WEIGHTS, 4 << 20, &made))
			break;
	CHECK(count > 0 && count < 4096);
	EQUAL(create(fd, MACROMAC_WEIGHTS, 4 << 20, &made), -ENOMEM);
	close(fd);
	fd = device_open();
	EQUAL(memory_used(fd), before);
	return PASS;
}

/* Somebody who asks for more than there is, all the time, takes it from nobody. */
static int a_refused_buffer_takes_nothing(void)
{
	struct macromac_buffer_create made;
	struct macromac_query query;
	int fd = device_open(), err = 0;
	int64_t end;
	pid_t child;

	EQUAL(query_of(fd, &query), 0);
	child = fork();
	if (!child)
		for (alarm(60);;)
			create(fd, MACROMAC_WEIGHTS, query.buffer_bytes_left + (64 << 20), &made);
	CHECK(child > 0);
	for (end = now() + 10 * SECOND; !err && now() < end;) {
		err = create(fd, MACROMAC_RESULTS, PAGE, &made);
		if (!err)
			err = release(fd, made.handle);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EQUAL(err, 0);
	return PASS;
}

static int sync_takes_what_lies_inside(void)
{
	struct macromac_buffer_create made;
	int fd = device_open();

	for (uint32_t usage = MACROMAC_WEIGHTS; usage <= MACROMAC_RESULTS; usage++) {
		EQUAL(create(fd, usage, 3 << 20, &made), 0);
		for (uint32_t way = 1; way <= 2; way++) {
			EQUAL(sync_range(fd, made.handle, 0, made.bytes, way), 0);
			EQUAL(sync_range(fd, made.handle, 5, 1, way), 0);
			EQUAL(sync_range(fd, made.handle, 0, 0, way), 0);
			EQUAL(sync_range(fd, made.handle, made.bytes, 0, way), 0);
			EQUAL(sync_range(fd, made.handle, 0, made.bytes + 1, way), -EINVAL);
			EQUAL(sync_range(fd, made.handle, made.bytes, 1, way), -EINVAL);
			EQUAL(sync_range(fd, made.handle, 1, -1ULL, way), -EINVAL);
			EQUAL(sync_range(fd, made.handle, -1ULL, 1, way), -EINVAL);
			EQUAL(sync_range(fd, made.handle, -1ULL, 2, way), -EINVAL);
		}
		EQUAL(sync_range(fd, made.handle, 0, 1, 0), -EINVAL);
		EQUAL(sync_range(fd, made.handle, 0, 1, 3), -EINVAL);
		EQUAL(sync_range(fd, 77, 0, 1, 1), -ENOENT);
	}
	return PASS;
}

const struct test call_tests[] = {
	{ "query tells the device", query_tells_the_device },
	{ "a longer structure must end in zeros", a_longer_structure_must_end_in_zeros },
	{ "a longer command is the same call", a_longer_command_is_the_same_call },
	{ "a shorter structure gets what fits", a_shorter_structure_gets_what_fits },
	{ "every call looks at its size", every_call_looks_at_its_size },
	{ "every call survives bad pointers", every_call_survives_bad_pointers },
	{ "other commands are refused", other_commands_are_refused },
	{ "flags and padding must be zero", flags_and_padding_must_be_zero },
	{ "buffers of impossible size are refused", buffers_of_impossible_size_are_refused },
	{ "buffers of unknown usage are refused", buffers_of_unknown_usage_are_refused },
	{ "buffers are whole pages of zeros", buffers_are_whole_pages_of_zeros },
	{ "handles are never given out twice", handles_are_never_given_out_twice },
	{ "handles belong to their file", handles_belong_to_their_file },
	{ "memory comes back", memory_comes_back },
	{ "a refused buffer takes nothing", a_refused_buffer_takes_nothing },
	{ "sync takes what lies inside", sync_takes_what_lies_inside },
	{ }
};
