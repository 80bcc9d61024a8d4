// SPDX-License-Identifier: GPL-2.0
/* What the test programs share. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

int fail(const char *file, int line, const char *what)
{
	printf("# %s:%d: expected %s\n", file, line, what);
	return FAIL;
}

int fail_value(const char *file, int line, const char *what, long long found, long long expected)
{
	printf("# %s:%d: %s: expected %lld, found %lld\n", file, line, what, expected, found);
	return FAIL;
}

int skip(const char *why)
{
	printf("# skipped: %s\n", why);
	return SKIP;
}

int device_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int call(int fd, unsigned long command, void *arg)
{
	return ioctl(fd, command, arg) < 0 ? -errno : 0;
}

int create(int fd, uint32_t usage, uint64_t bytes, struct macromac_buffer_create *made)
{
	*made = (struct macromac_buffer_create){
		.size = sizeof(*made), .usage = usage, .bytes = bytes,
	};
	return call(fd, MACROMAC_IOC_BUFFER_CREATE, made);
}

int release(int fd, uint32_t handle)
{
	struct macromac_buffer_free arg = { .size = sizeof(arg), .handle = handle };

	return call(fd, MACROMAC_IOC_BUFFER_FREE, &arg);
}

int sync_range(int fd, uint32_t handle, uint64_t offset, uint64_t bytes, uint32_t direction)
{
	struct macromac_buffer_sync arg = {
		.size = sizeof(arg), .handle = handle, .offset = offset, .bytes = bytes,
		.direction = direction,
	};

	return call(fd, MACROMAC_IOC_BUFFER_SYNC, &arg);
}

int load(int fd, const struct macromac_step *steps, uint32_t count,
	 struct macromac_program_load *arg)
{
	*arg = (struct macromac_program_load){
		.size = sizeof(*arg), .step_count = count, .steps = (uintptr_t)steps,
		.step_size = sizeof(*steps),
	};
	return call(fd, MACROMAC_IOC_PROGRAM_LOAD, arg);
}

int unload(int fd)
{
	struct macromac_program_load arg;

	return load(fd, NULL, 0, &arg);
}

int run(int fd, uint32_t steps_ready)
{
	struct macromac_run arg = { .size = sizeof(arg), .steps_ready = steps_ready };

	return call(fd, MACROMAC_IOC_RUN, &arg);
}

int reset(int fd)
{
	struct macromac_reset arg = { .size = sizeof(arg) };

	return call(fd, MACROMAC_IOC_RESET, &arg);
}

int wait_until(int fd, uint32_t steps, uint32_t rows, int64_t deadline, struct macromac_wait *arg)
{
	*arg = (struct macromac_wait){
		.size = sizeof(*arg), .steps = steps, .rows = rows, .deadline_ns = deadline,
	};
	return call(fd, MACROMAC_IOC_WAIT, arg);
}

int wait_for(int fd, uint32_t steps, int64_t ns)
{
	struct macromac_wait arg;

	return wait_until(fd, steps, 0xffffffff, now() + ns, &arg);
}

int fault_of(int fd, struct macromac_fault *fault)
{
	*fault = (struct macromac_fault){ .size = sizeof(*fault) };
	return call(fd, MACROMAC_IOC_FAULT, fault);
}

int stats_of(int fd, struct macromac_stats *stats)
{
	*stats = (struct macromac_stats){ .size = sizeof(*stats) };
	return call(fd, MACROMAC_IOC_STATS, stats);
}

int query_of(int fd, struct macromac_query *query)
{
	*query = (struct macromac_query){ .size = sizeof(*query) };
	return call(fd, MACROMAC_IOC_QUERY, query);
}

int64_t memory_used(int fd)
{
	FILE *counters = fopen("/sys/kernel/debug/macromac0/counters", "re");
	struct macromac_query query;
	long long used = -1;
	char line[128];

	while (counters && used < 0 && fgets(line, sizeof(line), counters))
		if (sscanf(line, "memory_used %lld", &used) != 1)
			used = -1;
	if (counters)
		fclose(counters);
	if (used >= 0)
		return used;
	return query_of(fd, &query) ? INT64_MIN : -(int64_t)query.buffer_bytes_left;
}

int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

void *map(int fd, uint64_t offset, size_t bytes, int protection)
{
	void *at = mmap(NULL, bytes, protection, MAP_SHARED, fd, (off_t)offset);

	return at == MAP_FAILED ? NULL : at;
}

static sigjmp_buf bus_error;

static void on_bus_error(int number)
{
	(void)number;
	siglongjmp(bus_error, 1);
}

static bool touches(const volatile void *at, bool write, uint32_t value)
{
	struct sigaction action = { .sa_handler = on_bus_error }, before;
	volatile bool fine = false;

	sigaction(SIGBUS, &action, &before);
	if (!sigsetjmp(bus_error, 1)) {
		if (write)
			*(volatile uint32_t *)at = value;
		else
			(void)*(const volatile uint8_t *)at;
		fine = true;
	}
	sigaction(SIGBUS, &before, NULL);
	return fine;
}

bool readable(const volatile void *at)
{
	return touches(at, false, 0);
}

bool writable(volatile uint32_t *at, uint32_t value)
{
	return touches(at, true, value);
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool fine = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return fine;
}

#define STOP_MS "/sys/module/macromac/parameters/stop_ms"

bool set_stop_ms(const char *value, char *before)
{
	int fd = open(STOP_MS, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : read(fd, before, 15);

	if (fd >= 0)
		close(fd);
	if (bytes <= 0)
		return false;
	before[bytes] = 0;
	return write_text(STOP_MS, value);
}

static void rig_weights(uint8_t *weights)
{
	for (int port = 0; port < MACROMAC_PORTS; port++) {
		uint32_t *words = (uint32_t *)(weights + port * SEGMENT), nibbles = 0;

		for (int c = 0; c < 8; c++)
			nibbles |= (uint32_t)(c + port) << (4 * c);
		for (int macro = 0; macro < GROUPS * TILE_ROWS; macro++, words += 72)
			for (int word = 0; word < 72; word++)
				words[word] = word < 4 ? 0x3c003c00 : word < 8 ? 0 : nibbles;
	}
}

int rig_open(struct rig *rig)
{
	int err;

	*rig = (struct rig){ .fd = device_open() };
	if (rig->fd < 0)
		return rig->fd;
	err = create(rig->fd, MACROMAC_WEIGHTS, MACROMAC_PORTS * SEGMENT, &rig->weights);
	if (!err)
		err = create(rig->fd, MACROMAC_ACTIVATIONS, INPUTS * 4, &rig->activations);
	if (!err)
		err = create(rig->fd, MACROMAC_RESULTS, OUTPUTS * 4, &rig->results);
	if (err)
		return err;
	rig->w = map(rig->fd, rig->weights.mmap_offset, rig->weights.bytes,
		     PROT_READ | PROT_WRITE);
	rig->x = map(rig->fd, rig->activations.mmap_offset, rig->activations.bytes,
		     PROT_READ | PROT_WRITE);
	rig->y = map(rig->fd, rig->results.mmap_offset, rig->results.bytes,
		     PROT_READ | PROT_WRITE);
	if (!rig->w || !rig->x || !rig->y)
		return -errno;
	rig_weights(rig->w);
	rig->step = (struct macromac_step){
		.groups = GROUPS, .tile_rows = TILE_ROWS, .vectors = 1, .macro_strips = 18,
		.activations.handle = rig->activations.handle,
		.results.handle = rig->results.handle,
	};
	for (int port = 0; port < MACROMAC_PORTS; port++) {
		rig->step.weights[port].handle = rig->weights.handle;
		rig->step.weights[port].offset = (uint64_t)port * SEGMENT;
	}
	err = sync_range(rig->fd, rig->weights.handle, 0, rig->weights.bytes,
			 MACROMAC_SYNC_FOR_DEVICE);
	return err ? err : rig_fill(rig, 1);
}

void rig_close(struct rig *rig)
{
	if (rig->w)
		munmap(rig->w, rig->weights.bytes);
	if (rig->x)
		munmap(rig->x, rig->activations.bytes);
	if (rig->y)
		munmap(rig->y, rig->results.bytes);
	if (rig->fd >= 0)
		close(rig->fd);
}

int rig_fill(struct rig *rig, uint32_t seed)
{
	int err;

	rig->sum = 0;
	for (uint32_t k = 0; k < INPUTS; k++) {
		rig->x[k] = 1 + (k * seed + seed) % 61;
		rig->sum += rig->x[k];
	}
	for (int i = 0; i < OUTPUTS; i++)
		rig->y[i] = -1;
	err = sync_range(rig->fd, rig->activations.handle, 0, INPUTS * 4,
			 MACROMAC_SYNC_FOR_DEVICE);
	return err ? err : sync_range(rig->fd, rig->results.handle, 0, OUTPUTS * 4,
				      MACROMAC_SYNC_FOR_DEVICE);
}

bool rig_right(struct rig *rig)
{
	if (sync_range(rig->fd, rig->results.handle, 0, OUTPUTS * 4, MACROMAC_SYNC_FOR_CPU))
		return false;
	for (int i = 0; i < OUTPUTS; i++) {
		float expected = (float)(i % 8 + i / 8 % 4) * rig->sum;
		volatile float found = rig->y[i];

		if (memcmp((void *)&found, &expected, 4)) {
			printf("# result %d: expected %g, found %g\n", i, expected, found);
			return false;
		}
	}
	return true;
}

int rig_compute(struct rig *rig)
{
	struct macromac_program_load arg;
	int err = load(rig->fd, &rig->step, 1, &arg);

	if (!err)
		err = run(rig->fd, 1);
	if (!err)
		err = wait_for(rig->fd, 1, 30 * SECOND);
	if (!err && !rig_right(rig))
		err = -EILSEQ;
	if (!err)
		err = unload(rig->fd);
	return err;
}
